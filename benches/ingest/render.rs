//! Blocks, logs and receipts as JSON-RPC writes them, straight into the
//! answer's buffer.

use std::fmt::Write as _;

use alloy::{
    consensus::Transaction as _,
    hex,
    primitives::{Address, B256, Bloom, Log, logs_bloom},
};

use super::chain::{BASE_FEE, Chain, GAS_EACH, sender, transaction};

/// JSON on its way out.
#[derive(Default)]
pub struct Json(pub String);

impl Json {
    /// A member, its value to follow, after a comma unless it is the first.
    pub fn key(&mut self, name: &str) -> &mut Self {
        if !self.0.ends_with(['{', '[']) {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self
    }

    /// Bytes as a JSON text.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.push_str("\"0x");
        let mut space = [0; 512];
        for part in bytes.chunks(space.len() / 2) {
            let Some(space) = space.get_mut(..part.len() * 2) else { continue };
            // The space has the right length, and hex digits are UTF-8.
            let _ = hex::encode_to_slice(part, space);
            self.0.push_str(std::str::from_utf8(space).unwrap_or_default());
        }
        self.0.push('"');
    }

    /// A number as a JSON text.
    pub fn number(&mut self, number: u64) {
        // Writing to a String can't fail.
        let _ = write!(self.0, "\"0x{number:x}\"");
    }

    /// A list.
    pub fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) {
        self.0.push('[');
        for item in items {
            if !self.0.ends_with('[') {
                self.0.push(',');
            }
            each(self, item);
        }
        self.0.push(']');
    }

    fn word(&mut self, name: &str, bytes: &[u8]) {
        self.key(name).bytes(bytes);
    }

    fn quantity(&mut self, name: &str, number: u64) {
        self.key(name).number(number);
    }

    fn verbatim(&mut self, name: &str, text: &str) {
        self.key(name).0.push_str(text);
    }
}

/// One log's place.
#[derive(Clone, Copy)]
pub struct Place {
    /// The block.
    pub block: u64,
    /// The transaction within the block.
    pub transaction: u64,
    /// The transaction within the chain.
    pub ordinal: u64,
    /// The log within the block.
    pub log: u64,
}

impl Chain {
    fn hash(&self, number: u64) -> B256 {
        self.blocks.get(number as usize).map_or(B256::ZERO, |block| block.hash)
    }

    fn transaction_hash(&self, ordinal: u64) -> B256 {
        self.transactions.get(ordinal as usize).copied().unwrap_or_default()
    }

    /// A log.
    pub fn write_log(&self, out: &mut Json, log: &Log, at: Place) {
        out.0.push('{');
        out.word("address", log.address.as_slice());
        out.key("topics").list(log.topics(), |out, topic| out.bytes(topic.as_slice()));
        out.word("data", &log.data.data);
        out.word("blockHash", self.hash(at.block).as_slice());
        out.quantity("blockNumber", at.block);
        out.word("transactionHash", self.transaction_hash(at.ordinal).as_slice());
        out.quantity("transactionIndex", at.transaction);
        out.quantity("logIndex", at.log);
        out.verbatim("removed", "false");
        out.0.push('}');
    }

