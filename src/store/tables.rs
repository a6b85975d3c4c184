//! The tables of the file.

use redb::TableDefinition;
use serde::Serialize;

/// A table of byte keys and byte values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// What the file is: the schema's version.
    Meta,
    /// How far each consumer and contract has got.
    Positions,
    /// Events received and not yet applied: blocks that wait for watermarks.
    Inbox,
    /// What consumers know: the state of their folds.
    State,
    /// How to undo the steps that a reorg may still orphan.
    Journal,
    /// Messages caused by what was applied, until the stream has them.
    Outbox,
    /// What signers keep: nonces with all that was signed for them, and the
    /// unlocks that they belong to.
    Ledger,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Meta,
        Self::Positions,
        Self::Inbox,
        Self::State,
        Self::Journal,
        Self::Outbox,
        Self::Ledger,
    ];

    /// Its name in the file. Never changed: it is the schema.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Positions => "positions",
            Self::Inbox => "inbox",
            Self::State => "state",
            Self::Journal => "journal",
            Self::Outbox => "outbox",
            Self::Ledger => "ledger",
        }
    }

    pub(super) fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name())
    }
}
