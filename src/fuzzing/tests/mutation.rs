//! A file of the corpus, changed: by what stands in it, as far as that can be told from any
//! text, as otherwise nearly all would be refused at the first brace.

mod json;

use proptest::{prelude::*, sample::Index};

use super::corpus::File;

/// Largest input: beyond it nothing new is said.
const BYTES_MAX: usize = 256 << 10;
/// Values at which things end.
const NUMBERS: [&str; 14] = [
    "0",
    "1",
    "-1",
    "255",
    "256",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    "1e400",
    "0.1",
    "00000000000000000000000000000000000000000000000000000000000000000",
];
const OPENED: [(&str, &str); 4] = [("[", "]"), ("{\"a\":", "}"), ("(", ")"), ("!", "")];

/// Which file, and what is done to it, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Mutation {
    file: Index,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Flip {
        at: Index,
        with: u8,
    },
    Truncate {
        at: Index,
    },
    Remove {
        at: Index,
        length: usize,
    },
    /// A part, told several times.
    Repeat {
        at: Index,
        length: usize,
        times: usize,
    },
    /// A part, told elsewhere.
    Copy {
        at: Index,
        length: usize,
        to: Index,
    },
    /// The beginning of this and the end of another file.
    Splice {
        other: Index,
        at: Index,
        from: Index,
    },
    /// A number in place of another.
    Number {
        which: Index,
        with: Index,
    },
    /// A part in very many brackets.
    Nest {
        at: Index,
        length: usize,
        deep: usize,
        how: Index,
    },
    RemoveLine {
        which: Index,
    },
    SwapLines {
        one: Index,
        other: Index,
    },
    /// A value of a JSON document in place of another, or of another type.
    Json(json::Change),
}

pub(super) fn mutations() -> impl Strategy<Value = Mutation> {
    // One change alone reaches further than several.
    let changes = prop_oneof![
        2 => prop::collection::vec(change(), 1),
        1 => prop::collection::vec(change(), 2..6),
    ];
    (any::<Index>(), changes).prop_map(|(file, changes)| Mutation { file, changes })
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        2 => (at(), any::<u8>()).prop_map(|(at, with)| Change::Flip { at, with }),
        1 => at().prop_map(|at| Change::Truncate { at }),
        1 => (at(), 1..64usize).prop_map(|(at, length)| Change::Remove { at, length }),
        2 => (at(), 1..200usize, 2..200usize)
            .prop_map(|(at, length, times)| Change::Repeat { at, length, times }),
        2 => (at(), 1..200usize, at()).prop_map(|(at, length, to)| Change::Copy { at, length, to }),
        1 => (at(), at(), at()).prop_map(|(other, at, from)| Change::Splice { other, at, from }),
        3 => (at(), at()).prop_map(|(which, with)| Change::Number { which, with }),
        1 => (at(), 0..64usize, 1..5_000usize, at())
            .prop_map(|(at, length, deep, how)| Change::Nest { at, length, deep, how }),
        1 => at().prop_map(|which| Change::RemoveLine { which }),
        1 => (at(), at()).prop_map(|(one, other)| Change::SwapLines { one, other }),
        6 => json::changes().prop_map(Change::Json),
    ]
}

impl Mutation {
    /// The changed file.
    pub(super) fn of(&self, files: &[File]) -> Vec<u8> {
        let mut bytes = self.file.get(files).bytes.clone();
        for change in &self.changes {
            change.apply(&mut bytes, files);
            bytes.truncate(BYTES_MAX);
        }
        bytes
    }
}

/// A part that begins at a place, as long as there is so much.
fn part(bytes: &[u8], at: &Index, length: usize) -> std::ops::Range<usize> {
    let start = at.index(bytes.len() + 1);
    start..(start + length).min(bytes.len())
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, files: &[File]) {
        match self {
            Self::Flip { at, with } => {
                let range = part(bytes, at, 1);
                bytes[range].iter_mut().for_each(|byte| *byte ^= with);
            }
            Self::Truncate { at } => bytes.truncate(at.index(bytes.len() + 1)),
            Self::Remove { at, length } => drop(bytes.drain(part(bytes, at, *length))),
            Self::Repeat { at, length, times } => {
                let range = part(bytes, at, *length);
                let repeated = bytes[range.clone()].repeat(*times);
                bytes.splice(range, repeated);
            }
            Self::Copy { at, length, to } => {
                let copied = bytes[part(bytes, at, *length)].to_vec();
                let to = to.index(bytes.len() + 1);
                bytes.splice(to..to, copied);
            }
            Self::Splice { other, at, from } => {
                let other = &other.get(files).bytes;
                bytes.truncate(at.index(bytes.len() + 1));
                bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
            Self::Number { which, with } => {
                let numbers = numbers(bytes);
                if !numbers.is_empty() {
                    let range = which.get(&numbers).clone();
                    bytes.splice(range, with.get(&NUMBERS).bytes());
                }
            }
            Self::Nest { at, length, deep, how } => {
                let range = part(bytes, at, *length);
                let (open, close) = how.get(&OPENED);
                let inner = bytes[range.clone()].to_vec();
                let nested =
                    [open.repeat(*deep).as_bytes(), &inner, close.repeat(*deep).as_bytes()]
                        .concat();
                bytes.splice(range, nested);
            }
            Self::RemoveLine { which } => {
                let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
                lines.remove(which.index(lines.len()));
                *bytes = lines.join(&b'\n');
            }
            Self::SwapLines { one, other } => {
                let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
                *bytes = lines.join(&b'\n');
            }
            Self::Json(change) => change.apply(bytes),
        }
    }
}

/// Where runs of digits are.
fn numbers(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match found.last_mut() {
            Some(last) if last.end == at => last.end = at + 1,
            _ => found.push(at..at + 1),
        }
    }
    found
}
