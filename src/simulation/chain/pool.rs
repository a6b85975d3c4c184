//! Transactions that wait, as geth keeps them: one for each nonce of an address, pushed out
//! only by one that pays a tenth more.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy::{
    consensus::Transaction as _,
    primitives::{Address, B256, U256},
};

use super::transaction::Transaction;

/// How much more a replacement must pay, percent.
const PRICE_BUMP: u128 = 10;

/// Why a transaction is not taken; its words are geth's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It can't be read.
    #[error("rlp: expected input list for types.DynamicFeeTx")]
    Unreadable,
    /// It is for another chain.
    #[error("invalid chain id for signer: have {have} want {want}")]
    OtherChain {
        /// The transaction's; 0 where it says none.
        have: u64,
        /// This one's.
        want: u64,
    },
    /// It waits already.
    #[error("already known")]
    Known,
    /// Its tip is above all that it pays.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveCap,
    /// It can't pay for its own bytes.
    #[error("intrinsic gas too low: gas {gas}, minimum needed {needed}")]
    IntrinsicGas {
        /// Its limit.
        gas: u64,
        /// What its bytes cost.
        needed: u64,
    },
    /// No block has so much room.
    #[error("exceeds block gas limit")]
    BlockGasLimit,
    /// It offers no tip.
    #[error("transaction underpriced: gas tip cap {tip}, minimum needed 1")]
    Underpriced {
        /// Its tip.
        tip: u128,
    },
    /// Its nonce is used.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The first that is free.
        next: u64,
        /// Its nonce.
        nonce: u64,
    },
    /// Its sender could not pay the most that it may cost, with all that waits.
    #[error("insufficient funds for gas * price + value: balance {balance}, tx cost {cost}")]
    InsufficientFunds {
        /// What the sender has.
        balance: U256,
        /// What is needed.
        cost: U256,
    },
    /// Another one with its nonce waits, and it does not pay a tenth more.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
}

/// All that waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    senders: BTreeMap<Address, BTreeMap<u64, Waiting>>,
    by_hash: BTreeMap<B256, (Address, u64)>,
    newest: i64,
    oldest: i64,
}

#[derive(Clone, Debug)]
struct Waiting {
    /// The lower, the earlier it came.
    place: i64,
    transaction: Arc<Transaction>,
}

/// The transactions that may go into a block, best paid first; then by age.
pub(super) type Ready = BTreeSet<(Reverse<u128>, i64, Address, u64)>;

impl Pool {
    pub(super) fn get(&self, hash: B256) -> Option<&Arc<Transaction>> {
        let (from, nonce) = self.by_hash.get(&hash)?;
        self.at(*from, *nonce)
    }

    pub(super) fn at(&self, from: Address, nonce: u64) -> Option<&Arc<Transaction>> {
        self.senders.get(&from)?.get(&nonce).map(|it| &it.transaction)
    }

    pub(super) fn waiting(&self, from: Address) -> usize {
        self.senders.get(&from).map_or(0, BTreeMap::len)
    }

    /// The first nonce from `mined` on for which nothing waits.
    pub(super) fn next_nonce(&self, from: Address, mined: u64) -> u64 {
        let mut next = mined;
        while self.at(from, next).is_some() {
            next += 1;
        }
        next
    }

    /// What all that somebody signed and that waits may cost, without a nonce.
    pub(super) fn cost_beside(&self, from: Address, nonce: u64) -> U256 {
        let all = self.senders.get(&from).into_iter().flatten();
        all.filter(|(other, it)| **other != nonce && it.transaction.is_signed)
            .fold(U256::ZERO, |sum, (_, it)| sum.saturating_add(it.transaction.cost()))
    }

    /// Whether a transaction pays enough to push out what waits with its nonce.
    pub(super) fn may_replace(&self, new: &Transaction) -> bool {
        let Some(old) = self.at(new.from, new.envelope.nonce()) else { return true };
        let enough = |old: u128, new: u128| new > old && new >= old + old * PRICE_BUMP / 100;
        enough(old.envelope.max_fee_per_gas(), new.envelope.max_fee_per_gas())
            && enough(old.max_tip(), new.max_tip())
    }

    /// Takes a transaction; the one with its nonce is gone.
    pub(super) fn put(&mut self, transaction: Arc<Transaction>) {
        self.newest += 1;
        self.insert(self.newest, transaction);
    }

    /// Takes back what was mined, as older than all that waits.
    pub(super) fn put_back(&mut self, transactions: Vec<Arc<Transaction>>) {
        let count = i64::try_from(transactions.len()).unwrap_or(i64::MAX);
        self.oldest = self.oldest.saturating_sub(count);
        for (transaction, place) in transactions.into_iter().zip(self.oldest..) {
            self.insert(place, transaction);
        }
    }

    fn insert(&mut self, place: i64, transaction: Arc<Transaction>) {
        let (hash, from, nonce) =
            (transaction.hash, transaction.from, transaction.envelope.nonce());
        let own = self.senders.entry(from).or_default();
        if let Some(old) = own.insert(nonce, Waiting { place, transaction }) {
            self.by_hash.remove(&old.transaction.hash);
        }
        self.by_hash.insert(hash, (from, nonce));
    }

    /// Forgets what an address can't send any more.
    pub(super) fn drop_used(&mut self, from: Address, next: u64) {
        let Some(own) = self.senders.get_mut(&from) else { return };
        let kept = own.split_off(&next);
        for old in std::mem::replace(own, kept).into_values() {
            self.by_hash.remove(&old.transaction.hash);
        }
        if self.waiting(from) == 0 {
            self.senders.remove(&from);
        }
    }

    /// Adds a sender's transaction of a nonce to those that may be mined, if there is one
    /// that pays the base fee.
    pub(super) fn ready(&self, ready: &mut Ready, from: Address, nonce: u64, base_fee: u64) {
        let Some(waiting) = self.senders.get(&from).and_then(|own| own.get(&nonce)) else { return };
        if let Some(tip) = waiting.transaction.tip(base_fee) {
            ready.insert((Reverse(tip), waiting.place, from, nonce));
        }
    }

    pub(super) fn senders(&self) -> impl Iterator<Item = Address> {
        self.senders.keys().copied()
    }
}
