//! Blocks, their receipts and their logs.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::B256,
    rpc::types::{Filter, FilterBlockOption},
};
use serde_json::value::RawValue;

use super::{Answer, Asked, Chain, ErrorObject, raw};

impl Chain {
    /// The pending block is the head: nobody asks what will be in it.
    pub(super) fn block_by_number(&self, asked: &Asked<'_>) -> Answer {
        let number = self.height(asked, asked.at(0)?);
        self.told(Some(number).filter(|number| *number <= asked.head), asked)
    }

    /// Orphaned blocks are unknown.
    pub(super) fn block_by_hash(&self, asked: &Asked<'_>) -> Answer {
        self.told(self.height_of(asked, asked.at(0)?), asked)
    }

    fn told(&self, number: Option<u64>, asked: &Asked<'_>) -> Answer {
        let in_full = asked.or(1, false)?;
        let block = number.and_then(|number| self.block(number));
        Ok(block.map_or(RawValue::NULL, |block| block.told(in_full)).to_owned())
    }

    pub(super) fn block_receipts(&self, asked: &Asked<'_>) -> Answer {
        let Some(block) = self.named(asked, 0)?.and_then(|number| self.block(number)) else {
            return Ok(RawValue::NULL.to_owned());
        };
        let receipts: Vec<&RawValue> = block.transactions.iter().map(|it| &*it.receipt).collect();
        Ok(raw(&receipts))
    }

    /// What is above the head of the endpoint is left out without a word, as older nodes do.
    pub(super) fn get_logs(&self, asked: &Asked<'_>) -> Answer {
        let filter: Filter = asked.at(0)?;
        let (from, to) = match filter.block_option {
            FilterBlockOption::AtBlockHash(hash) => {
                let absent = || ErrorObject::plain("unknown block");
                let number = self.height_of(asked, hash).ok_or_else(absent)?;
                (number, number)
            }
            FilterBlockOption::Range { from_block, to_block } => {
                let height = |block: Option<BlockNumberOrTag>| {
                    self.height(asked, block.unwrap_or(BlockNumberOrTag::Latest))
                };
                let (from, to) = (height(from_block), height(to_block));
                if from > to {
                    return Err(ErrorObject::new(-32_602, "invalid block range params"));
                }
                (from, to.min(asked.head))
            }
        };
        let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let blocks = self.blocks.get(place(from)..=place(to)).unwrap_or_default();
        let found: Vec<&RawValue> = blocks
            .iter()
            .filter(|block| block.may_have_logs(&filter.address))
            .flat_map(|block| block.logs.iter())
            .filter(|(log, _)| filter.matches(&log.inner))
            .map(|(_, json)| &**json)
            .collect();
        Ok(raw(&found))
    }

    /// Block and place of a transaction, where the endpoint has that block.
    pub(super) fn place(&self, asked: &Asked<'_>, hash: B256) -> Option<(u64, usize)> {
        self.mined.get(&hash).copied().filter(|(number, _)| *number <= asked.head)
    }
}
