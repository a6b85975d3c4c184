//! Conditions in words.

use std::time::Duration;

use alloy::primitives::U256;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    explain::ConditionReport,
    meter::{Measure, Meter, Signal, Window},
    model::RuleSet,
    number::Number,
    sequence::Sequence,
    tree::{Bound, EventKind, Having, Holding, Leaf, ListedLeaf, Over},
};

impl RuleSet {
    /// What a leaf asks for.
    pub(super) fn words(&self, leaf: &Leaf, meter: Option<&Meter>) -> String {
        let (bound, meter) = match (leaf, meter) {
            (Leaf::Listed(ListedLeaf { list, among, .. }), _) => {
                return format!("is {}on the list {list}", if *among { "" } else { "not " });
            }
            (Leaf::Holds(leaf), _) => {
                let Holding { what, contract, at_least, .. } = &leaf.tokens;
                let held_for = leaf.held_for.map(|it| format!(" for {}", span(it)));
                return format!(
                    "holds at least {at_least} of {}{}",
                    what.words(contract),
                    held_for.unwrap_or_default()
                );
            }
            (Leaf::Ratio(leaf), Some(meter)) => {
                let over = match &leaf.over {
                    Over::Own(meter) => {
                        self.meters.get(*meter).map(|it| signal(&it.signal)).unwrap_or_default()
                    }
                    Over::Everybody { tally, .. } => {
                        let kinds: Vec<String> =
                            tally.kinds.iter().map(EventKind::to_string).collect();
                        kinds.join(" or ")
                    }
                };
                let part = percent(leaf.at_least_bps);
                let (signal, window) = (signal(&meter.signal), self.window_words(meter));
                return format!("{signal} for at least {part} of {over}{window}");
            }
            (Leaf::Events(leaf), Some(meter)) => (leaf.bound, meter),
            (Leaf::Events(_) | Leaf::Ratio(_), None) => return String::new(),
        };
        let bound = match bound {
            Bound::AtLeast(number) => format!("at least {number}"),
            Bound::AtMost(number) => format!("at most {number}"),
        };
        let measure = match &meter.measure {
            Measure::Count => bound,
            Measure::Distinct { field, .. } => format!("{bound} distinct {field} in"),
            Measure::Streak { turn, grace } => {
                let missed = match grace {
                    0 => String::new(),
                    grace => format!(" with at most {grace} missed"),
                };
                format!("{bound} in a row, one each {}{missed}, of", turn.words())
            }
            Measure::Of { aggregate, field, .. } => {
                format!("{} of {field} {bound} in", aggregate.word())
            }
            Measure::Sequence(sequence) => {
                let within = sequence.within.map(|it| format!(", within {}", span(it)));
                let broken = sequence.not_between.as_deref().map(signal);
                let broken = broken.map(|it| format!(", without {it} between"));
                return format!(
                    "{}{}{}{}",
                    steps(meter, sequence, 0),
                    within.unwrap_or_default(),
                    broken.unwrap_or_default(),
                    self.window_words(meter)
                );
            }
        };
        format!("{measure} {}{}", signal(&meter.signal), self.window_words(meter))
    }

    fn window_words(&self, meter: &Meter) -> String {
        match &meter.window {
            Window::Always => String::new(),
            Window::Between { from, to } => {
                let from = from.map(|from| format!(" from {}", time(from)));
                let to = to.map(|to| format!(" before {}", time(to)));
                format!("{}{}", from.unwrap_or_default(), to.unwrap_or_default())
            }
            Window::Each(period) => format!(" in the same {}", period.word()),
            Window::Last { seconds } => format!(" in the last {}", span(*seconds)),
            Window::Within { seconds, of } => {
                let anchor = self.meters.get(*of).map(|it| signal(&it.signal)).unwrap_or_default();
                format!(" within {} after the first {anchor}", span(*seconds))
            }
        }
    }
}

/// A time as people write it.
fn time(at: u64) -> String {
    let at = i64::try_from(at).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}

fn span(seconds: u64) -> impl std::fmt::Display {
    humantime::format_duration(Duration::from_secs(seconds))
}

/// Hundredths of a percent as people write them.
pub(super) fn percent(bps: u64) -> String {
    match (bps / 100, bps % 100) {
        (whole, 0) => format!("{whole}%"),
        (whole, rest) => format!("{}%", format!("{whole}.{rest:02}").trim_end_matches('0')),
    }
}

/// That only time is needed.
pub(super) fn from(at: u64) -> String {
    format!("nothing but time: from {} on", time(at))
}

