//! What rules can refer to: the configured contracts and signers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy::primitives::Address;

use crate::{
    domain::{EventSchema, Name},
    governance::{Clock, Counting},
};

/// The names that configuration defines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Watched contracts by name.
    pub contracts: BTreeMap<Name, CatalogContract>,
    /// Governors that succeed each other, by the name of the group: its
    /// events are those of all its members.
    pub groups: BTreeMap<Name, Vec<Name>>,
    /// Names of the signers.
    pub signers: BTreeSet<Name>,
    /// Whose wallet is whose, by the list that says so.
    pub links: BTreeMap<Name, Arc<BTreeMap<Address, Address>>>,
    /// Who is on which list.
    pub lists: BTreeMap<Name, Arc<BTreeSet<Address>>>,
}

/// A watched contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogContract {
    /// EIP-155 id of its chain.
    pub chain_id: u64,
    /// Its address; of contracts that a factory creates, the factory's.
    pub address: Address,
    /// Whether a factory creates as many of them as it likes.
    pub created: bool,
    /// What a governor counts time in, where it can be told how its votes end:
    /// the events are then those of [`super::outcome_events`] too.
    pub clock: Option<Clock>,
    /// How a governor decides.
    pub counting: Counting,
    /// Whose votes a governor counts, if that is known.
    pub votes: Option<Name>,
    /// Its kind, as configured.
    pub kind: String,
    /// The events it is decoded into.
    pub events: Vec<EventSchema>,
}

impl CatalogContract {
    /// The kind of contracts that keep achievements.
    pub const ACHIEVEMENTS: &'static str = "achievements";

    pub(super) fn event(&self, name: &str) -> Option<&EventSchema> {
        self.events.iter().find(|schema| schema.name.as_str() == name)
    }
}
