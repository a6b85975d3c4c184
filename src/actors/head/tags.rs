//! What a chain's endpoints call safe and final.
//!
//! Of several endpoints a tag is as high as most of them say, so that none
//! alone makes anything final too early. A tag that goes back, or is missing,
//! or is of another branch, raises nothing.

use std::time::Duration;

use tokio::time::Instant;

use alloy::eips::BlockNumberOrTag;
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    chain::client::{ChainClient, Follower},
    domain::BlockRef,
};

/// How long a round is waited for; a later one counts at the next step.
const ROUND_TIME: Duration = Duration::from_millis(900);

/// What one endpoint says: nothing when it does not answer, or has no such
/// block.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    answered: bool,
    safe: Option<BlockRef>,
    finalized: Option<BlockRef>,
}

/// The tags as they are believed.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// Height of `safe`; it may go back with a reorg.
    pub safe: Option<u64>,
    /// Height of `finalized`, the highest that most ever had.
    pub finalized: Option<u64>,
    round: Option<JoinHandle<Vec<Said>>>,
    /// When it was asked last, and for which head.
    asked: Option<(Instant, BlockRef)>,
    trouble: Option<String>,
}

impl Drop for Tags {
    fn drop(&mut self) {
        if let Some(round) = &self.round {
            round.abort();
        }
    }
}

impl Tags {
    /// Asks again when `every` has passed and the head has moved. Tells what
    /// is wrong with the answers.
    pub(super) async fn refresh(
        &mut self,
        client: &ChainClient,
        follower: &Follower,
        every: Duration,
    ) -> Option<String> {
        let head = *follower.window().head()?;
        let due = self.asked.is_none_or(|(at, of)| at.elapsed() >= every && of.hash != head.hash);
        if due && self.round.is_none() {
            self.asked = Some((Instant::now(), head));
            self.round = Some(tokio::spawn(ask(client.clone())));
        }
        if let Some(mut round) = self.round.take() {
            match timeout(ROUND_TIME, &mut round).await {
                Ok(Ok(said)) => self.take(&said, follower),
                // It panicked or was aborted: the next round tells.
                Ok(Err(_)) => {}
                Err(_) => self.round = Some(round),
            }
        }
        self.trouble.clone()
    }

    fn take(&mut self, said: &[Said], follower: &Follower) {
        let window = follower.window();
        let Some(head) = window.head().map(|head| head.number) else { return };
        // Ahead of the window it says as much of what the window holds.
        let of = |block: Option<BlockRef>| {
            block.filter(|block| !window.contradicts(block)).map(|block| block.number.min(head))
        };
        let finalized: Vec<_> = said.iter().map(|said| of(said.finalized)).collect();
        let safe: Vec<_> = said.iter().map(|said| of(said.safe)).collect();
        self.finalized = self.finalized.max(follower.reached_by_most(&finalized));
        self.safe = follower.reached_by_most(&safe).or(self.safe);
        let unknown = said.iter().any(|said| said.answered)
            && said.iter().all(|said| said.finalized.is_none());
        self.trouble = unknown.then(|| {
            "no endpoint has a finalized block: if the chain has no such tag, set `finality_tag = \
             false` and confirmations by number"
                .to_owned()
        });
    }
}

async fn ask(client: ChainClient) -> Vec<Said> {
    let usable = client.ranking();
    let all = (0..client.status().len()).map(|endpoint| {
        let (one, asked) = (client.only(endpoint), usable.contains(&endpoint));
        async move {
            if !asked {
                return Said::default();
            }
            let (safe, finalized) = futures::join!(
                one.header(BlockNumberOrTag::Safe),
                one.header(BlockNumberOrTag::Finalized)
            );
            let block = |header: crate::chain::answers::Header| header.block;
            Said {
                answered: finalized.is_ok(),
                safe: safe.ok().flatten().map(block),
                finalized: finalized.ok().flatten().map(block),
            }
        }
    });
    futures::future::join_all(all).await
}
