//! What the stream says of one contract in the end: events that stand before
//! its last watermark and were not taken back, read as the documentation of
//! the subjects says.

use alloy::primitives::B256;

use super::{
    super::span::{Range, covers},
    difference::{Difference, Fact, Facts, Kind, place},
};
use crate::{
    domain::{Event, EventId, Name, Rewind, Watermark},
    fold::Account,
};

/// Most events of a contract that are compared in one run.
pub(super) const EVENTS_MAX: usize = 2_000_000;

/// Reads one contract's messages, in order of their sequences.
#[derive(Debug)]
pub(super) struct Said {
    contract: Name,
    /// The blocks of which events are kept, in order.
    ranges: Vec<Range>,
    account: Account,
    facts: Facts,
    holes: Vec<Difference>,
}

/// There are too many events to compare at once.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "contract `{contract}` has more than {EVENTS_MAX} events in the span: verify it in parts, with \
     --from-block and --to-block, or a sample of it, with --sample"
)]
pub(super) struct TooMany {
    contract: Name,
}

impl Said {
    /// A reader that is told of all rewinds first, by their sequences.
    pub(super) fn new(contract: Name, ranges: Vec<Range>, rewinds: Vec<(u64, Rewind)>) -> Self {
        let account = Account::new(rewinds);
        let (facts, holes) = (Facts::new(), Vec::new());
        Self { contract, ranges, account, facts, holes }
    }

    pub(super) fn event(&mut self, sequence: u64, event: &Event) -> Result<(), TooMany> {
        let counts = self.account.event(sequence, event);
        if !counts || !covers(&self.ranges, event.block.number) {
            return Ok(());
        }
        let fact = Fact::of(event);
        let known = self.facts.entry(place(event)).or_insert(fact);
        known.contradicted |= known.digest != fact.digest;
        if self.facts.len() > EVENTS_MAX {
            return Err(TooMany { contract: self.contract.clone() });
        }
        Ok(())
    }

    pub(super) fn watermark(&mut self, sequence: u64, watermark: &Watermark) {
        match self.account.watermark(sequence, watermark) {
            Ok(false) => {}
            Ok(true) => {
                if let Watermark::Retraction { from, .. } = watermark {
                    self.facts.split_off(&(*from, 0, EventId(B256::ZERO)));
                }
            }
            Err(hole) => {
                self.holes.push(Difference {
                    kind: Kind::Hole,
                    contract: Some(self.contract.clone()),
                    block: hole.from_block,
                    transaction: None,
                    log_index: None,
                    event: None,
                    detail: match hole.found == hole.declared {
                        false => format!(
                            "of {} events that the watermark at sequence {} closes, {} are there",
                            hole.declared, hole.sequence, hole.found
                        ),
                        true => format!(
                            "the watermark at sequence {} follows another one than stands before \
                             it, or closes other events",
                            hole.sequence
                        ),
                    },
                });
                // It is told once; what follows is judged from here.
                self.account.pass_over(watermark);
            }
        }
    }

    /// The events that count, and where the stream lacks something.
    pub(super) fn finish(self) -> (Facts, Vec<Difference>) {
        (self.facts, self.holes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{
        super::difference::tests::{block, event},
        *,
    };
    use crate::domain::RewindReason;

    fn name() -> Name {
        Name::new("dao").unwrap()
    }

    fn reader(rewinds: Vec<(u64, Rewind)>) -> Said {
        Said::new(name(), vec![Range { from: 0, to: 100 }], rewinds)
    }

    fn progress(through: u64, after: Option<u64>, events: u64) -> Watermark {
        Watermark::Progress {
            chain: name(),
            chain_id: 1,
            contract: name(),
            through: block(through),
            recent: Vec::new(),
            finalized: 0,
            events: Some(events),
            digest: None,
            after: after.map(block),
        }
    }

    fn retraction(common: u64, to: u64) -> Watermark {
        Watermark::Retraction {
            chain: name(),
            chain_id: 1,
            contract: name(),
            from: common + 1,
            to,
            common: block(common),
            after: None,
        }
    }

    fn blocks(said: Said) -> (Vec<u64>, Vec<u64>) {
        let (facts, holes) = said.finish();
        let of = |at: &(u64, u64, EventId)| at.0;
        (facts.keys().map(of).collect(), holes.iter().map(|hole| hole.block).collect())
    }

    #[test]
    fn what_was_retracted_is_gone_and_what_is_repeated_counts_once() {
        let mut said = reader(Vec::new());
        said.event(1, &event(1, 0, "a")).unwrap();
        said.event(2, &event(3, 0, "a")).unwrap();
        said.watermark(3, &progress(4, None, 2));
        said.event(4, &event(1, 0, "a")).unwrap();
        said.watermark(5, &retraction(2, 4));
        said.event(6, &event(4, 1, "a")).unwrap();
        said.watermark(7, &progress(5, Some(2), 1));
        assert_eq!(blocks(said), (vec![1, 4], vec![]));
    }

    #[test]
    fn what_a_later_rewind_voids_is_passed_over_with_its_holes() {
        let rewind = Rewind {
            chain: name(),
            chain_id: 1,
            contract: name(),
            from_block: 3,
            reason: RewindReason::Lost,
            missing: 1,
        };
        let mut said = reader(vec![(5, rewind)]);
        said.event(1, &event(1, 0, "a")).unwrap();
        said.watermark(2, &progress(2, None, 1));
        said.event(3, &event(3, 0, "a")).unwrap();
        said.watermark(4, &progress(4, Some(2), 2));
        said.watermark(6, &retraction(2, 4));
        said.event(7, &event(3, 0, "a")).unwrap();
        said.event(8, &event(3, 1, "a")).unwrap();
        said.watermark(9, &progress(4, Some(2), 2));
        assert_eq!(blocks(said), (vec![1, 3, 3], vec![]));
    }

    #[test]
    fn each_hole_is_told_once_and_reading_goes_on() {
        let mut said = reader(Vec::new());
        said.watermark(2, &progress(2, None, 1));
        said.event(3, &event(3, 0, "a")).unwrap();
        said.watermark(4, &progress(4, Some(2), 1));
        said.watermark(6, &progress(6, Some(4), 3));
        said.watermark(8, &progress(8, Some(6), 0));
        assert_eq!(blocks(said), (vec![3], vec![1, 5]));
    }

    #[test]
    fn only_what_is_asked_for_is_kept_and_a_changed_repetition_is_noticed() {
        let mut said = Said::new(name(), vec![Range { from: 3, to: 4 }], Vec::new());
        for number in 1..=6 {
            said.event(number, &event(number, 0, "a")).unwrap();
        }
        said.event(7, &Event { id: event(4, 0, "a").id, ..event(4, 0, "b") }).unwrap();
        said.watermark(8, &progress(6, None, 6));
        let (facts, holes) = said.finish();
        let told: Vec<_> = facts.iter().map(|(at, fact)| (at.0, fact.contradicted)).collect();
        assert_eq!((told, holes), (vec![(3, false), (4, true)], vec![]));
    }
}
