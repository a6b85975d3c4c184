//! The demo's community: a chain with everything deployed on it.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256, keccak256},
    providers::Provider,
    rpc::types::TransactionRequest,
    sol_types::SolCall,
};

use super::{
    anvil::{Anvil, AnvilError, Mining},
    contracts::{
        ACHIEVEMENT_MANAGER, ACHIEVEMENT_NFT, Artifact, BADGE, GOVERNOR, IAchievements, IBadge,
        IGovernor, IInbox, INBOX, ITimelock, IToken, TIMELOCK, TOKEN, arguments,
    },
};

/// Votes a member starts with, in token units of 10^18.
pub const VOTES_EACH: u64 = 100;
/// Blocks from a proposal to its vote.
pub const VOTING_DELAY: u64 = 1;
/// Blocks that a vote is open.
pub const VOTING_PERIOD: u64 = 24;
/// Seconds of block time between queueing and executing.
pub const TIMELOCK_DELAY_S: u64 = 1;
/// The achievements that the example rule set awards.
pub const ACHIEVEMENTS: std::ops::RangeInclusive<u64> = 1..=7;

/// Everything deployed, and who may do what.
#[derive(Debug)]
pub struct World {
    /// The chain.
    pub anvil: Anvil,
    /// Owner of all contracts.
    pub admin: Address,
    /// The governor.
    pub governor: Address,
    /// Its votes.
    pub token: Address,
    /// What executes its decisions.
    pub timelock: Address,
    /// The plain NFT.
    pub badge: Address,
    /// Kind `abi`.
    pub inbox: Address,
    /// Who has which achievement.
    pub achievements: Address,
    /// The tokens of achievements.
    pub achievement_nft: Address,
}

/// A proposal of the story: what `queue` and `execute` need again.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Its id in the governor.
    pub id: U256,
    /// What is called.
    pub target: Address,
    /// With which data.
    pub calldata: Vec<u8>,
    /// Its text.
    pub description: String,
}

/// How a member votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ballot {
    /// Against it.
    Against = 0,
    /// For it.
    For = 1,
    /// Neither.
    Abstain = 2,
}

impl World {
    /// Starts a chain and deploys everything; the admin is account 0.
    ///
    /// # Errors
    /// When anvil is missing or refuses something.
    pub async fn create(mining: Mining) -> Result<Self, AnvilError> {
        let anvil = Anvil::start(mining).await?;
        let admin = anvil.account(0);
        let token = deploy(&anvil, TOKEN, &arguments(("Merit", "MRT", admin))).await?;
        let open = vec![Address::ZERO];
        let timelock_arguments =
            arguments((U256::from(TIMELOCK_DELAY_S), Vec::<Address>::new(), open, admin));
        let timelock = deploy(&anvil, TIMELOCK, &timelock_arguments).await?;
        let governor_arguments = arguments((
            "MeritGovernor",
            token,
            timelock,
            U256::from(VOTING_DELAY),
            U256::from(VOTING_PERIOD),
            U256::ZERO,
            U256::from(20),
        ));
        let governor = deploy(&anvil, GOVERNOR, &governor_arguments).await?;
        let badge = deploy(&anvil, BADGE, &arguments(("Badge", "BDG", admin))).await?;
        let inbox = deploy(&anvil, INBOX, &[]).await?;
        let nft_arguments = arguments(("Achievements", "ACH", admin));
        let achievement_nft = deploy(&anvil, ACHIEVEMENT_NFT, &nft_arguments).await?;
        let manager_arguments = arguments((admin, achievement_nft));
        let achievements = deploy(&anvil, ACHIEVEMENT_MANAGER, &manager_arguments).await?;
        let world = Self {
            anvil,
            admin,
            governor,
            token,
            timelock,
            badge,
            inbox,
            achievements,
            achievement_nft,
        };
        for role in ["PROPOSER_ROLE", "CANCELLER_ROLE"] {
            world.grant(timelock, role, governor).await?;
        }
        world.grant(achievement_nft, "MINTER_ROLE", achievements).await?;
        for id in ACHIEVEMENTS {
            let uri = format!("ipfs://merit/achievements/{id}");
            let call = IAchievements::defineAchievementCall { id: U256::from(id), uri };
            world.admin_call("define an achievement", achievements, call).await?;
        }
        Ok(world)
    }

