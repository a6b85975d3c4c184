//! Why a user has an achievement, or what is missing: from the saved state
//! alone.

use alloy::primitives::{Address, B256, U256};
use serde::Serialize;

use super::{
    again::Chance,
    chances::Chance as VoteChance,
    error::suggest,
    memory::{self, State, View},
    model::{Achievement, RuleSet},
    tree::{Bound, Condition, Leaf, RatioLeaf, Scored},
    verdict::Verdict,
    words::{from, missing, percent},
};
use crate::domain::{
    EvidenceItem, Name,
    off_chain::is_off_chain,
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
    /// How often it was earned, if it can be earned again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<TimesReport>,
    /// The log that completed it, if the unlock was requested; the last time.
    pub requested: Option<EvidenceItem>,
    /// Whether prerequisites and condition are met now.
    pub earned: bool,
    /// The block time from which on they are, if nothing happens until then;
    /// seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earned_from: Option<u64>,
    /// The achievements that must be on chain first.
    pub requires: Vec<PrerequisiteReport>,
    /// The condition with what counted. Counting ends where nobody asks for
    /// more; windows and tokens held are those of now, whatever was requested.
    pub condition: ConditionReport,
    /// Of what counts, what was said off chain: no chain can be asked about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub off_chain: Vec<Name>,
    /// What is missing, in words; empty once requested.
    pub missing: Vec<String>,
    /// The votes that are still open to the user for it, the soonest first, of
    /// governors whose outcomes the set looks at; none once requested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chances: Vec<VoteChance>,
}

/// How often an achievement was earned that can be earned again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimesReport {
    /// So often. The so many-th time has the id `achievement_id` + this - 1.
    pub earned: u64,
    /// Once in each `day`, `week` or `month`.
    pub every: &'static str,
    /// So often in all.
    pub cap: u64,
    /// The block time from which on it can be earned again, where that is not now;
    /// seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again_from: Option<u64>,
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
    /// Who is on a list, or is not.
    Listed(LeafReport),
    /// A part of something was taken; `needed` and `have` are in percent.
    Ratio(LeafReport),
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
    /// So many members must hold.
    AtLeast {
        /// How many.
        needed: usize,
        /// Whether they do.
        holds: bool,
        /// The members.
        members: Vec<ConditionReport>,
    },
    /// Something must not have happened until its window was over.
    Not {
        /// Whether that is sure.
        holds: bool,
        /// When it is, in seconds since the Unix epoch, if nothing happens.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<u64>,
        /// What must not happen.
        leaf: LeafReport,
    },
    /// Points must reach a number.
    Score {
        /// Which.
        #[serde(with = "decimal")]
        needed: U256,
        /// Whether they do.
        holds: bool,
        /// What gives points.
        members: Vec<ScoreReport>,
    },
}

