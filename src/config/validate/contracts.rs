//! Watched contracts.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use alloy::primitives::Address;

use super::{Checker, chains::check_confirmations};
use crate::{
    config::{
        Chain, Confirmations, Contract, GovernorClock,
        files::{Unusable, read_bounded},
        raw::{ContractKind, RawContract},
    },
    domain::Name,
};

pub(super) fn check_contracts(
    c: &mut Checker<'_>,
    raw: Vec<RawContract>,
    chains: &[Chain],
    chain_names: &BTreeSet<Name>,
) -> (Vec<Contract>, BTreeSet<Name>) {
    let mut names = BTreeSet::new();
    let mut contracts = Vec::new();
    for (i, contract) in raw.into_iter().enumerate() {
        let key = |part: &str| format!("contracts[{i}].{part}");
        let name = c.name(&key("name"), &contract.name, &mut names);
        let chain = c.reference(&key("chain"), &contract.chain, "chain", chain_names);
        let address = check_address(c, &key("address"), &contract.address);
        let abi = match (contract.kind, contract.abi) {
            (ContractKind::Abi, Some(path)) => read_abi(c, &key("abi"), &path),
            (ContractKind::Abi, None) => {
                let remedy = "name the ABI's JSON file";
                c.problem(&key("abi"), None, "kind `abi` needs an ABI", remedy);
                None
            }
            (_, Some(_)) => {
                c.problem(&key("abi"), None, "this kind brings its own ABI", "remove the key");
                None
            }
            (_, None) => None,
        };
        if contract.clock.is_some() && contract.kind != ContractKind::Governor {
            c.problem(&key("clock"), None, "only kind `governor` has a clock", "remove the key");
        }
        let on = chains.iter().find(|known| Some(&known.name) == chain.as_ref());
        let inherited = on.map_or(Confirmations::Finalized, |chain| chain.confirmations);
        let confirmations = contract.confirmations.unwrap_or(inherited);
        if let Some(on) = on {
            check_confirmations(c, &key("confirmations"), confirmations, on.finality_depth);
        }
        if let (Some(name), Some(chain), Some(address)) = (name, chain, address) {
            contracts.push(Contract {
                name,
                chain,
                address,
                kind: contract.kind,
                abi,
                start_block: contract.start_block,
                confirmations,
                clock: contract.clock.unwrap_or(GovernorClock::Block),
                provisional: contract.provisional,
            });
        }
    }
    (contracts, names)
}

fn check_address(c: &mut Checker<'_>, key: &str, text: &str) -> Option<Address> {
    let lower = text.to_lowercase();
    let hex = text.strip_prefix("0x").unwrap_or_default();
    let mixed =
        hex.bytes().any(|b| b.is_ascii_uppercase()) && hex.bytes().any(|b| b.is_ascii_lowercase());
    match lower.parse::<Address>() {
        Ok(address) if text.starts_with("0x") && address != Address::ZERO => {
            if mixed && Address::parse_checksummed(text, None).is_err() {
                let right = format!("if it is right, write it as {}", address.to_checksum(None));
                c.problem(key, Some(text), "its EIP-55 checksum is wrong: a typo?", &right);
                return None;
            }
            Some(address)
        }
        _ => {
            c.problem(key, Some(text), "not an address", "give 0x and 40 hex digits, not all zero");
            None
        }
    }
}

/// Artifacts hold bytecode and more besides the ABI; none is this large.
const ABI_BYTES_MAX: u64 = 16 << 20;

fn read_abi(c: &mut Checker<'_>, key: &str, path: &Path) -> Option<alloy::json_abi::JsonAbi> {
    let full: PathBuf = c.dir.join(path);
    let shown = path.display().to_string();
    let text = match read_bounded(&full, ABI_BYTES_MAX) {
        Ok(text) => text,
        Err(Unusable { why, remedy }) => {
            c.problem(key, Some(&shown), &format!("{}: {why}", full.display()), remedy);
            return None;
        }
    };
    // Either a bare ABI array, or a compiler artifact with an `abi` member.
    let parsed = serde_json::from_str::<serde_json::Value>(&text).ok().and_then(|json| {
        let abi = json.get("abi").cloned().unwrap_or(json);
        serde_json::from_value(abi).ok()
    });
    if parsed.is_none() {
        let remedy = "give a JSON array of ABI items, or an artifact with an `abi` member";
        c.problem(key, Some(&shown), "no ABI in this file", remedy);
    }
    parsed
}
