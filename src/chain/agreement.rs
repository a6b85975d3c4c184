//! What a chain's endpoints agree on: which hash a height has, how high the
//! head is that most of them have, and who may say.
//!
//! One endpoint's fork or lag is no reorg. A new head is believed from
//! whoever has it first; that a known block is another is believed only when
//! most of those that can say so do, and never from one alone while a second
//! one is there. An endpoint counts as there until it has been silent, or
//! behind, for longer than [`Trust::patience`]; one that is quarantined for a
//! proven lie does not count. Pure: time is an input.

use std::{collections::VecDeque, time::Duration};

use alloy::primitives::B256;

use super::headers::HeaderWindow;
use crate::domain::BlockRef;

/// How much is believed of a single endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Blocks by which the believed head may be ahead of what most endpoints
    /// have: with as many confirmations, only what most have is published.
    pub ahead_max: u64,
    /// After so long without an answer, or behind the head, an endpoint does
    /// not count.
    pub patience: Duration,
}

impl Default for Trust {
    /// One block, half a minute.
    fn default() -> Self {
        Self { ahead_max: 1, patience: Duration::from_secs(30) }
    }
}

/// What one endpoint says of a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// The block there has this hash.
    Says(B256),
    /// It has no block there (yet).
    Lags,
    /// No usable answer.
    Silent,
}

/// What follows from all voices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Most of those that can say give this hash.
    Agreed(B256),
    /// Too few, or they differ: nobody is believed.
    Open,
}

/// Blocks for which an outvoted endpoint is not followed.
const SITS_OUT_BLOCKS: u64 = 8;

#[derive(Clone, Debug, Default)]
struct Member {
    /// Its head, as it said last.
    heard: Option<BlockRef>,
    /// Since when it has not answered.
    silent_since: Option<Duration>,
    /// Since when it lacks a block that others have, and that block's height.
    lags_since: Option<(Duration, u64)>,
    /// It was outvoted: not followed before the head is here.
    sits_out_until: Option<u64>,
    /// It is quarantined.
    barred: bool,
}

/// What is remembered of the endpoints, by their place in the configuration.
#[derive(Clone, Debug)]
pub struct Agreement {
    members: Vec<Member>,
    trust: Trust,
    /// Our head over time, oldest first: whoever is below where it was
    /// `patience` ago is behind.
    marks: VecDeque<(Duration, u64)>,
}

impl Agreement {
    /// Of so many endpoints, none of which has been asked.
    #[must_use]
    pub fn new(endpoints: usize, trust: Trust) -> Self {
        Self { members: vec![Member::default(); endpoints], trust, marks: VecDeque::new() }
    }

    /// How many endpoints there are.
    #[must_use]
    pub fn endpoints(&self) -> usize {
        self.members.len()
    }

    /// An endpoint named its head.
    pub fn heard(&mut self, endpoint: usize, head: BlockRef) {
        if let Some(member) = self.members.get_mut(endpoint) {
            member.heard = Some(head);
            member.silent_since = None;
            member.lags_since = member.lags_since.filter(|(_, number)| *number > head.number);
        }
    }

    /// An endpoint gave no head.
    pub fn missed(&mut self, endpoint: usize, now: Duration) {
        if let Some(member) = self.members.get_mut(endpoint) {
            member.silent_since.get_or_insert(now);
        }
    }

    /// An endpoint is quarantined, or is no longer.
    pub fn bar(&mut self, endpoint: usize, barred: bool) {
        if let Some(member) = self.members.get_mut(endpoint) {
            member.barred = barred;
        }
    }

