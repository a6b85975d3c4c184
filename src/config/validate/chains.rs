//! Chains and their endpoints.

use std::{collections::BTreeSet, time::Duration};

use super::Checker;
use crate::{
    config::{Chain, Confirmations, Endpoint, Secret, SecretRef, raw::RawChain},
    domain::Name,
};

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
        if chain.chain_id == 0 || !ids.insert(chain.chain_id) {
            let why = "not an EIP-155 id of its own";
            c.problem(&key("chain_id"), Some(&shown), why, "give each chain its id");
        }
        if chain.endpoints.is_empty() {
            let remedy = "add at least one `{ url = \"http://…\" }`";
            c.problem(&key("endpoints"), None, "a chain needs an endpoint", remedy);
        }
        let mut endpoints = Vec::new();
        for (j, endpoint) in chain.endpoints.into_iter().enumerate() {
            let key = |part: &str| format!("chains[{i}].endpoints[{j}].{part}");
            let literal =
                endpoint.url.starts_with("http://") || endpoint.url.starts_with("https://");
            let url = if literal {
                Some(SecretRef::Literal(Secret::new(endpoint.url)))
            } else {
                SecretRef::parse(&endpoint.url, c.dir)
            };
            let Some(url) = url else {
                let remedy = "give http://…, https://…, `env:NAME` or `file:PATH`";
                c.problem(&key("url"), None, "not an endpoint URL", remedy);
                continue;
            };
            endpoints.push(Endpoint {
                url,
                call_timeout: Duration::from_millis(c.bounded(
                    &key("call_timeout_ms"),
                    endpoint.call_timeout_ms,
                    10_000,
                    50,
                    120_000,
                )),
                max_concurrent: c.bounded(
                    &key("max_concurrent"),
                    endpoint.max_concurrent,
                    16,
                    1,
                    1024,
                ),
            });
        }
        let finality_depth =
            c.bounded(&key("finality_depth"), chain.finality_depth, 64, 1, 100_000);
        let confirmations = chain.confirmations.unwrap_or(Confirmations::Blocks(6));
        check_confirmations(c, &key("confirmations"), confirmations, finality_depth);
        let poll_interval = Duration::from_millis(c.bounded(
            &key("poll_interval_ms"),
            chain.poll_interval_ms,
            1000,
            10,
            600_000,
        ));
        let max_range = c.bounded(&key("max_range"), chain.max_range, 2000, 1, 1_000_000);
        if let Some(name) = name {
            chains.push(Chain {
                name,
                chain_id: chain.chain_id,
                endpoints,
                confirmations,
                finality_depth,
                poll_interval,
                max_range,
            });
        }
    }
    (chains, names)
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
