//! What an account notices, and what a rewind mends.

#![allow(clippy::unwrap_used)]

mod lost;

use alloy::primitives::B256;
use proptest::prelude::*;

use super::*;
use crate::domain::{FieldMap, Origin, Position, RewindReason};

fn name() -> Name {
    Name::new("dao").unwrap()
}

fn block(number: u64) -> BlockRef {
    let hash = |number: u64| B256::left_padding_from(&number.to_be_bytes());
    BlockRef { number, hash: hash(number), parent_hash: hash(number.wrapping_sub(1)), time: number }
}

#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)]
enum Said {
    Event(Box<Event>),
    Watermark(Box<Watermark>),
}

fn event(number: u64, log_index: u64) -> Said {
    event_of(block(number), log_index)
}

fn event_of(block: BlockRef, log_index: u64) -> Said {
    let number = block.number;
    Said::Event(Box::new(Event {
        id: EventId::of(1, block.hash, B256::ZERO, log_index),
        origin: Origin { chain_id: 1, transaction_hash: B256::ZERO, ordinal: log_index },
        chain: name(),
        contract: name(),
        address: alloy::primitives::Address::ZERO,
        name: name(),
        position: Position {
            time: number,
            chain_id: 1,
            block: number,
            transaction_index: 0,
            log_index,
        },
        block,
        fields: FieldMap::new(),
    }))
}

fn progress(through: u64, after: Option<u64>, events: u64) -> Said {
    Said::Watermark(Box::new(Watermark::Progress {
        chain: name(),
        chain_id: 1,
        contract: name(),
        through: block(through),
        recent: Vec::new(),
        finalized: through.saturating_sub(2),
        events: Some(events),
        digest: None,
        after: after.map(block),
    }))
}

fn retraction(common: u64, to: u64) -> Said {
    Said::Watermark(Box::new(Watermark::Retraction {
        chain: name(),
        chain_id: 1,
        contract: name(),
        from: common + 1,
        to,
        common: block(common),
        after: Some(block(to)),
    }))
}

/// What comes with a rewind: what it follows is void.
fn rewound(from_block: u64, to: u64) -> Said {
    let mut said = retraction(from_block - 1, to);
    if let Said::Watermark(watermark) = &mut said
        && let Watermark::Retraction { after, .. } = &mut **watermark
    {
        *after = None;
    }
    said
}

fn rewind(from_block: u64) -> Rewind {
    Rewind {
        chain: name(),
        chain_id: 1,
        contract: name(),
        from_block,
        reason: RewindReason::Lost,
        missing: 1,
    }
}

/// A stream of `blocks` blocks, two events in every third, a watermark
/// each second block.
fn stream(blocks: u64) -> Vec<Said> {
    let (mut said, mut after, mut events) = (Vec::new(), None, Vec::new());
    for number in 1..=blocks {
        if number % 3 == 0 {
            events.extend([event(number, 0), event(number, 1)]);
        }
        if number % 2 == 0 {
            let closing = closing(number, after, &events);
            said.append(&mut events);
            said.push(closing);
            after = Some(number);
        }
    }
    said.append(&mut events);
    said
}

/// A watermark that closes these.
fn closing(through: u64, after: Option<u64>, closed: &[Said]) -> Said {
    let mut said = progress(through, after, closed.len() as u64);
    if let Said::Watermark(watermark) = &mut said
        && let Watermark::Progress { digest, .. } = &mut **watermark
    {
        *digest = Some(closed.iter().map(id_of).collect::<EventSum>().digest);
    }
    said
}

fn id_of(said: &Said) -> EventId {
    match said {
        Said::Event(event) => event.id,
        Said::Watermark(_) => unreachable!(),
    }
}

/// Reads messages by their sequences. Gives the blocks of events that
/// count, up to the last watermark.
fn read(account: &mut Account, said: &[(u64, Said)]) -> Result<Vec<u64>, Hole> {
    let (mut pending, mut complete) = (Vec::new(), Vec::new());
    for (sequence, said) in said {
        match said {
            Said::Event(event) if account.event(*sequence, event) => {
                pending.push(event.block.number);
            }
            Said::Watermark(watermark) if account.watermark(*sequence, watermark)? => {
                let through = watermark.complete_through().number;
                complete.retain(|block| *block <= through);
                complete.extend(pending.drain(..).filter(|block| *block <= through));
            }
            _ => {}
        }
    }
    Ok(complete)
}

fn numbered(said: Vec<Said>) -> Vec<(u64, Said)> {
    (1..).zip(said).collect()
}

/// Block 4 is orphaned, and neither its retraction nor its successor's watermark is there.
#[test]
fn where_a_retraction_may_be_lost_all_that_was_not_final_is_in_doubt() {
    let mut said = stream(6);
    for said in &mut said {
        if let Said::Watermark(watermark) = said
            && let Watermark::Progress { finalized, through, .. } = &mut **watermark
        {
            *finalized = through.number.saturating_sub(3);
        }
    }
    said.push(progress(10, Some(8), 0));
    let mut account = Account::default();
    let hole = read(&mut account, &numbered(said)).unwrap_err();
    assert_eq!(hole.from_block, 4);
    // Of events alone nobody doubts what was complete before.
    let counts = account.counts();
    let hole = read(&mut Account::resumed(vec![], &counts), &[(9, progress(8, Some(6), 1))]);
    assert_eq!(hole.unwrap_err().from_block, 7);
    let hole = read(&mut Account::resumed(vec![], &counts), &[(9, progress(10, Some(8), 0))]);
    assert_eq!(hole.unwrap_err().from_block, 4);
}

