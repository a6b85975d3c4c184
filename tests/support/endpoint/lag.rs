//! A head behind the node's.

use serde_json::{Value as Json, json};

use super::{
    Refusal,
    call::{Call, hex, number},
    upstream::Upstream,
};

/// How far an endpoint is behind, and what it says of what it lacks.
#[derive(Clone, Debug)]
pub struct Lag {
    behind: Behind,
    only_logs: bool,
    /// To `eth_getLogs` above its head; `None`: there are no logs, as geth
    /// and its like say.
    refusal: Option<Refusal>,
}

#[derive(Clone, Copy, Debug)]
enum Behind {
    By(u64),
    FrozenAt(u64),
}

/// What is to be done about a call.
pub(super) enum Lagged {
    /// The node is to be asked this.
    Ask(Call),
    /// This is the answer.
    Answer(Json),
}

impl Lag {
    /// Always so many blocks behind.
    pub fn by(blocks: u64) -> Self {
        Self { behind: Behind::By(blocks), only_logs: false, refusal: None }
    }

    /// Stays at this block.
    pub fn frozen_at(block: u64) -> Self {
        Self { behind: Behind::FrozenAt(block), only_logs: false, refusal: None }
    }

    /// Only `eth_getLogs` is answered by a node that lags, as behind a
    /// balancer: also by the hash of a block that it lacks there is nothing.
    pub fn of_logs_only(self) -> Self {
        Self { only_logs: true, ..self }
    }

    /// Says so instead of answering that there are no logs.
    pub fn refusing(self, refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..self }
    }

    pub(super) async fn look(&self, mut call: Call, node: &Upstream) -> Result<Lagged, Refusal> {
        let real = node.head().await?;
        let head = match self.behind {
            Behind::By(blocks) => real.saturating_sub(blocks),
            Behind::FrozenAt(block) => real.min(block),
        };
        if call.method == "eth_getLogs" {
            return self.logs(call, node, real, head).await;
        }
        if self.only_logs {
            return Ok(Lagged::Ask(call));
        }
        if call.method == "eth_blockNumber" {
            return Ok(Lagged::Answer(hex(head)));
        }
        if let Some(block) = call.block() {
            let height = node.height(block, real - head).await?;
            if height > head {
                return if call.gets_block() {
                    Ok(Lagged::Answer(Json::Null))
                } else {
                    Err(Refusal::new(-32000, "header not found"))
                };
            }
            call.set_block(height);
            return Ok(Lagged::Ask(call));
        }
        if let Some(hash) = call.block_hash()
            && number(&node.block(hash).await?["number"]).is_some_and(|block| block > head)
        {
            return if call.gets_block() {
                Ok(Lagged::Answer(Json::Null))
            } else {
                Err(Refusal::unknown_block())
            };
        }
        if matches!(call.method.as_str(), "eth_getTransactionReceipt" | "eth_getTransactionByHash")
        {
            let found = node.ask(&call).await?;
            let above = number(&found["blockNumber"]).is_some_and(|block| block > head);
            return Ok(Lagged::Answer(if above { Json::Null } else { found }));
        }
        Ok(Lagged::Ask(call))
    }

    async fn logs(
        &self,
        mut call: Call,
        node: &Upstream,
        real: u64,
        head: u64,
    ) -> Result<Lagged, Refusal> {
        let lacking = || match &self.refusal {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(Lagged::Answer(json!([]))),
        };
        let Some(filter) = call.filter() else { return Ok(Lagged::Ask(call)) };
        match node.range(&filter, real - head).await? {
            Some((from, to)) => {
                if from > head || (to > head && self.refusal.is_some()) {
                    return lacking();
                }
                call.params[0]["fromBlock"] = hex(from);
                call.params[0]["toBlock"] = hex(to.min(head));
            }
            None => {
                let Some(hash) = call.block_hash() else { return Ok(Lagged::Ask(call)) };
                let block = number(&node.block(hash).await?["number"]);
                if block.is_some_and(|block| block > head) {
                    return if self.only_logs { lacking() } else { Err(Refusal::unknown_block()) };
                }
            }
        }
        Ok(Lagged::Ask(call))
    }
}
