//! Why a user has an achievement, or what is missing: from the saved state
//! alone.

use alloy::primitives::{Address, B256, U256};
use serde::Serialize;

use super::{
    error::suggest,
    evaluate::holds,
    model::{Achievement, Condition, EventLeaf, Leaf, Measure, RuleSet},
    progress::{self, Counted, Standing},
};
use crate::{
    domain::{
        EvidenceItem, Name,
        unlock::{checksummed, decimal},
    },
    fold::State,
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
    /// The condition with what counted. Once the unlock is requested, events
    /// are not counted any more: this is how it stood then, but for tokens held.
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
    /// Explains where a user stands with an achievement.
    ///
    /// # Errors
    /// When the set has no achievement of that name.
    pub fn explain(
        &self,
        state: &State,
        achievement: &str,
        user: Address,
    ) -> Result<Explanation, UnknownAchievement> {
        let Some(achievement) = self.achievement(achievement) else {
            let known = self.achievements.iter().map(|known| known.name.as_str());
            return Err(UnknownAchievement {
                rule_set: self.id.clone(),
                achievement: achievement.to_owned(),
                remedy: suggest(achievement, known, "it has none"),
            });
        };
        let requested = progress::requested(state, user, &achievement.name);
        let requires = achievement.requires.iter().map(|name| PrerequisiteReport {
            achievement: name.clone(),
            unlocked: progress::unlocked(state, user, name).map(|counted| counted.item),
        });
        let requires: Vec<PrerequisiteReport> = requires.collect();
        let condition = report(state, user, achievement, &achievement.when);
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
            requested: requested.map(|counted| counted.item),
            earned: self.earned(state, user, achievement),
            requires,
            condition,
            missing,
        })
    }
}

fn report(
    state: &State,
    user: Address,
    achievement: &Achievement,
    condition: &Condition,
) -> ConditionReport {
    let holds = holds(state, user, achievement, condition);
    let reports = |members: &[Condition]| {
        members.iter().map(|member| report(state, user, achievement, member)).collect()
    };
    match condition {
        Condition::All(members) => ConditionReport::All { holds, members: reports(members) },
        Condition::Any(members) => ConditionReport::Any { holds, members: reports(members) },
        Condition::Leaf(index) => {
            let Some(leaf) = achievement.leaves.get(*index) else {
                return ConditionReport::All { holds, members: Vec::new() };
            };
            let standing = progress::standing(state, user, &achievement.name, *index, leaf);
            let counted = progress::counted(state, user, &achievement.name, *index, leaf);
            let report = leaf_report(leaf, &standing, counted);
            match leaf {
                Leaf::Events(_) => ConditionReport::Events(report),
                Leaf::Holds(_) => ConditionReport::Holds(report),
            }
        }
    }
}

fn leaf_report(leaf: &Leaf, standing: &Standing, counted: Vec<Counted>) -> LeafReport {
    let holds = standing.holds();
    let lacking = standing.shortfall();
    let missing = match leaf {
        Leaf::Holds(leaf) => format!("{lacking} more {} of {}", tokens(lacking), leaf.nft),
        Leaf::Events(leaf) => match &leaf.measure {
            Measure::Count { .. } => format!("{lacking} more {}", events(leaf)),
            Measure::Distinct { field, .. } => {
                format!("{lacking} more distinct {field} in {}", events(leaf))
            }
            Measure::Sum { field, .. } => format!("{lacking} more {field} in {}", events(leaf)),
        },
    };
    LeafReport {
        condition: words(leaf),
        needed: standing.needed.to_string(),
        have: standing.have.to_string(),
        holds,
        evidence: counted.into_iter().map(|counted| counted.item).collect(),
        total: standing.total,
        missing: (!holds).then_some(missing),
    }
}

fn tokens(count: U256) -> &'static str {
    if count == U256::from(1) { "token" } else { "tokens" }
}

fn events(leaf: &EventLeaf) -> String {
    let kinds: Vec<String> =
        leaf.events.iter().map(|kind| format!("{}.{}", kind.contract, kind.event)).collect();
    kinds.join(" or ")
}

fn words(leaf: &Leaf) -> String {
    let leaf = match leaf {
        Leaf::Holds(leaf) => return format!("holds at least {} of {}", leaf.at_least, leaf.nft),
        Leaf::Events(leaf) => leaf,
    };
    let measure = match &leaf.measure {
        Measure::Count { at_least } => format!("at least {at_least}"),
        Measure::Distinct { field, at_least, .. } => {
            format!("at least {at_least} distinct {field} in")
        }
        Measure::Sum { field, at_least } => format!("sum of {field} at least {at_least} in"),
    };
    let tests = leaf.tests.iter().map(|test| {
        let (word, values) = test.comparison.parts();
        let values: Vec<String> = values.iter().map(|value| value.to_json().to_string()).collect();
        format!("{} {word} {}", test.field, values.join(", "))
    });
    let tests: Vec<String> = tests.collect();
    let tests =
        if tests.is_empty() { String::new() } else { format!(" where {}", tests.join(" and ")) };
    format!("{measure} {} by {}{tests}", events(leaf), leaf.subject)
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
