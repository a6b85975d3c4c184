//! The lists as bytes.

use super::{ENDS, HEAD, List, Lists, Packed, SET_WORDS};
use crate::fold::Unreadable;

/// More than a rule set's meters need: a damaged row must not ask for all memory with its
/// next name.
const SET_WORDS_MAX: usize = 1 << 12;

impl Lists {
    /// As it is written down: seven bits of a word in a byte, the lowest first.
    pub(in crate::rules) fn to_bytes(&self) -> Vec<u8> {
        /// Bytes of the longest word.
        const MOST: usize = 5;
        let mut bytes = vec![0; self.0.len() * MOST];
        let mut end = 0;
        let mut put = |byte: u32| {
            if let Some(place) = bytes.get_mut(end) {
                *place = byte as u8;
            }
            end += 1;
        };
        for word in &*self.0 {
            let mut rest = *word;
            while rest >= 0x80 {
                put(rest & 0x7f | 0x80);
                rest >>= 7;
            }
            put(rest);
        }
        bytes.truncate(end);
        // They are kept until they are committed.
        bytes.shrink_to_fit();
        bytes
    }

    /// It again.
    ///
    /// # Errors
    /// When it is not written down so.
    pub(in crate::rules) fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        Self::read(bytes).ok_or_else(|| "no user's lists".into())
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut words = Vec::with_capacity(bytes.len());
        let (mut word, mut shift) = (0_u32, 0);
        for byte in bytes {
            let part = u32::from(byte & 0x7f);
            word |= part.checked_shl(shift).filter(|it| it >> shift == part)?;
            shift += 7;
            if byte & 0x80 == 0 {
                words.push(word);
                (word, shift) = (0, 0);
            }
        }
        let found = Self(words.into());
        let packed = Packed::of(&found);
        if packed.head(SET_WORDS) > SET_WORDS_MAX {
            return None;
        }
        let mut begin = 0;
        let is_whole = List::ALL.into_iter().all(|list| {
            let end = packed.head(ENDS + list as usize);
            let len = end.checked_sub(std::mem::replace(&mut begin, end));
            len.is_some_and(|len| len.is_multiple_of(packed.width(list)))
        });
        let is_all = packed.words().len().checked_sub(HEAD) == Some(begin);
        (shift == 0 && is_whole && is_all).then_some(found)
    }
}
