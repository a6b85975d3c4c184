//! The scripted endpoint of the other tests does what it is told: a test on
//! top of one that did not would prove nothing.

mod branches;
mod failures;
mod lags;
mod lies;
mod limits;
mod schedules;

use alloy::{
    primitives::{Address, B256, U256, keccak256},
    rpc::types::Log,
    sol_types::SolCall as _,
};
use meritd::cli::demo::{
    anvil::{Anvil, Mining},
    contracts::{IInbox, INBOX},
};
use serde_json::{Value as Json, json};

use crate::support::{PATIENCE, endpoint::ScriptedEndpoint};

/// Blocks with logs, and how many they have; the head is [`HEAD`].
const LOGS: [(u64, usize); 3] = [(2, 1), (4, 3), (7, 2)];
const HEAD: u64 = 10;

/// A short chain, an endpoint before it, and a client of that.
struct Rig {
    anvil: Anvil,
    inbox: Address,
    endpoint: ScriptedEndpoint,
    client: reqwest::Client,
}

impl Rig {
    async fn start() -> Self {
        let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
        let inbox = anvil.account(0).create(0);
        let code = INBOX.creation_code(&[]).unwrap();
        anvil.submit(anvil.account(0), None, code).await.unwrap();
        anvil.mine(1).await.unwrap();
        for (block, logs) in LOGS {
            let missing = block - 1 - anvil.block_number().await.unwrap();
            if missing > 0 {
                anvil.mine(missing).await.unwrap();
            }
            for number in 1..=logs {
                let call = IInbox::contributeCall {
                    topic: keccak256("translations"),
                    amount: U256::from(number),
                    note: "pages".into(),
                };
                let from = anvil.account(number);
                anvil.submit(from, Some(inbox), call.abi_encode()).await.unwrap();
            }
            anvil.mine(1).await.unwrap();
        }
        anvil.mine(HEAD - 7).await.unwrap();
        let endpoint = ScriptedEndpoint::start(anvil.url()).await;
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { anvil, inbox, endpoint, client }
    }

    async fn post(&self, body: &Json) -> reqwest::Result<reqwest::Response> {
        self.client.post(self.endpoint.url()).json(body).send().await
    }

    /// The result, or the error.
    async fn try_ask(&self, method: &str, params: Json) -> Result<Json, Json> {
        ask(&self.client, self.endpoint.url(), method, params).await
    }

    async fn ask(&self, method: &str, params: Json) -> Json {
        self.try_ask(method, params).await.unwrap()
    }

    /// What the node itself says.
    async fn node(&self, method: &str, params: Json) -> Json {
        ask(&self.client, self.anvil.url(), method, params).await.unwrap()
    }

    async fn block(&self, number: u64) -> Json {
        self.ask("eth_getBlockByNumber", json!([hex(number), false])).await
    }

    async fn receipts(&self, number: u64) -> Vec<Json> {
        let hash = self.block(number).await["hash"].clone();
        self.ask("eth_getBlockReceipts", json!([hash])).await.as_array().unwrap().clone()
    }

    /// The logs of a range.
    async fn logs(&self, from: u64, to: u64) -> Vec<Log> {
        let filter = json!([{ "fromBlock": hex(from), "toBlock": hex(to) }]);
        serde_json::from_value(self.ask("eth_getLogs", filter).await).unwrap()
    }
}

async fn ask(
    client: &reqwest::Client,
    url: &str,
    method: &str,
    params: Json,
) -> Result<Json, Json> {
    let answer = client.post(url).json(&call(7, method, params)).send().await.unwrap();
    let mut answer: Json = answer.json().await.unwrap();
    assert_eq!(answer["id"], 7);
    if answer["error"].is_null() {
        Ok(answer["result"].take())
    } else {
        Err(answer["error"].take())
    }
}

fn call(id: u64, method: &str, params: Json) -> Json {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

fn hash(json: &Json) -> B256 {
    serde_json::from_value(json.clone()).unwrap()
}

#[tokio::test]
async fn without_a_script_it_hands_everything_on() {
    let rig = Rig::start().await;
    let block = rig.block(4).await["hash"].clone();
    let calls = [
        ("eth_chainId", json!([])),
        ("eth_blockNumber", json!([])),
        ("eth_getBlockByNumber", json!(["latest", false])),
        ("eth_getBlockByHash", json!([block, false])),
        ("eth_getLogs", json!([{ "fromBlock": "0x0", "address": rig.inbox }])),
        ("eth_getLogs", json!([{ "blockHash": block }])),
        ("eth_getBlockReceipts", json!([block])),
        ("eth_getCode", json!([rig.inbox, "latest"])),
    ];
    for (method, params) in &calls {
        let ours = rig.ask(method, params.clone()).await;
        assert_eq!(ours, rig.node(method, params.clone()).await, "{method}");
    }
    assert_eq!(rig.logs(0, HEAD).await.len(), 6);
    let error = rig.try_ask("eth_nonsense", json!([])).await.unwrap_err();
    assert_eq!(error["code"], -32601);

    let before = rig.endpoint.counts();
    let batch: Vec<_> = calls.iter().zip(1..).map(|((m, p), id)| call(id, m, p.clone())).collect();
    let answers: Vec<Json> = rig.post(&json!(batch)).await.unwrap().json().await.unwrap();
    assert!(answers.iter().map(|answer| answer["id"].as_u64().unwrap()).eq(1..=8));
    let counts = rig.endpoint.counts();
    assert_eq!((counts.http - before.http, counts.batches), (1, 1));
    assert_eq!(counts.calls - before.calls, 8);
    assert_eq!(counts.of("eth_getLogs") - before.of("eth_getLogs"), 2);
    let latest = rig.endpoint.requests().pop().unwrap();
    assert_eq!((latest.http, latest.method.as_str()), (counts.http, "eth_getCode"));
    assert_eq!(latest.params, [json!(rig.inbox), json!("latest")]);
}
