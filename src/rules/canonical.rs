//! The canonical form of a rule set, and the version hashed from it.
//!
//! Text with one item a line, indented by what it belongs to, free text quoted
//! as JSON: two sets have the same form only if they mean the same.

use std::fmt::Write;

use alloy::primitives::{B256, Keccak256, keccak256};

use crate::governance::Counting;

use super::{
    again::Every,
    meter::{Measure, Meter, Signal, Window},
    model::{Achievement, ContractRef, Mode, RuleSet},
    number::Number,
    sequence::Sequence,
    tree::{
        Bound, Condition, EventLeaf, Having, Holding, HoldsLeaf, Leaf, ListedLeaf, Over, RatioLeaf,
        Scored,
    },
};

pub(super) fn version(set: &RuleSet) -> B256 {
    keccak256(form(set))
}

fn form(set: &RuleSet) -> String {
    let mut form = Form { text: String::from("meritd rule set 2\n"), meters: &set.meters };
    form.line(0, format_args!("id {}", set.id));
    form.contract("keeps", &set.contract);
    for contract in set.read.values() {
        form.contract("reads", contract);
    }
    for followed in &set.followed {
        let counting = match followed.governance.counting() {
            Counting::Standard => String::new(),
            other => format!(" counting {other:?}"),
        };
        let (governor, clock) = (&followed.governor, followed.clock);
        form.line(0, format_args!("follows {governor} by {clock:?}{counting}"));
        if let Some(votes) = &followed.votes {
            form.line(1, format_args!("votes of {votes}"));
        }
    }
    if let Some(links) = set.links.meaning() {
        form.line(0, format_args!("links {links}"));
    }
    if set.since > 0 {
        form.line(0, format_args!("since {}", set.since));
    }
    for achievement in &set.achievements {
        form.achievement(achievement);
    }
    form.text
}

/// What a meter counts, in words that only the same meter has. `meaning_of`
/// gives that of another one.
pub(super) fn meaning<'m>(meter: &Meter, meaning_of: impl Fn(usize) -> &'m str) -> String {
    let Meter { signal, measure, window, .. } = meter;
    let mut form = Form { text: String::new(), meters: &[] };
    form.signal(0, signal);
    match measure {
        Measure::Count => form.line(1, format_args!("count")),
        Measure::Distinct { field, .. } => {
            form.line(1, format_args!("distinct {}", quoted(field)));
        }
        Measure::Streak { turn, grace } => {
            form.line(1, format_args!("streak {} {grace}", turn.words()));
        }
        Measure::Sequence(Sequence { then, within, not_between }) => {
            form.line(1, format_args!("sequence"));
            for signal in then {
                form.signal(2, signal);
            }
            if let Some(seconds) = within {
                form.line(1, format_args!("in {seconds}"));
            }
            if let Some(signal) = not_between {
                form.line(1, format_args!("not between"));
                form.signal(2, signal);
            }
        }
        Measure::Of { aggregate, field, .. } => {
            form.line(1, format_args!("{} {}", aggregate.word(), quoted(field)));
        }
    }
    match window {
        Window::Always => {}
        Window::Between { from, to } => {
            let bound = |at: &Option<u64>| at.map_or("-".to_owned(), |at| at.to_string());
            form.line(1, format_args!("between {} {}", bound(from), bound(to)));
        }
        Window::Each(period) => form.line(1, format_args!("each {}", period.word())),
        Window::Last { seconds } => form.line(1, format_args!("last {seconds}")),
        Window::Within { seconds, of } => {
            form.line(1, format_args!("within {seconds} of"));
            form.lines(2, meaning_of(*of));
        }
    }
    form.text
}

struct Form<'s> {
    text: String,
    meters: &'s [Meter],
}

