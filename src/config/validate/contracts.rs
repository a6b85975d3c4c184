//! Watched contracts.

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use alloy::primitives::Address;

use super::{Checker, chains::check_confirmations};
use crate::{
    config::{
        Calls, Chain, Confirmations, Contract, ContractKind, Creation, Delivery, GovernorClock,
        GovernorCounting, GovernorGroup, Place, abi,
        files::{Unusable, read_bounded},
        raw::{RawContract, RawCreation, RawGroup},
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
    // The place in the file, and whether a start is given.
    let mut places = Vec::new();
    let mut votes = Vec::new();
    for (i, contract) in raw.into_iter().enumerate() {
        let key = |part: &str| format!("contracts[{i}].{part}");
        let name = c.name(&key("name"), &contract.name, &mut names);
        let chain = c.reference(&key("chain"), &contract.chain, "chain", chain_names);
        let place = match (contract.address, contract.created_by) {
            (Some(address), None) => check_address(c, &key("address"), &address).map(Place::At),
            (None, Some(creation)) => {
                check_creation(c, &key("created_by"), creation, contract.kind).map(Place::CreatedBy)
            }
            (None, None) => {
                let remedy = "give its address, or the event that tells it in `created_by`";
                c.problem(&key("address"), None, "this key is missing", remedy);
                None
            }
            (Some(_), Some(_)) => {
                let why = "a contract has an address, or is created by another";
                c.problem(&key("created_by"), None, why, "remove one of the two keys");
                None
            }
        };
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
        let of_governors = [
            ("counting", contract.counting.is_some()),
            ("grace_period_s", contract.grace_period_s.is_some()),
        ];
        for (part, _) in of_governors.iter().filter(|(_, given)| *given) {
            if !contract.kind.is_governor() {
                c.problem(&key(part), None, "only governors have proposals", "remove the key");
            }
        }
        if let Some(seconds) = contract.grace_period_s.filter(|it| !GRACE_S.contains(it)) {
            let why = "a grace period is from a minute to a year";
            let remedy = "write what GRACE_PERIOD() of its timelock says, in seconds: 1209600";
            c.problem(&key("grace_period_s"), Some(&seconds.to_string()), why, remedy);
        }
        let clock = contract.clock.unwrap_or(GovernorClock::Block);
        let counting = contract.counting.unwrap_or(match contract.kind {
            ContractKind::GovernorBravo | ContractKind::GovernorAlpha => GovernorCounting::Bravo,
            ContractKind::Nouns => GovernorCounting::Nouns,
            ContractKind::OptimismGovernor => GovernorCounting::Word,
            _ => GovernorCounting::Standard,
        });
        if counting == GovernorCounting::Word && clock == GovernorClock::Timestamp {
            let why = "which block is the first after a deadline in seconds, nothing tells";
            let remedy = "choose another counting, or clock = \"block\"";
            c.problem(&key("counting"), Some("word"), why, remedy);
        }
        if contract.provisional && matches!(place, Some(Place::CreatedBy(_))) {
            let why = "what a factory creates is known only once it is confirmed";
            c.problem(&key("provisional"), Some("true"), why, "remove the key");
        }
        let calls = contract.calls.map(|calls| Calls {
            unlock: calls.unlock,
            batch: calls.batch,
            has: calls.has,
            revoke: calls.revoke,
        });
        let delivery = contract.delivery.unwrap_or_default();
        if contract.kind == ContractKind::Achievements {
            let blind = calls.as_ref().is_some_and(|calls| calls.has.is_none());
            if blind && delivery == Delivery::ExactlyOnce {
                let why = "without `has` nothing tells for sure what landed";
                let remedy =
                    "give `calls.has`, or choose delivery = \"at-most-once\" or \"at-least-once\"";
                c.problem(&key("calls.has"), None, why, remedy);
            }
        } else if calls.is_some() || contract.delivery.is_some() {
            let part = if calls.is_some() { "calls" } else { "delivery" };
            c.problem(&key(part), None, "only kind `achievements` is called", "remove the key");
        }
        let on = chains.iter().find(|known| Some(&known.name) == chain.as_ref());
        let inherited = on.map_or(Confirmations::Finalized, |chain| chain.confirmations);
        let confirmations = contract.confirmations.unwrap_or(inherited);
        if let Some(on) = on {
            check_confirmations(c, &key("confirmations"), confirmations, on.finality_depth);
        }
        if let (Some(name), Some(chain), Some(place)) = (name, chain, place) {
            places.push((i, contract.start_block.is_some()));
            votes.push((i, contract.votes));
            contracts.push(Contract {
                name,
                chain,
                place,
                kind: contract.kind,
                abi,
                start_block: contract.start_block.unwrap_or(0),
                confirmations,
                clock,
                counting,
                grace_period_s: contract.grace_period_s.or_else(|| usual_grace(contract.kind)),
                votes: None,
                provisional: contract.provisional,
                calls,
                delivery,
            });
        }
    }
    check_factories(c, &mut contracts, &places, &names);
    check_votes(c, &mut contracts, votes, &names);
    (contracts, names)
}

/// How long a queued proposal may wait: from a minute to a year.
const GRACE_S: RangeInclusive<u64> = 60..=31_536_000;

/// `GRACE_PERIOD()` of Compound's timelock, and of those that were made from it.
fn usual_grace(kind: ContractKind) -> Option<u64> {
    let has = matches!(kind, ContractKind::GovernorBravo | ContractKind::GovernorAlpha);
    has.then_some(14 * 24 * 60 * 60)
}

/// Resolves whose votes governors count.
fn check_votes(
    c: &mut Checker<'_>,
    contracts: &mut [Contract],
    votes: Vec<(usize, Option<String>)>,
    names: &BTreeSet<Name>,
) {
    for (at, (i, given)) in votes.into_iter().enumerate() {
        let Some(given) = given else { continue };
        let key = format!("contracts[{i}].votes");
        let Some(name) = c.reference(&key, &given, "contract", names) else { continue };
        let Some(governor) = contracts.get(at) else { continue };
        let named = contracts.iter().find(|contract| contract.name == name);
        let fits = |it: &&Contract| {
            matches!(it.kind, ContractKind::Votes | ContractKind::Erc721) && it.address().is_some()
        };
        let counts = matches!(
            governor.kind,
            ContractKind::Governor | ContractKind::GovernorBravo | ContractKind::GovernorAlpha
        );
        let problem = if !counts {
            let why = "only kinds `governor`, `governor_bravo` and `governor_alpha` count the \
                       votes at a proposal's start";
            Some((why, "remove the key"))
        } else if !named.is_some_and(|it| fits(&it)) {
            Some(("it has no votes", "name a contract of kind `votes` or `erc721` with an address"))
        } else if named.is_some_and(|it| it.chain != governor.chain) {
            Some(("it is on another chain", "name the contract that the governor reads"))
        } else {
            None
        };
        match (problem, contracts.get_mut(at)) {
            (Some((why, remedy)), _) => c.problem(&key, Some(&given), why, remedy),
            (None, Some(governor)) => governor.votes = Some(name),
            (None, None) => {}
        }
    }
}

fn check_creation(
    c: &mut Checker<'_>,
    key: &str,
    creation: RawCreation,
    kind: ContractKind,
) -> Option<Creation> {
    if kind == ContractKind::Achievements {
        let why = "achievements land on one contract";
        c.problem(key, None, why, "give the contract's address");
        return None;
    }
    let mut name = |part: &str, text: &str| match Name::new(text) {
        Ok(name) => Some(name),
        Err(_) => {
            let remedy = "give the name of a contract, or of an event in snake_case";
            c.problem(&format!("{key}.{part}"), Some(text), "not a name", remedy);
            None
        }
    };
    let contract = name("contract", &creation.contract);
    let event = name("event", &creation.event);
    Some(Creation { contract: contract?, event: event?, field: creation.field })
}

/// Factories must be there, on the same chain, and come to an end. Who gives no
/// start begins where its factory does.
fn check_factories(
    c: &mut Checker<'_>,
    contracts: &mut [Contract],
    places: &[(usize, bool)],
    names: &BTreeSet<Name>,
) {
    let starts: Vec<Option<u64>> =
        (0..contracts.len()).map(|index| first_block(contracts, places, index)).collect();
    for (index, (start, (i, _))) in starts.into_iter().zip(places).enumerate() {
        let Some(contract) = contracts.get(index) else { continue };
        let Place::CreatedBy(creation) = &contract.place else { continue };
        let key = format!("contracts[{i}].created_by.contract");
        let factory = creation.contract.as_str();
        let Some(found) = c.reference(&key, factory, "contract", names) else { continue };
        let elsewhere = contracts.iter().any(|k| k.name == found && k.chain != contract.chain);
        match start {
            _ if elsewhere => {
                let why = "the factory is on another chain";
                c.problem(&key, Some(factory), why, "name a contract of the same chain");
            }
            None => {
                let why = "the contract would create itself";
                c.problem(&key, Some(factory), why, "name the factory's own contract");
            }
            Some(start) => {
                if let Some(contract) = contracts.get_mut(index) {
                    contract.start_block = start;
                }
            }
        }
    }
}

/// Where a contract's logs begin: where it says so, else where its factory's
/// do. None for one that is behind itself.
fn first_block(contracts: &[Contract], places: &[(usize, bool)], index: usize) -> Option<u64> {
    let mut at = index;
    let mut start = None;
    for _ in 0..=contracts.len() {
        let contract = contracts.get(at)?;
        if places.get(at).is_some_and(|(_, given)| *given) {
            start = start.or(Some(contract.start_block));
        }
        let Place::CreatedBy(creation) = &contract.place else {
            return start.or(Some(contract.start_block));
        };
        match contracts.iter().position(|other| other.name == creation.contract) {
            Some(factory) => at = factory,
            // That it is not there is told by its name.
            None => return start.or(Some(0)),
        }
    }
    None
}

pub(super) fn check_groups(
    c: &mut Checker<'_>,
    raw: Vec<RawGroup>,
    contracts: &[Contract],
    contract_names: &BTreeSet<Name>,
) -> Vec<GovernorGroup> {
    // Rules name groups as they name contracts.
    let (mut taken, mut grouped) = (contract_names.clone(), BTreeSet::new());
    let mut groups = Vec::new();
    for (i, group) in raw.into_iter().enumerate() {
        let key = |part: &str| format!("governor_groups[{i}].{part}");
        let name = c.name(&key("name"), &group.name, &mut taken);
        if group.members.is_empty() {
            let remedy = "list the governors, the first one first";
            c.problem(&key("members"), None, "a group without members", remedy);
        }
        let mut members = Vec::new();
        for member in &group.members {
            let Some(found) = c.reference(&key("members"), member, "contract", contract_names)
            else {
                continue;
            };
            let kind = contracts.iter().find(|known| known.name == found).map(|known| known.kind);
            if kind.is_some_and(|kind| !kind.is_governor()) {
                let remedy = "name contracts of proposals and votes";
                c.problem(&key("members"), Some(member), "not a governor", remedy);
            }
            if !grouped.insert(found.clone()) {
                let remedy = "leave it in one";
                c.problem(&key("members"), Some(member), "it is in a group already", remedy);
            }
            members.push(found);
        }
        groups.extend(name.map(|name| GovernorGroup { name, members }));
    }
    groups
}

pub(super) fn check_address(c: &mut Checker<'_>, key: &str, text: &str) -> Option<Address> {
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
    match abi::parse(&text) {
        Ok(abi) => Some(abi),
        Err(why) => {
            let remedy = "give a JSON array of ABI items, or an artifact with an `abi` member";
            c.problem(key, Some(&shown), why, remedy);
            None
        }
    }
}
