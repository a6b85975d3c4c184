//! What a call asks for: its parameters, and the blocks that they name.

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::B256,
};
use serde::Deserialize;
use serde_json::Value as Json;

use super::{Chain, ErrorObject};
use crate::simulation::chain::state::State;

/// A call's parameters, and the head of the endpoint that is asked.
pub(super) struct Asked<'a> {
    pub(super) params: &'a Json,
    pub(super) head: u64,
}

impl Asked<'_> {
    /// A parameter; where it is left out or null, what stands for it.
    pub(super) fn or<'a, T: Deserialize<'a>>(
        &'a self,
        place: usize,
        absent: T,
    ) -> Result<T, ErrorObject> {
        match self.params.get(place) {
            None | Some(Json::Null) => Ok(absent),
            Some(given) => T::deserialize(given).map_err(|why| ErrorObject::invalid(place, why)),
        }
    }

    /// A parameter that must be there.
    pub(super) fn at<'a, T: Deserialize<'a>>(&'a self, place: usize) -> Result<T, ErrorObject> {
        let given = self.params.get(place).ok_or_else(|| {
            ErrorObject::new(-32_602, format!("missing value for required argument {place}"))
        })?;
        T::deserialize(given).map_err(|why| ErrorObject::invalid(place, why))
    }
}

impl Chain {
    /// The height that a tag or number names for an endpoint; it need not have it.
    pub(super) fn height(&self, asked: &Asked<'_>, block: BlockNumberOrTag) -> u64 {
        match block {
            BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => asked.head,
            BlockNumberOrTag::Safe => asked.head.saturating_sub(self.safe_depth),
            BlockNumberOrTag::Finalized => asked.head.saturating_sub(self.finalized_depth),
            BlockNumberOrTag::Earliest => 0,
            BlockNumberOrTag::Number(number) => number,
        }
    }

    /// The height of a block that the endpoint has.
    pub(super) fn height_of(&self, asked: &Asked<'_>, hash: B256) -> Option<u64> {
        self.by_hash.get(&hash).copied().filter(|number| *number <= asked.head)
    }

    /// The block that a parameter names, if the endpoint has it.
    pub(super) fn named(
        &self,
        asked: &Asked<'_>,
        place: usize,
    ) -> Result<Option<u64>, ErrorObject> {
        Ok(match asked.or(place, BlockId::latest())? {
            BlockId::Hash(hash) => self.height_of(asked, hash.block_hash),
            BlockId::Number(block) => {
                Some(self.height(asked, block)).filter(|number| *number <= asked.head)
            }
        })
    }

    /// The state after the block that a parameter names, and its number.
    pub(super) fn state_named(
        &self,
        asked: &Asked<'_>,
        place: usize,
    ) -> Result<(&State, u64), ErrorObject> {
        let absent = || ErrorObject::plain("header not found");
        let number = self.named(asked, place)?.ok_or_else(absent)?;
        let state = self.state_at(number).ok_or_else(|| {
            let root = self.block(number).map(|block| block.header.state_root).unwrap_or_default();
            ErrorObject::plain(format!(
                "missing trie node {root:x} (path ) state {root} is not available"
            ))
        })?;
        Ok((state, number))
    }
}
