//! The calls that meritd makes, typed.

use std::sync::Arc;

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Address, B256, Bytes, U64, U256, keccak256},
    rpc::types::{FeeHistory, TransactionReceipt, TransactionRequest},
};

use serde::Deserialize;

use super::ChainClient;
use crate::chain::{answers::Header, health::compare_heads, rpc::RpcError};

/// Endpoints that a transaction is sent to at once.
const SEND_TO_MAX: usize = 3;

/// What one endpoint said to a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct SendOutcome {
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// The transaction's hash, or why it was not taken. After
    /// [`RpcError::TimedOut`] or [`RpcError::Failed`] it may have been.
    pub result: Result<B256, RpcError>,
}

/// A receipt, and what rollups add to it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FullReceipt {
    /// As on any chain.
    #[serde(flatten)]
    pub receipt: TransactionReceipt,
    /// What the chain charged for posting the transaction's data, in wei (OP
    /// Stack).
    #[serde(rename = "l1Fee", default)]
    pub l1_fee: Option<U256>,
}

impl ChainClient {
    /// Height of the head, as the healthiest endpoint sees it.
    ///
    /// # Errors
    /// See [`RpcError`], here and below: the last endpoint's, when all failed.
    pub async fn block_number(&self) -> Result<u64, RpcError> {
        let (index, number) = self.ask("eth_blockNumber", (), |_: &U64| Ok(())).await?;
        self.saw(index, number.to());
        Ok(number.to())
    }

    /// The header that a tag or number names; `None` when there is none (yet).
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn header(&self, block: BlockNumberOrTag) -> Result<Option<Header>, RpcError> {
        let asked = block.as_number();
        let answer: (usize, Option<Header>) = self
            .ask("eth_getBlockByNumber", (block, false), |answer: &Option<Header>| {
                match (answer, asked) {
                    (Some(header), Some(number)) if header.block.number != number => {
                        Err(format!("it gave block {} for {number}", header.block.number))
                    }
                    _ => Ok(()),
                }
            })
            .await?;
        if let (BlockNumberOrTag::Latest, (index, Some(header))) = (block, &answer) {
            self.saw(*index, header.block.number);
        }
        Ok(self.compared(answer))
    }

    fn saw(&self, index: usize, head: u64) {
        if let Some(health) = self.health().get_mut(index) {
            health.saw(head);
        }
    }

