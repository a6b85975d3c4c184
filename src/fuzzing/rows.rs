//! What a fold wrote into the store, damaged there.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use alloy::primitives::Address;

use super::{first_line, streams::SETS};
use crate::{
    actors::hearing::{Heard, hear},
    fold::{Account, Engine, Input, SavedParts},
    rules::RuleSet,
};

/// Votes, badges and unlocks, with reorgs among them.
const STREAM: &[u8] = include_bytes!("../../fuzz/corpus/streams/reorg.txt");
/// Bytes of a [`Change`].
const CHANGE: usize = 8;
/// Of an error that a person reads on one line.
const ERROR_CHARS_MAX: usize = 1_000;

/// What the stream tells a fold.
static INPUTS: LazyLock<Vec<Input>> = LazyLock::new(|| {
    let (mut account, mut rest, mut inputs) = (Account::new(Vec::new()), STREAM, Vec::new());
    for sequence in 1.. {
        let (line, after) = first_line(rest);
        let line = std::str::from_utf8(line).unwrap();
        let Some((subject, body)) = line.split_once(' ') else { break };
        if let Ok(Heard::Input(input)) = hear(&mut account, sequence, subject, body.as_bytes()) {
            inputs.push(*input);
        }
        rest = after;
    }
    assert!(inputs.len() > 40, "{}", inputs.len());
    inputs
});

/// What each set wrote down in the middle of it.
static SAVED: LazyLock<Vec<SavedParts>> = LazyLock::new(|| {
    let saved = |set: &Arc<RuleSet>| {
        let mut engine = Engine::new(Arc::clone(set), set.sources());
        let mut saved = SavedParts::default();
        for input in first_half() {
            // Some of it is of contracts that this set does not read.
            let _ = engine.handle(input.clone());
            saved.absorb(&engine.take_effects().writes);
        }
        assert!(!saved.state.is_empty() && !saved.journal.is_empty() && !saved.inbox.is_empty());
        saved
    };
    SETS.iter().map(saved).collect()
});

fn first_half() -> &'static [Input] {
    &INPUTS[..INPUTS.len() / 2]
}

/// Which rule set's rows, by the first byte; then what happened to them, one after the other.
///
/// The fold is not restored, shortly, or it goes on: whatever its numbers say now, no input
/// ends it, and what it writes then restores it again.
pub fn rows(bytes: &[u8]) {
    let Some((set, changes)) = bytes.split_first() else { return };
    let set = usize::from(*set) % SETS.len();
    let (rules, mut saved) = (&SETS[set], SAVED[set].clone());
    for change in changes.chunks_exact(CHANGE) {
        apply(change, &mut saved);
    }
    let engine = Engine::restore(Arc::clone(rules), rules.sources(), saved.clone());
    let mut engine = match engine {
        Ok(engine) => engine,
        Err(error) => {
            let told = error.to_string();
            assert!(told.contains("rebuild"), "{told}");
            assert!(told.chars().count() <= ERROR_CHARS_MAX, "{told}");
            return;
        }
    };
    for input in &INPUTS[INPUTS.len() / 2..] {
        let _ = engine.handle(input.clone());
        saved.absorb(&engine.take_effects().writes);
    }
    for achievement in rules.achievements().iter().take(4) {
        let (user, name) = (Address::repeat_byte(0xa1), achievement.name.as_str());
        let now = engine.applied_time();
        rules.explain(engine.state(), name, user, now).unwrap();
    }
    // Rows that nothing touched since may be what a look at each refuses.
    if let Ok(again) = Engine::restore(Arc::clone(rules), rules.sources(), saved) {
        assert_eq!(again.observe().applied_through, engine.observe().applied_through);
    }
}

/// In which area, which row, what becomes of it, at which byte (two bytes), with what (two).
fn apply(change: &[u8], saved: &mut SavedParts) {
    let byte = |at: usize| usize::from(change[at]);
    let area = match byte(0) % 4 {
        0 => &mut saved.state,
        1 => &mut saved.inbox,
        2 => &mut saved.journal,
        _ => &mut saved.meta,
    };
    let row = byte(1) | byte(2) << 8;
    let Some(key) = nth(area, row) else { return };
    let (place, with) = (byte(4) | byte(5) << 8, byte(6) | byte(7) << 8);
    let other = nth(area, with).and_then(|key| area.get(&key).cloned()).unwrap_or_default();
    let Some(value) = area.get_mut(&key) else { return };
    let at = if value.is_empty() { 0 } else { place % value.len() };
    match byte(3) % 6 {
        0 => value.truncate(at),
        1 => *value = other,
        2 => value.insert(at, change[6]),
        3 => drop(area.remove(&key)),
        4 => {
            let value = area.remove(&key).unwrap_or_default();
            let mut key = key;
            let at = if key.is_empty() { 0 } else { place % key.len() };
            if let Some(byte) = key.get_mut(at) {
                *byte ^= change[6];
            }
            area.insert(key, value);
        }
        _ => {
            if let Some(byte) = value.get_mut(at) {
                *byte ^= change[6];
            }
        }
    }
}

fn nth(area: &BTreeMap<Vec<u8>, Vec<u8>>, row: usize) -> Option<Vec<u8>> {
    area.keys().nth(row.checked_rem(area.len())?).cloned()
}
