//! How a story came out: what the chain has against what it must have.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use alloy::primitives::Address;

use super::{
    anvil::AnvilError,
    oracle::{self, Award},
    world::World,
};

/// What the chain has, against what it must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What must be unlocked, by the oracle.
    pub expected: BTreeSet<Award>,
    /// What is.
    pub unlocked: BTreeSet<Award>,
    /// What was unlocked again without having been taken back.
    pub duplicate: BTreeSet<Award>,
}

/// Blocks through which the outcome must stay as it is.
const QUIET_BLOCKS: u64 = 8;
/// Pause between two looks at the chain.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Outcome {
    /// What must be there and is not.
    #[must_use]
    pub fn missing(&self) -> BTreeSet<Award> {
        self.expected.difference(&self.unlocked).copied().collect()
    }

    /// What is there and must not be.
    #[must_use]
    pub fn phantom(&self) -> BTreeSet<Award> {
        self.unlocked.difference(&self.expected).copied().collect()
    }

    /// Whether all is as it must be.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.expected == self.unlocked && self.duplicate.is_empty()
    }

    /// Waits until the chain has what it must have, and keeps it: a late
    /// phantom or a late revocation would show within some blocks. Nothing
    /// may happen on the chain meanwhile but what the daemon does.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn settle(
        world: &World,
        members: &[Address],
        patience: Duration,
    ) -> Result<Self, AnvilError> {
        Self::settle_but(world, members, patience, |_| false).await
    }

    /// The same, where some that must not be there may stay: rules say of what was
    /// orphaned after it landed that it is kept.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn settle_but(
        world: &World,
        members: &[Address],
        patience: Duration,
        may_stay: impl Fn(&Award) -> bool,
    ) -> Result<Self, AnvilError> {
        let deadline = Instant::now() + patience;
        let expected = oracle::expected(world).await?;
        let mut quiet_since = None;
        let unlocked = loop {
            let unlocked = oracle::unlocked(world, members).await?;
            let block = world.anvil.block_number().await?;
            let beyond = unlocked.difference(&expected);
            if expected.is_subset(&unlocked) && beyond.into_iter().all(&may_stay) {
                let since = *quiet_since.get_or_insert(block);
                if block >= since + QUIET_BLOCKS {
                    break unlocked;
                }
            } else {
                quiet_since = None;
            }
            if Instant::now() > deadline {
                break unlocked;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let counts = oracle::unlock_counts(world).await?;
        let twice = counts.into_iter().filter(|(_, count)| *count > 1);
        Ok(Self { expected, unlocked, duplicate: twice.map(|(award, _)| award).collect() })
    }
}