/// Something that gives points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScoreReport {
    /// How many.
    pub points: u64,
    /// Whether for each, and not once.
    pub each: bool,
    /// What for.
    pub condition: ConditionReport,
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
        let view = &View::of(state, self.member(state, user), now);
        let place = self.place(&achievement.name);
        let requested = place.and_then(|place| view.requested(place));
        let requires = achievement.requires.iter().map(|name| PrerequisiteReport {
            achievement: name.clone(),
            unlocked: self.unlocked(view, name).map(|log| log.item().clone()),
        });
        let requires: Vec<PrerequisiteReport> = requires.collect();
        let condition = self.report(view, achievement, &achievement.when);
        let verdict = self.verdict(view, achievement);
        let mut missing = Vec::new();
        let chance = place.map_or(Chance::Never, |it| achievement.chance(&view.user, it, now));
        if let Chance::From(time) = chance {
            missing.push(from(time));
        }
        if matches!(chance, Chance::Now(_)) {
            let taken = place.map_or(0, |place| memory::taken(state, place));
            let first = achievement.first.filter(|first| taken >= *first);
            missing.extend(first.map(|first| format!("the first {first} have it already")));
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
            times: place.and_then(|place| achievement.times(view, place)),
            requested: requested.map(|log| log.item().clone()),
            earned: verdict == Verdict::Holds,
            earned_from: verdict.later(),
            requires,
            condition,
            off_chain: self.off_chain(),
            chances: match missing.is_empty() {
                true => Vec::new(),
                false => self.chances(state, achievement, user),
            },
            missing,
        })
    }

    /// Sources of facts that no chain has.
    fn off_chain(&self) -> Vec<Name> {
        let off = |contract: &&super::model::ContractRef| is_off_chain(contract.chain_id);
        self.read.values().filter(off).map(|contract| contract.name.clone()).collect()
    }

    fn report(
        &self,
        view: &View<'_>,
        achievement: &Achievement,
        condition: &Condition,
    ) -> ConditionReport {
        let verdict = self.verdict_on(view, achievement, condition);
        let holds = verdict == Verdict::Holds;
        let report = |member: &Condition| self.report(view, achievement, member);
        let reports = |members: &[Condition]| members.iter().map(report).collect();
        let leaf_at = |index: &usize| achievement.leaves.get(*index);
        let nothing = ConditionReport::All { holds, members: Vec::new() };
        match condition {
            Condition::All(members) => ConditionReport::All { holds, members: reports(members) },
            Condition::Any(members) => ConditionReport::Any { holds, members: reports(members) },
            Condition::AtLeast(needed, members) => {
                ConditionReport::AtLeast { needed: *needed, holds, members: reports(members) }
            }
            Condition::Leaf(index) => match leaf_at(index) {
                Some(Leaf::Ratio(leaf)) => ConditionReport::Ratio(self.ratio_report(view, leaf)),
                Some(leaf @ Leaf::Events(_)) => {
                    ConditionReport::Events(self.leaf_report(view, leaf))
                }
                Some(leaf @ Leaf::Listed(_)) => {
                    ConditionReport::Listed(self.leaf_report(view, leaf))
                }
                Some(leaf @ Leaf::Holds(_)) => {
                    let report = self.leaf_report(view, leaf);
                    let missing = report.missing.or_else(|| verdict.later().map(from));
                    ConditionReport::Holds(LeafReport { holds, missing, ..report })
                }
                None => nothing,
            },
            Condition::Not(index) => match leaf_at(index) {
                Some(leaf) => {
                    let leaf = self.leaf_report(view, leaf);
                    ConditionReport::Not { holds, from: verdict.later(), leaf }
                }
                None => nothing,
            },
            Condition::Score { at_least, members } => {
                let scored = |member: &Scored| match member {
                    Scored::Once { points, condition } => {
                        ScoreReport { points: *points, each: false, condition: report(condition) }
                    }
                    Scored::Each { points, leaf } => ScoreReport {
                        points: *points,
                        each: true,
                        condition: report(&Condition::Leaf(*leaf)),
                    },
                };
                let members = members.iter().map(scored).collect();
                ConditionReport::Score { needed: *at_least, holds, members }
            }
        }
    }

    fn ratio_report(&self, view: &View<'_>, leaf: &RatioLeaf) -> LeafReport {
        let report = self.leaf_report(view, &Leaf::Ratio(leaf.clone()));
        let part = self.part(view, leaf);
        let (needed, have) = (percent(leaf.at_least_bps), percent(part.bps()));
        let missing = match part.is_early {
            true => format!("{} more to be a part of", leaf.of_at_least.saturating_sub(part.of)),
            false => format!("{needed}; {} of {} are {have}", part.taken, part.of),
        };
        let missing = (!report.holds).then_some(missing);
        LeafReport { needed, have, missing, ..report }
    }

    fn leaf_report(&self, view: &View<'_>, leaf: &Leaf) -> LeafReport {
        let shown = self.shown(view, leaf);
        let bound = leaf.bound();
        let holds = bound.is_kept(shown.number);
        let mut logs = Vec::new();
        self.logs(view, leaf, &mut logs);
        let (Bound::AtLeast(needed) | Bound::AtMost(needed)) = bound;
        let meter = match leaf {
            Leaf::Events(leaf) => self.meters.get(leaf.meter),
            Leaf::Ratio(leaf) => self.meters.get(leaf.meter),
            Leaf::Holds(_) | Leaf::Listed(_) => None,
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
}

impl Achievement {
    fn times(&self, view: &View<'_>, place: usize) -> Option<TimesReport> {
        let every = self.every?;
        let again_from = match self.chance(&view.user, place, view.now) {
            Chance::From(time) => Some(time),
            Chance::Now(_) | Chance::Never => None,
        };
        Some(TimesReport {
            earned: view.user.times(place).count,
            every: every.period.word(),
            cap: every.cap,
            again_from,
        })
    }
}
