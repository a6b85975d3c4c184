//! A private chain: anvil as a child process, and what only a development
//! node can do.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use alloy::{
    eips::BlockNumberOrTag,
    network::Ethereum,
    primitives::{Address, B256, U64, U256},
    providers::{Provider, RootProvider},
    rpc::{client::RpcClient, types::TransactionRequest},
    transports::http::{Http, reqwest},
};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// What can go wrong with the demo's chain.
#[derive(Debug, thiserror::Error)]
pub enum AnvilError {
    /// The binary is nowhere.
    #[error(
        "`anvil` was found neither in .tools/bin nor on PATH; run `make tools`, or install Foundry's anvil"
    )]
    Missing,
    /// It did not come up.
    #[error("{path} did not start: {why}")]
    Start {
        /// The binary.
        path: PathBuf,
        /// What happened.
        why: String,
    },
    /// A call failed.
    #[error("{method}: {why}")]
    Call {
        /// The JSON-RPC method.
        method: &'static str,
        /// What the node said.
        why: String,
    },
    /// A transaction of the story reverted.
    #[error("{what} reverted in transaction {hash}")]
    Reverted {
        /// What it was for.
        what: String,
        /// The transaction.
        hash: B256,
    },
    /// A transaction of the story was not mined in time.
    #[error("{what} was not mined within {seconds} s (transaction {hash})")]
    NotMined {
        /// What it was for.
        what: String,
        /// The transaction.
        hash: B256,
        /// The limit.
        seconds: u64,
    },
}

/// How the chain makes blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mining {
    /// One block so often.
    Every(Duration),
    /// Only when told to.
    OnDemand,
}

/// A running anvil; it ends when this is dropped.
#[derive(Debug)]
pub struct Anvil {
    /// Kept for its kill-on-drop.
    child: Child,
    url: String,
    provider: RootProvider<Ethereum>,
    accounts: Vec<Address>,
}

/// Limit of one call to the node.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a transaction of the story may take to be mined, seconds.
const MINED_WITHIN_S: u64 = 30;

impl Anvil {
    /// Starts anvil on a free port of the loopback interface, with sixteen
    /// funded and unlocked accounts.
    ///
    /// # Errors
    /// When the binary is missing or does not come up.
    pub async fn start(mining: Mining) -> Result<Self, AnvilError> {
        let path = crate::tools::find("anvil").ok_or(AnvilError::Missing)?;
        Self::start_binary(&path, mining).await
    }

