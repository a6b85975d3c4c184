//! Compiling one achievement, or the tiers of one.

use alloy::primitives::U256;

use super::{
    again::Every,
    catalog::Catalog,
    compile::signers,
    conditions::Conditions,
    document::{Errors, Node, Table},
    error::Problem,
    limits,
    meter::Meters,
    model::{Achievement, Mode, OnRetract, Urgency},
    prerequisites,
    seen::{ID_REMEDY, NAME_REMEDY, Seen, unique_id, unique_name},
    tree::{Condition, Leaf},
    turns::period,
};
use crate::domain::Name;

pub(super) const ACHIEVEMENT_KEYS: [&str; 13] = [
    "name",
    "id",
    "signer",
    "on_retract",
    "urgency",
    "notify",
    "requires",
    "first",
    "mode",
    "every",
    "cap",
    "when",
    "tiers",
];
pub(super) const TIER_KEYS: [&str; 3] = ["name", "id", "at_least"];
const EVERY_REMEDY: &str = "write every = \"month\" (or \"day\", \"week\") and cap = 12: it is earned at most \
                            once in each, so many times in all, with ids from `id` on";
const TIERS_REMEDY: &str = "list tiers: [[achievements.tiers]] with name, id and at_least";

/// What an achievement says beside its name, id and condition.
struct Common {
    signers: Vec<Name>,
    on_retract: OnRetract,
    urgency: Urgency,
    notify: bool,
    requires: Vec<Name>,
    first: Option<u64>,
    mode: Mode,
    every: Option<Every>,
}

/// An achievement, or each of its tiers; `None` when anything was reported.
pub(super) fn achievements<'a>(
    table: &Table<'a>,
    catalog: &Catalog,
    default_signer: Option<&Option<Vec<Name>>>,
    seen: &mut Seen<'a>,
    meters: &mut Meters,
    errors: &mut Errors<'_>,
) -> Option<Vec<Achievement>> {
    table.deny_others(&ACHIEVEMENT_KEYS, errors);
    let name = table.require("name", errors, NAME_REMEDY);
    let name = name.and_then(|node| unique_name(&node, None, seen, errors));
    let own_signers = table.get("signer").map(|node| signers(&node, catalog, errors));
    let signers = own_signers.as_ref().or(default_signer).cloned().flatten();
    let on_retract = match table.get("on_retract") {
        Some(node) => {
            let remedy = "choose \"revoke\", \"alert\" or \"keep\"";
            one_of(&node, ON_RETRACT, OnRetract::as_str, remedy, errors)
        }
        None => Some(OnRetract::default()),
    };
    let urgency = match table.get("urgency") {
        Some(node) => {
            let remedy = "choose \"low\", \"normal\" or \"high\"";
            one_of(&node, URGENCIES, Urgency::as_str, remedy, errors)
        }
        None => Some(Urgency::default()),
    };
    let first = match table.get("first") {
        Some(node) => node.count(errors, limits::COUNT).map(Some),
        None => Some(None),
    };
    let notify = match table.get("notify") {
        Some(node) => match node.value.as_bool() {
            Some(notify) => Some(notify),
            None => node.wrong_type(errors, "true or false", "write notify = true"),
        },
        None => Some(false),
    };
    let every = every(table, errors);
    let mode = mode(table, on_retract, errors);
    let required = match table.get("requires") {
        Some(node) => prerequisites::read(&node, errors),
        None => Some(Vec::new()),
    };
    let common = |required: &Option<Vec<(Name, Node<'a>)>>| {
        let mut requires: Vec<Name> =
            required.as_ref()?.iter().map(|(name, _)| name.clone()).collect();
        requires.sort();
        let (signers, on_retract, urgency) = (signers.clone()?, on_retract?, urgency?);
        let (notify, first, mode, every) = (notify?, first?, mode?, every?);
        Some(Common { signers, on_retract, urgency, notify, requires, first, mode, every })
    };
    if let Some(node) = table.get("tiers") {
        let when = table.require("when", errors, WHEN_REMEDY);
        let common = common(&required);
        let every = every.flatten();
        let tiers = Tiers { name, when, required, common, every, catalog };
        if let Some(id) = table.get("id") {
            errors.report(&id, Problem::Conflict { keys: vec!["id", "tiers"] }, TIERS_REMEDY);
        }
        return tiers.compiled(&node, seen, meters, errors);
    }
    let id = table.require("id", errors, ID_REMEDY);
    let id = id.and_then(|node| unique_id(&node, every.flatten(), seen, errors));
    if let (Some(name), Some(required)) = (&name, &required) {
        seen.requires.insert(name.clone(), required.clone());
    }
    let period = every.flatten().map(|every| every.period);
    let mut conditions = Conditions { catalog, meters, leaves: Vec::new(), period };
    // An achievement that only crowns others needs no condition of its own.
    let crowns = required.as_ref().is_some_and(|required| !required.is_empty());
    let when = if table.get("when").is_none() && crowns {
        Some(Condition::All(Vec::new()))
    } else {
        let node = table.require("when", errors, WHEN_REMEDY);
        // What is wrong with its prerequisites has been said.
        node.and_then(|node| {
            whole_condition(&mut conditions, &node, crowns || required.is_none(), errors)
        })
    };
    let leaves = conditions.leaves;
    Some(vec![common(&required)?.achievement(name?, id?, when?, leaves)])
}

