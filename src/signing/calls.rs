//! The achievement contract's calls: calldata for them, and what a
//! transaction's logs say became of each item.

use alloy::{
    primitives::{Address, B256, Bytes, Log, U256, keccak256},
    sol_types::{SolCall, SolEvent},
};

use super::ledger::Outcome;
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloy::{json_abi::JsonAbi, primitives::LogData};

    fn target(n: u8) -> Target {
        Target {
            id: UnlockId(B256::repeat_byte(n)),
            user: Address::repeat_byte(n),
            achievement_id: U256::from(n),
            proof: B256::repeat_byte(0xee),
        }
    }

    fn log(contract: Address, data: LogData) -> Log {
        Log { address: contract, data }
    }

    #[test]
    fn calls_and_events_are_those_of_the_built_contract() {
        let artifact: serde_json::Value =
            serde_json::from_str(include_str!("../../contracts/artifacts/AchievementManager.json"))
                .unwrap();
        let contract: JsonAbi = serde_json::from_value(artifact["abi"].clone()).unwrap();
        let selectors: Vec<_> = contract.functions().map(|f| f.selector().0).collect();
        for selector in [
            abi::unlockAchievementCall::SELECTOR,
            abi::batchUnlockAchievementsCall::SELECTOR,
            abi::revokeAchievementCall::SELECTOR,
            abi::hasAchievementCall::SELECTOR,
            abi::hasRoleCall::SELECTOR,
        ] {
            assert!(selectors.contains(&selector));
        }
        let topics: Vec<_> = contract.events().map(alloy::json_abi::Event::selector).collect();
        for topic in [
            abi::AchievementUnlocked::SIGNATURE_HASH,
            abi::AchievementSkipped::SIGNATURE_HASH,
            abi::AchievementRevoked::SIGNATURE_HASH,
        ] {
            assert!(topics.contains(&topic));
        }
    }

    #[test]
    fn calldata_is_as_long_as_the_batcher_reckons() {
        for count in [1_usize, 2, 3, 50] {
            let targets = vec![target(1); count];
            assert_eq!(unlock(&targets).len(), unlock_calldata_len(count));
        }
    }

    #[test]
    fn logs_of_the_contract_decide_and_those_of_others_do_not() {
        let contract = Address::repeat_byte(0xcc);
        let unlocked = abi::AchievementUnlocked {
            user: target(1).user,
            id: target(1).achievement_id,
            tokenId: U256::from(9),
            proofData: Bytes::new(),
        };
        let skipped =
            abi::AchievementSkipped { user: target(2).user, id: target(2).achievement_id };
        let forged = abi::AchievementUnlocked { user: target(3).user, ..unlocked.clone() };
        let logs = [
            log(contract, unlocked.encode_log_data()),
            log(contract, skipped.encode_log_data()),
            log(Address::repeat_byte(0xdd), forged.encode_log_data()),
        ];
        assert_eq!(
            outcomes(contract, &[target(1), target(2), target(3)], &logs),
            vec![(target(1).id, Outcome::Unlocked), (target(2).id, Outcome::Skipped)]
        );
    }

    #[test]
    fn only_a_whole_bool_answers_a_question() {
        assert_eq!(decode_bool(&U256::from(1).to_be_bytes::<32>()), Some(true));
        assert_eq!(decode_bool(&[0; 32]), Some(false));
        assert_eq!(decode_bool(&[]), None);
        assert_eq!(decode_bool(&U256::from(2).to_be_bytes::<32>()), None);
    }
}
