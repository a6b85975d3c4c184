//! The canonical form of a rule set, and the version hashed from it.
//!
//! Text with one item a line, indented by what it belongs to, free text quoted
//! as JSON: two sets have the same form only if they mean the same.

use std::fmt::Write;

use alloy::primitives::{B256, keccak256};

use super::model::{
    Achievement, Comparison, Condition, ContractRef, EventLeaf, Leaf, Measure, Number, RuleSet,
};
use crate::domain::Value;

pub(super) fn version(set: &RuleSet) -> B256 {
    keccak256(form(set))
}

fn form(set: &RuleSet) -> String {
    let mut form = Form(String::from("meritd rule set 1\n"));
    form.line(0, format_args!("id {}", set.id));
    form.contract("keeps", &set.contract);
    for contract in set.read.values() {
        form.contract("reads", contract);
    }
    for achievement in &set.achievements {
        form.achievement(achievement);
    }
    form.0
}

struct Form(String);

impl Form {
    fn line(&mut self, depth: usize, line: std::fmt::Arguments<'_>) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "{:1$}{line}", "", depth);
    }

    fn contract(&mut self, verb: &str, contract: &ContractRef) {
        let ContractRef { name, chain_id, address } = contract;
        self.line(0, format_args!("{verb} {name} {chain_id} {address:#x}"));
    }

    fn achievement(&mut self, achievement: &Achievement) {
        // How soon it lands changes nothing of what is earned.
        let Achievement { name, id, signers, on_retract, urgency: _, requires, when, leaves } =
            achievement;
        let on_retract = on_retract.as_str();
        let signers: Vec<&str> = signers.iter().map(|name| name.as_str()).collect();
        let signers = signers.join(",");
        self.line(0, format_args!("achievement {name} {id} {signers} {on_retract}"));
        for required in requires {
            self.line(1, format_args!("requires {required}"));
        }
        self.condition(1, when, leaves);
    }

    fn condition(&mut self, depth: usize, condition: &Condition, leaves: &[Leaf]) {
        let (word, members) = match condition {
            Condition::Leaf(index) => {
                if let Some(leaf) = leaves.get(*index) {
                    self.leaf(depth, leaf);
                }
                return;
            }
            Condition::All(members) => ("all", members),
            Condition::Any(members) => ("any", members),
        };
        self.line(depth, format_args!("{word}"));
        for member in members {
            self.condition(depth + 1, member, leaves);
        }
    }

    fn leaf(&mut self, depth: usize, leaf: &Leaf) {
        match leaf {
            Leaf::Holds(leaf) => {
                self.line(depth, format_args!("holds {} {}", leaf.nft, leaf.at_least));
            }
            Leaf::Events(EventLeaf { events, subject, tests, measure }) => {
                self.line(depth, format_args!("events by {}", quoted(subject)));
                for kind in events {
                    self.line(depth + 1, format_args!("of {}.{}", kind.contract, kind.event));
                }
                for test in tests {
                    let (word, values) = test.comparison.parts();
                    let values: Vec<String> = values.iter().map(literal).collect();
                    let (field, values) = (quoted(&test.field), values.join(" "));
                    self.line(depth + 1, format_args!("where {field} {word} {values}"));
                }
                match measure {
                    Measure::Count { at_least } => {
                        self.line(depth + 1, format_args!("count {at_least}"));
                    }
                    Measure::Distinct { field, at_least, .. } => {
                        let field = quoted(field);
                        self.line(depth + 1, format_args!("distinct {field} {at_least}"));
                    }
                    Measure::Sum { field, at_least } => {
                        let field = quoted(field);
                        self.line(depth + 1, format_args!("sum {field} {at_least}"));
                    }
                }
            }
        }
    }
}

impl Comparison {
    /// The word in rule files and the values compared with.
    pub(super) fn parts(&self) -> (&'static str, &[Value]) {
        match self {
            Self::Equal(value) => ("eq", std::slice::from_ref(value)),
            Self::NotEqual(value) => ("ne", std::slice::from_ref(value)),
            Self::Greater(value) => ("gt", std::slice::from_ref(value)),
            Self::AtLeast(value) => ("gte", std::slice::from_ref(value)),
            Self::Less(value) => ("lt", std::slice::from_ref(value)),
            Self::AtMost(value) => ("lte", std::slice::from_ref(value)),
            Self::In(values) => ("in", values),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uint(n) => n.fmt(f),
            Self::Int(n) => n.fmt(f),
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn literal(value: &Value) -> String {
    value.to_json().to_string()
}
