//! Wallets that attest of each other that they are one member's.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::{
    super::{RuleSet, Unlock, memory::State},
    world::{World, ballot, catalog, compiled, set_of, user},
};

/// Of the schema that links are.
const SCHEMA: B256 = B256::repeat_byte(0x11);

const NOBODY: [u8; 0] = [];

fn linked(achievement: &str) -> String {
    format!("links = {{ of = \"eas\", schema = \"{SCHEMA}\" }}\n{}", set_of(achievement))
}

fn world(when: &str) -> World {
    World::new(compiled(&linked(&format!("when = {{ {when} }}"))))
}

/// What was gained and lost, and by whom.
fn told(unlocks: &[Unlock]) -> Vec<(u8, bool, u64)> {
    unlocks.iter().map(|it| (it.request.user[0], it.lapsed.is_none(), it.time)).collect()
}

fn gained(unlocks: &[Unlock]) -> Vec<u8> {
    told(unlocks).into_iter().filter(|it| it.1).map(|it| it.0).collect()
}

/// An attestation, and its revocation, that `by` says of `of`; of several the uids differ.
fn says(world: &mut World, time: u64, what: &str, [by, of, uid]: [u8; 3]) -> Vec<Unlock> {
    let fields = json!({
        "recipient": user(of), "attester": user(by), "uid": B256::repeat_byte(uid),
        "schema_uid": SCHEMA,
    });
    world.apply_at(time, &format!("eas.{what}"), &fields)
}

fn attest(world: &mut World, by: u8, of: u8) -> Vec<Unlock> {
    says(world, world.time(), "attested", [by, of, 1])
}

fn revoke(world: &mut World, by: u8, of: u8) -> Vec<Unlock> {
    says(world, world.time(), "revoked", [by, of, 1])
}

fn vote(world: &mut World, voter: u8, proposal: u64) -> Vec<u8> {
    gained(&world.apply("dao.vote_cast", &ballot(voter, proposal, 1, "1")))
}

#[test]
fn a_link_takes_both_and_who_says_it_first_is_the_member() {
    let mut world = world("event = \"dao.vote_cast\", subject = \"voter\", count = 2");
    attest(&mut world, 1, 3);
    assert_eq!(vote(&mut world, 3, 1), NOBODY, "anybody can say that a wallet is theirs");
    attest(&mut world, 3, 1);
    assert_eq!(vote(&mut world, 3, 2), NOBODY, "what the wallet did before is its own");
    assert_eq!(vote(&mut world, 3, 3), [1]);
    let requested = |wallet| {
        let explained = world.set.explain(&world.state, "a", user(wallet), 2_000).unwrap();
        explained.requested.is_some()
    };
    assert_eq!([1, 2, 3].map(requested), [true, false, true]);
    revoke(&mut world, 3, 1);
    assert_eq!(vote(&mut world, 3, 4), [3], "with its vote of before");
}

#[test]
fn a_wallet_has_one_member_who_is_nobodys_wallet() {
    let mut world = world("event = \"dao.vote_cast\", subject = \"voter\"");
    let mut mutual = |a, b| {
        attest(&mut world, a, b);
        attest(&mut world, b, a);
    };
    mutual(1, 3);
    mutual(2, 3);
    mutual(3, 4);
    mutual(5, 1);
    assert_eq!(vote(&mut world, 3, 1), [1], "not 2, though 3 says so, too");
    assert_eq!(vote(&mut world, 4, 1), [4], "3 is a wallet");
    assert_eq!(vote(&mut world, 5, 1), [5], "1 has a wallet");
    // Whose it was once, it stays, or nobody's.
    revoke(&mut world, 1, 3);
    attest(&mut world, 3, 2);
    assert_eq!(vote(&mut world, 3, 2), [3]);
}

#[test]
fn who_is_whose_wallet_stays_as_it_was_whoever_says_it_anew() {
    let mut world = world("event = \"dao.vote_cast\", subject = \"voter\"");
    attest(&mut world, 1, 3);
    attest(&mut world, 3, 1);
    revoke(&mut world, 1, 3);
    // Now the wallet's attestation is the older one.
    attest(&mut world, 1, 3);
    assert_eq!(vote(&mut world, 3, 1), [1]);
    // What could not be at first may be when either says it again.
    attest(&mut world, 4, 5);
    attest(&mut world, 5, 4);
    attest(&mut world, 2, 4);
    attest(&mut world, 4, 2);
    assert_eq!(vote(&mut world, 4, 1), [4], "4 has a wallet");
    revoke(&mut world, 5, 4);
    attest(&mut world, 2, 4);
    assert_eq!(vote(&mut world, 4, 2), [2], "who said it first is the member all the same");
}

