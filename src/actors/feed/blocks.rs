//! Blocks that may still be orphaned, each read by its hash and once for all
//! contracts.
//!
//! An endpoint on another branch, or without the block, can't answer that
//! there is nothing. What a hash names never changes, so an answer is good for
//! as long as it is kept.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use alloy::{
    primitives::{B256, Bloom},
    rpc::types::Log,
};
use futures::{
    FutureExt as _,
    future::{LocalBoxFuture, Shared},
};
use tokio::sync::Semaphore;

use super::{FeedError, is_crowded};
use crate::{
    chain::{
        client::{BloomHint, ChainClient},
        feed::share::{Watched, bytes_of, union},
        rpc::RpcError,
    },
    config::Completeness,
    domain::BlockRef,
    teeth::{Tooth, is_planted},
};

/// Blocks that are kept: what contracts of unlike confirmations take one after
/// the other.
const KEPT_MAX: usize = 256;
/// Bytes that are kept.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// Blocks that are read at once.
const AT_ONCE: usize = 8;

/// The logs of one block.
#[derive(Clone, Debug)]
pub struct BlockLogs {
    /// Of all contracts of the chain, in order.
    pub logs: Vec<Log>,
}

type Reading = Shared<LocalBoxFuture<'static, Result<Arc<BlockLogs>, FeedError>>>;

/// What was read lately and is being read.
pub(super) struct Blocks {
    readings: HashMap<B256, Reading>,
    /// Oldest first.
    order: VecDeque<B256>,
    places: Arc<Semaphore>,
}

impl Blocks {
    pub(super) fn new() -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { readings: HashMap::new(), order: VecDeque::new(), places }
    }

    /// The logs of a block: those that are there, or under way, or asked for
    /// now.
    pub(super) fn read(
        &mut self,
        client: ChainClient,
        all: Arc<[Arc<Watched>]>,
        block: BlockRef,
        bloom: Option<Bloom>,
        completeness: Completeness,
    ) -> Reading {
        let hash = block.hash;
        if let Some(reading) = self.readings.get(&hash)
            && !matches!(reading.peek(), Some(Err(_)))
        {
            return reading.clone();
        }
        let places = Arc::clone(&self.places);
        let reading = async move {
            let _place = places.acquire().await.map_err(|_| FeedError::Restarted)?;
            let logs = match completeness {
                Completeness::Receipts if is_planted(Tooth::ReceiptsNotChecked) => {
                    read_block(&client, &all, hash, bloom.as_ref(), false).await?
                }
                Completeness::Receipts => {
                    let filter = union(all.iter().map(|watched| &**watched));
                    client.proven_logs_of(&filter, hash).await?
                }
                Completeness::Bloom | Completeness::None => {
                    let doubts = completeness == Completeness::Bloom;
                    read_block(&client, &all, hash, bloom.as_ref(), doubts).await?
                }
            };
            Ok(Arc::new(BlockLogs { logs }))
        };
        let reading = reading.boxed_local().shared();
        if self.readings.insert(hash, reading.clone()).is_none() {
            self.order.push_back(hash);
        }
        self.bound();
        reading
    }

    /// Forgets what it keeps; what is under way goes on for whoever waits.
    pub(super) fn forget(&mut self) {
        self.readings.clear();
        self.order.clear();
    }

    /// How many blocks it keeps.
    pub(super) fn kept(&self) -> usize {
        self.order.len()
    }

    fn bound(&mut self) {
        let bytes = |reading: &Reading| match reading.peek() {
            Some(Ok(block)) => block.logs.iter().map(bytes_of).sum(),
            _ => 0,
        };
        let mut held: usize = self.readings.values().map(bytes).sum();
        while self.order.len() > KEPT_MAX || held > KEPT_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(reading) = self.readings.remove(&oldest) {
                held -= bytes(&reading);
            }
        }
    }
}

/// Asks for the logs of a block. The one place that decides whether and how:
/// a header whose bloom denies any log saves no call, because nothing has
/// proved yet that the header is the block's.
async fn read_block(
    client: &ChainClient,
    all: &[Arc<Watched>],
    hash: B256,
    bloom: Option<&Bloom>,
    doubts: bool,
) -> Result<Vec<Log>, RpcError> {
    // An answer without logs is doubted only if it is one contract's address
    // and topic that the bloom speaks of.
    let spoken_of = |bloom: &Bloom| all.iter().any(|watched| watched.may_be_in(bloom));
    let expects_logs = doubts && bloom.is_some_and(spoken_of);
    let hint = |expects_logs| bloom.map(|bloom| BloomHint { bloom, expects_logs });
    let mut logs = read_for(client, all, hash, hint(expects_logs)).await?;
    if let (Some(bloom), true, false) = (bloom, expects_logs, logs.is_empty()) {
        let lacks = |watched: &&Arc<Watched>| {
            watched.may_be_in(bloom) && !logs.iter().any(|log| watched.has(log))
        };
        let lacking: Vec<_> = all.iter().filter(lacks).cloned().collect();
        if !lacking.is_empty() {
            logs.extend(read_for(client, &lacking, hash, hint(false)).await?);
        }
    }
    logs.sort_by_key(|log| log.log_index);
    logs.dedup_by_key(|log| log.log_index);
    Ok(logs)
}

/// In as many calls as an endpoint takes addresses.
async fn read_for(
    client: &ChainClient,
    all: &[Arc<Watched>],
    hash: B256,
    hint: Option<BloomHint<'_>>,
) -> Result<Vec<Log>, RpcError> {
    let mut groups = vec![all];
    let mut logs = Vec::new();
    while let Some(group) = groups.pop() {
        let filter = union(group.iter().map(|watched| &**watched));
        match client.logs_of_block(&filter, hash, hint).await {
            Ok(found) => logs.extend(found),
            Err(error) if is_crowded(&error) && group.len() > 1 => {
                let (one, other) = group.split_at(group.len() / 2);
                groups.extend([one, other]);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(logs)
}
