//! Rule files, and the expressions in them.

use super::{setting::catalog, story};
use crate::{
    fold::{Fold as _, State, Stored as _},
    rules::{Key, RuleError, RuleSet, Unlock},
};

/// Of an error that a person reads on one line.
const ERROR_CHARS_MAX: usize = 2_000;

/// The text of a rule file.
///
/// It is compiled alike each time, or all that is wrong with it is told with its place.
/// What is compiled decides alike over a story with extreme values, and what it decided can
/// be explained and read back from the store.
pub fn rule_files(bytes: &[u8]) {
    // A file that is no UTF-8 is refused before it is compiled.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let compile = || RuleSet::compile("rules.toml", text, catalog());
    match (compile(), compile()) {
        (Ok(set), Ok(again)) => {
            assert_eq!(set.version(), again.version(), "one text has one version");
            let (told, explained) = played(&set);
            assert_eq!((told, explained), played(&again), "one text decides one way");
        }
        (Err(errors), Err(again)) => {
            assert_eq!(errors, again);
            assert!(!errors.is_empty(), "it is refused, and nobody knows why");
            for error in &errors {
                told(error, text);
            }
        }
        _ => panic!("a text that is compiled once and not another time"),
    }
}

fn told(error: &RuleError, text: &str) {
    let lines = text.split('\n').count();
    assert!((1..=lines).contains(&error.line), "line {} of {lines}: {error}", error.line);
    assert!(!error.remedy.is_empty(), "{error}");
    let length = error.to_string().chars().count();
    assert!(length <= ERROR_CHARS_MAX, "{length} characters: {error}");
}

/// What a set says to the story, and how it explains where everybody stands then.
fn played(set: &RuleSet) -> (Vec<Vec<u8>>, Vec<String>) {
    let read: Vec<_> = set.sources().into_iter().map(|source| source.contract).collect();
    let (mut state, mut said) = (State::<Key>::default(), Vec::new());
    for event in story::events().iter().filter(|event| read.contains(&event.contract)) {
        let (chain_id, block) = (event.position.chain_id, event.block);
        set.begin_block(chain_id, block.number, block.time, &mut state, &mut said);
        set.apply(event, &mut state, &mut said);
    }
    let now = story::end();
    let mut explained = Vec::new();
    for achievement in set.achievements().iter().take(8) {
        for user in story::users() {
            let name = achievement.name.as_str();
            let explanation = set.explain(&state, name, user, now).unwrap();
            explained.push(serde_json::to_string(&explanation).unwrap());
        }
    }
    let stored = said.iter().map(|unlock| {
        let bytes = unlock.to_bytes();
        assert_eq!(Unlock::from_bytes(&bytes).unwrap(), *unlock, "it is read as it was written");
        bytes
    });
    (stored.collect(), explained)
}
