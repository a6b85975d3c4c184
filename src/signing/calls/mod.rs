//! The calls of a contract that keeps achievements: calldata for them, and what
//! a transaction's logs say became of each item. [`Calls`] are the reference
//! contract's, or such as the configuration writes them.

mod custom;
pub mod views;

use alloy::{
    primitives::{Address, B256, Bytes, Log, U256, keccak256},
    sol_types::{SolCall, SolEvent},
};

pub use self::custom::BadCall;
use self::custom::Form;
use super::{item::Effect, ledger::Outcome};
use crate::domain::{UnlockId, UnlockRequest};

// The macro's items can't carry docs of their own; contracts/src explains them.
#[allow(missing_docs)]
mod abi {
    alloy::sol! {
        function unlockAchievement(address user, uint256 id, bytes proofData);
        function batchUnlockAchievements(address[] users, uint256[] ids, bytes[] proofs);
        function revokeAchievement(address user, uint256 id, bytes reason);
        function hasAchievement(address user, uint256 id) returns (bool);
        function hasRole(bytes32 role, address account) returns (bool);
        function getL1Fee(bytes data) returns (uint256);

        event AchievementUnlocked(address indexed user, uint256 indexed id, uint256 tokenId, bytes proofData);
        event AchievementSkipped(address indexed user, uint256 indexed id);
        event AchievementRevoked(address indexed user, uint256 indexed id, uint256 tokenId, bytes reason);
    }
}

/// What a call needs of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The effect.
    pub id: UnlockId,
    /// Whose achievement.
    pub user: Address,
    /// Which, by the contract's number.
    pub achievement_id: U256,
    /// Commitment to the evidence: goes on chain as `proofData`.
    pub proof: B256,
}

impl From<&UnlockRequest> for Target {
    fn from(request: &UnlockRequest) -> Self {
        Self {
            id: request.id,
            user: request.user,
            achievement_id: request.achievement_id,
            proof: request.evidence.commitment(),
        }
    }
}

/// Roles of the achievement contract, as OpenZeppelin's `AccessControl` keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `UNLOCKER_ROLE`.
    Unlocker,
    /// `REVOKER_ROLE`.
    Revoker,
}

impl Role {
    /// Its name in the contract.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unlocker => "UNLOCKER_ROLE",
            Self::Revoker => "REVOKER_ROLE",
        }
    }
}

/// How one contract is called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    custom: Option<Custom>,
}

#[derive(Clone, Debug, PartialEq)]
struct Custom {
    unlock: Form,
    batch: Option<Form>,
    has: Option<Form>,
    revoke: Option<Form>,
}

/// The signatures of a contract's calls. Arguments are named `user`, `id` and
/// `proof`, those of the batch `users`, `ids` and `proofs`; others say what they
/// get, as `uint256 bps = 12000`, and `has` may say what answers yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signatures {
    /// Gives one achievement.
    pub unlock: String,
    /// Gives several.
    pub batch: Option<String>,
    /// Answers whether a user has one: a `bool`, or a number that is not 0.
    pub has: Option<String>,
    /// Takes one back.
    pub revoke: Option<String>,
}

impl Calls {
    /// Reads signatures.
    ///
    /// # Errors
    /// The first that is wrong, with its key.
    pub fn custom(signatures: &Signatures) -> Result<Self, (&'static str, BadCall)> {
        let optional = |key, text: &Option<String>, is_batch| {
            let form = text.as_deref().map(|text| Form::parse_deed(text, is_batch)).transpose();
            form.map_err(|error| (key, error))
        };
        let has = signatures.has.as_deref().map(Form::parse_question).transpose();
        let unlock =
            Form::parse_deed(&signatures.unlock, false).map_err(|error| ("unlock", error))?;
        Ok(Self {
            custom: Some(Custom {
                unlock,
                batch: optional("batch", &signatures.batch, true)?,
                has: has.map_err(|error| ("has", error))?,
                revoke: optional("revoke", &signatures.revoke, false)?,
            }),
        })
    }

