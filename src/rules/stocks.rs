//! Compiling what users must have: tokens, amounts, delegators.

use alloy::primitives::{B256, U256};

use super::{
    catalog::{Catalog, CatalogContract},
    conditions::{Conditions, contract},
    document::{Errors, Node, Table},
    error::Problem,
    fields::{Named, event, field_type, one_value, wrong_field},
    holdings::DELEGATED,
    limits, literal,
    number::Number,
    spans,
    tree::{EventKind, Having, Holding, HoldsLeaf},
};
use crate::domain::{FieldType, Name, Value};

/// An event that a contract must have, with fields of these types.
type Needed = (&'static str, &'static [(&'static str, FieldType)]);

const TO: (&str, FieldType) = ("to", FieldType::Address);
const FROM: (&str, FieldType) = ("from", FieldType::Address);
const TOKEN: (&str, FieldType) = ("token_id", FieldType::Uint);
const VALUE: (&str, FieldType) = ("value", FieldType::Uint);
const ID: (&str, FieldType) = ("id", FieldType::Uint);

const TOKEN_EVENTS: [Needed; 3] =
    [("minted", &[TO, TOKEN]), ("transferred", &[FROM, TO, TOKEN]), ("burned", &[FROM, TOKEN])];
const AMOUNT_EVENTS: [Needed; 3] =
    [("minted", &[TO, VALUE]), ("transferred", &[FROM, TO, VALUE]), ("burned", &[FROM, VALUE])];
const ITEM_EVENTS: [Needed; 3] = [
    ("minted", &[TO, ID, VALUE]),
    ("transferred", &[FROM, TO, ID, VALUE]),
    ("burned", &[FROM, ID, VALUE]),
];
const DELEGATION_EVENTS: [Needed; 1] =
    [(DELEGATED, &[("delegator", FieldType::Address), ("to_delegate", FieldType::Address)])];

const ATTESTATION: &[(&str, FieldType)] = &[
    ("recipient", FieldType::Address),
    ("attester", FieldType::Address),
    ("uid", FieldType::Bytes),
    ("schema_uid", FieldType::Bytes),
];
const ATTESTATION_EVENTS: [Needed; 2] = [("attested", ATTESTATION), ("revoked", ATTESTATION)];

impl Conditions<'_, '_> {
    /// Something in the user's hands.
    pub(super) fn holds(&self, node: &Node<'_>, errors: &mut Errors<'_>) -> Option<HoldsLeaf> {
        let remedy = "write holds = { nft = \"<contract>\", at_least = 1, for = \"90d\" }, or \
                      { token = \"<contract>\", at_least = \"100e18\" }";
        let table = node.table(errors, remedy)?;
        let held_for = held_for(&table, errors);
        let tokens = self.holding(&table, &["for"], remedy, errors)?;
        Some(HoldsLeaf { tokens, held_for: held_for? })
    }

    /// Others who let the user vote.
    pub(super) fn delegators(&self, node: &Node<'_>, errors: &mut Errors<'_>) -> Option<HoldsLeaf> {
        let remedy =
            "write delegators = { of = \"<contract with votes>\", at_least = 5, for = \"30d\" }";
        let table = node.table(errors, remedy)?;
        table.deny_others(&["of", "at_least", "for"], errors);
        let held_for = held_for(&table, errors);
        let at_least = match table.get("at_least") {
            Some(node) => node.count(errors, limits::COUNT),
            None => Some(1),
        };
        let of = table.require("of", errors, remedy)?;
        let (name, known) = self.holdable(&of, remedy, errors)?;
        let moves = if is_amount(known) { AMOUNT_EVENTS } else { TOKEN_EVENTS };
        let delegations = has_all(name, known, &DELEGATION_EVENTS, &of, errors);
        if !delegations || !has_all(name, known, &moves, &of, errors) {
            return None;
        }
        let (what, contract, at_least) = (Having::Delegators, name.clone(), U256::from(at_least?));
        Some(HoldsLeaf {
            tokens: Holding { what, contract, at_least, place: Holding::UNPLACED },
            held_for: held_for?,
        })
    }

    /// What others attest of the user.
    pub(super) fn attested(&self, node: &Node<'_>, errors: &mut Errors<'_>) -> Option<HoldsLeaf> {
        let remedy = "write attested = { of = \"<contract of kind eas>\", schema = \"0x…\", attester = \"0x…\" }";
        let table = node.table(errors, remedy)?;
        table.deny_others(&["of", "schema", "attester", "at_least", "for"], errors);
        let held_for = held_for(&table, errors);
        let at_least = match table.get("at_least") {
            Some(node) => node.count(errors, limits::COUNT),
            None => Some(1),
        };
        // Whoever likes can attest anything.
        let attester =
            table.require("attester", errors, remedy).and_then(|node| {
                match one_value(&FieldType::Address, &node, errors)? {
                    Value::Address(address) => Some(address),
                    _ => None,
                }
            });
        let schema = schema(&table, remedy, errors);
        let of = table.require("of", errors, remedy)?;
        let (name, known) = self.holdable(&of, remedy, errors)?;
        if !attests(name, known, &of, errors) {
            return None;
        }
        let what = Having::Attestations { schema: schema?, attester: attester? };
        let (contract, at_least) = (name.clone(), U256::from(at_least?));
        Some(HoldsLeaf {
            tokens: Holding { what, contract, at_least, place: Holding::UNPLACED },
            held_for: held_for?,
        })
    }

    /// So much of a contract that says whose it is.
    pub(super) fn holding(
        &self,
        table: &Table<'_>,
        others: &[&str],
        remedy: &str,
        errors: &mut Errors<'_>,
    ) -> Option<Holding> {
        table.deny_others(&[&["nft", "token", "id", "at_least"], others].concat(), errors);
        let id = match table.get("id") {
            Some(node) => uint(&node, errors).map(Some),
            None => Some(None),
        };
        match (table.get("nft"), table.get("token")) {
            (Some(_), Some(node)) => {
                let problem = Problem::Conflict { keys: vec!["nft", "token"] };
                errors.report(&node, problem, remedy);
                None
            }
            (None, Some(node)) => {
                let at_least = table.require("at_least", errors, remedy);
                let at_least = at_least.and_then(|node| amount(&node, errors));
                if let Some(id) = table.get("id") {
                    let problem = Problem::Conflict { keys: vec!["id", "token"] };
                    errors.report(&id, problem, "ids are of NFTs: write nft = \"<contract>\"");
                }
                let (name, known) = self.holdable(&node, remedy, errors)?;
                let complete = has_all(name, known, &AMOUNT_EVENTS, &node, errors);
                let (what, contract) = (Having::Amount, name.clone());
                complete.then_some(Holding {
                    what,
                    contract,
                    at_least: at_least?,
                    place: Holding::UNPLACED,
                })
            }
            (nft, None) => {
                let at_least = match table.get("at_least") {
                    Some(node) => node.count(errors, limits::COUNT),
                    None => Some(1),
                };
                let Some(nft) = nft else {
                    table.require("nft", errors, remedy);
                    return None;
                };
                let (name, known) = self.holdable(&nft, remedy, errors)?;
                let is_item = known.event("transferred").is_some_and(|it| it.field(ID.0).is_some());
                let what = match (is_item, id?) {
                    (true, None) => {
                        table.require("id", errors, "say which type of its tokens: id = 3");
                        return None;
                    }
                    (true, Some(id)) => Having::Item(id),
                    (false, None) => Having::Tokens,
                    (false, Some(id)) => Having::Token(id),
                };
                let needed = if is_item { &ITEM_EVENTS } else { &TOKEN_EVENTS };
                let complete = has_all(name, known, needed, &nft, errors);
                let contract = name.clone();
                complete.then_some(Holding {
                    what,
                    contract,
                    at_least: U256::from(at_least?),
                    place: Holding::UNPLACED,
                })
            }
        }
    }

    /// A contract with an address of its own.
    fn holdable(
        &self,
        node: &Node<'_>,
        remedy: &str,
        errors: &mut Errors<'_>,
    ) -> Option<(&Name, &CatalogContract)> {
        holdable(self.catalog, node, remedy, errors)
    }
}

/// A contract with an address of its own.
pub(super) fn holdable<'c>(
    catalog: &'c Catalog,
    node: &Node<'_>,
    remedy: &str,
    errors: &mut Errors<'_>,
) -> Option<(&'c Name, &'c CatalogContract)> {
    let text = node.text(errors, remedy)?;
    let (name, known) = contract(catalog, text, node, errors)?;
    if known.created {
        let problem = Problem::ManyAddresses { contract: name.to_string() };
        errors.report(node, problem, "name a contract that has an address of its own");
        return None;
    }
    Some((name, known))
}

/// The uid of a schema of attestations.
pub(super) fn schema(table: &Table<'_>, remedy: &str, errors: &mut Errors<'_>) -> Option<B256> {
    let node = table.require("schema", errors, remedy)?;
    let Value::Bytes(bytes) = one_value(&FieldType::Bytes, &node, errors)? else { return None };
    let schema = B256::try_from(bytes.as_ref()).ok();
    if schema.is_none() {
        let (number, needed) = (format!("{} bytes", bytes.len()), "32 bytes".to_owned());
        let problem = Problem::OutOfRange { number, min: needed.clone(), max: needed };
        errors.report(&node, problem, "give the schema's uid");
    }
    schema
}

/// Whether a contract says what is attested; reports what lacks.
pub(super) fn attests(
    name: &Name,
    contract: &CatalogContract,
    node: &Node<'_>,
    errors: &mut Errors<'_>,
) -> bool {
    has_all(name, contract, &ATTESTATION_EVENTS, node, errors)
}

fn is_amount(contract: &CatalogContract) -> bool {
    contract.event("transferred").is_some_and(|it| it.field(VALUE.0).is_some())
}

/// Whether a contract has events; reports what lacks.
fn has_all(
    name: &Name,
    contract: &CatalogContract,
    needed: &[Needed],
    node: &Node<'_>,
    errors: &mut Errors<'_>,
) -> bool {
    needed.iter().all(|(event_name, fields)| {
        event(name.as_str(), contract, event_name, node, errors).is_some_and(|schema| {
            let kind = EventKind { contract: name.clone(), event: schema.name.clone() };
            let named = [Named { kind, contract, schema }];
            fields.iter().all(|(field, needed)| {
                let found = field_type(&named, field, node, errors);
                if let Some(other) = found.as_ref().filter(|found| *found != needed) {
                    let needed = needed.to_string();
                    wrong_field(&named, field, other.clone(), &needed, node, errors);
                }
                found.as_ref() == Some(needed)
            })
        })
    })
}

/// For how many seconds; `None` when that was reported.
fn held_for(table: &Table<'_>, errors: &mut Errors<'_>) -> Option<Option<u64>> {
    match table.get("for") {
        Some(node) => spans::seconds(&node, errors).map(Some),
        None => Some(None),
    }
}

fn uint(node: &Node<'_>, errors: &mut Errors<'_>) -> Option<U256> {
    match literal::number(&FieldType::Uint, node.value) {
        Ok(Number::Uint(number)) => Some(number),
        Ok(Number::Int(_)) => None,
        Err((problem, remedy)) => {
            errors.report(node, problem, remedy);
            None
        }
    }
}

/// More than nothing: that everybody has.
fn amount(node: &Node<'_>, errors: &mut Errors<'_>) -> Option<U256> {
    let amount = uint(node, errors)?;
    if amount.is_zero() {
        let (min, max) = ("1".to_owned(), U256::MAX.to_string());
        errors.report(node, Problem::OutOfRange { number: "0".into(), min, max }, "ask for some");
        return None;
    }
    Some(amount)
}
