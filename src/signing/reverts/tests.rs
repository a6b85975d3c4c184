//! A corpus of revert shapes, and what each becomes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::{
    primitives::{Address, B256},
    sol_types::SolValue,
};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn decoder() -> RevertDecoder {
    RevertDecoder::new([])
}

fn reason(text: &str) -> Bytes {
    RevertReason { reason: text.into() }.abi_encode().into()
}

fn custom(signature: &str, arguments: &impl SolValue) -> Vec<u8> {
    let error = AbiError::parse(signature).unwrap();
    [error.selector().as_slice(), &arguments.abi_encode()].concat()
}

#[test]
fn every_known_signature_parses_and_no_two_share_a_selector() {
    let mut selectors = std::collections::HashSet::new();
    for (_, signature) in KNOWN_ERRORS {
        let error =
            AbiError::parse(signature).unwrap_or_else(|reason| panic!("{signature}: {reason}"));
        assert!(selectors.insert(error.selector()), "{signature}");
    }
}

#[test]
fn the_built_contracts_errors_are_all_known() {
    let artifact: Value =
        serde_json::from_str(include_str!("../../../contracts/artifacts/AchievementManager.json"))
            .unwrap();
    let abi: JsonAbi = serde_json::from_value(artifact["abi"].clone()).unwrap();
    let decoder = decoder();
    for error in abi.errors() {
        assert!(decoder.errors.contains_key(&error.selector()), "{}", error.name);
    }
}

#[test]
fn data_is_found_wherever_a_client_hides_it() {
    let data = reason("not yet");
    let hex = data.to_string();
    let hash = B256::repeat_byte(9).to_string();
    for (message, shape) in [
        ("execution reverted: not yet", Some(json!(hex))),
        ("execution reverted", Some(json!({ "data": hex }))),
        ("execution reverted", Some(json!({ "result": hex }))),
        ("Internal JSON-RPC error.", Some(json!({ "originalError": { "code": 3, "data": hex } }))),
        ("Internal error", Some(json!({ "code": 3, "data": { "data": hex } }))),
        (
            "VM Exception while processing transaction: revert not yet",
            Some(
                json!({ hash.clone(): { "error": "revert", "return": hex, "reason": "not yet" }, "stack": "…" }),
            ),
        ),
        ("VM Exception", Some(json!({ "txHash": hash, "result": hex }))),
        ("VM execution error.", Some(json!(format!("Reverted {hex}")))),
        (&format!("VM execution error: Reverted {hex}"), None),
        (&format!("{{\"error\":\"Reverted {hex}\"}}"), None),
    ] {
        assert_eq!(revert_data(message, shape.as_ref()), Some(data.clone()), "{message} {shape:?}");
        let revert = decoder().explain(message, shape.as_ref());
        assert_eq!(
            (revert.code.as_str(), revert.text.as_str()),
            ("error_string", "reverted: not yet")
        );
    }
    for (message, shape) in [
        ("execution reverted", None),
        ("execution reverted", Some(json!(null))),
        ("execution reverted", Some(json!({ "txHash": hash }))),
        ("execution reverted", Some(json!("0xnothex"))),
        ("Reverted", None),
    ] {
        assert_eq!(revert_data(message, shape.as_ref()), None, "{message} {shape:?}");
    }
}

#[test]
fn panics_have_their_meaning() {
    for (code, name) in [
        (0x00, "panic_generic"),
        (0x01, "panic_assert"),
        (0x11, "panic_arithmetic"),
        (0x12, "panic_division_by_zero"),
        (0x21, "panic_enum_conversion"),
        (0x22, "panic_storage_bytes"),
        (0x31, "panic_empty_pop"),
        (0x32, "panic_array_index"),
        (0x41, "panic_out_of_memory"),
        (0x51, "panic_uninitialised_function"),
        (0x99, "panic_unknown"),
    ] {
        let data = Panic { code: U256::from(code) }.abi_encode();
        let revert = decoder().decode(&data);
        assert_eq!((revert.code.as_str(), revert.class), (name, RevertClass::Permanent));
        assert!(revert.text.contains(&format!("0x{code:02x}")), "{}", revert.text);
    }
    let huge = Panic { code: U256::MAX }.abi_encode();
    assert_eq!(decoder().decode(&huge).code, "panic_unknown");
}

