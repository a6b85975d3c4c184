//! Why a contract does not get on: what is tried again, and what ends an incarnation.

use alloy::primitives::B256;

use crate::{
    actors::{feed::FeedError, messages::MessageError, outbox::OutboxError},
    chain::{cursor::Unlinked, rpc::RpcError},
    streams::{PublishError, StreamError, fence::FenceError},
    supervisor::Unreachable,
};

/// Why a step did not get through; all of it is tried again.
#[derive(Debug, thiserror::Error)]
pub(in crate::actors) enum Trouble {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    NoFeed(#[from] Unreachable),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Fence(#[from] FenceError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    DeadLetter(#[from] OutboxError),
    #[error(transparent)]
    Moved(#[from] Unlinked),
    #[error("block {number} of the logs is {log_hash}, of the chain {header_hash}: it moved")]
    OtherBranch { number: u64, log_hash: B256, header_hash: B256 },
    #[error("the endpoint answered a log without {0}")]
    Incomplete(&'static str),
    #[error("what it created is compared with the chain: {left} blocks are left")]
    Census { left: usize },
}

/// Why an incarnation ends.
#[derive(Debug, thiserror::Error)]
pub enum ContractFailure {
    /// Another daemon writes for this contract now.
    #[error(transparent)]
    Fenced(PublishError),
}
