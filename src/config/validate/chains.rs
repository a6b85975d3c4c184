//! Chains and their endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use alloy::primitives::{Address, address};

use super::{Checker, contracts::check_address};
use crate::{
    config::{
        Chain, Completeness, Confirmations, Endpoint, Preset, Rate, Secret, SecretRef, presets,
        raw::{RawChain, RawEndpoint},
    },
    domain::{
        Name,
        off_chain::{is_off_chain, off_chain},
    },
};

/// `GasPriceOracle`, the same on every chain of the OP Stack.
const OP_STACK_ORACLE: Address = address!("0x420000000000000000000000000000000000000F");

/// What anvil and hardhat, and geth's and ganache's development chains have.
const DEVELOPMENT_IDS: [u64; 2] = [31_337, 1_337];

pub(super) fn check_chains(
    c: &mut Checker<'_>,
    raw: Vec<RawChain>,
) -> (Vec<Chain>, BTreeSet<Name>) {
    let mut names = BTreeSet::new();
    let mut ids = BTreeSet::new();
    let mut chains = Vec::new();
    for (i, chain) in raw.into_iter().enumerate() {
        let key = |part: &str| format!("chains[{i}].{part}");
        let name = c.name(&key("name"), &chain.name, &mut names);
        let shown = chain.chain_id.to_string();
        if name.as_ref() == Some(&off_chain()) {
            let why = "what is said off chain is told under this name";
            c.problem(&key("name"), Some(&chain.name), why, "choose another name");
        }
        if chain.chain_id == 0 || is_off_chain(chain.chain_id) || !ids.insert(chain.chain_id) {
            let why = "not an EIP-155 id of its own";
            c.problem(&key("chain_id"), Some(&shown), why, "give each chain its id");
        }
        if chain.endpoints.is_empty() {
            let remedy = "add at least one `{ url = \"http://…\" }`";
            c.problem(&key("endpoints"), None, "a chain needs an endpoint", remedy);
        }
        let defaults = chain.preset.map_or(presets::UNKNOWN, Preset::defaults);
        let endpoints = chain
            .endpoints
            .into_iter()
            .enumerate()
            .filter_map(|(j, raw)| check_endpoint(c, &key(&format!("endpoints[{j}]")), raw))
            .collect();
        let finality_depth = c.bounded(
            &key("finality_depth"),
            chain.finality_depth,
            defaults.finality_depth,
            1,
            100_000,
        );
        let confirmations = chain.confirmations.unwrap_or(match defaults.confirmations {
            Confirmations::Blocks(blocks) => Confirmations::Blocks(blocks.min(finality_depth)),
            tag => tag,
        });
        check_confirmations(c, &key("confirmations"), confirmations, finality_depth);
        let mut ms = |part: &str, given: Option<u64>, min, max| {
            let given = given?;
            Some(Duration::from_millis(c.bounded(&key(part), Some(given), min, min, max)))
        };
        let poll_interval = ms("poll_interval_ms", chain.poll_interval_ms, 10, 600_000);
        let hedge_after = ms("hedge_after_ms", chain.hedge_after_ms, 10, 60_000);
        let max_range = c.bounded(&key("max_range"), chain.max_range, 2000, 1, 1_000_000);
        let backfill_calls = c.bounded(&key("backfill_calls"), chain.backfill_calls, 4, 1, 64);
        let l1_fee_oracle = match &chain.l1_fee_oracle {
            Some(text) => check_address(c, &key("l1_fee_oracle"), text),
            None => matches!(chain.preset, Some(Preset::OpStack)).then_some(OP_STACK_ORACLE),
        };
        if let Some(name) = name {
            chains.push(Chain {
                name,
                chain_id: chain.chain_id,
                is_development: DEVELOPMENT_IDS.contains(&chain.chain_id)
                    || matches!(chain.preset, Some(Preset::Dev)),
                endpoints,
                confirmations,
                finality_depth,
                finality_tag: chain.finality_tag.unwrap_or(defaults.finality_tag),
                poll_interval,
                block_time: defaults.block_time,
                max_range,
                backfill_calls,
                completeness: chain.completeness.unwrap_or(Completeness::Bloom),
                hedge_after,
                l1_fee_oracle,
            });
        }
    }
    (chains, names)
}

