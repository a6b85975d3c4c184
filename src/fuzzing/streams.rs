//! The stream of events, as the folds hear it.

use std::sync::{Arc, LazyLock};

use super::{first_line, setting::catalog};
use crate::{
    actors::hearing::{Heard, Unheard, hear},
    domain::Name,
    fold::{Account, Engine, Fold, SavedParts, Source},
    governance::{Clock, Counting, Governance, Settings},
    rules::RuleSet,
};

const RULES: [&str; 4] = [
    include_str!("../../config/rules/participation.toml"),
    include_str!("../../config/rules/gallery/crown.toml"),
    include_str!("../../config/rules/gallery/member-while-holding.toml"),
    include_str!("../../config/rules/gallery/winning-side.toml"),
];

pub(super) static SETS: LazyLock<Vec<Arc<RuleSet>>> = LazyLock::new(|| {
    let compile = |text: &&str| Arc::new(RuleSet::compile("r", text, catalog()).unwrap());
    RULES.iter().map(compile).collect()
});

static GOVERNANCE: LazyLock<Arc<Governance>> = LazyLock::new(|| {
    let settings = Settings {
        chain_id: 1,
        governor: Name::new("dao").unwrap(),
        clock: Clock::Timestamp,
        grace_period_s: Some(86_400),
        counting: Counting::Standard,
        benefits: Vec::new(),
    };
    Arc::new(Governance::new(settings).unwrap())
});

/// Messages, each a line: its subject, a space, its body.
///
/// A fold takes them or refuses them, and is as it was when it refuses. What it writes down
/// restores it at any point, to the same.
pub fn streams(bytes: &[u8]) {
    for set in &*SETS {
        folded(Arc::clone(set), set.sources(), bytes);
    }
    let source = Source { chain_id: 1, contract: Name::new("dao").unwrap() };
    folded(Arc::clone(&GOVERNANCE), vec![source], bytes);
}

fn folded<F: Fold + Clone>(fold: F, sources: Vec<Source>, bytes: &[u8]) {
    let mut engine = Engine::new(fold.clone(), sources.clone());
    let (mut account, mut saved) = (Account::new(Vec::new()), SavedParts::default());
    let (mut rest, mut sequence) = (bytes, 0);
    while !rest.is_empty() {
        let (line, after) = first_line(rest);
        (rest, sequence) = (after, sequence + 1);
        let line = String::from_utf8_lossy(line);
        let (subject, body) = line.split_once(' ').unwrap_or((&line, ""));
        match hear(&mut account, sequence, subject, body.as_bytes()) {
            Ok(Heard::Input(input)) => {
                engine.reached(sequence);
                let before = engine.observe();
                if engine.handle(*input).is_err() {
                    assert_eq!(engine.observe().applied_through, before.applied_through);
                }
            }
            Ok(Heard::Rewind(rewind)) => account.rewind(sequence, rewind),
            Ok(Heard::Void) => {}
            // The fold starts anew, or the message is a dead letter.
            Err(Unheard::Hole(_) | Unheard::Unreadable) => {}
        }
        saved.absorb(&engine.take_effects().writes);
    }
    let restored = Engine::restore(fold, sources, saved).unwrap();
    let (now, then) = (engine.observe(), restored.observe());
    assert_eq!(then.applied_through, now.applied_through, "it is restored as it was");
    assert_eq!(then.pending, now.pending);
    assert_eq!(then.undoable_blocks, now.undoable_blocks);
    assert_eq!(then.disputed, now.disputed);
}