    /// Whether several can be unlocked by one call.
    #[must_use]
    pub fn has_batch(&self) -> bool {
        self.custom.as_ref().is_none_or(|custom| custom.batch.is_some())
    }

    /// Whether the contract can be asked what a user has.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        self.custom.as_ref().is_none_or(|custom| custom.has.is_some())
    }

    /// Whether one can be taken back.
    #[must_use]
    pub fn can_revoke(&self) -> bool {
        self.custom.as_ref().is_none_or(|custom| custom.revoke.is_some())
    }

    /// Whether every call says which achievement it is about. Where one doesn't, all
    /// of the contract are the same to it.
    #[must_use]
    pub fn names_ids(&self) -> bool {
        self.custom.as_ref().is_none_or(|Custom { unlock, batch, has, revoke }| {
            let others = [batch, has, revoke].into_iter().flatten();
            std::iter::once(unlock).chain(others).all(Form::names_id)
        })
    }

    /// Whether they are the reference contract's, with its roles and events.
    #[must_use]
    pub fn is_reference(&self) -> bool {
        self.custom.is_none()
    }

    /// Calldata that unlocks: see [`unlock`].
    #[must_use]
    pub fn unlock(&self, targets: &[Target]) -> Bytes {
        match (&self.custom, targets) {
            (None, targets) => unlock(targets),
            (Some(Custom { batch: Some(batch), .. }), [_, _, ..]) => batch.encode(targets),
            (Some(custom), targets) => custom.unlock.encode(targets),
        }
    }

    /// Calldata that takes one back; empty where that can't be.
    #[must_use]
    pub fn revoke(&self, target: &Target) -> Bytes {
        match &self.custom {
            None => revoke(target),
            Some(custom) => {
                let encode = |form: &Form| form.encode(std::slice::from_ref(target));
                custom.revoke.as_ref().map(encode).unwrap_or_default()
            }
        }
    }

    /// Calldata that asks whether a user has an achievement, where it can be
    /// asked.
    #[must_use]
    pub fn has(&self, target: &Target) -> Option<Bytes> {
        match &self.custom {
            None => Some(has(target)),
            Some(custom) => Some(custom.has.as_ref()?.encode(std::slice::from_ref(target))),
        }
    }

    /// The answer to [`Self::has`]; `None` when it is none.
    #[must_use]
    pub fn decode_has(&self, answer: &[u8]) -> Option<bool> {
        match &self.custom {
            None => decode_bool(answer),
            Some(custom) => custom.has.as_ref()?.decode_answer(answer),
        }
    }

    /// What a successful transaction with this effect did to each target: by the
    /// reference contract's logs, wherever they come from, else by its success.
    #[must_use]
    pub fn outcomes<'a>(
        &self,
        contract: Address,
        targets: &[Target],
        effect: Option<Effect>,
        logs: impl IntoIterator<Item = &'a Log>,
    ) -> Vec<(UnlockId, Outcome)> {
        let told = outcomes(contract, targets, logs);
        let (Some(_), Some(effect)) = (&self.custom, effect) else { return told };
        let done = match effect {
            Effect::Unlock => Outcome::Unlocked,
            Effect::Revoke => Outcome::Revoked,
        };
        let of = |target: &Target| {
            let known = told.iter().find(|(id, _)| *id == target.id);
            (target.id, known.map_or(done, |(_, outcome)| *outcome))
        };
        targets.iter().map(of).collect()
    }
}

/// Calldata that unlocks: one target by the single call, more by the batch.
/// They behave differently on purpose: the single call reverts for what is
/// unlocked already, the batch skips it.
#[must_use]
pub fn unlock(targets: &[Target]) -> Bytes {
    if let [target] = targets {
        let call = abi::unlockAchievementCall {
            user: target.user,
            id: target.achievement_id,
            proofData: target.proof.into(),
        };
        return call.abi_encode().into();
    }
    let call = abi::batchUnlockAchievementsCall {
        users: targets.iter().map(|target| target.user).collect(),
        ids: targets.iter().map(|target| target.achievement_id).collect(),
        proofs: targets.iter().map(|target| target.proof.into()).collect(),
    };
    call.abi_encode().into()
}

