//! Contracts as they are, and what people do with them at which time.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use alloy::{
    json_abi::JsonAbi,
    primitives::{Address, B256, U256},
};
use serde_json::{Value as Json, json};

use super::super::world::{block, event_in, name};
use crate::{
    chain::adapters::{Adapter, Kind},
    domain::{BlockRef, Position},
    fold::Fold,
    governance::{Clock, Counting},
    rules::{Asked, Catalog, CatalogContract, RuleSet, Unlock, memory::State, outcome_events},
};

pub(super) const ADA: u8 = 0xa1;
pub(super) const BO: u8 = 0xb0;
pub(super) const CY: u8 = 0xc1;
pub(super) const DEE: u8 = 0xde;
/// On the list of the team.
pub(super) const VALE: u8 = 0x77;
/// 2026-01-01T00:00:00Z, a Thursday.
const BEGIN: u64 = 1_767_225_600;
pub(super) const DAY: u64 = 86_400;

const CONTRIBUTIONS: &str = r#"[{"type":"event","name":"Contributed","anonymous":false,"inputs":[
    {"name":"member","type":"address","indexed":true},
    {"name":"amount","type":"uint256","indexed":false}]}]"#;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/rules/gallery")
}

/// The gallery's contracts, decoded as the daemon does.
fn catalog() -> Catalog {
    let contract = |chain_id: u64, byte: u8, kind: Kind| {
        let abi: Option<JsonAbi> =
            (kind == Kind::Abi).then(|| serde_json::from_str(CONTRIBUTIONS).unwrap());
        let adapter = Adapter::for_kind(kind, abi.as_ref()).unwrap();
        let mut events = adapter.schemas();
        let clock = (kind == Kind::Governor).then_some(Clock::Timestamp);
        if clock.is_some() {
            events.extend(outcome_events(true));
        }
        let (kind, address) = (kind.as_str().to_owned(), Address::repeat_byte(byte));
        let votes = clock.is_some().then(|| name("token"));
        CatalogContract {
            chain_id,
            address,
            created: false,
            clock,
            counting: Counting::Standard,
            votes,
            kind,
            events,
        }
    };
    let team = fs::read_to_string(folder().join("team.csv")).unwrap();
    let listed = team.lines().skip(2).filter_map(|line| line.rsplit(',').next());
    Catalog {
        contracts: BTreeMap::from([
            (name("dao"), contract(1, 0xd0, Kind::Governor)),
            (name("dao-l2"), contract(10, 0xd2, Kind::Governor)),
            (name("token"), contract(1, 0xee, Kind::Votes)),
            (name("badge"), contract(1, 0xba, Kind::Erc721)),
            (name("passes"), contract(1, 0x1e, Kind::Erc1155)),
            (name("attestations"), contract(1, 0xea, Kind::Eas)),
            (name("contributions"), contract(1, 0xc0, Kind::Abi)),
            (name("achievements"), contract(1, 0xac, Kind::Achievements)),
        ]),
        groups: BTreeMap::new(),
        signers: [name("awards")].into(),
        links: BTreeMap::new(),
        lists: [(name("team"), Arc::new(listed.map(|it| it.parse().unwrap()).collect()))].into(),
    }
}

/// A set of the gallery on a stage.
pub(super) struct Stage {
    set: RuleSet,
    state: State,
    block: u64,
    now: u64,
    told: Vec<String>,
}

impl Stage {
    pub(super) fn of(file: &str) -> Self {
        let path = folder().join(format!("{file}.toml"));
        let text = fs::read_to_string(&path).unwrap();
        let set = match RuleSet::compile(&format!("{file}.toml"), &text, &catalog()) {
            Ok(set) => set,
            Err(errors) => {
                panic!("{}", errors.iter().map(|e| format!("{e}\n")).collect::<String>())
            }
        };
        assert_eq!(set.id().as_str(), file, "a set is named as its file");
        Self { set, state: State::default(), block: 0, now: BEGIN, told: Vec::new() }
    }

    /// Lets days pass.
    pub(super) fn days(&mut self, days: u64) -> &mut Self {
        self.seconds(days * DAY)
    }

    pub(super) fn seconds(&mut self, seconds: u64) -> &mut Self {
        self.now += seconds;
        self
    }

    /// What was earned (`+`) and lost (`-`) since it was last asked, by whom.
    pub(super) fn earned(&mut self) -> String {
        self.begin(1);
        std::mem::take(&mut self.told).join(" ")
    }

    fn begin(&mut self, chain: u64) {
        self.block += 1;
        while self.set.waits(chain, self.block, self.now, &self.state) {
            for question in self.set.questions(&self.state, chain, self.block, self.now) {
                let answer = match question.asked {
                    Asked::Governor(_) => U256::from(10).pow(U256::from(18)),
                    Asked::BlockTime { .. } => panic!("the clock is the time"),
                };
                self.set.learn(&mut self.state, &question, answer);
            }
        }
        let mut unlocks = Vec::new();
        self.set.begin_block(chain, self.block, self.now, &mut self.state, &mut unlocks);
        self.tell(&unlocks);
    }

