//! Decimal amounts without floats.

use alloy::primitives::U256;

/// Reads a decimal like `0.5` as an integer of `decimals` places
/// (`parse_decimal("0.5", 18)` is 5×10^17). Signs, exponents, empty parts
/// and digits beyond `decimals` are refused.
#[must_use]
pub fn parse_decimal(text: &str, decimals: usize) -> Option<U256> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > decimals.max(1) {
        return None;
    }
    let fraction = if decimals == 0 {
        if fraction.bytes().any(|b| b != b'0') {
            return None;
        }
        String::new()
    } else {
        format!("{fraction:0<decimals$}")
    };
    U256::from_str_radix(&format!("{whole}{fraction}"), 10).ok()
}

/// Like [`parse_decimal`], for amounts that must fit 64 bits less the sign
/// (basis points, percentages).
#[must_use]
pub fn parse_units(text: &str, decimals: usize) -> Option<u32> {
    u32::try_from(parse_decimal(text, decimals)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(parse_decimal("0.5", 18), Some(U256::from(500_000_000_000_000_000_u64)));
        assert_eq!(parse_decimal("100", 9), Some(U256::from(100_000_000_000_u64)));
        assert_eq!(parse_decimal("1.25", 4), Some(U256::from(12_500)));
        assert_eq!(parse_decimal("7", 0), Some(U256::from(7)));
        let too_big = "9".repeat(90);
        for bad in ["", ".", ".5", "1.", "-1", "+1", "1e3", "1.23456", "0x10", " 1", "١", &too_big]
        {
            assert_eq!(parse_decimal(bad, 4), None, "{bad}");
        }
        assert_eq!(parse_decimal("1.5", 0), None);
    }
}