    /// The header of a hash, canonical or not; `None` when it is unknown.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn header_by_hash(&self, hash: B256) -> Result<Option<Header>, RpcError> {
        let answer: (usize, Option<Header>) = self
            .ask("eth_getBlockByHash", (hash, false), |answer: &Option<Header>| match answer {
                Some(header) if header.block.hash != hash => {
                    Err(format!("it gave block {} for {hash}", header.block.hash))
                }
                _ => Ok(()),
            })
            .await?;
        Ok(self.compared(answer))
    }

    /// The head of every endpoint, asked for at one time. What they say about
    /// each other (who lags) goes into the ranking.
    pub async fn heads(&self) -> Vec<(Arc<str>, Result<Header, RpcError>)> {
        let method = "eth_getBlockByNumber";
        let all = (0..self.shared.endpoints.len()).map(|index| async move {
            let head = async {
                let params = self.raw(method, (BlockNumberOrTag::Latest, false))?;
                self.at::<Header>(index, method, &params).await
            };
            (Arc::clone(self.name(index)), head.await)
        });
        let heads = futures::future::join_all(all).await;
        let heights: Vec<_> = heads
            .iter()
            .map(|(_, head)| head.as_ref().ok().map(|header| header.block.number))
            .collect();
        compare_heads(&mut self.health(), &heights);
        heads
    }

    /// Calls a contract without a transaction. A revert is
    /// [`RpcError::semantic`], its bytes in the data.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn call(
        &self,
        request: &TransactionRequest,
        block: BlockId,
    ) -> Result<Bytes, RpcError> {
        self.any("eth_call", (request, block)).await
    }

    /// Reads from a contract.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn read(&self, to: Address, data: Bytes, block: BlockId) -> Result<Bytes, RpcError> {
        self.call(&TransactionRequest::default().to(to).input(data.into()), block).await
    }

    /// Gas that a transaction would use.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn estimate_gas(&self, request: &TransactionRequest) -> Result<u64, RpcError> {
        self.any::<U64>("eth_estimateGas", [request]).await.map(|gas| gas.to())
    }

    /// The code at an address; empty when there is none.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn code_at(&self, address: Address, block: BlockId) -> Result<Bytes, RpcError> {
        self.any("eth_getCode", (address, block)).await
    }

    /// Transactions sent from an address: its next nonce.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn transaction_count(
        &self,
        address: Address,
        block: impl Into<BlockId>,
    ) -> Result<u64, RpcError> {
        let params = (address, block.into());
        let count = self.any::<U64>("eth_getTransactionCount", params).await;
        count.map(|count| count.to())
    }

    /// An address's balance in wei.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn balance(
        &self,
        address: Address,
        block: BlockNumberOrTag,
    ) -> Result<U256, RpcError> {
        self.any("eth_getBalance", (address, block)).await
    }

    /// The receipt of a transaction; `None` while it is in no block that the
    /// endpoint knows.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn receipt(&self, hash: B256) -> Result<Option<FullReceipt>, RpcError> {
        let check = |answer: &Option<FullReceipt>| match answer {
            Some(FullReceipt { receipt, .. }) if receipt.transaction_hash != hash => {
                Err(format!("it gave the receipt of {} for {hash}", receipt.transaction_hash))
            }
            _ => Ok(()),
        };
        self.any_checked("eth_getTransactionReceipt", [hash], check).await
    }

    /// What a transaction gives to whom it calls; `None` when the endpoint does
    /// not know it.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn calldata(&self, hash: B256) -> Result<Option<Bytes>, RpcError> {
        #[derive(Debug, Deserialize)]
        struct Called {
            hash: B256,
            input: Bytes,
        }
        let check = |answer: &Option<Called>| match answer {
            Some(called) if called.hash != hash => {
                Err(format!("it gave the transaction {} for {hash}", called.hash))
            }
            _ => Ok(()),
        };
        let found = self.any_checked("eth_getTransactionByHash", [hash], check).await?;
        Ok(found.map(|called: Called| called.input))
    }

    /// Whether an endpoint knows the transaction, mined or in its pool.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn knows_transaction(&self, hash: B256) -> Result<bool, RpcError> {
        let found: Option<serde::de::IgnoredAny> =
            self.any("eth_getTransactionByHash", [hash]).await?;
        Ok(found.is_some())
    }

    /// What a chain without EIP-1559 asks per gas, in wei.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn gas_price(&self) -> Result<u128, RpcError> {
        self.any::<alloy::primitives::U128>("eth_gasPrice", ()).await.map(|price| price.to())
    }

    /// Base fees of `blocks` blocks up to `newest`, and the priority fees paid
    /// at `percentiles` (ascending, 0 to 100).
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn fee_history(
        &self,
        blocks: u64,
        newest: BlockNumberOrTag,
        percentiles: &[f64],
    ) -> Result<FeeHistory, RpcError> {
        self.any("eth_feeHistory", (U64::from(blocks), newest, percentiles)).await
    }

    /// Sends a signed transaction once to each of the healthiest endpoints.
    /// Nothing is repeated: what to do is the nonce's owner's decision. Empty
    /// when there is no endpoint.
    pub async fn send_raw(&self, raw: &Bytes) -> Vec<SendOutcome> {
        let hash = keccak256(raw);
        let all = self.order().into_iter().take(SEND_TO_MAX).map(|index| async move {
            let endpoint = Arc::clone(self.name(index));
            SendOutcome { endpoint, result: self.send_raw_to(index, raw, hash).await }
        });
        futures::future::join_all(all).await
    }

    async fn send_raw_to(&self, index: usize, raw: &Bytes, hash: B256) -> Result<B256, RpcError> {
        let method = "eth_sendRawTransaction";
        self.ensure_chain(index).await?;
        let params = self.raw(method, [raw])?;
        let answer = self.send_once(index, method, &params).await?;
        match serde_json::from_str::<B256>(answer.get()) {
            Ok(answered) if answered == hash => Ok(hash),
            Ok(other) => Err(self.wrong(index, method, format!("it gave {other} for {hash}"))),
            Err(error) => Err(self.malformed(index, method, error)),
        }
    }
}