    fn tell(&mut self, unlocks: &[Unlock]) {
        for unlock in unlocks {
            let request = &unlock.request;
            let who = match request.user[0] {
                ADA => "ada",
                BO => "bo",
                CY => "cy",
                DEE => "dee",
                VALE => "vale",
                _ => "somebody",
            };
            let sign = if unlock.lapsed.is_some() { '-' } else { '+' };
            let instance = request.instance.map(|it| format!("#{it}")).unwrap_or_default();
            self.told.push(format!("{sign}{who}:{}{instance}", request.achievement));
        }
    }

    /// An event happens.
    pub(super) fn event(&mut self, chain: u64, event: &str, fields: &Json) -> &mut Self {
        self.begin(chain);
        let at = BlockRef { time: self.now, ..block(self.block, 0) };
        let event = event_in(at, event, fields);
        let position = Position { chain_id: chain, ..event.position };
        let event = crate::domain::Event { position, ..event };
        let mut unlocks = Vec::new();
        self.set.apply(&event, &mut self.state, &mut unlocks);
        self.tell(&unlocks);
        self
    }

    /// A proposal on which is voted for a day from now on.
    pub(super) fn propose(&mut self, by: u8, proposal: u64) -> &mut Self {
        let fields = json!({
            "proposal_id": proposal.to_string(),
            "proposer": address(by),
            // Votes count from the second after it.
            "vote_start": (self.now - 1).to_string(),
            "vote_end": (self.now + DAY).to_string(),
            "description": "Plant trees",
        });
        self.event(1, "dao.proposal_created", &fields)
    }

    /// A vote with the weight of two tokens, on the chain of the governor.
    pub(super) fn votes_on(
        &mut self,
        governor: &str,
        by: u8,
        proposal: u64,
        support: u8,
    ) -> &mut Self {
        let fields = json!({
            "voter": address(by),
            "proposal_id": proposal.to_string(),
            "support": support.to_string(),
            "weight": "2000000000000000000",
            "reason": "",
        });
        let chain = if governor == "dao" { 1 } else { 10 };
        self.event(chain, &format!("{governor}.vote_cast"), &fields)
    }

    pub(super) fn votes(&mut self, by: u8, proposal: u64) -> &mut Self {
        self.votes_on("dao", by, proposal, 1)
    }

    /// A badge moves; 0 is nobody.
    pub(super) fn badge(&mut self, from: u8, to: u8, token: u64) -> &mut Self {
        self.moves("badge", from, to, &json!({ "token_id": token.to_string() }))
    }

    /// Whole tokens move; 0 is nobody.
    pub(super) fn pays(&mut self, from: u8, to: u8, tokens: u64) -> &mut Self {
        let value = format!("{tokens}000000000000000000");
        self.moves("token", from, to, &json!({ "value": value }))
    }

    pub(super) fn moves(&mut self, contract: &str, from: u8, to: u8, what: &Json) -> &mut Self {
        let mut fields = what.clone();
        let event = match (from, to) {
            (0, _) => "minted",
            (_, 0) => "burned",
            _ => "transferred",
        };
        if from != 0 {
            fields["from"] = address(from).into();
        }
        if to != 0 {
            fields["to"] = address(to).into();
        }
        self.event(1, &format!("{contract}.{event}"), &fields)
    }

    pub(super) fn delegates(&mut self, from: u8, to: u8) -> &mut Self {
        let fields = json!({
            "delegator": address(from), "from_delegate": address(0), "to_delegate": address(to),
        });
        self.event(1, "token.delegate_changed", &fields)
    }

    /// Somebody can cast so many votes from now on.
    pub(super) fn has_votes(&mut self, delegate: u8, votes: u64) -> &mut Self {
        let fields = json!({
            "delegate": address(delegate), "previous_votes": "0", "new_votes": votes.to_string(),
        });
        self.event(1, "token.delegate_votes_changed", &fields)
    }

    pub(super) fn contributes(&mut self, member: u8, amount: u64) -> &mut Self {
        let fields = json!({ "member": address(member), "amount": amount.to_string() });
        self.event(1, "contributions.contributed", &fields)
    }

    /// The guild attests that somebody is a person, or revokes that.
    pub(super) fn attests(&mut self, of: u8, event: &str) -> &mut Self {
        let fields = json!({
            "recipient": address(of),
            "attester": address(0x99),
            "uid": B256::repeat_byte(of),
            "schema_uid": B256::repeat_byte(0x5a),
        });
        self.event(1, &format!("attestations.{event}"), &fields)
    }

    /// Somebody attests that a wallet is one's own, or revokes that.
    pub(super) fn links(&mut self, by: u8, of: u8, event: &str) -> &mut Self {
        let fields = json!({
            "recipient": address(of),
            "attester": address(by),
            "uid": B256::repeat_byte(by),
            "schema_uid": B256::repeat_byte(0x11),
        });
        self.event(1, &format!("attestations.{event}"), &fields)
    }

    /// An achievement is on chain.
    pub(super) fn lands(&mut self, user: u8, id: u64) -> &mut Self {
        let fields = json!({
            "user": address(user), "id": id.to_string(), "token_id": "1", "proof_data": "0x",
        });
        self.event(1, "achievements.achievement_unlocked", &fields)
    }
}

fn address(of: u8) -> String {
    Address::repeat_byte(of).to_checksum(None)
}

/// All sets of the gallery.
pub(super) fn files() -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name());
    let names = files.filter_map(|file| Some(file.to_str()?.strip_suffix(".toml")?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
