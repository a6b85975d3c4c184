//! Logs that are proven to be all there are, for the level `receipts`.
//!
//! The highest block of a range is one that is known already, or that most
//! endpoints name. Each block below must be the one that the block above names
//! as its parent, and its hash must be that of its fields: then its receipts
//! root is proven, and receipts of this root hold all its logs. Where a chain
//! hashes its headers in a way of its own, a second endpoint has to tell the
//! same fields. The hashes of transactions, which no receipt commits to, are
//! those of the transactions themselves, whose root is in the header, too.
//!
//! A proven header may spare the receipts: a block without transactions has no
//! logs, and none of the filter's where the bloom denies them. Blooms are
//! believed once a proven block with logs has shown that the chain keeps them.

mod contents;

use alloy::{primitives::B256, rpc::types::Log};
use serde_json::value::RawValue;

use super::{
    ChainClient, LieKind,
    batch::{Given, Read},
};
use crate::{
    breakers::BreakerState,
    chain::{answers::LogFilter, proof::FullHeader, rpc::RpcError},
    domain::BlockRef,
};

/// All logs of a range that a filter asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ProvenLogs {
    /// In order.
    pub logs: Vec<Log>,
    /// The blocks of the range, ascending; there is at least one.
    pub blocks: Vec<BlockRef>,
}

/// Whether the blooms of a chain's headers are those of its logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Blooms {
    /// No block with logs was proven yet.
    #[default]
    Unknown,
    Hold,
    /// They were false once: they are not asked any more.
    Fail,
}

impl ChainClient {
    /// The logs of final blocks `from` to `to`, all of them, as receipts prove
    /// them. `top` is block `to`, where it is known for sure; else most
    /// endpoints that answer have to agree on it.
    ///
    /// # Errors
    /// See [`RpcError`]; `Unproven` when no endpoint's answers prove a block.
    pub async fn proven_logs(
        &self,
        filter: &LogFilter,
        from: u64,
        to: u64,
        top: Option<B256>,
    ) -> Result<ProvenLogs, RpcError> {
        let headers = self.ancestry(from, to, top).await?;
        let logs = self.logs_under(filter, &headers).await?;
        Ok(ProvenLogs { logs, blocks: headers.iter().map(|given| given.value.block()).collect() })
    }

    /// The logs of one block, by its hash, as its receipts prove them.
    ///
    /// # Errors
    /// See [`Self::proven_logs`].
    pub async fn proven_logs_of(
        &self,
        filter: &LogFilter,
        hash: B256,
    ) -> Result<Vec<Log>, RpcError> {
        let header = self.anchored(hash).await?;
        self.logs_under(filter, &[header]).await
    }

    /// Headers of these heights, each the parent of the next, and anchored: who
    /// a parent is says only a header whose hash commits to it.
    async fn ancestry(
        &self,
        from: u64,
        to: u64,
        top: Option<B256>,
    ) -> Result<Vec<Given<FullHeader>>, RpcError> {
        let numbers: Vec<u64> = (from..=to).collect();
        let mut headers = self.full_headers(&numbers).await?;
        let Some(last) = headers.last() else { return Ok(headers) };
        let mut expected = match top {
            Some(hash) => hash,
            None => self.agreed_hash(to, Some((last.by, last.value.hash)), true).await?,
        };
        // On a chain that hashes its headers in its own way, all at once.
        let unsure = self.confirm(&mut headers).await;
        // Whoever differs from what is known, or proven, is wrong.
        let mut sure = true;
        for (at, (given, number)) in headers.iter_mut().zip(numbers).enumerate().rev() {
            if given.value.hash != expected {
                let right = self.anchored(expected).await?;
                if right.value.fields.number != number {
                    let reason = format!("block {number} is not an ancestor of block {to}");
                    return Err(self.unproven(number, reason));
                }
                if sure && right.value.hash_is_proven() {
                    let told = given.value.hash;
                    let reason =
                        format!("its block {number} is {told}, but the chain's is {expected}");
                    self.lied(given.by, LieKind::Header, "eth_getBlockByNumber", reason);
                }
                *given = right;
            } else if unsure.contains(&at) {
                return Err(self.unconfirmed(number));
            }
            sure = given.value.hash_is_proven();
            expected = given.value.fields.parent_hash;
        }
        Ok(headers)
    }

    /// A block's header whose hash is proven, or told alike by two endpoints.
    pub(super) async fn anchored(&self, hash: B256) -> Result<Given<FullHeader>, RpcError> {
        let mut header = [self.full_header(hash).await?];
        let unsure = self.confirm(&mut header).await;
        let [header] = header;
        if unsure.is_empty() {
            Ok(header)
        } else {
            Err(self.unconfirmed(header.value.fields.number))
        }
    }

    /// The hash of a block, by the word of most endpoints that answer. Nobody
    /// is accused: the block need not be final.
    ///
    /// # Errors
    /// When they differ and none has a majority; else see [`RpcError`].
    pub async fn hash_of_most(&self, number: u64) -> Result<B256, RpcError> {
        self.agreed_hash(number, None, false).await
    }

