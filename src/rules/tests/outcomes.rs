//! How votes end, as something to be earned by.

use alloy::primitives::U256;
use serde_json::{Value as Json, json};

use super::{
    super::{Asked, Catalog, Question, RuleSet, outcome_events},
    world::{ballot, block, catalog, event_in, name, set_of, through, user},
};
use crate::{
    domain::Watermark,
    fold::{Emitted, Engine, Input, SavedParts},
    governance::{Ask, Clock, Counting},
};

/// The demo's contracts, with a governor whose outcomes can be told.
fn following(clock: Clock) -> Catalog {
    let mut catalog = catalog();
    let dao = catalog.contracts.get_mut("dao").unwrap();
    dao.clock = Some(clock);
    dao.events.extend(outcome_events(true));
    catalog
}

fn rules(when: &str, clock: Clock) -> RuleSet {
    let text = set_of(&format!("[achievements.when]\n{when}"));
    match RuleSet::compile("rules.toml", &text, &following(clock)) {
        Ok(set) => set,
        Err(errors) => panic!("{}", errors.iter().map(|e| format!("{e}\n")).collect::<String>()),
    }
}

const PROPOSED: &str = "event = \"dao.proposal_ended\"\nsubject = \"proposer\"\n\
                        where = \"outcome == 'succeeded'\"";
const WON: &str = "event = \"dao.vote_settled\"\nsubject = \"voter\"\nwhere = \"won\"";

/// A proposal of user 9, with what the governor's clock shows when voting opens
/// and ends.
fn created(proposal: u64, opens: u64, ends: u64) -> (&'static str, Json) {
    let fields = json!({
        "proposal_id": proposal.to_string(),
        "proposer": user(9).to_checksum(None),
        "vote_start": opens.to_string(),
        "vote_end": ends.to_string(),
        "description": "Plant trees",
    });
    ("dao.proposal_created", fields)
}

fn voted(voter: u8, proposal: u64, support: u8, weight: &str) -> (&'static str, Json) {
    ("dao.vote_cast", ballot(voter, proposal, support, weight))
}

fn of_proposal(event: &'static str, proposal: u64) -> (&'static str, Json) {
    (event, json!({ "proposal_id": proposal.to_string(), "eta": "0" }))
}

fn happens(number: u64, branch: u8, (event, fields): (&str, Json)) -> Input {
    Input::Event(event_in(block(number, branch), event, &fields))
}

/// A set in the engine, with a chain that answers.
struct Story {
    engine: Engine<RuleSet>,
    saved: SavedParts,
    quorum: u64,
    asked: Vec<Question>,
    /// Whose was said, and taken back, with the blocks of the evidence.
    said: Vec<(bool, u8, Vec<u64>)>,
}

impl Story {
    fn of(set: RuleSet, quorum: u64) -> Self {
        let engine = Engine::new(set.clone(), set.sources());
        let (asked, said) = (Vec::new(), Vec::new());
        Self { engine, saved: SavedParts::default(), quorum, asked, said }
    }

    fn tell(&mut self, inputs: impl IntoIterator<Item = Input>) -> &mut Self {
        for input in inputs {
            self.engine.handle(input).unwrap();
            self.answer();
        }
        self
    }

    fn answer(&mut self) {
        while let Some(end) = self.engine.waits_for().copied() {
            let set = self.engine.fold().clone();
            let state = self.engine.state();
            let questions = set.questions(state, end.chain_id, end.block, end.time);
            assert!(!questions.is_empty());
            for question in questions {
                let answer = match question.asked {
                    Asked::Governor(_) => self.quorum,
                    Asked::BlockTime { block: number } => block(number, 0).time,
                };
                self.engine.amend(|set, state| set.learn(state, &question, U256::from(answer)));
                self.asked.push(question);
            }
        }
        self.take();
    }

    fn take(&mut self) {
        let effects = self.engine.take_effects();
        self.saved.absorb(&effects.writes);
        for emission in effects.emissions {
            let (says, unlock) = match emission.emitted {
                Emitted::Says(unlock) => (true, unlock),
                Emitted::TakesBack(unlock) => (false, unlock),
            };
            let evidence = unlock.request.evidence.items.iter().map(|item| item.block).collect();
            self.said.push((says, unlock.request.user.0[0], evidence));
        }
    }

