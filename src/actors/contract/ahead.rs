//! What was read and waits to be published: cut into batches that are full
//! where there is enough, and end where a block does.

use std::collections::VecDeque;

use alloy::primitives::Address;

use crate::{
    domain::{BlockRef, EventId, EventSum},
    streams::{batch::BATCH_MAX, publish::OutMessage},
};

/// Events of one batch; its watermark is the one more.
pub(super) const EVENTS_MAX: usize = BATCH_MAX - 1;
/// Bytes of one batch's events, unless a single one has more.
pub(super) const BATCH_BYTES: usize = 4 << 20;

/// Messages of blocks that follow each other, and where the blocks end.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    next: u64,
    messages: VecDeque<(EventId, OutMessage)>,
    bytes: usize,
    /// Messages that have left.
    gone: u64,
    /// Those of them that no batch has closed.
    open: EventSum,
    ends: VecDeque<End>,
    births: VecDeque<Birth>,
}

/// An event in what was read says that a contract was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Birth {
    /// Of which of the contract's censuses.
    pub(super) census: usize,
    pub(super) block: u64,
    pub(super) child: Address,
}

/// Up to here a block is complete.
#[derive(Clone, Copy, Debug)]
struct End {
    /// Messages before it, those that have left included.
    after: u64,
    block: BlockRef,
    /// It may still be orphaned.
    recent: bool,
}

/// What is published as one.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<OutMessage>,
    /// These events, and those of the batches before it that were in the middle of a block.
    pub(super) closed: EventSum,
    /// The last block that is complete with it; none while it is in the middle
    /// of one that is too large.
    pub(super) through: Option<BlockRef>,
    /// The blocks that it completes and that may still be orphaned.
    pub(super) recent: Vec<BlockRef>,
    /// What is created in the blocks that it completes.
    pub(super) births: Vec<Birth>,
}

impl Ahead {
    /// Empty; what comes next is block `next`.
    pub(super) fn at(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    /// The first block that was not read.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.ends.is_empty()
    }

    /// There is a whole batch.
    pub(super) fn is_full(&self) -> bool {
        self.messages.len() >= EVENTS_MAX || self.bytes >= BATCH_BYTES
    }

    /// An event of the block that comes next.
    pub(super) fn push(&mut self, id: EventId, message: OutMessage) {
        self.bytes += message.payload.len();
        self.messages.push_back((id, message));
    }

    /// The block that comes next creates a contract.
    pub(super) fn born(&mut self, birth: Birth) {
        self.births.push_back(birth);
    }

    /// All messages up to and with `block` are in.
    pub(super) fn complete(&mut self, block: BlockRef, recent: bool) {
        self.next = block.number + 1;
        let after = self.gone + self.messages.len() as u64;
        // Of final blocks without messages between them the last says it all.
        if let Some(last) = self.ends.back_mut()
            && last.after == after
            && !last.recent
        {
            *last = End { after, block, recent };
            return;
        }
        self.ends.push_back(End { after, block, recent });
    }

