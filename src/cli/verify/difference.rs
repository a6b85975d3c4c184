//! Where stream and chain don't agree.

use std::{collections::BTreeMap, fmt};

use alloy::primitives::{B256, keccak256};
use serde::Serialize;

use super::super::span::Range;
use crate::domain::{Event, EventId, Name};

/// Events by where they stand: block, log index, id.
pub(super) type Facts = BTreeMap<(u64, u64, EventId), Fact>;

/// What of an event is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) transaction: B256,
    /// Of all that the event says.
    pub(super) digest: B256,
    /// Told more than once, and not always alike.
    pub(super) contradicted: bool,
}

impl Fact {
    pub(super) fn of(event: &Event) -> Self {
        // Maps are ordered and keys are text: it always becomes JSON, and the
        // same for the same event.
        let said = serde_json::to_vec(event).unwrap_or_default();
        Self {
            transaction: event.origin.transaction_hash,
            digest: keccak256(said),
            contradicted: false,
        }
    }
}

/// Where an event stands among [`Facts`].
pub(super) fn place(event: &Event) -> (u64, u64, EventId) {
    (event.block.number, event.position.log_index, event.id)
}

/// Part of [`Facts`], as a range of its keys.
pub(super) fn keys(range: Range) -> std::ops::RangeInclusive<(u64, u64, EventId)> {
    let first = (range.from, 0, EventId(B256::ZERO));
    first..=(range.to, u64::MAX, EventId(B256::repeat_byte(0xff)))
}

/// In which way they don't agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// On chain, not in the stream.
    Missing,
    /// In the stream, not on chain.
    Extra,
    /// In both under one id, and not alike.
    Different,
    /// A watermark does not fit what stands before it.
    Hole,
    /// An endpoint did not answer a log that its block has.
    Withheld,
    /// An endpoint's answer is refuted by proof, or by another's.
    Lie,
    /// An achievement was unlocked for a user who had it.
    Duplicate,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Different => "different",
            Self::Hole => "hole",
            Self::Withheld => "withheld",
            Self::Lie => "lie",
            Self::Duplicate => "duplicate",
        })
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    pub(super) kind: Kind,
    /// Absent where a block's proof concerns no contract more than others.
    pub(super) contract: Option<Name>,
    pub(super) block: u64,
    pub(super) transaction: Option<B256>,
    pub(super) log_index: Option<u64>,
    pub(super) event: Option<EventId>,
    pub(super) detail: String,
}

/// Compares what both sides say of the blocks of a range.
pub(super) fn compare(
    contract: &Name,
    range: Range,
    chain: &Facts,
    stream: &Facts,
) -> Vec<Difference> {
    let difference =
        |kind, (block, log_index, id): (u64, u64, EventId), fact: &Fact, why: &str| Difference {
            kind,
            contract: Some(contract.clone()),
            block,
            transaction: Some(fact.transaction),
            log_index: Some(log_index),
            event: Some(id),
            detail: why.to_owned(),
        };
    let mut found = Vec::new();
    for (at, real) in chain.range(keys(range)) {
        let (kind, why) = match stream.get(at) {
            None => (Kind::Missing, "it is on chain and not in the stream"),
            Some(told) if told.contradicted => {
                (Kind::Different, "the stream has it more than once, and not alike")
            }
            Some(told) if told.digest != real.digest => {
                (Kind::Different, "the stream tells it otherwise than the chain")
            }
            Some(_) => continue,
        };
        found.push(difference(kind, *at, real, why));
    }
    for (at, told) in stream.range(keys(range)).filter(|(at, _)| !chain.contains_key(at)) {
        found.push(difference(Kind::Extra, *at, told, "it is in the stream and not on chain"));
    }
    found.sort_by_key(|difference| (difference.block, difference.log_index));
    found
}

/// Which achievements were unlocked for whom, as the chain tells it in order.
#[derive(Debug, Default)]
pub(super) struct Unlocked {
    held: BTreeMap<(String, String), (u64, B256)>,
    next: u64,
}

impl Unlocked {
    /// Blocks of a range follow. What happened in blocks that were passed over
    /// is not known: then nothing is.
    pub(super) fn begin(&mut self, range: Range) {
        if range.from != self.next {
            self.held.clear();
        }
        self.next = range.to.saturating_add(1);
    }