    fn restart(&mut self) {
        let set = self.engine.fold().clone();
        self.engine = Engine::restore(set.clone(), set.sources(), self.saved.clone()).unwrap();
        self.answer();
    }
}

/// Created in block 1, open from block 3 to 6 (1003 to 1006 s), user 1 for it
/// with 60 and user 2 against it with 10.
fn plain(clock: Clock) -> Vec<Input> {
    let (opens, ends) = match clock {
        Clock::Timestamp => (1_002, 1_006),
        Clock::Block => (2, 6),
    };
    vec![
        happens(1, 0, created(7, opens, ends)),
        happens(4, 0, voted(1, 7, 1, "60")),
        happens(5, 0, voted(2, 7, 0, "10")),
        through(10, 0),
    ]
}

#[test]
fn a_proposer_earns_when_voting_ends_well() {
    for clock in [Clock::Timestamp, Clock::Block] {
        let mut story = Story::of(rules(PROPOSED, clock), 50);
        story.tell(plain(clock));
        assert_eq!(story.said, [(true, 9, vec![1])], "the creation is what counted");
        let mut story = Story::of(rules(PROPOSED, clock), 61);
        story.tell(plain(clock));
        assert!(story.said.is_empty(), "no quorum");
    }
}

#[test]
fn explain_names_the_votes_that_are_still_open() {
    let mut story = Story::of(rules(WON, Clock::Timestamp), 50);
    story.tell([
        happens(1, 0, created(7, 1_002, 1_900)),
        happens(2, 0, created(8, 1_003, 1_800)),
        happens(5, 0, voted(1, 7, 1, "60")),
        through(10, 0),
    ]);
    let chances = |story: &Story, who: u8| {
        let engine = &story.engine;
        let explained = engine.fold().explain(engine.state(), "a", user(who), 1_010).unwrap();
        let told =
            |it: crate::rules::VoteChance| (it.proposal_id.to::<u64>(), it.closes_after, it.voted);
        explained.chances.into_iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(chances(&story, 1), [(8, 1_800, false), (7, 1_900, true)], "the soonest first");
    assert_eq!(chances(&story, 2), [(8, 1_800, false), (7, 1_900, false)]);
    story.tell([through(901, 0)]);
    assert_eq!(chances(&story, 1), [], "it is earned, and nothing is open");
    assert_eq!(story.said.len(), 1);
}

#[test]
fn voters_earn_by_the_side_that_won() {
    let mut story = Story::of(rules(WON, Clock::Timestamp), 50);
    story.tell(plain(Clock::Timestamp));
    assert_eq!(story.said, [(true, 1, vec![4])]);
    let mut story = Story::of(rules(WON, Clock::Timestamp), 100);
    story.tell(plain(Clock::Timestamp));
    assert_eq!(story.said, [(true, 2, vec![5])], "it was defeated");
    let lost = WON.replace("won", "!won");
    let mut story = Story::of(rules(&lost, Clock::Timestamp), 50);
    story.tell(plain(Clock::Timestamp));
    assert_eq!(story.said, [(true, 2, vec![5])]);
}

#[test]
fn what_must_be_asked_is_asked_once() {
    let mut story = Story::of(rules(WON, Clock::Block), 50);
    story.tell(plain(Clock::Block));
    let asked: Vec<Asked> = story.asked.iter().map(|question| question.asked).collect();
    assert_eq!(
        asked,
        [Asked::Governor(Ask::Quorum { snapshot: 2 }), Asked::BlockTime { block: 7 }]
    );
    let mut story = Story::of(rules(WON, Clock::Timestamp), 50);
    story.tell(plain(Clock::Timestamp));
    assert_eq!(story.asked.len(), 1, "its clock says the time");
}

#[test]
fn governors_that_decide_otherwise_are_asked_otherwise() {
    let of = |counting: Counting, answer: u64| {
        let mut catalog = following(Clock::Block);
        catalog.contracts.get_mut("dao").unwrap().counting = counting;
        let text = set_of(&format!("[achievements.when]\n{PROPOSED}"));
        let set = RuleSet::compile("rules.toml", &text, &catalog).unwrap();
        let version = set.version();
        let mut story = Story::of(set, answer);
        story.tell(plain(Clock::Block));
        let asked: Vec<Asked> = story.asked.iter().map(|question| question.asked).collect();
        (story.said.len(), asked, version)
    };
    let ends = Asked::BlockTime { block: 7 };
    let asks = |ask: Ask| vec![Asked::Governor(ask), ends];
    let (earned, asked, bravo) = of(Counting::Bravo, 60);
    assert_eq!((earned, asked), (1, asks(Ask::QuorumVotes)));
    assert_eq!(of(Counting::Bravo, 61).0, 0);
    // Both when voting is over.
    assert_eq!(of(Counting::Nouns, 60), (1, asks(Ask::QuorumVotesOf), of(Counting::Nouns, 1).2));
    let state = Ask::State { block: 7 };
    assert_eq!(of(Counting::Word, 4), (1, asks(state), of(Counting::Word, 3).2));
    assert_eq!(of(Counting::Word, 3).0, 0);
    assert_ne!(bravo, of(Counting::Standard, 1).2, "it means something else");
}

#[test]
fn with_what_others_took_back_a_vote_weighs_less() {
    let when = format!("{}\nwhere = \"weight >= 50\"", WON.split("\nwhere").next().unwrap());
    for (taken, earned) in [("10", vec![(true, 1, vec![4])]), ("11", vec![])] {
        let fields = json!({
            "delegate": user(1).to_checksum(None), "proposal_id": "7", "support": "1",
            "weight": taken,
        });
        let mut told = plain(Clock::Timestamp);
        told.insert(2, happens(5, 0, ("dao.vote_reduced", fields)));
        // The log of that comes before another one in the same block.
        told.remove(3);
        let mut story = Story::of(rules(&when, Clock::Timestamp), 1);
        story.tell(told);
        assert_eq!(story.said, earned, "{taken}");
    }
}

#[test]
fn a_cancelled_proposal_settles_nobody_and_leaves_no_ballots() {
    let mut story =
        Story::of(rules("event = \"dao.vote_settled\"\nsubject = \"voter\"", Clock::Timestamp), 1);
    let mut told = plain(Clock::Timestamp);
    told.insert(3, happens(6, 0, of_proposal("dao.proposal_canceled", 7)));
    story.tell(told);
    assert!(story.said.is_empty());
    let ballots = story.engine.state().all();
    assert_eq!(ballots.filter(|(key, _)| matches!(key, crate::rules::Key::Ballot(..))).count(), 0);
}

#[test]
fn a_governor_that_queues_early_has_decided() {
    let mut story = Story::of(rules(PROPOSED, Clock::Timestamp), 50);
    story.tell([
        happens(1, 0, created(7, 1_002, 2_000)),
        happens(4, 0, voted(1, 7, 1, "60")),
        happens(5, 0, of_proposal("dao.proposal_queued", 7)),
        through(5, 0),
    ]);
    assert_eq!(story.said, [(true, 9, vec![1])]);
}

#[test]
fn several_votes_of_one_voter_are_one_choice() {
    let mut story = Story::of(rules(WON, Clock::Timestamp), 1);
    story.tell([
        happens(1, 0, created(7, 1_002, 1_010)),
        happens(4, 0, voted(1, 7, 1, "5")),
        happens(5, 0, voted(1, 7, 0, "8")),
        happens(6, 0, voted(2, 7, 1, "9")),
        through(20, 0),
    ]);
    assert_eq!(story.said, [(true, 2, vec![6])], "user 1 was against, on the whole");
}

#[test]
fn windows_look_at_when_voting_ended() {
    // The first second after the deadline, and the first block after it.
    for clock in [Clock::Timestamp, Clock::Block] {
        let until = |second: u64| format!("{WON}\nto = 1970-01-01T00:16:{second:02}Z");
        let mut story = Story::of(rules(&until(48), clock), 1);
        story.tell(plain(clock));
        assert_eq!(story.said.len(), 1, "{clock:?}: it ended at 1007 s");
        let mut story = Story::of(rules(&until(47), clock), 1);
        story.tell(plain(clock));
        assert!(story.said.is_empty(), "{clock:?}");
    }
}

/// Two proposals and a limit to the first: whoever decides in another order
/// gives it to somebody else.
#[test]
fn neither_polls_nor_restarts_nor_late_answers_change_what_is_said() {
    for clock in [Clock::Timestamp, Clock::Block] {
        let scale = |point: u64| if clock == Clock::Block { point } else { point + 1_000 };
        let text = set_of(&format!("first = 2\n[achievements.when]\n{WON}"));
        let set = RuleSet::compile("r", &text, &following(clock)).unwrap();
        let events = [
            (1, created(7, scale(2), scale(9))),
            (2, created(8, scale(3), scale(6))),
            (4, voted(1, 7, 1, "60")),
            (5, voted(2, 8, 1, "60")),
            (6, voted(3, 8, 1, "60")),
            (8, voted(4, 7, 1, "60")),
            (12, created(9, scale(100), scale(200))),
        ];
        let run = |polls: &[u64], restarts: bool| {
            let mut story = Story::of(set.clone(), 1);
            let mut told = events.iter().peekable();
            for poll in polls {
                while let Some((at, what)) = told.next_if(|(at, _)| at <= poll) {
                    story.tell([happens(*at, 0, what.clone())]);
                }
                story.tell([through(*poll, 0)]);
                if restarts {
                    story.restart();
                }
            }
            story.said
        };
        let every: Vec<u64> = (1..=15).collect();
        let all = run(&every, false);
        assert_eq!(all, [(true, 2, vec![5]), (true, 3, vec![6])], "{clock:?}");
        for polls in [&every[..], &[15], &[3, 15], &[7, 9, 10, 15], &[11, 15]] {
            for restarts in [false, true] {
                assert_eq!(run(polls, restarts), all, "{clock:?} {polls:?}");
            }
        }
    }
}

/// Who votes on two of three has two thirds when the third has ended, and not
/// before; who votes on it, too, has all.
#[test]
fn a_part_of_the_ended_proposals_is_known_when_all_votes_are_settled() {
    let ratio = "ratio = { of = { event = \"dao.vote_settled\", subject = \"voter\" }, \
                 over = \"dao.proposal_ended\", gte = \"66%\", at_least = 3 }";
    let mut story = Story::of(rules(ratio, Clock::Timestamp), 1);
    for (proposal, begins, voters) in [(7, 1, [1, 2]), (8, 11, [1, 2]), (9, 21, [1, 3])] {
        story.tell([
            happens(begins, 0, created(proposal, 1_000 + begins, 1_005 + begins)),
            happens(begins + 2, 0, voted(voters[0], proposal, 1, "1")),
            happens(begins + 3, 0, voted(voters[1], proposal, 1, "1")),
            through(begins + 9, 0),
        ]);
    }
    assert_eq!(story.said, [(true, 1, vec![3, 13, 23]), (true, 2, vec![4, 14])]);
}

#[test]
fn a_reorg_takes_an_outcome_back_and_asks_again() {
    let mut story = Story::of(rules(PROPOSED, Clock::Timestamp), 50);
    story.tell(plain(Clock::Timestamp));
    let retraction = Input::Watermark(Watermark::Retraction {
        chain: name("local"),
        chain_id: 1,
        contract: name("dao"),
        from: 2,
        to: 10,
        common: block(1, 0),
        after: None,
    });
    story.tell([retraction, happens(4, 9, voted(2, 7, 0, "60")), through(10, 9)]);
    assert_eq!(story.said, [(true, 9, vec![1]), (false, 9, vec![1])], "defeated on this branch");
    assert_eq!(story.asked.len(), 2);
}

#[test]
fn what_can_not_be_told_is_refused_at_load() {
    let text = set_of(&format!("[achievements.when]\n{PROPOSED}"));
    let refused = |text: &str, catalog: &Catalog| {
        let errors = RuleSet::compile("rules.toml", text, catalog).unwrap_err();
        errors.iter().map(|error| format!("{error}\n")).collect::<String>()
    };
    assert!(refused(&text, &catalog()).contains("has no event `proposal_ended`"));

    let mut other = following(Clock::Block);
    other.contracts.get_mut("badge").unwrap().chain_id = 2;
    let both = set_of(&format!(
        "[achievements.when]\nall = [{{ {} }}, {{ holds = {{ nft = \"badge\" }} }}]",
        PROPOSED.replace('\n', ", ")
    ));
    let why = refused(&both, &other);
    assert!(why.contains("governor `dao` counts blocks, and the set reads other chains"), "{why}");
}
