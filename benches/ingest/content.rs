//! What the generated chain says: a pure function of its shape, so that the
//! endpoint keeps no logs in memory and every run serves the same bytes.

use alloy::{
    primitives::{Address, B256, Log, LogData, U256},
    sol,
    sol_types::SolEvent as _,
};

sol! {
    event ProposalCreated(uint256 proposalId, address proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 voteStart, uint256 voteEnd, string description);
    event VoteCast(address indexed voter, uint256 proposalId, uint8 support, uint256 weight, string reason);
    event VotingPeriodSet(uint256 oldVotingPeriod, uint256 newVotingPeriod);
    event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
}

/// How the chain looks.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// EIP-155 id.
    pub chain_id: u64,
    /// Blocks after the genesis.
    pub blocks: u64,
    /// Watched contracts: a governor, an ERC-721 token, and so on in turn.
    pub contracts: u64,
    /// Every so many blocks one has logs.
    pub every: u64,
    /// Transactions in a block with logs.
    pub transactions: u64,
    /// Logs of one transaction, all of one contract.
    pub logs_each: u64,
}

/// What a contract is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OpenZeppelin's Governor.
    Governor,
    /// A token.
    Erc721,
}

/// Votes that one proposal gets, each of another voter.
const VOTES: u64 = 1_000;
/// Accounts that vote, hold and send.
const ACCOUNTS: u64 = 10_000;
/// Tokens of one contract, which change hands in turn.
const TOKENS: u64 = 20_000;

impl Shape {
    /// A chain of at least so many logs, about `per_block` in each block.
    pub fn dense(logs: u64, per_block: u64, contracts: u64) -> Self {
        let logs_each = 2.min(per_block.max(1));
        let transactions = (per_block / logs_each).max(1);
        Self {
            chain_id: 424_242,
            blocks: logs.div_ceil(transactions * logs_each),
            contracts,
            every: 1,
            transactions,
            logs_each,
        }
    }

    /// A chain where little happens: two logs every tenth block.
    pub fn sparse(blocks: u64, contracts: u64) -> Self {
        Self { chain_id: 424_242, blocks, contracts, every: 10, transactions: 1, logs_each: 2 }
    }

    /// How many logs there are up to a block.
    pub fn logs_through(&self, block: u64) -> u64 {
        block / self.every * self.transactions * self.logs_each
    }

    /// Transactions of a block.
    pub fn transactions_in(&self, block: u64) -> u64 {
        if block > 0 && block.is_multiple_of(self.every) { self.transactions } else { 0 }
    }

    /// Which transaction of the chain a block's `index`th is.
    pub fn ordinal(&self, block: u64, index: u64) -> u64 {
        (block / self.every).saturating_sub(1) * self.transactions + index
    }

    /// Where the chain's `ordinal`th transaction stands: block and index.
    pub fn place(&self, ordinal: u64) -> (u64, u64) {
        ((ordinal / self.transactions + 1) * self.every, ordinal % self.transactions)
    }

    /// Which contract a transaction calls.
    pub fn contract_of(&self, ordinal: u64) -> u64 {
        ordinal % self.contracts
    }

    /// The logs of a transaction.
    pub fn logs(&self, block: u64, ordinal: u64) -> impl Iterator<Item = Log> + use<> {
        let (shape, contract) = (*self, self.contract_of(ordinal));
        let first = ordinal / self.contracts * self.logs_each;
        let address = address_of(contract);
        (first..first + self.logs_each)
            .map(move |n| Log { address, data: shape.event(contract, block, n) })
    }

    /// The `n`th event of a contract.
    fn event(&self, contract: u64, block: u64, n: u64) -> LogData {
        match kind_of(contract) {
            Kind::Governor => self.governance(contract, block, n),
            Kind::Erc721 => {
                let (token, turn) = (n % TOKENS, n / TOKENS);
                let owner = |turn: u64| account(mix(contract, token, turn) % ACCOUNTS);
                let from = turn.checked_sub(1).map_or(Address::ZERO, owner);
                let transfer = Transfer { from, to: owner(turn), tokenId: U256::from(token) };
                transfer.encode_log_data()
            }
        }
    }

    /// A proposal every [`VOTES`] events, voted on from the next block on.
    fn governance(&self, contract: u64, block: u64, n: u64) -> LogData {
        // As many events as the contract can have in one block.
        let wait = self.transactions.div_ceil(self.contracts) * self.logs_each;
        let blocks_for = |events: u64| (events.div_ceil(wait) + 1) * self.every * self.contracts;
        if n.is_multiple_of(VOTES) {
            let number = n / VOTES;
            let proposal = ProposalCreated {
                proposalId: proposal(contract, number),
                proposer: account(number % ACCOUNTS),
                targets: vec![address_of(contract)],
                values: vec![U256::ZERO],
                signatures: vec![String::new()],
                calldatas: vec![vec![0xab; 36].into()],
                voteStart: U256::from(block),
                voteEnd: U256::from(block + blocks_for(VOTES + wait)),
                description: format!("# Proposal {number}\n\nSpend a little on a good purpose."),
            };
            return proposal.encode_log_data();
        }
        let Some(vote) = n.checked_sub(wait) else {
            let (old, new) = (U256::from(n), U256::from(n + 1));
            return VotingPeriodSet { oldVotingPeriod: old, newVotingPeriod: new }
                .encode_log_data();
        };
        let (number, voter) = (vote / VOTES, vote % VOTES);
        let chance = mix(contract, number, voter);
        let vote = VoteCast {
            voter: account((number * 7 + voter) % ACCOUNTS),
            proposalId: proposal(contract, number),
            support: (chance % 3) as u8,
            weight: U256::from(chance % 1_000_000) * U256::from(1_000_000_000_000_000_u64),
            reason: if chance.is_multiple_of(4) {
                "it is worth its price".to_owned()
            } else {
                String::new()
            },
        };
        vote.encode_log_data()
    }
}

/// What kind a contract is of.
pub fn kind_of(contract: u64) -> Kind {
    if contract.is_multiple_of(2) { Kind::Governor } else { Kind::Erc721 }
}

/// Where a contract is.
pub fn address_of(contract: u64) -> Address {
    wide_address(0xc0, contract)
}

/// Which contract is there, among so many.
pub fn contract_at(address: &Address, contracts: u64) -> Option<u64> {
    (0..contracts).find(|contract| address_of(*contract) == *address)
}

/// A person.
pub fn account(number: u64) -> Address {
    wide_address(0xacc, number)
}

/// 256 bits that look random.
pub fn wide(a: u64, b: u64, c: u64) -> B256 {
    let mut bytes = [0; 32];
    for (word, part) in (0..).zip(bytes.chunks_exact_mut(8)) {
        part.copy_from_slice(&mix(a, b, c ^ (word << 56)).to_be_bytes());
    }
    B256::from(bytes)
}

fn wide_address(a: u64, b: u64) -> Address {
    Address::from_slice(&wide(a, b, 0)[..20])
}

fn proposal(contract: u64, number: u64) -> U256 {
    wide(0xbead, contract, number).into()
}

/// A hash that is fast and not more: SplitMix64's last steps, thrice.
pub fn mix(a: u64, b: u64, c: u64) -> u64 {
    let step = |x: u64| {
        let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    step(step(step(a) ^ b) ^ c)
}
