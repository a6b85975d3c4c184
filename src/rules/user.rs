//! One user's meters, requests and deadlines.

use smallvec::SmallVec;

use super::{
    memory::place as key,
    number::Number,
    packed::{List, Lists, Packed},
    records::{
        Entry, Times, blob, entry, entry_words, long, number, number_words, of_blob, set_long,
        words,
    },
    sequence::Progress,
    streak::Streak,
};

/// What is known of a user, in lists by places of meters and achievements:
///
/// - logs that meters name, in order, each with the set of those meters;
/// - how many logs a meter has counted, and how many of them are named (not of
///   rolling windows);
/// - a meter's sum, maximum or minimum;
/// - block time of the first log of a meter that begins another's window;
/// - a meter's streak, or how far its sequence has come;
/// - what is in its rolling window, the oldest first, without and with numbers;
/// - the log by which an achievement was requested; how often it was, and in which
///   day, week or month last, of those that can be earned again;
/// - the day, week or month that a meter counts;
/// - until when an achievement waits.
///
/// Times are in seconds since the Unix epoch.
#[derive(Clone, Debug, Default)]
pub(super) struct User(Packed);

impl User {
    /// As it is remembered.
    pub(super) fn of(lists: &Lists) -> Self {
        Self(Packed::of(lists))
    }

    /// To be remembered.
    pub(super) fn into_lists(self) -> Lists {
        self.0.into_lists()
    }

    /// How many logs a meter has counted.
    pub(super) fn counted(&self, place: usize) -> u64 {
        self.0.find(List::Meters, key(place)).map_or(0, |record| long(record, 1))
    }

    /// The sum, maximum or minimum that a meter has made.
    pub(super) fn number(&self, place: usize) -> Option<Number> {
        self.0.find(List::Numbers, key(place)).map(|record| number(record, 1))
    }

    pub(super) fn set_number(&mut self, place: usize, number: Number) {
        self.0.put(List::Numbers, key(place), Some(&number_words(number)));
    }

    /// Block time of a meter's first log, if it begins another's window.
    pub(super) fn first(&self, place: usize) -> Option<u64> {
        self.0.find(List::Firsts, key(place)).map(|record| long(record, 1))
    }

    pub(super) fn set_first(&mut self, place: usize, time: u64) {
        self.0.put(List::Firsts, key(place), Some(&words(time)));
    }

    /// What is in a meter's rolling window.
    pub(super) fn rolling(
        &self,
        place: usize,
    ) -> impl DoubleEndedIterator<Item = Entry> + ExactSizeIterator + Clone {
        // A meter has numbers of all or of none.
        let (plain, amounts) =
            (self.0.under(List::Rolling, key(place)), self.0.under(List::Amounts, key(place)));
        let records = if plain.len() > 0 { plain } else { amounts };
        records.map(entry)
    }

    /// Puts an entry into a meter's rolling window, and takes out those of `goes`, and
    /// the oldest beyond `most`. The logs of those.
    pub(super) fn roll(
        &mut self,
        place: usize,
        new: &Entry,
        most: usize,
        goes: impl Fn(&Entry) -> bool,
    ) -> SmallVec<[u32; 8]> {
        let list = if new.number.is_some() { List::Amounts } else { List::Rolling };
        let (from, mut to) = self.0.range(list, key(place));
        let mut dropped = SmallVec::new();
        let gone: SmallVec<[usize; 8]> = self
            .0
            .under(list, key(place))
            .map(entry)
            .enumerate()
            .filter(|(_, old)| goes(old))
            .map(|(at, old)| {
                dropped.push(old.log);
                from + at
            })
            .collect();
        for at in gone.into_iter().rev() {
            self.0.remove(list, at);
            to -= 1;
        }
        self.0.insert(list, to, &entry_words(key(place), new));
        let more = (to + 1 - from).saturating_sub(most);
        for _ in 0..more {
            dropped.extend(self.0.under(list, key(place)).next().map(|oldest| entry(oldest).log));
            self.0.remove(list, from);
        }
        dropped
    }

    /// Notes a turn of a meter's streak. Whether it was not noted before.
    pub(super) fn note_turn(&mut self, place: usize, turn: u64, grace: u64) -> bool {
        let mut streak = self.streak(place).unwrap_or_default();
        let Some(length) = streak.note(turn, grace) else { return false };
        self.0.put_blob(List::Streaks, key(place), blob(&streak).as_deref());
        // The log that counts now is not counted yet.
        let reading = self.0.slot(List::Meters, key(place));
        let before = length.saturating_sub(1);
        set_long(reading, 1, before);
        let more = u64::from(reading[3]).saturating_sub(before);
        reading[3] -= u32::try_from(more).unwrap_or_default();
        for _ in 0..more {
            self.name_oldest_no_more(place);
        }
        true
    }

    /// A meter's streak.
    pub(super) fn streak(&self, place: usize) -> Option<Streak> {
        of_blob(&self.0.blob(List::Streaks, key(place))?)
    }

    /// How far a meter's sequence has come.
    pub(super) fn progress(&self, place: usize) -> Option<Progress> {
        of_blob(&self.0.blob(List::Sequences, key(place))?)
    }

    pub(super) fn set_progress(&mut self, place: usize, progress: &Progress) {
        self.0.put_blob(List::Sequences, key(place), blob(progress).as_deref());
    }

