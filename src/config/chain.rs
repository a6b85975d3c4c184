//! A chain, and the endpoints by which it is reached.

use std::{collections::BTreeMap, time::Duration};

use alloy::primitives::Address;

use super::{Completeness, Confirmations, SecretRef};
use crate::domain::Name;

/// One chain.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Its name in subjects and metrics.
    pub name: Name,
    /// EIP-155 id; endpoints that say otherwise are not used.
    pub chain_id: u64,
    /// A private or test node's chain, where nothing is worth anything.
    pub is_development: bool,
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
    /// How deep a block must be before its events are published.
    pub confirmations: Confirmations,
    /// Blocks so deep are final: a reorg below them stops the chain.
    pub finality_depth: u64,
    /// Whether the chain's own `finalized` tag says what is final.
    pub finality_tag: bool,
    /// How often the head is asked for; `None`: as blocks come.
    pub poll_interval: Option<Duration>,
    /// Time between blocks, until enough of them were seen.
    pub block_time: Duration,
    /// Largest block range of one `eth_getLogs`.
    pub max_range: u64,
    /// Ranges of history that are asked for at once.
    pub backfill_calls: usize,
    /// How far an endpoint's answer about logs is believed.
    pub completeness: Completeness,
    /// A read that takes so long is asked of a second endpoint, too.
    pub hedge_after: Option<Duration>,
    /// Of a rollup that charges for the data that it posts: the contract that
    /// says how much.
    pub l1_fee_oracle: Option<Address>,
}

impl Chain {
    /// How long to wait before looking again for what comes with the blocks:
    /// as configured, else a part of the time between blocks.
    #[must_use]
    pub fn look_every(&self) -> Duration {
        let part = self.block_time / 4;
        let within = part.clamp(Duration::from_millis(50), Duration::from_secs(1));
        self.poll_interval.unwrap_or(within)
    }
}

/// One RPC endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its URL; may carry a key, so it is never shown whole.
    pub url: SecretRef,
    /// Limit of one call.
    pub call_timeout: Duration,
    /// Its WebSocket URL: new heads on it wake the polling up.
    pub ws: Option<SecretRef>,
    /// Calls at once.
    pub max_concurrent: u32,
    /// What its plan allows, if it is limited.
    pub rate: Option<Rate>,
}

/// What a plan allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Credits per second; without `costs` a call costs one, so that these are
    /// calls per second.
    pub per_second: u32,
    /// Credits that may be spent at once after a rest.
    pub burst: u32,
    /// Credits of a method's call; others cost `default_cost`.
    pub costs: BTreeMap<String, u32>,
    /// See `costs`.
    pub default_cost: u32,
}