#[test]
fn a_whole_stream_has_no_hole_and_repeated_events_count_once() {
    let mut said = stream(12);
    said.insert(1, said[1].clone());
    assert_eq!(
        read(&mut Account::default(), &numbered(said)),
        Ok(vec![3, 3, 3, 6, 6, 9, 9, 12, 12])
    );
}

/// What a rewind has to void: a hole that was orphaned since stands before a lower one.
#[test]
fn a_later_hole_may_be_lower_than_the_first_and_a_rewind_to_the_lowest_leaves_none() {
    let mut said = stream(12);
    said.push(retraction(2, 12));
    said.extend([event(3, 0), event(3, 1), progress(4, Some(2), 2)]);
    let of_block_9 = [event(9, 0), event(9, 1)];
    let lost_watermark =
        said.iter().rposition(|it| *it == closing(10, Some(8), &of_block_9)).unwrap();
    let mut said = numbered(said);
    // The second event of block 3, as it was said after the retraction.
    said.remove(said.len() - 2);
    said.remove(lost_watermark);

    let mut account = Account::default();
    let mut holes = Vec::new();
    for (sequence, said) in &said {
        match said {
            Said::Event(event) => drop(account.event(*sequence, event)),
            Said::Watermark(watermark) => {
                if let Err(hole) = account.watermark(*sequence, watermark) {
                    holes.push(hole.from_block);
                    account.pass_over(watermark);
                }
            }
        }
    }
    assert_eq!(holes, [7, 3]);

    let end = said.last().unwrap().0;
    let again = [rewound(3, 4), event(3, 0), event(3, 1), progress(4, Some(2), 2)];
    said.extend((end + 1..).zip(again));
    let rewound = |from_block| {
        let mut account = Account::new(vec![(end + 1, rewind(from_block))]);
        read(&mut account, &said)
    };
    assert!(rewound(9).is_err(), "the first hole alone does not do");
    assert_eq!(rewound(3), Ok(vec![3, 3]));
}

#[test]
fn replayed_events_are_no_hole_and_hide_none() {
    let whole = stream(12);
    let at = whole.iter().rposition(|said| matches!(said, Said::Event(_))).unwrap();
    let replayed = [event(3, 0), event(3, 1), event(6, 0), event(6, 1)];
    let mut said = whole.clone();
    said.splice(at..at, replayed);
    assert_eq!(
        read(&mut Account::default(), &numbered(said.clone())),
        // As a reader that goes by what is said; folds know them by position.
        Ok(vec![3, 3, 6, 6, 9, 9, 12, 3, 3, 6, 6, 12])
    );
    let lost = said.iter().rposition(|said| matches!(said, Said::Event(_))).unwrap();
    said.remove(lost);
    let hole = read(&mut Account::default(), &numbered(said)).unwrap_err();
    assert_eq!((hole.declared, hole.found), (2, 1));
}

#[test]
fn a_lost_retraction_is_noticed_by_what_follows_it() {
    let said = vec![progress(4, None, 0), retraction(2, 4), progress(6, Some(2), 0)];
    assert_eq!(read(&mut Account::default(), &numbered(said.clone())), Ok(vec![]));
    let lost = vec![(1, said[0].clone()), (3, said[2].clone())];
    let hole = read(&mut Account::default(), &lost).unwrap_err();
    assert_eq!(hole.from_block, 3);
}

#[test]
fn an_account_that_goes_on_remembers_what_it_counted() {
    let said = numbered(vec![event(1, 0), event(1, 1), progress(2, None, 2)]);
    let mut first = Account::default();
    read(&mut first, &said[..1]).unwrap();
    let mut forgetful = Account::resumed(Vec::new(), &Counts::new());
    assert!(read(&mut forgetful, &said[1..]).is_err());
    let mut second = Account::resumed(Vec::new(), &first.counts());
    assert!(read(&mut second, &said[1..]).is_ok());
    let open = second.counts().values().map(|count| count.open.len()).sum::<usize>();
    assert_eq!(open, 0);
}

