//! What members do. The chain may refuse any of it: that is theirs to bear.

use std::time::{Duration, Instant};

use alloy::primitives::{Address, U256, keccak256};
use meritd::cli::demo::{
    contracts::{IBadge, IInbox},
    world::{Ballot, Proposal, World},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

/// Members that act; account 0 is the owner's.
const MEMBERS: usize = 9;
const PAUSE_MS: std::ops::RangeInclusive<u64> = 20..=400;
/// Longer than a few blocks take.
const MINED_WITHIN: Duration = Duration::from_millis(1_500);
/// Proposals of one seed: each vote ends only blocks later.
const PROPOSALS: usize = 6;

pub(super) struct Acts<'w> {
    world: &'w World,
    chance: StdRng,
    proposals: Vec<Proposal>,
    badges: u64,
    /// What the chain took.
    pub(super) done: u64,
}

impl<'w> Acts<'w> {
    pub(super) fn new(world: &'w World, seed: u64) -> Self {
        let chance = StdRng::seed_from_u64(seed);
        Self { world, chance, proposals: Vec::new(), badges: 0, done: 0 }
    }

    pub(super) async fn play(&mut self, end: Instant) {
        while Instant::now() < end {
            // A reorg may take a transaction for good while its sender waits for it.
            let took = tokio::time::timeout(MINED_WITHIN, self.act()).await;
            self.done += u64::from(took.unwrap_or(false));
            let pause = Duration::from_millis(self.chance.random_range(PAUSE_MS));
            tokio::time::sleep(pause).await;
        }
    }

    /// Lets every open vote end: what follows from its end is due then.
    pub(super) async fn settle(&self) {
        // Past the period of the governor, and what confirms it.
        let _ = self.world.anvil.mine(40).await;
    }

    fn member(&mut self) -> Address {
        self.world.anvil.account(self.chance.random_range(1..=MEMBERS))
    }

    async fn act(&mut self) -> bool {
        let who = self.member();
        match self.chance.random_range(0..10) {
            0 if self.proposals.len() < PROPOSALS => {
                let title = format!("Proposal {}", self.proposals.len());
                let proposed = self.world.propose(who, &title).await;
                let took = proposed.is_ok();
                self.proposals.extend(proposed);
                took
            }
            0..=4 => {
                let Some(proposal) = self.proposals.choose(&mut self.chance) else { return false };
                let ballots = [Ballot::Against, Ballot::For, Ballot::Abstain];
                let ballot = ballots[self.chance.random_range(0..3)];
                self.world.vote(who, proposal, ballot, "drawn").await.is_ok()
            }
            5 | 6 => {
                self.badges += 1;
                self.world.mint_badge(who).await.is_ok()
            }
            7 if self.badges > 0 => {
                let token = U256::from(self.chance.random_range(1..=self.badges));
                let to = self.member();
                let call = IBadge::transferFromCall { from: who, to, tokenId: token };
                self.world.member_call("pass a badge on", who, self.world.badge, call).await.is_ok()
            }
            _ => {
                let call = IInbox::contributeCall {
                    topic: keccak256("pages"),
                    amount: U256::from(self.chance.random_range(0..60_u64)),
                    note: "drawn".into(),
                };
                self.world.member_call("contribute", who, self.world.inbox, call).await.is_ok()
            }
        }
    }
}
