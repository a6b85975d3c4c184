//! Which streams leave writes without an answer.
//!
//! A server that failed to write one stream's file (a full disk, an I/O error) keeps that
//! failure: it answers reads and everything else, but no write to that stream any more,
//! until it is started again (nats-server 2.15). All that a writer sees are time-outs.

use dashmap::DashMap;
use tokio::time::Instant;

/// What a stream has left without an answer since its last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// When the first of these writes was sent.
    pub since: Instant,
    /// When the last of them was.
    pub last: Instant,
    /// How many there are.
    pub writes: u32,
}

/// The streams, and the buckets, that are silent now; by their names.
#[derive(Debug, Default)]
pub(super) struct Unanswered(DashMap<String, Silence>);

impl Unanswered {
    /// It has answered: whatever it said, it is not silent.
    pub(super) fn answered(&self, stream: &str) {
        // Nearly always: no lock is taken for writing then.
        if self.0.contains_key(stream) {
            self.0.remove(stream);
        }
    }

    /// A write that was sent at `sent` has no answer.
    pub(super) fn note(&self, stream: &str, sent: Instant) {
        let fresh = Silence { since: sent, last: sent, writes: 0 };
        let mut silence = self.0.entry(stream.to_owned()).or_insert(fresh);
        silence.since = silence.since.min(sent);
        silence.last = silence.last.max(sent);
        silence.writes = silence.writes.saturating_add(1);
    }

    /// The one that is silent longest.
    pub(super) fn longest(&self) -> Option<(String, Silence)> {
        let all = self.0.iter().map(|entry| (entry.key().clone(), *entry.value()));
        all.min_by_key(|(_, silence)| silence.since)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stream_is_silent_from_its_first_write_without_an_answer_to_the_next_answer() {
        let unanswered = Unanswered::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        unanswered.note("A", later);
        unanswered.note("A", now);
        unanswered.note("B", later);
        let silence = Silence { since: now, last: later, writes: 2 };
        assert_eq!(unanswered.longest(), Some(("A".to_owned(), silence)));
        unanswered.answered("A");
        assert_eq!(unanswered.longest().unwrap().0, "B");
        unanswered.answered("B");
        assert_eq!(unanswered.longest(), None);
    }
}