const WHEN_REMEDY: &str = "add [achievements.when] with what earns it";

impl Common {
    fn achievement(&self, name: Name, id: U256, when: Condition, leaves: Vec<Leaf>) -> Achievement {
        Achievement {
            name,
            id,
            signers: self.signers.clone(),
            on_retract: self.on_retract,
            urgency: self.urgency,
            notify: self.notify,
            requires: self.requires.clone(),
            first: self.first,
            mode: self.mode,
            every: self.every,
            when,
            leaves,
        }
    }
}

/// An achievement that comes in tiers.
struct Tiers<'a, 'c> {
    name: Option<Name>,
    when: Option<Node<'a>>,
    required: Option<Vec<(Name, Node<'a>)>>,
    /// `None` when anything of it was reported.
    common: Option<Common>,
    every: Option<Every>,
    catalog: &'c Catalog,
}

impl<'a> Tiers<'a, '_> {
    fn compiled(
        &self,
        node: &Node<'a>,
        seen: &mut Seen<'a>,
        meters: &mut Meters,
        errors: &mut Errors<'_>,
    ) -> Option<Vec<Achievement>> {
        let list = node.list(errors, "tiers", limits::TIERS, TIERS_REMEDY)?;
        let mut tiers = Some(Vec::new());
        for node in &list {
            let tier = self.tier(node, seen, meters, errors);
            match (&mut tiers, tier) {
                (Some(tiers), Some(tier)) => tiers.push(tier),
                (tiers, _) => *tiers = None,
            }
        }
        tiers
    }

    fn tier(
        &self,
        node: &Node<'a>,
        seen: &mut Seen<'a>,
        meters: &mut Meters,
        errors: &mut Errors<'_>,
    ) -> Option<Achievement> {
        let table = node.table(errors, TIERS_REMEDY)?;
        table.deny_others(&TIER_KEYS, errors);
        let name = table.require("name", errors, TIERS_REMEDY);
        let name = name.and_then(|node| unique_name(&node, self.name.as_ref(), seen, errors));
        let id = table.require("id", errors, TIERS_REMEDY);
        let id = id.and_then(|node| unique_id(&node, self.every, seen, errors));
        let at_least = table.require("at_least", errors, TIERS_REMEDY);
        if let (Some(name), Some(required)) = (&name, &self.required) {
            seen.requires.insert(name.clone(), required.clone());
        }
        let period = self.every.map(|every| every.period);
        let catalog = self.catalog;
        let mut conditions = Conditions { catalog, meters, leaves: Vec::new(), period };
        let when = conditions.tier(self.when.as_ref()?, &at_least?, errors);
        let leaves = conditions.leaves;
        Some(self.common.as_ref()?.achievement(name?, id?, when?, leaves))
    }
}

