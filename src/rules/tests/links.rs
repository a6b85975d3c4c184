//! Wallets of one member.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::{
    super::{RuleSet, Unlock},
    world::{World, ballot, catalog, compiled, name, set_of, user},
};

const VOTE: &str = "event = \"dao.vote_cast\", subject = \"voter\"";

/// Wallets 3 and 4 are member 1's.
fn linked(when: &str) -> String {
    format!("links = \"wallets\"\n{}", set_of(&format!("when = {{ {when} }}")))
}

fn member(wallet: u8) -> u8 {
    if [3, 4].contains(&wallet) { 1 } else { wallet }
}

fn whose(unlocks: &[Unlock]) -> Vec<u8> {
    unlocks.iter().map(|it| it.request.user[0]).collect()
}

#[test]
fn what_any_wallet_does_the_member_did_and_gets() {
    let mut world = World::new(compiled(&linked(&format!("{VOTE}, count = 3"))));
    let vote = |world: &mut World, voter: u8, proposal: u64| {
        world.apply("dao.vote_cast", &ballot(voter, proposal, 1, "1"))
    };
    assert_eq!(vote(&mut world, 3, 1), []);
    assert_eq!(vote(&mut world, 2, 1), []);
    assert_eq!(vote(&mut world, 1, 2), []);
    let earned = vote(&mut world, 4, 3);
    assert_eq!(whose(&earned), [1]);
    assert_eq!(earned[0].request.evidence.total, 3, "with the logs of all three");
    for wallet in [1, 3, 4] {
        let explained = world.set.explain(&world.state, "a", user(wallet), 2_000).unwrap();
        assert!(explained.requested.is_some(), "{wallet}");
    }
    assert!(world.set.explain(&world.state, "a", user(2), 2_000).unwrap().requested.is_none());
}

#[test]
fn what_moves_between_ones_own_wallets_never_left() {
    let mut world =
        World::new(compiled(&linked("holds = { nft = \"badge\", at_least = 2, for = \"30s\" }")));
    let to = |wallet: u8| user(wallet).to_checksum(None);
    let mint = |token: &str, wallet: u8| json!({ "to": to(wallet), "token_id": token });
    world.apply_at(1_000, "badge.minted", &mint("1", 3));
    world.apply_at(1_000, "badge.minted", &mint("2", 1));
    let moved = json!({ "from": to(3), "to": to(4), "token_id": "1" });
    assert_eq!(world.apply_at(1_020, "badge.transferred", &moved), []);
    assert_eq!(whose(&world.begin_at(1_030)), [1], "two, in two wallets, for all that time");
}

#[test]
fn who_has_a_wallet_on_a_list_is_on_it() {
    let on = |list: &str| {
        let mut catalog = catalog();
        catalog.lists.insert(name("phones"), Arc::new([user(3)].into()));
        let text = linked(&format!("all = [{{ {VOTE} }}, {{ {list} = \"phones\" }}]"));
        let mut world = World::new(RuleSet::compile("r", &text, &catalog).unwrap());
        [1, 4, 2].map(|wallet| world.vote(wallet, 1, "1"))
    };
    assert_eq!(on("listed"), [1, 0, 0], "once, whichever votes");
    assert_eq!(on("not_listed"), [0, 0, 1]);
}

#[test]
fn ones_own_wallet_is_no_delegator() {
    let mut world = World::new(compiled(&linked("delegators = { of = \"token\", at_least = 1 }")));
    let to = |wallet: u8| user(wallet).to_checksum(None);
    for wallet in [2, 3] {
        world.apply("token.minted", &json!({ "to": to(wallet), "value": "5" }));
    }
    let delegate = |world: &mut World, delegator: u8, delegate: u8| {
        let fields = json!({
            "delegator": to(delegator), "from_delegate": to(0), "to_delegate": to(delegate),
        });
        whose(&world.apply("token.delegate_changed", &fields))
    };
    assert!(delegate(&mut world, 3, 4).is_empty());
    assert_eq!(delegate(&mut world, 2, 4), [1]);
}

