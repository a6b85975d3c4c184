//! The contracts as functions: a call reads the state and says what it would change, so
//! that asking, estimating and mining are one and the same.

pub(super) mod abi;
mod achievements;
mod badge;
mod governor;

use std::sync::LazyLock;

use alloy::{
    primitives::{Address, B256, Bytes, Log, U256, keccak256},
    sol_types::{SolEvent, SolInterface as _, SolValue as _},
};

use self::abi::{IInbox, IToken};
pub(super) use self::{achievements::Achievements, badge::Badge, governor::Governor};
use super::{Deployment, state::State};

/// Votes that there are, of which a fifth is the quorum.
const SUPPLY: u64 = 2_500;

/// What a revert costs beside what every transaction does.
pub(super) const REVERT_GAS: u64 = 5_000;
/// What a question costs.
const VIEW_GAS: u64 = 3_000;
/// What something that somebody does costs, where it is not said otherwise.
const DEED_GAS: u64 = 60_000;

/// What is called, by whom, and in which block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) input: &'a [u8],
    /// Number of the block that it runs in.
    pub(super) block: u64,
}

/// What a call that passes does.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Beside what every transaction costs.
    pub(super) gas: u64,
    pub(super) logs: Vec<Log>,
    pub(super) output: Bytes,
    pub(super) changes: Vec<Change>,
}

/// One change of a contract's storage.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Achievements(achievements::Change),
    Badge(badge::Change),
    Governor(governor::Change),
}

/// A revert's data.
pub(super) type Reverted = Bytes;

impl Done {
    fn answer(output: Vec<u8>) -> Self {
        Self { gas: VIEW_GAS, output: output.into(), ..Self::default() }
    }

    fn deed(contract: Address, event: &impl SolEvent, change: Option<Change>) -> Self {
        let changes = change.into_iter().collect();
        Self { gas: DEED_GAS, logs: vec![log(contract, event)], output: Bytes::new(), changes }
    }

    fn giving(mut self, output: Vec<u8>) -> Self {
        self.output = output.into();
        self
    }
}

/// Runs a call. Nothing is at other addresses, so nothing happens there.
pub(super) fn run(state: &State, at: &Deployment, call: &Call<'_>) -> Result<Done, Reverted> {
    let done = match call.to {
        to if to == at.achievements => achievements::run(state, at, call),
        to if to == at.governor => governor::run(state, at, call),
        to if to == at.badge => badge::run(state, at, call),
        to if to == at.token => token(call),
        to if to == at.inbox => inbox(at, call),
        _ => Some(Ok(Done::default())),
    };
    // No such function: reverted without a reason.
    done.unwrap_or_else(|| Err(Bytes::new()))
}

/// Whether there is a contract.
pub(super) fn is_contract(at: &Deployment, address: Address) -> bool {
    [at.governor, at.token, at.badge, at.inbox, at.achievements].contains(&address)
}

/// The votes of a member: always the same, from 50 to 300 tokens.
#[must_use]
pub fn votes_of(member: Address) -> U256 {
    let last = member.as_slice().last().copied().unwrap_or_default();
    tokens(50 * (1 + u64::from(last % 6)))
}

fn tokens(number: u64) -> U256 {
    U256::from(number) * U256::from(1_000_000_000_000_000_000_u64)
}

fn supply() -> U256 {
    tokens(SUPPLY)
}

/// May unlock.
pub static UNLOCKER_ROLE: LazyLock<B256> = LazyLock::new(|| keccak256("UNLOCKER_ROLE"));
/// May take back.
pub static REVOKER_ROLE: LazyLock<B256> = LazyLock::new(|| keccak256("REVOKER_ROLE"));

fn log(contract: Address, event: &impl SolEvent) -> Log {
    Log { address: contract, data: event.encode_log_data() }
}

fn token(call: &Call<'_>) -> Option<Result<Done, Reverted>> {
    use IToken::{ERC5805FutureLookup, ITokenCalls as Calls};
    let past = |timepoint: U256, answer: U256| match timepoint < U256::from(call.block) {
        true => Ok(Done::answer(answer.abi_encode())),
        false => {
            let clock = alloy::primitives::aliases::U48::from(call.block);
            Err(error(&ERC5805FutureLookup { timepoint, clock }))
        }
    };
    let answer = match Calls::abi_decode(call.input).ok()? {
        Calls::getVotes(it) => votes_of(it.account).abi_encode(),
        Calls::balanceOf(it) => votes_of(it.account).abi_encode(),
        Calls::getPastVotes(it) => return Some(past(it.timepoint, votes_of(it.account))),
        Calls::getPastTotalSupply(it) => return Some(past(it.timepoint, supply())),
        Calls::totalSupply(_) => supply().abi_encode(),
        Calls::clock(_) => U256::from(call.block).abi_encode(),
        Calls::CLOCK_MODE(_) => governor::CLOCK_MODE.abi_encode(),
        Calls::name(_) => "Merit".abi_encode(),
        Calls::symbol(_) => "MRT".abi_encode(),
        Calls::decimals(_) => U256::from(18).abi_encode(),
    };
    Some(Ok(Done::answer(answer)))
}

fn inbox(at: &Deployment, call: &Call<'_>) -> Option<Result<Done, Reverted>> {
    let IInbox::IInboxCalls::contribute(it) = IInbox::IInboxCalls::abi_decode(call.input).ok()?;
    let IInbox::contributeCall { topic, amount, note } = it;
    let event = IInbox::Contributed { member: call.from, topic, amount, note };
    Some(Ok(Done::deed(at.inbox, &event, None)))
}

fn error(error: &impl alloy::sol_types::SolError) -> Reverted {
    error.abi_encode().into()
}
