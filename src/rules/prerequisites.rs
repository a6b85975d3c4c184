//! `requires`: achievements of the same set that must be on chain first.

use std::collections::{BTreeMap, VecDeque};

use super::{
    document::{Errors, Node},
    error::{Problem, suggest},
    limits,
};
use crate::domain::Name;

/// What the contract of achievements must be decoded into for `requires`.
pub(super) const EVENTS: [&str; 2] = ["achievement_unlocked", "achievement_revoked"];

/// Each achievement of a set with what it requires and where that stands.
pub(super) type Required<'a> = BTreeMap<Name, Vec<(Name, Node<'a>)>>;

/// Reads the list.
pub(super) fn read<'a>(node: &Node<'a>, errors: &mut Errors<'_>) -> Option<Vec<(Name, Node<'a>)>> {
    let remedy = "list names of achievements of this set: requires = [\"first-vote\"]";
    let list = node.list(errors, "prerequisites", limits::ENTRIES, remedy)?;
    let mut first: BTreeMap<Name, usize> = BTreeMap::new();
    let mut names = Some(Vec::new());
    for (index, node) in list.iter().enumerate() {
        let name = node.name(errors, remedy);
        if let Some(name) = &name
            && *first.entry(name.clone()).or_insert(index) != index
        {
            let first_line = errors.line(node.span.start);
            let (what, value) = ("prerequisite", name.to_string());
            errors.report(node, Problem::Duplicate { what, value, first_line }, "remove it");
        }
        match (&mut names, name) {
            (Some(names), Some(name)) => names.push((name, node.clone())),
            (names, _) => *names = None,
        }
    }
    names
}

/// Reports prerequisites that are none of the set's `names` or can never be met.
pub(super) fn check(
    required: &Required<'_>,
    names: &BTreeMap<Name, usize>,
    errors: &mut Errors<'_>,
) {
    for (name, node) in required.values().flatten() {
        if !names.contains_key(name) {
            let known = names.keys().map(Name::as_str);
            let remedy = suggest(name.as_str(), known, "add it to this set");
            let problem = Problem::UnknownAchievement { achievement: name.to_string() };
            errors.report(node, problem, remedy);
        }
    }
    // A cycle is found from each of its members: it is told from its smallest.
    for start in required.keys() {
        if let Some((path, node)) = cycle_through(start, required)
            && path.iter().min() == Some(start)
        {
            let mut cycle: Vec<String> = path.iter().map(Name::to_string).collect();
            cycle.push(start.to_string());
            errors.report(&node, Problem::Cycle { cycle }, "remove one of these prerequisites");
        }
    }
}

/// The shortest way from an achievement back to itself, with the first step.
fn cycle_through<'a>(start: &Name, required: &Required<'a>) -> Option<(Vec<Name>, Node<'a>)> {
    let mut from: BTreeMap<&Name, &Name> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(name) = queue.pop_front() {
        for (next, _) in required.get(name).into_iter().flatten() {
            if next == start {
                let mut path = vec![name.clone()];
                let mut at = name;
                while let Some(before) = from.get(at).filter(|_| at != start) {
                    path.push((*before).clone());
                    at = before;
                }
                path.reverse();
                let second = path.get(1).unwrap_or(start);
                let step = required.get(start)?.iter().find(|(name, _)| name == second)?;
                return Some((path, step.1.clone()));
            }
            if !from.contains_key(next) {
                from.insert(next, name);
                queue.push_back(next);
            }
        }
    }
    None
}
