//! Logs that the bloom of their block denies: somebody invented them, or told
//! a false bloom, or the chain keeps none.
//!
//! Logs and bloom may come from two endpoints, so nobody is accused before a
//! header whose hash is proven, or told alike by two, denies the log as well.
//! Then the block's receipts decide; where nobody has any that can be proven,
//! the bloom and a second endpoint do.

use alloy::{
    primitives::{B256, Bloom},
    rpc::types::Log,
};

use super::{ChainClient, LogRange, lock, proven::Blooms};
use crate::{
    chain::{
        answers::LogFilter,
        proof::{denial, denied, is_state_sync},
        rpc::RpcError,
    },
    domain::BlockRef,
};

/// Polygon PoS and its test network, whose state-sync events no bloom knows.
const STATE_SYNC_CHAINS: [u64; 2] = [137, 80_002];

/// What came of a log that a bloom denies. That it was invented is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// The log is there, or no bloom denies it.
    Believed,
    /// Nothing shows who errs, and the log is taken as it came.
    Open,
}

impl ChainClient {
    /// Holds the logs of a range against the blooms of blocks as some endpoint
    /// told them. Blocks without a bloom are not judged.
    ///
    /// # Errors
    /// When a log was invented, which sets the endpoint of the range aside; see
    /// [`RpcError`].
    pub async fn check_presence<'a>(
        &self,
        range: &LogRange,
        logs: &[Log],
        blooms: impl IntoIterator<Item = (&'a BlockRef, &'a Bloom)>,
    ) -> Result<(), RpcError> {
        for (block, bloom) in blooms {
            let (number, hash) = (Some(block.number), Some(block.hash));
            let first = logs.partition_point(|log| log.block_number < number);
            let after = logs.partition_point(|log| log.block_number <= number);
            let here = logs.get(first..after).unwrap_or_default();
            // Of another branch: their reader finds that out.
            if here.iter().any(|log| log.block_hash != hash) {
                continue;
            }
            if self.settle_denied(range.endpoint, block.hash, bloom, here).await? == Settled::Open {
                break;
            }
        }
        Ok(())
    }

    /// Settles whether logs of one block, which endpoint `by` gave, are there
    /// although a bloom denies one of them.
    ///
    /// # Errors
    /// When it was invented.
    pub(super) async fn settle_denied(
        &self,
        by: usize,
        hash: B256,
        bloom: &Bloom,
        logs: &[Log],
    ) -> Result<Settled, RpcError> {
        let excused =
            |log: &&Log| STATE_SYNC_CHAINS.contains(&self.shared.chain_id) && is_state_sync(log);
        let doubtful = || logs.iter().filter(|log| !excused(log));
        if *lock(&self.shared.blooms) == Blooms::Fail || denied(bloom, doubtful()).is_none() {
            return Ok(Settled::Believed);
        }
        // Whoever told a false bloom is found out here, if it is asked.
        let header = match self.anchored(hash).await {
            Ok(header) => [header],
            Err(error @ RpcError::Unproven { .. }) => return Ok(self.left_open(&error)),
            Err(error) => return Err(error),
        };
        let bloom = &header[0].value.fields.logs_bloom;
        let Some(log) = denied(bloom, doubtful()) else { return Ok(Settled::Believed) };
        let invented = || self.wrong(by, "eth_getLogs", denial(log));

        let mut filter = LogFilter::default();
        filter.addresses.push(log.address());
        match self.logs_under(&filter, &header).await {
            Ok(proven) if proven.iter().any(|it| is_same(it, log)) => {
                return Ok(Settled::Believed);
            }
            Ok(_) if !is_state_sync(log) => return Err(invented()),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "a denied log can't be settled by receipts"),
        }
        // An empty bloom may be the chain's way, or that of a block without logs.
        if bloom.is_zero() && *lock(&self.shared.blooms) != Blooms::Hold {
            return Ok(self.left_open(&denial(log)));
        }
        for other in self.order().into_iter().filter(|other| *other != by) {
            let Ok(theirs) = self.logs_of_block_at(other, &filter, hash).await else { continue };
            if theirs.iter().any(|it| is_same(it, log)) {
                self.shown(false);
                return Ok(Settled::Believed);
            }
            break;
        }
        Err(invented())
    }

    fn left_open(&self, why: &dyn std::fmt::Display) -> Settled {
        tracing::warn!(chain = %self.chain(), %why, "a log is believed that a bloom denies");
        Settled::Open
    }
}

/// Whether two endpoints speak of the same log.
fn is_same(one: &Log, other: &Log) -> bool {
    one.inner == other.inner && one.log_index == other.log_index
}
