//! What a contract's actor is made of.

use std::sync::Arc;

use super::{
    ContractActor,
    census::{Created, Keeper},
};
use crate::{
    actors::{feed::FeedActor, shared::ChainLink},
    chain::{adapters::Adapter, answers::LogFilter, cursor::Confirmations, feed::share::Watched},
    config,
    supervisor::ActorRef,
};

/// What a contract's actor is made of.
#[derive(Clone)]
pub struct ContractSpec {
    /// Its chain.
    pub link: ChainLink,
    /// The chain's section.
    pub chain: Arc<config::Chain>,
    /// Its own section.
    pub contract: Arc<config::Contract>,
    /// What its logs mean.
    pub adapter: Adapter,
    /// Who reads for it.
    pub feed: ActorRef<FeedActor>,
    /// What is read for it.
    pub watched: Arc<Watched>,
    /// Where a factory creates it: which addresses it has.
    pub created: Option<Created>,
    /// The censuses of what its own events create.
    pub keepers: Vec<Keeper>,
}

impl ContractActor {
    /// What the feed must know of a configured contract.
    #[must_use]
    pub fn watched(contract: &config::Contract, adapter: &Adapter) -> Watched {
        let confirmations = match contract.confirmations {
            config::Confirmations::Blocks(blocks) => Confirmations::Blocks(blocks),
            config::Confirmations::Safe => Confirmations::Safe,
            config::Confirmations::Finalized => Confirmations::Finalized,
        };
        let (name, topics0) = (contract.name.clone(), adapter.topics0());
        match contract.address() {
            Some(address) => {
                let filter = LogFilter { addresses: vec![address], topics0 };
                Watched::new(name, confirmations, filter)
            }
            None => Watched::created(name, confirmations, topics0, &Arc::default()),
        }
    }
}
