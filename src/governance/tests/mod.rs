//! Claims about the governance fold, each told as a small history of a chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod benefits;
mod counting;
mod lifecycle;
mod properties;
mod unreadable;
mod votes;

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};
use serde_json::{Value as Json, json};

use super::{
    Ask, BenefitRule, BenefitsChange, Clock, CountedVote, Counting, Governance, Output,
    ProposalChange, Settings, Stack,
};
use crate::{
    domain::{BlockRef, Event, EventId, Name, Origin, Position},
    fold::{Fold, JsonPaths as _, State},
};

const CHAIN: u64 = 31337;

/// A chain's history as the fold is shown it: blocks of 12 seconds, logs
/// numbered as they come.
struct History {
    governance: Governance,
    state: State,
    output: Vec<Output>,
    block: u64,
    log: u64,
}

impl History {
    fn of(benefits: Vec<BenefitRule>) -> Self {
        Self::with(Clock::Block, None, benefits)
    }

    fn with(clock: Clock, grace_period_s: Option<u64>, benefits: Vec<BenefitRule>) -> Self {
        Self::counting(Counting::Standard, clock, grace_period_s, benefits)
    }

    fn counting(
        counting: Counting,
        clock: Clock,
        grace_period_s: Option<u64>,
        benefits: Vec<BenefitRule>,
    ) -> Self {
        let (governor, chain_id) = (name("dao"), CHAIN);
        let settings = Settings { chain_id, governor, clock, grace_period_s, counting, benefits };
        let governance = Governance::new(settings).unwrap();
        Self { governance, state: State::default(), output: Vec::new(), block: 0, log: 0 }
    }

    fn begin(&mut self, block: u64) -> &mut Self {
        (self.block, self.log) = (block, 0);
        let (state, output) = (&mut self.state, &mut self.output);
        self.governance.begin_block(CHAIN, block, time(block), state, output);
        self
    }

    fn log(&mut self, contract: &str, event: &str, fields: Json) -> &mut Self {
        let event = event_at(self.block, self.log, contract, event, fields);
        self.log += 1;
        self.governance.apply(&event, &mut self.state, &mut self.output);
        self
    }

    fn create(&mut self, id: u64, start: u64, end: u64) -> &mut Self {
        self.log("dao", "proposal_created", created(id, start, end))
    }

    fn vote(&mut self, id: u64, voter: u8, support: u8, weight: u64) -> &mut Self {
        self.log("dao", "vote_cast", cast(id, voter, support, weight))
    }

    fn queue(&mut self, id: u64, eta: u64) -> &mut Self {
        self.log("dao", "proposal_queued", json!({ "proposal_id": text(id), "eta": text(eta) }))
    }

    fn execute(&mut self, id: u64) -> &mut Self {
        self.log("dao", "proposal_executed", json!({ "proposal_id": text(id) }))
    }

    fn cancel(&mut self, id: u64) -> &mut Self {
        self.log("dao", "proposal_canceled", json!({ "proposal_id": text(id) }))
    }

    fn mint(&mut self, nft: &str, to: u8, token: u64) -> &mut Self {
        self.log(nft, "minted", json!({ "to": person(to), "token_id": text(token) }))
    }

    fn transfer(&mut self, nft: &str, from: u8, to: u8, token: u64) -> &mut Self {
        let fields = json!({ "from": person(from), "to": person(to), "token_id": text(token) });
        self.log(nft, "transferred", fields)
    }

    fn learn(&mut self, id: u64, quorum: u64) -> bool {
        self.governance.learn(&mut self.state, U256::from(id), U256::from(quorum))
    }

    /// The announced states as (name, block).
    fn states(&self) -> Vec<(&'static str, Option<u64>)> {
        self.changes().map(|change| (change.to.subject_token(), change.block)).collect()
    }

    fn changes(&self) -> impl Iterator<Item = &ProposalChange> {
        self.output.iter().filter_map(|output| match output {
            Output::ProposalState(change) => Some(change.as_ref()),
            _ => None,
        })
    }

    fn votes(&self) -> Vec<&CountedVote> {
        let outputs = self.output.iter();
        let found = outputs.filter_map(|output| match output {
            Output::Vote(vote) => Some(vote.as_ref()),
            _ => None,
        });
        found.collect()
    }

    fn benefit_changes(&self) -> Vec<&BenefitsChange> {
        let outputs = self.output.iter();
        let found = outputs.filter_map(|output| match output {
            Output::BenefitsChanged(change) => Some(change),
            _ => None,
        });
        found.collect()
    }

    fn unreadable(&self) -> Vec<&str> {
        let outputs = self.output.iter();
        let found = outputs.filter_map(|output| match output {
            Output::Unreadable { why, .. } => Some(why.as_str()),
            _ => None,
        });
        found.collect()
    }
}

fn everything(state: &State) -> BTreeMap<String, Json> {
    state.keys("").map(|key| (key.to_owned(), state.get(key).unwrap())).collect()
}

/// What an undo log does, by whole snapshots.
fn restore(state: &mut State, snapshot: &BTreeMap<String, Json>) {
    for key in everything(state).into_keys().filter(|key| !snapshot.contains_key(key)) {
        state.remove(&key);
    }
    for (key, value) in snapshot {
        state.put(key, value);
    }
}

fn event_at(block: u64, log_index: u64, contract: &str, event: &str, fields: Json) -> Event {
    let hash = B256::from(U256::from(block));
    let transaction_hash = B256::from(U256::from(block * 1000 + log_index));
    Event {
        id: EventId::of(CHAIN, hash, transaction_hash, log_index),
        origin: Origin { chain_id: CHAIN, transaction_hash, ordinal: 0 },
        chain: name("local"),
        contract: name(contract),
        address: Address::ZERO,
        name: name(event),
        position: position(block, log_index),
        block: BlockRef { number: block, hash, parent_hash: B256::ZERO, time: time(block) },
        fields: serde_json::from_value(fields).unwrap(),
    }
}

fn position(block: u64, log_index: u64) -> Position {
    Position { time: time(block), chain_id: CHAIN, block, transaction_index: log_index, log_index }
}

fn time(block: u64) -> u64 {
    1_000_000 + 12 * block
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn text(number: u64) -> String {
    number.to_string()
}

fn address(of: u8) -> Address {
    Address::repeat_byte(of)
}

fn person(of: u8) -> String {
    address(of).to_checksum(None)
}

fn created(id: u64, start: u64, end: u64) -> Json {
    json!({
        "proposal_id": text(id), "proposer": person(0xaa), "targets": [], "values": [],
        "signatures": [], "calldatas": [], "vote_start": text(start), "vote_end": text(end),
        "description": "# Fund the garden\nwith all that we have",
    })
}

fn cast(id: u64, voter: u8, support: u8, weight: u64) -> Json {
    json!({
        "proposal_id": text(id), "voter": person(voter), "support": support.to_string(),
        "weight": text(weight), "reason": "",
    })
}

fn rule(of: &str, nft: &str, bps: u32, stack: Stack, cap_bps: Option<u32>) -> BenefitRule {
    BenefitRule {
        name: name(of),
        nft: name(nft),
        achievement_ids: None,
        at_least: 1,
        grants: Vec::new(),
        weight_multiplier_bps: bps,
        stack,
        cap_bps,
    }
}
