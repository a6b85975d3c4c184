//! A second opinion about the logs of a range.
//!
//! Far back no header is at hand whose bloom would speak of logs that are left out, and
//! nodes leave them out in good faith too: one that lacks a block's logs answers that
//! there are none. So a second endpoint is asked the same. Where the two differ, the
//! block's receipts say who is right, or else a third endpoint.

use alloy::{primitives::B256, rpc::types::Log};

use super::{ChainClient, LogRange};
use crate::chain::{answers::LogFilter, rpc::RpcError};
use crate::teeth::{Tooth, is_planted};

impl ChainClient {
    /// Holds what an endpoint told of blocks from `from` on against what another one
    /// tells. Where there is no other that has them, nothing is said against it.
    ///
    /// # Errors
    /// [`RpcError::Wrong`] when the endpoint is wrong, which is set aside then;
    /// [`RpcError::Unproven`] when the two differ and nothing tells who is right.
    pub async fn second(
        &self,
        filter: &LogFilter,
        from: u64,
        range: &LogRange,
    ) -> Result<(), RpcError> {
        if is_planted(Tooth::OneWordIsEnough) {
            return Ok(());
        }
        let mut others = self.order().into_iter().filter(|other| *other != range.endpoint);
        while let Some(other) = others.next() {
            // One that is away, or lags, says nothing.
            let theirs = self.all_logs_at(other, filter, from, range.through).await;
            let Ok(theirs) = theirs else { continue };
            let Some((number, hash)) = difference(&range.logs, &theirs) else { return Ok(()) };
            let accused = match self.proven_logs_of(filter, hash).await {
                Ok(truth) => {
                    let differs = |logs: &[Log]| !same(of_block(logs, number), &truth);
                    match (differs(&range.logs), differs(&theirs)) {
                        (true, true) => vec![other, range.endpoint],
                        (true, false) => vec![range.endpoint],
                        (false, _) => vec![other],
                    }
                }
                Err(unproven) => {
                    let mut third = None;
                    for index in others.by_ref() {
                        if let Ok(logs) = self.all_logs_at(index, filter, number, number).await {
                            third = Some(logs);
                            break;
                        }
                    }
                    let says = |logs: &[Log]| {
                        third.as_ref().is_some_and(|third| same(of_block(logs, number), third))
                    };
                    match (says(&range.logs), says(&theirs)) {
                        (true, _) => vec![other],
                        (false, true) => vec![range.endpoint],
                        (false, false) => {
                            let (one, two) = (self.name(range.endpoint), self.name(other));
                            let reason =
                                format!("{one} and {two} have other logs of it: {unproven}");
                            return Err(self.unproven(number, reason));
                        }
                    }
                }
            };
            for index in accused {
                let reason = format!("its logs of block {hash} are not the block's");
                let wrong = self.wrong(index, "eth_getLogs", reason);
                if index == range.endpoint {
                    return Err(wrong);
                }
            }
        }
        Ok(())
    }

    /// All logs of a range, in as many calls as the endpoint takes.
    async fn all_logs_at(
        &self,
        index: usize,
        filter: &LogFilter,
        from: u64,
        to: u64,
    ) -> Result<Vec<Log>, RpcError> {
        let (mut logs, mut next) = (Vec::new(), from);
        while next <= to {
            let range = self.logs_at(index, filter, next, to).await?;
            logs.extend(range.logs);
            // It covers a block each time.
            next = range.through.max(next) + 1;
        }
        Ok(logs)
    }
}

/// The first log that only one of the two has: its block.
fn difference(ours: &[Log], theirs: &[Log]) -> Option<(u64, B256)> {
    let mut pairs = ours.iter().zip(theirs);
    let rest = || {
        let longer = if ours.len() > theirs.len() { ours } else { theirs };
        longer.get(ours.len().min(theirs.len()))
    };
    let first = match pairs.find(|(our, their)| !is_same(our, their)) {
        // Whichever comes first, the other leaves out.
        Some((our, their)) => {
            if place(our) <= place(their) {
                Some(our)
            } else {
                Some(their)
            }
        }
        None => rest(),
    }?;
    Some((first.block_number?, first.block_hash?))
}

fn place(log: &Log) -> (Option<u64>, Option<u64>) {
    (log.block_number, log.log_index)
}

/// Those of one block; logs are in order.
fn of_block(logs: &[Log], number: u64) -> &[Log] {
    let first = logs.partition_point(|log| log.block_number < Some(number));
    let after = logs.partition_point(|log| log.block_number <= Some(number));
    logs.get(first..after).unwrap_or_default()
}

fn same(ours: &[Log], theirs: &[Log]) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(our, their)| is_same(our, their))
}

/// Whether it is the same log; what is beside it, as a block's time, not every node gives.
fn is_same(our: &Log, their: &Log) -> bool {
    our.inner == their.inner
        && (our.block_hash, our.log_index, our.transaction_hash)
            == (their.block_hash, their.log_index, their.transaction_hash)
}