    /// A block, with whole transactions or their hashes; `None`: there is none.
    pub fn write_block(&self, out: &mut Json, number: u64, whole: bool) -> Option<()> {
        let block = self.blocks.get(number as usize)?;
        let header = self.header(number, block);
        out.0.push('{');
        out.quantity("number", number);
        out.word("hash", block.hash.as_slice());
        out.word("parentHash", header.parent_hash.as_slice());
        out.word("nonce", header.nonce.as_slice());
        out.word("mixHash", header.mix_hash.as_slice());
        out.word("sha3Uncles", header.ommers_hash.as_slice());
        out.word("logsBloom", header.logs_bloom.as_slice());
        out.word("transactionsRoot", header.transactions_root.as_slice());
        out.word("stateRoot", header.state_root.as_slice());
        out.word("receiptsRoot", header.receipts_root.as_slice());
        out.word("miner", header.beneficiary.as_slice());
        out.quantity("difficulty", 0);
        out.quantity("totalDifficulty", 0);
        out.word("extraData", &header.extra_data);
        out.quantity("size", block.size);
        out.quantity("gasLimit", header.gas_limit);
        out.quantity("gasUsed", header.gas_used);
        out.quantity("timestamp", header.timestamp);
        out.quantity("baseFeePerGas", BASE_FEE);
        out.word("withdrawalsRoot", header.withdrawals_root.unwrap_or_default().as_slice());
        out.verbatim("withdrawals", "[]");
        out.verbatim("uncles", "[]");
        let count = self.shape.transactions_in(number);
        let ordinals = (0..count).map(|index| self.shape.ordinal(number, index));
        out.key("transactions").list(ordinals, |out, ordinal| {
            if whole {
                self.write_transaction(out, ordinal);
            } else {
                out.bytes(self.transaction_hash(ordinal).as_slice());
            }
        });
        out.0.push('}');
        Some(())
    }

    /// A transaction.
    pub fn write_transaction(&self, out: &mut Json, ordinal: u64) {
        let (block, index) = self.shape.place(ordinal);
        let signed = transaction(&self.shape, ordinal);
        let (inner, signature) = (signed.tx(), signed.signature());
        out.0.push('{');
        out.word("hash", self.transaction_hash(ordinal).as_slice());
        out.verbatim("type", "\"0x2\"");
        out.quantity("chainId", self.shape.chain_id);
        out.word("blockHash", self.hash(block).as_slice());
        out.quantity("blockNumber", block);
        out.quantity("transactionIndex", index);
        out.word("from", sender(ordinal).as_slice());
        out.word("to", inner.to().unwrap_or_default().as_slice());
        out.quantity("nonce", inner.nonce());
        out.quantity("gas", inner.gas_limit());
        out.quantity("gasPrice", effective_price(inner));
        out.quantity("maxFeePerGas", inner.max_fee_per_gas() as u64);
        let tip = inner.max_priority_fee_per_gas().unwrap_or_default();
        out.quantity("maxPriorityFeePerGas", tip as u64);
        out.quantity("value", 0);
        out.word("input", inner.input());
        out.verbatim("accessList", "[]");
        let parity = u64::from(signature.v());
        out.quantity("yParity", parity);
        out.quantity("v", parity);
        out.key("r").0.push_str(&format!("\"{:#x}\"", signature.r()));
        out.key("s").0.push_str(&format!("\"{:#x}\"", signature.s()));
        out.0.push('}');
    }

    /// A transaction's receipt.
    pub fn write_receipt(&self, out: &mut Json, ordinal: u64) {
        let (block, index) = self.shape.place(ordinal);
        let logs: Vec<Log> = self.shape.logs(block, ordinal).collect();
        let bloom: Bloom = logs_bloom(&logs);
        let inner = transaction(&self.shape, ordinal);
        out.0.push('{');
        out.word("transactionHash", self.transaction_hash(ordinal).as_slice());
        out.quantity("transactionIndex", index);
        out.word("blockHash", self.hash(block).as_slice());
        out.quantity("blockNumber", block);
        out.word("from", sender(ordinal).as_slice());
        out.word("to", inner.tx().to().unwrap_or(Address::ZERO).as_slice());
        out.verbatim("contractAddress", "null");
        out.quantity("cumulativeGasUsed", (index + 1) * GAS_EACH);
        out.quantity("gasUsed", GAS_EACH);
        out.quantity("effectiveGasPrice", effective_price(inner.tx()));
        out.verbatim("type", "\"0x2\"");
        out.verbatim("status", "\"0x1\"");
        out.word("logsBloom", bloom.as_slice());
        out.key("logs").list((0..).zip(&logs), |out, (offset, log)| {
            let log_index = index * self.shape.logs_each + offset;
            self.write_log(out, log, Place { block, transaction: index, ordinal, log: log_index });
        });
        out.0.push('}');
    }
}

fn effective_price(transaction: &alloy::consensus::TxEip1559) -> u64 {
    BASE_FEE + transaction.max_priority_fee_per_gas as u64
}