    async fn start_binary(path: &Path, mining: Mining) -> Result<Self, AnvilError> {
        let failed = |why: String| AnvilError::Start { path: path.to_owned(), why };
        let mut command = Command::new(path);
        command.args(["--host", "127.0.0.1", "--port", "0", "--accounts", "16"]);
        match mining {
            Mining::Every(interval) => {
                command.args(["--block-time", &interval.as_secs_f64().to_string()]);
            }
            Mining::OnDemand => {
                command.arg("--no-mining");
            }
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| failed(e.to_string()))?;
        let stdout = child.stdout.take().ok_or_else(|| failed("it has no output".into()))?;
        let mut lines = BufReader::new(stdout).lines();
        let listening = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(address) = line.trim().strip_prefix("Listening on ") {
                    return Some(format!("http://{address}"));
                }
            }
            None
        };
        let url = tokio::time::timeout(CALL_TIMEOUT, listening)
            .await
            .map_err(|_| failed("it did not listen in time".into()))?
            .ok_or_else(|| failed("it ended before it listened".into()))?;
        // Its log goes on: read it to the end so that the pipe never fills.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let client = reqwest::Client::builder()
            .timeout(CALL_TIMEOUT)
            .no_proxy()
            .build()
            .map_err(|e| failed(e.to_string()))?;
        let parsed = url.parse().map_err(|_| failed(format!("odd address {url}")))?;
        let rpc = RpcClient::new(Http::with_client(client, parsed), true);
        let provider = RootProvider::new(rpc);
        let accounts = provider.get_accounts().await.map_err(|e| failed(e.to_string()))?;
        Ok(Self { child, url, provider, accounts })
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client of it.
    #[must_use]
    pub fn provider(&self) -> &RootProvider<Ethereum> {
        &self.provider
    }

    /// Its process id; `None` when it has ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// An unlocked account; the number wraps around.
    #[must_use]
    pub fn account(&self, number: usize) -> Address {
        self.accounts.get(number % self.accounts.len().max(1)).copied().unwrap_or_default()
    }

    /// Sends a transaction from an unlocked account without waiting for it.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn submit(
        &self,
        from: Address,
        to: Option<Address>,
        data: Vec<u8>,
    ) -> Result<B256, AnvilError> {
        let mut request = TransactionRequest::default().from(from).input(data.into());
        request.to = to.map(Into::into);
        request.gas = Some(8_000_000);
        self.call("eth_sendTransaction", json!([request])).await
    }

    /// Sends a transaction and waits until it is mined.
    ///
    /// # Errors
    /// When it is refused, reverts, or is not mined in time.
    pub async fn transact(
        &self,
        what: &str,
        from: Address,
        to: Option<Address>,
        data: Vec<u8>,
    ) -> Result<alloy::rpc::types::TransactionReceipt, AnvilError> {
        let hash = self.submit(from, to, data).await?;
        let mined = async {
            loop {
                match self.provider.get_transaction_receipt(hash).await {
                    Ok(Some(receipt)) => return Ok(receipt),
                    Ok(None) => tokio::time::sleep(Duration::from_millis(40)).await,
                    Err(error) => {
                        let why = error.to_string();
                        return Err(AnvilError::Call { method: "eth_getTransactionReceipt", why });
                    }
                }
            }
        };
        let limit = Duration::from_secs(MINED_WITHIN_S);
        let receipt = tokio::time::timeout(limit, mined).await.map_err(|_| {
            AnvilError::NotMined { what: what.to_owned(), hash, seconds: MINED_WITHIN_S }
        })??;
        if receipt.status() {
            Ok(receipt)
        } else {
            Err(AnvilError::Reverted { what: what.to_owned(), hash })
        }
    }

    /// Mines blocks at once.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn mine(&self, blocks: u64) -> Result<(), AnvilError> {
        self.call::<serde_json::Value>("anvil_mine", json!([U64::from(blocks)])).await.map(drop)
    }

    /// Makes no more blocks by itself, so that nothing becomes final meanwhile:
    /// only [`mine`](Self::mine) makes some, until [`go_on`](Self::go_on).
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn hold(&self) -> Result<(), AnvilError> {
        self.call::<serde_json::Value>("evm_setIntervalMining", json!([0])).await.map(drop)
    }

    /// Makes a block a second from now on; the node takes no shorter time.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn go_on(&self) -> Result<(), AnvilError> {
        self.call::<serde_json::Value>("evm_setIntervalMining", json!([1])).await.map(drop)
    }

    /// Replaces the last `depth` blocks by as many empty ones: what was in
    /// them is gone.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn reorg(&self, depth: u64) -> Result<(), AnvilError> {
        self.call::<serde_json::Value>("anvil_reorg", json!([depth, []])).await.map(drop)
    }

    /// Replaces a block and all above it by empty ones, also when the chain grows
    /// meanwhile. Returns how many.
    ///
    /// # Errors
    /// When the node refuses, or the block is still there after ten times.
    pub async fn orphan(&self, block: u64) -> Result<u64, AnvilError> {
        const TRIES: usize = 10;
        let hash = async || {
            let params = json!([U64::from(block), false]);
            let found: serde_json::Value = self.call("eth_getBlockByNumber", params).await?;
            Ok::<_, AnvilError>(found.get("hash").cloned())
        };
        let was = hash().await?;
        for _ in 0..TRIES {
            let head = self.block_number().await?;
            let depth = head.saturating_sub(block) + 1;
            self.reorg(depth).await?;
            if hash().await? != was {
                return Ok(depth);
            }
        }
        let why = format!("block {block} is still there");
        Err(AnvilError::Call { method: "anvil_reorg", why })
    }

    /// Gives an account this much, in wei.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn set_balance(&self, account: Address, wei: U256) -> Result<(), AnvilError> {
        self.call::<serde_json::Value>("anvil_setBalance", json!([account, wei])).await.map(drop)
    }

    /// Number of the newest block.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn block_number(&self) -> Result<u64, AnvilError> {
        self.call::<U64>("eth_blockNumber", json!([])).await.map(|number| number.to())
    }

    /// Time of a block, seconds since the Unix epoch.
    ///
    /// # Errors
    /// When the node does not answer, or has no such block.
    pub async fn block_time(&self, which: BlockNumberOrTag) -> Result<u64, AnvilError> {
        let failed = |why: String| AnvilError::Call { method: "eth_getBlockByNumber", why };
        let block = self.provider.get_block_by_number(which).await;
        let block = block.map_err(|error| failed(error.to_string()))?;
        block
            .map(|block| block.header.timestamp)
            .ok_or_else(|| failed(format!("there is no block {which}")))
    }

    /// Any method.
    ///
    /// # Errors
    /// When the node answers with an error, or with another type.
    pub async fn call<T>(
        &self,
        method: &'static str,
        params: serde_json::Value,
    ) -> Result<T, AnvilError>
    where
        T: serde::de::DeserializeOwned + Send + Sync + Unpin + std::fmt::Debug + 'static,
    {
        self.provider
            .raw_request(method.into(), params)
            .await
            .map_err(|error| AnvilError::Call { method, why: error.to_string() })
    }
}
