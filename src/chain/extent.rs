//! How much decoding would make of ABI data, before it is made.
//!
//! ABI data names its parts by offsets, and several may name one part: a list of n texts
//! that are all the same bytes of the data becomes n copies of them. A megabyte, which a
//! lying endpoint can send, would become eight gigabytes.

use alloy::{dyn_abi::DynSolType, primitives::U256};

/// Bytes of a word.
const WORD: usize = 32;

/// Decoding would make more of the data than is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess;

/// Fails where values of these types, as the data has them, take more than twice its bytes,
/// each part counted as often as it is named. Honest encoders name a part once; some share
/// an empty one. What is broken ends the count: it is the decoder's to say so.
pub(crate) fn bounded(types: &[DynSolType], data: &[u8]) -> Result<(), Excess> {
    let most = data.len().saturating_mul(2).saturating_add(8 * WORD);
    let mut count = Count { data, left: most };
    match count.sequence(types.iter(), 0) {
        Ok(()) | Err(Stop::Broken) => Ok(()),
        Err(Stop::Excess) => Err(Excess),
    }
}

enum Stop {
    Broken,
    Excess,
}

struct Count<'d> {
    data: &'d [u8],
    left: usize,
}

impl Count<'_> {
    /// Values one after the other, whose offsets count from `start`.
    fn sequence<'t>(
        &mut self,
        types: impl Iterator<Item = &'t DynSolType>,
        start: usize,
    ) -> Result<(), Stop> {
        let mut head = start;
        for solidity in types {
            let words = head_words(solidity);
            let bytes = words.saturating_mul(WORD);
            self.take(bytes)?;
            if is_dynamic(solidity) {
                let at = start.checked_add(self.number(head)?).ok_or(Stop::Broken)?;
                self.tail(solidity, at)?;
            }
            head = head.checked_add(bytes).ok_or(Stop::Broken)?;
        }
        Ok(())
    }

    /// What an offset names.
    fn tail(&mut self, solidity: &DynSolType, at: usize) -> Result<(), Stop> {
        match solidity {
            DynSolType::Array(item) => {
                let length = self.number(at)?;
                // Items without bytes are not made at all.
                if head_words(item) == 0 {
                    return Ok(());
                }
                self.sequence(std::iter::repeat_n(&**item, length), at + WORD)
            }
            DynSolType::FixedArray(item, length) => {
                self.sequence(std::iter::repeat_n(&**item, *length), at)
            }
            DynSolType::Tuple(members) => self.sequence(members.iter(), at),
            // `bytes` and `string`.
            _ => {
                let length = self.number(at)?;
                self.take(WORD.saturating_add(length))
            }
        }
    }

    fn number(&self, at: usize) -> Result<usize, Stop> {
        let word = at.checked_add(WORD).and_then(|end| self.data.get(at..end));
        let number = word.map(U256::from_be_slice).and_then(|number| number.try_into().ok());
        number.ok_or(Stop::Broken)
    }

    fn take(&mut self, bytes: usize) -> Result<(), Stop> {
        self.left = self.left.checked_sub(bytes).ok_or(Stop::Excess)?;
        Ok(())
    }
}

/// Words in the head of a sequence: of a value itself, or of the offset that names it.
fn head_words(solidity: &DynSolType) -> usize {
    match solidity {
        _ if is_dynamic(solidity) => 1,
        DynSolType::FixedArray(item, length) => head_words(item).saturating_mul(*length),
        DynSolType::Tuple(members) => members.iter().map(head_words).fold(0, usize::saturating_add),
        _ => 1,
    }
}

fn is_dynamic(solidity: &DynSolType) -> bool {
    match solidity {
        DynSolType::Bytes | DynSolType::String | DynSolType::Array(_) => true,
        DynSolType::FixedArray(item, _) => is_dynamic(item),
        DynSolType::Tuple(members) => members.iter().any(is_dynamic),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy::dyn_abi::DynSolValue;

    use super::*;

    fn types(list: &[&str]) -> Vec<DynSolType> {
        list.iter().map(|text| DynSolType::parse(text).unwrap()).collect()
    }

    fn word(n: usize) -> [u8; 32] {
        U256::from(n).to_be_bytes()
    }

    /// A list of `count` items that are all the same `tail`.
    fn shared(count: usize, tail: &[u8]) -> Vec<u8> {
        let offsets = std::iter::repeat_n(word(count * WORD), count);
        [word(WORD), word(count)]
            .into_iter()
            .chain(offsets)
            .flatten()
            .chain(tail.to_vec())
            .collect()
    }

    #[test]
    fn parts_that_are_named_again_and_again_are_an_excess() {
        let text = [&word(1_000)[..], &[b'x'; 1_024]].concat();
        let numbers = [&word(100)[..], &[0; 3_200]].concat();
        for (solidity, tail) in [("string[]", &text), ("bytes[]", &text), ("uint256[][]", &numbers)]
        {
            assert_eq!(
                bounded(&types(&[solidity]), &shared(1_000, tail)),
                Err(Excess),
                "{solidity}"
            );
            assert_eq!(bounded(&types(&[solidity]), &shared(2, tail)), Ok(()), "{solidity}");
        }
        // Each level doubles what the one below holds.
        let deep = "uint256".to_owned() + &"[]".repeat(8);
        let level = |data: Vec<u8>| [&word(2)[..], &word(64), &word(64), &data].concat();
        let data = (0..40).fold([&word(1)[..], &word(7)].concat(), |data, _| level(data));
        assert_eq!(bounded(&types(&[&deep]), &[&word(WORD)[..], &data].concat()), Err(Excess));
    }

    #[test]
    fn what_is_encoded_as_it_should_be_is_none() {
        let text = || DynSolValue::String("gm".repeat(40));
        let list = DynSolValue::Array(vec![text(), text(), text()]);
        let grid = DynSolValue::Array(vec![list.clone(), list.clone(), DynSolValue::Array(vec![])]);
        let number = DynSolValue::Uint(U256::MAX, 256);
        let row = DynSolValue::FixedArray(vec![number.clone(), number]);
        let all = DynSolValue::Tuple(vec![grid, row.clone(), DynSolValue::Array(vec![row]), list]);
        let DynSolType::Tuple(types) = all.as_type().unwrap() else { unreachable!() };
        assert_eq!(bounded(&types, &all.abi_encode_sequence().unwrap()), Ok(()));
    }

    #[test]
    fn what_is_broken_is_left_to_the_decoder_and_what_is_huge_counted_at_once() {
        assert_eq!(bounded(&types(&["string[]"]), &[]), Ok(()));
        assert_eq!(bounded(&types(&["string[]"]), &[0xff; 64]), Ok(()));
        assert_eq!(bounded(&types(&["uint256[1000000000]"]), &[0; 64]), Err(Excess));
        assert_eq!(bounded(&types(&["()[]"]), &[word(WORD), word(1 << 40)].concat()), Ok(()));
        let endless = [word(WORD), word(1 << 40)].concat();
        assert_eq!(bounded(&types(&["string[]"]), &endless), Ok(()));
        let repeated = [&endless[..], &[0; 3_200]].concat();
        assert_eq!(bounded(&types(&["uint256[]"]), &repeated), Err(Excess));
    }
}
