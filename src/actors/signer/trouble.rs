//! Why a signer does not get on: for a round, or for good.

use crate::{
    actors::{messages::MessageError, outbox::OutboxError},
    chain::rpc::RpcError,
    signing::{keys::KeyError, ledger::LedgerError},
    store::StoreError,
    streams::{PublishError, StreamError, fence::FenceError},
};

/// Why a round did not get through; all of it is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Fence(#[from] FenceError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Nothing is wrong with the daemon: a person has to do something.
    #[error("{0}")]
    Held(String),
}

/// Why an incarnation ends.
#[derive(Debug, thiserror::Error)]
pub enum SignerFailure {
    /// Another daemon signs with this key now.
    #[error(transparent)]
    Fenced(PublishError),
    /// The books contradict an input: going on could double an effect.
    #[error("the ledger refuses to go on: {0}")]
    Ledger(LedgerError),
}
