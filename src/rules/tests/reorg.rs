//! A rule set in the engine: what a reorg does to what was earned.

use super::{
    super::Unlock,
    world::{ballot, block, event_in, name, through, user, when},
};
use crate::{
    domain::Watermark,
    fold::{Emitted, Engine, Input, SavedParts},
};

fn vote(number: u64, branch: u8, voter: u8) -> Input {
    Input::Event(event_in(block(number, branch), "dao.vote_cast", &ballot(voter, number, 1, "1")))
}

#[test]
fn an_orphaned_vote_takes_its_unlock_back_and_survives_a_restart() {
    let rules = "event = \"dao.vote_cast\"\nsubject = \"voter\"\ncount = 2";
    let mut engine = Engine::new(when(rules), when(rules).sources());
    let mut saved = SavedParts::default();
    let mut said: Vec<(bool, Unlock)> = Vec::new();
    let retraction = Input::Watermark(Watermark::Retraction {
        chain: name("local"),
        chain_id: 1,
        contract: name("dao"),
        from: 2,
        to: 3,
        common: block(1, 0),
        after: None,
    });
    let story = [
        vote(1, 0, 1),
        through(1, 0),
        vote(2, 0, 1),
        vote(3, 0, 2),
        through(3, 0),
        retraction,
        vote(2, 9, 2),
        through(2, 9),
        vote(5, 9, 1),
        through(5, 9),
    ];
    for input in story {
        engine.handle(input).unwrap();
        let effects = engine.take_effects();
        saved.absorb(&effects.writes);
        said.extend(effects.emissions.into_iter().map(|emission| match emission.emitted {
            Emitted::Says(unlock) => (true, unlock),
            Emitted::TakesBack(unlock) => (false, unlock),
        }));
        let sources = when(rules).sources();
        engine = Engine::restore(when(rules), sources, saved.clone()).unwrap();
    }
    let users: Vec<_> = said.iter().map(|(says, unlock)| (*says, unlock.request.user)).collect();
    assert_eq!(users, [(true, user(1)), (false, user(1)), (true, user(1))]);
    let blocks = |index: usize| -> Vec<u64> {
        said[index].1.request.evidence.items.iter().map(|item| item.block).collect()
    };
    assert_eq!((blocks(0), blocks(2)), (vec![1, 2], vec![1, 5]));
    assert_eq!(said[0].1.request.id, said[2].1.request.id, "one effect, whatever its evidence");
    let explanation = engine.fold().explain(engine.state(), "a", user(2), u64::MAX).unwrap();
    assert_eq!(explanation.missing, ["1 more dao.vote_cast"], "the vote of block 3 is void");
}
