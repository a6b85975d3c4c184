//! Signers, their keys and limits.

use std::{collections::BTreeSet, time::Duration};

use alloy::primitives::{Address, U256};

use super::Checker;
use crate::{
    config::{
        KmsService, KmsSource, Signer, SignerKeySource,
        amount::parse_decimal,
        number::Number,
        raw::{RawKey, RawSigner},
        secrets::is_url,
    },
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
        let source = check_key(c, &key("key"), signer.key);
        let mut amount = |part: &str, given: Option<Number>, default, decimals| {
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

/// Where the key is: exactly one place, with what belongs to it.
fn check_key(c: &mut Checker<'_>, at: &str, raw: RawKey) -> Option<SignerKeySource> {
    let key = |part: &str| format!("{at}.{part}");
    let RawKey { keystore, passphrase, raw, aws_kms, gcp_kms, address, region, endpoint } = raw;
    let service = match (keystore, passphrase, raw, aws_kms, gcp_kms) {
        (Some(path), Some(passphrase), None, None, None) => {
            let source = c
                .secret(&key("passphrase"), &passphrase)
                .map(|passphrase| SignerKeySource::Keystore { path: c.dir.join(path), passphrase });
            return only_of_a_service(c, at, address, region, endpoint).and(source);
        }
        (None, None, Some(raw), None, None) => {
            let source = c.secret(&key("raw"), &raw).map(SignerKeySource::Raw);
            return only_of_a_service(c, at, address, region, endpoint).and(source);
        }
        (None, None, None, Some(name), None) => Some((KmsService::Aws, "aws_kms", name)),
        (None, None, None, None, Some(name)) => Some((KmsService::Gcp, "gcp_kms", name)),
        _ => None,
    };
    let Some((service, part, name)) = service else {
        let remedy = "give { keystore = \"…\", passphrase = \"env:…\" }, { raw = \"env:…\" }, \
                      { aws_kms = \"…\", address = \"0x…\" } or { gcp_kms = \"…\", address = \
                      \"0x…\" }";
        c.problem(at, None, "not one key", remedy);
        return None;
    };
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_whitespace) {
        let remedy = "give the key's name at the service, such as alias/meritd";
        c.problem(&key(part), None, "not a key's name", remedy);
    }
    if let (Some(region), KmsService::Gcp) = (&region, service) {
        let why = "only keys of AWS have a region of their own";
        c.problem(
            &key("region"),
            Some(region),
            why,
            "remove it: the location is in the key's name",
        );
    }
    if let Some(endpoint) = endpoint.as_deref().filter(|endpoint| !is_endpoint(endpoint)) {
        let remedy = "give https://host, or http://127.0.0.1:port for a stand-in";
        c.problem(&key("endpoint"), Some(endpoint), "not a service's URL", remedy);
    }
    let account = address.as_deref().and_then(|text| text.parse::<Address>().ok());
    let Some(address) = account else {
        let remedy = "give the key's account; `meritd keys address` asks the service for it";
        let why = if address.is_some() { "not an address" } else { "this key is missing" };
        c.problem(&key("address"), address.as_deref(), why, remedy);
        return None;
    };
    Some(SignerKeySource::Kms(KmsSource { service, key: name, address, region, endpoint }))
}

/// Longer than any ARN or resource name.
const NAME_BYTES_MAX: usize = 2048;

/// What would be passed over silently otherwise.
fn only_of_a_service(
    c: &mut Checker<'_>,
    at: &str,
    address: Option<String>,
    region: Option<String>,
    endpoint: Option<String>,
) -> Option<()> {
    let given = [("address", address), ("region", region), ("endpoint", endpoint)];
    let mut fine = Some(());
    for (part, value) in given {
        if let Some(value) = value {
            let why = "only a key of a key management service has it";
            c.problem(&format!("{at}.{part}"), Some(&value), why, "remove it");
            fine = None;
        }
    }
    fine
}

/// Credentials go there: in the clear only within this machine.
fn is_endpoint(text: &str) -> bool {
    let local = |url: reqwest::Url| {
        matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
            && url.scheme() == "http"
    };
    is_url(text, &["https"]) || text.parse().is_ok_and(local)
}
