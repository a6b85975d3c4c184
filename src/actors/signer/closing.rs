//! Contracts that refuse every call: paused, or without rights for the signer.
//! Each is tried again by itself, and holds no other contract.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use alloy::eips::BlockNumberOrTag;
use tokio::time::Instant;

use super::{SignerActor, Trouble};
use crate::{
    domain::Name,
    signing::calls::{self, Role},
};

/// A closed contract is tried again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(3);

/// Long enough to have been tried again many times over, had anything waited.
const UNTRIED_AFTER: Duration = Duration::from_secs(30);

/// In the reason of one that is closed for a missing role.
const LACKS: &str = " lacks ";

/// What is closed, and why.
#[derive(Debug, Default)]
pub(super) struct Closed(BTreeMap<Name, (String, Instant)>);

impl Closed {
    /// Contracts that are left alone now.
    pub(super) fn now(&self) -> BTreeSet<Name> {
        let fresh = self.0.iter().filter(|(_, (_, since))| since.elapsed() < RETRY_AFTER);
        fresh.map(|(name, _)| name.clone()).collect()
    }

    /// It takes calls.
    pub(super) fn open(&mut self, contract: &Name) {
        if self.0.remove(contract).is_some() {
            tracing::info!(%contract, "the contract takes calls again");
        }
    }

    /// It has the roles that it lacked.
    fn granted(&mut self, contract: &Name) {
        if self.0.get(contract).is_some_and(|(why, _)| why.contains(LACKS)) {
            self.open(contract);
        }
    }

    /// What nobody tried for long has nothing that waits for it: whether it would refuse
    /// now is not known, and keeps nobody from being ready.
    fn forget_untried(&mut self) {
        self.0.retain(|contract, (why, since)| {
            let stays = why.contains(LACKS) || since.elapsed() < UNTRIED_AFTER;
            if !stays {
                tracing::info!(%contract, "nothing waits for the contract that refused calls");
            }
            stays
        });
    }

    /// Why, for people.
    pub(super) fn shown(&self) -> Option<String> {
        let all: Vec<&str> = self.0.values().map(|(why, _)| why.as_str()).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

impl SignerActor {
    pub(super) fn close(&mut self, contract: &Name, why: String) {
        let known = self.closed.0.insert(contract.clone(), (why.clone(), Instant::now()));
        if known.is_none_or(|(known, _)| known != why) {
            tracing::warn!(signer = %self.name(), %contract, "{why}");
        }
    }

    /// Asks for the signer's roles, at the start, when an event tells of roles, and
    /// now and then: what is missing
    /// is told before somebody's unlock has to find out.
    pub(super) async fn check_rights(&mut self) -> Result<(), Trouble> {
        self.closed.forget_untried();
        let keepers = std::sync::Arc::clone(&self.spec.keepers);
        for keeper in keepers.values() {
            let mut lacking = Vec::new();
            for role in &keeper.roles {
                let account = self.spec.key.address();
                let calldata = calls::has_role(*role, account);
                let latest = BlockNumberOrTag::Latest;
                let answer = self.spec.link.call(None, keeper.address, &calldata, latest).await;
                // A contract without roles answers by the simulation.
                let has = answer.ok().and_then(|answer| calls::decode_bool(&answer));
                if has == Some(false) {
                    lacking.push(*role);
                }
            }
            if lacking.contains(&Role::Unlocker) {
                let names: Vec<&str> = lacking.iter().map(|role| role.name()).collect();
                let why = format!(
                    "{}{LACKS}{} on {}; have its admin grant it",
                    self.spec.key.address(),
                    names.join(" and "),
                    keeper.name
                );
                self.close(&keeper.name, why);
                continue;
            }
            self.closed.granted(&keeper.name);
            if !lacking.is_empty() {
                tracing::warn!(
                    signer = %self.name(),
                    contract = %keeper.name,
                    "it lacks REVOKER_ROLE: what a reorg takes back can't be revoked"
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_closed_contract_is_left_alone_for_a_while_and_shown_until_it_opens() {
        let name = Name::new("shut").unwrap();
        let mut closed = Closed::default();
        let long_ago = Instant::now().checked_sub(RETRY_AFTER).unwrap();
        closed.0.insert(name.clone(), ("it is paused".into(), Instant::now()));
        assert_eq!(closed.now(), [name.clone()].into());
        closed.0.insert(name.clone(), ("it is paused".into(), long_ago));
        assert!(closed.now().is_empty(), "it is tried again");
        assert_eq!(closed.shown().as_deref(), Some("it is paused"));
        closed.open(&name);
        assert_eq!(closed.shown(), None);
    }
}
