//! Signers, their keys and limits.

use std::{collections::BTreeSet, time::Duration};

use alloy::primitives::U256;

use super::Checker;
use crate::{
    config::{Signer, SignerKeySource, amount::parse_decimal, raw::RawSigner},
    domain::Name,
};

pub(super) fn check_signers(
    c: &mut Checker<'_>,
    raw: Vec<RawSigner>,
    chain_names: &BTreeSet<Name>,
) -> Vec<Signer> {
    let mut names = BTreeSet::new();
    let mut signers = Vec::new();
    for (i, signer) in raw.into_iter().enumerate() {
        let key = |part: &str| format!("signers[{i}].{part}");
        let name = c.name(&key("name"), &signer.name, &mut names);
        let chain = c.reference(&key("chain"), &signer.chain, "chain", chain_names);
        let source = match (signer.key.keystore, signer.key.passphrase, signer.key.raw) {
            (Some(path), Some(passphrase), None) => c
                .secret(&key("key.passphrase"), &passphrase)
                .map(|passphrase| SignerKeySource::Keystore { path: c.dir.join(path), passphrase }),
            (None, None, Some(raw)) => c.secret(&key("key.raw"), &raw).map(SignerKeySource::Raw),
            _ => {
                let remedy =
                    "give { keystore = \"…\", passphrase = \"env:…\" } or { raw = \"env:…\" }";
                c.problem(&key("key"), None, "not one key", remedy);
                None
            }
        };
        let mut amount =
            |part: &str, given: Option<crate::config::raw::Number>, default, decimals| {
                let text = given.map_or_else(|| String::from(default), |number| number.0);
                parse_decimal(&text, decimals).filter(|wei| !wei.is_zero()).unwrap_or_else(|| {
                    let remedy = "give a decimal number above 0, in quotes when it has a point";
                    c.problem(&key(part), Some(&text), "not an amount", remedy);
                    U256::ZERO
                })
            };
        let max_fee_per_gas = amount("max_fee_gwei", signer.max_fee_gwei, "100", 9);
        let daily_budget = amount("daily_budget_eth", signer.daily_budget_eth, "0.5", 18);
        let gas_buffer_percent = signer
            .gas_buffer_percent
            .map(|given| c.bounded(&key("gas_buffer_percent"), Some(given), 25, 20, 30));
        let price_margin_percent =
            c.bounded(&key("price_margin_percent"), signer.price_margin_percent, 10, 0, 100);
        let confirmations = c.bounded(&key("confirmations"), signer.confirmations, 3, 1, 10_000);
        let batch_max_items =
            c.bounded(&key("batch.max_items"), signer.batch.max_items, 50, 1, 500);
        let batch_max_wait = Duration::from_millis(c.bounded(
            &key("batch.max_wait_ms"),
            signer.batch.max_wait_ms,
            2000,
            0,
            3_600_000,
        ));
        let max_in_flight = c.bounded(&key("max_in_flight"), signer.max_in_flight, 8, 1, 64);
        let bump_after = Duration::from_secs(c.bounded(
            &key("bump_after_s"),
            signer.bump_after_s,
            60,
            1,
            86_400,
        ));
        let give_up_after = signer.give_up_after_s.map(|given| {
            let seconds = c.bounded(&key("give_up_after_s"), Some(given), 3600, 1, 604_800);
            Duration::from_secs(seconds)
        });
        let reconcile_every = Duration::from_secs(c.bounded(
            &key("reconcile_every_s"),
            signer.reconcile_every_s,
            600,
            1,
            86_400,
        ));
        if let (Some(name), Some(chain), Some(source)) = (name, chain, source) {
            signers.push(Signer {
                name,
                chain,
                key: source,
                max_fee_per_gas,
                daily_budget,
                gas_buffer_percent,
                price_margin_percent,
                confirmations,
                batch_max_items,
                batch_max_wait,
                max_in_flight,
                bump_after,
                give_up_after,
                reconcile_every,
            });
        }
    }
    signers
}
