//! An endpoint of the chain, honest or not.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy::{
    primitives::Address,
    rpc::json_rpc::{
        ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
    },
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, value::RawValue};

use super::chain::{Chain, ErrorObject, Fate, View};
use crate::{
    chain::transport::{TransportFault, simulated},
    chance,
};

/// How long an answer takes in good times, in milliseconds.
const LATENCY_MS: std::ops::RangeInclusive<u64> = 2..=60;

/// How an endpoint behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manner {
    /// As it should.
    Honest,
    /// Takes up to so many milliseconds.
    Slow(u64),
    /// Gives no answer.
    Silent,
    /// An HTTP status instead of an answer.
    Status(u16),
    /// Half of an answer.
    Truncates,
    /// Its head is so many blocks behind.
    Lags(u64),
    /// Refuses ranges of more blocks than this.
    RefusesRanges(u64),
    /// Answers, of a thousand requests, so many with an error of the server.
    Fails(u32),
    /// Takes a transaction, and loses the answer.
    LosesSendAnswers,
    // From here on it lies.
    /// Leaves all logs of some blocks out, which their blooms tell.
    Withholds,
    /// Leaves some logs out, which only receipts tell.
    WithholdsSome,
    /// Makes a log up that its block's bloom denies.
    Invents,
    /// Makes a log up that only receipts deny.
    InventsWell,
    /// Says that mined transactions are not.
    HidesReceipts,
    /// Says that transactions failed which did not.
    FalseReceipts,
    /// Says of a new transaction that it knows it, and forgets it.
    SaysKnown,
    /// Says of a new transaction that its nonce was used, and forgets it.
    SaysTooLow,
    /// Goes on alone, on a branch that leaves the others' so many blocks ago.
    PrivateFork(u64),
}

impl Manner {
    /// Whether what it says is false, rather than missing.
    #[must_use]
    pub fn is_lie(self) -> bool {
        matches!(
            self,
            Self::Withholds
                | Self::WithholdsSome
                | Self::Invents
                | Self::InventsWell
                | Self::HidesReceipts
                | Self::FalseReceipts
                | Self::SaysKnown
                | Self::SaysTooLow
                | Self::PrivateFork(_)
        )
    }
}

/// The chain as everybody has it.
pub(super) type SharedChain = Arc<Mutex<Chain>>;

pub(super) fn lock(chain: &SharedChain) -> MutexGuard<'_, Chain> {
    chain.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Endpoint {
    chain: SharedChain,
    manner: Mutex<Manner>,
    /// Its own chain, on a private fork.
    fork: Mutex<Option<Chain>>,
}

impl Endpoint {
    pub(super) fn new(chain: SharedChain) -> Arc<Self> {
        Arc::new(Self { chain, manner: Mutex::new(Manner::Honest), fork: Mutex::default() })
    }

