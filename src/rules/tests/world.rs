//! The demo's contracts, and events on them.

use std::{collections::BTreeMap, sync::Arc};

use alloy::primitives::{Address, U256, keccak256};
use serde_json::{Value as Json, json};

use super::super::{Catalog, CatalogContract, RuleSet, Unlock};
use crate::{
    domain::{
        BlockRef, Event, EventId, EventSchema, FieldSchema, FieldType, Name, Origin, Position,
        Watermark,
    },
    fold::{Fold, Input},
    governance::Counting,
    rules::memory::State,
};

pub(super) const EXAMPLE: &str = include_str!("../../../config/rules/participation.toml");

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn user(n: u8) -> Address {
    Address::repeat_byte(n)
}

fn schema(event: &str, fields: &[(&str, FieldType)]) -> EventSchema {
    let field = |(field, kind): &(&str, FieldType)| FieldSchema {
        name: (*field).to_owned(),
        field_type: kind.clone(),
    };
    EventSchema { name: name(event), fields: fields.iter().map(field).collect() }
}

fn contract(chain_id: u64, address: u8, kind: &str, events: Vec<EventSchema>) -> CatalogContract {
    CatalogContract {
        chain_id,
        address: user(address),
        created: false,
        clock: None,
        counting: Counting::Standard,
        votes: None,
        kind: kind.to_owned(),
        events,
    }
}

pub(super) fn catalog() -> Catalog {
    use FieldType::{Address, Bool, Bytes, Int, List, Text, Uint};
    let list = |item: FieldType| List(Box::new(item));
    let vote = [
        ("voter", Address),
        ("proposal_id", Uint),
        ("support", Uint),
        ("weight", Uint),
        ("reason", Text),
    ];
    let params = [vote.as_slice(), &[("params", Bytes)]].concat();
    let dao = vec![
        schema(
            "proposal_created",
            &[
                ("proposal_id", Uint),
                ("proposer", Address),
                ("targets", list(Address)),
                ("vote_start", Uint),
                ("vote_end", Uint),
                ("description", Text),
            ],
        ),
        schema("vote_cast", &vote),
        schema("vote_cast_with_params", &params),
        schema("proposal_queued", &[("proposal_id", Uint), ("eta", Uint)]),
    ];
    let badge = vec![
        schema("minted", &[("to", Address), ("token_id", Uint)]),
        schema("transferred", &[("from", Address), ("to", Address), ("token_id", Uint)]),
        schema("burned", &[("from", Address), ("token_id", Uint)]),
    ];
    let contributions = vec![
        schema(
            "contributed",
            &[("member", Address), ("topic", Bytes), ("amount", Uint), ("note", Text)],
        ),
        schema("rated", &[("member", Address), ("points", Int), ("final", Bool)]),
    ];
    let achievements = vec![
        schema(
            "achievement_unlocked",
            &[("user", Address), ("id", Uint), ("token_id", Uint), ("proof_data", Bytes)],
        ),
        schema(
            "achievement_revoked",
            &[("user", Address), ("id", Uint), ("token_id", Uint), ("reason", Text)],
        ),
    ];
    let moves = |what: &[(&str, FieldType)]| {
        let (to, from) = (("to", Address), ("from", Address));
        vec![
            schema("minted", &[std::slice::from_ref(&to), what].concat()),
            schema("transferred", &[&[from.clone(), to], what].concat()),
            schema("burned", &[&[from], what].concat()),
        ]
    };
    let delegation = [("delegator", Address), ("from_delegate", Address), ("to_delegate", Address)];
    let mut token = moves(&[("value", Uint)]);
    token.push(schema("delegate_changed", &delegation));
    token.push(schema(
        "delegate_votes_changed",
        &[("delegate", Address), ("previous_votes", Uint), ("new_votes", Uint)],
    ));
    let mut items = moves(&[("id", Uint), ("value", Uint)]);
    let batch = [("from", Address), ("to", Address), ("ids", list(Uint)), ("values", list(Uint))];
    items.push(schema("transferred_batch", &batch));
    let attestation =
        [("recipient", Address), ("attester", Address), ("uid", Bytes), ("schema_uid", Bytes)];
    Catalog {
        contracts: BTreeMap::from([
            (name("token"), contract(1, 0xee, "votes", token)),
            (
                name("eas"),
                contract(
                    1,
                    0xea,
                    "eas",
                    vec![schema("attested", &attestation), schema("revoked", &attestation)],
                ),
            ),
            (name("items"), contract(1, 0x1e, "erc1155", items)),
            (name("dao"), contract(1, 0xd0, "governor", dao)),
            (name("badge"), contract(1, 0xba, "erc721", badge)),
            (name("contributions"), contract(1, 0xc0, "abi", contributions)),
            (name("achievements"), contract(1, 0xac, "achievements", achievements)),
        ]),
        groups: BTreeMap::new(),
        signers: [name("awards"), name("treasury")].into(),
        links: [(name("wallets"), Arc::new([(user(3), user(1)), (user(4), user(1))].into()))]
            .into(),
        lists: [(name("founders"), Arc::new([user(1), user(2)].into()))].into(),
    }
}