impl Form<'_> {
    fn line(&mut self, depth: usize, line: std::fmt::Arguments<'_>) {
        // Writing to a string can't fail.
        let _ = writeln!(self.text, "{:1$}{line}", "", depth);
    }

    fn lines(&mut self, depth: usize, lines: &str) {
        for line in lines.lines() {
            self.line(depth, format_args!("{line}"));
        }
    }

    fn signal(&mut self, depth: usize, signal: &Signal) {
        let Signal { events, subject, filter, holding } = signal;
        self.line(depth, format_args!("events by {}", quoted(subject)));
        for kind in events {
            self.line(depth + 1, format_args!("of {}.{}", kind.contract, kind.event));
        }
        if !filter.is_always() {
            self.line(depth + 1, format_args!("where {filter}"));
        }
        if let Some(holding) = holding {
            self.line(depth + 1, format_args!("holding {}", having(holding)));
        }
    }

    fn contract(&mut self, verb: &str, contract: &ContractRef) {
        let ContractRef { name, chain_id, address } = contract;
        self.line(0, format_args!("{verb} {name} {chain_id} {address:#x}"));
    }

    fn achievement(&mut self, achievement: &Achievement) {
        // How soon it lands changes nothing of what is earned.
        let Achievement {
            name,
            id,
            signers,
            on_retract,
            urgency: _,
            notify,
            requires,
            first,
            mode,
            every,
            when,
            leaves,
        } = achievement;
        let on_retract = on_retract.as_str();
        let signers: Vec<&str> = signers.iter().map(|name| name.as_str()).collect();
        let signers = signers.join(",");
        self.line(0, format_args!("achievement {name} {id} {signers} {on_retract}"));
        if *notify {
            self.line(1, format_args!("notify"));
        }
        for required in requires {
            self.line(1, format_args!("requires {required}"));
        }
        if let Some(first) = first {
            self.line(1, format_args!("first {first}"));
        }
        if *mode == Mode::While {
            self.line(1, format_args!("while"));
        }
        if let Some(Every { period, cap }) = every {
            self.line(1, format_args!("every {} {cap}", period.word()));
        }
        self.condition(1, when, leaves);
    }

    fn condition(&mut self, depth: usize, condition: &Condition, leaves: &[Leaf]) {
        let leaf_at = |form: &mut Self, depth, index: usize| {
            if let Some(leaf) = leaves.get(index) {
                form.leaf(depth, leaf);
            }
        };
        let members = match condition {
            Condition::Leaf(index) => return leaf_at(self, depth, *index),
            Condition::Not(index) => {
                self.line(depth, format_args!("not"));
                return leaf_at(self, depth + 1, *index);
            }
            Condition::Score { at_least, members } => {
                self.line(depth, format_args!("score {at_least}"));
                for member in members {
                    match member {
                        Scored::Each { points, leaf } => {
                            self.line(depth + 1, format_args!("each {points}"));
                            leaf_at(self, depth + 2, *leaf);
                        }
                        Scored::Once { points, condition } => {
                            self.line(depth + 1, format_args!("once {points}"));
                            self.condition(depth + 2, condition, leaves);
                        }
                    }
                }
                return;
            }
            Condition::All(members) => {
                self.line(depth, format_args!("all"));
                members
            }
            Condition::Any(members) => {
                self.line(depth, format_args!("any"));
                members
            }
            Condition::AtLeast(count, members) => {
                self.line(depth, format_args!("at least {count}"));
                members
            }
        };
        for member in members {
            self.condition(depth + 1, member, leaves);
        }
    }

    fn leaf(&mut self, depth: usize, leaf: &Leaf) {
        match leaf {
            Leaf::Listed(ListedLeaf { list, users, among }) => {
                let verb = if *among { "listed" } else { "not listed" };
                let mut hasher = Keccak256::new();
                for user in users.iter() {
                    hasher.update(user);
                }
                self.line(depth, format_args!("{verb} {list} {:#x}", hasher.finalize()));
            }
            Leaf::Holds(HoldsLeaf { tokens, held_for }) => {
                self.line(depth, format_args!("holds {}", having(tokens)));
                if let Some(seconds) = held_for {
                    self.line(depth + 1, format_args!("for {seconds}"));
                }
            }
            Leaf::Ratio(RatioLeaf { meter, over, at_least_bps, of_at_least }) => {
                self.line(depth, format_args!("ratio {at_least_bps} of {of_at_least}"));
                self.lines(depth + 1, &meaning_at(self.meters, *meter));
                match over {
                    Over::Everybody { tally, .. } => {
                        for kind in &tally.kinds {
                            self.line(depth + 1, format_args!("over {kind}"));
                        }
                    }
                    Over::Own(meter) => {
                        self.line(depth + 1, format_args!("over one's own"));
                        self.lines(depth + 2, &meaning_at(self.meters, *meter));
                    }
                }
            }
            Leaf::Events(EventLeaf { meter, bound }) => {
                let meaning = meaning_at(self.meters, *meter);
                self.lines(depth, &meaning);
                let (word, number) = match bound {
                    Bound::AtLeast(number) => ("at least", number),
                    Bound::AtMost(number) => ("at most", number),
                };
                self.line(depth + 1, format_args!("{word} {number}"));
            }
        }
    }
}

fn having(Holding { what, contract, at_least, .. }: &Holding) -> String {
    match what {
        Having::Tokens => format!("{contract} {at_least}"),
        Having::Token(id) => format!("{contract} {at_least} token {id}"),
        Having::Amount => format!("{contract} {at_least} amount"),
        Having::Item(id) => format!("{contract} {at_least} item {id}"),
        Having::Attestations { schema, attester } => {
            format!("{contract} {at_least} attestations {schema:#x} {attester:#x}")
        }
        Having::Delegators => format!("{contract} {at_least} delegators"),
    }
}

fn meaning_at(meters: &[Meter], place: usize) -> String {
    // A window's anchor has no window of its own: there is no further depth.
    let anchor = |of: usize| meters.get(of).map(|meter| meaning(meter, |_| ""));
    let Some(meter) = meters.get(place) else { return String::new() };
    let of = match meter.window {
        Window::Within { of, .. } => anchor(of).unwrap_or_default(),
        _ => String::new(),
    };
    meaning(meter, |_| &of)
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
