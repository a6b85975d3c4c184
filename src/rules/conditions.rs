//! Compiling the `when` of an achievement.

use std::sync::Arc;

use alloy::primitives::U256;

use super::{
    catalog::{Catalog, CatalogContract},
    document::{Errors, Node},
    error::{Problem, suggest},
    limits,
    meter::Meters,
    number::Number,
    period::Period,
    signals::{EVENT_KEYS, EVENT_REMEDY},
    tree::{Bound, Condition, Leaf, ListedLeaf, Scored},
};
use crate::domain::Name;

const FORMS: [&str; 13] = [
    "event",
    "holds",
    "delegators",
    "attested",
    "listed",
    "not_listed",
    "all",
    "any",
    "of",
    "not",
    "score",
    "ratio",
    "sequence",
];
const FORM_REMEDY: &str = "give exactly one of `event`, `holds`, `delegators`, `attested`, `listed`, `not_listed`, `all`, `any`, `of`, `not`, `score`, `ratio`, \
     `sequence`";

/// Compiles conditions, collecting their leaves.
pub(super) struct Conditions<'c, 'm> {
    pub(super) catalog: &'c Catalog,
    pub(super) meters: &'m mut Meters,
    pub(super) leaves: Vec<Leaf>,
    /// What is counted anew in each, unless a window says otherwise.
    pub(super) period: Option<Period>,
}

