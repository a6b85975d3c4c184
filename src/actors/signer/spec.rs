//! What a signer is made of, and the contracts it calls.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use alloy::primitives::{Address, U256};

use super::SignerActor;
use crate::{
    actors::shared::{ChainLink, Shared},
    config,
    domain::Name,
    signing::{
        calls::{Calls, Role},
        keys::SignerKey,
        reverts::RevertDecoder,
    },
    supervisor::{ActorRef, Stepper, Tree},
};

/// What a new incarnation is made of.
#[derive(Clone)]
pub struct SignerSpec {
    /// Shared parts.
    pub shared: Shared,
    /// The chain.
    pub link: ChainLink,
    /// Its configuration.
    pub config: config::Signer,
    /// The key, loaded once.
    pub key: Arc<SignerKey>,
    /// The contracts that keep achievements.
    pub keepers: Arc<BTreeMap<Name, Keeper>>,
    /// What the rule sets that have a budget may spend of this signer's, in wei a day.
    pub set_budgets: Arc<BTreeMap<Name, U256>>,
    /// Explains reverts.
    pub decoder: Arc<RevertDecoder>,
    /// Where transaction actors are spawned.
    pub tree: Tree,
    /// The signer's own address in the tree, for its transaction actors.
    pub own: Arc<OnceLock<ActorRef<Stepper<SignerActor>>>>,
    /// How often the chain is asked.
    pub poll: Duration,
    /// Of a rollup: what says how much it charges for a transaction's data.
    pub l1_fee_oracle: Option<Address>,
    /// How deep a reorg of the chain may be, in blocks.
    pub finality_depth: u64,
}

/// A contract that keeps achievements.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// Its configured name.
    pub name: Name,
    /// The roles that rules need the signer to have on it.
    pub roles: Vec<Role>,
    /// Where it is.
    pub address: Address,
    /// How it is called.
    pub calls: Arc<Calls>,
    /// What is done when nothing tells whether an unlock landed.
    pub delivery: config::Delivery,
}
