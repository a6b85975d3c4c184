//! The shape of the files: what serde reads before anything is checked.
//!
//! Each section denies unknown keys. Numbers that have a meaning beyond
//! their range (amounts, percentages) are checked in `validate`.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use super::{
    confirmations::Confirmations,
    kinds::{ContractKind, GovernorClock, GovernorCounting},
    number::Number,
    presets::Preset,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub environment: String,
    pub data_dir: PathBuf,
    pub api: RawApi,
    pub log: RawLog,
    pub nats: RawNats,
    pub supervisor: RawSupervisor,
    #[serde(default)]
    pub chains: Vec<RawChain>,
    #[serde(default)]
    pub contracts: Vec<RawContract>,
    #[serde(default)]
    pub facts: Vec<RawFacts>,
    #[serde(default)]
    pub governor_groups: Vec<RawGroup>,
    #[serde(default)]
    pub signers: Vec<RawSigner>,
    #[serde(default)]
    pub benefits: Vec<RawBenefit>,
    #[serde(default)]
    pub debug: RawDebug,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApi {
    pub listen: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub format: LogFormat,
    pub filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNats {
    pub mode: NatsMode,
    pub binary: Option<PathBuf>,
    #[serde(default)]
    pub urls: Vec<String>,
    pub credentials: Option<PathBuf>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub replicas: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NatsMode {
    Managed,
    External,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSupervisor {
    pub max_restarts: u32,
    pub restart_window_s: u64,
    pub freeze_after_s: u64,
    pub drain_deadline_s: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChain {
    pub name: String,
    pub chain_id: u64,
    #[serde(default)]
    pub preset: Option<Preset>,
    #[serde(default)]
    pub endpoints: Vec<RawEndpoint>,
    #[serde(default)]
    pub confirmations: Option<Confirmations>,
    #[serde(default)]
    pub finality_depth: Option<u64>,
    #[serde(default)]
    pub finality_tag: Option<bool>,
    #[serde(default)]
    pub poll_interval_ms: Option<u64>,
    #[serde(default)]
    pub max_range: Option<u64>,
    #[serde(default)]
    pub backfill_calls: Option<usize>,
    #[serde(default)]
    pub completeness: Option<Completeness>,
    #[serde(default)]
    pub hedge_after_ms: Option<u64>,
    #[serde(default)]
    pub l1_fee_oracle: Option<String>,
}

/// How far an endpoint's answer about logs is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// As far as it does not contradict itself or the headers.
    None,
    /// And has logs where the blooms of the headers that are read speak of
    /// some.
    Bloom,
    /// Not at all: logs are taken from receipts whose trie has the root that
    /// the header names.
    Receipts,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEndpoint {
    pub url: String,
    #[serde(default)]
    pub call_timeout_ms: Option<u64>,
    #[serde(default)]
    pub max_concurrent: Option<u32>,
    #[serde(default)]
    pub ws: Option<String>,
    #[serde(default)]
    pub requests_per_second: Option<u32>,
    #[serde(default)]
    pub credits_per_second: Option<u32>,
    #[serde(default)]
    pub burst: Option<u32>,
    #[serde(default)]
    pub credit_costs: BTreeMap<String, u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawContract {
    pub name: String,
    pub chain: String,
    pub address: Option<String>,
    pub created_by: Option<RawCreation>,
    pub kind: ContractKind,
    pub abi: Option<PathBuf>,
    pub start_block: Option<u64>,
    pub confirmations: Option<Confirmations>,
    pub clock: Option<GovernorClock>,
    pub counting: Option<GovernorCounting>,
    pub grace_period_s: Option<u64>,
    pub votes: Option<String>,
    #[serde(default)]
    pub provisional: bool,
    pub calls: Option<RawCalls>,
    pub delivery: Option<Delivery>,
}

/// How an achievements contract is called, where it is not the reference.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCalls {
    pub unlock: String,
    pub batch: Option<String>,
    pub has: Option<String>,
    pub revoke: Option<String>,
}

/// What is done when nothing tells whether an unlock landed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// That can't happen: the contract can be asked.
    #[default]
    ExactlyOnce,
    /// It is held for a person.
    AtMostOnce,
    /// It is sent again.
    AtLeastOnce,
}

/// `{ contract = …, event = …, field = … }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCreation {
    pub contract: String,
    pub event: String,
    pub field: String,
}

/// Who says facts that no chain has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFacts {
    pub name: String,
    #[serde(default)]
    pub signers: Vec<String>,
    pub hmac: Option<String>,
    pub heartbeat_s: Option<u64>,
    /// Fields with their types, by the event.
    pub events: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGroup {
    pub name: String,
    pub members: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSigner {
    pub name: String,
    pub chain: String,
    pub key: RawKey,
    pub max_fee_gwei: Option<Number>,
    pub daily_budget_eth: Option<Number>,
    pub gas_buffer_percent: Option<u32>,
    pub price_margin_percent: Option<u32>,
    pub confirmations: Option<u64>,
    #[serde(default)]
    pub batch: RawBatch,
    pub max_in_flight: Option<usize>,
    pub bump_after_s: Option<u64>,
    pub give_up_after_s: Option<u64>,
    pub reconcile_every_s: Option<u64>,
}

/// `{ keystore = …, passphrase = … }`, `{ raw = "env:…" }`, or what a key
/// management service keeps: `{ aws_kms = …, address = … }`,
/// `{ gcp_kms = …, address = … }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKey {
    pub keystore: Option<PathBuf>,
    pub passphrase: Option<String>,
    pub raw: Option<String>,
    pub aws_kms: Option<String>,
    pub gcp_kms: Option<String>,
    pub address: Option<String>,
    pub region: Option<String>,
    pub endpoint: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBatch {
    pub max_items: Option<usize>,
    pub max_wait_ms: Option<u64>,
}

/// How several benefits of one holder add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StackKind {
    /// The largest counts.
    Max,
    /// All count.
    Sum,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBenefit {
    pub name: String,
    pub nft: String,
    pub achievement_ids: Option<Vec<Number>>,
    pub at_least: Option<u64>,
    #[serde(default)]
    pub grants: Vec<String>,
    pub weight_multiplier: Option<Number>,
    pub stack: Option<StackKind>,
    pub cap: Option<Number>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDebug {
    #[serde(default)]
    pub fault_injection: bool,
    pub failpoint: Option<String>,
}
