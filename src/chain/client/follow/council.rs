//! What the follower asks of all endpoints: their heads from time to time, and
//! their block of a height that is in dispute.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use alloy::{eips::BlockNumberOrTag, primitives::B256};
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{ChainClient, Followed, Follower};
use crate::{
    chain::{
        agreement::{Verdict, Voice},
        health::compare_heads,
    },
    domain::BlockRef,
};

/// How long the others' heads are waited for; later ones count next time.
const SURVEY_TIME: Duration = Duration::from_millis(900);
/// Least time between two surveys, unless the head outruns the last one.
const SURVEY_EVERY: Duration = Duration::from_secs(1);
/// Most time between two surveys.
const SURVEY_IDLE: Duration = Duration::from_secs(15);
/// How long votes are waited for.
const VOTE_TIME: Duration = Duration::from_secs(5);

/// Heads that were asked for. An endpoint that takes long is not asked again
/// meanwhile.
#[derive(Debug)]
pub(super) struct Survey {
    last: Option<(Instant, u64)>,
    pending: BTreeSet<usize>,
    tell: mpsc::Sender<(usize, Option<BlockRef>)>,
    told: mpsc::Receiver<(usize, Option<BlockRef>)>,
}

impl Default for Survey {
    fn default() -> Self {
        let (tell, told) = mpsc::channel(16);
        Self { last: None, pending: BTreeSet::new(), tell, told }
    }
}

impl Survey {
    pub(super) fn ask_soon(&mut self) {
        self.last = None;
    }
}

/// What came of a vote.
pub(super) enum Motion {
    /// Most have this hash.
    Carried {
        hash: B256,
        /// Who has it.
        by: Vec<usize>,
    },
    /// Nobody is believed, and why.
    Open(String),
}

impl Follower {
    pub(super) fn survey_is_due(&self) -> bool {
        let head = self.head_number();
        match self.survey.last {
            _ if self.is_alone() => false,
            None => true,
            Some((at, surveyed)) => {
                let ahead = head.saturating_sub(surveyed);
                let passed = at.elapsed();
                ahead >= self.trust.ahead_max
                    || ahead > 0 && passed >= SURVEY_EVERY
                    || passed >= SURVEY_IDLE
            }
        }
    }

    /// Asks all endpoints for their heads. Where one contradicts the window it
    /// is voted on. Leaves a hint at an endpoint that is to be followed: it is
    /// ahead, or on the branch of most.
    pub(super) async fn look_around(&mut self, client: &ChainClient, followed: &mut Followed) {
        self.survey.last = Some((Instant::now(), self.head_number()));
        self.ask_heads(client).await;
        let Some(head) = self.window.head().copied() else { return };
        let heads: Vec<(usize, BlockRef)> = (0..self.agreement.endpoints())
            .filter(|endpoint| !self.agreement.sits_out(*endpoint, head.number))
            .filter(|endpoint| !self.agreement.is_absent(*endpoint, self.now()))
            .filter_map(|endpoint| Some((endpoint, *self.agreement.head_of(endpoint)?)))
            .collect();
        let disputed = heads.iter().filter_map(|(_, theirs)| {
            if self.window.contradicts(theirs) {
                Some(theirs.number)
            } else {
                let forks = theirs.number == head.number + 1 && theirs.parent_hash != head.hash;
                forks.then_some(head.number)
            }
        });
        // What was open stays so though both branches have outgrown the window.
        let Some(number) = self.open.or(disputed.min()) else {
            let ahead = heads.iter().filter(|(_, theirs)| theirs.number > head.number);
            self.hint = ahead.max_by_key(|(_, theirs)| theirs.number).map(|(of, _)| *of);
            return;
        };
        let ours = self.window.at(number).map(|block| block.hash);
        match self.vote(client, number, followed).await {
            Motion::Open(why) => followed.waits = Some(why),
            Motion::Carried { hash, by } if Some(hash) != ours => {
                self.hint = client.ranking().into_iter().find(|endpoint| by.contains(endpoint));
            }
            Motion::Carried { .. } => {}
        }
    }

