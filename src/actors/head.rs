//! The head actor, one per chain: follows the chain's head so that all its
//! contracts see one and the same branch.

use std::{convert::Infallible, sync::Arc, time::Duration};

use alloy::eips::BlockNumberOrTag;
use serde_json::{Value as Json, json};

use super::shared::{ChainLink, Shared};
use crate::{
    chain::{
        client::{FollowError, Follower},
        cursor::ChainView,
        headers::{HeadChange, HeaderWindow},
    },
    config,
    supervisor::{Next, Steps},
};

/// What it owns: the window of canonical headers.
pub struct HeadActor {
    shared: Shared,
    link: ChainLink,
    chain: config::Chain,
    follower: Follower,
    tags: bool,
    trouble: Option<String>,
}

/// How long one step follows the head: well below what the supervisor gives.
const FOLLOW_TIME: Duration = Duration::from_secs(10);
/// Headers beyond the configured finality, so that a fork right at it is seen.
const BEYOND_FINALITY: u64 = 16;
/// Headers at least where finality is the chain's own: its tag may lag behind
/// the configured depth.
const WITH_TAGS: u64 = 256;

/// How many headers are remembered.
fn capacity(finality_depth: u64, tags: bool) -> usize {
    let depth = finality_depth.saturating_add(BEYOND_FINALITY);
    usize::try_from(if tags { depth.max(WITH_TAGS) } else { depth }).unwrap_or(usize::MAX)
}

impl HeadActor {
    /// A head that has seen nothing; an earlier incarnation's window is taken
    /// over from the view it published.
    #[must_use]
    pub fn new(shared: Shared, link: ChainLink, chain: config::Chain, tags: bool) -> Self {
        let follower = match &*link.view.borrow() {
            Some(view) => Follower::new((*view.window).clone(), view.frozen.clone()),
            None => Follower::new(HeaderWindow::new(capacity(chain.finality_depth, tags)), None),
        };
        Self { shared, link, chain, follower, tags, trouble: None }
    }

    /// Follows the head for a while and tells the others. Gives what is left
    /// to be done.
    async fn follow(&mut self) -> Result<Option<String>, FollowError> {
        let frozen = self.follower.frozen().is_some();
        let followed = self.follower.step(&self.link.client, FOLLOW_TIME).await;
        let chain = self.link.name.as_str();
        match self.follower.frozen() {
            Some(why) => {
                if !frozen {
                    tracing::error!(chain, "{why}");
                }
                // The old view stays, but for the word that it is no more.
                self.link.view.send_if_modified(|view| match view {
                    Some(view) if view.frozen.as_ref() != Some(why) => {
                        view.frozen = Some(Arc::clone(why));
                        true
                    }
                    _ => false,
                });
                return followed.map(|_| None);
            }
            None if frozen => tracing::info!(chain, "the endpoints' branch is ours again"),
            None => {}
        }
        let followed = followed?;
        followed.changes.iter().for_each(|change| self.count(change));
        // While a branch is under way, what the endpoints say of safety is
        // said of that branch and not of the window.
        let head = self.follower.window().head().filter(|_| self.follower.is_connected());
        let Some(head) = head.copied() else { return Ok(followed.rest) };
        // Both are of the window's head: the endpoints' own may lie beyond
        // what was reached, and on another branch.
        let (safe, finalized) = if self.tags {
            let safe = self.link.client.header(BlockNumberOrTag::Safe).await?;
            let finalized = self.link.block(BlockNumberOrTag::Finalized).await?;
            let safe = safe.map(|header| header.block.number.min(head.number));
            (safe, finalized.block.number.min(head.number))
        } else {
            (None, head.number.saturating_sub(self.chain.finality_depth))
        };
        let metrics = &self.shared.metrics;
        metrics.chain_head_block.with_label_values(&[chain]).set(to_gauge(head.number));
        metrics.chain_finalized_block.with_label_values(&[chain]).set(to_gauge(finalized));
        self.link.view.send_replace(Some(ChainView {
            latest: head,
            safe,
            finalized,
            window: Arc::new(self.follower.window().clone()),
            older: std::collections::BTreeMap::new(),
            frozen: None,
        }));
        Ok(followed.rest)
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
        let (trouble, unfinished) = match self.follow().await {
            Ok(rest) => (rest.clone(), rest.is_some()),
            Err(error) => (Some(error.to_string()), false),
        };
        self.trouble = trouble;
        match &self.trouble {
            // The guard's breaker paces the calls; a line for each would only repeat it.
            Some(why) if !before => {
                tracing::warn!(chain = %self.link.name, "the head is not reached: {why}");
            }
            None if before => tracing::info!(chain = %self.link.name, "the head is reached again"),
            _ => {}
        }
        if unfinished {
            return Ok(Next::Again);
        }
        let pause = if self.trouble.is_some() {
            self.chain.look_every().max(Duration::from_millis(500))
        } else {
            self.chain.look_every()
        };
        Ok(Next::After(pause))
    }

    async fn drain(&mut self) {}

    fn observe(&self) -> Json {
        let frozen = self.follower.frozen().map(ToString::to_string);
        json!({
            "head": self.follower.window().head().map(|head| head.number),
            "not_ready": frozen.as_ref().or(self.trouble.as_ref()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_tags_the_window_reaches_beyond_a_lagging_finality() {
        assert_eq!(capacity(64, false), 80);
        assert_eq!(capacity(64, true), 256);
        assert_eq!(capacity(1_000, true), 1_016);
    }
}