/// A set with one achievement, `a`, and the given `when` and further lines.
pub(super) fn set_of(when: &str) -> String {
    format!(
        "id = \"set\"\nsigner = \"awards\"\nachievements_contract = \"achievements\"\n\
         [[achievements]]\nname = \"a\"\nid = 1\n{when}\n"
    )
}

pub(super) fn compiled(text: &str) -> RuleSet {
    match RuleSet::compile("rules.toml", text, &catalog()) {
        Ok(set) => set,
        Err(errors) => panic!("{}", errors.iter().map(|e| format!("{e}\n")).collect::<String>()),
    }
}

pub(super) fn when(condition: &str) -> RuleSet {
    compiled(&set_of(&format!("[achievements.when]\n{condition}")))
}

/// A block of chain 1; `branch` tells branches apart.
pub(super) fn block(number: u64, branch: u8) -> BlockRef {
    let hash = |number: u64| keccak256([number.to_be_bytes().as_slice(), &[branch]].concat());
    BlockRef {
        number,
        hash: hash(number),
        parent_hash: hash(number.saturating_sub(1)),
        time: 1_000 + number,
    }
}

/// The one event of a block.
pub(super) fn event_in(block: BlockRef, event: &str, fields: &Json) -> Event {
    let (contract, event) = event.split_once('.').unwrap();
    Event {
        id: EventId::of(1, block.hash, block.hash, 0),
        origin: Origin { chain_id: 1, transaction_hash: block.hash, ordinal: 0 },
        chain: name("local"),
        contract: name(contract),
        address: catalog().contracts.get(contract).map(|known| known.address).unwrap_or_default(),
        name: name(event),
        position: Position {
            time: block.time,
            chain_id: 1,
            block: block.number,
            transaction_index: 0,
            log_index: 0,
        },
        block,
        fields: fields.as_object().unwrap().clone().into_iter().collect(),
    }
}

/// A set with its state; each event is in a block of its own.
pub(super) struct World {
    pub(super) set: RuleSet,
    pub(super) state: State,
    block: u64,
    /// Seconds that blocks are later than by their number.
    later: u64,
}

impl World {
    pub(super) fn new(set: RuleSet) -> Self {
        Self { set, state: State::default(), block: 0, later: 0 }
    }

    /// Lets time pass; the next block is the first after it.
    pub(super) fn pass(&mut self, seconds: u64) {
        self.later += seconds;
    }

    /// The number of the next block.
    pub(super) fn next_block(&self) -> u64 {
        self.block + 1
    }

    /// Time of the next block.
    pub(super) fn time(&self) -> u64 {
        1_001 + self.block + self.later
    }

