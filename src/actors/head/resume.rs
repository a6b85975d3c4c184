//! A person decided that a frozen chain goes on with the endpoints' branch.

use actix::Message;

use super::HeadActor;
use crate::{actors::shared::Resume, supervisor::Receives};

/// Take the endpoints' branch from a block on.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Resume, ResumeRefused>")]
pub struct ResumeFrom {
    /// The first block to be read anew.
    pub from_block: u64,
    /// Whether a contract of the chain waits for this, though the head does
    /// not: it is so after a restart, of which the head remembers nothing.
    pub contract_waits: bool,
}

/// Why the chain is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeRefused {
    /// Nobody waits for it.
    #[error("the chain is not frozen")]
    NotFrozen,
    /// Nothing is before the first block.
    #[error("from block 0 nothing is left that both branches share; start over instead")]
    FromGenesis,
    /// The block at which the branches are known to differ would stay.
    #[error("the endpoints' branch differs at block {fork} already: resume from there or before")]
    AboveFork {
        /// The height.
        fork: u64,
    },
    /// Just begun.
    #[error("the endpoints' branch is not known yet: ask again in a moment")]
    NotLooked,
}

impl Receives<ResumeFrom> for HeadActor {
    fn receive(&mut self, message: ResumeFrom) -> Result<Resume, ResumeRefused> {
        let ResumeFrom { from_block, contract_waits } = message;
        let frozen = self.follower.frozen().is_some();
        check(frozen.then(|| self.follower.frozen_at()), from_block, contract_waits)?;
        let serial = self.link.resumed.borrow().map_or(1, |before| before.serial + 1);
        let resume = Resume { from_block, serial };
        tracing::warn!(
            chain = %self.link.name, from_block,
            "resumed by a person: what was read from this block on is void"
        );
        if frozen {
            self.follower.begin_anew();
            self.finalized = 0;
            self.tags = super::Tags::default();
            // Nothing is known of the chain before its first new view.
            self.link.view.send_replace(None);
        }
        self.link.resumed.send_replace(Some(resume));
        Ok(resume)
    }
}

/// `frozen`: where the branches differ, if that is known, of a frozen head.
fn check(
    frozen: Option<Option<u64>>,
    from_block: u64,
    contract_waits: bool,
) -> Result<(), ResumeRefused> {
    match frozen {
        None if !contract_waits => Err(ResumeRefused::NotFrozen),
        _ if from_block == 0 => Err(ResumeRefused::FromGenesis),
        Some(None) => Err(ResumeRefused::NotLooked),
        Some(Some(fork)) if from_block > fork => Err(ResumeRefused::AboveFork { fork }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_frozen_chain_is_resumed_and_only_from_where_branches_agree() {
        assert_eq!(check(None, 5, false), Err(ResumeRefused::NotFrozen));
        assert_eq!(check(None, 5, true), Ok(()));
        assert_eq!(check(Some(Some(9)), 0, false), Err(ResumeRefused::FromGenesis));
        assert_eq!(check(Some(None), 5, false), Err(ResumeRefused::NotLooked));
        assert_eq!(check(Some(Some(9)), 10, false), Err(ResumeRefused::AboveFork { fork: 9 }));
        assert_eq!(check(Some(Some(9)), 9, false), Ok(()));
    }
}
