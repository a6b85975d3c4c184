//! Short lists of small records, all of one user in one piece of memory.
//!
//! A user is copied for each block that changes it, so that the block can be
//! undone, and nearly every event changes one: a copy is one piece of memory and
//! not one for each list. Written down, each word takes as few bytes as it needs.

#[cfg(test)]
mod tests;
mod written;

use std::{slice::ChunksExact, sync::Arc};

/// The lists, in the order in which they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    Named,
    Meters,
    Numbers,
    Firsts,
    Requested,
    Times,
    Periods,
    Waits,
    Rolling,
    Amounts,
    Streaks,
    Sequences,
}

impl List {
    const ALL: [Self; 12] = [
        Self::Named,
        Self::Meters,
        Self::Numbers,
        Self::Firsts,
        Self::Requested,
        Self::Times,
        Self::Periods,
        Self::Waits,
        Self::Rolling,
        Self::Amounts,
        Self::Streaks,
        Self::Sequences,
    ];

    /// Words of a record, the first of which it is found by. Those of [`Self::Named`]
    /// have a set behind it; the last two have records of any length.
    const fn width(self) -> usize {
        match self {
            Self::Named | Self::Streaks | Self::Sequences => 1,
            Self::Requested => 2,
            Self::Firsts | Self::Periods | Self::Waits => 3,
            Self::Meters => 4,
            Self::Times => 5,
            Self::Rolling => 9,
            Self::Numbers => 10,
            Self::Amounts => 13,
        }
    }
}

/// Words before the lists: a counter, the words of a set, and where each list ends
/// behind them.
const HEAD: usize = 2 + List::ALL.len();
const COUNTER: usize = 0;
const SET_WORDS: usize = 1;
const ENDS: usize = 2;
/// Room for what an event adds.
const ROOM: usize = 64;

/// The lists as they are remembered: nobody changes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists(Arc<[u32]>);

/// The lists, to be changed. A copy is made with the first change.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    shared: Option<Arc<[u32]>>,
    own: Vec<u32>,
}

impl Packed {
    pub(super) fn of(lists: &Lists) -> Self {
        Self { shared: Some(Arc::clone(&lists.0)), own: Vec::new() }
    }

    /// To be remembered.
    pub(super) fn into_lists(mut self) -> Lists {
        self.words_mut();
        Lists(self.own.into())
    }

    fn words(&self) -> &[u32] {
        self.shared.as_deref().unwrap_or(&self.own)
    }

    fn words_mut(&mut self) -> &mut Vec<u32> {
        if let Some(shared) = self.shared.take() {
            self.own.reserve(shared.len() + ROOM);
            self.own.extend_from_slice(&shared);
        } else if self.own.is_empty() {
            self.own.resize(HEAD, 0);
        }
        &mut self.own
    }

    fn head(&self, at: usize) -> usize {
        self.words().get(at).map_or(0, |word| *word as usize)
    }

    /// A number beside the lists.
    pub(super) fn counter(&self) -> u32 {
        self.words().get(COUNTER).copied().unwrap_or_default()
    }

    pub(super) fn set_counter(&mut self, counter: u32) {
        self.words_mut()[COUNTER] = counter;
    }

    #[inline]
    fn width(&self, list: List) -> usize {
        match list {
            List::Named => list.width() + self.head(SET_WORDS),
            _ => list.width(),
        }
    }

    #[inline]
    fn begin(&self, list: List) -> usize {
        match list {
            List::Named => HEAD,
            _ => HEAD + self.head(ENDS + list as usize - 1),
        }
    }

    #[inline]
    fn list(&self, list: List) -> &[u32] {
        let end = HEAD + self.head(ENDS + list as usize);
        self.words().get(self.begin(list)..end).unwrap_or_default()
    }

    /// How many records a list has.
    pub(super) fn len(&self, list: List) -> usize {
        self.list(list).len() / self.width(list)
    }