    /// Our head is at this height now.
    pub fn mark(&mut self, head: u64, now: Duration) {
        // Sparse marks are enough to tell how high it was `patience` ago.
        let apart = self.trust.patience / 16;
        if self.marks.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= apart) {
            self.marks.push_back((now, head));
        }
        while self.marks.get(1).is_some_and(|(at, _)| self.is_long(*at, now)) {
            self.marks.pop_front();
        }
    }

    /// Whether an endpoint has been silent or behind for so long that the
    /// others decide without it. One that never answered is not waited for,
    /// nor one that is quarantined.
    #[must_use]
    pub fn is_absent(&self, endpoint: usize, now: Duration) -> bool {
        let Some(Member { heard: Some(heard), silent_since, lags_since, barred: false, .. }) =
            self.members.get(endpoint)
        else {
            return true;
        };
        let silent = silent_since.is_some_and(|since| self.is_long(since, now));
        let lags = lags_since.is_some_and(|(since, _)| self.is_long(since, now));
        let mark = self.marks.front().filter(|(at, _)| self.is_long(*at, now));
        silent || lags || mark.is_some_and(|(_, head)| heard.number < *head)
    }

    /// Judges what every endpoint says of the block `number`, in the order of
    /// the configuration.
    pub fn judge(&mut self, number: u64, voices: &[Voice], now: Duration) -> Verdict {
        for (member, voice) in self.members.iter_mut().zip(voices) {
            member.lags_since = match voice {
                Voice::Lags => member.lags_since.or(Some((now, number))),
                Voice::Says(_) => None,
                Voice::Silent => member.lags_since,
            };
        }
        let present = voices
            .iter()
            .enumerate()
            .filter(|(endpoint, voice)| voice.hash().is_some() || !self.is_absent(*endpoint, now))
            .count();
        let cast: Vec<B256> = voices.iter().filter_map(Voice::hash).collect();
        let count = |hash: &B256| cast.iter().filter(|other| *other == hash).count();
        let first = cast.iter().max_by_key(|hash| count(hash));
        match first.filter(|hash| count(hash) * 2 > cast.len() && count(hash) >= present.min(2)) {
            Some(hash) => Verdict::Agreed(*hash),
            None => Verdict::Open,
        }
    }

    /// An endpoint was outvoted about a height: it is not followed for some
    /// blocks.
    pub fn outvoted(&mut self, endpoint: usize, number: u64) {
        if let Some(member) = self.members.get_mut(endpoint) {
            member.sits_out_until = Some(number.saturating_add(SITS_OUT_BLOCKS));
        }
    }

    /// Whether an endpoint is not to be followed, our head being at `head`.
    #[must_use]
    pub fn sits_out(&self, endpoint: usize, head: u64) -> bool {
        let until = self.members.get(endpoint).and_then(|member| member.sits_out_until);
        until.is_some_and(|until| head < until)
    }

    /// What an endpoint said last of its head.
    #[must_use]
    pub fn head_of(&self, endpoint: usize) -> Option<&BlockRef> {
        self.members.get(endpoint)?.heard.as_ref()
    }

    /// Up to which height most endpoints have the blocks of the window; none
    /// while too few can say. All of the window is the `lead`'s, unless its
    /// head is lower.
    #[must_use]
    pub fn agreed(&self, window: &HeaderWindow, lead: Option<usize>, now: Duration) -> Option<u64> {
        let head = window.head()?.number;
        let reached: Vec<Option<u64>> = self
            .members
            .iter()
            .enumerate()
            .map(|(endpoint, member)| {
                let theirs = member.heard.as_ref()?;
                if lead == Some(endpoint) && theirs.number >= head {
                    return Some(head);
                }
                let known = window.at(theirs.number);
                let below = window.oldest().is_some_and(|oldest| theirs.number < oldest.number);
                let next = window.head().is_some_and(|head| {
                    theirs.number == head.number + 1 && theirs.parent_hash == head.hash
                });
                let ours = below || next || known.is_some_and(|known| known.hash == theirs.hash);
                ours.then_some(theirs.number.min(head))
            })
            .collect();
        self.reached_by_most(&reached, now)
    }

    /// The highest number that most endpoints have reached: one alone raises
    /// it only where there is no other. `None` of an endpoint is none reached.
    #[must_use]
    pub fn reached_by_most(&self, reached: &[Option<u64>], now: Duration) -> Option<u64> {
        let mut present: Vec<Option<u64>> = reached
            .iter()
            .enumerate()
            .filter(|(endpoint, _)| !self.is_absent(*endpoint, now))
            .map(|(_, reached)| *reached)
            .collect();
        present.sort_unstable_by(|a, b| b.cmp(a));
        // The last one of a majority.
        present.get(present.len() / 2).copied().flatten()
    }

    fn is_long(&self, since: Duration, now: Duration) -> bool {
        now.saturating_sub(since) >= self.trust.patience
    }
}

impl Voice {
    /// The hash that it gives.
    #[must_use]
    pub fn hash(&self) -> Option<B256> {
        match self {
            Self::Says(hash) => Some(*hash),
            Self::Lags | Self::Silent => None,
        }
    }
}

#[cfg(test)]
mod tests;
