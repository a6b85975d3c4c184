//! The logs of a range as events, checked against the branch that the head
//! actor follows.
//!
//! A log that came can be compared with its block's header; one that did not
//! come can't. So blocks that may still be orphaned are asked for by hash: an
//! endpoint on another branch, or without the block, can't answer that there
//! is nothing. What is final is asked for in ranges, and the last block's
//! bloom is held against the answer.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{primitives::Bloom, rpc::types::Log};

use super::{ContractActor, Trouble};
use crate::{
    chain::{
        adapters::{Decoded, LogContext, ordinals},
        answers::LogFilter,
        cursor::ChainView,
    },
    domain::{BlockRef, Event},
};

/// Headers fetched at once.
const HEADERS_AT_ONCE: usize = 8;
/// Most blocks with logs in one step, each of which needs its header: as many
/// as an endpoint of modest rate gives well within a step's time.
const BLOCKS_WITH_LOGS_MAX: usize = 256;

/// A range that was read.
pub(super) struct Fetched {
    /// In order.
    pub(super) events: Vec<Event>,
    /// The last block that is complete.
    pub(super) through: BlockRef,
    /// All blocks whose headers are known, ascending.
    pub(super) blocks: Vec<BlockRef>,
}

/// Headers by number, with their blooms where these are known.
type Headers = BTreeMap<u64, (BlockRef, Option<Bloom>)>;

impl ContractActor {
    /// Reads a range, or its beginning, that lies on one side of finality.
    pub(super) async fn fetch(
        &self,
        view: &ChainView,
        from: u64,
        to: u64,
    ) -> Result<Fetched, Trouble> {
        let filter = LogFilter { addresses: vec![self.address], topics0: self.adapter.topics0() };
        let (logs, headers, to) = if from > view.finalized {
            let headers = self.headers(view, from..=to).await?;
            let blocks: Vec<_> =
                headers.values().map(|(block, bloom)| (block.hash, *bloom)).collect();
            (self.link.client.logs_of_blocks(&filter, &blocks).await?, headers, to)
        } else {
            let mut range = self.link.client.logs(&filter, from, to).await?;
            let whole = range.through.min(to);
            let to = cut(&mut range.logs, whole, BLOCKS_WITH_LOGS_MAX);
            let mut wanted: BTreeSet<u64> =
                range.logs.iter().filter_map(|log| log.block_number).collect();
            wanted.insert(to);
            let headers = self.headers(view, wanted).await?;
            if let Some((block, Some(bloom))) = headers.get(&to) {
                self.link.client.check_absence(&filter, &range, block, bloom).await?;
            }
            (range.logs, headers, to)
        };
        let events = self.events(&logs, &headers).await?;
        let through = headers.get(&to).ok_or(Trouble::Incomplete("the range's last block"))?.0;
        Ok(Fetched { events, through, blocks: headers.into_values().map(|(b, _)| b).collect() })
    }

    /// The headers of these heights: the view's where it has them.
    async fn headers(
        &self,
        view: &ChainView,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<Headers, Trouble> {
        let mut headers = Headers::new();
        let mut missing = Vec::new();
        for number in numbers {
            match view.header(number) {
                Some(block) => {
                    headers.insert(number, (*block, view.window.bloom(&block.hash).copied()));
                }
                None => missing.push(number),
            }
        }
        for numbers in missing.chunks(HEADERS_AT_ONCE) {
            let asked = numbers.iter().map(|number| self.link.block((*number).into()));
            for header in futures::future::try_join_all(asked).await? {
                headers.insert(header.block.number, (header.block, Some(header.logs_bloom)));
            }
        }
        Ok(headers)
    }

    async fn events(&self, logs: &[Log], headers: &Headers) -> Result<Vec<Event>, Trouble> {
        let mut events = Vec::new();
        for (log, ordinal) in logs.iter().zip(ordinals(logs)) {
            let number = log.block_number.ok_or(Trouble::Incomplete("a block number"))?;
            let log_hash = log.block_hash.ok_or(Trouble::Incomplete("a block hash"))?;
            let block = headers.get(&number).ok_or(Trouble::Incomplete("a block in range"))?.0;
            if block.hash != log_hash {
                return Err(Trouble::OtherBranch { number, log_hash, header_hash: block.hash });
            }
            let context = LogContext {
                chain: self.link.name.clone(),
                chain_id: self.link.chain_id,
                contract: self.name.clone(),
                ordinal,
                block,
            };
            match self.adapter.decode(&context, log) {
                Ok(Decoded::Event(event)) => events.push(*event),
                Ok(Decoded::NotOurs) => {}
                Err(error) => self.bury(log, &error).await?,
            }
        }
        events.sort_by_key(|event| event.position);
        Ok(events)
    }
}

/// Cuts logs (in order, up to block `to`) after `most` blocks that have some.
/// Gives the last block that is still covered.
fn cut(logs: &mut Vec<Log>, to: u64, most: usize) -> u64 {
    let mut blocks = BTreeSet::new();
    for log in logs.iter() {
        blocks.extend(log.block_number);
        if blocks.len() > most {
            break;
        }
    }
    let to = match blocks.into_iter().nth(most.saturating_sub(1)) {
        Some(last) => last.min(to),
        None => to,
    };
    logs.retain(|log| log.block_number.is_some_and(|number| number <= to));
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(block: u64) -> Log {
        Log { block_number: Some(block), ..Log::default() }
    }

    fn cut_to(blocks: &[u64], to: u64, most: usize) -> (u64, Vec<u64>) {
        let mut logs: Vec<Log> = blocks.iter().map(|block| log(*block)).collect();
        let to = cut(&mut logs, to, most);
        (to, logs.iter().filter_map(|log| log.block_number).collect())
    }

    #[test]
    fn a_dense_range_is_cut_where_its_headers_would_take_too_long() {
        assert_eq!(cut_to(&[], 9, 2), (9, vec![]));
        assert_eq!(cut_to(&[1, 1, 4], 9, 3), (9, vec![1, 1, 4]));
        assert_eq!(cut_to(&[1, 1, 4, 4, 4, 7, 8], 9, 2), (4, vec![1, 1, 4, 4, 4]));
        let dense: Vec<u64> = (0..2000).collect();
        let (to, logs) = cut_to(&dense, 1999, BLOCKS_WITH_LOGS_MAX);
        assert_eq!((to, logs.len()), (255, 256));
        // What is cut off is asked for again: nothing lies between.
        assert_eq!(logs.last(), Some(&to));
    }
}
