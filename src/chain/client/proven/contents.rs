//! What is in blocks whose headers are proven: logs by their receipts, and the
//! hashes of their transactions.

use std::cell::RefCell;

use alloy::{consensus::EMPTY_ROOT_HASH, primitives::B256, rpc::types::Log};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use serde_json::value::RawValue;

use super::{
    super::{
        ChainClient, LieKind,
        batch::{Given, Read},
        lock,
    },
    Blooms,
};
use crate::chain::{
    answers::{FilterBlooms, LogFilter},
    proof::{FullHeader, FullTransactions, NotProven, Receipt, prove, prove_transactions},
    rpc::RpcError,
};

/// Most bytes of receipts that are asked for in one go, about.
const RECEIPTS_BYTES: usize = 1 << 20;
/// What the receipt of a transaction takes, about, with two logs.
const RECEIPT_BYTES: usize = 2 << 10;
/// Such goes at once.
const RECEIPTS_AT_ONCE: usize = 2;

impl ChainClient {
    /// The filter's logs under headers that are proven, in order.
    pub(in crate::chain::client) async fn logs_under(
        &self,
        filter: &LogFilter,
        headers: &[Given<FullHeader>],
    ) -> Result<Vec<Log>, RpcError> {
        let mut goes: Vec<Vec<&Given<FullHeader>>> = Vec::new();
        let (mut room, blooms) = (0_usize, filter.blooms());
        for header in headers {
            if self.has_none(&blooms, &header.value) {
                continue;
            }
            let transactions = header.value.transactions.as_ref().map_or(1, Vec::len).max(1);
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
    fn has_none(&self, asked: &FilterBlooms, header: &FullHeader) -> bool {
        if !header.hash_is_proven() {
            return false;
        }
        let denied = || {
            *lock(&self.shared.blooms) == Blooms::Hold
                && !asked.may_be_in(&header.fields.logs_bloom)
        };
        header.fields.transactions_root == EMPTY_ROOT_HASH || denied()
    }

    async fn logs_by_proven_receipts(
        &self,
        filter: &LogFilter,
        headers: &[&Given<FullHeader>],
    ) -> Result<Vec<Log>, RpcError> {
        let method = "eth_getBlockReceipts";
        // Which transactions there are is one endpoint's word, and no reason to
        // accuse another.
        let bare: Vec<FullHeader> =
            headers.iter().map(|given| given.value.without_transactions()).collect();
        let unproven = RefCell::new(None);
        let read = |item: usize, answer: &RawValue| {
            let Some(header) = bare.get(item) else { return Read::Absent };
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
                    Read::Good((proven.logs(filter), proven.len()))
                }
                Err(NotProven::Lie(lie)) => Read::Wrong(lie.to_string()),
                // Another endpoint may answer so that it can be proven.
                Err(NotProven::Unprovable(why)) => {
                    unproven.replace(Some(why.to_string()));
                    Read::Absent
                }
            }
        };
        let params = self.each(method, bare.iter().map(|header| [header.hash]))?;
        let (answers, failure) = self.batched(method, LieKind::Receipt, &params, read).await;
        let lacks = |item: usize| {
            let number = bare.get(item).map(|header| header.fields.number).unwrap_or_default();
            let why = unproven.borrow().clone();
            self.unproven(number, why.unwrap_or_else(|| "nobody has its receipts".to_owned()))
        };
        let proven = self.complete(answers, failure, lacks)?;
        self.named_by_transactions(headers, proven).await
    }

    /// Names the logs' transactions: neither receipts nor headers say for sure
    /// which hash a transaction has.
    async fn named_by_transactions(
        &self,
        headers: &[&Given<FullHeader>],
        proven: Vec<Given<(Vec<Log>, usize)>>,
    ) -> Result<Vec<Log>, RpcError> {
        let named = |given: &Given<FullHeader>| given.value.transactions.as_ref().map(Vec::len);
        let (asked, others): (Vec<_>, Vec<_>) =
            headers.iter().zip(proven).partition(|(header, proven)| {
                let (logs, receipts) = &proven.value;
                !logs.is_empty() || named(header).is_some_and(|named| named != *receipts)
            });
        drop(others);
        let of: Vec<&Given<FullHeader>> = asked.iter().map(|(header, _)| **header).collect();
        let hashes = self.transaction_hashes(&of).await?;
        let mut found = Vec::new();
        for ((header, proven), hashes) in asked.into_iter().zip(hashes) {
            let (number, (logs, receipts)) = (header.value.fields.number, proven.value);
            if hashes.len() != receipts {
                let transactions = hashes.len();
                let why = format!("it has {transactions} transactions, but {receipts} receipts");
                return Err(self.unproven(number, why));
            }
            for mut log in logs {
                let place = log.transaction_index.and_then(|index| usize::try_from(index).ok());
                let hash = place.and_then(|place| hashes.get(place)).copied();
                if hash != log.transaction_hash {
                    let reason = format!(
                        "it gave the receipt of transaction {:?} in block {number} for that of \
                         {hash:?}",
                        log.transaction_hash
                    );
                    self.lied(proven.by, LieKind::Receipt, "eth_getBlockReceipts", reason);
                }
                log.transaction_hash = hash;
                found.push(log);
            }
        }
        Ok(found)
    }

    /// The hashes of blocks' transactions: proven by the transactions
    /// themselves, or where a chain has kinds of its own, named alike by two
    /// endpoints, or by the only one.
    async fn transaction_hashes(
        &self,
        headers: &[&Given<FullHeader>],
    ) -> Result<Vec<Vec<B256>>, RpcError> {
        let method = "eth_getBlockByHash";
        let read = |item: usize, answer: &RawValue| {
            let Some(header) = headers.get(item) else { return Read::Absent };
            let bare = header.value.without_transactions();
            let full = serde_json::from_str::<FullTransactions>(answer.get()).ok();
            full.and_then(|full| prove_transactions(&bare, &full).ok())
                .map_or(Read::Absent, Read::Good)
        };
        let hashes = headers.iter().map(|header| (header.value.hash, true));
        let (answers, _) =
            self.batched(method, LieKind::Transaction, &self.each(method, hashes)?, read).await;
        let mut found = Vec::new();
        for (header, proven) in headers.iter().zip(answers) {
            found.push(match proven {
                Some(Given { value, .. }) => value,
                None => self.agreed_transactions(header).await?,
            });
        }
        Ok(found)
    }

    async fn agreed_transactions(&self, header: &Given<FullHeader>) -> Result<Vec<B256>, RpcError> {
        let named = header.value.transactions.clone().unwrap_or_default();
        let askable = self.in_service();
        let others: Vec<usize> = askable.into_iter().filter(|it| *it != header.by).collect();
        if others.is_empty() {
            return Ok(named);
        }
        for other in others {
            let theirs = self.only(other).full_headers_by_hash(&[header.value.hash]).await;
            let theirs = theirs.ok().and_then(|mut theirs| theirs.pop().flatten());
            if theirs.and_then(|theirs| theirs.value.transactions) == Some(named.clone()) {
                return Ok(named);
            }
        }
        let reason = "no second endpoint names the same transactions, and they can't be proven";
        Err(self.unproven(header.value.fields.number, reason.to_owned()))
    }

    /// Whether the blooms of headers were seen to be those of the logs.
    pub(in crate::chain::client) fn shown(&self, blooms_hold: bool) {
        let mut blooms = lock(&self.shared.blooms);
        *blooms = match (*blooms, blooms_hold) {
            (Blooms::Fail, _) | (_, false) => Blooms::Fail,
            (_, true) => Blooms::Hold,
        };
    }
}
