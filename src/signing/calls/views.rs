//! Many questions to a contract in one `eth_call`: creation code that is never
//! deployed asks them all (`contracts/src/Views.sol`), so that no helper
//! contract has to be on the chain.

use std::sync::LazyLock;

use alloy::{
    primitives::{Address, Bytes},
    sol_types::SolValue as _,
};
use serde::Deserialize;

/// Questions of one call: creation code may have 48 KiB (EIP-3860), what it
/// gives back 24 KiB (EIP-170).
pub const QUESTIONS_MAX: usize = 100;

/// A flag and a word.
const ANSWER_BYTES: usize = 33;

static CODE: LazyLock<Bytes> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Artifact {
        bytecode: Bytes,
    }
    let artifact = include_str!("../../../contracts/artifacts/Views.json");
    // A test reads it.
    serde_json::from_str(artifact).map(|it: Artifact| it.bytecode).unwrap_or_default()
});

/// The input of a call to nobody that asks a contract all of them.
#[must_use]
pub fn ask(contract: Address, questions: Vec<Bytes>) -> Bytes {
    let arguments = (contract, questions).abi_encode_params();
    [CODE.as_ref(), &arguments].concat().into()
}

/// The answers, in order: a word each, or none where there was no such answer.
/// `None` when that is not what so many questions are answered by.
#[must_use]
pub fn answers(given: &[u8], count: usize) -> Option<Vec<Option<&[u8]>>> {
    if given.len() != count * ANSWER_BYTES {
        return None;
    }
    let answers = given.chunks(ANSWER_BYTES).map(|part| match part.split_first()? {
        (1, word) => Some(Some(word)),
        (0, _) => Some(None),
        _ => None,
    });
    answers.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_question_begins_with_the_code_that_asks() {
        let asked = ask(Address::repeat_byte(7), vec![Bytes::from_static(b"question")]);
        assert!(CODE.len() > 100 && asked.starts_with(&CODE));
        assert!(asked.windows(8).any(|part| part == b"question"));
        let most = ask(Address::ZERO, vec![Bytes::from(vec![0; 100]); QUESTIONS_MAX]);
        assert!(most.len() < 49_152, "{}", most.len());
    }

    #[test]
    fn answers_are_words_or_none_and_nothing_else() {
        let word = [9; 32];
        let two = [&[1][..], &word, &[0; 33]].concat();
        assert_eq!(answers(&two, 2).unwrap(), [Some(&word[..]), None]);
        assert_eq!(answers(&[], 0).unwrap().len(), 0);
        for (given, count) in [(&two[..], 1), (&two[1..], 2), (&[], 1), (&[7; 33][..], 1)] {
            assert_eq!(answers(given, count), None, "{count}");
        }
    }
}
