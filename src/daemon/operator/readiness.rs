//! What the daemon waits for before it can do its work.

use std::{collections::BTreeSet, sync::PoisonError};

use serde_json::Value as Json;

use super::DaemonState;
use crate::{
    actors::benefits::BenefitsReader,
    api::NotReady,
    breakers::{BreakerState, Guard},
    supervisor::ChildState,
};

pub(super) fn not_ready(state: &DaemonState) -> Vec<NotReady> {
    let stage = state.stage.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut parts: Vec<NotReady> = stage.into_iter().collect();
    let guards = state.guards.get().into_iter().flatten().map(Guard::snapshot);
    let guards = guards.map(|guard| (guard.dependency, guard.state == BreakerState::Closed));
    for part in out_of_service(guards.collect()) {
        let why = "its circuit breaker is open: calls to it keep failing".to_owned();
        parts.push(NotReady { part, why });
    }
    for governor in state.benefits.get().into_iter().flat_map(BenefitsReader::cold) {
        let why = "who has which benefits is being read from the store".to_owned();
        parts.push(NotReady { part: format!("cache/{governor}"), why });
    }
    for child in state.tree.snapshot() {
        let why = match child.state {
            ChildState::Running => {
                child.observed.get("not_ready").and_then(Json::as_str).map(str::to_owned)
            }
            ChildState::Starting => Some("it is starting".to_owned()),
            ChildState::Draining => Some("it is draining".to_owned()),
            state @ (ChildState::BackingOff | ChildState::Failed) => {
                let end = child.last_end.as_ref().map(|end| end.detail.clone());
                let given_up = state == ChildState::Failed;
                let what = if given_up { "given up" } else { "being restarted" };
                Some(format!("{what} after: {}", end.unwrap_or_default()))
            }
        };
        if let Some(why) = why.filter(|_| is_shown(&child.name, child.state)) {
            parts.push(NotReady { part: child.name, why });
        }
    }
    parts
}

/// Which dependencies can't be used, of pairs of name and health. A chain's
/// endpoints stand in for each other: they count when none is left.
fn out_of_service(guards: Vec<(String, bool)>) -> Vec<String> {
    let chain_of = |name: &str| {
        let (chain, _) = name.strip_prefix("endpoint/")?.rsplit_once('/')?;
        Some(chain.to_owned())
    };
    let served: BTreeSet<String> =
        guards.iter().filter(|(_, well)| *well).filter_map(|(name, _)| chain_of(name)).collect();
    let stood_in_for = |name: &str| chain_of(name).is_some_and(|chain| served.contains(&chain));
    guards
        .into_iter()
        .filter(|(name, well)| !well && !stood_in_for(name))
        .map(|(name, _)| name)
        .collect()
}

/// Transactions come and go with their nonces: one that starts, works or ends
/// is no condition of readiness, one that can't is.
fn is_shown(actor: &str, state: ChildState) -> bool {
    let fails = matches!(state, ChildState::BackingOff | ChildState::Failed);
    fails || !actor.starts_with("tx/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_counts_when_its_chain_has_no_other() {
        let guards = |states: [bool; 3]| {
            let names = ["endpoint/main/0", "endpoint/main/1", "endpoint/side/0"];
            names.map(str::to_owned).into_iter().zip(states).chain([("nats".to_owned(), false)])
        };
        let out = |states| out_of_service(guards(states).collect());
        assert_eq!(out([true, false, true]), ["nats"]);
        assert_eq!(out([false, true, false]), ["endpoint/side/0", "nats"]);
        assert_eq!(out([false, false, true]), ["endpoint/main/0", "endpoint/main/1", "nats"]);
    }

    #[test]
    fn of_transactions_only_those_that_fail_are_shown() {
        for state in [ChildState::Running, ChildState::Starting, ChildState::Draining] {
            assert!(!is_shown("tx/awards/7", state));
            assert!(is_shown("signer/awards", state));
        }
        assert!(is_shown("tx/awards/7", ChildState::Failed));
        assert!(is_shown("tx/awards/7", ChildState::BackingOff));
    }
}