#[test]
fn expressions_see_addresses_as_the_logs_have_them() {
    let when = format!("{VOTE}, where = \"voter == '{}'\"", user(3).to_checksum(None));
    let mut world = World::new(compiled(&linked(&when)));
    assert_eq!([1, 4, 3].map(|wallet| world.vote(wallet, 1, "1")), [0, 0, 1]);
}

#[test]
fn who_is_linked_is_part_of_the_version() {
    let text = linked(VOTE);
    let version = |catalog: &_| RuleSet::compile("r", &text, catalog).unwrap().version();
    let mut other = catalog();
    other.links.insert(name("wallets"), Arc::new([(user(3), user(1)), (user(4), user(2))].into()));
    assert_ne!(version(&catalog()), version(&other));
    let unlinked = set_of(&format!("when = {{ {VOTE} }}"));
    assert_ne!(version(&catalog()), compiled(&unlinked).version());
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    let of = |links: &str| format!("links = {links}\n{}", set_of(&format!("when = {{ {VOTE} }}")));
    for (text, said) in [
        (of("\"wallet\""), "there is no list `wallet`; did you mean `wallets`"),
        (of("\"founders\""), "the list `founders` has no column `member`"),
        (of("[\"wallets\"]"), "expected text"),
        (of("true"), "expected text"),
        (of("\"../wallets\""), "there is no list"),
    ] {
        let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
        assert!(errors[0].to_string().contains(said), "{text}: {}", errors[0]);
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Vote {
        wallet: u8,
        proposal: u64,
    },
    /// A badge goes to a wallet, wherever it was.
    Badge {
        token: u64,
        wallet: u8,
    },
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        (1..6_u8, 1..4_u64).prop_map(|(wallet, proposal)| What::Vote { wallet, proposal }),
        (1..3_u64, 1..6_u8).prop_map(|(token, wallet)| What::Badge { token, wallet }),
    ]
}

/// What is earned in a history, where `name_of` names wallets.
fn told(text: &str, history: &[(u64, What)], name_of: fn(u8) -> u8) -> Vec<(u8, bool, u64)> {
    let mut world = World::new(compiled(text));
    let mut owners = std::collections::BTreeMap::new();
    let (mut time, mut said) = (1_000, Vec::new());
    let to = |wallet: u8| user(name_of(wallet)).to_checksum(None);
    for (seconds, what) in history {
        time += seconds;
        said.extend(match *what {
            What::Vote { wallet, proposal } => {
                world.apply_at(time, "dao.vote_cast", &ballot(name_of(wallet), proposal, 1, "1"))
            }
            What::Badge { token, wallet } => match owners.insert(token, wallet) {
                None => {
                    let fields = json!({ "to": to(wallet), "token_id": token.to_string() });
                    world.apply_at(time, "badge.minted", &fields)
                }
                Some(from) => {
                    let token = token.to_string();
                    let fields = json!({ "from": to(from), "to": to(wallet), "token_id": token });
                    world.apply_at(time, "badge.transferred", &fields)
                }
            },
        });
    }
    said.extend(world.begin_at(time + 100));
    said.iter().map(|it| (it.request.user[0], it.lapsed.is_none(), it.time)).collect()
}

proptest! {
    /// Linking wallets is the same as if the member had done all of it with one.
    #[test]
    fn linked_wallets_are_as_one(
        history in vec((0..5_u64, what()), 1..30),
        rule in prop::sample::select(vec![
            "event = \"dao.vote_cast\", subject = \"voter\", count = 2",
            "event = \"dao.vote_cast\", subject = \"voter\", distinct = \"proposal_id\", count = 3",
            "event = \"dao.vote_cast\", subject = \"voter\", last = \"8s\", count = 3",
            "event = \"dao.vote_cast\", subject = \"voter\", holding = { nft = \"badge\" }",
            "holds = { nft = \"badge\", for = \"6s\" }",
            "holds = { nft = \"badge\", at_least = 2 }",
        ]),
        lasting in any::<bool>(),
    ) {
        let mode = if lasting { "mode = \"while\"\n" } else { "" };
        let text = set_of(&format!("{mode}when = {{ {rule} }}"));
        let linked = format!("links = \"wallets\"\n{text}");
        prop_assert_eq!(told(&linked, &history, |it| it), told(&text, &history, member));
    }
}
