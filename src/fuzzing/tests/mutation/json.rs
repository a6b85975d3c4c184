//! Changes of the values of a JSON document.

use proptest::{prelude::*, sample::Index};
use serde_json::{Value as Json, json};

/// What is done to one of its values.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// It and another change places.
    Swap { line: Index, one: Index, other: Index },
    /// It becomes something of another type.
    Become { line: Index, which: Index, what: Index },
    /// It is nearly what it was: a digit is another, a number the next.
    Alter { line: Index, which: Index, at: Index },
    /// It is gone.
    Remove { line: Index, which: Index },
}

pub(super) fn changes() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), at(), at()).prop_map(|(line, one, other)| Change::Swap { line, one, other }),
        (at(), at(), at()).prop_map(|(line, which, what)| Change::Become { line, which, what }),
        (at(), at(), at()).prop_map(|(line, which, at)| Change::Alter { line, which, at }),
        (at(), at()).prop_map(|(line, which)| Change::Remove { line, which }),
    ]
}

fn others() -> [Json; 12] {
    [
        Json::Null,
        json!([]),
        json!({}),
        json!(""),
        json!(true),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!("0x"),
        json!("0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
        json!("x".repeat(5_000)),
        json!([[[[{ "a": [null] }]]]]),
    ]
}

impl Change {
    /// Changes one of the documents in the text: one that is a line from its first brace
    /// on, or all that follows.
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        let (Self::Swap { line, .. }
        | Self::Become { line, .. }
        | Self::Alter { line, .. }
        | Self::Remove { line, .. }) = self;
        let mut starts = vec![0];
        starts.extend(bytes.iter().enumerate().filter(|it| *it.1 == b'\n').map(|(at, _)| at + 1));
        let start = *line.get(&starts);
        let Some(brace) = bytes[start..].iter().position(|byte| matches!(byte, b'{' | b'[')) else {
            return;
        };
        let start = start + brace;
        let mut documents =
            serde_json::Deserializer::from_slice(&bytes[start..]).into_iter::<Json>();
        let Some(Ok(mut document)) = documents.next() else { return };
        let end = start + documents.byte_offset();
        let mut places = Vec::new();
        walk(&document, String::new(), &mut places);
        self.change(&mut document, &places);
        bytes.splice(start..end, document.to_string().into_bytes());
    }

    fn change(&self, document: &mut Json, places: &[String]) {
        match self {
            Self::Swap { one, other, .. } => {
                let (one, other) = (one.get(places), other.get(places));
                let value = |at: &str| document.pointer(at).cloned();
                // One that is inside of the other has no place of its own any more.
                if let (Some(first), Some(second)) = (value(one), value(other))
                    && !one.starts_with(other.as_str())
                    && !other.starts_with(one.as_str())
                {
                    *document.pointer_mut(one).unwrap() = second;
                    *document.pointer_mut(other).unwrap() = first;
                }
            }
            Self::Become { which, what, .. } => {
                let others = others();
                let place: &String = which.get(places);
                *document.pointer_mut(place).unwrap() = what.get(&others).clone();
            }
            Self::Alter { which, at, .. } => {
                let place: &String = which.get(places);
                let value = document.pointer_mut(place).unwrap();
                *value = altered(value, at);
            }
            Self::Remove { which, .. } => {
                let place = which.get(places);
                let (parent, key) = place.rsplit_once('/').unwrap_or_default();
                match document.pointer_mut(parent) {
                    Some(Json::Object(members)) => drop(members.remove(key)),
                    Some(Json::Array(items)) => {
                        if let Ok(at) = key.parse::<usize>()
                            && at < items.len()
                        {
                            items.remove(at);
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

fn altered(value: &Json, at: &Index) -> Json {
    match value {
        Json::Bool(is) => json!(!is),
        Json::Number(number) => json!(number.as_u64().unwrap_or_default().wrapping_add(1)),
        Json::String(text) if !text.is_empty() => {
            let mut chars: Vec<char> = text.chars().collect();
            let place = at.index(chars.len());
            chars[place] = match chars[place] {
                '9' => 'a',
                'f' => '0',
                other => char::from_u32(other as u32 + 1).unwrap_or('?'),
            };
            json!(chars.into_iter().collect::<String>())
        }
        other => other.clone(),
    }
}

/// The places of all values (RFC 6901).
fn walk(value: &Json, place: String, places: &mut Vec<String>) {
    match value {
        Json::Object(members) => {
            for (key, value) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                walk(value, format!("{place}/{key}"), places);
            }
        }
        Json::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                walk(value, format!("{place}/{at}"), places);
            }
        }
        _ => {}
    }
    places.push(place);
}
