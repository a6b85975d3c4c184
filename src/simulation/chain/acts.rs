//! What people do on the chain, as the transactions that do it.

use std::sync::Arc;

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::SolCall as _,
};

use super::{
    Chain, Deployment,
    contracts::abi::{IAchievements, IBadge, IGovernor, IInbox},
    transaction::Transaction,
};

/// What somebody does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A member proposes something.
    Propose {
        /// Who.
        who: Address,
    },
    /// A member votes.
    Vote {
        /// Who.
        who: Address,
        /// On which proposal, by its place among those of the chain as it is now.
        proposal: usize,
        /// 0 is against it, 1 for it, 2 neither.
        support: u8,
        /// Whether with parameters, which has an event of its own.
        params: bool,
    },
    /// The admin gives somebody the next badge.
    MintBadge {
        /// Whom.
        to: Address,
    },
    /// Who holds a badge gives it to somebody.
    PassBadge {
        /// Which, counted from 1.
        token: u64,
        /// Whom.
        to: Address,
    },
    /// A member contributes something.
    Contribute {
        /// Who.
        who: Address,
        /// How much.
        amount: u64,
    },
    /// The admin stops unlocking.
    Pause,
    /// The admin lets unlocking go on.
    Unpause,
    /// The admin grants a role of the contract that keeps achievements.
    GrantRole {
        /// Which.
        role: B256,
        /// Whom.
        to: Address,
    },
    /// The admin takes such a role away.
    RevokeRole {
        /// Which.
        role: B256,
        /// From whom.
        from: Address,
    },
    /// The admin unlocks an achievement, which the daemon knows nothing of.
    ForeignUnlock {
        /// Whose.
        user: Address,
        /// Which.
        id: u64,
    },
    /// The admin sends ether.
    Fund {
        /// Whom.
        to: Address,
        /// How much.
        wei: U256,
    },
    /// Another program that has the same key uses its next nonce.
    ForeignNonce {
        /// The key's address.
        from: Address,
    },
}

impl Chain {
    /// Has somebody do something: a transaction waits in the pool, as its hash says. What
    /// makes no sense now (a vote on a proposal that is not there) is not done; what makes
    /// none when it is mined reverts.
    pub fn act(&mut self, act: Act) -> Option<B256> {
        let (from, to, value, input) = self.deed(act)?;
        let nonce = self.pool.next_nonce(from, self.nonce(from));
        let transaction = Transaction::of_member(self.chain_id, (from, nonce), (to, value), input);
        let hash = transaction.hash;
        self.pool.put(Arc::new(transaction));
        Some(hash)
    }

    fn deed(&mut self, act: Act) -> Option<(Address, Address, U256, Vec<u8>)> {
        let Deployment { governor, badge, inbox, achievements, admin, .. } = self.at;
        self.acts += 1;
        let (from, to, input) = match act {
            Act::Propose { who } => (who, governor, self.proposal()),
            Act::Vote { who, proposal, support, params } => {
                (who, governor, vote(self.state.governor.id(proposal)?, support, params))
            }
            Act::MintBadge { to } => (admin, badge, IBadge::mintCall { to }.abi_encode()),
            Act::PassBadge { token, to } => {
                let from = self.state.badge.owner(token)?;
                let pass = IBadge::transferFromCall { from, to, tokenId: U256::from(token) };
                (from, badge, pass.abi_encode())
            }
            Act::Contribute { who, amount } => {
                let (topic, amount) = (B256::left_padding_from(b"pages"), U256::from(amount));
                let note = format!("contribution {}", self.acts);
                (who, inbox, IInbox::contributeCall { topic, amount, note }.abi_encode())
            }
            Act::Pause => (admin, achievements, IAchievements::pauseCall {}.abi_encode()),
            Act::Unpause => (admin, achievements, IAchievements::unpauseCall {}.abi_encode()),
            Act::GrantRole { role, to } => {
                let grant = IAchievements::grantRoleCall { role, account: to };
                (admin, achievements, grant.abi_encode())
            }
            Act::RevokeRole { role, from } => {
                let revoke = IAchievements::revokeRoleCall { role, account: from };
                (admin, achievements, revoke.abi_encode())
            }
            Act::ForeignUnlock { user, id } => {
                let (id, proof) = (U256::from(id), Bytes::from_static(b"by hand"));
                let unlock = IAchievements::unlockAchievementCall { user, id, proofData: proof };
                (admin, achievements, unlock.abi_encode())
            }
            Act::Fund { to, wei } => return Some((admin, to, wei, Vec::new())),
            Act::ForeignNonce { from } => (from, from, Vec::new()),
        };
        Some((from, to, U256::ZERO, input))
    }

    fn proposal(&self) -> Vec<u8> {
        let description = format!("Proposal {}", self.acts);
        let (topic, note) = (keccak256(&description), "decided by vote".to_owned());
        let call = IInbox::contributeCall { topic, amount: U256::ONE, note }.abi_encode();
        let (targets, values) = (vec![self.at.inbox], vec![U256::ZERO]);
        let calldatas = vec![call.into()];
        IGovernor::proposeCall { targets, values, calldatas, description }.abi_encode()
    }
}

fn vote(id: U256, support: u8, params: bool) -> Vec<u8> {
    let reason = "as I see it".to_owned();
    if params {
        let params = Bytes::from_static(&[1]);
        return IGovernor::castVoteWithReasonAndParamsCall {
            proposalId: id,
            support,
            reason,
            params,
        }
        .abi_encode();
    }
    IGovernor::castVoteWithReasonCall { proposalId: id, support, reason }.abi_encode()
}