#[test]
fn what_cannot_be_transferred_is_lent_to_nobody_else() {
    let text = format!(
        "attested = {{ of = \"eas\", schema = \"{}\", attester = \"{}\" }}",
        B256::repeat_byte(5),
        user(9)
    );
    let mut world = world(&text);
    let person = json!({
        "recipient": user(3), "attester": user(9), "uid": B256::repeat_byte(7),
        "schema_uid": B256::repeat_byte(5),
    });
    attest(&mut world, 1, 3);
    attest(&mut world, 3, 1);
    assert_eq!(gained(&world.apply("eas.attested", &person)), [1]);
    assert_eq!(gained(&revoke(&mut world, 3, 1)), [3], "it is the wallet's own, too");
    attest(&mut world, 2, 3);
    assert_eq!(gained(&attest(&mut world, 3, 2)), NOBODY);
}

#[test]
fn a_member_has_so_many_wallets_and_no_more() {
    let mut world = world("event = \"dao.vote_cast\", subject = \"voter\"");
    for wallet in 101..=117 {
        attest(&mut world, 1, wallet);
        attest(&mut world, wallet, 1);
    }
    assert_eq!(vote(&mut world, 116, 1), [1]);
    assert_eq!(vote(&mut world, 117, 1), [117]);
}

/// Of what came before the contract's first block nobody knows.
#[test]
fn what_nobody_knew_of_takes_nothing_from_what_is_known() {
    let text = "mode = \"while\"\nwhen = { holds = { token = \"token\", at_least = \"10\", for = \"30s\" } }";
    let mut world = World::new(compiled(&linked(text)));
    attest(&mut world, 1, 3);
    attest(&mut world, 3, 1);
    let move_ = |world: &mut World, time: u64, from: u8, to: u8, value: &str| {
        let fields = json!({ "from": user(from), "to": user(to), "value": value });
        told(&world.apply_at(time, "token.transferred", &fields))
    };
    world.apply_at(2_000, "token.minted", &json!({ "to": user(1), "value": "10" }));
    assert_eq!(move_(&mut world, 2_010, 3, 2, "100"), [], "it was not among the ten");
    assert_eq!(move_(&mut world, 2_020, 1, 3, "10"), [], "it never left");
    assert_eq!(told(&world.begin_at(2_030)), [(1, true, 2_030)]);
    // When the link ends the wallet has it for as long as the link is gone.
    let lost = says(&mut world, 2_035, "revoked", [1, 3, 1]);
    assert_eq!(told(&lost), [(1, false, 2_035)]);
    assert_eq!(told(&world.begin_at(2_070)), [(2, true, 2_040), (3, true, 2_065)]);
}

#[test]
fn only_attestations_of_the_schema_that_were_not_revoked_link() {
    let mut world = world("event = \"dao.vote_cast\", subject = \"voter\"");
    let other = json!({
        "recipient": user(3), "attester": user(1), "uid": B256::repeat_byte(1),
        "schema_uid": B256::repeat_byte(0x12),
    });
    world.apply("eas.attested", &other);
    attest(&mut world, 3, 1);
    assert_eq!(vote(&mut world, 3, 1), [3]);
    attest(&mut world, 4, 1);
    revoke(&mut world, 4, 1);
    attest(&mut world, 1, 4);
    assert_eq!(vote(&mut world, 4, 1), [4]);
    // Of oneself, and of nobody.
    attest(&mut world, 5, 5);
    attest(&mut world, 5, 0);
    assert_eq!(vote(&mut world, 5, 1), [5]);
    // Of two the later one counts: the revocation of the first means nothing.
    let time = world.time();
    says(&mut world, time, "attested", [1, 6, 1]);
    says(&mut world, time, "attested", [6, 1, 1]);
    says(&mut world, time, "attested", [6, 1, 2]);
    says(&mut world, time, "revoked", [6, 1, 1]);
    assert_eq!(vote(&mut world, 6, 1), [1]);
    says(&mut world, time, "revoked", [6, 1, 2]);
    assert_eq!(vote(&mut world, 6, 1), [6]);
}