fn check_endpoint(c: &mut Checker<'_>, at: &str, raw: RawEndpoint) -> Option<Endpoint> {
    let key = |part: &str| format!("{at}.{part}");
    let url = check_url(c, &key("url"), raw.url, &["http://", "https://"])?;
    let ws = raw.ws.and_then(|ws| check_url(c, &key("ws"), ws, &["ws://", "wss://"]));
    Some(Endpoint {
        url,
        ws,
        call_timeout: Duration::from_millis(c.bounded(
            &key("call_timeout_ms"),
            raw.call_timeout_ms,
            10_000,
            50,
            120_000,
        )),
        max_concurrent: c.bounded(&key("max_concurrent"), raw.max_concurrent, 16, 1, 1024),
        rate: check_rate(
            c,
            &key,
            RawRate {
                requests: raw.requests_per_second,
                credits: raw.credits_per_second,
                burst: raw.burst,
                costs: raw.credit_costs,
            },
        ),
    })
}

fn check_url(c: &mut Checker<'_>, key: &str, given: String, schemes: &[&str]) -> Option<SecretRef> {
    let url = if schemes.iter().any(|scheme| given.starts_with(scheme)) {
        Some(SecretRef::Literal(Secret::new(given)))
    } else {
        SecretRef::parse(&given, c.dir)
    };
    if url.is_none() {
        let schemes: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}…")).collect();
        let remedy = format!("give {}, `env:NAME` or `file:PATH`", schemes.join(", "));
        c.problem(key, None, "not an endpoint URL", &remedy);
    }
    url
}

struct RawRate {
    requests: Option<u32>,
    credits: Option<u32>,
    burst: Option<u32>,
    costs: BTreeMap<String, u32>,
}

/// Credits that most providers count for a call of no special weight.
const USUAL_CREDITS: u32 = 20;

fn check_rate(c: &mut Checker<'_>, key: &dyn Fn(&str) -> String, raw: RawRate) -> Option<Rate> {
    let RawRate { requests, credits, burst, mut costs } = raw;
    if requests.is_some() && credits.is_some() {
        let remedy = "keep the one that the plan is limited by";
        c.problem(&key("credits_per_second"), None, "beside `requests_per_second`", remedy);
    }
    if credits.is_none() {
        if !costs.is_empty() {
            let remedy = "give `credits_per_second`, too, or remove the key";
            c.problem(&key("credit_costs"), None, "costs of credits without credits", remedy);
        }
        if requests.is_none() && burst.is_some() {
            let remedy = "give `requests_per_second` or `credits_per_second`, too";
            c.problem(&key("burst"), None, "a burst without a rate", remedy);
        }
    }
    let (name, given) = match (requests, credits) {
        (Some(requests), _) => ("requests_per_second", requests),
        (None, Some(credits)) => ("credits_per_second", credits),
        (None, None) => return None,
    };
    let per_second = c.bounded(&key(name), Some(given), 1, 1, 1_000_000);
    let burst = c.bounded(&key("burst"), burst, per_second, 1, 10_000_000);
    let default_cost =
        if credits.is_some() { costs.remove("default").unwrap_or(USUAL_CREDITS) } else { 1 };
    if let Some((method, cost)) = costs
        .iter()
        .map(|(method, cost)| (method.as_str(), *cost))
        .chain([("default", default_cost)])
        .find(|(_, cost)| *cost > burst)
    {
        let remedy = "raise `burst`: such a call could never be paid";
        c.problem(
            &key(&format!("credit_costs.{method}")),
            Some(&cost.to_string()),
            "more than a burst",
            remedy,
        );
    }
    Some(Rate { per_second, burst, costs, default_cost })
}

pub(super) fn check_confirmations(
    c: &mut Checker<'_>,
    key: &str,
    confirmations: Confirmations,
    finality_depth: u64,
) {
    if let Confirmations::Blocks(blocks) = confirmations
        && blocks > finality_depth
    {
        c.problem(
            key,
            Some(&blocks.to_string()),
            "deeper than the chain's finality_depth",
            &format!("give at most {finality_depth}, or raise finality_depth"),
        );
    }
}
