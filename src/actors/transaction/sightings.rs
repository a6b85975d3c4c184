//! What a signer's transactions ask alike: an endpoint's head and how many of
//! the key's nonces are used there, once a head for all of them.
//!
//! An answer may be a moment old: receipts are asked for after it, so that an
//! old count can only be too low and an old head too shallow, and both are
//! looked at again with the next head.

use std::{collections::BTreeMap, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256},
};
use tokio::{sync::Mutex, time::Instant};

use crate::chain::{client::ChainClient, rpc::RpcError};

/// An answer serves others for so long, under the same followed head.
const FRESH: Duration = Duration::from_secs(1);

/// The answers of each endpoint, by its place.
#[derive(Debug, Default)]
pub struct Sightings(Mutex<BTreeMap<usize, Sighting>>);

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
        let mut kept = self.0.lock().await;
        let fresh = kept.get(&place).filter(|seen| {
            followed.is_some() && seen.followed == followed && seen.at.elapsed() < FRESH
        });
        if let Some(seen) = fresh {
            return Ok((seen.head, seen.latest_nonce));
        }
        let at = Instant::now();
        let latest = BlockNumberOrTag::Latest;
        let head = client.header(latest).await?.map_or(0, |header| header.block.number);
        let latest_nonce = client.transaction_count(key, latest).await?;
        kept.insert(place, Sighting { followed, at, head, latest_nonce });
        Ok((head, latest_nonce))
    }
}
