//! The head actor, one per chain: follows the chain's head so that all its
//! contracts see one and the same branch.

use std::{convert::Infallible, sync::Arc, time::Duration};

use alloy::eips::BlockNumberOrTag;
use serde_json::{Value as Json, json};

use super::shared::{ChainLink, Shared};
use crate::{
    chain::{
        cursor::ChainView,
        headers::{HeadChange, HeaderWindow},
        rpc::RpcError,
    },
    config,
    supervisor::{Next, Steps},
};

/// What it owns: the window of canonical headers.
pub struct HeadActor {
    shared: Shared,
    link: ChainLink,
    chain: config::Chain,
    window: HeaderWindow,
    tags: bool,
    trouble: Option<String>,
    frozen: Option<String>,
}

/// Headers asked for to reach a fork, at most, in one step.
const MAX_ANCESTORS_PER_STEP: u64 = 512;

impl HeadActor {
    /// A head that has seen nothing; an earlier incarnation's window is taken
    /// over from the view it published.
    #[must_use]
    pub fn new(shared: Shared, link: ChainLink, chain: config::Chain, tags: bool) -> Self {
        let capacity = usize::try_from(chain.finality_depth + 16).unwrap_or(usize::MAX);
        let window = match &*link.view.borrow() {
            Some(view) => (*view.window).clone(),
            None => HeaderWindow::new(capacity),
        };
        Self { shared, link, chain, window, tags, trouble: None, frozen: None }
    }

    /// Asks for the head and whatever lies between it and the window.
    async fn follow(&mut self) -> Result<(), RpcError> {
        let latest = self.link.block(BlockNumberOrTag::Latest).await?.block;
        let mut next = latest;
        for _ in 0..MAX_ANCESTORS_PER_STEP {
            match self.window.observe(next) {
                Ok(HeadChange::FinalityViolated { oldest, branch }) => {
                    let why = format!(
                        "block {} ({}) of the endpoints' branch contradicts block {} ({}), \
                         {} blocks deep: a reorg below finality",
                        branch.number,
                        branch.hash,
                        oldest.number,
                        oldest.hash,
                        self.chain.finality_depth
                    );
                    tracing::error!(chain = %self.link.name, "{why}");
                    self.frozen = Some(why);
                    return Ok(());
                }
                Ok(change) => {
                    self.frozen = None;
                    self.count(&change);
                    break;
                }
                Err(missing) => match self.link.client.header_by_hash(missing.hash).await? {
                    Some(header) => next = header.block,
                    // The endpoint moved on meanwhile: the next look starts anew.
                    None => return Ok(()),
                },
            }
        }
        let (safe, finalized) = if self.tags {
            let safe = self.link.client.header(BlockNumberOrTag::Safe).await?;
            let finalized = self.link.block(BlockNumberOrTag::Finalized).await?;
            (safe.map(|header| header.block.number), finalized.block.number)
        } else {
            (None, latest.number.saturating_sub(self.chain.finality_depth))
        };
        let Some(head) = self.window.head().copied() else { return Ok(()) };
        let metrics = &self.shared.metrics;
        let chain = self.link.name.as_str();
        metrics.chain_head_block.with_label_values(&[chain]).set(to_gauge(head.number));
        metrics.chain_finalized_block.with_label_values(&[chain]).set(to_gauge(finalized));
        self.link.view.send_replace(Some(ChainView {
            latest: head,
            safe,
            finalized,
            window: Arc::new(self.window.clone()),
            older: std::collections::BTreeMap::new(),
        }));
        Ok(())
    }

    fn count(&self, change: &HeadChange) {
        if let HeadChange::Reorged { common, orphaned, to } = change {
            let chain = self.link.name.as_str();
            tracing::warn!(
                chain,
                depth = orphaned.len(),
                common = common.number,
                head = to.number,
                "the chain reorganised"
            );
            let metrics = &self.shared.metrics;
            metrics.chain_reorgs_total.with_label_values(&[chain]).inc();
            let depth = i64::try_from(orphaned.len()).unwrap_or(i64::MAX);
            metrics.chain_reorg_depth_blocks.with_label_values(&[chain]).set(depth);
        }
    }
}

/// A block number as a gauge's value.
pub(super) fn to_gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Steps for HeadActor {
    type Failure = Infallible;

    async fn started(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, Infallible> {
        let before = self.trouble.is_some();
        self.trouble = self.follow().await.err().map(|error| error.to_string());
        match &self.trouble {
            // The guard's breaker paces the calls; a line for each would only repeat it.
            Some(why) if !before => {
                tracing::warn!(chain = %self.link.name, "the head can't be read: {why}");
            }
            None if before => tracing::info!(chain = %self.link.name, "the head is read again"),
            _ => {}
        }
        let pause = if self.trouble.is_some() {
            self.chain.poll_interval.max(Duration::from_millis(500))
        } else {
            self.chain.poll_interval
        };
        Ok(Next::After(pause))
    }

    async fn drain(&mut self) {}

    fn observe(&self) -> Json {
        json!({
            "head": self.window.head().map(|head| head.number),
            "not_ready": self.frozen.as_ref().or(self.trouble.as_ref()),
        })
    }
}
