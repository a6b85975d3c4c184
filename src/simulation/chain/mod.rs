//! An EVM chain in memory, without an EVM: contracts are functions, and blocks, headers,
//! receipts and the pool are as real ones. It answers JSON-RPC as geth would.
//!
//! Pure: no clock, no chance, no I/O. Who acts, when a block is mined and which blocks are
//! orphaned is decided outside.

mod acts;
mod answers;
mod block;
mod contracts;
mod mining;
mod pool;
mod state;
mod transaction;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    sync::Arc,
};

use alloy::{
    consensus::Transaction as _,
    primitives::{Address, B256, U256, keccak256},
    rpc::types::Log,
};

pub use self::{
    acts::Act,
    answers::{ErrorObject, View},
    contracts::{REVOKER_ROLE, UNLOCKER_ROLE, votes_of},
    mining::Fate,
    pool::Refusal,
};
use self::{
    block::{Block, Frame, GAS_LIMIT},
    pool::Pool,
    state::State,
    transaction::Transaction,
};

/// States that are kept below the head's, as by a node that prunes; nothing deeper is
/// orphaned.
pub const STATES_KEPT: usize = 256;

/// What the first block asks per gas, in wei.
const FIRST_BASE_FEE: u64 = 1_000_000_000;

/// How deep below the head blocks are called safe and final, until it is said otherwise.
const SAFE_DEPTH: u64 = 32;
const FINALIZED_DEPTH: u64 = 64;

/// Where everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// OpenZeppelin's governor.
    pub governor: Address,
    /// Its votes.
    pub token: Address,
    /// A plain ERC-721.
    pub badge: Address,
    /// Says who contributed what.
    pub inbox: Address,
    /// Who has which achievement.
    pub achievements: Address,
    /// Owner of all of them, with all roles.
    pub admin: Address,
}

impl Deployment {
    /// Addresses of no meaning.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            governor: Address::repeat_byte(0xd1),
            token: Address::repeat_byte(0xd2),
            badge: Address::repeat_byte(0xd3),
            inbox: Address::repeat_byte(0xd4),
            achievements: Address::repeat_byte(0xd5),
            admin: Address::repeat_byte(0xda),
        }
    }
}

/// The chain.
#[derive(Clone, Debug)]
pub struct Chain {
    chain_id: u64,
    at: Deployment,
    /// From the genesis on.
    blocks: Vec<Arc<Block>>,
    by_hash: BTreeMap<B256, u64>,
    /// Block and place of a transaction.
    mined: BTreeMap<B256, (u64, usize)>,
    /// After the head.
    state: State,
    /// After each of the last blocks below the head.
    earlier: VecDeque<State>,
    pool: Pool,
    /// All that ever came signed: each comes often, and whom it is from takes long to find out.
    signed: BTreeMap<B256, Arc<Transaction>>,
    next_base_fee: u64,
    safe_depth: u64,
    finalized_depth: u64,
    /// Things done so far, which tells their texts apart.
    acts: u64,
    /// Reorgs so far, which tells blocks of one height apart.
    branch: u64,
}

impl Chain {
    /// A chain of one block, with everything deployed and achievements 1 to 7 defined.
    #[must_use]
    pub fn new(chain_id: u64, genesis_time: u64, deployment: Deployment) -> Self {
        let (parent_hash, base_fee) = (B256::ZERO, FIRST_BASE_FEE);
        let frame = Frame { parent_hash, number: 0, timestamp: genesis_time, base_fee, extra: 0 };
        let genesis = Block::new(&frame, Vec::new());
        Self {
            chain_id,
            at: deployment,
            by_hash: BTreeMap::from([(genesis.hash, 0)]),
            blocks: vec![Arc::new(genesis)],
            mined: BTreeMap::new(),
            state: State::new(&deployment),
            earlier: VecDeque::new(),
            pool: Pool::default(),
            signed: BTreeMap::new(),
            next_base_fee: FIRST_BASE_FEE,
            safe_depth: SAFE_DEPTH,
            finalized_depth: FINALIZED_DEPTH,
            acts: 0,
            branch: 0,
        }
    }

