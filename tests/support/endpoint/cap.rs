//! Limits of `eth_getLogs`.

use alloy::rpc::types::Filter;
use serde_json::Value as Json;

use super::{
    Refusal,
    wording::{Asked, Wording},
};

/// What is refused, and in which words.
#[derive(Clone, Debug)]
pub enum Cap {
    /// More blocks than that, whatever is in them.
    Blocks { most: u64, wording: Wording },
    /// More logs in the answer than that.
    Logs { most: usize, wording: Wording },
    /// More addresses than that.
    Addresses { most: usize, wording: Wording },
    /// Logs by block hash (EIP-234).
    BlockHash(Refusal),
}

impl Cap {
    /// Refuses by what is asked. `range` is what its blocks come to.
    pub(super) fn refuses(&self, filter: &Filter, range: Option<(u64, u64)>) -> Option<Refusal> {
        match (self, range) {
            (Self::Blocks { most, wording }, Some((from, to))) => (from <= to
                && to - from + 1 > *most)
                .then(|| (wording.say)(&Asked { from, to, most: *most })),
            (Self::Addresses { most, wording }, _) => {
                let (from, to) = range.unwrap_or_default();
                (filter.address.len() > *most)
                    .then(|| (wording.say)(&Asked { from, to, most: *most as u64 }))
            }
            (Self::BlockHash(refusal), None) => Some(refusal.clone()),
            _ => None,
        }
    }

    /// Refuses by what would be answered.
    pub(super) fn refuses_answer(&self, answer: &Json, range: (u64, u64)) -> Option<Refusal> {
        let Self::Logs { most, wording } = self else { return None };
        let (from, to) = range;
        (answer.as_array().map_or(0, Vec::len) > *most)
            .then(|| (wording.say)(&Asked { from, to, most: *most as u64 }))
    }
}