    pub(super) fn behave(&self, manner: Manner) {
        let mut fork = self.fork.lock().unwrap_or_else(PoisonError::into_inner);
        *fork = None;
        if let Manner::PrivateFork(depth) = manner {
            let mut own = lock(&self.chain).clone();
            own.reorg(depth, Fate::Reversed);
            *fork = Some(own);
        }
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// A block was mined: a private fork gets one, too.
    pub(super) fn mined(&self, timestamp: u64) {
        let mut fork = self.fork.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = fork.as_mut() {
            own.mine(timestamp, usize::MAX);
        }
    }

    fn manner(&self) -> Manner {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn post(
        self: Arc<Self>,
        request: RequestPacket,
    ) -> Result<ResponsePacket, TransportError> {
        let manner = self.manner();
        let latency = match manner {
            Manner::Slow(most) => chance::random_range(0..=most),
            _ => chance::random_range(LATENCY_MS),
        };
        let there = chance::random_range(0..=latency);
        tokio::time::sleep(Duration::from_millis(there)).await;
        match manner {
            Manner::Silent => std::future::pending().await,
            Manner::Status(status) => {
                let body = "not now".to_owned();
                return Err(TransportErrorKind::http_error(status, body));
            }
            Manner::Fails(per_mille) if chance::random_range(0..1_000) < per_mille => {
                return Err(TransportErrorKind::http_error(502, "bad gateway".to_owned()));
            }
            Manner::Truncates => {
                let reason = "EOF while parsing an object".to_owned();
                let fault = TransportFault::NotJson { reason, start: "{\"jsonrpc\"".to_owned() };
                return Err(TransportErrorKind::custom(fault));
            }
            _ => {}
        }
        let answer = match &request {
            RequestPacket::Single(one) => ResponsePacket::Single(self.response(one, manner)),
            RequestPacket::Batch(all) => {
                ResponsePacket::Batch(all.iter().map(|one| self.response(one, manner)).collect())
            }
        };
        let sends = request.requests().iter().any(|it| it.method() == "eth_sendRawTransaction");
        if manner == Manner::LosesSendAnswers && sends {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(latency - there)).await;
        Ok(answer)
    }

    fn response(&self, request: &SerializedRequest, manner: Manner) -> Response {
        let params = request
            .params()
            .map_or(Json::Null, |params| serde_json::from_str(params.get()).unwrap_or_default());
        let payload = match self.said(request.method(), &params, manner) {
            Ok(result) => ResponsePayload::Success(result),
            Err(ErrorObject { code, message, data }) => {
                let data = data.and_then(|data| serde_json::value::to_raw_value(&data).ok());
                ResponsePayload::Failure(ErrorPayload { code, message: message.into(), data })
            }
        };
        Response { id: request.id().clone(), payload }
    }

    fn said(
        &self,
        method: &str,
        params: &Json,
        manner: Manner,
    ) -> Result<Box<RawValue>, ErrorObject> {
        let behind = if let Manner::Lags(behind) = manner { behind } else { 0 };
        let refuse = |code: i64, message: &str| {
            Err(ErrorObject { code, message: message.to_owned(), data: None })
        };
        match (manner, method) {
            (Manner::RefusesRanges(most), "eth_getLogs") if span(params) > most => {
                return refuse(-32_005, &format!("query exceeds max block range {most}"));
            }
            (Manner::SaysKnown, "eth_sendRawTransaction") => {
                return refuse(-32_000, "already known");
            }
            (Manner::SaysTooLow, "eth_sendRawTransaction") => {
                return refuse(-32_000, "nonce too low");
            }
            (Manner::HidesReceipts, "eth_getTransactionReceipt") => {
                return Ok(RawValue::NULL.to_owned());
            }
            _ => {}
        }
        let mut fork = self.fork.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match fork.as_mut() {
            Some(own) => own.answer(method, params, View { behind: 0 }),
            None => lock(&self.chain).answer(method, params, View { behind }),
        }?;
        Ok(match (manner, method) {
            (Manner::Withholds, "eth_getLogs") => changed(answer, withheld),
            (Manner::WithholdsSome, "eth_getLogs") => changed(answer, withheld_some),
            (Manner::Invents, "eth_getLogs") => changed(answer, |logs| invented(logs, 0x99)),
            (Manner::InventsWell, "eth_getLogs") => changed(answer, |logs| invented(logs, 0x07)),
            (Manner::FalseReceipts, "eth_getTransactionReceipt") => changed(answer, failed),
            _ => answer,
        })
    }
}

impl simulated::Node for Endpoint {
    fn answer(self: Arc<Self>, request: RequestPacket) -> TransportFut<'static> {
        Box::pin(self.post(request))
    }
}

/// How many blocks a question about logs spans.
fn span(params: &Json) -> u64 {
    let number = |name: &str| {
        let text = params.pointer(&format!("/0/{name}"))?.as_str()?;
        u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
    };
    match (number("fromBlock"), number("toBlock")) {
        (Some(from), Some(to)) => to.saturating_sub(from) + 1,
        _ => 1,
    }
}

fn changed(answer: Box<RawValue>, change: impl FnOnce(&mut Json)) -> Box<RawValue> {
    let Ok(mut json) = serde_json::from_str(answer.get()) else { return answer };
    change(&mut json);
    serde_json::value::to_raw_value(&json).unwrap_or(answer)
}

fn withheld(logs: &mut Json) {
    let Some(logs) = logs.as_array_mut() else { return };
    let blocks: BTreeSet<String> = logs.iter().filter_map(block_of).collect();
    let gone: BTreeSet<String> =
        blocks.into_iter().filter(|_| chance::random_range(0..2) == 0).collect();
    logs.retain(|log| block_of(log).is_none_or(|block| !gone.contains(&block)));
}

fn block_of(log: &Json) -> Option<String> {
    log.get("blockHash")?.as_str().map(str::to_owned)
}

fn withheld_some(logs: &mut Json) {
    if let Some(logs) = logs.as_array_mut() {
        logs.retain(|_| chance::random_range(0..2) == 0);
    }
}

/// Somebody else does the same, once more, in the same transaction.
fn invented(logs: &mut Json, who: u8) {
    let Some(logs) = logs.as_array_mut() else { return };
    let Some(mut log) = logs.last().cloned() else { return };
    let topics = log.get_mut("topics").and_then(Json::as_array_mut);
    // A log that says of nobody who it is about is as its block's bloom has it.
    let Some(topic) = topics.and_then(|topics| topics.get_mut(1)) else { return };
    *topic = Json::from(Address::repeat_byte(who).into_word().to_string());
    if let Some(index) = log.get_mut("logIndex") {
        let number = index.as_str().and_then(|it| u64::from_str_radix(it.get(2..)?, 16).ok());
        *index = Json::from(format!("{:#x}", number.unwrap_or(0) + 1));
    }
    logs.push(log);
}

fn failed(receipt: &mut Json) {
    if let Some(status) = receipt.get_mut("status") {
        *status = Json::from("0x0");
    }
}
