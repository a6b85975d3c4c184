//! Asking a chain's endpoints: one call after the other, without the daemon's
//! client and without what it has learnt.

use std::{cell::Cell, sync::Arc, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes, U64, U128},
    rpc::{client::RpcClient, types::Log},
};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::{check, span::Range};
use crate::{
    breakers::{Classify as _, FailureClass},
    chain::{
        answers::{LogBlocks, LogFilter},
        proof::{FullHeader, NotProven, Receipt, prove},
        rpc::RpcError,
    },
    config,
    domain::BlockRef,
};

/// Largest answer: some 100,000 logs.
const RESPONSE_BYTES_MAX: usize = 64 << 20;
/// How often an endpoint is asked that fails or is asked too often.
const TRIES: u32 = 4;
/// Pause before the second try; each later one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest pause, whatever an endpoint asks for.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Blocks in a row without receipts from anyone, after which none are asked for.
const WITHOUT_RECEIPTS_MAX: u32 = 3;

/// A chain's endpoints.
pub(super) struct Asker {
    endpoints: Vec<(Arc<str>, RpcClient)>,
    /// The one that answered last.
    first: Cell<usize>,
    without_receipts: Cell<u32>,
}

/// What a block really has, as far as it can be known.
#[derive(Debug)]
pub(super) struct Truth {
    pub(super) block: BlockRef,
    /// Its logs by filter, when its receipts are those of its header.
    pub(super) logs: Option<Vec<Vec<Log>>>,
    /// Why it is not proved. With logs: the header's own hash proves nothing.
    pub(super) unproved: Option<String>,
    /// Who said what is refuted.
    pub(super) lies: Vec<String>,
}

impl Asker {
    /// Those endpoints of a chain that serve it and have block `wanted`, and
    /// why the others are left out.
    pub(super) async fn open(chain: &config::Chain, wanted: u64) -> (Self, Vec<String>) {
        let (mut endpoints, mut left_out) = (Vec::new(), Vec::new());
        for (i, endpoint) in chain.endpoints.iter().enumerate() {
            let name: Arc<str> = format!("endpoint/{}/{i}", chain.name).into();
            match open(&name, endpoint, chain.chain_id, wanted).await {
                Ok(client) => endpoints.push((name, client)),
                Err(why) => left_out.push(format!("{name}: {why}")),
            }
        }
        let asker = Self { endpoints, first: Cell::new(0), without_receipts: Cell::new(0) };
        (asker, left_out)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// The number of the newest block.
    pub(super) async fn head(&self) -> Result<u64, RpcError> {
        let method = "eth_blockNumber";
        let params = json!([]);
        let head: U64 =
            self.any(async |index| self.ask(index, method, &params, TRIES).await).await?;
        Ok(head.to())
    }

    /// A block.
    pub(super) async fn block(&self, number: u64) -> Result<BlockRef, RpcError> {
        self.any(async |index| Ok(self.header(index, number).await?.block())).await
    }

    /// What a contract answers now.
    pub(super) async fn call(
        &self,
        to: Address,
        data: &Bytes,
        at: BlockNumberOrTag,
    ) -> Result<Bytes, RpcError> {
        let params = json!([{ "to": to, "data": data }, at]);
        self.any(async |index| self.ask(index, "eth_call", &params, TRIES).await).await
    }

    /// What gas costs, in wei.
    pub(super) async fn gas_price(&self) -> Result<u128, RpcError> {
        let params = json!([]);
        let price: U128 =
            self.any(async |index| self.ask(index, "eth_gasPrice", &params, TRIES).await).await?;
        Ok(price.to())
    }

    /// All logs of a range. What no endpoint answers is asked for in halves,
    /// down to single blocks.
    pub(super) async fn logs(
        &self,
        filter: &LogFilter,
        range: Range,
    ) -> Result<Vec<Log>, RpcError> {
        let (mut left, mut found) = (vec![range], Vec::new());
        while let Some(part) = left.pop() {
            match self.logs_at_once(filter, part).await {
                Ok(logs) => found.extend(logs),
                Err(error) => match part.halves() {
                    Some((low, high)) => left.extend([high, low]),
                    None => return Err(error),
                },
            }
        }
        Ok(found)
    }

    async fn logs_at_once(&self, filter: &LogFilter, part: Range) -> Result<Vec<Log>, RpcError> {
        let method = "eth_getLogs";
        let params = json!([{
            "fromBlock": U64::from(part.from),
            "toBlock": U64::from(part.to),
            "address": filter.addresses,
            "topics": [filter.topics0],
        }]);
        // A wide range that takes too long is not asked for twice.
        let tries = if part.len() > 1 { 1 } else { TRIES };
        let blocks = LogBlocks::Range(part.from, part.to);
        self.any(async |index| {
            let mut logs: Vec<Log> = self.ask(index, method, &params, tries).await?;
            let checked = filter.check(&blocks, &mut logs);
            checked.map_err(|wrong| RpcError::wrong(self.name(index), method, wrong))?;
            Ok(logs)
        })
        .await
    }

    /// A block, and its logs by filter as its receipts prove them.
    pub(super) async fn truth(
        &self,
        number: u64,
        filters: &[LogFilter],
    ) -> Result<Truth, RpcError> {
        let mut lies = Vec::new();
        let (mut seen, mut unproved): (Option<BlockRef>, Option<String>) = (None, None);
        let (mut failure, mut receipts_came) = (None, false);
        for index in self.order() {
            let header = match self.header(index, number).await {
                Ok(header) => header,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            let block = *seen.get_or_insert(header.block());
            if self.without_receipts.get() >= WITHOUT_RECEIPTS_MAX {
                unproved = Some("the endpoints give no receipts".to_owned());
                break;
            }
            let receipts = match self.receipts(index, &header).await {
                Ok(receipts) => receipts,
                Err(error) => {
                    unproved.get_or_insert(error.to_string());
                    continue;
                }
            };
            receipts_came = true;
            match prove(&header, receipts) {
                Ok(proven) => {
                    self.first.set(index);
                    self.without_receipts.set(0);
                    let odd = || "its header's hash can't be computed from its fields".to_owned();
                    return Ok(Truth {
                        block: *proven.block(),
                        logs: Some(filters.iter().map(|filter| proven.logs(filter)).collect()),
                        unproved: (!proven.is_anchored()).then(odd),
                        lies,
                    });
                }
                Err(NotProven::Lie(lie)) => lies.push(format!("{}: {lie}", self.name(index))),
                Err(NotProven::Unprovable(why)) => {
                    unproved.get_or_insert(without_numbers(&why.to_string(), &block));
                }
            }
        }
        let refusals = self.without_receipts.get();
        self.without_receipts.set(if receipts_came { 0 } else { refusals.saturating_add(1) });
        match seen {
            Some(block) => {
                let unproved = unproved.or_else(|| Some("its receipts are refuted".to_owned()));
                Ok(Truth { block, logs: None, unproved, lies })
            }
            None => Err(failure.unwrap_or_else(|| self.nobody())),
        }
    }

    async fn header(&self, index: usize, number: u64) -> Result<FullHeader, RpcError> {
        let method = "eth_getBlockByNumber";
        let params = json!([U64::from(number), false]);
        let header: Option<FullHeader> = self.ask(index, method, &params, TRIES).await?;
        let header = header.filter(|header| header.fields.number == number);
        header.ok_or_else(|| RpcError::wrong(self.name(index), method, "it has no such block"))
    }

    async fn receipts(&self, index: usize, header: &FullHeader) -> Result<Vec<Receipt>, RpcError> {
        let method = "eth_getBlockReceipts";
        let receipts: Option<Vec<Receipt>> =
            self.ask(index, method, &json!([header.hash]), TRIES).await?;
        receipts.ok_or_else(|| RpcError::wrong(self.name(index), method, "it has no such block"))
    }

    /// Asks one endpoint after the other.
    async fn any<T>(&self, ask: impl AsyncFn(usize) -> Result<T, RpcError>) -> Result<T, RpcError> {
        let mut failure = None;
        for index in self.order() {
            match ask(index).await {
                Ok(answer) => {
                    self.first.set(index);
                    return Ok(answer);
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| self.nobody()))
    }

    async fn ask<T: DeserializeOwned + std::fmt::Debug + Send + Sync + Unpin + 'static>(
        &self,
        index: usize,
        method: &'static str,
        params: &Json,
        tries: u32,
    ) -> Result<T, RpcError> {
        let Some((name, client)) = self.endpoints.get(index) else { return Err(self.nobody()) };
        patiently(name, client, method, params, tries).await
    }

    fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, count) = (self.first.get(), self.endpoints.len());
        (0..count).map(move |turn| (first + turn) % count)
    }