/// A condition that something that the user does begins, and within limits.
fn whole_condition(
    conditions: &mut Conditions<'_, '_>,
    node: &Node<'_>,
    begins: bool,
    errors: &mut Errors<'_>,
) -> Option<Condition> {
    let when = conditions.condition(node, 0, errors)?;
    let (count, max) = (conditions.leaves.len(), limits::LEAVES);
    if count > max {
        let problem = Problem::TooMany { what: "conditions", count, max };
        errors.report(node, problem, "split the achievement");
        return None;
    }
    let leaf_begins = |index: usize, holds: bool| match conditions.leaves.get(index) {
        Some(Leaf::Events(leaf)) => holds || conditions.meters.is_anchored(leaf.meter),
        Some(Leaf::Listed(_)) | None => false,
        Some(Leaf::Holds(_) | Leaf::Ratio(_)) => holds,
    };
    if !begins && !when.begins(&leaf_begins) {
        let remedy = "add under `all` what the user does, or let the window be `within`";
        errors.report(node, Problem::NeverBegins, remedy);
        return None;
    }
    Some(when)
}

/// Whether it can be lost again.
fn mode(table: &Table<'_>, on_retract: Option<OnRetract>, errors: &mut Errors<'_>) -> Option<Mode> {
    let Some(node) = table.get("mode") else { return Some(Mode::default()) };
    let remedy = "choose \"once\" or \"while\"";
    let mode = one_of(&node, MODES, Mode::as_str, remedy, errors)?;
    if mode == Mode::Once {
        return Some(mode);
    }
    for other in ["first", "every"] {
        if table.get(other).is_some() {
            let problem = Problem::Conflict { keys: vec![other, "mode"] };
            errors.report(&node, problem, "what can be lost is neither limited nor repeated");
            return None;
        }
    }
    if on_retract == Some(OnRetract::Keep) {
        let problem = Problem::Conflict { keys: vec!["mode", "on_retract"] };
        errors.report(&node, problem, "what is kept is earned once; say \"revoke\" or \"alert\"");
        return None;
    }
    Some(mode)
}

/// How often it can be earned; `None` when anything of that was reported.
fn every(table: &Table<'_>, errors: &mut Errors<'_>) -> Option<Option<Every>> {
    let (node, other) = match (table.get("every"), table.get("cap")) {
        (None, None) => return Some(None),
        (Some(node), other) => (node, other),
        (None, Some(_)) => {
            table.require("every", errors, EVERY_REMEDY);
            return None;
        }
    };
    if let Some(first) = table.get("first") {
        let problem = Problem::Conflict { keys: vec!["every", "first"] };
        errors.report(&first, problem, "make two achievements of it");
        return None;
    }
    let period = period(&node, EVERY_REMEDY, errors);
    if other.is_none() {
        table.require("cap", errors, EVERY_REMEDY);
    }
    let cap = other.and_then(|node| node.count(errors, limits::TIMES));
    Some(Some(Every { period: period?, cap: cap? }))
}

const ON_RETRACT: [OnRetract; 3] = [OnRetract::Revoke, OnRetract::Alert, OnRetract::Keep];
const URGENCIES: [Urgency; 3] = [Urgency::Low, Urgency::Normal, Urgency::High];

const MODES: [Mode; 2] = [Mode::Once, Mode::While];

/// One of a few words.
pub(super) fn one_of<T: Copy, const N: usize>(
    node: &Node<'_>,
    choices: [T; N],
    word_of: fn(T) -> &'static str,
    remedy: &'static str,
    errors: &mut Errors<'_>,
) -> Option<T> {
    let word = node.text(errors, remedy)?;
    let found = choices.into_iter().find(|choice| word_of(*choice) == word);
    if found.is_none() {
        let allowed = choices.map(word_of).to_vec();
        errors.report(node, Problem::BadWord { word: word.to_owned(), allowed }, remedy);
    }
    found
}
