//! Amounts, as they stand in configuration and rules.

use alloy::primitives::U256;

use crate::config::{parse_decimal, parse_units};

/// A decimal number.
///
/// It is refused, or is exactly what is written: digit by digit, whatever the unit.
pub fn amounts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for decimals in [0, 2, 4, 9, 18] {
        let Some(amount) = parse_decimal(text, decimals) else { continue };
        assert_eq!(written(amount, decimals), plain(text), "{decimals} decimals");
        if let Some(units) = parse_units(text, decimals) {
            assert_eq!(U256::from(units), amount);
        }
    }
}

/// An amount as a decimal number, without zeros that say nothing.
fn written(amount: U256, decimals: usize) -> String {
    let digits = format!("{amount:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    plain(&format!("{whole}.{fraction}0"))
}

fn plain(text: &str) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.trim_start_matches('0');
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}
