//! Compiling the `when` of an achievement.

use std::collections::BTreeSet;

use super::{
    catalog::{Catalog, CatalogContract},
    document::{Errors, Node, Table},
    error::{Problem, suggest},
    fields::{Named, event, field_type, measure, tests, wrong_field},
    limits,
    model::{Condition, EventKind, EventLeaf, HoldsLeaf, Leaf},
};
use crate::domain::{EventSchema, FieldType, Name};

const FORMS: [&str; 4] = ["event", "holds", "all", "any"];
const EVENT_KEYS: [&str; 6] = ["event", "subject", "where", "count", "distinct", "sum"];
const FORM_REMEDY: &str = "give exactly one of `event`, `holds`, `all`, `any`";
const EVENT_REMEDY: &str = "write \"<contract>.<event>\", or a list of such";

/// Compiles conditions, collecting their leaves.
pub(super) struct Conditions<'c> {
    pub(super) catalog: &'c Catalog,
    pub(super) leaves: Vec<Leaf>,
}

impl<'c> Conditions<'c> {
    /// `None` when anything in it was reported.
    pub(super) fn condition(
        &mut self,
        at: &Node<'_>,
        depth: usize,
        errors: &mut Errors<'_>,
    ) -> Option<Condition> {
        let table = at.table(errors, FORM_REMEDY)?;
        if depth > limits::DEPTH {
            let (what, max) = ("levels of `all` and `any`", limits::DEPTH);
            let problem = Problem::TooMany { what, count: depth, max };
            errors.report(at, problem, "flatten the condition");
            return None;
        }
        let forms: Vec<&'static str> =
            FORMS.into_iter().filter(|form| table.get(form).is_some()).collect();
        match forms.as_slice() {
            ["event"] => self.events(&table, errors).map(|leaf| self.leaf(Leaf::Events(leaf))),
            ["holds"] => {
                table.deny_others(&["holds"], errors);
                let leaf = self.holds(&table.get("holds")?, errors)?;
                Some(self.leaf(Leaf::Holds(leaf)))
            }
            [group @ ("all" | "any")] => {
                table.deny_others(&[group], errors);
                let remedy = "list conditions: [{ event = … }, { holds = … }]";
                let list = table.get(group)?.list(errors, "conditions", limits::ENTRIES, remedy)?;
                let members: Vec<Option<Condition>> =
                    list.iter().map(|node| self.condition(node, depth + 1, errors)).collect();
                let members = members.into_iter().collect::<Option<Vec<_>>>()?;
                Some(match *group {
                    "all" => Condition::All(members),
                    _ => Condition::Any(members),
                })
            }
            [] => {
                table.deny_others(&[FORMS.as_slice(), &EVENT_KEYS].concat(), errors);
                errors.report(at, Problem::Missing { key: "event" }, FORM_REMEDY);
                None
            }
            several => {
                errors.report(at, Problem::Conflict { keys: several.to_vec() }, FORM_REMEDY);
                None
            }
        }
    }

    fn leaf(&mut self, leaf: Leaf) -> Condition {
        self.leaves.push(leaf);
        Condition::Leaf(self.leaves.len() - 1)
    }

    fn events(&self, table: &Table<'_>, errors: &mut Errors<'_>) -> Option<EventLeaf> {
        table.deny_others(&EVENT_KEYS, errors);
        let named = self.named_events(&table.get("event")?, errors);
        let remedy = "name the address field that earns, like subject = \"voter\"";
        let subject = table.require("subject", errors, remedy);
        // Without its events nothing more can be said of a leaf's fields.
        let named = named?;
        let subject = subject.and_then(|node| {
            let field = node.text(errors, remedy)?;
            let found = field_type(&named, field, &node, errors)?;
            if found == FieldType::Address {
                return Some(field.to_owned());
            }
            wrong_field(&named, field, found, "an address", &node, errors);
            None
        });
        let tests = match table.get("where") {
            Some(node) => tests(&named, &node, errors),
            None => Some(Vec::new()),
        };
        let measure = measure(&named, table, errors);
        Some(EventLeaf {
            events: named.iter().map(|named| named.kind.clone()).collect(),
            subject: subject?,
            tests: tests?,
            measure: measure?,
        })
    }