    fn name(&self, index: usize) -> &Arc<str> {
        static NOBODY: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| "nobody".into());
        self.endpoints.get(index).map_or(&NOBODY, |(name, _)| name)
    }

    fn nobody(&self) -> RpcError {
        RpcError::NoEndpoint { chain: String::new() }
    }
}

/// Asks one endpoint, several times where it failed or wants to be left alone.
async fn patiently<T: DeserializeOwned + std::fmt::Debug + Send + Sync + Unpin + 'static>(
    name: &Arc<str>,
    client: &RpcClient,
    method: &'static str,
    params: &Json,
    tries: u32,
) -> Result<T, RpcError> {
    let (mut pause, mut attempt) = (PAUSE, 1);
    loop {
        let error = match client.request::<_, T>(method, params.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => RpcError::from_transport(name, method, error),
        };
        let asked_to_wait = match error.class() {
            FailureClass::Overloaded { retry_after } if attempt < TRIES => retry_after,
            FailureClass::Fault if attempt < tries => None,
            _ => return Err(error),
        };
        let jitter = rand::random_range(0.75..1.25);
        let longer = asked_to_wait.unwrap_or(pause).max(pause.mul_f64(jitter));
        tokio::time::sleep(longer.min(PAUSE_MAX)).await;
        (pause, attempt) = (pause * 2, attempt + 1);
    }
}

/// A client of an endpoint that serves the chain and has the block.
async fn open(
    name: &Arc<str>,
    endpoint: &config::Endpoint,
    chain_id: u64,
    wanted: u64,
) -> Result<RpcClient, String> {
    let (client, found) = check::open(endpoint, RESPONSE_BYTES_MAX).await?;
    if found != chain_id {
        return Err(format!("it serves chain {found}, not {chain_id}"));
    }
    let head: U64 = patiently(name, &client, "eth_blockNumber", &json!([]), TRIES)
        .await
        .map_err(|error| error.to_string())?;
    match head.to::<u64>() {
        head if head < wanted => Err(format!("it is only at block {head}, not at {wanted}")),
        _ => Ok(client),
    }
}

/// A reason as it is the same for other blocks, to be counted.
fn without_numbers(why: &str, block: &BlockRef) -> String {
    why.replace(&format!("block {}", block.number), "a block")
}
