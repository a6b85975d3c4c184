//! How far a contract is with its history, as the daemon shows it, in words.

use serde::Deserialize;
use serde_json::Value as Json;

/// One contract that reads history.
#[derive(Debug, PartialEq)]
pub(super) struct Backfill {
    /// The actor's name.
    pub(super) name: String,
    /// The first block of this run.
    pub(super) from: u64,
    /// The next block.
    pub(super) next: u64,
    /// The last block that is final and confirmed.
    pub(super) target: u64,
    pace: Pace,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Pace {
    blocks_per_s: f64,
    events_per_s: f64,
    eta_s: Option<u64>,
}

impl Backfill {
    /// What an actor of `GET /api/v1/status` says; none when it reads none.
    pub(super) fn of(actor: &Json) -> Option<Self> {
        let state = actor.get("observed")?.get("backfill").filter(|state| state.is_object())?;
        let number = |key: &str| state.get(key).and_then(Json::as_u64);
        Some(Self {
            name: actor.get("name")?.as_str()?.to_owned(),
            from: number("from")?,
            next: number("next")?,
            target: number("target")?,
            pace: Pace::deserialize(state).ok()?,
        })
    }

    /// Blocks of this run that are read, and all of them.
    pub(super) fn blocks(&self) -> (u64, u64) {
        let all = (self.target + 1).saturating_sub(self.from).max(1);
        (self.next.saturating_sub(self.from).min(all), all)
    }

    /// The share that is read.
    pub(super) fn percent(&self) -> f64 {
        let (read, all) = self.blocks();
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let share = read as f64 / all as f64;
        share * 100.0
    }

    /// Speeds, and the time that is left.
    pub(super) fn pace(&self) -> String {
        let Pace { blocks_per_s, events_per_s, eta_s } = self.pace;
        let left = match eta_s {
            Some(seconds) => format!("{} left", duration(seconds)),
            None => "not moving".to_owned(),
        };
        format!("{blocks_per_s:.0} blocks/s, {events_per_s:.0} events/s, {left}")
    }
}

/// `2d 3h`, `3h 4m`, `4m 5s`, `5s`.
fn duration(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m {s}s"),
        (0, h, m, _) => format!("{h}h {m}m"),
        (d, h, ..) => format!("{d}d {h}h"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_told_in_their_two_largest_units() {
        let told = [59, 61, 3_700, 90_000].map(duration);
        assert_eq!(told, ["59s", "1m 1s", "1h 1m", "1d 1h"]);
    }

    #[test]
    fn a_share_is_never_more_than_all_and_of_nothing_not_none() {
        let backfill = |from: u64, next: u64, target: u64| {
            let state = json!({
                "from": from, "next": next, "target": target,
                "blocks_per_s": 0.0, "events_per_s": 0.0, "eta_s": null,
            });
            Backfill::of(&json!({ "name": "contract/dao", "observed": { "backfill": state } }))
        };
        let shares = [(0, 0, 99), (0, 50, 99), (7, 900, 99), (100, 100, 5)]
            .map(|(from, next, target)| backfill(from, next, target).unwrap().blocks());
        assert_eq!(shares, [(0, 100), (50, 100), (93, 93), (0, 1)]);
        assert!(backfill(0, 1, 9).unwrap().pace().ends_with("not moving"));
        assert_eq!(Backfill::of(&json!({ "name": "head/local", "observed": {} })), None);
    }
}
