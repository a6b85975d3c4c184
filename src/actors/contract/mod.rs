//! The contract actor, one per watched contract: reads its logs in block
//! order, publishes them as events behind watermarks, and retracts what a
//! reorg orphaned.
//!
//! Its cursor is the stream itself: the last watermark says how far the
//! contract is complete, and each batch expects that very watermark to be
//! the last (compare and set), so that a batch whose fate is unknown, a
//! crash or a second daemon can neither skip nor repeat an event. It needs
//! no local store.

mod bury;
mod fetch;
mod publish;
mod recover;
mod truth;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy::primitives::Address;
use serde_json::{Value as Json, json};

use fetch::Fetched;
use truth::Scrub;

use super::{
    head::to_gauge,
    messages::MessageError,
    outbox::OutboxError,
    shared::{ChainLink, Shared},
};
use crate::{
    chain::{
        adapters::Adapter,
        cursor::{Confirmations, Cursor, Limits, Plan, Unlinked},
        rpc::RpcError,
    },
    config,
    domain::{BlockRef, Name},
    streams::{
        PublishError, StreamError,
        fence::{Fence, FenceError},
        subjects::{Writer, WriterKind},
    },
    supervisor::{Next, Steps},
};

/// What it owns: the cursor, while the stream agrees with it.
pub struct ContractActor {
    shared: Shared,
    holder: String,
    link: ChainLink,
    name: Name,
    address: Address,
    start_block: u64,
    confirmations: Confirmations,
    adapter: Adapter,
    limits: Limits,
    pause: Duration,
    reading: Option<Reading>,
    older: BTreeMap<u64, BlockRef>,
    trouble: Option<String>,
    frozen: Option<String>,
    scrub: Option<Scrub>,
    published: u64,
}

/// The cursor together with what proves that it may write.
struct Reading {
    cursor: Cursor,
    fence: Fence,
    /// Sequence of the last watermark, 0 before the first.
    watermark: u64,
    /// Events in the stream since then.
    events: u64,
    /// The block that it named.
    after: Option<BlockRef>,
    reconnects: u64,
    /// All that stands in the stream was read since it was opened.
    scrubbed: bool,
}

impl Reading {
    /// A watermark that names `block` stands at `sequence` now.
    fn closed(&mut self, sequence: u64, block: BlockRef) {
        self.watermark = sequence;
        self.events = 0;
        self.after = Some(block);
    }
}

/// Why a step did not get through; all of it is tried again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Rpc(#[from] RpcError),
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
    OtherBranch {
        number: u64,
        log_hash: alloy::primitives::B256,
        header_hash: alloy::primitives::B256,
    },
    #[error("the endpoint answered a log without {0}")]
    Incomplete(&'static str),
}

/// Why an incarnation ends.
#[derive(Debug, thiserror::Error)]
pub enum ContractFailure {
    /// Another daemon writes for this contract now.
    #[error(transparent)]
    Fenced(PublishError),
}

impl ContractActor {
    /// An actor that will find its cursor in the stream.
    #[must_use]
    pub fn new(
        shared: Shared,
        link: ChainLink,
        chain: &config::Chain,
        contract: &config::Contract,
        adapter: Adapter,
    ) -> Self {
        let confirmations = match contract.confirmations {
            config::Confirmations::Blocks(blocks) => Confirmations::Blocks(blocks),
            config::Confirmations::Safe => Confirmations::Safe,
            config::Confirmations::Finalized => Confirmations::Finalized,
        };
        let holder = shared.incarnation();
        Self {
            shared,
            holder,
            link,
            name: contract.name.clone(),
            address: contract.address,
            start_block: contract.start_block,
            confirmations,
            adapter,
            limits: Limits { blocks: chain.max_range, unfinalized_blocks: chain.max_range.min(64) },
            pause: chain.look_every(),
            reading: None,
            older: BTreeMap::new(),
            trouble: None,
            frozen: None,
            scrub: None,
            published: 0,
        }
    }

    /// Why the chain is not followed, if it isn't.
    /// From the next block to the head, confirmations included.
    fn lag_blocks(&self) -> Option<u64> {
        let head = self.link.view.borrow().as_ref()?.latest.number;
        Some((head + 1).saturating_sub(self.reading.as_ref()?.cursor.next()))
    }

    fn chain_frozen(&self) -> Option<Arc<str>> {
        self.link.view.borrow().as_ref().and_then(|view| view.frozen.clone())
    }

    fn is_doubted(&self) -> bool {
        self.shared.doubted.contains_key(&self.name)
    }

