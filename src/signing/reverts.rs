//! Why a call reverted: from wherever a client hides the data to a stable
//! code, a text and what may be done about it.

mod known;

use std::collections::HashMap;

use alloy::{
    dyn_abi::{DynSolType, DynSolValue, JsonAbiExt, Specifier as _},
    json_abi::{Error as AbiError, JsonAbi},
    primitives::{Bytes, Selector, U256, hex},
    sol_types::{Panic, PanicKind, Revert as RevertReason, SolError},
};
use serde_json::Value;

use self::known::{KNOWN_ERRORS, KNOWN_REASONS, PANICS};
use crate::chain::extent;

/// What may be done about a revert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevertClass {
    /// The contract's answer to this very item: reject it, send the others.
    Business,
    /// No item would fare better until a person changes something: rights,
    /// the contract, its address.
    Permanent,
    /// May pass by itself: try again later.
    Transient,
}

/// A decoded revert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// Stable, in snake_case: the error's name, `panic_…`, or one of
    /// `error_string`, `custom_error`, `no_reason`, `out_of_gas`,
    /// `invalid_opcode`, `stack_underflow`.
    pub code: String,
    /// For people, with the arguments.
    pub text: String,
    /// The first four bytes of the data, when there are any.
    pub selector: Option<Selector>,
    /// See [`RevertClass`].
    pub class: RevertClass,
}

/// Knows errors by selector: OpenZeppelin 5's, the achievement contract's and
/// those of the ABIs that it was given.
#[derive(Debug)]
pub struct RevertDecoder {
    errors: HashMap<Selector, (AbiError, RevertClass)>,
}

impl RevertDecoder {
    /// A decoder of the known errors and of `abis`; unknown ones of an ABI
    /// count as business.
    #[must_use]
    pub fn new<'a>(abis: impl IntoIterator<Item = &'a JsonAbi>) -> Self {
        let mut errors = HashMap::new();
        for error in abis.into_iter().flat_map(JsonAbi::errors) {
            errors.insert(error.selector(), (error.clone(), RevertClass::Business));
        }
        for (class, signature) in KNOWN_ERRORS {
            // A test parses every signature of the table.
            if let Ok(error) = AbiError::parse(signature) {
                errors.insert(error.selector(), (error, *class));
            }
        }
        Self { errors }
    }

    /// Explains an error answer of `eth_call`, `eth_estimateGas` or a broadcast.
    #[must_use]
    pub fn explain(&self, message: &str, data: Option<&Value>) -> Revert {
        match revert_data(message, data) {
            Some(bytes) if !bytes.is_empty() => self.decode(&bytes),
            _ => from_message(message),
        }
    }

    /// Decodes revert data.
    #[must_use]
    pub fn decode(&self, data: &[u8]) -> Revert {
        let Some(selector) = data.first_chunk::<4>().copied().map(Selector::from) else {
            return no_reason();
        };
        let known = if selector == RevertReason::SELECTOR {
            RevertReason::abi_decode(data).ok().map(|revert| from_reason(&revert.reason))
        } else if selector == Panic::SELECTOR {
            Panic::abi_decode(data).ok().map(|panic| from_panic(panic.code))
        } else {
            self.errors.get(&selector).and_then(|(error, class)| {
                let values = arguments(error, data.get(4..)?)?;
                Some(Revert {
                    code: snake_case(&error.name),
                    text: custom_text(error, &values),
                    selector: None,
                    class: *class,
                })
            })
        };
        let revert = known.unwrap_or_else(|| Revert {
            code: "custom_error".into(),
            text: format!(
                "reverted with an error that no known ABI declares: {}",
                hex::encode_prefixed(&data[..data.len().min(68)])
            ),
            selector: None,
            class: RevertClass::Business,
        });
        Revert { selector: Some(selector), ..revert }
    }
}

/// The arguments of an error, unless the data would become far more than they are: then it
/// is nothing that a contract says.
fn arguments(error: &AbiError, data: &[u8]) -> Option<Vec<DynSolValue>> {
    let types: Result<Vec<DynSolType>, _> =
        error.inputs.iter().map(|input| input.resolve()).collect();
    extent::bounded(&types.ok()?, data).ok()?;
    error.abi_decode_input(data).ok()
}

/// Revert data, wherever a client puts it: `error.data` as text (bare, or
/// after `Reverted `), in its members `data`, `result`, `return`, `output` or
/// `originalError`, below a transaction hash, or in the message after
/// `Reverted `. `None` when there is none anywhere: then the call has to be
/// repeated at its block.
#[must_use]
pub fn revert_data(message: &str, data: Option<&Value>) -> Option<Bytes> {
    data.and_then(|value| search(value, MAX_DEPTH)).or_else(|| after_reverted(message))
}

/// Of a reason, or of a node's message.
const WORDS_CHARS_MAX: usize = 200;
// Real answers nest two levels; a hostile one may nest without end.
const MAX_DEPTH: usize = 4;

fn search(value: &Value, depth: usize) -> Option<Bytes> {
    match value {
        Value::String(text) => hex_bytes(text).or_else(|| after_reverted(text)),
        Value::Object(object) if depth > 0 => {
            let by_name = ["data", "result", "return", "output", "originalError", "error"]
                .iter()
                .filter_map(|key| object.get(*key))
                .find_map(|inner| search(inner, depth - 1));
            let by_hash = || {
                object
                    .iter()
                    .filter(|(key, inner)| key.len() == 66 && inner.is_object())
                    .find_map(|(_, inner)| search(inner, depth - 1))
            };
            by_name.or_else(by_hash)
        }
        _ => None,
    }
}

