//! Transactions, mined or waiting, and what their senders have.

use alloy::{
    eips::BlockId,
    primitives::{Address, B256, Bytes, U64},
    rpc::types::TransactionInfo,
};
use serde_json::value::RawValue;

use super::{Answer, Asked, Chain, raw};
use crate::simulation::chain::{Refusal, contracts::is_contract};

impl Chain {
    pub(super) fn receipt(&self, asked: &Asked<'_>) -> Answer {
        let mined = self.place(asked, asked.at(0)?).and_then(|(number, place)| {
            Some(&*self.block(number)?.transactions.get(place)?.receipt)
        });
        Ok(mined.unwrap_or(RawValue::NULL).to_owned())
    }

    /// For an endpoint that is behind, what is mined above its head still waits.
    pub(super) fn transaction_by_hash(&self, asked: &Asked<'_>) -> Answer {
        let hash: B256 = asked.at(0)?;
        let mined = self.mined.get(&hash).copied();
        let block = mined.and_then(|(number, place)| Some((number, place, self.block(number)?)));
        let waiting = match block {
            Some((number, place, block)) if number <= asked.head => {
                return Ok(block
                    .transaction(place)
                    .map_or(RawValue::NULL.to_owned(), |it| raw(&it)));
            }
            Some((_, place, block)) => block.transactions.get(place).map(|it| &it.transaction),
            None => self.pool.get(hash),
        };
        let told = waiting.map(|it| it.told(TransactionInfo::default()));
        Ok(told.map_or(RawValue::NULL.to_owned(), |it| raw(&it)))
    }

    pub(super) fn transaction_count(&self, asked: &Asked<'_>) -> Answer {
        let of: Address = asked.at(0)?;
        let pending = asked.or(1, BlockId::latest())? == BlockId::pending();
        let count = match pending {
            true => self.pool.next_nonce(of, self.nonce(of)),
            false => self.state_named(asked, 1)?.0.account(of).nonce,
        };
        Ok(raw(&U64::from(count)))
    }

    pub(super) fn balance_of(&self, asked: &Asked<'_>) -> Answer {
        let of: Address = asked.at(0)?;
        Ok(raw(&self.state_named(asked, 1)?.0.account(of).balance))
    }

    /// Some bytes where there is a contract.
    pub(super) fn code_of(&self, asked: &Asked<'_>) -> Answer {
        let code: &[u8] = if is_contract(&self.at, asked.at(0)?) { &[0x60, 0x80] } else { &[] };
        Ok(raw(&Bytes::copy_from_slice(code)))
    }

    pub(super) fn send(&mut self, asked: &Asked<'_>) -> Answer {
        let bytes: Bytes = asked.at(0)?;
        let hash = alloy::primitives::keccak256(&bytes);
        // Who is behind has it in its pool still.
        if self.mined.get(&hash).is_some_and(|(number, _)| *number > asked.head) {
            return Err(Refusal::Known.into());
        }
        Ok(raw(&self.submit(&bytes)?))
    }
}
