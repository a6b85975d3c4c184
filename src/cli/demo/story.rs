//! What the members do, act by act. It knows nothing of the daemon: the
//! demo and the tests play the same acts while they treat the daemon in
//! their own way.

use std::time::Duration;

use alloy::primitives::{Address, U256, keccak256};

use super::{
    anvil::AnvilError,
    contracts::{IBadge, IInbox},
    world::{Ballot, Proposal, World},
};

/// The members, in the order of their accounts from 1.
pub const NAMES: [&str; 9] = ["ada", "bo", "cy", "dee", "eli", "fay", "gus", "hal", "ivy"];

const ADA: usize = 0;
const BO: usize = 1;
const CY: usize = 2;
const DEE: usize = 3;
const ELI: usize = 4;
const FAY: usize = 5;
const GUS: usize = 6;
const HAL: usize = 7;
const IVY: usize = 8;

/// The members and what they decide on.
pub struct Story<'a> {
    world: &'a World,
    tell: Box<dyn Fn(&str) + 'a>,
    proposals: Vec<Proposal>,
}

impl<'a> Story<'a> {
    /// A story that has not begun; `tell` is given a line for each thing that
    /// happens.
    pub fn new(world: &'a World, tell: impl Fn(&str) + 'a) -> Self {
        Self { world, tell: Box::new(tell), proposals: Vec::new() }
    }

    /// A member's address.
    #[must_use]
    pub fn member(&self, number: usize) -> Address {
        self.world.anvil.account(number + 1)
    }

    /// All members' names and addresses.
    #[must_use]
    pub fn members(&self) -> Vec<(&'static str, Address)> {
        NAMES.iter().enumerate().map(|(i, name)| (*name, self.member(i))).collect()
    }

    /// The member whose only vote is going to be orphaned.
    #[must_use]
    pub fn doomed(&self) -> Address {
        self.member(HAL)
    }

    fn tell(&self, text: impl AsRef<str>) {
        (self.tell)(text.as_ref());
    }

    /// Everybody gets votes; ivy lends hers to ada.
    ///
    /// # Errors
    /// When the chain refuses something.
    pub async fn everybody_joins(&self) -> Result<(), AnvilError> {
        for number in ADA..=IVY {
            let delegate = if number == IVY { ADA } else { number };
            self.world.join(self.member(number), self.member(delegate)).await?;
        }
        self.tell("nine members join with 100 votes each; ivy delegates hers to ada");
        Ok(())
    }

    /// Two proposals and three badges; the first proposal passes, the second
    /// does not.
    ///
    /// # Errors
    /// When the chain refuses something.
    pub async fn first_votes(&mut self) -> Result<(), AnvilError> {
        for number in [BO, CY, DEE] {
            self.world.mint_badge(self.member(number)).await?;
        }
        self.tell("badges go to bo, cy and dee");
        self.propose(ADA, "Fund the newsletter").await?;
        self.propose(BO, "Vote only once a year").await?;
        self.wait_for_vote(1).await?;
        for (number, ballot) in
            [(ADA, Ballot::For), (BO, Ballot::For), (CY, Ballot::For), (ELI, Ballot::Against)]
        {
            self.vote(number, 0, ballot).await?;
        }
        for (number, ballot) in [
            (ADA, Ballot::Against),
            (BO, Ballot::For),
            (CY, Ballot::Against),
            (DEE, Ballot::Abstain),
        ] {
            self.vote(number, 1, ballot).await?;
        }
        let (cy, fay, dee) = (self.member(CY), self.member(FAY), self.member(DEE));
        let moved = IBadge::transferFromCall { from: cy, to: fay, tokenId: U256::from(2) };
        self.world.member_call("move a badge", cy, self.world.badge, moved).await?;
        let burned = IBadge::burnCall { tokenId: U256::from(3) };
        self.world.member_call("burn a badge", dee, self.world.badge, burned).await?;
        self.tell("cy gives its badge to fay; dee burns the third");
        Ok(())
    }

    /// A third proposal, and the vote that will be orphaned as the newest
    /// thing on the chain. Returns that vote's block.
    ///
    /// # Errors
    /// When the chain refuses something.
    pub async fn doomed_vote(&mut self) -> Result<u64, AnvilError> {
        self.propose(CY, "Plant a garden").await?;
        self.wait_for_vote(2).await?;
        self.vote(BO, 2, Ballot::For).await?;
        self.vote(HAL, 2, Ballot::For).await
    }

    /// A reorg that takes everything since hal's vote off the chain.
    ///
    /// # Errors
    /// When the chain refuses.
    pub async fn orphan_doomed_vote(&self, voted_in: u64) -> Result<u64, AnvilError> {
        let depth = self.world.anvil.orphan(voted_in).await?;
        self.tell(format!(
            "a reorg orphans the last {depth} blocks, and hal's only vote with them"
        ));
        Ok(depth)
    }

    /// The rest: late votes on the third proposal, contributions, and what
    /// was decided is executed.
    ///
    /// # Errors
    /// When the chain refuses something.
    pub async fn last_votes(&self) -> Result<(), AnvilError> {
        for number in [ADA, DEE, ELI, FAY] {
            self.vote(number, 2, Ballot::For).await?;
        }
        for (number, amount) in [(GUS, 60), (HAL, 40), (GUS, 50)] {
            let call = IInbox::contributeCall {
                topic: keccak256("translations"),
                amount: U256::from(amount),
                note: "pages translated".into(),
            };
            let member = self.member(number);
            self.world.member_call("contribute", member, self.world.inbox, call).await?;
        }
        self.tell("gus translates 110 pages, hal 40");
        Ok(())
    }

    /// Waits for the deadlines, then executes the first proposal; the third
    /// is left to be queued by who likes.
    ///
    /// # Errors
    /// When the chain refuses something.
    pub async fn execute(&self) -> Result<(), AnvilError> {
        self.wait_past_deadline(0).await?;
        if let Some(proposal) = self.proposals.first() {
            self.world.queue_and_execute(self.member(ADA), proposal).await?;
            self.tell("the newsletter is funded: queued and executed");
        }
        self.wait_past_deadline(2).await
    }

    async fn propose(&mut self, by: usize, text: &str) -> Result<(), AnvilError> {
        let proposal = self.world.propose(self.member(by), text).await?;
        self.tell(format!("{} proposes: {text}", name(by)));
        self.proposals.push(proposal);
        Ok(())
    }

    async fn vote(&self, who: usize, on: usize, ballot: Ballot) -> Result<u64, AnvilError> {
        let Some(proposal) = self.proposals.get(on) else { return Ok(0) };
        let block = self.world.vote(self.member(who), proposal, ballot, name(who)).await?;
        let how = match ballot {
            Ballot::For => "for",
            Ballot::Against => "against",
            Ballot::Abstain => "abstaining on",
        };
        self.tell(format!("{} votes {how} \"{}\"", name(who), proposal.description));
        Ok(block)
    }

    /// Waits until the vote on a proposal is open.
    async fn wait_for_vote(&self, on: usize) -> Result<(), AnvilError> {
        self.wait_for_state(on, |state| state == 1).await
    }

    async fn wait_past_deadline(&self, on: usize) -> Result<(), AnvilError> {
        self.wait_for_state(on, |state| state > 1).await
    }

    async fn wait_for_state(&self, on: usize, good: impl Fn(u8) -> bool) -> Result<(), AnvilError> {
        let Some(proposal) = self.proposals.get(on) else { return Ok(()) };
        loop {
            if good(self.world.proposal_state(proposal).await?) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn name(number: usize) -> &'static str {
    NAMES.get(number).copied().unwrap_or("somebody")
}
