//! Whether rule sets still mean what was asked for by them: one that doesn't waits, unless
//! it says what becomes of that (docs/rules.md, Versions).

use std::sync::Arc;

use serde_json::Value as Json;

use super::Finding;
use crate::{
    actors::rule_set::meaning_of_said,
    cli::{Failure, client::DaemonArgs},
    config::Config,
    daemon::{Plan, STORE_FILE},
    rules::{OnChange, RuleSet},
    store::{Database, OpenError, Session, StoreError},
};

/// By what version a set has asked for what it has asked for.
enum Before {
    Nothing,
    /// This one, by the store.
    Stored(String),
    /// This one, which runs.
    Running(String),
    /// The daemon can't say, or says why the set waits.
    Waits(Option<String>),
}

/// Who knows it.
enum Known {
    Store(Session),
    /// The status of the daemon that has the store.
    Daemon(Json),
}

/// Compares each with what the store has, or the daemon that has the store.
pub(super) fn check(config: &Config, plan: &Plan, daemon: Option<&DaemonArgs>) -> Vec<Finding> {
    let file = config.data_dir.join(STORE_FILE);
    if plan.rule_sets.is_empty() || !file.exists() {
        return Vec::new();
    }
    let known = match Database::open(&file) {
        Ok(database) => Known::Store(database.session()),
        Err(OpenError::AlreadyOpen { .. }) => {
            let Some(daemon) = daemon else { return Vec::new() };
            match daemon.look("/api/v1/status", &[]) {
                Ok(status) => Known::Daemon(status),
                Err(error) => return vec![Finding::bad("rules", silent(error.into()))],
            }
        }
        Err(error) => return vec![Finding::bad("store", error.to_string())],
    };
    let look = |set: &Arc<RuleSet>| {
        let what = format!("rules/{}", set.id());
        match known.of(set) {
            Ok(before) => judge(what, set, before),
            Err(error) => Finding::bad(what, error.to_string()),
        }
    };
    plan.rule_sets.iter().map(look).collect()
}

impl Known {
    fn of(&self, set: &RuleSet) -> Result<Before, StoreError> {
        match self {
            Self::Store(store) => {
                let said = meaning_of_said(store, set.id())?;
                Ok(said.map_or(Before::Nothing, Before::Stored))
            }
            Self::Daemon(status) => Ok(running(status, set)),
        }
    }
}

fn silent(error: Failure) -> String {
    let (Failure::Usage(why) | Failure::Failed(why)) = error;
    format!("the store is in use, and the daemon that may have it does not tell: {why}")
}

/// What a daemon shows of a set.
fn running(status: &Json, set: &RuleSet) -> Before {
    let name = format!("rule_set/{}", set.id());
    let actors = status.get("actors").and_then(Json::as_array).into_iter().flatten();
    let actor = actors.into_iter().find(|it| it.get("name").is_some_and(|it| *it == *name));
    let Some(observed) = actor.and_then(|it| it.get("observed")) else { return Before::Nothing };
    let text = |key: &str| observed.get(key).and_then(Json::as_str).map(str::to_owned);
    match text("version") {
        Some(_) if observed.get("has_said").and_then(Json::as_bool) == Some(false) => {
            Before::Nothing
        }
        Some(version) => Before::Running(version),
        None => Before::Waits(text("not_ready")),
    }
}

fn judge(what: String, set: &RuleSet, before: Before) -> Finding {
    let version = set.version().to_string();
    let (older, that) = match before {
        Before::Nothing => return Finding::good(what, "has asked for nothing yet"),
        Before::Waits(Some(why)) => return Finding::bad(what, why),
        Before::Waits(None) => {
            return Finding::good(what, "not known: the daemon does not have it open yet");
        }
        Before::Stored(older) => (older, "was asked for by it"),
        Before::Running(version) => (version, "runs"),
    };
    if older == version {
        return Finding::good(what, format!("means what {that}"));
    }
    let change = match set.on_change() {
        // It asks for nothing.
        _ if set.is_shadow() => "shadow = true, which takes nothing back",
        Some(OnChange::Carry) => "on_change = \"carry\"",
        Some(OnChange::Recompute) => "on_change = \"recompute\"",
        Some(OnChange::FromNow) => "on_change = \"from-now\"",
        None => {
            return Finding::bad(
                what,
                format!(
                    "it means something else than what {that} ({older}) and would wait: look at \
                     `meritd diff`, then say on_change = \"carry\", \"recompute\" or \"from-now\" \
                     in it"
                ),
            );
        }
    };
    Finding::good(what, format!("means something else than what {that}: {change}"))
}