#[test]
fn custom_errors_are_named_with_their_arguments() {
    let user = Address::repeat_byte(0x11);
    let data = custom(
        "error AchievementAlreadyUnlocked(address user, uint256 id)",
        &(user, U256::from(7)),
    );
    assert_eq!(
        decoder().decode(&data),
        Revert {
            code: "achievement_already_unlocked".into(),
            text: format!("AchievementAlreadyUnlocked(user: {user}, id: 7)"),
            selector: Some(Selector::from_slice(&data[..4])),
            class: RevertClass::Business,
        }
    );
    let role = B256::repeat_byte(0x22);
    let data = custom(
        "error AccessControlUnauthorizedAccount(address account, bytes32 neededRole)",
        &(user, role),
    );
    let revert = decoder().decode(&data);
    assert_eq!(revert.code, "access_control_unauthorized_account");
    assert_eq!(revert.class, RevertClass::Permanent);
    assert!(revert.text.contains(&role.to_string()));
    let paused = decoder().decode(&custom("error EnforcedPause()", &()));
    assert_eq!((paused.code.as_str(), paused.class), ("enforced_pause", RevertClass::Transient));
}

#[test]
fn an_abi_teaches_new_errors_and_does_not_reclass_known_ones() {
    let abi =
        JsonAbi::parse(["error SeasonOver(uint64 endedAt, string hint)", "error EnforcedPause()"])
            .unwrap();
    let decoder = RevertDecoder::new([&abi]);
    let error = AbiError::parse("error SeasonOver(uint64 endedAt, string hint)").unwrap();
    let arguments = (9_u64, "come back".to_owned()).abi_encode_params();
    let data = [error.selector().as_slice(), &arguments].concat();
    let revert = decoder.decode(&data);
    assert_eq!((revert.code.as_str(), revert.class), ("season_over", RevertClass::Business));
    assert_eq!(revert.text, "SeasonOver(endedAt: 9, hint: \"come back\")");
    let paused = decoder.decode(&custom("error EnforcedPause()", &()));
    assert_eq!(paused.class, RevertClass::Transient);
}

#[test]
fn what_nobody_declares_is_shown_in_hex() {
    let revert = decoder().decode(&[0xde, 0xad, 0xbe, 0xef, 1, 2]);
    assert_eq!((revert.code.as_str(), revert.class), ("custom_error", RevertClass::Business));
    assert!(revert.text.ends_with("0xdeadbeef0102"));
    assert_eq!(decoder().decode(&[]).code, "no_reason");
    assert_eq!(decoder().decode(&[1, 2, 3]).code, "no_reason");
}

#[test]
fn a_message_alone_says_what_it_can() {
    for (message, code, class) in [
        ("execution reverted", "no_reason", RevertClass::Permanent),
        ("execution reverted: season is over", "error_string", RevertClass::Business),
        ("execution reverted: Pausable: paused", "enforced_pause", RevertClass::Transient),
        (
            "execution reverted: AccessControl: account 0x11 is missing role 0x22",
            "access_control_unauthorized_account",
            RevertClass::Permanent,
        ),
        (
            "execution reverted: Ownable: caller is not the owner",
            "ownable_unauthorized_account",
            RevertClass::Permanent,
        ),
        (
            "VM Exception while processing transaction: reverted with reason string 'season is over'",
            "error_string",
            RevertClass::Business,
        ),
        (
            "VM Exception while processing transaction: revert season is over",
            "error_string",
            RevertClass::Business,
        ),
        ("out of gas", "out_of_gas", RevertClass::Transient),
        ("EVM error: OutOfGas", "out_of_gas", RevertClass::Transient),
        ("invalid opcode: INVALID", "invalid_opcode", RevertClass::Permanent),
        ("stack underflow (0 <=> 1)", "stack_underflow", RevertClass::Permanent),
    ] {
        let revert = decoder().explain(message, Some(&json!("0x")));
        assert_eq!((revert.code.as_str(), revert.class), (code, class), "{message}");
    }
}

