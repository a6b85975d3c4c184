//! Why a user has an achievement, or what is missing: from the saved state
//! alone.

use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    error::suggest,
    memory::{self, State},
    meter::{Measure, Meter, Window},
    model::{Achievement, Bound, Condition, Leaf, Number, RuleSet},
};
use crate::domain::{
    EvidenceItem, Name,
    unlock::{checksummed, decimal},
};

/// Where a user stands with an achievement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The rule set.
    pub rule_set: Name,
    /// Its version.
    pub rule_version: B256,
    /// The achievement.
    pub achievement: Name,
    /// Its id in its contract.
    #[serde(with = "decimal")]
    pub achievement_id: U256,
    /// The user.
    #[serde(with = "checksummed")]
    pub user: Address,
    /// The log that completed it, if the unlock was requested.
    pub requested: Option<EvidenceItem>,
    /// Whether prerequisites and condition are met now.
    pub earned: bool,
    /// The achievements that must be on chain first.
    pub requires: Vec<PrerequisiteReport>,
    /// The condition with what counted. Counting ends where nobody asks for
    /// more; windows and tokens held are those of now, whatever was requested.
    pub condition: ConditionReport,
    /// What is missing, in words; empty once requested.
    pub missing: Vec<String>,
}

/// A prerequisite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrerequisiteReport {
    /// The achievement required.
    pub achievement: Name,
    /// Its confirmation on chain, if there is one.
    pub unlocked: Option<EvidenceItem>,
}

/// A condition and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ConditionReport {
    /// Events are counted or summed.
    Events(LeafReport),
    /// Tokens are held.
    Holds(LeafReport),
    /// All members must hold.
    All {
        /// Whether they do.
        holds: bool,
        /// The members.
        members: Vec<ConditionReport>,
    },
    /// One member must hold.
    Any {
        /// Whether one does.
        holds: bool,
        /// The members.
        members: Vec<ConditionReport>,
    },
}

/// One condition that is not a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeafReport {
    /// What it asks for, in words.
    pub condition: String,
    /// How much is needed, as a decimal.
    pub needed: String,
    /// How much there is, as a decimal.
    pub have: String,
    /// Whether that is enough.
    pub holds: bool,
    /// The latest logs that counted, in position order.
    pub evidence: Vec<EvidenceItem>,
    /// How many logs counted in all.
    pub total: u64,
    /// What is missing, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// The rule set has no achievement of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule set `{rule_set}` has no achievement `{achievement}`; {remedy}")]
pub struct UnknownAchievement {
    /// The rule set.
    pub rule_set: Name,
    /// What was asked for.
    pub achievement: String,
    /// Names that come near, or all of them.
    pub remedy: String,
}

impl RuleSet {
    /// Explains where a user stands with an achievement at a block time, in
    /// seconds since the Unix epoch.
    ///
    /// # Errors
    /// When the set has no achievement of that name.
    pub fn explain(
        &self,
        state: &State,
        achievement: &str,
        user: Address,
        now: u64,
    ) -> Result<Explanation, UnknownAchievement> {
        let Some(achievement) = self.achievement(achievement) else {
            let known = self.achievements.iter().map(|known| known.name.as_str());
            return Err(UnknownAchievement {
                rule_set: self.id.clone(),
                achievement: achievement.to_owned(),
                remedy: suggest(achievement, known, "it has none"),
            });
        };
        let requested = memory::requested(state, user, &achievement.name);
        let requires = achievement.requires.iter().map(|name| PrerequisiteReport {
            achievement: name.clone(),
            unlocked: memory::unlocked(state, user, name).map(|log| log.item().clone()),
        });
        let requires: Vec<PrerequisiteReport> = requires.collect();
        let condition = self.report(state, user, achievement, &achievement.when, now);
        let mut missing = Vec::new();
        if requested.is_none() {
            let unmet = requires.iter().filter(|required| required.unlocked.is_none());
            missing.extend(unmet.map(|required| {
                format!("achievement {} must be unlocked on chain first", required.achievement)
            }));
            missing.extend(condition.missing());
        }
        Ok(Explanation {
            rule_set: self.id.clone(),
            rule_version: self.version,
            achievement: achievement.name.clone(),
            achievement_id: achievement.id,
            user,
            requested: requested.map(|log| log.item().clone()),
            earned: self.earned(state, user, achievement, now),
            requires,
            condition,
            missing,
        })
    }

    fn report(
        &self,
        state: &State,
        user: Address,
        achievement: &Achievement,
        condition: &Condition,
        now: u64,
    ) -> ConditionReport {
        let holds = self.holds(state, user, achievement, condition, now);
        let reports = |members: &[Condition]| {
            let report = |member| self.report(state, user, achievement, member, now);
            members.iter().map(report).collect()
        };
        match condition {
            Condition::All(members) => ConditionReport::All { holds, members: reports(members) },
            Condition::Any(members) => ConditionReport::Any { holds, members: reports(members) },
            Condition::Leaf(index) => {
                let Some(leaf) = achievement.leaves.get(*index) else {
                    return ConditionReport::All { holds, members: Vec::new() };
                };
                let report = self.leaf_report(state, user, leaf, now);
                match leaf {
                    Leaf::Events(_) => ConditionReport::Events(report),
                    Leaf::Holds(_) => ConditionReport::Holds(report),
                }
            }
        }
    }