    /// The number that the next log gets.
    pub(super) fn next_number(&self) -> u32 {
        self.0.counter().saturating_add(1)
    }

    /// A number for a log.
    pub(super) fn next_log(&mut self) -> u32 {
        let number = self.next_number();
        self.0.set_counter(number);
        number
    }

    /// Has a meter count a log, and name at most the latest so many of them.
    /// Whether one is named no more.
    pub(super) fn count(&mut self, place: usize, log: u32, most: usize) -> bool {
        let reading = self.0.slot(List::Meters, key(place));
        let counted = long(reading, 1).saturating_add(1);
        set_long(reading, 1, counted);
        let is_full = reading[3] as usize >= most;
        if is_full {
            self.name_oldest_no_more(place);
        } else {
            reading[3] += 1;
        }
        self.refer(place, log);
        is_full
    }

    /// Has a meter name a log: the latest that is named, or a later one.
    pub(super) fn refer(&mut self, place: usize, log: u32) {
        self.0.widen(key(place));
        let named = self.0.last_slot(List::Named, log);
        named[1 + place / 32] |= 1 << (place % 32);
    }

    /// Has a meter name a log no more.
    pub(super) fn refer_no_more(&mut self, place: usize, log: u32) {
        let (at, to) = self.0.range(List::Named, log);
        if at < to {
            unname(self.0.record_mut(List::Named, at), place);
        }
    }

    fn name_oldest_no_more(&mut self, place: usize) {
        let at = self.0.records(List::Named).position(|named| names(named, place));
        if let Some(at) = at {
            unname(self.0.record_mut(List::Named, at), place);
        }
    }

    /// The logs that a meter names, in order.
    pub(super) fn named(&self, place: usize) -> impl DoubleEndedIterator<Item = u32> {
        let named = self.0.records(List::Named);
        named.filter(move |named| names(named, place)).map(|named| named[0])
    }

    /// Forgets the logs that no meter names any more. Those that nothing else
    /// names, either.
    pub(super) fn take_unnamed(&mut self) -> SmallVec<[u32; 8]> {
        let named = self.0.records(List::Named).enumerate();
        let is_gone = |named: &[u32]| named.iter().skip(1).all(|word| *word == 0);
        let gone = named.filter(|(_, named)| is_gone(named)).map(|(at, named)| (at, named[0]));
        let gone: SmallVec<[(usize, u32); 8]> = gone.collect();
        for (at, _) in gone.iter().rev() {
            self.0.remove(List::Named, *at);
        }
        gone.into_iter().map(|(_, log)| log).filter(|log| !self.is_requested_by(*log)).collect()
    }

    fn is_requested_by(&self, log: u32) -> bool {
        self.0.records(List::Requested).any(|requested| requested[1] == log)
    }

    pub(super) fn requested(&self, achievement: usize) -> Option<u32> {
        self.0.find(List::Requested, key(achievement)).map(|record| record[1])
    }

    pub(super) fn set_requested(&mut self, achievement: usize, log: Option<u32>) {
        let log = log.map(|log| [log]);
        self.0.put(List::Requested, key(achievement), log.as_ref().map(<[u32; 1]>::as_slice));
    }

    /// How often an achievement was requested that can be earned again.
    pub(super) fn times(&self, achievement: usize) -> Times {
        let times = |record: &[u32]| Times { count: long(record, 1), period: long(record, 3) };
        self.0.find(List::Times, key(achievement)).map(times).unwrap_or_default()
    }

    pub(super) fn set_times(&mut self, achievement: usize, times: Times) {
        let ([a, b], [c, d]) = (words(times.count), words(times.period));
        self.0.put(List::Times, key(achievement), Some(&[a, b, c, d]));
    }

    /// The day, week or month that a meter has counted last.
    pub(super) fn period(&self, place: usize) -> Option<u64> {
        self.0.find(List::Periods, key(place)).map(|record| long(record, 1))
    }

    /// Has a meter count from nothing on, in a period.
    pub(super) fn begin_period(&mut self, place: usize, period: u64) {
        self.0.put(List::Periods, key(place), Some(&words(period)));
        self.0.put(List::Meters, key(place), None);
        self.0.put(List::Numbers, key(place), None);
        self.0.put_blob(List::Sequences, key(place), None);
        for at in 0..self.0.len(List::Named) {
            unname(self.0.record_mut(List::Named, at), place);
        }
    }

    /// Whether anything needs a log.
    pub(super) fn needs(&self, log: u32) -> bool {
        self.0.find(List::Named, log).is_some() || self.is_requested_by(log)
    }

    pub(super) fn waits(&self, achievement: usize) -> Option<u64> {
        self.0.find(List::Waits, key(achievement)).map(|record| long(record, 1))
    }

    pub(super) fn set_waits(&mut self, achievement: usize, until: Option<u64>) {
        let until = until.map(words);
        self.0.put(List::Waits, key(achievement), until.as_ref().map(<[u32; 2]>::as_slice));
    }
}

fn names(named: &[u32], place: usize) -> bool {
    named.get(1 + place / 32).is_some_and(|word| word & (1 << (place % 32)) != 0)
}

fn unname(named: &mut [u32], place: usize) {
    if let Some(word) = named.get_mut(1 + place / 32) {
        *word &= !(1 << (place % 32));
    }
}
