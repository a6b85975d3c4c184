//! What others have written, when it is repeated in an error.

/// Longest text that is repeated whole, and the parts of a longer one, in characters.
const WHOLE_MAX: usize = 240;
const BEGIN: usize = 140;
const END: usize = 90;

/// A text, or its begin and its end. serde repeats what stands where it should not, however
/// long that is; what was expected, and where, stands at the end.
pub(crate) fn shortened(text: &impl ToString) -> String {
    let text = text.to_string();
    let length = text.chars().count();
    if length <= WHOLE_MAX {
        return text;
    }
    let begin = text.chars().take(BEGIN);
    begin.chain([' ', '…', ' ']).chain(text.chars().skip(length - END)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_repeats_a_long_text_keeps_what_was_expected_and_where() {
        let json = format!("\"{}\"", "é".repeat(100_000));
        let error = serde_json::from_str::<u64>(&json).err();
        let told = error.map(|error| shortened(&error)).unwrap_or_default();
        assert!(told.chars().count() <= WHOLE_MAX, "{told}");
        assert!(told.starts_with("invalid type: string \"éé"), "{told}");
        assert!(told.ends_with("expected u64 at line 1 column 200002"), "{told}");
        assert_eq!(shortened(&"short"), "short");
    }
}
