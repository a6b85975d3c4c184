//! What a set did on history: in words, as JSON, as CSV.

use std::collections::BTreeSet;

use alloy::primitives::Address;
use serde_json::{Value as Json, json};

use super::{super::Failure, cost::Cost, trial::Trial};
use crate::{
    rules::{Achievement, Unlock},
    streams::envelope::UnixTime,
};

/// Lines of text for single awards, of the latest.
const SHOWN: usize = 20;

/// What one trial shows.
pub(super) struct Report<'t> {
    trial: &'t Trial,
    cost: &'t Cost,
}

/// What became of one achievement.
struct Line<'t> {
    achievement: &'t Achievement,
    earned: usize,
    lost: usize,
    held: usize,
    users: usize,
    first: Option<u64>,
    last: Option<u64>,
}

impl<'t> Report<'t> {
    pub(super) fn of(trial: &'t Trial, cost: &'t Cost) -> Self {
        Self { trial, cost }
    }

    fn lines(&self) -> Vec<Line<'t>> {
        let held = self.trial.awards.held();
        let line = |achievement: &'t Achievement| {
            let is_it = |unlock: &&Unlock| unlock.request.achievement == achievement.name;
            let all = || self.trial.awards.all().iter().filter(is_it);
            let earned = || all().filter(|unlock| unlock.lapsed.is_none());
            let users: BTreeSet<Address> = all().map(|unlock| unlock.request.user).collect();
            Line {
                achievement,
                earned: earned().count(),
                lost: all().count() - earned().count(),
                held: held.values().filter(|unlock| is_it(unlock)).count(),
                users: users.len(),
                first: earned().map(|unlock| unlock.time).min(),
                last: earned().map(|unlock| unlock.time).max(),
            }
        };
        self.trial.set.achievements().iter().map(line).collect()
    }

    fn counts(&self) -> (usize, usize) {
        let all = self.trial.awards.all();
        let lost = all.iter().filter(|unlock| unlock.lapsed.is_some()).count();
        (all.len() - lost, lost)
    }

    pub(super) fn json(&self) -> String {
        let time = |time: Option<u64>| time.map(UnixTime);
        let lines: Vec<Json> = self
            .lines()
            .iter()
            .map(|line| {
                json!({
                    "achievement": line.achievement.name,
                    "achievement_id": line.achievement.id.to_string(),
                    "users": line.users,
                    "earned": line.earned,
                    "lost": line.lost,
                    "held": line.held,
                    "first_at": time(line.first),
                    "last_at": time(line.last),
                })
            })
            .collect();
        let (earned, lost) = self.counts();
        let awards: Vec<Json> = self.trial.awards.all().iter().map(award).collect();
        let report = json!({
            "rule_set": self.trial.set.id(),
            "rule_version": self.trial.set.version(),
            "events": self.trial.events,
            "set_aside": self.trial.set_aside,
            "through": UnixTime(self.trial.through),
            "achievements": lines,
            "cost": self.cost.json(earned, lost),
            "awards": awards,
        });
        format!("{report:#}")
    }

    pub(super) fn text(&self) -> String {
        let set = &self.trial.set;
        let mut lines = vec![
            format!("rule set {} ({})", set.id(), set.version()),
            format!("{} events, up to {}", self.trial.events, UnixTime(self.trial.through)),
            String::new(),
            format!(
                "{:<28} {:>8} {:>8} {:>8}  first and last",
                "achievement", "earned", "lost", "held"
            ),
        ];
        for line in self.lines() {
            let times = match (line.first, line.last) {
                (Some(first), Some(last)) => {
                    format!("{} … {}", UnixTime(first), UnixTime(last))
                }
                _ => "nobody".to_owned(),
            };
            lines.push(format!(
                "{:<28} {:>8} {:>8} {:>8}  {times}",
                line.achievement.name.as_str(),
                line.earned,
                line.lost,
                line.held
            ));
        }
        let all = self.trial.awards.all();
        if !all.is_empty() {
            lines.push(String::new());
            let left_out = all.len().saturating_sub(SHOWN);
            if left_out > 0 {
                lines.push(format!("… {left_out} more before (--csv and --json have all)"));
            }
            lines.extend(all.iter().skip(left_out).map(shown));
        }
        let (earned, lost) = self.counts();
        lines.push(String::new());
        lines.push(self.cost.text(earned, lost));
        lines.join("\n")
    }

    pub(super) fn csv(&self) -> Result<String, Failure> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer
            .write_record([
                "time",
                "change",
                "achievement",
                "achievement_id",
                "instance",
                "user",
                "chain_id",
                "block",
                "transaction_hash",
                "log_index",
                "logs",
            ])
            .map_err(Failure::failed)?;
        for unlock in self.trial.awards.all() {
            let request = &unlock.request;
            let log = by(unlock);
            let of_log = |text: fn(&crate::domain::EvidenceItem) -> String| {
                log.map(text).unwrap_or_default()
            };
            writer
                .write_record([
                    UnixTime(unlock.time).to_string(),
                    change(unlock).to_owned(),
                    request.achievement.to_string(),
                    request.achievement_id.to_string(),
                    request.instance.map(|it| it.to_string()).unwrap_or_default(),
                    request.user.to_checksum(None),
                    of_log(|log| log.chain_id.to_string()),
                    of_log(|log| log.block.to_string()),
                    of_log(|log| log.transaction_hash.to_string()),
                    of_log(|log| log.log_index.to_string()),
                    request.evidence.total.to_string(),
                ])
                .map_err(Failure::failed)?;
        }
        let bytes = writer.into_inner().map_err(|error| Failure::Failed(error.to_string()))?;
        String::from_utf8(bytes).map_err(Failure::failed)
    }
}

/// The log by which something was earned or lost: of time alone, none for what was
/// lost, and the last that counted for what was earned.
fn by(unlock: &Unlock) -> Option<&crate::domain::EvidenceItem> {
    match &unlock.lapsed {
        Some(lapse) => lapse.log.as_ref(),
        None => unlock.request.evidence.items.last(),
    }
}

fn change(unlock: &Unlock) -> &'static str {
    if unlock.lapsed.is_some() { "lost" } else { "earned" }
}

/// One award as JSON.
pub(super) fn award(unlock: &Unlock) -> Json {
    let request = &unlock.request;
    json!({
        "time": UnixTime(unlock.time),
        "change": change(unlock),
        "unlock": request.id,
        "achievement": request.achievement,
        "achievement_id": request.achievement_id.to_string(),
        "instance": request.instance,
        "user": request.user.to_checksum(None),
        "by": by(unlock),
        "logs": request.evidence.total,
    })
}

/// One award as a line.
pub(super) fn shown(unlock: &Unlock) -> String {
    let request = &unlock.request;
    let instance = request.instance.map(|it| format!(" #{it}")).unwrap_or_default();
    let log =
        by(unlock).map(|log| format!("  {}.{} in block {}", log.contract, log.name, log.block));
    format!(
        "{}  {:<6}  {}{instance}  {}{}",
        UnixTime(unlock.time),
        change(unlock),
        request.achievement,
        request.user.to_checksum(None),
        log.unwrap_or_default()
    )
}
