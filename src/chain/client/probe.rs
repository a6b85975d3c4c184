//! Endpoints on probation, compared with a trusted one.
//!
//! Beside a header that a trusted endpoint gave, the suspect is asked for the
//! same header and for all logs of that block, and the trusted one for the
//! logs too. All is asked for by the block's hash, so that the answers must be
//! the same wherever both know the block. It happens aside: no call waits for
//! it, and none gets the suspect's answer.

use std::time::Duration;

use alloy::{primitives::B256, rpc::types::Log};
use serde_json::json;
use tokio::time::timeout;

use super::{ChainClient, LieKind};
use crate::{
    breakers::Priority,
    chain::{
        answers::Header,
        health::{COMPARED, Health, Standing},
    },
};

/// How often an endpoint is compared.
const EVERY: Duration = Duration::from_secs(5);

impl ChainClient {
    /// Hands a header on, and has those on probation compared by it.
    pub(super) fn compared(&self, answer: (usize, Option<Header>)) -> Option<Header> {
        let (reference, Some(header)) = answer else { return None };
        let now = self.now();
        let mut health = self.health();
        let trusted = |it: &Health| it.trust.standing(now) == Standing::Trusted;
        if health.get(reference).is_none_or(|it| !trusted(it)) {
            return Some(header);
        }
        for (suspect, it) in health.iter_mut().enumerate() {
            let watched = matches!(it.trust.standing(now), Standing::Probation { .. });
            if watched && now >= it.compared_until {
                it.compared_until = now + EVERY;
                let mut client = self.clone();
                (client.only, client.priority) = (Some(suspect), Priority::Low);
                let header = header.clone();
                tokio::spawn(async move {
                    // Its time is over before the next one begins.
                    let _ = timeout(EVERY, client.compare(suspect, reference, header)).await;
                });
            }
        }
        Some(header)
    }

    async fn compare(&self, suspect: usize, reference: usize, header: Header) {
        let hash = header.block.hash;
        let method = "eth_getBlockByHash";
        let Ok(params) = self.raw(method, (hash, false)) else { return };
        // What it does not have, or does not say, speaks neither way.
        let Ok(Some(theirs)) = self.at::<Option<Header>>(suspect, method, &params).await else {
            return;
        };
        if theirs != header {
            let reason = format!("its header of block {hash} is not that of others");
            self.lied(suspect, LieKind::Header, method, reason);
            return;
        }
        let (Some(mine), Some(theirs)) =
            (self.all_logs(reference, hash).await, self.all_logs(suspect, hash).await)
        else {
            return;
        };
        if mine == theirs {
            self.proved(suspect, COMPARED);
        } else if !mine.is_empty() {
            // Without any, the other may be one of several nodes behind its
            // URL, which lacks the block still.

            let reason = format!("its logs of block {hash} are not those of others");
            self.lied(suspect, LieKind::Logs, "eth_getLogs", reason);
        }
    }

    /// What must be the same of a block's logs, in order.
    async fn all_logs(&self, index: usize, hash: B256) -> Option<Vec<LogKey>> {
        let method = "eth_getLogs";
        let params = self.raw(method, [json!({ "blockHash": hash })]).ok()?;
        let logs: Vec<Log> = self.at(index, method, &params).await.ok()?;
        let mut logs: Vec<_> =
            logs.into_iter().map(|log| (log.log_index, log.transaction_hash, log.inner)).collect();
        logs.sort_by_key(|(index, ..)| *index);
        Some(logs)
    }
}

type LogKey = (Option<u64>, Option<B256>, alloy::primitives::Log);