/// Length of [`unlock`]'s calldata for so many targets, in bytes.
#[must_use]
pub fn unlock_calldata_len(targets: usize) -> usize {
    const WORD: usize = 32;
    match targets {
        // Selector, user, id, then offset, length and word of the proof.
        1 => 4 + 5 * WORD,
        // Three offsets and three lengths; per target user, id, and offset,
        // length and word of the proof.
        n => 4 + 6 * WORD + n * 5 * WORD,
    }
}

/// Calldata that takes one back; `reason` is the commitment to the evidence
/// that no longer holds.
#[must_use]
pub fn revoke(target: &Target) -> Bytes {
    let call = abi::revokeAchievementCall {
        user: target.user,
        id: target.achievement_id,
        reason: target.proof.into(),
    };
    call.abi_encode().into()
}

/// Calldata that asks whether a user has an achievement.
#[must_use]
pub fn has(target: &Target) -> Bytes {
    abi::hasAchievementCall { user: target.user, id: target.achievement_id }.abi_encode().into()
}

/// Calldata that asks whether an account has a role.
#[must_use]
pub fn has_role(role: Role, account: Address) -> Bytes {
    abi::hasRoleCall { role: keccak256(role.name()), account }.abi_encode().into()
}

/// Calldata that asks an OP Stack chain's `GasPriceOracle` what posting a
/// transaction's bytes costs.
#[must_use]
pub fn l1_fee(transaction: Bytes) -> Bytes {
    abi::getL1FeeCall { data: transaction }.abi_encode().into()
}

/// The answer to [`has`] or [`has_role`]; `None` when it is no such answer,
/// as an address without code gives it.
#[must_use]
pub fn decode_bool(answer: &[u8]) -> Option<bool> {
    abi::hasAchievementCall::abi_decode_returns_validate(answer).ok()
}

/// What a successful transaction did to each target, by the contract's logs.
/// A target that no log names is left out.
#[must_use]
pub fn outcomes<'a>(
    contract: Address,
    targets: &[Target],
    logs: impl IntoIterator<Item = &'a Log>,
) -> Vec<(UnlockId, Outcome)> {
    let said: Vec<(Address, U256, Outcome)> =
        logs.into_iter().filter(|log| log.address == contract).filter_map(outcome).collect();
    targets
        .iter()
        .filter_map(|target| {
            // The last word counts, should a contract say several.
            let (_, _, outcome) = said
                .iter()
                .rev()
                .find(|(user, id, _)| *user == target.user && *id == target.achievement_id)?;
            Some((target.id, *outcome))
        })
        .collect()
}

/// What an unlock's log says of the evidence; `None` where no log of the
/// contract unlocks it.
#[must_use]
pub fn proof_data<'a>(
    contract: Address,
    user: Address,
    achievement_id: U256,
    logs: impl IntoIterator<Item = &'a Log>,
) -> Option<Bytes> {
    let of_contract = logs.into_iter().filter(|log| log.address == contract);
    let unlocked = of_contract.filter_map(|log| abi::AchievementUnlocked::decode_log(log).ok());
    let mut of_user = unlocked.filter(|it| it.user == user && it.id == achievement_id);
    of_user.next().map(|event| event.data.proofData)
}

fn outcome(log: &Log) -> Option<(Address, U256, Outcome)> {
    match *log.topics().first()? {
        abi::AchievementUnlocked::SIGNATURE_HASH => abi::AchievementUnlocked::decode_log(log)
            .ok()
            .map(|event| (event.user, event.id, Outcome::Unlocked)),
        abi::AchievementSkipped::SIGNATURE_HASH => abi::AchievementSkipped::decode_log(log)
            .ok()
            .map(|event| (event.user, event.id, Outcome::Skipped)),
        abi::AchievementRevoked::SIGNATURE_HASH => abi::AchievementRevoked::decode_log(log)
            .ok()
            .map(|event| (event.user, event.id, Outcome::Revoked)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
