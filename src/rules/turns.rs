//! Compiling what a streak asks for.

use alloy::primitives::U256;

use super::{
    conditions::Conditions,
    document::{Errors, Node, Table},
    error::{Problem, suggest},
    limits,
    meter::Measure,
    number::Number,
    period::Period,
    streak::{Streak, Turn},
    tree::Bound,
};

impl Conditions<'_, '_> {
    /// Turns in a row.
    pub(super) fn streak(
        &self,
        node: &Node<'_>,
        leaf: &Table<'_>,
        tier: Option<&Node<'_>>,
        errors: &mut Errors<'_>,
    ) -> Option<(Measure, Bound)> {
        let remedy = "write streak = { length = 4, per = \"week\", grace = 0 }, or of = \"<contract>.<event>\" \
                      instead of per";
        let with = ["count", "distinct", "sum", "max", "min", "last"];
        if let Some((key, _)) = leaf.nodes().find(|(key, _)| with.contains(key)) {
            let key = with.into_iter().find(|it| *it == key)?;
            let problem = Problem::Conflict { keys: vec!["streak", key] };
            errors.report(node, problem, "make two conditions of it, under `all`");
            return None;
        }
        let table = node.table(errors, remedy)?;
        table.deny_others(&["length", "per", "of", "grace"], errors);
        let length = match (table.get("length"), tier) {
            (Some(node), Some(_)) => {
                let problem = Problem::Conflict { keys: vec!["length", "tiers"] };
                errors.report(&node, problem, "let each tier say its `at_least`");
                return None;
            }
            (None, None) => table.require("length", errors, remedy)?.count(errors, limits::COUNT),
            (Some(node), None) => node.count(errors, limits::COUNT),
            (None, Some(tier)) => tier.count(errors, limits::COUNT),
        };
        let grace = match table.get("grace") {
            Some(node) => node.whole(0..=Streak::GRACE, errors),
            None => Some(0),
        };
        let turn = match (table.get("per"), table.get("of")) {
            (Some(_), Some(node)) => {
                let problem = Problem::Conflict { keys: vec!["per", "of"] };
                errors.report(&node, problem, "keep one of them");
                None
            }
            (Some(node), None) => Some(Turn::Calendar(period(&node, remedy, errors)?)),
            (None, Some(node)) => {
                let named = self.named_events(&node, errors)?;
                Some(Turn::Each(named.into_iter().map(|named| named.kind).collect()))
            }
            (None, None) => {
                table.require("per", errors, remedy);
                None
            }
        };
        let bound = Bound::AtLeast(Number::Uint(U256::from(length?)));
        Some((Measure::Streak { turn: turn?, grace: grace? }, bound))
    }
}

/// A part of the calendar.
pub(super) fn period(node: &Node<'_>, remedy: &str, errors: &mut Errors<'_>) -> Option<Period> {
    let text = node.text(errors, "write \"day\", \"week\" or \"month\"")?;
    let period = Period::of_word(text);
    if period.is_none() {
        let remedy = suggest(text, Period::ALL.map(Period::word), remedy);
        let problem = Problem::BadTime { text: text.to_owned(), expected: "period" };
        errors.report(node, problem, remedy);
    }
    period
}