    /// The next batch: as many whole blocks as fit, or a part of one that
    /// doesn't.
    pub(super) fn take(&mut self) -> Option<Batch> {
        if self.is_empty() {
            return None;
        }
        let (mut fits, mut bytes) = (0, 0);
        for (_, message) in self.messages.iter().take(EVENTS_MAX) {
            bytes += message.payload.len();
            if bytes > BATCH_BYTES && fits > 0 {
                break;
            }
            fits += 1;
        }
        let most = self.gone + fits as u64;
        let ends = self.ends.iter().take_while(|end| end.after <= most).count();
        let ended: Vec<End> = self.ends.drain(..ends).collect();
        let last = ended.last().map(|end| end.after - self.gone);
        let count = last.map_or(fits, |count| usize::try_from(count).unwrap_or(fits));
        let (ids, events): (Vec<_>, Vec<_>) = self.messages.drain(..count).unzip();
        self.gone += count as u64;
        ids.into_iter().for_each(|id| self.open.add(id));
        let through = ended.last().map(|end| end.block);
        let born =
            self.births.iter().take_while(|birth| through.is_some_and(|t| birth.block <= t.number));
        let born = born.count();
        self.bytes -= events.iter().map(|message| message.payload.len()).sum::<usize>();
        let closed = self.open;
        if through.is_some() {
            self.open = EventSum::default();
        }
        Some(Batch {
            events,
            closed,
            through,
            births: self.births.drain(..born).collect(),
            recent: ended.iter().filter(|end| end.recent).map(|end| end.block).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy::primitives::B256;
    use async_nats::HeaderMap;
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn block(number: u64) -> BlockRef {
        BlockRef { number, hash: B256::ZERO, parent_hash: B256::ZERO, time: number }
    }

    fn message(text: String) -> OutMessage {
        OutMessage::new("merit.v1.events.local.dao.x".into(), HeaderMap::new(), Bytes::from(text))
    }

    fn id(number: usize) -> EventId {
        EventId::of(1, B256::ZERO, B256::ZERO, number as u64)
    }

    #[test]
    fn empty_final_blocks_are_one_end_and_recent_ones_each_their_own() {
        let mut ahead = Ahead::at(5);
        for number in 5..50 {
            ahead.complete(block(number), number >= 47);
        }
        let batch = ahead.take().unwrap();
        assert_eq!((batch.through, batch.events.len()), (Some(block(49)), 0));
        assert_eq!(batch.recent, [block(47), block(48), block(49)]);
        assert!(ahead.is_empty() && ahead.take().is_none() && ahead.next() == 50);
    }

    #[test]
    fn a_block_that_is_too_large_is_spread_and_only_its_last_part_closes_it() {
        let mut ahead = Ahead::at(1);
        ahead.complete(block(1), false);
        (0..2500).for_each(|n| ahead.push(id(n), message(n.to_string())));
        ahead.complete(block(2), false);
        ahead.push(id(2500), message(String::new()));
        ahead.complete(block(3), false);
        let (mut parts, mut closed) = (Vec::new(), Vec::new());
        while let Some(batch) = ahead.take() {
            parts.push((batch.events.len(), batch.through.map(|block| block.number)));
            closed.push(batch.closed);
        }
        assert_eq!(parts, [(0, Some(1)), (998, None), (998, None), (505, Some(3))]);
        assert_eq!(closed.last(), Some(&(0..=2500).map(id).collect()));
        assert_eq!(closed[0], EventSum::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig { max_shrink_iters: 50, ..ProptestConfig::with_cases(20) })]

        /// Every message once, in order; no block is said to be complete
        /// before its last message; batches stay within the bounds.
        #[test]
        fn batches_hold_all_and_end_where_blocks_do(
            sizes in proptest::collection::vec((0..900_usize, 1..9_000_usize), 1..12),
            early in 0..4_usize,
        ) {
            let mut ahead = Ahead::at(0);
            let (mut said, mut heard, mut through) = (0_usize, 0_usize, None);
            let (mut ends, mut counted) = (Vec::new(), 0);
            let mut check = |batch: Batch, ends: &[usize], whole: bool| {
                let bytes: usize = batch.events.iter().map(|m| m.payload.len()).sum();
                assert!(batch.events.len() <= EVENTS_MAX);
                assert!(bytes <= BATCH_BYTES || batch.events.len() == 1);
                for event in &batch.events {
                    let text = String::from_utf8_lossy(&event.payload).into_owned();
                    assert_eq!(text.trim(), heard.to_string());
                    heard += 1;
                }
                if let Some(block) = batch.through {
                    through = Some(block.number);
                    assert_eq!(heard, ends[usize::try_from(block.number).unwrap()]);
                    assert_eq!(batch.closed, (counted..heard).map(id).collect());
                    counted = heard;
                }
                assert!(!whole || through.is_some());
            };
            for (number, (count, size)) in sizes.iter().enumerate() {
                for _ in 0..*count {
                    ahead.push(id(said), message(format!("{said:>size$}")));
                    said += 1;
                }
                ends.push(said);
                ahead.complete(block(number as u64), false);
                while ahead.is_full() || number % 4 < early && !ahead.is_empty() {
                    check(ahead.take().unwrap(), &ends, false);
                }
            }
            while let Some(batch) = ahead.take() {
                check(batch, &ends, false);
            }
            assert_eq!((heard, through), (said, Some(sizes.len() as u64 - 1)));
        }
    }
}
