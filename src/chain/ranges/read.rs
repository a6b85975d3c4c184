//! The reading of one range at one endpoint.

use alloy::rpc::types::Log;

use super::{FilterParts, RangeFailure, RangePolicy, Retry, Volume};
use crate::chain::answers::LogFilter;

/// What to ask an endpoint for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Logs of blocks `from..=to`.
    Logs {
        /// Of these.
        filter: LogFilter,
        /// First block.
        from: u64,
        /// Last block.
        to: u64,
    },
    /// All receipts of one block, whose logs are then filtered here.
    Receipts {
        /// The block.
        block: u64,
    },
}

/// A range that is being read. Refusals make it shorter; what was answered
/// stays.
#[derive(Clone, Debug)]
pub struct RangeRead {
    from: u64,
    through: u64,
    by_receipts: bool,
    parts: FilterParts,
    logs: Vec<Log>,
    volume: Volume,
    answers: u32,
}

impl RangeRead {
    pub(super) fn new(policy: &RangePolicy, filter: &LogFilter, from: u64, to: u64) -> Self {
        let by_receipts = policy.singles.holds(from);
        Self {
            from,
            through: if by_receipts { from } else { policy.clip(from, to) },
            by_receipts,
            parts: policy.parts(filter),
            logs: Vec::new(),
            volume: Volume::default(),
            answers: 0,
        }
    }

    /// The last block that it will cover, as things are.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.through
    }

    /// What to ask for next; `None` when the range is whole.
    #[must_use]
    pub fn next(&self) -> Option<Ask> {
        let part = self.parts.next()?;
        Some(match self.by_receipts {
            true => Ask::Receipts { block: self.from },
            false => Ask::Logs { filter: part.clone(), from: self.from, to: self.through },
        })
    }

    /// What was asked for last came: `bytes` of JSON.
    pub fn answered(&mut self, policy: &mut RangePolicy, logs: Vec<Log>, bytes: u64) {
        self.answers += 1;
        self.volume.logs += logs.len() as u64;
        self.volume.bytes += bytes;
        self.logs.extend(logs);
        if self.by_receipts {
            policy.read_by_receipts(self.from, self.volume.logs);
            while self.parts.next().is_some() {
                self.parts.answered();
            }
            return;
        }
        self.parts.answered();
        if self.parts.next().is_none() {
            policy.succeeded(self.from, self.through, self.volume);
        }
    }

    /// What was asked for last was refused. True when there is something else
    /// to ask for.
    pub fn refused(&mut self, policy: &mut RangePolicy, failure: RangeFailure) -> bool {
        if self.by_receipts {
            policy.singles.receipts_failed();
            return false;
        }
        if let RangeFailure::TooManyAddresses(hint) = failure
            && self.parts.refused(policy, hint)
        {
            return true;
        }
        match policy.failed(self.from, self.through, failure) {
            Retry::Narrower { to } => self.through = to,
            Retry::Receipts => {
                self.by_receipts = true;
                self.logs.clear();
            }
        }
        true
    }

    /// Whether several answers make up the whole, so that they must be checked
    /// against each other, too.
    #[must_use]
    pub fn is_merged(&self) -> bool {
        self.answers > 1
    }

    /// The logs of the range, those of each answer in its order.
    #[must_use]
    pub fn into_logs(self) -> Vec<Log> {
        let mut logs = self.logs;
        // Parts that were answered before a refusal reach further than those
        // that came after it.
        logs.retain(|log| log.block_number.is_none_or(|number| number <= self.through));
        logs
    }
}
