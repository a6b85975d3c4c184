//! Literals of rule files: 256-bit integers, addresses, bytes, text, truth.
//!
//! Integers are exact: `"100e18"` and `"1.5 ether"` are scaled in decimal, and
//! TOML floats are refused because they lose bits past 2^53.

use alloy::primitives::{I256, U256};
use toml::de::DeValue;

use super::{error::Problem, number::Number};
use crate::domain::{FieldType, Value};

/// Powers of ten beyond this can't fit 256 bits.
const MAX_EXPONENT: u32 = 77;

/// Why a literal is refused, with the remedy.
pub(super) type Refusal = (Problem, String);

/// Reads a literal of a field's type.
pub(super) fn value(field_type: &FieldType, literal: &DeValue<'_>) -> Result<Value, Refusal> {
    match field_type {
        FieldType::Uint | FieldType::Int => Ok(match number(field_type, literal)? {
            Number::Uint(n) => Value::Uint(n),
            Number::Int(n) => Value::Int(n),
        }),
        FieldType::Bool => literal
            .as_bool()
            .map(Value::Bool)
            .ok_or_else(|| wrong_type(field_type, literal, "write true or false without quotes")),
        FieldType::Text => literal
            .as_str()
            .map(|text| Value::Text(text.to_owned()))
            .ok_or_else(|| wrong_type(field_type, literal, "put the text in quotes")),
        FieldType::Address => hexadecimal(field_type, literal, "0x and 40 hex digits in quotes"),
        FieldType::Bytes => hexadecimal(field_type, literal, "0x and hex digits in quotes"),
        FieldType::List(_) | FieldType::Tuple(_) => Err((
            Problem::WrongType { expected: "a plain field".into(), found: literal.type_str() },
            "lists and structs can't be compared: use another field".into(),
        )),
    }
}

fn hexadecimal(
    field_type: &FieldType,
    literal: &DeValue<'_>,
    form: &str,
) -> Result<Value, Refusal> {
    let remedy = || format!("write {form}");
    let text = literal.as_str().ok_or_else(|| wrong_type(field_type, literal, &remedy()))?;
    let parsed = text.starts_with("0x").then(|| match field_type {
        FieldType::Address => text.parse().map(Value::Address).ok(),
        _ => text.parse().map(Value::Bytes).ok(),
    });
    parsed.flatten().ok_or_else(|| bad(field_type, text, remedy()))
}

/// Reads an integer of a field's type (`Uint` or `Int`).
pub(super) fn number(field_type: &FieldType, literal: &DeValue<'_>) -> Result<Number, Refusal> {
    let remedy = || "write digits, \"100e18\", \"1.5 ether\" or \"3 gwei\"".to_owned();
    let (text, negative, magnitude) = match literal {
        DeValue::Integer(integer) => {
            let text = integer.to_string();
            let digits = integer.as_str().trim_start_matches(['+', '-']);
            let magnitude = U256::from_str_radix(digits, u64::from(integer.radix())).ok();
            (text.clone(), text.starts_with('-'), magnitude)
        }
        DeValue::String(text) => {
            let (negative, unsigned) =
                text.trim().strip_prefix('-').map_or((false, text.trim()), |rest| (true, rest));
            let scaled = scaled(unsigned).ok_or_else(|| bad(field_type, text, remedy()))?;
            (text.to_string(), negative, scaled)
        }
        other => return Err(wrong_type(field_type, other, &remedy())),
    };
    let out_of_range = || {
        let (min, max) = match field_type {
            FieldType::Int => (I256::MIN.to_string(), I256::MAX.to_string()),
            _ => ("0".to_owned(), U256::MAX.to_string()),
        };
        let remedy = "a field of this type can never have that value".to_owned();
        (Problem::OutOfRange { number: text.clone(), min, max }, remedy)
    };
    let magnitude = magnitude.ok_or_else(out_of_range)?;
    let number = match field_type {
        FieldType::Int => {
            let sign = if negative {
                alloy::primitives::Sign::Negative
            } else {
                alloy::primitives::Sign::Positive
            };
            I256::checked_from_sign_and_abs(sign, magnitude).map(Number::Int)
        }
        _ => (!negative || magnitude.is_zero()).then_some(Number::Uint(magnitude)),
    };
    number.ok_or_else(out_of_range)
}

