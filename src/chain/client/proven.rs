//! Logs that are proven to be all there are, for the level `receipts`.
//!
//! The highest block of a range is one that is known already, or that most
//! endpoints name. Each block below must be the one that the block above names
//! as its parent, and its hash must be that of its fields: then its receipts
//! root is proven, and receipts of this root hold all its logs. Where a chain
//! hashes its headers in a way of its own, a second endpoint has to tell the
//! same fields.
//!
//! A proven header may spare the receipts: a block without transactions has no
//! logs, and none of the filter's where the bloom denies them. Blooms are
//! believed once a proven block with logs has shown that the chain keeps them.

use std::cell::RefCell;

use alloy::{consensus::EMPTY_ROOT_HASH, primitives::B256, rpc::types::Log};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use serde_json::value::RawValue;

use super::{
    ChainClient, LieKind,
    batch::{Given, Read},
    lock,
};
use crate::{
    chain::{
        answers::LogFilter,
        proof::{FullHeader, NotProven, Receipt, prove},
        rpc::RpcError,
    },
    domain::BlockRef,
};

/// Most bytes of receipts that are asked for in one go, about.
const RECEIPTS_BYTES: usize = 1 << 20;
/// What the receipt of a transaction takes, about, with two logs.
const RECEIPT_BYTES: usize = 2 << 10;
/// Such goes at once.
const RECEIPTS_AT_ONCE: usize = 2;

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
        let mut headers = self.ancestry(from, to, top).await?;
        self.anchor(&mut headers).await?;
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
        let mut header = [self.full_header(hash).await?];
        self.anchor(&mut header).await?;
        self.logs_under(filter, &header).await
    }

    /// Headers of these heights, each the parent of the next.
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
            None => self.agreed_hash(to, Some((last.by, last.value.hash))).await?,
        };
        for (given, number) in headers.iter_mut().zip(numbers).rev() {
            if given.value.hash != expected {
                let right = self.full_header(expected).await?;
                if right.value.fields.number != number {
                    let reason = format!("block {number} is not an ancestor of block {to}");
                    return Err(self.unproven(number, reason));
                }
                if right.value.hash_is_proven() {
                    let told = given.value.hash;
                    let reason =
                        format!("its block {number} is {told}, but the chain's is {expected}");
                    self.lied(given.by, LieKind::Header, "eth_getBlockByNumber", reason);
                }
                *given = right;
            }
            expected = given.value.fields.parent_hash;
        }
        Ok(headers)
    }

    /// The hash of a final block, by the word of most endpoints that answer.
    ///
    /// # Errors
    /// When they differ and none has a majority; else see [`RpcError`].
    pub async fn hash_of_most(&self, number: u64) -> Result<B256, RpcError> {
        self.agreed_hash(number, None).await
    }

    /// The hash of a final block that most of those who answer name, of whom
    /// one may have named it already. Who names another follows another chain.
    async fn agreed_hash(
        &self,
        number: u64,
        told: Option<(usize, B256)>,
    ) -> Result<B256, RpcError> {
        let mut votes = Vec::from_iter(told);
        let (askable, mut failure) = (self.order(), None);
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
        let count = |hash: B256| votes.iter().filter(|(_, vote)| *vote == hash).count();
        let majority = votes.iter().map(|(_, hash)| *hash).find(|h| count(*h) * 2 > votes.len());
        let Some(majority) = majority else {
            if let (true, Some(failure)) = (votes.is_empty(), failure) {
                return Err(failure);
            }
            let reason = "the endpoints name different blocks, and none has a majority".to_owned();
            return Err(self.unproven(number, reason));
        };
        for (index, hash) in votes.into_iter().filter(|(_, hash)| *hash != majority) {
            let reason = format!("its block {number} is {hash}, that of most is {majority}");
            self.lied(index, LieKind::Header, "eth_getBlockByNumber", reason);
        }
        Ok(majority)
    }

    /// Has headers whose hash proves nothing confirmed or corrected by another
    /// endpoint.
    async fn anchor(&self, headers: &mut [Given<FullHeader>]) -> Result<(), RpcError> {
        let odd = |given: &Given<FullHeader>| !given.value.hash_is_proven();
        let mut open: Vec<usize> =
            headers.iter().enumerate().filter(|(_, it)| odd(it)).map(|(at, _)| at).collect();
        for index in self.order() {
            if open.is_empty() {
                return Ok(());
            }
            let asked: Vec<usize> = open
                .iter()
                .copied()
                .filter(|at| headers.get(*at).is_some_and(|it| it.by != index))
                .collect();
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
        match open.first().and_then(|at| headers.get(*at)) {
            None => Ok(()),
            Some(given) => {
                let reason = "its hash can't be computed from its header, and no second endpoint \
                              tells the same header";
                Err(self.unproven(given.value.fields.number, reason.to_owned()))
            }
        }
    }

    /// The filter's logs under headers that are proven, in order.
    async fn logs_under(
        &self,
        filter: &LogFilter,
        headers: &[Given<FullHeader>],
    ) -> Result<Vec<Log>, RpcError> {
        let mut goes: Vec<Vec<&FullHeader>> = Vec::new();
        let mut room = 0_usize;
        for header in headers.iter().map(|given| &given.value) {
            if self.has_none(filter, header) {
                continue;
            }
            let transactions = header.transactions.as_ref().map_or(1, Vec::len).max(1);
            let bytes = transactions.saturating_mul(RECEIPT_BYTES);
            match goes.last_mut() {
                Some(go) if room >= bytes => {
                    go.push(header);
                    room -= bytes;
                }
                _ => {
                    goes.push(vec![header]);
                    room = RECEIPTS_BYTES.saturating_sub(bytes);
                }
            }
        }
        let goes = goes.iter().map(|go| self.logs_by_proven_receipts(filter, go).boxed_local());
        let parts: Vec<Vec<Log>> =
            futures::stream::iter(goes).buffered(RECEIPTS_AT_ONCE).try_collect().await?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Whether a header by itself proves that its block has none of the
    /// filter's logs.
    fn has_none(&self, filter: &LogFilter, header: &FullHeader) -> bool {
        if !header.hash_is_proven() {
            return false;
        }
        let denied = || {
            *lock(&self.shared.blooms) == Blooms::Hold
                && !filter.may_be_in(&header.fields.logs_bloom)
        };
        header.fields.transactions_root == EMPTY_ROOT_HASH || denied()
    }

    async fn logs_by_proven_receipts(
        &self,
        filter: &LogFilter,
        headers: &[&FullHeader],
    ) -> Result<Vec<Log>, RpcError> {
        let method = "eth_getBlockReceipts";
        let unproven = RefCell::new(None);
        let read = |item: usize, answer: &RawValue| {
            let Some(header) = headers.get(item) else { return Read::Absent };
            let receipts = match serde_json::from_str::<Option<Vec<Receipt>>>(answer.get()) {
                Ok(Some(receipts)) => receipts,
                Ok(None) => return Read::Absent,
                Err(error) => return Read::Malformed(error.to_string()),
            };
            match prove(header, receipts) {
                Ok(proven) => {
                    if proven.has_logs() {
                        self.shown(proven.blooms_hold());
                    }
                    Read::Good(proven.logs(filter))
                }
                Err(NotProven::Lie(lie)) => Read::Wrong(lie.to_string()),
                // Another endpoint may answer so that it can be proven.
                Err(NotProven::Unprovable(why)) => {
                    unproven.replace(Some(why.to_string()));
                    Read::Absent
                }
            }
        };
        let params = self.each(method, headers.iter().map(|header| [header.hash]))?;
        let (answers, failure) = self.batched(method, LieKind::Receipt, &params, read).await;
        let lacks = |item: usize| {
            let number = headers.get(item).map(|header| header.fields.number).unwrap_or_default();
            let why = unproven.borrow().clone();
            self.unproven(number, why.unwrap_or_else(|| "nobody has its receipts".to_owned()))
        };
        let logs = self.complete(answers, failure, lacks)?;
        Ok(logs.into_iter().flat_map(|given| given.value).collect())
    }

    fn shown(&self, blooms_hold: bool) {
        let mut blooms = lock(&self.shared.blooms);
        *blooms = match (*blooms, blooms_hold) {
            (Blooms::Fail, _) | (_, false) => Blooms::Fail,
            (_, true) => Blooms::Hold,
        };
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

    fn unproven(&self, block: u64, reason: String) -> RpcError {
        RpcError::Unproven { chain: self.chain().as_str().into(), block, reason }
    }
}
