//! Every subject that meritd publishes on. A subject is only ever built
//! here, from [`Name`]s, so that no token can hold a dot or a wildcard.

use std::{fmt, str::FromStr};

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};

use crate::domain::{Name, TransactionState, UnlockState};

/// The streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamId {
    /// Logs as events, and watermarks.
    Events,
    /// What becomes of unlocks.
    Unlocks,
    /// What becomes of transactions.
    Transactions,
    /// Proposals, votes, benefits.
    Governance,
    /// What could not be processed.
    DeadLetters,
    /// Notices and the audit chain's head.
    Operations,
    /// What happened in blocks that are not confirmed yet.
    Provisional,
}

impl StreamId {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Events,
        Self::Unlocks,
        Self::Transactions,
        Self::Governance,
        Self::DeadLetters,
        Self::Operations,
        Self::Provisional,
    ];

    /// The stream's name on the server.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "MERIT_EVENTS",
            Self::Unlocks => "MERIT_UNLOCKS",
            Self::Transactions => "MERIT_TRANSACTIONS",
            Self::Governance => "MERIT_GOVERNANCE",
            Self::DeadLetters => "MERIT_DEAD_LETTERS",
            Self::Operations => "MERIT_OPERATIONS",
            Self::Provisional => "MERIT_PROVISIONAL",
        }
    }

    /// The token that names it in fence subjects.
    fn short(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Unlocks => "unlocks",
            Self::Transactions => "transactions",
            Self::Governance => "governance",
            Self::DeadLetters => "dead_letters",
            Self::Operations => "operations",
            Self::Provisional => "provisional",
        }
    }

    /// The subjects it stores. A fence lives in the stream that it fences,
    /// because a batch can only expect what its own stream holds.
    #[must_use]
    pub fn subjects(self) -> Vec<String> {
        let kinds: &[&str] = match self {
            Self::Events => &["events", "watermarks", "rewinds"],
            Self::Unlocks => &["unlocks"],
            Self::Transactions => &["transactions"],
            Self::Governance => &["governance", "benefits"],
            Self::DeadLetters => &["dead_letters"],
            Self::Operations => &["notices", "audit"],
            Self::Provisional => &["provisional"],
        };
        let mut subjects: Vec<String> =
            kinds.iter().map(|kind| format!("merit.v1.{kind}.>")).collect();
        subjects.push(format!("merit.v1.fences.{}.>", self.short()));
        subjects
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The kinds of actors that write to streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriterKind {
    /// Reads one watched contract.
    Contract,
    /// Evaluates one rule set.
    RuleSet,
    /// Follows one governor.
    Governor,
    /// Lands transactions of one signer.
    Signer,
    /// Delivers to one sink.
    Notifier,
    /// Takes in the facts of one source.
    Facts,
}

/// One actor, as subjects and durable consumers name it: a rule set and a
/// signer may share a configured name without sharing a fence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer {
    /// What it does.
    pub kind: WriterKind,
    /// Its configured name.
    pub name: Name,
}

impl Writer {
    /// Names an actor.
    #[must_use]
    pub fn new(kind: WriterKind, name: Name) -> Self {
        Self { kind, name }
    }
}

/// One subject token, and a valid name of a durable consumer: `rule_set-quests`.
/// No kind is a prefix of another with its dash, so no two writers share it.
impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            WriterKind::Contract => "contract",
            WriterKind::RuleSet => "rule_set",
            WriterKind::Governor => "governor",
            WriterKind::Signer => "signer",
            WriterKind::Notifier => "notifier",
            WriterKind::Facts => "facts",
        };
        write!(f, "{kind}-{}", self.name)
    }
}

/// A text that names no actor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this names no actor; write it like signer-awards")]
pub struct InvalidWriter;

/// The inverse of its `Display`.
impl FromStr for Writer {
    type Err = InvalidWriter;

    fn from_str(text: &str) -> Result<Self, InvalidWriter> {
        let kinds = [
            WriterKind::Contract,
            WriterKind::RuleSet,
            WriterKind::Governor,
            WriterKind::Signer,
            WriterKind::Notifier,
            WriterKind::Facts,
        ];
        let name = text.split_once('-').and_then(|(_, name)| Name::new(name).ok());
        let name = name.ok_or(InvalidWriter)?;
        let mut writers = kinds.into_iter().map(|kind| Writer::new(kind, name.clone()));
        writers.find(|writer| writer.to_string() == text).ok_or(InvalidWriter)
    }
}

/// A log as an event.
#[must_use]
pub fn event(chain: &Name, contract: &Name, event: &Name) -> String {
    format!("merit.v1.events.{chain}.{contract}.{event}")
}

/// All events of one contract.
#[must_use]
pub fn events_of(chain: &Name, contract: &Name) -> String {
    format!("merit.v1.events.{chain}.{contract}.>")
}

/// Progress of one contract.
#[must_use]
pub fn watermark(chain: &Name, contract: &Name) -> String {
    format!("merit.v1.watermarks.{chain}.{contract}")
}

/// A contract's word that earlier messages of it don't count any more.
#[must_use]
pub fn rewind(chain: &Name, contract: &Name) -> String {
    format!("merit.v1.rewinds.{chain}.{contract}")
}

/// An event of a block that is not confirmed yet.
#[must_use]
pub fn provisional_event(chain: &Name, contract: &Name, event: &Name) -> String {
    format!("merit.v1.provisional.events.{chain}.{contract}.{event}")
}

/// How far a contract's unconfirmed blocks are told.
#[must_use]
pub fn provisional_watermark(chain: &Name, contract: &Name) -> String {
    format!("merit.v1.provisional.watermarks.{chain}.{contract}")
}