    fn writer(&self) -> Writer {
        Writer::new(WriterKind::Contract, self.name.clone())
    }

    /// One round: plan, fetch, publish. Returns when to go on.
    async fn advance(&mut self) -> Result<Next, Trouble> {
        let reconnects = *self.shared.connection.reconnects().borrow();
        let mut reading = match self.reading.take() {
            // After a reconnect the stream may be another: look again.
            Some(reading) if reading.reconnects == reconnects && !self.is_doubted() => reading,
            _ => self.recover().await?,
        };
        let Some(mut view) = self.link.view.borrow().clone() else {
            self.reading = Some(reading);
            return Ok(Next::After(self.pause));
        };
        view.older = std::mem::take(&mut self.older);
        let plan = reading.cursor.plan(&view, &self.limits);
        if !matches!(plan, Plan::Frozen { .. }) {
            self.frozen = None;
        }
        let next = match plan {
            Plan::Idle if self.scrub(&mut reading).await? => Next::Again,
            Plan::Idle => Next::After(self.pause),
            Plan::NeedHeader { number } => {
                let header = self.link.block(number.into()).await;
                match header {
                    Ok(header) => {
                        self.older = view.older;
                        self.older.insert(number, header.block);
                        Next::Again
                    }
                    Err(error) => {
                        self.reading = Some(reading);
                        return Err(error.into());
                    }
                }
            }
            Plan::Frozen { reason } => {
                let resumed = self.resume(&mut reading, &view).await;
                match resumed {
                    Ok(None) => Next::Again,
                    Ok(Some(why)) => {
                        let why = format!("{reason} ({why})");
                        if self.frozen.as_ref() != Some(&why) {
                            tracing::error!(contract = %self.name, "{why}");
                        }
                        self.frozen = Some(why);
                        Next::After(self.pause)
                    }
                    Err(trouble) => return Err(trouble),
                }
            }
            Plan::Retract { from, to, common } => {
                self.retract(&mut reading, from, to, common).await?;
                Next::Again
            }
            Plan::Fetch { from, to } => {
                let fetched = self.fetch(&view, from, to).await;
                let Fetched { events, through, blocks } = match fetched {
                    Ok(fetched) => fetched,
                    Err(trouble) => {
                        self.reading = Some(reading);
                        return Err(trouble);
                    }
                };
                let recent: Vec<BlockRef> =
                    blocks.iter().filter(|b| b.number > view.finalized).copied().collect();
                if let Err(moved) = reading.cursor.links(&recent) {
                    self.reading = Some(reading);
                    return Err(moved.into());
                }
                // The branch may have been found to contradict finality while
                // it was read.
                if self.chain_frozen().is_some() {
                    self.reading = Some(reading);
                    return Ok(Next::After(self.pause));
                }
                self.publish(&mut reading, &view, events, through, &recent).await?;
                Next::Again
            }
        };
        self.reading = Some(reading);
        Ok(next)
    }
}

impl Steps for ContractActor {
    type Failure = ContractFailure;

    async fn started(&mut self) -> Result<(), ContractFailure> {
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, ContractFailure> {
        let outcome = self.advance().await;
        if let Some(lag) = self.lag_blocks() {
            self.shared
                .metrics
                .contract_lag_blocks
                .with_label_values(&[self.link.name.as_str(), self.name.as_str()])
                .set(to_gauge(lag));
        }
        match outcome {
            Ok(next) => {
                if self.trouble.take().is_some() {
                    tracing::info!(contract = %self.name, "contract is read again");
                }
                Ok(next)
            }
            Err(Trouble::Publish(fenced @ PublishError::Fenced { .. })) => {
                Err(ContractFailure::Fenced(fenced))
            }
            Err(trouble) => {
                let why = trouble.to_string();
                if self.trouble.as_ref() != Some(&why) {
                    tracing::warn!(contract = %self.name, "{why}");
                }
                self.trouble = Some(why);
                Ok(Next::After(self.pause.max(Duration::from_millis(250))))
            }
        }
    }

    async fn drain(&mut self) {}

    fn observe(&self) -> Json {
        let chain_frozen = self.chain_frozen().map(|why| format!("the chain is frozen: {why}"));
        let frozen = chain_frozen.or_else(|| self.frozen.clone());
        json!({
            "next_block": self.reading.as_ref().map(|reading| reading.cursor.next()),
            "lag_blocks": self.lag_blocks(),
            "events_published": self.published,
            "frozen": self.frozen,
            "not_ready": frozen.as_ref().or(self.trouble.as_ref()),
        })
    }
}
