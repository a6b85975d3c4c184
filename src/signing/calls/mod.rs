//! The calls of a contract that keeps achievements: calldata for them, and what
//! a transaction's logs say became of each item. [`Calls`] are the reference
//! contract's, or such as the configuration writes them.

mod custom;

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
/// `proof`, those of the batch `users`, `ids` and `proofs`.
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
            let form = text.as_deref().map(|text| Form::parse(text, is_batch)).transpose();
            form.map_err(|error| (key, error))
        };
        let unlock = Form::parse(&signatures.unlock, false).map_err(|error| ("unlock", error))?;
        Ok(Self {
            custom: Some(Custom {
                unlock,
                batch: optional("batch", &signatures.batch, true)?,
                has: optional("has", &signatures.has, false)?,
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
            Some(_) => custom::decode_answer(answer),
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
        let artifact: serde_json::Value = serde_json::from_str(include_str!(
            "../../../contracts/artifacts/AchievementManager.json"
        ))
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

    fn signatures(unlock: &str) -> Signatures {
        Signatures { unlock: unlock.to_owned(), batch: None, has: None, revoke: None }
    }

    #[test]
    fn calls_that_are_written_are_made_as_they_are_written() {
        let calls = Calls::custom(&Signatures {
            batch: Some("mintBatch(uint256[] ids, address[] users)".to_owned()),
            has: Some("balanceOf(address account, uint256 id)".to_owned()),
            revoke: Some("burn(address user, uint256 id, bytes32 proof)".to_owned()),
            ..signatures("function mint(address to, uint256 tokenId, bytes data) external")
        })
        .unwrap();
        assert!(calls.has_batch() && calls.can_ask() && calls.can_revoke());
        let words = |data: &Bytes| (data.len() - 4) / 32;
        let one = calls.unlock(&[target(1)]);
        assert_eq!(one[..4], keccak256("mint(address,uint256,bytes)")[..4]);
        assert_eq!((one[35], one[67]), (1, 1), "the user, then the id");
        assert!(words(&one) <= 5);
        let many = calls.unlock(&[target(1), target(2)]);
        assert_eq!(many[..4], keccak256("mintBatch(uint256[],address[])")[..4]);
        assert!(many.len() <= unlock_calldata_len(2), "the batcher reckons with more");
        let has = calls.has(&target(3)).unwrap();
        assert_eq!(has[..4], keccak256("balanceOf(address,uint256)")[..4]);
        assert_eq!(calls.decode_has(&U256::from(7).to_be_bytes::<32>()), Some(true));
        assert_eq!(calls.decode_has(&[0; 32]), Some(false));
        assert_eq!(calls.decode_has(&[]), None);
        let revoke = calls.revoke(&target(4));
        assert_eq!(revoke[4 + 64..], target(4).proof[..]);
        // The reference contract's own are what they were.
        assert_eq!(Calls::default().unlock(&[target(1)]), unlock(&[target(1)]));
        assert_eq!(Calls::default().has(&target(1)), Some(has_of(1)));
    }

    fn has_of(n: u8) -> Bytes {
        super::has(&target(n))
    }

    #[test]
    fn what_is_not_written_cannot_be_done() {
        let calls = Calls::custom(&signatures("mint(address user, uint256 id)")).unwrap();
        assert!(!calls.has_batch() && !calls.can_ask() && !calls.can_revoke());
        assert_eq!(calls.has(&target(1)), None);
        assert!(calls.revoke(&target(1)).is_empty());
        let contract = Address::repeat_byte(0xcc);
        let done = |effect| calls.outcomes(contract, &[target(1)], effect, []);
        assert_eq!(done(Some(Effect::Unlock)), [(target(1).id, Outcome::Unlocked)]);
        assert_eq!(done(None), [], "an empty transfer has no effect");
        let skipped = abi::AchievementSkipped { user: target(1).user, id: U256::from(1) };
        let logs = [log(contract, skipped.encode_log_data())];
        let told = calls.outcomes(contract, &[target(1)], Some(Effect::Unlock), &logs);
        assert_eq!(told, [(target(1).id, Outcome::Skipped)]);
        assert_eq!(Calls::default().outcomes(contract, &[target(1)], Some(Effect::Unlock), []), []);
    }

    #[test]
    fn signatures_that_say_nothing_are_refused_by_what_is_wrong() {
        for (text, says) in [
            ("", "not a signature"),
            ("mint", "not a signature"),
            ("mint(address user, uint256 id", "not a signature"),
            ("mint(address user)", "argument `id` must stand there once"),
            ("mint(address user, address to, uint256 id)", "argument `user` must stand there once"),
            ("mint(address user, uint256 id, uint256 amount)", "argument `amount` has no meaning"),
            ("mint(address user, uint256)", "argument `` has no meaning"),
            ("mint(address user, uint8 id)", "is of type uint8, not uint256"),
            ("mint(address[] user, uint256 id)", "is of type address[], not address"),
            ("mint(address user, uint256 id, string proof)", "not bytes or bytes32"),
        ] {
            let (key, error) = Calls::custom(&signatures(text)).unwrap_err();
            assert!(key == "unlock" && error.to_string().contains(says), "{text}: {error}");
        }
        let batch = |text: &str| Signatures {
            batch: Some(text.to_owned()),
            ..signatures("mint(address user, uint256 id)")
        };
        for (text, says) in [
            ("mint(address user, uint256 id)", "has no meaning"),
            ("mint(address users, uint256[] ids)", "not address[]"),
        ] {
            let (key, error) = Calls::custom(&batch(text)).unwrap_err();
            assert!(key == "batch" && error.to_string().contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn only_a_whole_bool_answers_a_question() {
        assert_eq!(decode_bool(&U256::from(1).to_be_bytes::<32>()), Some(true));
        assert_eq!(decode_bool(&[0; 32]), Some(false));
        assert_eq!(decode_bool(&[]), None);
        assert_eq!(decode_bool(&U256::from(2).to_be_bytes::<32>()), None);
    }
}
