//! Compiling a rule file against a catalog, reporting all that is wrong.

mod changes;
mod followed;
mod signers;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy::primitives::{B256, U256};
use toml::de::DeTable;

pub(super) use self::signers::signers;
use self::{
    changes::{Changes, changes},
    followed::{asked_of, followed},
};
use super::{
    achievement::achievements as compiled_achievements,
    canonical,
    catalog::{Catalog, CatalogContract},
    conditions::{contract, held_by},
    document::{Errors, Node, Table},
    error::{Problem, RuleError, suggest},
    fields::event,
    index::Index,
    limits,
    links::Links,
    literal,
    meter::Meters,
    model::{Achievement, ContractRef, RuleSet},
    number::Number,
    outcomes, prerequisites, ratio,
    seen::{NAME_REMEDY, Seen},
    tree::{Leaf, Over},
};
use crate::domain::{FieldType, Name};

pub(super) const SET_KEYS: [&str; 9] = [
    "id",
    "signer",
    "achievements_contract",
    "daily_budget",
    "on_change",
    "since",
    "shadow",
    "links",
    "achievements",
];

impl RuleSet {
    /// Compiles the text of a rule file. `file` is named in errors.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of its lines.
    pub fn compile(file: &str, text: &str, catalog: &Catalog) -> Result<Self, Vec<RuleError>> {
        if text.len() > limits::FILE_BYTES {
            let problem = Problem::TooLarge { bytes: text.len(), max: limits::FILE_BYTES };
            let mut errors = Errors::new(file, "");
            errors.push(0, String::new(), "", problem, "split it into several sets".to_owned());
            return Err(errors.list);
        }
        let mut errors = Errors::new(file, text);
        let (document, syntax) = DeTable::parse_recoverable(text);
        for error in &syntax {
            let span = error.span().unwrap_or_default();
            let problem = Problem::Syntax { message: error.message().to_owned() };
            let remedy = "see https://toml.io".to_owned();
            errors.push(span.start, String::new(), "", problem, remedy);
        }
        // What a broken document says is guesswork: mend the syntax first.
        let compiled = syntax.is_empty().then(|| {
            let root = Table { path: String::new(), start: 0, entries: document.get_ref() };
            set(&root, catalog, &mut errors)
        });
        errors.list.sort_by_key(|error| error.line);
        match compiled.flatten() {
            Some(set) if errors.list.is_empty() => Ok(set),
            _ => Err(errors.list),
        }
    }
}

