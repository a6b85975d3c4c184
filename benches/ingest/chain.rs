//! The chain's headers: linked, with the real blooms, receipt tries and
//! transaction tries of what [`super::content`] says.

use std::{collections::HashMap, thread};

use alloy::{
    consensus::{
        EMPTY_OMMER_ROOT_HASH, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom,
        SignableTransaction as _, Signed, TxEip1559, TxEnvelope,
        constants::EMPTY_WITHDRAWALS,
        proofs::{calculate_receipt_root, calculate_transaction_root},
    },
    primitives::{Address, B256, Bloom, Log, Signature, TxKind, U256, logs_bloom},
};

use super::content::{Shape, account, address_of, wide};

/// Seconds between two blocks.
pub const BLOCK_TIME: u64 = 12;
/// Time of the genesis.
const GENESIS_TIME: u64 = 1_700_000_000;
/// Gas of each transaction.
pub const GAS_EACH: u64 = 60_000;
/// Gas limit of each block.
pub const GAS_LIMIT: u64 = 60_000_000;
/// Base fee of each block, wei.
pub const BASE_FEE: u64 = 7;
/// Distance of the `safe` and the `finalized` block from the head.
pub const SAFE_DEPTH: u64 = 32;
/// See [`SAFE_DEPTH`].
pub const FINAL_DEPTH: u64 = 64;

/// What is kept of a block.
pub struct Block {
    /// Hash of the header.
    pub hash: B256,
    /// Hash of the parent's header.
    pub parent: B256,
    /// Root of the transactions' trie.
    pub transactions_root: B256,
    /// Root of the receipts' trie.
    pub receipts_root: B256,
    /// Bloom of all logs.
    pub bloom: Bloom,
    /// Length of header and body as RLP, about.
    pub size: u64,
}

/// The whole chain; logs are made when they are asked for.
pub struct Chain {
    /// How it looks.
    pub shape: Shape,
    /// By number.
    pub blocks: Vec<Block>,
    /// Hashes of all transactions, in order.
    pub transactions: Vec<B256>,
    by_hash: HashMap<B256, u64>,
    /// First bytes of transaction hashes with the transactions' ordinals, sorted.
    by_transaction: Vec<(u64, u32)>,
}

/// What of a block depends on its own content only.
struct Body {
    transactions: Vec<B256>,
    transactions_root: B256,
    receipts_root: B256,
    bloom: Bloom,
}

impl Chain {
    /// Generates it on all processors.
    pub fn generate(shape: Shape) -> Self {
        let workers = thread::available_parallelism().map_or(1, usize::from) as u64;
        let share = (shape.blocks + 1).div_ceil(workers);
        let bodies: Vec<Vec<Body>> = thread::scope(|scope| {
            let running: Vec<_> = (0..workers)
                .map(|worker| {
                    let blocks = worker * share..((worker + 1) * share).min(shape.blocks + 1);
                    scope.spawn(move || blocks.map(|number| body(&shape, number)).collect())
                })
                .collect();
            running.into_iter().filter_map(|worker| worker.join().ok()).collect()
        });
        let mut chain = Self {
            shape,
            blocks: Vec::new(),
            transactions: Vec::new(),
            by_hash: HashMap::new(),
            by_transaction: Vec::new(),
        };
        bodies.into_iter().flatten().for_each(|body| chain.push(body));
        chain.by_transaction.sort_unstable();
        chain
    }

    fn push(&mut self, body: Body) {
        let number = self.blocks.len() as u64;
        let parent = self.blocks.last().map_or(B256::ZERO, |block| block.hash);
        let mut block = Block {
            hash: B256::ZERO,
            parent,
            transactions_root: body.transactions_root,
            receipts_root: body.receipts_root,
            bloom: body.bloom,
            size: 600 + 200 * body.transactions.len() as u64,
        };
        block.hash = self.header(number, &block).hash_slow();
        self.by_hash.insert(block.hash, number);
        for hash in &body.transactions {
            self.by_transaction.push((prefix(hash), self.transactions.len() as u32));
            self.transactions.push(*hash);
        }
        self.blocks.push(block);
    }

    /// The header of a block.
    pub fn header(&self, number: u64, block: &Block) -> Header {
        Header {
            parent_hash: block.parent,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: account(0),
            state_root: wide(0x57a7e, number, 0),
            transactions_root: block.transactions_root,
            receipts_root: block.receipts_root,
            logs_bloom: block.bloom,
            number,
            gas_limit: GAS_LIMIT,
            gas_used: self.shape.transactions_in(number) * GAS_EACH,
            timestamp: GENESIS_TIME + number * BLOCK_TIME,
            base_fee_per_gas: Some(BASE_FEE),
            withdrawals_root: Some(EMPTY_WITHDRAWALS),
            ..Header::default()
        }
    }

    /// The number of a block.
    pub fn number_of(&self, hash: &B256) -> Option<u64> {
        self.by_hash.get(hash).copied()
    }

    /// The ordinal of a transaction.
    pub fn transaction_of(&self, hash: &B256) -> Option<u64> {
        let wanted = prefix(hash);
        let from = self.by_transaction.partition_point(|(known, _)| *known < wanted);
        self.by_transaction[from..]
            .iter()
            .take_while(|(known, _)| *known == wanted)
            .map(|(_, ordinal)| *ordinal)
            .find(|ordinal| self.transactions.get(*ordinal as usize) == Some(hash))
            .map(u64::from)
    }
}

fn prefix(hash: &B256) -> u64 {
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn body(shape: &Shape, number: u64) -> Body {
    let count = shape.transactions_in(number);
    let mut bloom = Bloom::ZERO;
    let (mut envelopes, mut receipts) = (Vec::new(), Vec::new());
    for index in 0..count {
        let ordinal = shape.ordinal(number, index);
        let logs: Vec<Log> = shape.logs(number, ordinal).collect();
        let logs_bloom = logs_bloom(&logs);
        bloom |= logs_bloom;
        let receipt =
            Receipt { status: true.into(), cumulative_gas_used: (index + 1) * GAS_EACH, logs };
        receipts.push(ReceiptEnvelope::Eip1559(ReceiptWithBloom { receipt, logs_bloom }));
        envelopes.push(TxEnvelope::Eip1559(transaction(shape, ordinal)));
    }
    Body {
        transactions: envelopes.iter().map(|envelope| *envelope.tx_hash()).collect(),
        transactions_root: calculate_transaction_root(&envelopes),
        receipts_root: calculate_receipt_root(&receipts),
        bloom,
    }
}

/// A transaction of the chain. Its signature is none: a million real ones
/// would take minutes, and indexers take the sender from the answer.
pub fn transaction(shape: &Shape, ordinal: u64) -> Signed<TxEip1559> {
    let number = |what| U256::from_be_bytes(wide(what, ordinal, 0).0) >> 2;
    let signature = Signature::new(number(0x5161), number(0x5162), ordinal % 2 == 1);
    TxEip1559 {
        chain_id: shape.chain_id,
        nonce: ordinal,
        gas_limit: 2 * GAS_EACH,
        max_fee_per_gas: 30_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(address_of(shape.contract_of(ordinal))),
        value: U256::ZERO,
        input: [&[0x56, 0x78, 0x13, 0x88], wide(0xca11, ordinal, 0).as_slice()].concat().into(),
        ..TxEip1559::default()
    }
    .into_signed(signature)
}

/// Who is said to have sent a transaction.
pub fn sender(ordinal: u64) -> Address {
    account(ordinal % 1_000)
}
