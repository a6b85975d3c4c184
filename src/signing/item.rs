//! One effect, "this user has this achievement", that a signer answers for.
//!
//! An item compares what is desired (does any rule set want it?) with what is
//! actual (is it on chain? is a transaction that changes it under way?) and
//! says what is to be done next. It remembers no plan: after a crash, a
//! reorg or a duplicate the same comparison gives the right answer again.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

pub use crate::domain::OnRetract;
use crate::domain::{Name, UnlockId, UnlockRequest};

/// Where a message stood in the unlocks stream. A message at or before the
/// last one that was heeded is a late duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageOrder {
    /// Tells the stream from others before and after it, as its sequences mean other
    /// messages: when it was created, in milliseconds since the Unix epoch, or later where
    /// one that is older, or shorter than it was, took the place of another.
    pub stream_created_unix_ms: u64,
    /// The message's sequence within it.
    pub sequence: u64,
}

/// What one rule set last said about the effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Its last request.
    pub request: UnlockRequest,
    /// False once it retracted that request.
    pub wanted: bool,
    /// Its policy.
    pub on_retract: OnRetract,
    /// The last message heeded.
    pub order: MessageOrder,
}

/// What a transaction does to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Gives the achievement.
    Unlock,
    /// Takes it back.
    Revoke,
}

/// How the achievement came on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landing {
    /// Our transaction; `None` when it was there before we sent one.
    pub tx_hash: Option<B256>,
    /// The block of the transaction, or the one at which it was seen there.
    pub block: u64,
}

/// The one nonce that an item belongs to while it is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The nonce.
    pub nonce: u64,
    /// What its transaction does.
    pub effect: Effect,
}

/// Why the contract refuses for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Stable code, as [`super::reverts::Revert::code`].
    pub code: String,
    /// For people.
    pub reason: String,
}

/// Where an item stands, derived from its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase<'a> {
    /// Wanted, not on chain, not in flight.
    Waiting,
    /// Bound to a nonce until the fate of that nonce is final.
    InFlight(Bound),
    /// On chain.
    Landed(Landing),
    /// Not on chain and not wanted: retracted in time, or taken back.
    Absent,
    /// Given up until the wish changes.
    Rejected(&'a Rejection),
}

/// One effect and all that is known about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The effect.
    pub id: UnlockId,
    // There is always at least one rule set that asked.
    first: Want,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    more: Vec<Want>,
    /// How it came on chain; `None` while it is not there.
    pub landed: Option<Landing>,
    /// The block in which a transaction of ours took it off the chain last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<u64>,
    /// Books that are lost said that it is there, and these don't know it to be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub said_there: bool,
    /// The live nonce that carries it.
    pub bound: Option<Bound>,
    /// The last nonce that carried it: a deep reorg may bring it back.
    pub last_nonce: Option<u64>,
    /// Set when it was given up.
    pub rejected: Option<Rejection>,
    /// It was in a batch that reverted: try it alone next time.
    pub suspect: bool,
    /// How often a confirmed transaction with it had no effect.
    pub reverts: u32,
    /// A reorg of what was final shook `landed`: ask the chain before anything
    /// else is done about it.
    pub unsure: bool,
    /// Its retraction after landing was told.
    pub alerted: bool,
    /// When it began to wait for an unlock or a revocation, in milliseconds
    /// since the Unix epoch.
    pub since_unix_ms: u64,
}

impl Item {
    /// A new item from the first request for it.
    #[must_use]
    pub fn new(first: Want, now_unix_ms: u64) -> Self {
        Self {
            id: first.request.id,
            first,
            more: Vec::new(),
            landed: None,
            gone_at: None,
            said_there: false,
            bound: None,
            last_nonce: None,
            rejected: None,
            suspect: false,
            reverts: 0,
            unsure: false,
            alerted: false,
            since_unix_ms: now_unix_ms,
        }
    }

    /// What each rule set said, the first asker first.
    pub fn wants(&self) -> impl Iterator<Item = &Want> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// Whether any rule set wants it.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wants().any(|want| want.wanted)
    }

    /// The request whose evidence goes on chain: of the first asker that still
    /// wants it, else of the first asker.
    #[must_use]
    pub fn request(&self) -> &UnlockRequest {
        &self.wants().find(|want| want.wanted).unwrap_or(&self.first).request
    }

    /// The mildest policy of all that asked.
    #[must_use]
    pub fn on_retract(&self) -> OnRetract {
        self.wants().map(|want| want.on_retract).max().unwrap_or(self.first.on_retract)
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase<'_> {
        match (self.bound, &self.rejected, self.landed) {
            (Some(bound), _, _) => Phase::InFlight(bound),
            (None, Some(rejection), _) => Phase::Rejected(rejection),
            (None, None, Some(landing)) => Phase::Landed(landing),
            (None, None, None) if self.wanted() => Phase::Waiting,
            (None, None, None) => Phase::Absent,
        }
    }

    /// Whether the chain must be asked if it is there ([`super::ledger::Ledger::found`]).
    #[must_use]
    pub fn needs_check(&self) -> bool {
        self.unsure && self.bound.is_none()
    }

    /// What a transaction should do about it now, if anything.
    #[must_use]
    pub fn next_work(&self) -> Option<Effect> {
        match self.phase() {
            _ if self.unsure => None,
            Phase::Waiting => Some(Effect::Unlock),
            Phase::Landed(_) if !self.wanted() && self.on_retract() == OnRetract::Revoke => {
                Some(Effect::Revoke)
            }
            _ => None,
        }
    }

    /// Those to be told what became of it: the rule sets that want it, or all
    /// that ever asked when none does.
    pub(super) fn audience(&self) -> impl Iterator<Item = &UnlockRequest> {
        let wanted = self.wanted();
        self.wants().filter(move |want| want.wanted || !wanted).map(|want| &want.request)
    }

    /// Heeds a request. False when it was a late duplicate.
    pub(super) fn request_again(&mut self, want: Want, now_unix_ms: u64) -> bool {
        let was_wanted = self.wanted();
        match self.want_of(&want.request.rule_set) {
            Some(known) if known.order >= want.order => return false,
            Some(known) => *known = want,
            None => self.more.push(want),
        }
        if !was_wanted {
            self.wish_changed();
            if self.landed.is_none() && self.bound.is_none() {
                self.since_unix_ms = now_unix_ms;
            }
        }
        true
    }

    /// Heeds a retraction. False when it was a late duplicate or of a rule
    /// set that never asked.
    pub(super) fn retract(
        &mut self,
        rule_set: &Name,
        order: MessageOrder,
        now_unix_ms: u64,
    ) -> bool {
        let was_wanted = self.wanted();
        match self.want_of(rule_set) {
            Some(known) if known.order < order => {
                known.wanted = false;
                known.order = order;
            }
            _ => return false,
        }
        if was_wanted && !self.wanted() {
            self.wish_changed();
            self.since_unix_ms = now_unix_ms;
        }
        true
    }

    /// Takes a refusal back. False when there was none.
    pub(super) fn forgive(&mut self, now_unix_ms: u64) -> bool {
        if self.rejected.take().is_none() {
            return false;
        }
        self.reverts = 0;
        self.since_unix_ms = now_unix_ms;
        true
    }

    fn want_of(&mut self, rule_set: &Name) -> Option<&mut Want> {
        std::iter::once(&mut self.first)
            .chain(&mut self.more)
            .find(|want| want.request.rule_set == *rule_set)
    }

    // A refusal was of the old wish: the new one gets attempts of its own.
    fn wish_changed(&mut self) {
        self.rejected = None;
        self.reverts = 0;
        self.alerted = false;
    }
}