// A transaction hash is hex as well, but data is a selector and whole words.
fn hex_bytes(text: &str) -> Option<Bytes> {
    let bytes = hex::decode(text.strip_prefix("0x")?).ok()?;
    (bytes.is_empty() || bytes.len() % 32 == 4).then(|| bytes.into())
}

fn after_reverted(text: &str) -> Option<Bytes> {
    let (_, rest) = text.split_once("Reverted ")?;
    let word = rest.split(|c: char| c.is_whitespace() || c == '"' || c == '\'').next()?;
    hex_bytes(word)
}

fn from_message(message: &str) -> Revert {
    let lower = message.to_lowercase();
    let fixed = |code: &str, class| Revert {
        code: code.into(),
        text: shown(message, WORDS_CHARS_MAX),
        selector: None,
        class,
    };
    if lower.contains("out of gas") || lower.contains("outofgas") {
        return fixed("out_of_gas", RevertClass::Transient);
    }
    if lower.contains("invalid opcode") {
        return fixed("invalid_opcode", RevertClass::Permanent);
    }
    if lower.contains("stack underflow") {
        return fixed("stack_underflow", RevertClass::Permanent);
    }
    let reason = [
        "execution reverted: ",
        "reverted with reason string ",
        "VM Exception while processing transaction: revert ",
    ]
    .iter()
    .find_map(|lead| message.split_once(lead).map(|(_, rest)| rest));
    match reason.map(|text| text.trim().trim_matches(['\'', '"'])) {
        Some(reason) if !reason.is_empty() => from_reason(reason),
        _ => no_reason(),
    }
}

fn no_reason() -> Revert {
    Revert {
        code: "no_reason".into(),
        text: "reverted without a reason (no such function, or a bare require)".into(),
        selector: None,
        class: RevertClass::Permanent,
    }
}

fn from_reason(reason: &str) -> Revert {
    let (code, class) = KNOWN_REASONS
        .iter()
        .find(|(lead, _, _)| reason.starts_with(lead))
        .map_or(("error_string", RevertClass::Business), |(_, code, class)| (*code, *class));
    Revert {
        code: code.into(),
        text: format!("reverted: {}", shown(reason, WORDS_CHARS_MAX)),
        selector: None,
        class,
    }
}

fn from_panic(code: U256) -> Revert {
    let (name, meaning) = PanicKind::from_number(code.saturating_to::<u32>())
        .and_then(|kind| PANICS.iter().find(|(known, _, _)| *known == kind))
        .map_or(("panic_unknown", "unknown code"), |(_, name, meaning)| (*name, *meaning));
    Revert {
        code: name.into(),
        text: format!("the contract panicked: {meaning} (0x{code:02x})"),
        selector: None,
        class: RevertClass::Permanent,
    }
}

fn custom_text(error: &AbiError, values: &[DynSolValue]) -> String {
    let arguments: Vec<String> = error
        .inputs
        .iter()
        .zip(values)
        .map(|(input, value)| {
            let value = argument(value);
            if input.name.is_empty() { value } else { format!("{}: {value}", input.name) }
        })
        .collect();
    shown(&format!("{}({})", error.name, arguments.join(", ")), 2 * WORDS_CHARS_MAX)
}

/// The beginning of what others say, in one line. A contract's words come to terminals, and
/// must not steer them.
fn shown(text: &str, most: usize) -> String {
    let escaped = text.chars().flat_map(|c| {
        let (plain, escape) = match c.is_control() {
            true => (None, Some(c.escape_default())),
            false => (Some(c), None),
        };
        plain.into_iter().chain(escape.into_iter().flatten())
    });
    escaped.take(most).collect()
}

fn argument(value: &DynSolValue) -> String {
    match value {
        DynSolValue::Address(address) => address.to_checksum(None),
        DynSolValue::Uint(number, _) => number.to_string(),
        DynSolValue::Int(number, _) => number.to_string(),
        DynSolValue::Bool(yes) => yes.to_string(),
        DynSolValue::String(text) => format!("{text:?}"),
        DynSolValue::FixedBytes(word, size) => hex::encode_prefixed(&word[..(*size).min(32)]),
        DynSolValue::Bytes(bytes) => hex::encode_prefixed(bytes),
        other => format!("{other:?}"),
    }
}

/// `ERC721InvalidReceiver` is `erc721_invalid_receiver`: a run of capitals is
/// one word.
fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 8);
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|i| chars.get(i));
        let starts = c.is_ascii_uppercase()
            && before.is_some_and(|b| {
                b.is_ascii_lowercase()
                    || b.is_ascii_digit()
                    || (b.is_ascii_uppercase()
                        && chars.get(at + 1).is_some_and(char::is_ascii_lowercase))
            });
        if starts {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Every code that is known without an ABI.
#[cfg(test)]
pub(super) fn known_codes() -> Vec<String> {
    let named = |signature: &str| AbiError::parse(signature).ok().map(|it| snake_case(&it.name));
    let mut codes: Vec<String> =
        KNOWN_ERRORS.iter().filter_map(|(_, signature)| named(signature)).collect();
    codes.extend(KNOWN_REASONS.iter().map(|(_, code, _)| (*code).to_owned()));
    codes.extend(PANICS.iter().map(|(_, code, _)| (*code).to_owned()));
    let fixed = ["panic_unknown", "error_string", "custom_error", "no_reason", "out_of_gas"];
    codes.extend(fixed.map(str::to_owned));
    codes.extend(["invalid_opcode", "stack_underflow"].map(str::to_owned));
    codes
}

#[cfg(test)]
mod tests;