#[test]
fn codes_are_snake_case() {
    for (name, code) in [
        ("EnforcedPause", "enforced_pause"),
        ("ERC721InvalidReceiver", "erc721_invalid_receiver"),
        ("UUPSUnauthorizedCallContext", "uups_unauthorized_call_context"),
        ("SafeERC20FailedOperation", "safe_erc20_failed_operation"),
        ("already_snake", "already_snake"),
        ("X", "x"),
    ] {
        assert_eq!(snake_case(name), code);
    }
}

proptest! {
    #[test]
    fn no_data_and_no_message_breaks_the_decoder(
        data in prop::collection::vec(any::<u8>(), 0..200), message in ".{0,80}", known in 0..KNOWN_ERRORS.len(),
    ) {
        let decoder = decoder();
        let _ = decoder.explain(&message, Some(&json!(hex::encode_prefixed(&data))));
        // Known selectors with broken arguments.
        let selector = AbiError::parse(KNOWN_ERRORS[known].1).unwrap().selector();
        for selector in [selector, RevertReason::SELECTOR.into(), Panic::SELECTOR.into()] {
            let revert = decoder.decode(&[selector.as_slice(), &data].concat());
            prop_assert!(!revert.code.is_empty() && revert.text.chars().count() <= 400);
        }
    }
}

#[test]
fn what_a_contract_says_steers_no_terminal_and_takes_one_line() {
    let revert = decoder().decode(&reason("\u{1b}[2Jall is well\nreally"));
    assert_eq!(revert.text, "reverted: \\u{1b}[2Jall is well\\nreally");
    let revert = decoder().explain("out of gas\u{7}", None);
    assert_eq!(revert.text, "out of gas\\u{7}");
}

#[test]
fn an_error_that_names_one_part_again_and_again_is_not_unfolded() {
    const COUNT: usize = 1_000;
    let abi: JsonAbi = JsonAbi::parse(["error Refused(string[] why)"]).unwrap();
    let decoder = RevertDecoder::new([&abi]);
    let error = AbiError::parse("Refused(string[])").unwrap();
    let honest =
        [error.selector().as_slice(), &(vec!["no", "never"],).abi_encode_params()].concat();
    assert_eq!(decoder.decode(&honest).code, "refused");
    let word = |number: usize| U256::from(number).to_be_bytes::<32>();
    let offsets = std::iter::repeat_n(word(COUNT * 32), COUNT);
    let words: Vec<u8> = [word(32), word(COUNT)].into_iter().chain(offsets).flatten().collect();
    let text = [&word(1_000)[..], &[b'x'; 1_024]].concat();
    let bomb = [error.selector().as_slice(), &words, &text].concat();
    assert_eq!(decoder.decode(&bomb).code, "custom_error");
}

/// One answer of a client to a call that reverts.
#[derive(serde::Deserialize)]
struct Shape {
    client: String,
    message: String,
    data: Option<Value>,
    code: String,
    class: String,
}

#[test]
fn revert_decoding_corpus() {
    let corpus = include_str!("../../../tests/fixtures/reverts.json");
    let shapes: Vec<Shape> = serde_json::from_str(corpus).unwrap();
    assert!(shapes.len() >= 40);
    for Shape { client, message, data, code, class } in shapes {
        let revert = decoder().explain(&message, data.as_ref());
        let found = match revert.class {
            RevertClass::Business => "business",
            RevertClass::Permanent => "permanent",
            RevertClass::Transient => "transient",
        };
        assert_eq!((revert.code, found), (code, class.as_str()), "{client}: {message}");
        assert!(!revert.text.is_empty());
    }
}