    /// A list's records, in order.
    pub(super) fn records(&self, list: List) -> ChunksExact<'_, u32> {
        self.list(list).chunks_exact(self.width(list))
    }

    /// The records that begin with a word: from one place on, to before another.
    #[inline]
    pub(super) fn range(&self, list: List, key: u32) -> (usize, usize) {
        let words = self.list(list);
        let width = self.width(list);
        let from = first_from(words, width, key);
        let mut to = from;
        // Several of one key are in windows alone, and not many.
        while words.get(to * width) == Some(&key) {
            to += 1;
        }
        (from, to)
    }

    /// The records that begin with a word.
    pub(super) fn under(&self, list: List, key: u32) -> ChunksExact<'_, u32> {
        let ((from, to), width) = (self.range(list, key), self.width(list));
        let words = self.list(list).get(from * width..to * width);
        words.unwrap_or_default().chunks_exact(width)
    }

    /// The first record that begins with a word.
    #[inline]
    pub(super) fn find(&self, list: List, key: u32) -> Option<&[u32]> {
        let (words, width) = (self.list(list), self.width(list));
        let from = first_from(words, width, key) * width;
        words.get(from..from + width).filter(|record| record.first() == Some(&key))
    }

    pub(super) fn record_mut(&mut self, list: List, at: usize) -> &mut [u32] {
        let width = self.width(list);
        let from = self.begin(list) + at * width;
        self.words_mut().get_mut(from..from + width).unwrap_or_default()
    }

    /// As [`Self::slot`], for a key that is the highest as a rule.
    pub(super) fn last_slot(&mut self, list: List, key: u32) -> &mut [u32] {
        let (words, width) = (self.list(list), self.width(list));
        let last = words.len().checked_sub(width);
        match last.filter(|last| words.get(*last) == Some(&key)) {
            Some(last) => self.record_mut(list, last / width),
            None => self.slot(list, key),
        }
    }

    /// The record that begins with a word, made of nothing if there is none.
    pub(super) fn slot(&mut self, list: List, key: u32) -> &mut [u32] {
        let (at, to) = self.range(list, key);
        if at == to {
            self.insert(list, at, &[key]);
        }
        self.record_mut(list, at)
    }

    /// Puts a record in before another: these words, and zeros behind them.
    pub(super) fn insert(&mut self, list: List, at: usize, record: &[u32]) {
        let width = self.width(list);
        let from = self.begin(list) + at * width;
        self.open(list, from, width);
        if let Some(place) = self.own.get_mut(from..from + record.len()) {
            place.copy_from_slice(record);
        }
    }

    /// Makes room for so many words in a list: zeros.
    fn open(&mut self, list: List, from: usize, count: usize) {
        let words = self.words_mut();
        let end = words.len();
        words.resize(end + count, 0);
        words.copy_within(from..end, from + count);
        words[from..from + count].fill(0);
        self.move_ends(list, |end| end + count);
    }

    /// Takes words out of a list.
    fn close(&mut self, list: List, from: usize, count: usize) {
        self.words_mut().drain(from..from + count);
        self.move_ends(list, |end| end - count);
    }

    /// Of a list and those behind it.
    fn move_ends(&mut self, list: List, moved: impl Fn(usize) -> usize) {
        for end in self.own.iter_mut().take(HEAD).skip(ENDS + list as usize) {
            // Memory has fewer words than a word can count.
            *end = u32::try_from(moved(*end as usize)).unwrap_or(u32::MAX);
        }
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, list: List, at: usize) {
        let width = self.width(list);
        self.close(list, self.begin(list) + at * width, width);
    }

    /// Writes a record, or removes it: `value` is what is behind the key.
    pub(super) fn put(&mut self, list: List, key: u32, value: Option<&[u32]>) {
        let (at, to) = self.range(list, key);
        match value {
            Some(value) => {
                if let Some(rest) = self.slot(list, key).get_mut(1..) {
                    rest.copy_from_slice(value);
                }
            }
            None if at < to => self.remove(list, at),
            None => {}
        }
    }

    /// Makes room in sets for a place.
    pub(super) fn widen(&mut self, place: u32) {
        let needed = place as usize / 32 + 1;
        while self.head(SET_WORDS) < needed {
            let (len, old) = (self.len(List::Named), self.width(List::Named));
            for at in (1..=len).rev() {
                self.open(List::Named, HEAD + at * old, 1);
            }
            self.words_mut()[SET_WORDS] += 1;
        }
    }

    /// Bytes under a key, in a list of records of any length.
    pub(super) fn blob(&self, list: List, key: u32) -> Option<Vec<u8>> {
        let (from, len) = self.blob_at(list, key)?;
        let words = self.words().get(from + 2..from + len)?;
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        Some(bytes.take(self.head(from + 1)).collect())
    }

    fn blob_at(&self, list: List, key: u32) -> Option<(usize, usize)> {
        let (mut at, end) = (self.begin(list), self.begin(list) + self.list(list).len());
        while at + 1 < end {
            let len = 2 + self.head(at + 1).div_ceil(4);
            if self.words().get(at) == Some(&key) {
                return Some((at, len));
            }
            at += len;
        }
        None
    }

    /// Writes bytes under a key, or removes them. What was there goes to the end: the
    /// order is the one in which they were written.
    pub(super) fn put_blob(&mut self, list: List, key: u32, bytes: Option<&[u8]>) {
        if let Some((from, len)) = self.blob_at(list, key) {
            self.close(list, from, len);
        }
        let Some(bytes) = bytes else { return };
        let word = |bytes: &[u8]| {
            let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
            u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)])
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let record: Vec<u32> = [key, length].into_iter().chain(bytes.chunks(4).map(word)).collect();
        let end = self.begin(list) + self.list(list).len();
        self.open(list, end, record.len());
        self.own[end..end + record.len()].copy_from_slice(&record);
    }
}

/// The first of some records whose first word is not less than a key.
#[inline]
fn first_from(words: &[u32], width: usize, key: u32) -> usize {
    let (mut from, mut end) = (0, words.len() / width);
    while from < end {
        let middle = from.midpoint(end);
        match words.get(middle * width).is_some_and(|word| *word < key) {
            true => from = middle + 1,
            false => end = middle,
        }
    }
    from
}
