//! How what is known of a user lies in words: see [`Packed`](super::packed::Packed).

use alloy::primitives::{B128, I256, U256};
use serde::{Serialize, de::DeserializeOwned};
use smallvec::SmallVec;

use super::number::Number;

/// How often something was requested.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Times {
    pub(super) count: u64,
    /// The number of the day, week or month of the last time.
    pub(super) period: u64,
}

/// A log within a rolling window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    /// Block time, seconds since the Unix epoch.
    pub(super) time: u64,
    pub(super) log: u32,
    pub(super) number: Option<Number>,
    /// Names the value that `distinct` counts.
    pub(super) value: Option<B128>,
}

/// Words of a number.
const NUMBER: usize = 9;

/// The lower half first.
pub(super) fn words(long: u64) -> [u32; 2] {
    [long as u32, (long >> 32) as u32]
}

pub(super) fn long(record: &[u32], at: usize) -> u64 {
    let word = |at: usize| u64::from(record.get(at).copied().unwrap_or_default());
    word(at) | word(at + 1) << 32
}

pub(super) fn set_long(record: &mut [u32], at: usize, long: u64) {
    if let Some(place) = record.get_mut(at..at + 2) {
        place.copy_from_slice(&words(long));
    }
}

/// Of what kind it is, then it, the lowest word first.
pub(super) fn number_words(number: Number) -> [u32; NUMBER] {
    let (kind, raw) = match number {
        Number::Uint(number) => (0, number),
        Number::Int(number) => (1, number.into_raw()),
    };
    let mut record = [0; NUMBER];
    record[0] = kind;
    for (at, limb) in raw.as_limbs().iter().enumerate() {
        set_long(&mut record, 1 + 2 * at, *limb);
    }
    record
}

pub(super) fn number(record: &[u32], at: usize) -> Number {
    let limb = |limb: usize| long(record, at + 1 + 2 * limb);
    let raw = U256::from_limbs([limb(0), limb(1), limb(2), limb(3)]);
    match record.get(at) {
        Some(0) | None => Number::Uint(raw),
        Some(_) => Number::Int(I256::from_raw(raw)),
    }
}

/// A window's entry under its meter's place: with a number, or with room for a value.
pub(super) fn entry_words(place: u32, entry: &Entry) -> SmallVec<[u32; 16]> {
    let [low, high] = words(entry.time);
    let mut record = SmallVec::from_slice(&[place, low, high, entry.log]);
    match entry.number {
        Some(number) => record.extend(number_words(number)),
        None => {
            let value = entry.value.map(|value| u128::from_be_bytes(value.0));
            record.push(u32::from(value.is_some()));
            let value = value.unwrap_or_default();
            record.extend([0, 32, 64, 96].map(|shift| (value >> shift) as u32));
        }
    }
    record
}

pub(super) fn entry(record: &[u32]) -> Entry {
    let (time, log) = (long(record, 1), record.get(3).copied().unwrap_or_default());
    if record.len() > 4 + NUMBER - 1 {
        return Entry { time, log, number: Some(number(record, 4)), value: None };
    }
    let value = u128::from(long(record, 5)) | u128::from(long(record, 7)) << 64;
    let value = (record.get(4) == Some(&1)).then(|| B128::from(value.to_be_bytes()));
    Entry { time, log, number: None, value }
}

/// What is of any length. Numbers: serialising them to memory can't fail; were it to,
/// nothing would be remembered.
pub(super) fn blob<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    postcard::to_allocvec(value).ok()
}

pub(super) fn of_blob<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_words_is_what_was_put_there() {
        for raw in [U256::ZERO, U256::from(7), U256::MAX, U256::from(1) << 200] {
            for it in [Number::Uint(raw), Number::Int(I256::from_raw(raw))] {
                assert_eq!(number(&number_words(it), 0), it);
                let with = Entry { time: u64::MAX - 5, log: 9, number: Some(it), value: None };
                assert_eq!(entry(&entry_words(3, &with)), with);
            }
        }
        for value in [None, Some(B128::ZERO), Some(B128::repeat_byte(0xfe))] {
            let with = Entry { time: 1 << 40, log: u32::MAX, number: None, value };
            assert_eq!(entry(&entry_words(3, &with)), with);
        }
    }
}
