//! Blocks are made of what waits, and taken back.

use std::sync::Arc;

use alloy::{
    consensus::Transaction as _,
    eips::eip1559::{BaseFeeParams, calc_next_block_base_fee},
    primitives::{Address, U256},
};

use super::{
    Chain, STATES_KEPT,
    block::{Block, Frame, GAS_LIMIT, Ran},
    contracts::{Call, REVERT_GAS, run},
    pool::Ready,
    state::State,
    transaction::Transaction,
};

/// What becomes of the transactions of orphaned blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nobody knows them any more.
    Lost,
    /// They wait again, before all others, in the order in which they were mined.
    SameOrder,
    /// The same, in the opposite order; each sender's are still mined by nonce.
    Reversed,
}

impl Chain {
    /// Mines a block of at most so many transactions: the best paid first, each sender's by
    /// nonce. Time does not run backwards.
    pub fn mine(&mut self, timestamp: u64, max_txs: usize) {
        let Some(parent) = self.head().cloned() else { return };
        let (number, base_fee) = (parent.header.number + 1, self.next_base_fee);
        let mut state = self.state.clone();
        let mut ready = Ready::new();
        for from in self.pool.senders() {
            self.pool.ready(&mut ready, from, state.account(from).nonce, base_fee);
        }
        let (mut ran, mut room): (Vec<Ran>, u64) = (Vec::new(), GAS_LIMIT);
        while ran.len() < max_txs {
            let Some((_, _, from, nonce)) = ready.pop_first() else { break };
            let Some(transaction) = self.pool.at(from, nonce) else { continue };
            let affords =
                !transaction.is_signed || transaction.cost() <= state.account(from).balance;
            if !affords || transaction.envelope.gas_limit() > room {
                continue;
            }
            let done = self.execute(&mut state, transaction, number, base_fee);
            room = room.saturating_sub(done.gas_used);
            ran.push(done);
            self.pool.ready(&mut ready, from, nonce + 1, base_fee);
        }
        for ran in &ran {
            let from = ran.transaction.from;
            self.pool.drop_used(from, state.account(from).nonce);
        }
        let timestamp = timestamp.max(parent.header.timestamp);
        let (parent_hash, extra) = (parent.hash, self.branch);
        let block = Block::new(&Frame { parent_hash, number, timestamp, base_fee, extra }, ran);
        self.append(block, state);
    }

    /// Runs a transaction: it pays whatever comes of it.
    fn execute(
        &self,
        state: &mut State,
        transaction: &Arc<Transaction>,
        block: u64,
        base_fee: u64,
    ) -> Ran {
        let (it, from) = (&transaction.envelope, transaction.from);
        let to = it.to().unwrap_or(Address::ZERO);
        let call = Call { from, to, input: it.input(), block };
        let result = run(state, &self.at, &call);
        let gas = result.as_ref().map_or(REVERT_GAS, |done| done.gas);
        let used = transaction.intrinsic_gas().saturating_add(gas);
        let gas_used = used.min(it.gas_limit());
        let done = result.ok().filter(|_| used <= it.gas_limit());
        let (passed, value) = (done.is_some(), it.value());
        let price = transaction.tip(base_fee).unwrap_or_default() + u128::from(base_fee);
        let fee = U256::from(gas_used) * U256::from(price);
        let payer = state.account_mut(from);
        payer.nonce += 1;
        payer.balance = payer.balance.saturating_sub(fee);
        payer.spent = payer.spent.saturating_add(fee);
        if passed && !value.is_zero() {
            payer.balance = payer.balance.saturating_sub(value);
            let payee = state.account_mut(to);
            payee.balance = payee.balance.saturating_add(value);
        }
        let mut logs = Vec::new();
        if let Some(done) = done {
            state.apply(done.changes);
            logs = done.logs;
        }
        Ran { transaction: Arc::clone(transaction), passed, gas_used, logs }
    }

    fn append(&mut self, block: Block, state: State) {
        let number = block.header.number;
        self.by_hash.insert(block.hash, number);
        for (place, it) in block.transactions.iter().enumerate() {
            self.mined.insert(it.transaction.hash, (number, place));
        }
        self.next_base_fee = following_base_fee(&block);
        self.blocks.push(Arc::new(block));
        self.earlier.push_back(std::mem::replace(&mut self.state, state));
        if self.earlier.len() > STATES_KEPT {
            self.earlier.pop_front();
        }
    }

    /// Orphans the last blocks: as many as asked for, but not the genesis, and none whose
    /// parent's state is not kept. Says how many they are. What is mined next has other
    /// hashes.
    pub fn reorg(&mut self, depth: u64, fate: Fate) -> u64 {
        let depth = depth.min(self.earlier.len() as u64);
        self.branch += 1;
        let mut orphaned = Vec::new();
        for _ in 0..depth {
            let (Some(state), Some(block)) = (self.earlier.pop_back(), self.blocks.pop()) else {
                break;
            };
            self.state = state;
            self.by_hash.remove(&block.hash);
            for it in block.transactions.iter().rev() {
                self.mined.remove(&it.transaction.hash);
                orphaned.push(Arc::clone(&it.transaction));
            }
        }
        if let Some(head) = self.head()
            && depth > 0
        {
            self.next_base_fee = following_base_fee(head);
        }
        match fate {
            Fate::Lost => {}
            Fate::SameOrder => {
                orphaned.reverse();
                self.pool.put_back(orphaned);
            }
            Fate::Reversed => self.pool.put_back(orphaned),
        }
        depth
    }
}

/// What the block after this one asks per gas, by EIP-1559.
fn following_base_fee(block: &Block) -> u64 {
    let (used, limit) = (block.header.gas_used, block.header.gas_limit);
    calc_next_block_base_fee(used, limit, block.base_fee(), BaseFeeParams::ethereum())
}
