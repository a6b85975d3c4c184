//! Calls as the contract and other tools encode them.

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
        serde_json::from_str(include_str!("../../../contracts/artifacts/AchievementManager.json"))
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
    let skipped = abi::AchievementSkipped { user: target(2).user, id: target(2).achievement_id };
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
        ("mint(uint256 id)", "argument `user` must stand there once"),
        ("mint(address user, uint256 id, uint256 tokenId)", "argument `id` must stand there once"),
        ("mint(address user, address to, uint256 id)", "argument `user` must stand there once"),
        ("mint(address user, uint256 id, uint256 amount)", "argument `amount` has no meaning"),
        ("mint(address user, uint256)", "argument `` has no meaning"),
        ("mint(address user, uint8 id)", "is of type uint8, not uint256"),
        ("mint(address[] user, uint256 id)", "is of type address[], not address"),
        ("mint(address user, uint256 id, string proof)", "not bytes or bytes32"),
        ("set(address user, uint256 bps = many)", "argument `bps` = many"),
        ("set(address user, uint8 bps = 256)", "it is of type uint8"),
        ("set(address user, uint256 bps = )", "nothing is said after `=`"),
        ("set(address user, string why = \"a)", "not closed"),
        ("set(address user = 0x12)", "argument `user` = 0x12"),
        ("set(uint256 bps = 5)", "argument `user` must stand there once"),
        ("set(address user, uint256 bps = 5) == 5", "only `has` is compared"),
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
fn what_is_said_of_arguments_goes_into_the_call() {
    let calls = |unlock: &str, has: &str, batch: Option<&str>| {
        Calls::custom(&Signatures {
            unlock: unlock.to_owned(),
            batch: batch.map(str::to_owned),
            has: Some(has.to_owned()),
            revoke: None,
        })
        .unwrap()
    };
    alloy::sol! {
        function setBonus(address user, uint256 bps, string why);
        function setBonuses(address[] users, uint256 bps);
        function hasRole(bytes32 role, address account);
    }
    let bonus = calls(
        "setBonus(address user, uint256 bps = 12000, string why = \"held a badge (90 days), twice\")",
        "bonusOf(address user) == 12000",
        Some("setBonuses(address[] users, uint256 bps = 1000)"),
    );
    let [one, two] = [1, 2].map(|n| Target {
        id: UnlockId(B256::repeat_byte(n)),
        user: Address::repeat_byte(n),
        achievement_id: U256::from(n),
        proof: B256::repeat_byte(9),
    });
    let expected = setBonusCall {
        user: one.user,
        bps: U256::from(12_000),
        why: "held a badge (90 days), twice".to_owned(),
    };
    assert_eq!(bonus.unlock(&[one]), Bytes::from(expected.abi_encode()));
    let users = vec![one.user, two.user];
    let expected = setBonusesCall { users, bps: U256::from(1_000) };
    assert_eq!(bonus.unlock(&[one, two]), Bytes::from(expected.abi_encode()));
    assert!(!bonus.names_ids(), "it is the same whichever achievement");

    let word = |number: u64| U256::from(number).to_be_bytes::<32>();
    let answers = [12_000, 10_000, 0].map(|answer| bonus.decode_has(&word(answer)));
    assert_eq!(answers, [Some(true), Some(false), Some(false)]);
    assert_eq!(bonus.decode_has(&[]), None);

    let role = format!("{:#x}", keccak256("CURATOR_ROLE"));
    let roles = calls(
        &format!("grantRole(bytes32 role = {role}, address account)"),
        &format!("hasRole(bytes32 role = {role}, address account)"),
        None,
    );
    let expected = hasRoleCall { role: keccak256("CURATOR_ROLE"), account: one.user };
    assert_eq!(roles.has(&one), Some(Bytes::from(expected.abi_encode())));
    assert_eq!([1, 0].map(|it| roles.decode_has(&word(it))), [Some(true), Some(false)]);
}

#[test]
fn a_question_says_what_answers_yes_or_is_refused() {
    let has = |text: &str| {
        let signatures = Signatures {
            unlock: "set(address user, uint256 bps = 5)".to_owned(),
            batch: None,
            has: Some(text.to_owned()),
            revoke: None,
        };
        Calls::custom(&signatures)
    };
    for text in ["of(address user) == 5", "of(address user)==true", "of(address user)"] {
        assert!(has(text).is_ok(), "{text}");
    }
    for (text, says) in [
        ("of(address user) == ", "compare the answer"),
        ("of(address user) == five", "compare the answer"),
        ("== 5", "not a signature"),
        ("of(address user", "not a signature"),
    ] {
        let (key, error) = has(text).unwrap_err();
        assert!(key == "has" && error.to_string().contains(says), "{text}: {error}");
    }
}

#[test]
fn only_a_whole_bool_answers_a_question() {
    assert_eq!(decode_bool(&U256::from(1).to_be_bytes::<32>()), Some(true));
    assert_eq!(decode_bool(&[0; 32]), Some(false));
    assert_eq!(decode_bool(&[]), None);
    assert_eq!(decode_bool(&U256::from(2).to_be_bytes::<32>()), None);
}
