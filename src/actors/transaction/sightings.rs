//! What a signer's transactions ask alike: an endpoint's head and how many of
//! the key's nonces are used there, once a head for all of them; and the logs
//! of a block, of which each has its own.
//!
//! An answer about the head may be a moment old: receipts are asked for after it, so that an
//! old count can only be too low and an old head too shallow, and both are
//! looked at again with the next head.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256},
    rpc::types::Log,
};
use dashmap::DashMap;
use tokio::{sync::Mutex, time::Instant};

use crate::chain::{answers::LogFilter, client::ChainClient, rpc::RpcError};

/// An answer serves others for so long, under the same followed head.
const FRESH: Duration = Duration::from_secs(1);

/// Blocks whose logs are kept: those of a few transactions that became final
/// together.
const BLOCKS_KEPT: usize = 4;

/// The answers of each endpoint, by its place.
#[derive(Debug, Default)]
pub struct Sightings {
    heads: DashMap<usize, Arc<Mutex<Option<Sighting>>>>,
    logs: Mutex<VecDeque<(Whose, Arc<Vec<Log>>)>>,
}

/// Which endpoint's, of which block and contract.
type Whose = (usize, B256, Address);

#[derive(Clone, Copy, Debug)]
struct Sighting {
    followed: Option<B256>,
    at: Instant,
    head: u64,
    latest_nonce: u64,
}

impl Sightings {
    /// Height of the endpoint's head, and the key's count of nonces at it.
    /// `followed` is the head that the daemon follows, if it does.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub(super) async fn at(
        &self,
        place: usize,
        client: &ChainClient,
        key: Address,
        followed: Option<B256>,
    ) -> Result<(u64, u64), RpcError> {
        // Whoever comes meanwhile waits for this answer instead of asking.
        let seen = Arc::clone(&*self.heads.entry(place).or_default());
        let mut kept = seen.lock().await;
        let fresh = kept.filter(|seen| {
            followed.is_some() && seen.followed == followed && seen.at.elapsed() < FRESH
        });
        if let Some(seen) = fresh {
            return Ok((seen.head, seen.latest_nonce));
        }
        let at = Instant::now();
        let latest = BlockNumberOrTag::Latest;
        let head = client.header(latest).await?.map_or(0, |header| header.block.number);
        let latest_nonce = client.transaction_count(key, latest).await?;
        *kept = Some(Sighting { followed, at, head, latest_nonce });
        Ok((head, latest_nonce))
    }

    /// Has an endpoint's head and count asked for anew.
    pub(super) fn forget_head(&self, place: usize) {
        self.heads.remove(&place);
    }

    /// A contract's logs of a block, as an endpoint tells them.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub(super) async fn logs(
        &self,
        place: usize,
        client: &ChainClient,
        block: B256,
        contract: Address,
    ) -> Result<Arc<Vec<Log>>, RpcError> {
        let whose = (place, block, contract);
        let mut kept = self.logs.lock().await;
        if let Some((_, logs)) = kept.iter().find(|(of, _)| *of == whose) {
            return Ok(Arc::clone(logs));
        }
        let filter = LogFilter { addresses: vec![contract], topics0: Vec::new() };
        let logs = Arc::new(client.logs_of_block(&filter, block, None).await?);
        if kept.len() == BLOCKS_KEPT {
            kept.pop_front();
        }
        kept.push_back((whose, Arc::clone(&logs)));
        Ok(logs)
    }

    /// Has a block's logs asked for anew.
    pub(super) async fn forget(&self, block: B256) {
        self.logs.lock().await.retain(|((_, of, _), _)| *of != block);
    }
}