    /// Applies one event and says who was found to have earned what.
    pub(super) fn apply(&mut self, event: &str, fields: &Json) -> Vec<Unlock> {
        self.block += 1;
        let later = self.later;
        let block = block(self.block, 0);
        let event = event_in(BlockRef { time: block.time + later, ..block }, event, fields);
        let mut unlocks = Vec::new();
        let time = event.block.time;
        self.set.begin_block(1, event.block.number, time, &mut self.state, &mut unlocks);
        self.set.apply(&event, &mut self.state, &mut unlocks);
        unlocks
    }

    /// Applies an event of a block at a time.
    pub(super) fn apply_at(&mut self, time: u64, event: &str, fields: &Json) -> Vec<Unlock> {
        self.block += 1;
        let event = event_in(BlockRef { time, ..block(self.block, 0) }, event, fields);
        let mut unlocks = Vec::new();
        self.set.begin_block(1, self.block, time, &mut self.state, &mut unlocks);
        self.set.apply(&event, &mut self.state, &mut unlocks);
        unlocks
    }

    /// Begins a block without events at a time.
    pub(super) fn begin_at(&mut self, time: u64) -> Vec<Unlock> {
        self.block += 1;
        let mut unlocks = Vec::new();
        self.set.begin_block(1, self.block, time, &mut self.state, &mut unlocks);
        unlocks
    }

    /// Begins a block without events.
    pub(super) fn idle(&mut self) -> Vec<Unlock> {
        self.block += 1;
        let (time, mut unlocks) = (1_000 + self.block + self.later, Vec::new());
        self.set.begin_block(1, self.block, time, &mut self.state, &mut unlocks);
        unlocks
    }

    /// Leaves a block without events out.
    pub(super) fn skip(&mut self) {
        self.block += 1;
    }

    pub(super) fn contribute(&mut self, member: u8) -> usize {
        let fields = json!({ "member": user(member).to_checksum(None), "amount": "1" });
        self.apply("contributions.contributed", &fields).len()
    }

    /// A badge comes to somebody, or goes from the one to the other.
    pub(super) fn badge(&mut self, token: u64, from: Option<u8>, to: u8) -> usize {
        let to = user(to).to_checksum(None);
        let unlocks = match from {
            None => self.apply("badge.minted", &json!({ "to": to, "token_id": token.to_string() })),
            Some(from) => {
                let from = user(from).to_checksum(None);
                let fields = json!({ "from": from, "to": to, "token_id": token.to_string() });
                self.apply("badge.transferred", &fields)
            }
        };
        unlocks.len()
    }

    /// The achievements earned by one event, with their users.
    pub(super) fn earned(&mut self, event: &str, fields: &Json) -> Vec<(Address, String)> {
        let unlocks = self.apply(event, fields);
        unlocks.into_iter().map(|u| (u.request.user, u.request.achievement.to_string())).collect()
    }

    pub(super) fn vote(&mut self, voter: u8, proposal: u64, weight: &str) -> usize {
        self.apply("dao.vote_cast", &ballot(voter, proposal, 1, weight)).len()
    }
}

pub(super) fn ballot(voter: u8, proposal: u64, support: u8, weight: &str) -> Json {
    json!({
        "voter": user(voter).to_checksum(None),
        "proposal_id": proposal.to_string(),
        "support": support.to_string(),
        "weight": weight,
        "reason": "because",
    })
}

pub(super) fn ether(n: u64) -> String {
    (U256::from(n) * U256::from(10).pow(U256::from(18))).to_string()
}

/// That the governor has told everything up to a block.
pub(super) fn through(number: u64, branch: u8) -> Input {
    Input::Watermark(Watermark::Progress {
        chain: name("local"),
        chain_id: 1,
        contract: name("dao"),
        through: block(number, branch),
        recent: vec![block(number, branch)],
        finalized: 0,
        events: None,
        digest: None,
        after: None,
    })
}
