//! What follows when an achievement is earned: a request, with the evidence.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    memory::{Counted, View},
    model::{Achievement, RuleSet},
};
use crate::{
    domain::{Evidence, EvidenceItem, UnlockId, UnlockRequest},
    fold::{Stored, Unreadable},
};

/// A rule set's decision that a user earned an achievement, or that the user has
/// it no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlock {
    /// What is asked of the signer.
    pub request: Arc<UnlockRequest>,
    /// As of when it was decided: block time, seconds since the Unix epoch.
    pub time: u64,
    /// That this is over, of an achievement that is one's own only while its
    /// condition is met.
    pub lapsed: Option<Box<Lapse>>,
}

/// By what an achievement was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapse {
    /// The log with which its condition ended; `None` where only time went by.
    pub log: Option<EvidenceItem>,
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.log {
            Some(EvidenceItem { contract, name, block, log_index, .. }) => write!(
                f,
                "its condition is met no more since {contract}.{name} in block {block} (log {log_index})"
            ),
            None => f.write_str("its condition is met no more, by time alone"),
        }
    }
}

impl Unlock {
    pub(super) fn of(request: UnlockRequest, time: u64) -> Self {
        Self { request: Arc::new(request), time, lapsed: None }
    }
}

/// As for [`Key`](super::Key): the undo log has it once for each block that is not final.
impl Stored for Unlock {
    fn to_bytes(&self) -> Vec<u8> {
        /// Most need no more, with this for each log.
        const ROOM: usize = 256;
        const LOG_ROOM: usize = 160;
        let UnlockRequest { id, rule_set, achievement, achievement_id, instance, .. } =
            &*self.request;
        let UnlockRequest { contract, signer, user, on_retract, urgency, evidence, .. } =
            &*self.request;
        let what = (id, rule_set, achievement, achievement_id, instance);
        let how = (contract, signer, user, on_retract, urgency, evidence);
        let room = ROOM + evidence.items.len() * LOG_ROOM;
        let all = (what, how, self.time, &self.lapsed);
        postcard::to_extend(&all, Vec::with_capacity(room)).unwrap_or_default()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (what, how, time, lapsed) = postcard::from_bytes(bytes)?;
        let (id, rule_set, achievement, achievement_id, instance) = what;
        let (contract, signer, user, on_retract, urgency, evidence) = how;
        let request = UnlockRequest {
            id,
            rule_set,
            achievement,
            achievement_id,
            instance,
            contract,
            signer,
            user,
            on_retract,
            urgency,
            evidence,
        };
        Ok(Self { request: Arc::new(request), time, lapsed })
    }
}

impl RuleSet {
    /// What is asked of the signer for the so many-th time, from 1, and the last log
    /// that counted.
    pub(super) fn request(
        &self,
        view: &View<'_>,
        achievement: &Achievement,
        time: u64,
    ) -> (UnlockRequest, Option<Counted>) {
        let contract = &self.contract;
        let achievement_id = achievement.id_of(time);
        let id = UnlockId::of(contract.chain_id, contract.address, achievement_id, view.address);
        let (evidence, last) = self.evidence(view, achievement);
        let request = UnlockRequest {
            id,
            rule_set: self.id.clone(),
            achievement: achievement.name.clone(),
            achievement_id,
            instance: achievement.every.map(|_| time),
            contract: contract.name.clone(),
            // There is always one: a set without is not compiled.
            signer: achievement.signer_of(id).unwrap_or(&self.id).clone(),
            user: view.address,
            on_retract: achievement.on_retract,
            urgency: achievement.urgency,
            evidence,
        };
        (request, last)
    }

    /// The logs that counted: those of every leaf that makes the condition
    /// hold, and the confirmations of the prerequisites; and the last of them.
    fn evidence(&self, view: &View<'_>, achievement: &Achievement) -> (Evidence, Option<Counted>) {
        let confirmed = |name| self.unlocked(view, name);
        let mut named: Vec<Counted> = achievement.requires.iter().filter_map(confirmed).collect();
        let mut unnamed = 0_u64;
        for leaf in self.deciding_leaves(view, achievement, &achievement.when) {
            let before = named.len();
            self.logs(view, leaf, &mut named);
            let total = self.shown(view, leaf).total;
            let more = total.saturating_sub((named.len() - before) as u64);
            unnamed = more.saturating_add(unnamed);
        }
        named.sort_unstable_by_key(|log| (log.position(), log.item().event));
        named.dedup();
        // A log that counted for two leaves is one log. Beyond the named ones
        // that can't be told any more: they are counted per leaf.
        let total = unnamed.saturating_add(named.len() as u64);
        let skipped = named.len().saturating_sub(Evidence::MAX_ITEMS);
        let last = named.last().cloned();
        let items = named.iter().skip(skipped).map(|log| log.item().clone()).collect();
        (Evidence { rule_version: self.version, items, total }, last)
    }
}