#[test]
fn amounts_come_with_a_link_and_go_with_it() {
    let text = "mode = \"while\"\nwhen = { holds = { token = \"token\", at_least = \"10\" } }";
    let mut world = World::new(compiled(&linked(text)));
    let mint = |world: &mut World, wallet: u8, value: &str| {
        told(&world.apply("token.minted", &json!({ "to": user(wallet), "value": value })))
    };
    assert_eq!(mint(&mut world, 1, "6"), []);
    assert_eq!(mint(&mut world, 3, "5"), []);
    attest(&mut world, 1, 3);
    assert_eq!(gained(&attest(&mut world, 3, 1)), [1]);
    let moved = json!({ "from": user(1), "to": user(3), "value": "6" });
    assert!(world.apply("token.transferred", &moved).is_empty(), "it never left");
    let lost = told(&revoke(&mut world, 1, 3));
    let of: Vec<_> = lost.iter().map(|it| (it.0, it.1)).collect();
    assert_eq!(of, [(1, false), (3, true)], "the wallet has it all now");
}

#[test]
fn who_has_a_wallet_on_a_list_is_on_it() {
    let when =
        "all = [{ event = \"dao.vote_cast\", subject = \"voter\" }, { listed = \"founders\" }]";
    let mut catalog = catalog();
    let founders = std::sync::Arc::new([user(3)].into());
    catalog.lists.insert(super::world::name("founders"), founders);
    let text = linked(&format!("when = {{ {when} }}"));
    let mut world = World::new(RuleSet::compile("r", &text, &catalog).unwrap());
    assert_eq!(vote(&mut world, 1, 1), NOBODY);
    attest(&mut world, 1, 3);
    assert_eq!(gained(&attest(&mut world, 3, 1)), [1]);
}

/// What landed for a wallet is the wallet's: it may be another's again.
#[test]
fn a_prerequisite_is_on_chain_for_the_member() {
    let mut text = linked("when = { event = \"dao.vote_cast\", subject = \"voter\" }");
    text.push_str(
        "\n[[achievements]]\nname = \"b\"\nid = 2\nrequires = [\"a\"]\n\
         when = { event = \"dao.vote_cast\", subject = \"voter\" }\n",
    );
    let mut world = World::new(compiled(&text));
    attest(&mut world, 1, 3);
    attest(&mut world, 3, 1);
    assert_eq!(vote(&mut world, 3, 1), [1]);
    let land = |world: &mut World, wallet: u8| {
        let fields = json!({
            "user": user(wallet), "id": "1", "token_id": "1", "proof_data": "0x",
        });
        gained(&world.apply("achievements.achievement_unlocked", &fields))
    };
    assert_eq!(land(&mut world, 3), NOBODY);
    assert_eq!(land(&mut world, 1), [1]);
}

#[test]
fn it_is_part_of_the_version_and_of_what_is_read() {
    let when = "when = { event = \"dao.vote_cast\", subject = \"voter\" }";
    let set = compiled(&linked(when));
    let other = linked(when).replace("1111", "1112");
    assert_ne!(set.version(), compiled(&other).version());
    assert_ne!(set.version(), compiled(&set_of(when)).version());
    assert!(set.sources().iter().any(|source| source.contract.as_str() == "eas"));
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    let vote = "when = { event = \"dao.vote_cast\", subject = \"voter\" }";
    let of = |links: &str, when: &str| format!("links = {links}\n{}", set_of(when));
    let delegators = "when = { delegators = { of = \"token\", at_least = 1 } }";
    for (text, said) in [
        (of("{ of = \"eas\" }", vote), "schema"),
        (of("{ schema = \"0x11\" }", vote), "1 bytes"),
        (of(&format!("{{ schema = \"{SCHEMA}\" }}"), vote), "`of`"),
        (of(&format!("{{ of = \"dao\", schema = \"{SCHEMA}\" }}"), vote), "attested"),
        (of(&format!("{{ of = \"easy\", schema = \"{SCHEMA}\" }}"), vote), "did you mean `eas`"),
        (of("{ of = \"eas\", schema = 3 }", vote), "expected"),
        (of("{ of = \"eas\", schema = \"0x\", attester = \"0x\" }", vote), "attester"),
        (linked(delegators), "`delegators` can't stand together"),
    ] {
        let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(all.iter().any(|error| error.contains(said)), "{text}: {all:?}");
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Vote(u8),
    /// A badge goes to a wallet, wherever it was.
    Badge(u64, u8),
    /// Who, of whom, and which of several attestations.
    Attest(u8, u8, u8),
    Revoke(u8, u8, u8),
}

/// A badge that was there before anybody looked; this wallet has it.
const UNKNOWN: (u64, u8) = (3, 1);

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        2 => (1..5_u8).prop_map(What::Vote),
        3 => (1..4_u64, 1..5_u8).prop_map(|(token, wallet)| What::Badge(token, wallet)),
        3 => (1..5_u8, 1..5_u8, 1..3_u8).prop_map(|(by, of, uid)| What::Attest(by, of, uid)),
        2 => (1..5_u8, 1..5_u8, 1..3_u8).prop_map(|(by, of, uid)| What::Revoke(by, of, uid)),
    ]
}