    async fn ask_heads(&mut self, client: &ChainClient) {
        let until = Instant::now() + SURVEY_TIME;
        let usable: BTreeSet<usize> = client.ranking().into_iter().collect();
        let count = self.agreement.endpoints();
        let mut heights = vec![None; count];
        // Whom the step has just asked is not asked again.
        let asked = self.asked.take();
        for endpoint in 0..count {
            if asked == Some(endpoint) {
                let head = self.agreement.head_of(endpoint).map(|head| head.number);
                heights.iter_mut().skip(endpoint).take(1).for_each(|height| *height = head);
            } else if !usable.contains(&endpoint) {
                self.agreement.missed(endpoint, self.now());
            } else if self.survey.pending.insert(endpoint) {
                let (one, tell) = (client.only(endpoint), self.survey.tell.clone());
                // Beside the step: it must not wait for a slow one.
                tokio::spawn(async move {
                    let head = one.header(BlockNumberOrTag::Latest).await.ok().flatten();
                    // Nobody listens any more when the follower is gone.
                    let _ = tell.send((endpoint, head.map(|header| header.block))).await;
                });
            }
        }
        while !self.survey.pending.is_empty() {
            let Ok(Some((endpoint, head))) = timeout_at(until, self.survey.told.recv()).await
            else {
                break;
            };
            self.survey.pending.remove(&endpoint);
            match head {
                Some(head) => {
                    self.agreement.heard(endpoint, head);
                    if let Some(height) = heights.get_mut(endpoint) {
                        *height = Some(head.number);
                    }
                }
                None => self.agreement.missed(endpoint, self.now()),
            }
        }
        compare_heads(&mut client.health(), &heights);
    }

    /// Asks all endpoints for their block of a height, and judges. Those that
    /// are outvoted are not followed for a while; one that is proven to have a
    /// fork of its own is set aside.
    pub(super) async fn vote(
        &mut self,
        client: &ChainClient,
        number: u64,
        followed: &mut Followed,
    ) -> Motion {
        let count = self.agreement.endpoints();
        let mut voices = vec![Voice::Silent; count];
        let mut asked: FuturesUnordered<_> = client
            .ranking()
            .into_iter()
            .map(|endpoint| {
                let one = client.only(endpoint);
                async move { (endpoint, one.header(number.into()).await) }
            })
            .collect();
        let until = Instant::now() + VOTE_TIME;
        while let Ok(Some((endpoint, answer))) = timeout_at(until, asked.next()).await {
            let Some(voice) = voices.get_mut(endpoint) else { continue };
            *voice = match answer {
                Ok(Some(header)) => Voice::Says(header.block.hash),
                Ok(None) => Voice::Lags,
                Err(_) => Voice::Silent,
            };
            // No later voice could change it.
            if most(&voices).is_some_and(|votes| votes * 2 > count) {
                break;
            }
        }
        drop(asked);
        let now = self.now();
        let verdict = self.agreement.judge(number, &voices, now);
        self.open = (verdict == Verdict::Open).then_some(number);
        let Verdict::Agreed(hash) = verdict else {
            return Motion::Open(undecided(client, number, &voices));
        };
        let (by, others): (Vec<usize>, Vec<usize>) = (0..count)
            .filter(|endpoint| voices.get(*endpoint).is_some_and(|v| v.hash().is_some()))
            .partition(|endpoint| voices.get(*endpoint).and_then(Voice::hash) == Some(hash));
        let is_ours = self.window.at(number).is_some_and(|ours| ours.hash == hash);
        for other in others {
            followed.outvoted.push(Arc::clone(client.name(other)));
            self.agreement.outvoted(other, number);
            if is_ours {
                self.prove_fork(client, other, number).await;
            }
        }
        Motion::Carried { hash, by }
    }

    /// Two heads of a moment are no lie: an endpoint is set aside only when it
    /// differs in what most have built on. Those that have our block of
    /// `number` have what it stands on.
    async fn prove_fork(&self, client: &ChainClient, endpoint: usize, number: u64) {
        let below = number.checked_sub(BURIED).and_then(|number| self.window.at(number));
        let Some(ours) = below else { return };
        let one = client.only(endpoint);
        let theirs = timeout_at(Instant::now() + VOTE_TIME, one.header(ours.number.into())).await;
        if let Ok(Ok(Some(theirs))) = theirs
            && theirs.block.hash != ours.hash
        {
            let why = format!(
                "its block {} is {}, that of most endpoints {}, {BURIED} blocks deep: a fork of \
                 its own",
                ours.number, theirs.block.hash, ours.hash
            );
            client.wrong(endpoint, "eth_getBlockByNumber", why);
        }
    }
}

/// How deep below a disputed height a fork is proven.
const BURIED: u64 = 2;

/// Votes for the hash that has most.
fn most(voices: &[Voice]) -> Option<usize> {
    let hashes = || voices.iter().filter_map(Voice::hash);
    hashes().map(|hash| hashes().filter(|other| *other == hash).count()).max()
}

fn undecided(client: &ChainClient, number: u64, voices: &[Voice]) -> String {
    let said: Vec<String> = voices
        .iter()
        .enumerate()
        .map(|(endpoint, voice)| {
            let name = client.name(endpoint);
            match voice {
                Voice::Says(hash) => format!("{name} says {hash}"),
                Voice::Lags => format!("{name} has no such block"),
                Voice::Silent => format!("{name} does not answer"),
            }
        })
        .collect();
    format!("endpoints disagree about block {number}: {}", said.join(", "))
}
