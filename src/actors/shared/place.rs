//! As of which block a contract is asked.

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Address, B256, Bytes},
    rpc::types::TransactionRequest,
};

use super::{ChainLink, request};
use crate::{
    chain::rpc::RpcError,
    teeth::{Tooth, is_planted},
};

/// JSON-RPC: the parameters are not understood.
const INVALID_PARAMS: i64 = -32_602;

/// A block, and by what it is named. A number is another block to an endpoint on another
/// branch; by the hash (EIP-1898) it refuses to answer, and another one is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    at: BlockNumberOrTag,
    hash: Option<B256>,
}

impl From<BlockNumberOrTag> for Place {
    fn from(at: BlockNumberOrTag) -> Self {
        Self { at, hash: None }
    }
}

impl Place {
    /// The block of this height and hash.
    #[must_use]
    pub fn named(number: u64, hash: B256) -> Self {
        Self { at: number.into(), hash: Some(hash) }
    }

    /// Asks by the hash; where endpoints don't understand that, by the number.
    async fn by_hash_or_number<T>(
        self,
        ask: impl AsyncFn(BlockId) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        if let Some(hash) = self.hash {
            let answer = ask(BlockId::hash(hash)).await;
            let not_understood = answer.as_ref().err().and_then(RpcError::refusal);
            if not_understood.is_none_or(|refusal| refusal.code != Some(INVALID_PARAMS)) {
                return answer;
            }
        }
        ask(self.at.into()).await
    }
}

impl ChainLink {
    /// A block of the branch that is followed, or where it is not in view, of the one that
    /// most endpoints have.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn place(&self, number: u64) -> Result<Place, RpcError> {
        if is_planted(Tooth::OneWordIsEnough) {
            return Ok(BlockNumberOrTag::from(number).into());
        }
        let view = self.view.borrow().clone();
        let seen = view.as_ref().and_then(|view| view.header(number)).map(|block| block.hash);
        let hash = match seen {
            Some(hash) => hash,
            None => self.client.hash_of_most(number).await?,
        };
        Ok(Place::named(number, hash))
    }

    /// The block that `confirmations` (1 is the head itself) make a fact.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn confirmed(&self, confirmations: u64) -> Result<(u64, Place), RpcError> {
        let followed = self.view.borrow().as_ref().map(|view| view.latest.number);
        let head = match followed {
            Some(number) => number,
            None => self.block(BlockNumberOrTag::Latest).await?.block.number,
        };
        let number = (head + 1).saturating_sub(confirmations);
        Ok((number, self.place(number).await?))
    }

    /// The head that is followed, or what the endpoint takes for it.
    #[must_use]
    pub fn newest(&self) -> Place {
        let view = self.view.borrow();
        let latest = view.as_ref().map(|view| view.latest);
        latest.map_or(BlockNumberOrTag::Latest.into(), |it| Place::named(it.number, it.hash))
    }

    /// Calls a contract without a transaction.
    ///
    /// # Errors
    /// See [`RpcError`]; a revert is [`RpcError::semantic`].
    pub async fn call(
        &self,
        from: Option<Address>,
        to: Address,
        calldata: &Bytes,
        at: impl Into<Place>,
    ) -> Result<Bytes, RpcError> {
        self.ask(&request(from, to, calldata), at.into()).await
    }

    /// Runs creation code without a transaction, and gives what it returns.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn run(&self, code: Bytes, at: impl Into<Place>) -> Result<Bytes, RpcError> {
        self.ask(&TransactionRequest::default().input(code.into()), at.into()).await
    }

    async fn ask(&self, request: &TransactionRequest, place: Place) -> Result<Bytes, RpcError> {
        place.by_hash_or_number(async |block| self.client.call(request, block).await).await
    }

    /// How many transactions of an address are in the chain up to a block.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn transactions_of(
        &self,
        address: Address,
        at: impl Into<Place>,
    ) -> Result<u64, RpcError> {
        let count = async |block: BlockId| self.client.transaction_count(address, block).await;
        at.into().by_hash_or_number(count).await
    }
}