/// What a rule asks for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Votes(u64),
    Badges {
        at_least: usize,
        /// For so many seconds.
        held: u64,
    },
}

impl Asked {
    fn text(self) -> String {
        match self {
            Self::Votes(count) => {
                format!("event = \"dao.vote_cast\", subject = \"voter\", count = {count}")
            }
            Self::Badges { at_least, held: 0 } => {
                format!("holds = {{ nft = \"badge\", at_least = {at_least} }}")
            }
            Self::Badges { at_least, held } => {
                format!("holds = {{ nft = \"badge\", at_least = {at_least}, for = \"{held}s\" }}")
            }
        }
    }
}

/// All of it once more, without anything that is kept from one event to the next but what
/// happened.
#[derive(Default)]
struct Naive {
    /// Which attestation stands last, and when the first of those was made.
    claims: BTreeMap<(u8, u8), (u8, usize)>,
    happened: usize,
    member: BTreeMap<u8, u8>,
    /// Whose wallets were once.
    once: BTreeMap<u8, u8>,
    votes: BTreeMap<u8, u64>,
    owners: BTreeMap<u64, u8>,
    /// Since when enough badges were in somebody's hands, or in those of their wallets.
    since: BTreeMap<u8, u64>,
    has: BTreeSet<u8>,
    had: BTreeSet<u8>,
    said: Vec<(u8, bool, u64)>,
}

impl Naive {
    fn whose(&self, wallet: u8) -> u8 {
        self.member.get(&wallet).copied().unwrap_or(wallet)
    }

    fn badges(&self, of: u8) -> usize {
        self.owners.values().filter(|owner| self.whose(**owner) == of).count()
    }

    fn is_met(&self, asked: Asked, of: u8, time: u64) -> bool {
        let is_free = !self.member.contains_key(&of);
        is_free
            && match asked {
                Asked::Votes(count) => self.votes.get(&of).is_some_and(|it| *it >= count),
                Asked::Badges { held, .. } => {
                    self.since.get(&of).is_some_and(|since| since + held <= time)
                }
            }
    }

    fn decide(&mut self, asked: Asked, lasting: bool, time: u64, only: Option<u8>) {
        for of in (1..5).filter(|of| only.is_none_or(|it| it == *of)) {
            match (self.is_met(asked, of, time), self.has.contains(&of)) {
                (true, false) if lasting || self.had.insert(of) => {
                    self.has.insert(of);
                    self.said.push((of, true, time));
                }
                (false, true) if lasting => {
                    self.has.remove(&of);
                    self.said.push((of, false, time));
                }
                _ => {}
            }
        }
    }

    /// What time alone decides, up to one.
    fn pass(&mut self, asked: Asked, lasting: bool, time: u64) {
        let Asked::Badges { held, .. } = asked else { return };
        let mut due: Vec<_> = self.since.iter().map(|(of, since)| (since + held, *of)).collect();
        due.sort_unstable();
        for (due, of) in due.into_iter().filter(|(due, _)| *due <= time) {
            self.decide(asked, lasting, due, Some(of));
        }
    }