/// Reads `123`, `1_000`, `1.5e18`, `1.5 ether`. `None`: not such a number, or
/// not a whole one. `Some(None)`: beyond 256 bits.
#[allow(clippy::option_option)]
fn scaled(text: &str) -> Option<Option<U256>> {
    let (mantissa, exponent) = if let Some((mantissa, unit)) = text.split_once(' ') {
        let exponent = match unit.trim() {
            "ether" => 18,
            "gwei" => 9,
            "wei" => 0,
            _ => return None,
        };
        (mantissa, exponent)
    } else if let Some((mantissa, exponent)) = text.split_once(['e', 'E']) {
        (mantissa, digits(exponent)?.parse::<u32>().unwrap_or(u32::MAX))
    } else {
        (text, 0)
    };
    let (whole, fraction) =
        mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let whole = digits(whole)?;
    let fraction = match fraction {
        Some(fraction) => digits(fraction)?.trim_end_matches('0').to_owned(),
        None => String::new(),
    };
    let significant = format!("{whole}{fraction}");
    if significant.bytes().all(|digit| digit == b'0') {
        return Some(Some(U256::ZERO));
    }
    let shift = exponent.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    if shift > MAX_EXPONENT {
        return Some(None);
    }
    let factor = U256::from(10).pow(U256::from(shift));
    let significant = U256::from_str_radix(&significant, 10).ok();
    Some(significant.and_then(|n| n.checked_mul(factor)))
}

/// Digits without the `_` between them; `None` if there is anything else.
fn digits(text: &str) -> Option<String> {
    let fenced = text.starts_with('_') || text.ends_with('_') || text.is_empty();
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    (!fenced && plain.bytes().all(|b| b.is_ascii_digit())).then_some(plain)
}

fn bad(field_type: &FieldType, text: &str, remedy: String) -> Refusal {
    let text = text.chars().take(80).collect();
    (Problem::BadLiteral { text, expected: field_type.clone() }, remedy)
}

fn wrong_type(field_type: &FieldType, literal: &DeValue<'_>, remedy: &str) -> Refusal {
    let expected = field_type.to_string();
    (Problem::WrongType { expected, found: literal.type_str() }, remedy.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn uint(text: &str) -> Result<U256, Problem> {
        match number(&FieldType::Uint, &DeValue::String(text.into())) {
            Ok(Number::Uint(n)) => Ok(n),
            Ok(other) => panic!("{other:?}"),
            Err((problem, _)) => Err(problem),
        }
    }

    #[test]
    fn amounts_are_scaled_exactly() {
        let ether = U256::from(10).pow(U256::from(18));
        assert_eq!(uint("100e18"), Ok(U256::from(100) * ether));
        assert_eq!(uint("1.5 ether"), Ok(ether * U256::from(3) / U256::from(2)));
        assert_eq!(uint("1.50e1"), Ok(U256::from(15)));
        assert_eq!(uint("3 gwei"), Ok(U256::from(3_000_000_000_u64)));
        assert_eq!(uint("1_000"), Ok(U256::from(1000)));
        assert_eq!(uint("0e999999999999"), Ok(U256::ZERO));
        assert_eq!(uint(&U256::MAX.to_string()), Ok(U256::MAX));
    }

    #[test]
    fn what_is_no_whole_number_is_refused() {
        for text in ["", "e", "1e", ".5", "1.", "1.5", "1.55e1", "1 dollar", "0x10", "1e-1", "_1"] {
            assert!(matches!(uint(text), Err(Problem::BadLiteral { .. })), "{text}");
        }
        for text in ["1e78", "-1", "2e77", "1e4294967296"] {
            assert!(matches!(uint(text), Err(Problem::OutOfRange { .. })), "{text}");
        }
    }

    #[test]
    fn signed_numbers_reach_both_ends() {
        let int = |text: String| number(&FieldType::Int, &DeValue::String(text.into())).ok();
        assert_eq!(int(I256::MIN.to_string()), Some(Number::Int(I256::MIN)));
        assert_eq!(int(I256::MAX.to_string()), Some(Number::Int(I256::MAX)));
        assert_eq!(int(U256::MAX.to_string()), None);
    }
}