/// A block too large for one batch was cut by a crash: what was told of it is told again,
/// by a reader that was started again meanwhile, too.
#[test]
fn an_account_that_goes_on_counts_repeated_events_once() {
    let events: Vec<Said> = (0..3000).map(|index| event(1, index)).collect();
    let mut account = Account::default();
    read(&mut account, &numbered(events[..900].to_vec())).unwrap();
    let counts: Counts =
        serde_json::from_value(serde_json::to_value(account.counts()).unwrap()).unwrap();
    let mut again = events.clone();
    again.push(closing(1, None, &events));
    let again: Vec<_> = (901..).zip(again).collect();
    let read_again = |account: &mut Account, said: &[(u64, Said)]| read(account, said).err();
    assert_eq!(read_again(&mut Account::resumed(vec![], &counts), &again), None);
    // Of a single block more are told than are remembered one by one.
    let (told, rest) = again.split_at(2500);
    let mut account = Account::resumed(vec![], &counts);
    assert_eq!(read_again(&mut account, told), None);
    let counts = account.counts();
    let dao = &counts[&name()];
    let kept: usize = dao.open.iter().map(|block| block.ids.len() / 32).sum();
    assert_eq!((kept, dao.nameless), (IDS_MAX, 2500 - IDS_MAX as u64));
    assert_eq!(read_again(&mut Account::resumed(vec![], &counts), rest), None);
    let hole = read_again(&mut Account::resumed(vec![], &counts), &rest[1..]).unwrap();
    assert_eq!((hole.found, hole.declared), (2999, 3000));
    // All of them once more: nobody knows which of them are among those.
    assert_eq!(read_again(&mut Account::resumed(vec![], &counts), &again), None);
    // As older versions saved it.
    let old = serde_json::json!({ "dao": {
        "events": 2, "through": null,
        "blocks": [{ "number": 1, "hash": B256::ZERO, "events": 2 }],
    } });
    let old: Counts = serde_json::from_value(old).unwrap();
    let closing = closing(1, None, &events[..3]);
    let said = |events: &[Said]| numbered([events, std::slice::from_ref(&closing)].concat());
    let read_on = |events| read_again(&mut Account::resumed(vec![], &old), &said(events));
    assert_eq!(read_on(&events[2..3]), None);
    assert_eq!(read_on(&events[..3]), None, "repeated");
    assert!(read_on(&[]).is_some());
}

/// As many events as are declared, but others.
#[test]
fn an_event_that_no_watermark_closes_stands_in_for_no_other() {
    let said = [event(1, 0), event(1, 1), event(1, 2)];
    let closing = closing(1, None, &said[1..]);
    let of = |events: &[usize]| {
        let events = events.iter().map(|index| said[*index].clone());
        let said = numbered(events.chain([closing.clone()]).collect());
        let hole = read(&mut Account::default(), &said).err();
        hole.map(|hole| (hole.from_block, hole.found, hole.declared))
    };
    assert_eq!(of(&[2, 1, 2]), None);
    assert_eq!(of(&[0, 1]), Some((1, 2, 2)));
    assert_eq!(of(&[0, 1, 2]), Some((1, 3, 2)));
    assert_eq!(of(&[]), Some((1, 0, 2)));
}

#[test]
fn what_an_older_version_wrote_is_not_called_a_hole() {
    let through = block(2);
    let old: Watermark = serde_json::from_value(serde_json::json!({
        "kind": "progress", "chain": "dao", "chain_id": 1, "contract": "dao",
        "through": through, "recent": [], "finalized": 0
    }))
    .unwrap();
    assert_eq!(Account::default().watermark(1, &old), Ok(true));
    // Before it said which events it closes.
    let closed =
        |events| read(&mut Account::default(), &[(1, event(1, 0)), (2, progress(1, None, events))]);
    assert_eq!(closed(1), Ok(vec![1]));
    assert_eq!(closed(2).map_err(|hole| hole.from_block), Err(1));
}

proptest! {
    /// Whatever one message the broker loses, a reader either notices, or
    /// has all events all the same; and once the contract rewound to where
    /// the reader noticed, a reader that begins anew has everything once.
    #[test]
    fn a_lost_message_is_noticed_or_harmless_and_a_rewind_mends_it(
        blocks in 4_u64..40,
        lost in any::<prop::sample::Index>(),
    ) {
        let whole = numbered(stream(blocks));
        let expected = read(&mut Account::default(), &whole).unwrap();
        let mut holed = whole.clone();
        holed.remove(lost.index(whole.len() - 1));
        match read(&mut Account::default(), &holed) {
            Ok(found) => prop_assert_eq!(found, expected),
            Err(hole) => {
                let at = whole.len() as u64 + 1;
                let mut mended = holed;
                let common = hole.from_block - 1;
                mended.push((at + 1, rewound(hole.from_block, blocks)));
                let again = whole.iter().filter_map(|(_, said)| match said {
                    Said::Event(event) => {
                        (event.block.number > common).then(|| said.clone())
                    }
                    Said::Watermark(said) => {
                        let Watermark::Progress { through, .. } = **said else {
                            return None;
                        };
                        let after = (through.number > common + 2 || common == 0)
                            .then(|| through.number.saturating_sub(2))
                            .filter(|after| *after > 0)
                            .or((common > 0).then_some(common));
                        let mut again = said.clone();
                        if let Watermark::Progress { after: it, .. } = &mut *again {
                            *it = after.map(block);
                        }
                        (through.number > common).then(|| Said::Watermark(again))
                    }
                });
                mended.extend((at + 2..).zip(again));
                let mut account = Account::new(vec![(at, rewind(hole.from_block))]);
                prop_assert_eq!(read(&mut account, &mended), Ok(expected));
            }
        }
    }
}
