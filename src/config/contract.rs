//! A watched contract, and where it is.

use alloy::{json_abi::JsonAbi, primitives::Address};

use super::{Confirmations, ContractKind, Delivery, GovernorClock, GovernorCounting};
use crate::domain::Name;

/// One watched contract.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its name in subjects, rules and metrics.
    pub name: Name,
    /// The chain it is on.
    pub chain: Name,
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub kind: ContractKind,
    /// Its ABI, for kind `abi`.
    pub abi: Option<JsonAbi>,
    /// First block of interest.
    pub start_block: u64,
    /// Overrides the chain's.
    pub confirmations: Confirmations,
    /// How a governor counts time (ERC-6372).
    pub clock: GovernorClock,
    /// How a governor decides.
    pub counting: GovernorCounting,
    /// Seconds after its eta at which what a governor queued expires, if anything does.
    pub grace_period_s: Option<u64>,
    /// Whose votes a governor counts: a watched contract with votes (ERC-5805).
    pub votes: Option<Name>,
    /// Whether events of blocks that are not confirmed yet are told, too, on
    /// subjects of their own.
    pub provisional: bool,
    /// How it is called to keep achievements, where it is not the reference.
    pub calls: Option<Calls>,
    /// What is done when nothing tells whether an unlock landed.
    pub delivery: Delivery,
}

/// Signatures of the calls that keep achievements, as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Gives one.
    pub unlock: String,
    /// Gives several.
    pub batch: Option<String>,
    /// Answers whether a user has one.
    pub has: Option<String>,
    /// Takes one back.
    pub revoke: Option<String>,
}

impl Contract {
    /// Its address; none where a factory creates as many as it likes.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        match &self.place {
            Place::At(address) => Some(*address),
            Place::CreatedBy(_) => None,
        }
    }
}

/// Where a watched contract is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this address.
    At(Address),
    /// At each address that an event of another watched contract names, from
    /// the block of the event on.
    CreatedBy(Creation),
}

/// The event by which a factory says that it created a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// The factory, a contract of the same chain.
    pub contract: Name,
    /// Its event.
    pub event: Name,
    /// The event's field that holds the address.
    pub field: String,
}
