//! The replay endpoint as the harness holds it: a child process and its
//! control.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::{Args, Outcome, content::Shape, server::Counters};

/// A running endpoint. It ends when this is dropped.
pub struct Endpoint {
    /// Where it listens.
    pub url: String,
    /// Its process.
    pub pid: u32,
    /// How long it took to make the chain.
    pub generated_in: Duration,
    client: reqwest::Client,
    _child: Child,
}

/// How a bare client is served.
pub struct Throughput {
    /// Logs a second, in ranges of 100 blocks, unparsed.
    pub logs_per_s: f64,
    /// Time of a small call, milliseconds, the median.
    pub round_trip_ms: f64,
}

impl Endpoint {
    /// Starts one that shows the chain up to `head`.
    pub async fn start(args: &Args, shape: &Shape, head: u64) -> Outcome<Self> {
        let per_block = shape.transactions * shape.logs_each;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--endpoint-only", "--with-parent", "--port", "0"])
            .args(["--logs", &shape.logs_through(shape.blocks).to_string()])
            .args(["--per-block", &per_block.to_string()])
            .args(["--contracts", &shape.contracts.to_string()])
            .args(["--max-results", &args.max_results.to_string()])
            .args(["--head", &head.to_string()]);
        if shape.every > 1 {
            command.args(["--sparse", &shape.blocks.to_string()]);
        }
        let started = Instant::now();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let pid = child.id().ok_or("the endpoint ended at once")?;
        let stdout = child.stdout.take().ok_or("the endpoint has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let url = lines.next_line().await?.ok_or("the endpoint did not start")?;
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build()?;
        Ok(Self { url, pid, generated_in: started.elapsed(), client, _child: child })
    }

    /// Shows blocks up to this one.
    pub async fn show(&self, block: u64) -> Outcome<()> {
        let url = format!("{}/control/head?block={block}", self.url);
        self.client.post(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// What was asked since the last time.
    pub async fn counters(&self) -> Outcome<Counters> {
        let answer = self.client.post(format!("{}/control/counters", self.url)).send().await?;
        Ok(answer.json().await?)
    }

    /// Reads up to so many blocks as fast as one client can; its calls are
    /// not counted afterwards.
    pub async fn throughput(&self, shape: &Shape, blocks: u64) -> Outcome<Throughput> {
        let mut trips = Vec::new();
        for _ in 0..200 {
            let asked = Instant::now();
            self.call(&json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber" })).await?;
            trips.push(asked.elapsed());
        }
        trips.sort_unstable();
        let last = shape.blocks.min(blocks);
        let started = Instant::now();
        for from in (1..=last).step_by(100) {
            let to = last.min(from + 99);
            let filter =
                json!({ "fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}") });
            let call =
                json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [filter] });
            self.call(&call).await?;
        }
        let logs_per_s = shape.logs_through(last) as f64 / started.elapsed().as_secs_f64();
        self.counters().await?;
        let median = trips.get(trips.len() / 2).copied().unwrap_or_default();
        Ok(Throughput { logs_per_s, round_trip_ms: median.as_secs_f64() * 1e3 })
    }

    async fn call(&self, body: &serde_json::Value) -> Outcome<()> {
        let answer = self.client.post(&self.url).json(body).send().await?;
        if answer.bytes().await?.is_empty() {
            return Err("the endpoint answered nothing".into());
        }
        Ok(())
    }
}
