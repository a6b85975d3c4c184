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
            let told = (of_block(&range.logs, number), of_block(&theirs, number));
            let judgement = match self.proven_logs_of(filter, hash).await {
                Ok(truth) => judge(told, &truth),
                Err(unproven) => {
                    let third = self.third(filter, number, others.by_ref()).await;
                    match third.map(|third| judge(told, &third)) {
                        // Three that differ say nothing of who is right.
                        None | Some(Wrong { ours: true, theirs: true }) => {
                            let (one, two) = (self.name(range.endpoint), self.name(other));
                            let reason =
                                format!("{one} and {two} have other logs of it: {unproven}");
                            return Err(self.unproven(number, reason));
                        }
                        Some(judgement) => judgement,
                    }
                }
            };
            let reason = || format!("its logs of block {hash} are not the block's");
            if judgement.theirs {
                // Its error is for whoever asked it, and nobody did.
                let _ = self.wrong(other, "eth_getLogs", reason());
            }
            if judgement.ours {
                return Err(self.wrong(range.endpoint, "eth_getLogs", reason()));
            }
        }
        Ok(())
    }

    /// What the first that answers tells of a block.
    async fn third(
        &self,
        filter: &LogFilter,
        number: u64,
        others: impl Iterator<Item = usize>,
    ) -> Option<Vec<Log>> {
        for index in others {
            if let Ok(logs) = self.all_logs_at(index, filter, number, number).await {
                return Some(logs);
            }
        }
        None
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

/// Which of two that told of a block is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wrong {
    ours: bool,
    theirs: bool,
}

/// Holds what two told of a block against what is taken for true of it.
fn judge((ours, theirs): (&[Log], &[Log]), truth: &[Log]) -> Wrong {
    Wrong { ours: !same(ours, truth), theirs: !same(theirs, truth) }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn log(block: u64, log_index: u64) -> Log {
        Log {
            block_number: Some(block),
            block_hash: Some(B256::with_last_byte(block.to_le_bytes()[0])),
            log_index: Some(log_index),
            ..Log::default()
        }
    }

    #[test]
    fn whoever_tells_otherwise_than_the_truth_is_wrong() {
        let (one, two) = ([log(3, 0)], [log(3, 0), log(3, 1)]);
        let judged = |truth: &[Log]| judge((&one, &two), truth);
        assert_eq!(judged(&one), Wrong { ours: false, theirs: true });
        assert_eq!(judged(&two), Wrong { ours: true, theirs: false });
        assert_eq!(judged(&[]), Wrong { ours: true, theirs: true });
    }

    #[test]
    fn what_stands_beside_a_log_makes_it_no_other() {
        let with_time = Log { block_timestamp: Some(7), ..log(3, 0) };
        assert!(same(&[log(3, 0)], &[with_time]));
        assert!(!same(&[log(3, 0)], &[log(3, 1)]));
        let elsewhere = Log { block_hash: Some(B256::repeat_byte(9)), ..log(3, 0) };
        assert!(!same(&[log(3, 0)], &[elsewhere]));
    }

    #[test]
    fn two_differ_first_in_the_block_of_the_first_log_that_one_of_them_lacks() {
        let all = [log(2, 0), log(2, 1), log(5, 0)];
        let block = |logs: &[Log], others: &[Log]| difference(logs, others).map(|it| it.0);
        assert_eq!(block(&all, &all), None);
        assert_eq!(block(&[], &[]), None);
        for (lacks, first) in [(0, 2), (1, 2), (2, 5)] {
            let mut less = all.to_vec();
            less.remove(lacks);
            assert_eq!(block(&all, &less), Some(first), "without log {lacks}");
            assert_eq!(block(&less, &all), Some(first), "without log {lacks}, the other way");
        }
    }

    #[test]
    fn logs_of_one_block_are_found_among_others() {
        let all = [log(2, 0), log(4, 0), log(4, 1), log(5, 0)];
        assert_eq!(of_block(&all, 4), &all[1..3]);
        assert!(of_block(&all, 3).is_empty());
    }
}
