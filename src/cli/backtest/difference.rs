//! What a new rule set changes for whom.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{
    cost::Cost,
    report::{award, shown},
    trial::Trial,
};
use crate::{
    domain::{Name, UnlockId},
    rules::Unlock,
};

/// Lines of text for single awards.
const SHOWN: usize = 20;

/// What is held in the end by one set and not by the other.
pub(super) struct Difference<'t> {
    old: &'t Trial,
    new: &'t Trial,
    cost: &'t Cost,
    gains: Vec<&'t Unlock>,
    losses: Vec<&'t Unlock>,
    kept: usize,
}

impl<'t> Difference<'t> {
    pub(super) fn of(old: &'t Trial, new: &'t Trial, cost: &'t Cost) -> Self {
        let (before, after) = (old.awards.held(), new.awards.held());
        let only = |these: &BTreeMap<UnlockId, &'t Unlock>,
                    others: &BTreeMap<UnlockId, &'t Unlock>| {
            let mut only: Vec<&'t Unlock> =
                these.iter().filter(|(id, _)| !others.contains_key(id)).map(|it| *it.1).collect();
            only.sort_by_key(|it| (it.time, it.request.achievement.clone(), it.request.user));
            only
        };
        let gains = only(&after, &before);
        let losses = only(&before, &after);
        let kept = after.len() - gains.len();
        Self { old, new, cost, gains, losses, kept }
    }

    /// By achievement, how many gain, lose and keep it.
    fn counts(&self) -> BTreeMap<&'t Name, (usize, usize)> {
        let mut counts: BTreeMap<&Name, (usize, usize)> = BTreeMap::new();
        for unlock in &self.gains {
            counts.entry(&unlock.request.achievement).or_default().0 += 1;
        }
        for unlock in &self.losses {
            counts.entry(&unlock.request.achievement).or_default().1 += 1;
        }
        counts
    }

    pub(super) fn json(&self) -> String {
        let side = |trial: &Trial| {
            json!({
                "rule_set": trial.set.id(), "rule_version": trial.set.version(),
                "held": trial.awards.held().len(),
            })
        };
        let awards = |of: &[&Unlock]| of.iter().map(|it| award(it)).collect::<Vec<Json>>();
        let report = json!({
            "old": side(self.old),
            "new": side(self.new),
            "same_meaning": self.old.set.version() == self.new.set.version(),
            "kept": self.kept,
            "gains": awards(&self.gains),
            "losses": awards(&self.losses),
            "cost": self.cost.json(self.gains.len(), self.losses.len()),
        });
        format!("{report:#}")
    }

    pub(super) fn text(&self) -> String {
        if self.old.set.version() == self.new.set.version() {
            return format!("both mean the same (version {})", self.old.set.version());
        }
        let mut lines = vec![format!(
            "{} gain, {} lose, {} keep what they have",
            self.gains.len(),
            self.losses.len(),
            self.kept
        )];
        for (achievement, (gains, losses)) in self.counts() {
            lines.push(format!("  {:<28} +{gains} -{losses}", achievement.as_str()));
        }
        for (sign, all) in [('+', &self.gains), ('-', &self.losses)] {
            lines.extend(all.iter().take(SHOWN).map(|unlock| format!("{sign} {}", shown(unlock))));
            if all.len() > SHOWN {
                lines.push(format!("{sign} … {} more (--json has all)", all.len() - SHOWN));
            }
        }
        lines.push(self.cost.text(self.gains.len(), self.losses.len()));
        lines.push(
            "what is lost is taken back only with on_change = \"recompute\": see docs/rules.md, Versions"
                .to_owned(),
        );
        lines.join("\n")
    }
}