    /// Takes an event in; tells when it unlocks what is unlocked already.
    pub(super) fn see(&mut self, event: &Event) -> Option<Difference> {
        let text = |field: &str| event.fields.get(field)?.as_str().map(str::to_owned);
        let key = (text("user")?, text("id")?);
        match event.name.as_str() {
            "achievement_revoked" => {
                self.held.remove(&key);
                None
            }
            "achievement_unlocked" => {
                let this = (event.block.number, event.origin.transaction_hash);
                let (block, transaction) = self.held.insert(key.clone(), this)?;
                Some(Difference {
                    kind: Kind::Duplicate,
                    contract: Some(event.contract.clone()),
                    block: event.block.number,
                    transaction: Some(event.origin.transaction_hash),
                    log_index: Some(event.position.log_index),
                    event: Some(event.id),
                    detail: format!(
                        "achievement {} of {} was unlocked in block {block}, too ({transaction}), \
                         and not revoked between",
                        key.1, key.0
                    ),
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy::primitives::Address;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::{BlockRef, Origin, Position};

    pub(crate) fn block(number: u64) -> BlockRef {
        let hash = |number: u64| B256::left_padding_from(&number.to_be_bytes());
        let parent_hash = hash(number.wrapping_sub(1));
        BlockRef { number, hash: hash(number), parent_hash, time: number }
    }

    pub(crate) fn event(number: u64, log_index: u64, name: &str) -> Event {
        let block = block(number);
        let transaction_hash = B256::repeat_byte(7);
        let contract = Name::new("dao").unwrap();
        Event {
            id: EventId::of(1, block.hash, transaction_hash, log_index),
            origin: Origin { chain_id: 1, transaction_hash, ordinal: log_index },
            chain: Name::new("local").unwrap(),
            contract,
            address: Address::ZERO,
            name: Name::new(name).unwrap(),
            position: Position {
                time: number,
                chain_id: 1,
                block: number,
                transaction_index: 0,
                log_index,
            },
            block,
            fields: [("user", json!("0xaa")), ("id", json!("3"))].into(),
        }
    }

    fn facts<'a>(events: impl IntoIterator<Item = &'a Event>) -> Facts {
        events.into_iter().map(|event| (place(event), Fact::of(event))).collect()
    }

    const ALL: Range = Range { from: 0, to: 100 };

    fn compared(chain: &[Event], stream: &[Event]) -> Vec<(Kind, EventId)> {
        let contract = Name::new("dao").unwrap();
        compare(&contract, ALL, &facts(chain), &facts(stream))
            .into_iter()
            .map(|difference| (difference.kind, difference.event.unwrap()))
            .collect()
    }

    proptest! {
        #[test]
        fn each_event_that_differs_is_named_and_no_other(
            on_chain in prop::collection::btree_set((0_u64..20, 0_u64..3), 0..30),
            changes in prop::collection::btree_map((0_u64..20, 0_u64..3), 0_u8..3, 0..10),
        ) {
            let chain: Vec<Event> =
                on_chain.iter().map(|(block, log)| event(*block, *log, "vote_cast")).collect();
            let mut stream: BTreeMap<_, Event> =
                chain.iter().map(|event| (place(event), event.clone())).collect();
            let mut expected = Vec::new();
            for ((block, log), change) in changes {
                let made = event(block, log, "vote_cast");
                let (at, id) = (place(&made), made.id);
                match (on_chain.contains(&(block, log)), change) {
                    (true, 0) => {
                        stream.remove(&at);
                        expected.push((at, (Kind::Missing, id)));
                    }
                    (true, 1) => {
                        stream.get_mut(&at).unwrap().fields.insert("id", json!("4"));
                        expected.push((at, (Kind::Different, id)));
                    }
                    (false, 2) => {
                        stream.insert(at, made);
                        expected.push((at, (Kind::Extra, id)));
                    }
                    _ => {}
                }
            }
            let stream: Vec<Event> = stream.into_values().collect();
            let expected: Vec<_> = expected.into_iter().map(|(_, said)| said).collect();
            prop_assert_eq!(compared(&chain, &stream), expected);
        }
    }

    #[test]
    fn what_lies_outside_of_the_range_is_not_compared() {
        let contract = Name::new("dao").unwrap();
        let (chain, stream) = ([event(4, 0, "a"), event(9, 0, "a")], [event(3, 0, "a")]);
        let range = Range { from: 5, to: 8 };
        assert_eq!(compare(&contract, range, &facts(&chain), &facts(&stream)), []);
    }

    #[test]
    fn an_event_told_in_two_ways_differs_whichever_way_is_right() {
        let real = event(4, 0, "vote_cast");
        let mut stream = facts([&real]);
        stream.get_mut(&place(&real)).unwrap().contradicted = true;
        let found = compare(&Name::new("dao").unwrap(), ALL, &facts([&real]), &stream);
        assert_eq!(found.len(), 1);
        assert_eq!(found.first().unwrap().kind, Kind::Different);
    }

    #[test]
    fn an_event_read_back_from_its_message_is_the_same() {
        let real = event(4, 0, "vote_cast");
        let message = crate::actors::messages::event(&real).unwrap();
        let read: Event = crate::actors::messages::read(&message.payload).unwrap();
        assert_eq!(Fact::of(&read), Fact::of(&real));
    }

    #[test]
    fn a_second_unlock_is_a_duplicate_unless_it_was_revoked_between() {
        let mut unlocked = Unlocked::default();
        unlocked.begin(Range { from: 0, to: 9 });
        assert_eq!(unlocked.see(&event(1, 0, "achievement_unlocked")), None);
        assert_eq!(unlocked.see(&event(2, 0, "achievement_revoked")), None);
        assert_eq!(unlocked.see(&event(3, 0, "achievement_unlocked")), None);
        unlocked.begin(Range { from: 10, to: 19 });
        let found = unlocked.see(&event(12, 5, "achievement_unlocked")).unwrap();
        assert_eq!((found.kind, found.block, found.log_index), (Kind::Duplicate, 12, Some(5)));
        assert!(found.detail.contains("block 3"), "{}", found.detail);
        // Blocks were passed over: it may have been revoked there.
        unlocked.begin(Range { from: 30, to: 39 });
        assert_eq!(unlocked.see(&event(31, 0, "achievement_unlocked")), None);
    }
}