    /// One event or several; `None` when any of them was reported.
    fn named_events(&self, node: &Node<'_>, errors: &mut Errors<'_>) -> Option<Vec<Named<'c>>> {
        let nodes = match node.value {
            toml::de::DeValue::Array(_) => {
                node.list(errors, "events", limits::ENTRIES, EVENT_REMEDY)?
            }
            _ => vec![node.clone()],
        };
        let named: Vec<Option<Vec<Named<'c>>>> =
            nodes.iter().map(|node| self.named_event(node, errors)).collect();
        let named: Option<Vec<Vec<Named<'c>>>> = named.into_iter().collect();
        Some(named?.into_iter().flatten().collect())
    }

    /// A contract's event; of a group of governors, that of each member that
    /// has it.
    fn named_event(&self, node: &Node<'_>, errors: &mut Errors<'_>) -> Option<Vec<Named<'c>>> {
        let text = node.text(errors, EVENT_REMEDY)?;
        let Some((contract_name, event_name)) = text.split_once('.') else {
            let problem = Problem::BadEventReference { text: text.to_owned() };
            errors.report(node, problem, EVENT_REMEDY);
            return None;
        };
        let named = |name: &'c Name, contract: &'c CatalogContract, schema: &'c EventSchema| {
            let kind = EventKind { contract: name.clone(), event: schema.name.clone() };
            Named { kind, contract, schema }
        };
        if let Some(members) = self.catalog.groups.get(contract_name) {
            let members: Vec<_> = members
                .iter()
                .filter_map(|member| self.catalog.contracts.get_key_value(member))
                .collect();
            let having: Vec<_> = members
                .iter()
                .filter_map(|(name, contract)| {
                    Some(named(name, contract, contract.event(event_name)?))
                })
                .collect();
            if having.is_empty() {
                // Told with the newest one's events.
                let (_, contract) = members.last()?;
                event(contract_name, contract, event_name, node, errors);
                return None;
            }
            return Some(having);
        }
        let (name, contract) = self.contract(contract_name, node, errors)?;
        let schema = event(contract_name, contract, event_name, node, errors)?;
        Some(vec![named(name, contract, schema)])
    }

    pub(super) fn contract(
        &self,
        name: &str,
        node: &Node<'_>,
        errors: &mut Errors<'_>,
    ) -> Option<(&'c Name, &'c CatalogContract)> {
        let found = self.catalog.contracts.get_key_value(name);
        if found.is_none() {
            let remedy = suggest(
                name,
                self.catalog.contracts.keys().chain(self.catalog.groups.keys()).map(Name::as_str),
                "add it to [[contracts]] in the configuration",
            );
            let problem = Problem::UnknownContract { contract: name.to_owned() };
            errors.report(node, problem, remedy);
        }
        found
    }

    fn holds(&self, node: &Node<'_>, errors: &mut Errors<'_>) -> Option<HoldsLeaf> {
        let remedy = "write holds = { nft = \"<contract>\", at_least = 1 }";
        let table = node.table(errors, remedy)?;
        table.deny_others(&["nft", "at_least"], errors);
        let at_least = match table.get("at_least") {
            Some(node) => node.count(errors, limits::COUNT),
            None => Some(1),
        };
        let nft = table.require("nft", errors, remedy)?;
        let (name, contract) = self.contract(nft.text(errors, remedy)?, &nft, errors)?;
        if contract.created {
            let problem = Problem::ManyAddresses { contract: name.to_string() };
            errors.report(&nft, problem, "name a contract that has an address of its own");
            return None;
        }
        let complete = HOLDING_EVENTS.into_iter().all(|(event_name, fields)| {
            event(name.as_str(), contract, event_name, &nft, errors).is_some_and(|schema| {
                let kind = EventKind { contract: name.clone(), event: schema.name.clone() };
                let named = [Named { kind, contract, schema }];
                fields.iter().all(|(field, needed)| {
                    let found = field_type(&named, field, &nft, errors);
                    if let Some(found) = found.filter(|found| found != needed) {
                        wrong_field(&named, field, found, &needed.to_string(), &nft, errors);
                        return false;
                    }
                    true
                })
            })
        });
        complete.then_some(HoldsLeaf { nft: name.clone(), at_least: at_least? })
    }
}

/// What an ERC-721 contract must be decoded into for `holds`.
const HOLDING_EVENTS: [(&str, &[(&str, FieldType)]); 3] = [
    ("minted", &[("to", FieldType::Address), ("token_id", FieldType::Uint)]),
    (
        "transferred",
        &[("from", FieldType::Address), ("to", FieldType::Address), ("token_id", FieldType::Uint)],
    ),
    ("burned", &[("from", FieldType::Address), ("token_id", FieldType::Uint)]),
];

/// The contracts that a condition's leaves read.
pub(super) fn read_by(leaves: &[Leaf]) -> BTreeSet<Name> {
    let of = |leaf: &Leaf| match leaf {
        Leaf::Events(leaf) => leaf.events.iter().map(|kind| kind.contract.clone()).collect(),
        Leaf::Holds(leaf) => vec![leaf.nft.clone()],
    };
    leaves.iter().flat_map(of).collect()
}
