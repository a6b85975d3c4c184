//! The node behind the endpoint.

use std::time::Duration;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::B256,
    rpc::types::{Filter, FilterBlockOption},
};
use serde_json::{Value as Json, json};

use super::{
    Refusal,
    call::{Call, number},
};

/// Longest time of a call.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

pub(super) struct Upstream {
    url: String,
    client: reqwest::Client,
}

impl Upstream {
    pub fn new(url: &str) -> Self {
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).no_proxy().build();
        Self { url: url.to_owned(), client: client.unwrap() }
    }

    /// The node's result or its error.
    pub async fn ask(&self, call: &Call) -> Result<Json, Refusal> {
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": call.method, "params": call.params,
        });
        let answer =
            async { self.client.post(&self.url).json(&body).send().await?.json::<Json>().await };
        let mut answer = answer
            .await
            .map_err(|error| Refusal::new(-32603, error.to_string()).with_status(502))?;
        let error = answer["error"].take();
        if error.is_null() {
            return Ok(answer["result"].take());
        }
        let refusal = Refusal::new(
            error["code"].as_i64().unwrap_or(-32603),
            error["message"].as_str().unwrap_or_default(),
        );
        Err(match &error["data"] {
            Json::Null => refusal,
            data => refusal.with_data(data.clone()),
        })
    }

    pub async fn head(&self) -> Result<u64, Refusal> {
        let head = self.ask(&Call::new("eth_blockNumber", vec![])).await?;
        number(&head).ok_or_else(|| Refusal::new(-32603, "the node has no head"))
    }

    /// A block without its transactions; `null` when the node has none.
    pub async fn block(&self, hash: B256) -> Result<Json, Refusal> {
        self.ask(&Call::new("eth_getBlockByHash", vec![json!(hash), json!(false)])).await
    }

    pub async fn block_at(&self, which: BlockNumberOrTag) -> Result<Json, Refusal> {
        self.ask(&Call::new("eth_getBlockByNumber", vec![json!(which), json!(false)])).await
    }

    /// A block's receipts; none when the node does not have it.
    pub async fn receipts(&self, hash: B256) -> Result<Vec<Json>, Refusal> {
        let receipts = self.ask(&Call::new("eth_getBlockReceipts", vec![json!(hash)])).await?;
        Ok(receipts.as_array().cloned().unwrap_or_default())
    }

    /// The heights that a filter's range comes to, tags being those of a node
    /// whose head is `behind` blocks below this one's; `None` when it asks by
    /// a block's hash.
    pub async fn range(&self, filter: &Filter, behind: u64) -> Result<Option<(u64, u64)>, Refusal> {
        let FilterBlockOption::Range { from_block, to_block } = filter.block_option else {
            return Ok(None);
        };
        let from = self.height(from_block.unwrap_or_default(), behind).await?;
        let to = self.height(to_block.unwrap_or_default(), behind).await?;
        Ok(Some((from, to)))
    }

    /// The height of a number or tag, of a node as far behind as that.
    pub async fn height(&self, which: BlockNumberOrTag, behind: u64) -> Result<u64, Refusal> {
        let height = match which {
            BlockNumberOrTag::Number(height) => return Ok(height),
            BlockNumberOrTag::Earliest => return Ok(0),
            BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => self.head().await?,
            tag => number(&self.block_at(tag).await?["number"]).unwrap_or(0),
        };
        Ok(height.saturating_sub(behind))
    }
}
