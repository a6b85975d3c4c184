//! Invented chains, and what the contract actors of their contracts publish.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, keccak256};
use serde_json::json;

use super::super::{Input, Source};
use crate::domain::{BlockRef, Event, EventId, Name, Origin, Position, Watermark};

/// Blocks this far below the highest head ever seen are final.
pub(super) const FINAL_DEPTH: u64 = 4;

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A block with the (contract, amount) pairs of its logs.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) at: BlockRef,
    pub(super) logs: Vec<(Name, u8)>,
}

/// A block by hash salt: equal salts on equal parents are equal blocks.
pub(super) fn block(parent: &BlockRef, salt: u64, seconds: u64, logs: Vec<(Name, u8)>) -> Block {
    let hash = keccak256([parent.hash.0.as_slice(), &salt.to_be_bytes()].concat());
    let at = BlockRef {
        number: parent.number + 1,
        hash,
        parent_hash: parent.hash,
        time: parent.time + seconds,
    };
    Block { at, logs }
}

pub(super) fn genesis(chain_id: u64) -> Block {
    let hash = keccak256(chain_id.to_be_bytes());
    Block { at: BlockRef { number: 0, hash, parent_hash: B256::ZERO, time: 100 }, logs: Vec::new() }
}

pub(super) fn events(chain_id: u64, block: &Block) -> Vec<Event> {
    let event = |(index, (contract, amount)): (usize, &(Name, u8))| {
        let log_index = index as u64;
        let transaction_hash = keccak256([block.at.hash.0.as_slice(), &[index as u8]].concat());
        Event {
            id: EventId::of(chain_id, block.at.hash, transaction_hash, log_index),
            origin: Origin { chain_id, transaction_hash, ordinal: 0 },
            chain: name("chain"),
            contract: contract.clone(),
            address: Address::ZERO,
            name: name("added"),
            position: Position {
                time: block.at.time,
                chain_id,
                block: block.at.number,
                transaction_index: log_index / 2,
                log_index,
            },
            block: block.at,
            fields: [("amount".to_owned(), json!(amount.to_string()))].into(),
        }
    };
    block.logs.iter().enumerate().map(event).collect()
}

/// Says what a contract's actor says as it follows its chain.
#[derive(Debug)]
pub(super) struct Speaker {
    pub(super) source: Source,
    /// The branch as announced, genesis first.
    announced: Vec<BlockRef>,
    /// Blocks that consumers know of by its watermarks.
    pub(super) known: BTreeMap<u64, BlockRef>,
    pub(super) said: Vec<Input>,
}

impl Speaker {
    pub(super) fn new(chain_id: u64, contract: Name) -> Self {
        Self {
            source: Source { chain_id, contract },
            announced: Vec::new(),
            known: BTreeMap::new(),
            said: Vec::new(),
        }
    }

    /// Retracts what is not on `branch`, then announces it up to its `lag`th
    /// block from the end. A `sparse` announcement names no final blocks.
    pub(super) fn poll(&mut self, branch: &[Block], lag: usize, finalized: u64, sparse: bool) {
        let Source { chain_id, contract } = self.source.clone();
        let chain = name("chain");
        let shared = self
            .announced
            .iter()
            .zip(branch)
            .take_while(|(announced, block)| announced.hash == block.at.hash)
            .count();
        if shared < self.announced.len() {
            let common = self.announced[shared - 1];
            let (from, to) = (common.number + 1, self.announced.last().unwrap().number);
            self.announced.truncate(shared);
            self.known.split_off(&from);
            self.known.insert(common.number, common);
            self.said.push(Input::Watermark(Watermark::Retraction {
                chain: chain.clone(),
                chain_id,
                contract: contract.clone(),
                from,
                to,
                common,
                after: None,
            }));
        }
        let target = branch.len() - lag.min(branch.len() - 1);
        if target <= shared {
            return;
        }
        let step = &branch[shared..target];
        for block in step {
            self.announced.push(block.at);
            let own = events(chain_id, block).into_iter().filter(|e| e.contract == contract);
            self.said.extend(own.map(Input::Event));
        }
        let through = step.last().unwrap().at;
        let recent: Vec<BlockRef> = step
            .iter()
            .map(|block| block.at)
            .filter(|block| !sparse || block.number > finalized || *block == through)
            .collect();
        self.known.extend(recent.iter().map(|block| (block.number, *block)));
        self.said.push(Input::Watermark(Watermark::Progress {
            chain,
            chain_id,
            contract,
            through,
            recent,
            finalized,
            events: None,
            digest: None,
            after: None,
        }));
    }
}