impl Conditions<'_, '_> {
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
            ["event"] => {
                self.events(&table, None, errors).map(|leaf| self.leaf(Leaf::Events(leaf)))
            }
            ["holds"] => {
                table.deny_others(&["holds"], errors);
                let leaf = self.holds(&table.get("holds")?, errors)?;
                Some(self.leaf(Leaf::Holds(leaf)))
            }
            ["delegators"] => {
                table.deny_others(&["delegators"], errors);
                let leaf = self.delegators(&table.get("delegators")?, errors)?;
                Some(self.leaf(Leaf::Holds(leaf)))
            }
            ["attested"] => {
                table.deny_others(&["attested"], errors);
                let leaf = self.attested(&table.get("attested")?, errors)?;
                Some(self.leaf(Leaf::Holds(leaf)))
            }
            [form @ ("listed" | "not_listed")] => {
                table.deny_others(&[form], errors);
                let leaf = self.listed(&table.get(form)?, *form == "listed", errors)?;
                Some(self.leaf(Leaf::Listed(leaf)))
            }
            [group @ ("all" | "any")] => {
                table.deny_others(&[group], errors);
                let members = self.members(&table.get(group)?, depth, errors)?;
                Some(match *group {
                    "all" => Condition::All(members),
                    _ => Condition::Any(members),
                })
            }
            ["of"] => {
                table.deny_others(&["at_least", "of"], errors);
                let remedy = "write { at_least = 2, of = [ … ] }";
                let count = table.require("at_least", errors, remedy);
                let members = self.members(&table.get("of")?, depth, errors);
                let (count, members) = (count?, members?);
                let most = u64::try_from(members.len()).unwrap_or(u64::MAX);
                let at_least = usize::try_from(count.count(errors, most)?).ok()?;
                Some(Condition::AtLeast(at_least, members))
            }
            ["not"] => {
                table.deny_others(&["not"], errors);
                self.absence(&table.get("not")?, errors)
            }
            ["score"] => {
                table.deny_others(&["score"], errors);
                self.score(&table.get("score")?, depth, errors)
            }
            ["ratio"] => {
                table.deny_others(&["ratio"], errors);
                let leaf = self.ratio(&table.get("ratio")?, errors)?;
                Some(self.leaf(Leaf::Ratio(leaf)))
            }
            ["sequence"] => {
                table.deny_others(&["sequence"], errors);
                let leaf = self.sequence(&table.get("sequence")?, errors)?;
                Some(self.leaf(Leaf::Events(leaf)))
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

    /// Events that have come as far as a tier asks.
    pub(super) fn tier(
        &mut self,
        when: &Node<'_>,
        at_least: &Node<'_>,
        errors: &mut Errors<'_>,
    ) -> Option<Condition> {
        let table = when.table(errors, EVENT_REMEDY)?;
        if table.get("event").is_none() {
            errors.report(when, Problem::NoTiers, "let `when` be a condition on events");
            return None;
        }
        let leaf = self.events(&table, Some(at_least), errors)?;
        Some(self.leaf(Leaf::Events(leaf)))
    }

    /// To be on a list, or off it.
    fn listed(&self, node: &Node<'_>, among: bool, errors: &mut Errors<'_>) -> Option<ListedLeaf> {
        let remedy = "name a list: listed = \"founders\" is rules/founders.csv";
        let text = node.text(errors, remedy)?;
        let Some((list, users)) = self.catalog.lists.get_key_value(text) else {
            let known = self.catalog.lists.keys().map(Name::as_str);
            let remedy = suggest(text, known, "put it into the folder of rules as a .csv file");
            errors.report(node, Problem::UnknownList { list: text.to_owned() }, remedy);
            return None;
        };
        Some(ListedLeaf { list: list.clone(), users: Arc::clone(users), among })
    }

    fn leaf(&mut self, leaf: Leaf) -> Condition {
        self.leaves.push(leaf);
        Condition::Leaf(self.leaves.len() - 1)
    }

    fn members(
        &mut self,
        node: &Node<'_>,
        depth: usize,
        errors: &mut Errors<'_>,
    ) -> Option<Vec<Condition>> {
        let remedy = "list conditions: [{ event = … }, { holds = … }]";
        let list = node.list(errors, "conditions", limits::ENTRIES, remedy)?;
        let members: Vec<Option<Condition>> =
            list.iter().map(|node| self.condition(node, depth + 1, errors)).collect();
        members.into_iter().collect()
    }

    /// That something did not happen: sure only once its window is over.
    fn absence(&mut self, node: &Node<'_>, errors: &mut Errors<'_>) -> Option<Condition> {
        let remedy = "write not = { event = …, subject = …, to = 2027-01-01 }, or with `within`";
        let table = node.table(errors, remedy)?;
        if table.get("to").is_none() && table.get("within").is_none() {
            errors.report(node, Problem::NeverCloses, remedy);
            return None;
        }
        if let Some(node) = table.get("streak") {
            let problem = Problem::UnknownKey { key: "streak".to_owned() };
            errors.report(&node, problem, "a streak ends by itself: say which events must not be");
            return None;
        }
        let leaf = self.events(&table, None, errors)?;
        self.leaves.push(Leaf::Events(leaf));
        Some(Condition::Not(self.leaves.len() - 1))
    }

    /// Points for each of several things.
    fn score(
        &mut self,
        node: &Node<'_>,
        depth: usize,
        errors: &mut Errors<'_>,
    ) -> Option<Condition> {
        let remedy = "write score = { gte = 60, of = [{ points = 5, each = { event = … } }, \
                      { points = 20, once = { holds = … } }] }";
        let table = node.table(errors, remedy)?;
        table.deny_others(&["gte", "of"], errors);
        let gte = table.require("gte", errors, remedy);
        let of = table.require("of", errors, remedy);
        let at_least = gte.and_then(|node| node.count(errors, limits::COUNT));
        let list = of?.list(errors, "scores", limits::ENTRIES, remedy)?;
        let mut members = Some(Vec::new());
        for node in &list {
            let member = self.scored(node, at_least.unwrap_or(1), depth, errors);
            match (&mut members, member) {
                (Some(members), Some(member)) => members.push(member),
                (members, _) => *members = None,
            }
        }
        Some(Condition::Score { at_least: U256::from(at_least?), members: members? })
    }

    fn scored(
        &mut self,
        node: &Node<'_>,
        at_least: u64,
        depth: usize,
        errors: &mut Errors<'_>,
    ) -> Option<Scored> {
        let remedy = "write { points = 5, each = { event = … } } or { points = 20, once = { … } }";
        let table = node.table(errors, remedy)?;
        table.deny_others(&["points", "each", "once"], errors);
        let points = table.require("points", errors, remedy);
        let points = points.and_then(|node| node.count(errors, limits::COUNT));
        match (table.get("each"), table.get("once")) {
            (Some(_), Some(node)) => {
                errors.report(&node, Problem::Conflict { keys: vec!["each", "once"] }, remedy);
                None
            }
            (None, None) => {
                table.require("each", errors, remedy);
                None
            }
            (None, Some(node)) => {
                let condition = self.condition(&node, depth + 1, errors);
                Some(Scored::Once { points: points?, condition: condition? })
            }
            (Some(node), None) => {
                let table = node.table(errors, EVENT_REMEDY)?;
                for key in ["count", "max", "min", "streak"] {
                    if let Some(node) = table.get(key) {
                        let problem = Problem::UnknownKey { key: key.to_owned() };
                        let remedy = "each event gives points; use `once` for a number of them";
                        errors.report(&node, problem, remedy);
                        return None;
                    }
                }
                let mut leaf = self.events(&table, None, errors)?;
                let points = points?;
                // Beyond that it makes no difference.
                let enough = Bound::AtLeast(Number::Uint(U256::from(at_least.div_ceil(points))));
                if !self.meters.ask(leaf.meter, enough) {
                    let remedy = "give points for a sum of unsigned numbers, or for events";
                    errors.report(&node, Problem::Conflict { keys: vec!["each", "sum"] }, remedy);
                    return None;
                }
                leaf.bound = enough;
                self.leaves.push(Leaf::Events(leaf));
                Some(Scored::Each { points, leaf: self.leaves.len() - 1 })
            }
        }
    }
}

/// The contracts whose tokens a condition's leaves ask for.
pub(super) fn held_by(leaves: &[Leaf]) -> impl Iterator<Item = Name> {
    leaves.iter().filter_map(|leaf| match leaf {
        Leaf::Events(_) | Leaf::Ratio(_) | Leaf::Listed(_) => None,
        Leaf::Holds(leaf) => Some(leaf.tokens.contract.clone()),
    })
}

/// A contract of the catalog, or the report that there is none.
pub(super) fn contract<'c>(
    catalog: &'c Catalog,
    name: &str,
    node: &Node<'_>,
    errors: &mut Errors<'_>,
) -> Option<(&'c Name, &'c CatalogContract)> {
    let found = catalog.contracts.get_key_value(name);
    if found.is_none() {
        let remedy = suggest(
            name,
            catalog.contracts.keys().chain(catalog.groups.keys()).map(Name::as_str),
            "add it to [[contracts]] in the configuration",
        );
        let problem = Problem::UnknownContract { contract: name.to_owned() };
        errors.report(node, problem, remedy);
    }
    found
}
