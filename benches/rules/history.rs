//! A history of votes, contributions and badges, as messages of the stream.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256, keccak256};
use meritd::{
    actors::messages,
    domain::{BlockRef, Event, EventId, EventSum, Name, Origin, Position, Watermark},
    streams::publish::OutMessage,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value as Json, json};

use super::{
    Outcome,
    rules::{CHAIN, CONTRACTS},
};

/// Events of a block.
const PER_BLOCK: u64 = 20;
/// Blocks that a contract tells at once.
const PER_WATERMARK: u64 = 10;
/// Blocks that may still be orphaned.
pub const FINALITY: u64 = 64;
/// Seconds between blocks: a community's years pass while millions of events do.
const BLOCK_TIME: u64 = 600;
const BEGIN: u64 = 1_704_067_200;

/// Makes messages, always the same.
pub struct History {
    chance: StdRng,
    users: u64,
    block: u64,
    branch: u8,
    /// What of each contract was told last.
    told: BTreeMap<&'static str, BlockRef>,
    tokens: u64,
    owners: Vec<u64>,
}

fn user(number: u64) -> String {
    let hash = keccak256(number.to_be_bytes());
    Address::from_slice(&hash[12..]).to_checksum(None)
}

fn block(number: u64, branch: u8) -> BlockRef {
    let hash = |number: u64| keccak256([number.to_be_bytes().as_slice(), &[branch]].concat());
    BlockRef {
        number,
        hash: hash(number),
        parent_hash: hash(number.saturating_sub(1)),
        time: BEGIN + number * BLOCK_TIME,
    }
}

impl History {
    pub fn new(users: u64) -> Self {
        let chance = StdRng::seed_from_u64(7);
        let told = BTreeMap::new();
        Self { chance, users, block: 0, branch: 0, told, tokens: 0, owners: Vec::new() }
    }

    /// The messages of so many more blocks.
    pub fn blocks(&mut self, count: u64) -> Outcome<Vec<OutMessage>> {
        let mut said = Vec::new();
        for _ in 0..count.div_ceil(PER_WATERMARK) {
            let first = self.block + 1;
            self.block += PER_WATERMARK;
            let mut events = BTreeMap::from(CONTRACTS.map(|name| (name, Vec::new())));
            for number in first..=self.block {
                for log_index in 0..PER_BLOCK {
                    let (contract, name, fields) = self.draw();
                    let event = self.event(number, log_index, contract, name, &fields)?;
                    events.entry(contract).or_default().push(event);
                }
            }
            // As they are published: each contract for itself.
            for (contract, events) in events {
                for event in &events {
                    said.push(messages::event(event)?);
                }
                let watermark = self.progress(contract, first, &events)?;
                said.push(messages::watermark(&Name::new("local")?, &watermark)?);
            }
        }
        Ok(said)
    }

    /// Every contract takes its last blocks back, and tells as many of another
    /// branch.
    pub fn reorg(&mut self, depth: u64) -> Outcome<Vec<OutMessage>> {
        let common = block(self.block - depth, self.branch);
        let mut said = Vec::new();
        for contract in CONTRACTS {
            let watermark = Watermark::Retraction {
                chain: Name::new("local")?,
                chain_id: CHAIN,
                contract: Name::new(contract)?,
                from: common.number + 1,
                to: self.block,
                common,
                after: None,
            };
            said.push(messages::watermark(&Name::new("local")?, &watermark)?);
            self.told.insert(contract, common);
        }
        self.block = common.number;
        self.branch += 1;
        said.extend(self.blocks(depth)?);
        Ok(said)
    }

    fn draw(&mut self) -> (&'static str, &'static str, Json) {
        let who = self.chance.random_range(0..self.users);
        let kind = self.chance.random_range(0..100);
        if kind < 75 {
            // A proposal a day, of OpenZeppelin's size.
            let proposal = keccak256((self.block / 144).to_be_bytes());
            let weight = U256::from(self.chance.random_range(1..100_u64))
                * U256::from(1_000_000_000_000_000_000_u64);
            let fields = json!({
                "voter": user(who),
                "proposal_id": U256::from_be_bytes(proposal.0).to_string(),
                "support": self.chance.random_range(0..3_u8).to_string(),
                "weight": weight.to_string(),
                "reason": "I have thought about it",
            });
            ("dao", "vote_cast", fields)
        } else if kind < 90 {
            let fields = json!({
                "member": user(who),
                "topic": B256::repeat_byte(1).to_string(),
                "amount": self.chance.random_range(1..50_u64).to_string(),
                "note": "for the docs",
            });
            ("contributions", "contributed", fields)
        } else if kind < 95 || self.owners.is_empty() {
            self.owners.push(who);
            self.tokens += 1;
            let fields = json!({ "to": user(who), "token_id": (self.tokens - 1).to_string() });
            ("badge", "minted", fields)
        } else {
            let token = self.chance.random_range(0..self.owners.len());
            let from = std::mem::replace(&mut self.owners[token], who);
            let fields =
                json!({ "from": user(from), "to": user(who), "token_id": token.to_string() });
            ("badge", "transferred", fields)
        }
    }

    fn event(
        &self,
        number: u64,
        log_index: u64,
        contract: &str,
        name: &str,
        fields: &Json,
    ) -> Outcome<Event> {
        let block = block(number, self.branch);
        let transaction = keccak256([block.hash.0.as_slice(), &log_index.to_be_bytes()].concat());
        Ok(Event {
            id: EventId::of(CHAIN, block.hash, transaction, log_index),
            origin: Origin { chain_id: CHAIN, transaction_hash: transaction, ordinal: 0 },
            chain: Name::new("local")?,
            contract: Name::new(contract)?,
            address: Address::repeat_byte(1),
            name: Name::new(name)?,
            position: Position {
                time: block.time,
                chain_id: CHAIN,
                block: number,
                transaction_index: log_index,
                log_index,
            },
            block,
            fields: fields.as_object().cloned().unwrap_or_default().into_iter().collect(),
        })
    }

    fn progress(
        &mut self,
        contract: &'static str,
        first: u64,
        events: &[Event],
    ) -> Outcome<Watermark> {
        let through = block(self.block, self.branch);
        let after = self.told.insert(contract, through);
        let closed: EventSum = events.iter().map(|event| event.id).collect();
        Ok(Watermark::Progress {
            chain: Name::new("local")?,
            chain_id: CHAIN,
            contract: Name::new(contract)?,
            through,
            recent: (first..=self.block).map(|number| block(number, self.branch)).collect(),
            finalized: self.block.saturating_sub(FINALITY),
            events: Some(closed.events),
            digest: Some(closed.digest),
            after,
        })
    }
}