/// What more is needed.
pub(super) fn missing(leaf: &Leaf, meter: Option<&Meter>, shown: Option<Number>) -> String {
    let (meter, lacking) = match (leaf, leaf.bound(), meter) {
        (Leaf::Listed(ListedLeaf { list, among, .. }), ..) => {
            let verb = if *among { "be" } else { "not be" };
            return format!("to {verb} on the list {list}");
        }
        (Leaf::Holds(leaf), Bound::AtLeast(needed), _) => {
            let lacking = needed.less(shown);
            let Holding { what, contract, .. } = &leaf.tokens;
            let of = what.words(contract);
            return match what {
                Having::Tokens | Having::Token(_) if lacking == U256::from(1) => {
                    format!("1 more token of {of}")
                }
                Having::Tokens | Having::Token(_) => format!("{lacking} more tokens of {of}"),
                _ => {
                    format!("{lacking} more of {of}")
                }
            };
        }
        (_, Bound::AtLeast(needed), Some(meter)) => (meter, needed.less(shown)),
        (_, Bound::AtMost(most), Some(meter)) => {
            return match (&meter.measure, shown) {
                (_, None) => format!("a first {}", events(&meter.signal)),
                (Measure::Of { aggregate, field, .. }, Some(_)) => {
                    format!("{} of {field} is above {most}", aggregate.word())
                }
                _ => format!("more than {most} {}", events(&meter.signal)),
            };
        }
        _ => return String::new(),
    };
    match &meter.measure {
        Measure::Count => format!("{lacking} more {}", events(&meter.signal)),
        Measure::Distinct { field, .. } => {
            format!("{lacking} more distinct {field} in {}", events(&meter.signal))
        }
        Measure::Of { field, .. } => format!("{lacking} more {field} in {}", events(&meter.signal)),
        Measure::Sequence(sequence) => {
            let taken = U256::from(sequence.len()).saturating_sub(lacking);
            let taken = usize::try_from(taken).unwrap_or_default();
            let then = if taken > 0 { "then " } else { "" };
            format!("{then}{}", steps(meter, sequence, taken))
        }
        Measure::Streak { turn, .. } => {
            format!("{lacking} more {} in a row, one each {}", events(&meter.signal), turn.words())
        }
    }
}

fn events(signal: &Signal) -> String {
    let kinds: Vec<String> = signal.events.iter().map(EventKind::to_string).collect();
    kinds.join(" or ")
}

/// Whose events count.
fn signal(signal: &Signal) -> String {
    let Signal { subject, filter, holding, .. } = signal;
    let filter = if filter.is_always() { String::new() } else { format!(" where {filter}") };
    let holding = holding.as_ref().map(|it| {
        format!(" while holding at least {} of {}", it.at_least, it.what.words(&it.contract))
    });
    format!("{} by {subject}{filter}{}", events(signal), holding.unwrap_or_default())
}

/// What follows after the first so many steps.
fn steps(meter: &Meter, sequence: &Sequence, taken: usize) -> String {
    let steps = std::iter::once(&meter.signal).chain(&sequence.then).skip(taken).map(signal);
    steps.collect::<Vec<_>>().join(", then ")
}

impl ConditionReport {
    fn holds(&self) -> bool {
        match self {
            Self::Events(leaf) | Self::Holds(leaf) | Self::Ratio(leaf) | Self::Listed(leaf) => {
                leaf.holds
            }
            Self::All { holds, .. }
            | Self::Any { holds, .. }
            | Self::AtLeast { holds, .. }
            | Self::Not { holds, .. }
            | Self::Score { holds, .. } => *holds,
        }
    }

    /// What is missing, in words.
    pub(super) fn missing(&self) -> Vec<String> {
        match self {
            _ if self.holds() => Vec::new(),
            Self::Events(leaf) | Self::Holds(leaf) | Self::Ratio(leaf) | Self::Listed(leaf) => {
                leaf.missing.iter().cloned().collect()
            }
            Self::All { members, .. } => members.iter().flat_map(Self::missing).collect(),
            Self::Any { members, .. } => {
                let ways: Vec<String> =
                    members.iter().map(|member| member.missing().join(" and ")).collect();
                vec![format!("one of: {}", ways.join("; "))]
            }
            Self::AtLeast { needed, members, .. } => {
                let holding = members.iter().filter(|member| member.holds()).count();
                let lacking = needed.saturating_sub(holding);
                let open = members.iter().filter(|member| !member.holds());
                let ways: Vec<String> = open.map(|member| member.missing().join(" and ")).collect();
                vec![format!("{lacking} of: {}", ways.join("; "))]
            }
            Self::Not { from: Some(at), .. } => vec![from(*at)],
            Self::Not { leaf, .. } if leaf.holds => {
                vec![format!("nothing can be done: there was {}", leaf.condition)]
            }
            Self::Not { leaf, .. } => {
                vec![format!("the window of \"{}\" must begin", leaf.condition)]
            }
            Self::Score { needed, members, .. } => {
                let ways = members.iter().map(|member| {
                    let each = if member.each { "each" } else { "once" };
                    format!("{} points {each} for {}", member.points, member.condition.words())
                });
                let ways: Vec<String> = ways.collect();
                vec![format!("more points, {needed} in all: {}", ways.join("; "))]
            }
        }
    }

    /// What is asked for.
    fn words(&self) -> String {
        let joined = |members: &[Self], with: &str| {
            let words: Vec<String> = members.iter().map(Self::words).collect();
            words.join(with)
        };
        match self {
            Self::Events(leaf) | Self::Holds(leaf) | Self::Ratio(leaf) | Self::Listed(leaf) => {
                leaf.condition.clone()
            }
            Self::All { members, .. } => joined(members, " and "),
            Self::Any { members, .. } => joined(members, " or "),
            Self::AtLeast { needed, members, .. } => {
                format!("{needed} of: {}", joined(members, "; "))
            }
            Self::Not { leaf, .. } => format!("no {}", leaf.condition),
            Self::Score { needed, .. } => format!("{needed} points"),
        }
    }
}