fn set(root: &Table<'_>, catalog: &Catalog, errors: &mut Errors<'_>) -> Option<RuleSet> {
    root.deny_others(&SET_KEYS, errors);
    let id = root.require("id", errors, "give the set a stable name, like id = \"participation\"");
    let id = id.and_then(|node| node.name(errors, NAME_REMEDY));
    let remedy = "name the signer that lands this set's achievements";
    let default_signer = root.get("signer").map(|node| signers(&node, catalog, errors));
    let contract = root
        .require("achievements_contract", errors, "name the contract of kind achievements")
        .and_then(|node| achievements_contract(&node, catalog, errors));
    let daily_budget = match root.get("daily_budget") {
        Some(node) => budget(&node, errors).map(Some),
        None => Some(None),
    };
    let changes = changes(root, errors);
    let links = match root.get("links") {
        Some(node) => Links::compile(&node, catalog, errors),
        None => Some(Links::default()),
    };
    let remedy_list = "add [[achievements]] with name, id and when";
    let nodes = root
        .require("achievements", errors, remedy_list)
        .and_then(|node| node.list(errors, "achievements", limits::ACHIEVEMENTS, remedy_list))
        .unwrap_or_default();

    let mut seen = Seen::default();
    let mut meters = Meters::default();
    let mut achievements = Vec::new();
    let mut whole = true;
    for node in &nodes {
        let compiled = node.table(errors, remedy_list).and_then(|table| {
            if default_signer.is_none() && table.get("signer").is_none() {
                table.require("signer", errors, remedy);
            }
            let signers = default_signer.as_ref();
            compiled_achievements(&table, catalog, signers, &mut seen, &mut meters, errors)
        });
        match compiled {
            Some(tiers) => achievements.extend(tiers),
            None => whole = false,
        }
    }
    let requires = seen.requires.values().any(|requires| !requires.is_empty());
    if let (Some(contract), true) = (&contract, requires) {
        let node = root.get("achievements_contract")?;
        let known = catalog.contracts.get(&contract.name)?;
        for name in prerequisites::EVENTS {
            event(contract.name.as_str(), known, name, &node, errors);
        }
    }
    prerequisites::check(&seen.requires, &seen.names, errors);
    for (name, node) in seen.requires.values().flatten() {
        if achievements.iter().any(|it: &Achievement| it.name == *name && it.notify) {
            let problem = Problem::NeverLands { achievement: name.to_string() };
            errors.report(node, problem, "let it land, or remove the prerequisite");
        }
    }
    let (id, contract, daily_budget) = (id?, contract?, daily_budget?);
    let Changes { on_change, since, shadow } = changes?;
    let links = links?;
    if !whole || !errors.list.is_empty() {
        return None;
    }
    achievements.sort_by(|a: &Achievement, b| a.name.cmp(&b.name));
    let (mut meters, moved) = meters.finish();
    let moved_to = |place: usize| moved.get(place).copied().unwrap_or(place);
    for leaf in achievements.iter_mut().flat_map(|achievement| &mut achievement.leaves) {
        match leaf {
            Leaf::Events(leaf) => leaf.meter = moved_to(leaf.meter),
            Leaf::Ratio(leaf) => {
                leaf.meter = moved_to(leaf.meter);
                if let Over::Own(meter) = &mut leaf.over {
                    *meter = moved_to(*meter);
                }
            }
            // Whoever has a wallet on it is on it.
            Leaf::Listed(leaf) => {
                leaf.users = Arc::new(leaf.users.iter().map(|user| links.listed(*user)).collect());
            }
            Leaf::Holds(_) => {}
        }
    }
    let tallies = ratio::tallies(&mut meters, &mut achievements);
    links.fit(&achievements, root, errors)?;
    let mut read: BTreeSet<Name> =
        achievements.iter().flat_map(|achievement| held_by(&achievement.leaves)).collect();
    read.extend(links.contract().cloned());
    for tally in &tallies {
        read.extend(tally.kinds.iter().map(|kind| kind.contract.clone()));
    }
    for meter in &meters {
        read.extend(meter.looks_at().map(|kind| kind.contract.clone()));
        let held = meter.signals().filter_map(|signal| signal.holding.as_ref());
        read.extend(held.map(|holding| holding.contract.clone()));
    }
    if achievements.iter().any(|achievement| !achievement.requires.is_empty()) {
        read.insert(contract.name.clone());
    }
    // Who could have voted says another contract than the governor.
    for kind in asked_of(&meters, &tallies).filter(|it| it.event.as_str() == outcomes::DUE) {
        let known = catalog.contracts.get(&kind.contract);
        read.extend(known.and_then(|known| known.votes.clone()));
    }
    let read: BTreeMap<Name, ContractRef> = read
        .into_iter()
        .filter_map(|name| {
            let known = catalog.contracts.get(&name)?;
            Some((name.clone(), resolved(&name, known)))
        })
        .collect();
    let followed = followed(root, &meters, &tallies, &read, catalog, errors)?;
    let index = Index::of(&achievements, &meters, &tallies);
    index.settle_places(&mut achievements, &mut meters);
    let version = B256::ZERO;
    let mut set = RuleSet {
        id,
        contract,
        daily_budget,
        since,
        on_change,
        shadow,
        links,
        achievements,
        meters,
        read,
        followed,
        tallies,
        index,
        version,
    };
    set.version = canonical::version(&set);
    Some(set)
}

/// Wei that landing this set's achievements may cost in a UTC day.
fn budget(node: &Node<'_>, errors: &mut Errors<'_>) -> Option<U256> {
    let remedy = "write it like \"0.05 ether\", more than 0";
    match literal::number(&FieldType::Uint, node.value) {
        Ok(Number::Uint(wei)) if !wei.is_zero() => return Some(wei),
        Ok(_) => {
            let (min, max) = ("1".to_owned(), U256::MAX.to_string());
            errors.report(node, Problem::OutOfRange { number: "0".into(), min, max }, remedy);
        }
        Err((problem, _)) => errors.report(node, problem, remedy),
    }
    None
}

fn resolved(name: &Name, contract: &CatalogContract) -> ContractRef {
    let (chain_id, address) = (contract.chain_id, contract.address);
    ContractRef { name: name.clone(), chain_id, address }
}

fn achievements_contract(
    node: &Node<'_>,
    catalog: &Catalog,
    errors: &mut Errors<'_>,
) -> Option<ContractRef> {
    let name = node.text(errors, "name the contract of kind achievements")?;
    let (name, contract) = contract(catalog, name, node, errors)?;
    if contract.kind != CatalogContract::ACHIEVEMENTS {
        let fitting = catalog
            .contracts
            .iter()
            .filter(|(_, other)| other.kind == CatalogContract::ACHIEVEMENTS)
            .map(|(name, _)| name.as_str());
        let remedy = suggest(name.as_str(), fitting, "configure one");
        let problem = Problem::WrongKind {
            contract: name.to_string(),
            kind: contract.kind.clone(),
            needed: CatalogContract::ACHIEVEMENTS,
        };
        errors.report(node, problem, remedy);
        return None;
    }
    Some(resolved(name, contract))
}