    /// The hash of a block that most of those who answer name, of whom one may
    /// have named it already. One word is enough only where no other could be
    /// had. Who names another final block follows another chain.
    async fn agreed_hash(
        &self,
        number: u64,
        told: Option<(usize, B256)>,
        is_final: bool,
    ) -> Result<B256, RpcError> {
        let mut votes = Vec::from_iter(told);
        let (askable, mut failure) = (self.in_service(), None);
        let others =
            askable.iter().copied().filter(|index| told.is_none_or(|(by, _)| by != *index));
        for index in others {
            match self.only(index).headers(&[number]).await {
                Ok(headers) => votes.extend(headers.first().map(|it| (index, it.block.hash))),
                Err(error) => failure = Some(error),
            }
            let count = |hash: B256| votes.iter().filter(|(_, vote)| *vote == hash).count();
            if votes.iter().any(|(_, hash)| count(*hash) * 2 > askable.len()) {
                break;
            }
        }
        let needed = askable.len().min(2);
        let count = |hash: B256| votes.iter().filter(|(_, vote)| *vote == hash).count();
        let majority = votes.iter().map(|(_, hash)| *hash);
        let majority =
            majority.into_iter().find(|h| count(*h) * 2 > votes.len() && count(*h) >= needed);
        let Some(majority) = majority else {
            let one = votes.first().map(|(_, hash)| *hash);
            let differ = votes.iter().any(|(_, hash)| Some(*hash) != one);
            if let (false, Some(failure)) = (differ, failure) {
                return Err(failure);
            }
            let reason = "the endpoints name different blocks, and none has a majority".to_owned();
            return Err(self.unproven(number, reason));
        };
        for (index, hash) in votes.into_iter().filter(|(_, hash)| is_final && *hash != majority) {
            let reason = format!("its block {number} is {hash}, that of most is {majority}");
            self.lied(index, LieKind::Header, "eth_getBlockByNumber", reason);
        }
        Ok(majority)
    }

    /// The endpoints that may be asked and whose breakers let calls through.
    fn in_service(&self) -> Vec<usize> {
        let mut order = self.order();
        let open = |index: &usize| {
            let handle = self.shared.endpoints.get(*index);
            handle.is_some_and(|it| it.endpoint.guard().state() == BreakerState::Open)
        };
        if order.iter().any(|index| !open(index)) {
            order.retain(|index| !open(index));
        }
        order
    }

    /// Has headers whose hash proves nothing confirmed or corrected by another
    /// endpoint. Gives the places of those that nobody confirmed.
    async fn confirm(&self, headers: &mut [Given<FullHeader>]) -> Vec<usize> {
        let odd = |given: &Given<FullHeader>| !given.value.hash_is_proven();
        let mut open: Vec<usize> =
            headers.iter().enumerate().filter(|(_, it)| odd(it)).map(|(at, _)| at).collect();
        for index in self.order() {
            let asked: Vec<usize> = open
                .iter()
                .copied()
                .filter(|at| headers.get(*at).is_some_and(|it| it.by != index))
                .collect();
            if asked.is_empty() {
                continue;
            }
            let hashes: Vec<B256> =
                asked.iter().filter_map(|at| Some(headers.get(*at)?.value.hash)).collect();
            let Ok(theirs) = self.only(index).full_headers_by_hash(&hashes).await else { continue };
            for (at, theirs) in asked.into_iter().zip(theirs) {
                let (Some(given), Some(theirs)) = (headers.get_mut(at), theirs) else { continue };
                if theirs.value.hash_is_proven() {
                    if let Some(lie) = given.value.contradicts(&theirs.value) {
                        self.lied(given.by, LieKind::Header, "eth_getBlockByNumber", lie);
                    }
                    *given = theirs;
                } else if !given.value.says_the_same(&theirs.value) {
                    continue;
                }
                open.retain(|other| *other != at);
            }
        }
        open
    }

    fn unconfirmed(&self, number: u64) -> RpcError {
        let reason = "its hash can't be computed from its header, and no second endpoint tells \
                      the same header";
        self.unproven(number, reason.to_owned())
    }

    async fn full_headers(&self, numbers: &[u64]) -> Result<Vec<Given<FullHeader>>, RpcError> {
        let method = "eth_getBlockByNumber";
        let read = |item: usize, answer: &RawValue| {
            let wanted = numbers.get(item).copied().unwrap_or_default();
            Read::checked(answer, |header: &FullHeader| match header.fields.number {
                number if number == wanted => Ok(()),
                number => Err(format!("it gave block {number} for {wanted}")),
            })
        };
        let params =
            self.headers_of(method, numbers.iter().map(|n| alloy::primitives::U64::from(*n)))?;
        let (headers, failure) = self.batched(method, LieKind::Header, &params, read).await;
        self.complete(headers, failure, |item| self.lacks_height(numbers, item))
    }

    async fn full_headers_by_hash(
        &self,
        hashes: &[B256],
    ) -> Result<Vec<Option<Given<FullHeader>>>, RpcError> {
        let method = "eth_getBlockByHash";
        let read = |item: usize, answer: &RawValue| {
            let wanted = hashes.get(item).copied().unwrap_or_default();
            Read::checked(answer, |header: &FullHeader| match header.hash {
                hash if hash == wanted => Ok(()),
                hash => Err(format!("it gave block {hash} for {wanted}")),
            })
        };
        let params = self.headers_of(method, hashes.iter())?;
        match self.batched(method, LieKind::Header, &params, read).await {
            (headers, Some(failure)) if headers.iter().any(Option::is_none) => Err(failure),
            (headers, _) => Ok(headers),
        }
    }

    async fn full_header(&self, hash: B256) -> Result<Given<FullHeader>, RpcError> {
        let header = self.full_headers_by_hash(&[hash]).await?.pop().flatten();
        let chain = self.chain().as_str().into();
        header.ok_or_else(|| RpcError::lacks_block(&chain, "eth_getBlockByHash", hash))
    }

    pub(super) fn unproven(&self, block: u64, reason: String) -> RpcError {
        RpcError::Unproven { chain: self.chain().as_str().into(), block, reason }
    }
}