    fn leaf_report(&self, state: &State, user: Address, leaf: &Leaf, now: u64) -> LeafReport {
        let shown = self.shown(state, user, leaf, now);
        let bound = leaf.bound();
        let holds = bound.is_kept(shown.number);
        let logs = self.logs(state, user, leaf, now);
        let (Bound::AtLeast(needed) | Bound::AtMost(needed)) = bound;
        let meter = match leaf {
            Leaf::Events(leaf) => self.meters.get(leaf.meter),
            Leaf::Holds(_) => None,
        };
        LeafReport {
            condition: self.words(leaf, meter),
            needed: needed.to_string(),
            have: shown.number.map_or_else(|| "0".to_owned(), |number| number.to_string()),
            holds,
            evidence: logs.iter().map(|log| log.item().clone()).collect(),
            total: shown.total,
            missing: (!holds).then(|| missing(leaf, meter, shown.number)),
        }
    }

    fn words(&self, leaf: &Leaf, meter: Option<&Meter>) -> String {
        let (bound, meter) = match (leaf, meter) {
            (Leaf::Holds(leaf), _) => {
                return format!("holds at least {} of {}", leaf.at_least, leaf.nft);
            }
            (Leaf::Events(leaf), Some(meter)) => (leaf.bound, meter),
            (Leaf::Events(_), None) => return String::new(),
        };
        let bound = match bound {
            Bound::AtLeast(number) => format!("at least {number}"),
            Bound::AtMost(number) => format!("at most {number}"),
        };
        let measure = match &meter.measure {
            Measure::Count => bound,
            Measure::Distinct { field, .. } => format!("{bound} distinct {field} in"),
            Measure::Of { aggregate, field, .. } => {
                format!("{} of {field} {bound} in", aggregate.word())
            }
        };
        format!("{measure} {}{}", signal(meter), self.window_words(meter))
    }

    fn window_words(&self, meter: &Meter) -> String {
        let time = |at: &u64| {
            let at =
                i64::try_from(*at).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
            at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
        };
        let span = |seconds: u64| humantime::format_duration(Duration::from_secs(seconds));
        match &meter.window {
            Window::Always => String::new(),
            Window::Between { from, to } => {
                let from = from.as_ref().map(|from| format!(" from {}", time(from)));
                let to = to.as_ref().map(|to| format!(" before {}", time(to)));
                format!("{}{}", from.unwrap_or_default(), to.unwrap_or_default())
            }
            Window::Last { seconds } => format!(" in the last {}", span(*seconds)),
            Window::Within { seconds, of } => {
                let anchor = self.meters.get(*of).map(signal).unwrap_or_default();
                format!(" within {} after the first {anchor}", span(*seconds))
            }
        }
    }
}

/// What more is needed.
fn missing(leaf: &Leaf, meter: Option<&Meter>, shown: Option<Number>) -> String {
    let (meter, lacking) = match (leaf, leaf.bound(), meter) {
        (Leaf::Holds(leaf), Bound::AtLeast(needed), _) => {
            let lacking = needed.less(shown);
            let tokens = if lacking == U256::from(1) { "token" } else { "tokens" };
            return format!("{lacking} more {tokens} of {}", leaf.nft);
        }
        (_, Bound::AtLeast(needed), Some(meter)) => (meter, needed.less(shown)),
        (_, Bound::AtMost(most), Some(meter)) => {
            return match (&meter.measure, shown) {
                (_, None) => format!("a first {}", events(meter)),
                (Measure::Of { aggregate, field, .. }, Some(_)) => {
                    format!("{} of {field} is above {most}", aggregate.word())
                }
                _ => format!("more than {most} {}", events(meter)),
            };
        }
        _ => return String::new(),
    };
    match &meter.measure {
        Measure::Count => format!("{lacking} more {}", events(meter)),
        Measure::Distinct { field, .. } => {
            format!("{lacking} more distinct {field} in {}", events(meter))
        }
        Measure::Of { field, .. } => format!("{lacking} more {field} in {}", events(meter)),
    }
}

fn events(meter: &Meter) -> String {
    let kinds: Vec<String> =
        meter.events.iter().map(|kind| format!("{}.{}", kind.contract, kind.event)).collect();
    kinds.join(" or ")
}

/// Whose events count.
fn signal(meter: &Meter) -> String {
    let filter =
        if meter.filter.is_always() { String::new() } else { format!(" where {}", meter.filter) };
    format!("{} by {}{filter}", events(meter), meter.subject)
}

impl ConditionReport {
    fn holds(&self) -> bool {
        match self {
            Self::Events(leaf) | Self::Holds(leaf) => leaf.holds,
            Self::All { holds, .. } | Self::Any { holds, .. } => *holds,
        }
    }

    fn missing(&self) -> Vec<String> {
        match self {
            _ if self.holds() => Vec::new(),
            Self::Events(leaf) | Self::Holds(leaf) => leaf.missing.iter().cloned().collect(),
            Self::All { members, .. } => members.iter().flat_map(Self::missing).collect(),
            Self::Any { members, .. } => {
                let ways: Vec<String> =
                    members.iter().map(|member| member.missing().join(" and ")).collect();
                vec![format!("one of: {}", ways.join("; "))]
            }
        }
    }
}
