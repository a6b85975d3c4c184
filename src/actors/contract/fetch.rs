//! The logs of a contract as events, checked against the branch that the head
//! actor follows.
//!
//! A log that came can be compared with its block's header; one that did not
//! come can't. How the feed sees to it that none is missing is said there.

use std::{collections::BTreeMap, sync::Arc};

use alloy::{primitives::Bloom, rpc::types::Log};

use super::{ContractActor, TAKE_LIMIT, Trouble, ahead::Ahead};
use crate::{
    actors::{
        feed::{Piece, TakeBlocks, TakeRange},
        messages,
        shared::ChainLink,
    },
    chain::{
        adapters::{Adapter, DecodeError, Decoded, LogContext, ordinals},
        cursor::ChainView,
    },
    domain::{BlockRef, Event, Name},
    streams::publish::fits,
};

/// Headers fetched at once.
const HEADERS_AT_ONCE: usize = 8;
/// Events made before others on the same thread get their turn: about a
/// millisecond's work.
const EVENTS_PER_TURN: usize = 128;

/// Headers by number, with their blooms where these are known.
type Headers = BTreeMap<u64, (BlockRef, Option<Bloom>)>;

impl ContractActor {
    /// Reads final blocks until there is a whole batch, all up to the limit, or
    /// nothing more for now.
    pub(super) async fn fill(&self, ahead: &mut Ahead, limit: u64) -> Result<(), Trouble> {
        while !ahead.is_full() && ahead.next() <= limit {
            let watched = Arc::clone(&self.watched);
            let ask = TakeRange { watched, from: ahead.next(), to: limit };
            let Some(piece) = self.feed.send(ask, TAKE_LIMIT).await?? else {
                return Ok(());
            };
            let Piece { through, logs, headers } = piece;
            self.read(&logs, &headers, false, ahead).await?;
            if ahead.next() <= through.number {
                ahead.complete(through, false);
            }
        }
        Ok(())
    }

    /// Reads blocks that may still be orphaned. Gives their headers.
    pub(super) async fn read_recent(
        &self,
        view: &ChainView,
        from: u64,
        to: u64,
    ) -> Result<(Ahead, Vec<BlockRef>), Trouble> {
        let headers = self.headers(view, from, to).await?;
        let watched = Arc::clone(&self.watched);
        let blocks = headers.values().cloned().collect();
        let taken = self.feed.send(TakeBlocks { watched, blocks }, TAKE_LIMIT).await??;
        let mut ahead = Ahead::at(from);
        let blocks: Vec<BlockRef> = headers.into_values().map(|(block, _)| block).collect();
        for (block, all) in blocks.iter().zip(taken) {
            let mine: Vec<Log> =
                all.logs.iter().filter(|log| self.watched.has(log)).cloned().collect();
            self.read(&mine, std::slice::from_ref(block), true, &mut ahead).await?;
        }
        Ok((ahead, blocks))
    }

    /// The headers of these heights: the view's where it has them.
    async fn headers(&self, view: &ChainView, from: u64, to: u64) -> Result<Headers, Trouble> {
        let mut headers = Headers::new();
        let mut missing = Vec::new();
        for number in from..=to {
            match view.header(number) {
                Some(block) => {
                    headers.insert(number, (*block, view.window.bloom(&block.hash).copied()));
                }
                None => missing.push(number),
            }
        }
        for numbers in missing.chunks(HEADERS_AT_ONCE) {
            for header in self.link.client.headers(numbers).await? {
                headers.insert(header.block.number, (header.block, Some(header.logs_bloom)));
            }
        }
        Ok(headers)
    }

    /// Makes events of logs, which are in order, and says which of the blocks,
    /// ascending, are complete with them.
    pub(super) async fn read(
        &self,
        logs: &[Log],
        blocks: &[BlockRef],
        recent: bool,
        ahead: &mut Ahead,
    ) -> Result<(), Trouble> {
        let ordinals = ordinals(logs);
        let mut rest = logs.iter().zip(ordinals).peekable();
        let mut made = 0_usize;
        // Others' blocks may lie before this contract's part.
        let first = ahead.next();
        for block in blocks.iter().filter(|block| block.number >= first) {
            let of_block = std::iter::from_fn(|| {
                rest.next_if(|(log, _)| log.block_number.is_none_or(|n| n <= block.number))
            });
            let Meant { events, others } =
                events_of(&self.link, &self.name, &self.adapter, block, of_block)?;
            for (log, error) in others {
                self.bury(log, &error).await?;
            }
            for event in events {
                self.births(&event).for_each(|birth| ahead.born(birth));
                let message = messages::event(&event)?;
                match fits(&self.shared.connection, &message) {
                    Ok(()) => ahead.push(event.id, message),
                    Err(error) => self.bury_oversized(&event, &error).await?,
                }
                made += 1;
                if made.is_multiple_of(EVENTS_PER_TURN) {
                    tokio::task::yield_now().await;
                }
            }
            ahead.complete(*block, recent);
        }
        match rest.next() {
            Some(_) => Err(Trouble::Incomplete("a block in range")),
            None => Ok(()),
        }
    }
}

/// What a block's logs mean.
pub(in crate::actors) struct Meant<'a> {
    /// In order.
    pub(in crate::actors) events: Vec<Event>,
    /// Those that can't be decoded.
    others: Vec<(&'a Log, Box<DecodeError>)>,
}

/// Decodes a block's logs.
pub(in crate::actors) fn events_of<'a>(
    link: &ChainLink,
    contract: &Name,
    adapter: &Adapter,
    block: &BlockRef,
    logs: impl Iterator<Item = (&'a Log, u64)>,
) -> Result<Meant<'a>, Trouble> {
    let mut context = LogContext {
        chain: link.name.clone(),
        chain_id: link.chain_id,
        contract: contract.clone(),
        ordinal: 0,
        block: *block,
    };
    let (mut events, mut others) = (Vec::new(), Vec::new());
    for (log, ordinal) in logs {
        check(log, block)?;
        context.ordinal = ordinal;
        match adapter.decode(&context, log) {
            Ok(Decoded::Event(event)) => events.push(*event),
            Ok(Decoded::NotOurs) => {}
            Err(error) => others.push((log, error)),
        }
    }
    events.sort_by_key(|event| event.position);
    Ok(Meant { events, others })
}

/// Whether a log is of this very block.
fn check(log: &Log, block: &BlockRef) -> Result<(), Trouble> {
    let number = log.block_number.ok_or(Trouble::Incomplete("a block number"))?;
    let log_hash = log.block_hash.ok_or(Trouble::Incomplete("a block hash"))?;
    if number != block.number {
        return Err(Trouble::Incomplete("a block in range"));
    }
    if block.hash != log_hash {
        return Err(Trouble::OtherBranch { number, log_hash, header_hash: block.hash });
    }
    Ok(())
}