    /// Takes a signed transaction, as `eth_sendRawTransaction` does.
    ///
    /// # Errors
    /// When a node would not take it.
    pub fn submit(&mut self, raw: &[u8]) -> Result<B256, Refusal> {
        let transaction = self.read(raw).ok_or(Refusal::Unreadable)?;
        let (it, hash) = (&transaction.envelope, transaction.hash);
        if it.chain_id() != Some(self.chain_id) {
            let (have, want) = (it.chain_id().unwrap_or_default(), self.chain_id);
            return Err(Refusal::OtherChain { have, want });
        }
        if self.pool.get(hash).is_some() {
            return Err(Refusal::Known);
        }
        let (gas, needed) = (it.gas_limit(), transaction.intrinsic_gas());
        if gas > GAS_LIMIT {
            return Err(Refusal::BlockGasLimit);
        }
        let tip = transaction.max_tip();
        if tip > it.max_fee_per_gas() {
            return Err(Refusal::TipAboveCap);
        }
        if gas < needed {
            return Err(Refusal::IntrinsicGas { gas, needed });
        }
        if tip == 0 {
            return Err(Refusal::Underpriced { tip });
        }
        let (account, nonce) = (self.state.account(transaction.from), it.nonce());
        if nonce < account.nonce {
            return Err(Refusal::NonceTooLow { next: account.nonce, nonce });
        }
        let beside = self.pool.cost_beside(transaction.from, nonce);
        let (balance, cost) = (account.balance, transaction.cost().saturating_add(beside));
        if cost > balance {
            return Err(Refusal::InsufficientFunds { balance, cost });
        }
        if !self.pool.may_replace(&transaction) {
            return Err(Refusal::ReplacementUnderpriced);
        }
        self.pool.put(transaction);
        Ok(hash)
    }

    /// A transaction that somebody signed, with whom it is from.
    fn read(&mut self, raw: &[u8]) -> Option<Arc<Transaction>> {
        match self.signed.entry(keccak256(raw)) {
            Entry::Occupied(known) => Some(Arc::clone(known.get())),
            Entry::Vacant(new) => Some(Arc::clone(new.insert(Arc::new(Transaction::read(raw)?)))),
        }
    }

    /// Forgets all that waits, as when nodes start anew.
    pub fn drop_pool(&mut self) {
        self.pool = Pool::default();
    }

    /// Sets what the next block asks per gas; later ones follow from it.
    pub fn set_base_fee(&mut self, wei: u64) {
        self.next_base_fee = wei;
    }

    /// Sets how deep below a head blocks are called safe and final.
    pub fn set_depths(&mut self, safe: u64, finalized: u64) {
        (self.safe_depth, self.finalized_depth) = (safe, finalized);
    }

    /// Where everything is.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.at
    }

    /// Height of the head.
    #[must_use]
    pub fn number(&self) -> u64 {
        (self.blocks.len() as u64).saturating_sub(1)
    }

    /// Hash of a canonical block.
    #[must_use]
    pub fn hash(&self, number: u64) -> Option<B256> {
        self.block(number).map(|block| block.hash)
    }

    /// All canonical logs, in order.
    pub fn logs(&self) -> impl Iterator<Item = &Log> {
        self.blocks.iter().flat_map(|block| block.logs.iter().map(|(log, _)| log))
    }

    /// Whether a user has an achievement now.
    #[must_use]
    pub fn has(&self, user: Address, id: u64) -> bool {
        self.state.achievements.has(user, id)
    }

    /// Badges that somebody holds now.
    #[must_use]
    pub fn badges(&self, owner: Address) -> u64 {
        self.state.badge.balance(owner)
    }

    /// Transactions of an address that are mined.
    #[must_use]
    pub fn nonce(&self, of: Address) -> u64 {
        self.state.account(of).nonce
    }

    /// Transactions of an address that wait.
    #[must_use]
    pub fn waiting(&self, of: Address) -> usize {
        self.pool.waiting(of)
    }

    /// Wei that an address has.
    #[must_use]
    pub fn balance(&self, of: Address) -> U256 {
        self.state.account(of).balance
    }

    /// Fees that an address paid, on the chain as it is now.
    #[must_use]
    pub fn spent(&self, of: Address) -> U256 {
        self.state.account(of).spent
    }

    fn block(&self, number: u64) -> Option<&Arc<Block>> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    fn head(&self) -> Option<&Arc<Block>> {
        self.blocks.last()
    }

    /// The state after a block, if it is still kept.
    fn state_at(&self, number: u64) -> Option<&State> {
        match usize::try_from(self.number().checked_sub(number)?).ok()? {
            0 => Some(&self.state),
            back => self.earlier.get(self.earlier.len().checked_sub(back)?),
        }
    }
}