/// What became of an unlock.
#[must_use]
pub fn unlock(rule_set: &Name, achievement: &Name, state: UnlockState) -> String {
    format!("merit.v1.unlocks.{rule_set}.{achievement}.{}", state.as_str())
}

/// A rule set's unlocks that came to this state.
#[must_use]
pub fn unlocks_of(rule_set: &Name, state: UnlockState) -> String {
    format!("merit.v1.unlocks.{rule_set}.*.{}", state.as_str())
}

/// All unlocks that came to this state, whichever the rule set.
#[must_use]
pub fn unlocks_in(state: UnlockState) -> String {
    format!("merit.v1.unlocks.*.*.{}", state.as_str())
}

/// What became of a transaction.
#[must_use]
pub fn transaction(signer: &Name, state: TransactionState) -> String {
    format!("merit.v1.transactions.{signer}.{}", state.as_str())
}

/// All transactions of one signer.
#[must_use]
pub fn transactions_of(signer: &Name) -> String {
    format!("merit.v1.transactions.{signer}.>")
}

/// What happened in a governor.
#[must_use]
pub fn governance(chain: &Name, governor: &Name, what: &Name) -> String {
    format!("merit.v1.governance.{chain}.{governor}.{what}")
}

/// A holder's benefits changed. The address is checksummed (EIP-55).
#[must_use]
pub fn benefits(holder: Address) -> String {
    format!("merit.v1.benefits.{}", holder.to_checksum(None))
}

/// What an actor could not process.
#[must_use]
pub fn dead_letter(actor: &Writer) -> String {
    format!("merit.v1.dead_letters.{actor}")
}

/// All dead letters.
#[must_use]
pub fn dead_letters() -> String {
    "merit.v1.dead_letters.>".to_owned()
}

/// A deprecation or an incident.
#[must_use]
pub fn notice(topic: &Name) -> String {
    format!("merit.v1.notices.{topic}")
}

/// A link of the audit chain.
#[must_use]
pub fn audit(topic: &Name) -> String {
    format!("merit.v1.audit.{topic}")
}

/// Where the writer's epochs stand.
#[must_use]
pub fn fence(stream: StreamId, writer: &Writer) -> String {
    format!("merit.v1.fences.{}.{writer}", stream.short())
}

/// Whether a subject matches a filter: `*` stands for one token, `>` for all that follow.
#[must_use]
pub fn matches(filter: &str, subject: &str) -> bool {
    let is_dot = |byte: &u8| *byte == b'.';
    let (mut filter, mut subject) =
        (filter.as_bytes().split(is_dot), subject.as_bytes().split(is_dot));
    loop {
        match (filter.next(), subject.next()) {
            (Some(b">"), Some(_)) | (None, None) => return true,
            (Some(b"*"), Some(_)) => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy::primitives::address;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn each_subject_belongs_to_exactly_the_stream_of_the_design() {
        let (a, b, c) = (name("a"), name("b"), name("c"));
        let signer = Writer::new(WriterKind::Signer, name("awards"));
        let holder = address!("d8da6bf26964af9d7eed9e03e53415d37aa96045");
        let mut cases = vec![
            (event(&a, &b, &c), StreamId::Events),
            (watermark(&a, &b), StreamId::Events),
            (rewind(&a, &b), StreamId::Events),
            (unlock(&a, &b, UnlockState::Requested), StreamId::Unlocks),
            (transaction(&a, TransactionState::Signed), StreamId::Transactions),
            (governance(&a, &b, &c), StreamId::Governance),
            (benefits(holder), StreamId::Governance),
            (dead_letter(&signer), StreamId::DeadLetters),
            (notice(&a), StreamId::Operations),
            (audit(&a), StreamId::Operations),
            (provisional_event(&a, &b, &c), StreamId::Provisional),
            (provisional_watermark(&a, &b), StreamId::Provisional),
        ];
        cases.extend(StreamId::ALL.map(|stream| (fence(stream, &signer), stream)));
        for (subject, stream) in cases {
            for candidate in StreamId::ALL {
                let stored = candidate.subjects().iter().any(|filter| matches(filter, &subject));
                assert_eq!(stored, candidate == stream, "{subject} in {candidate}");
            }
        }
    }

    #[test]
    fn filters_match_what_they_name_and_no_more() {
        let (a, b, c) = (name("a"), name("b"), name("c"));
        assert!(matches(&events_of(&a, &b), &event(&a, &b, &c)));
        assert!(!matches(&events_of(&a, &b), &event(&a, &c, &c)));
        let requested = unlock(&a, &b, UnlockState::Requested);
        assert!(matches(&unlocks_in(UnlockState::Requested), &requested));
        assert!(!matches(&unlocks_in(UnlockState::Unlocked), &requested));
        assert!(matches(&transactions_of(&a), &transaction(&a, TransactionState::Sent)));
        assert!(matches(&dead_letters(), &dead_letter(&Writer::new(WriterKind::Contract, a))));
    }

    #[test]
    fn addresses_are_checksummed_and_writers_of_two_kinds_differ() {
        let holder = address!("d8da6bf26964af9d7eed9e03e53415d37aa96045");
        assert_eq!(
            benefits(holder),
            "merit.v1.benefits.0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
        );
        let of = |kind| fence(StreamId::Unlocks, &Writer::new(kind, name("x")));
        assert_eq!(of(WriterKind::RuleSet), "merit.v1.fences.unlocks.rule_set-x");
        assert_ne!(of(WriterKind::RuleSet), of(WriterKind::Signer));
    }
}