    /// Grants a role of OpenZeppelin's AccessControl.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn grant(&self, on: Address, role: &str, to: Address) -> Result<(), AnvilError> {
        let call = ITimelock::grantRoleCall { role: keccak256(role), account: to };
        self.admin_call("grant a role", on, call).await
    }

    /// Makes `signer` able to unlock and revoke, and gives it gas money.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn appoint(&self, signer: Address) -> Result<(), AnvilError> {
        self.anvil.set_balance(signer, U256::from(10).pow(U256::from(20))).await?;
        self.grant(self.achievements, "UNLOCKER_ROLE", signer).await?;
        self.grant(self.achievements, "REVOKER_ROLE", signer).await
    }

    /// Gives a member votes and points them at a delegate.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn join(&self, member: Address, delegate: Address) -> Result<(), AnvilError> {
        let amount = U256::from(VOTES_EACH) * U256::from(10).pow(U256::from(18));
        self.admin_call("mint votes", self.token, IToken::mintCall { to: member, amount }).await?;
        self.member_call(
            "delegate",
            member,
            self.token,
            IToken::delegateCall { delegatee: delegate },
        )
        .await
        .map(drop)
    }

    /// Proposes to call the inbox.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn propose(&self, by: Address, description: &str) -> Result<Proposal, AnvilError> {
        let calldata = IInbox::contributeCall {
            topic: keccak256(description),
            amount: U256::from(1),
            note: "decided by vote".into(),
        }
        .abi_encode();
        let mut proposal = Proposal {
            id: U256::ZERO,
            target: self.inbox,
            calldata,
            description: description.to_owned(),
        };
        let call = IGovernor::proposeCall {
            targets: vec![proposal.target],
            values: vec![U256::ZERO],
            calldatas: vec![proposal.calldata.clone().into()],
            description: description.to_owned(),
        };
        let data = call.abi_encode();
        let receipt = self.anvil.transact("propose", by, Some(self.governor), data).await?;
        let created = receipt
            .logs()
            .iter()
            .find_map(|log| log.log_decode::<IGovernor::ProposalCreated>().ok());
        proposal.id = created.map(|log| log.inner.data.proposalId).unwrap_or_default();
        Ok(proposal)
    }

    /// Casts a vote. Returns the block it is in.
    ///
    /// # Errors
    /// When the node refuses, or the vote is not open.
    pub async fn vote(
        &self,
        voter: Address,
        proposal: &Proposal,
        ballot: Ballot,
        reason: &str,
    ) -> Result<u64, AnvilError> {
        let call = IGovernor::castVoteWithReasonCall {
            proposalId: proposal.id,
            support: ballot as u8,
            reason: reason.to_owned(),
        };
        self.member_call("vote", voter, self.governor, call).await
    }

    /// Queues a proposal that succeeded, and executes it.
    ///
    /// # Errors
    /// When the node refuses, or the proposal did not succeed.
    pub async fn queue_and_execute(&self, by: Address, p: &Proposal) -> Result<(), AnvilError> {
        let (targets, values) = (vec![p.target], vec![U256::ZERO]);
        let calldatas = vec![p.calldata.clone().into()];
        let hash: B256 = keccak256(&p.description);
        let queue = IGovernor::queueCall {
            targets: targets.clone(),
            values: values.clone(),
            calldatas: calldatas.clone(),
            descriptionHash: hash,
        };
        let queued = self.member_call("queue", by, self.governor, queue).await?;
        // The timelock asks for a second of block time between the two;
        // several blocks may fall into one second.
        let queued = self.anvil.block_time(queued.into()).await?;
        while self.anvil.block_time(BlockNumberOrTag::Latest).await? < queued + TIMELOCK_DELAY_S {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let execute = IGovernor::executeCall { targets, values, calldatas, descriptionHash: hash };
        self.member_call("execute", by, self.governor, execute).await.map(drop)
    }

    /// A proposal's state by the governor: 0 pending, 1 active, 2 canceled,
    /// 3 defeated, 4 succeeded, 5 queued, 6 expired, 7 executed.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn proposal_state(&self, proposal: &Proposal) -> Result<u8, AnvilError> {
        let call = IGovernor::stateCall { proposalId: proposal.id };
        self.read("state", self.governor, call).await
    }

    /// What the contract says of a member and an achievement.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn has_achievement(&self, user: Address, id: u64) -> Result<bool, AnvilError> {
        let call = IAchievements::hasAchievementCall { user, id: U256::from(id) };
        self.read("hasAchievement", self.achievements, call).await
    }

    async fn read<C: SolCall>(
        &self,
        what: &str,
        to: Address,
        call: C,
    ) -> Result<C::Return, AnvilError> {
        let failed =
            |why: String| AnvilError::Call { method: "eth_call", why: format!("{what}: {why}") };
        let request = TransactionRequest::default().to(to).input(call.abi_encode().into());
        let provider = self.anvil.provider();
        let answer = provider.call(request).await.map_err(|e| failed(e.to_string()))?;
        C::abi_decode_returns(&answer).map_err(|e| failed(e.to_string()))
    }

    /// Mints the next badge; ids count from 1.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn mint_badge(&self, to: Address) -> Result<(), AnvilError> {
        self.admin_call("mint a badge", self.badge, IBadge::mintCall { to }).await
    }

    /// Any call of the owner.
    ///
    /// # Errors
    /// When the node refuses, or the call reverts.
    pub async fn admin_call(
        &self,
        what: &str,
        to: Address,
        call: impl SolCall,
    ) -> Result<(), AnvilError> {
        self.member_call(what, self.admin, to, call).await.map(drop)
    }

    /// Any call of a member. Returns the block it is in.
    ///
    /// # Errors
    /// When the node refuses, or the call reverts.
    pub async fn member_call(
        &self,
        what: &str,
        from: Address,
        to: Address,
        call: impl SolCall,
    ) -> Result<u64, AnvilError> {
        let receipt = self.anvil.transact(what, from, Some(to), call.abi_encode()).await?;
        Ok(receipt.block_number.unwrap_or_default())
    }
}

async fn deploy(anvil: &Anvil, what: Artifact, arguments: &[u8]) -> Result<Address, AnvilError> {
    let failed = |why: &str| AnvilError::Call {
        method: "eth_sendTransaction",
        why: format!("deploying {}: {why}", what.name()),
    };
    let code = what.creation_code(arguments).ok_or_else(|| failed("the artifact has no code"))?;
    let receipt = anvil.transact(what.name(), anvil.account(0), None, code).await?;
    receipt.contract_address.ok_or_else(|| failed("the receipt names no address"))
}