    fn happen(&mut self, asked: Asked, lasting: bool, what: What, time: u64) {
        self.pass(asked, lasting, time);
        self.happened += 1;
        match what {
            What::Vote(voter) => *self.votes.entry(self.whose(voter)).or_default() += 1,
            What::Badge(token, wallet) => {
                if self.owners.contains_key(&token) || (token, wallet) != UNKNOWN {
                    self.owners.insert(token, wallet);
                }
            }
            What::Attest(by, of, uid) if by != of => {
                self.claims.entry((by, of)).or_insert((uid, self.happened)).0 = uid;
                let made = |pair| self.claims.get(&pair).map(|it| it.1);
                let was = |wallet, member| self.once.get(&wallet) == Some(&member);
                let is_second = was(by, of) || !was(of, by) && made((by, of)) > made((of, by));
                let (wallet, member) = if is_second { (by, of) } else { (of, by) };
                let is_free = |it: u8| !self.member.contains_key(&it);
                if self.claims.contains_key(&(of, by))
                    && is_free(wallet)
                    && is_free(member)
                    && self.member.values().all(|it| *it != wallet)
                    && self.once.get(&wallet).is_none_or(|it| *it == member)
                {
                    self.member.insert(wallet, member);
                    self.once.insert(wallet, member);
                }
            }
            What::Revoke(by, of, uid) if self.claims.get(&(by, of)).map(|it| it.0) == Some(uid) => {
                self.claims.remove(&(by, of));
                self.member.retain(|a, b| (*a, *b) != (by, of) && (*a, *b) != (of, by));
            }
            What::Attest(..) | What::Revoke(..) => {}
        }
        if let Asked::Badges { at_least, .. } = asked {
            for of in 1..5 {
                match self.badges(of) >= at_least {
                    true => drop(self.since.entry(of).or_insert(time)),
                    false => drop(self.since.remove(&of)),
                }
            }
        }
        self.decide(asked, lasting, time, None);
    }
}

/// What the rules say of a history.
fn folded(text: &str, history: &[(u64, What)]) -> Vec<(u8, bool, u64)> {
    let mut world = World::new(compiled(text));
    let (mut time, mut said, mut proposal) = (1_000, Vec::new(), 0);
    let mut owners = BTreeMap::new();
    for (seconds, what) in history {
        time += seconds;
        said.extend(match *what {
            What::Vote(voter) => {
                proposal += 1;
                world.apply_at(time, "dao.vote_cast", &ballot(voter, proposal, 1, "1"))
            }
            What::Badge(token, wallet) => {
                let token_id = token.to_string();
                let unknown = Some(UNKNOWN).filter(|it| it.0 == token).map(|it| it.1);
                match owners.insert(token, wallet).or(unknown) {
                    None => {
                        let fields = json!({ "to": user(wallet), "token_id": token_id });
                        world.apply_at(time, "badge.minted", &fields)
                    }
                    Some(from) => {
                        let (from, to) = (user(from), user(wallet));
                        let fields = json!({ "from": from, "to": to, "token_id": token_id });
                        world.apply_at(time, "badge.transferred", &fields)
                    }
                }
            }
            What::Attest(by, of, uid) => says(&mut world, time, "attested", [by, of, uid]),
            What::Revoke(by, of, uid) => says(&mut world, time, "revoked", [by, of, uid]),
        });
    }
    said.extend(world.begin_at(time + 100));
    // It is read again as it is written down.
    let saved: BTreeMap<_, _> = world.state.rows().collect();
    let restored = State::from_saved(saved.clone()).unwrap();
    assert_eq!(restored.rows().collect::<BTreeMap<_, _>>(), saved);
    told(&said)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn links_that_come_and_go_mean_what_a_naive_reading_of_them_means(
        history in vec((0..5_u64, what()), 1..40),
        asked in prop::sample::select(vec![
            Asked::Votes(2),
            Asked::Votes(4),
            Asked::Badges { at_least: 2, held: 0 },
            Asked::Badges { at_least: 1, held: 6 },
            Asked::Badges { at_least: 2, held: 6 },
        ]),
        lasting in any::<bool>(),
    ) {
        let mode = if lasting { "mode = \"while\"\n" } else { "" };
        let text = linked(&format!("{mode}when = {{ {} }}", asked.text()));
        let mut naive = Naive::default();
        let mut time = 1_000;
        for (seconds, what) in &history {
            time += seconds;
            naive.happen(asked, lasting, *what, time);
        }
        naive.pass(asked, lasting, time + 100);
        prop_assert_eq!(folded(&text, &history), naive.said);
    }
}
