//! What the outside reads is what `docs/schemas` promises.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use alloy::primitives::{Address, B256};
use jsonschema::Validator;
use meritd::{
    actors::{messages, outbox::Outgoing},
    domain::{Name, Rewind, RewindReason, UnlockMessage, UnlockState},
    streams::{
        envelope::UnixTime,
        subjects::{StreamId, Writer, WriterKind},
    },
};
use serde_json::{Value as Json, json};

use crate::support::{self, Daemon, PATIENCE, until};

/// The schemas of `docs/schemas`, and which messages went through each.
pub(super) struct Schemas {
    validators: BTreeMap<String, Validator>,
    seen: BTreeMap<String, usize>,
    pub(super) wrong: Vec<String>,
}

impl Schemas {
    pub(super) fn load() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
        let mut validators = BTreeMap::new();
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let schema: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let validator = jsonschema::draft202012::options()
                .should_validate_formats(true)
                .build(&schema)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            validators.insert(name, validator);
        }
        Self { validators, seen: BTreeMap::new(), wrong: Vec::new() }
    }

    /// Holds a message to the envelope and to the schema of its subject.
    pub(super) fn take(&mut self, subject: &str, body: &[u8]) {
        let kind = subject.strip_prefix("merit.v1.").unwrap();
        let kind = kind.strip_prefix("provisional.").unwrap_or(kind).split('.').next().unwrap();
        let name = match kind {
            "fences" => {
                *self.seen.entry("fences".to_owned()).or_default() += 1;
                return;
            }
            "events" => "event",
            "watermarks" => "watermark",
            "rewinds" => "rewind",
            "unlocks" => "unlock",
            "transactions" => "transaction",
            "governance" => "governance",
            "benefits" => "benefits",
            "dead_letters" => "dead_letter",
            "notices" => "notice",
            other => panic!("{subject}: no schema for `{other}`"),
        };
        let body: Json = serde_json::from_slice(body).unwrap();
        self.hold(subject, "envelope", &body);
        self.hold(subject, name, &body["data"]);
        if body["dataschema"] != format!("/schemas/v1/{name}.json") {
            self.wrong.push(format!("{subject}: dataschema is {}", body["dataschema"]));
        }
        let expected = subject_of(name, &body["data"]);
        let settled = subject.replacen(".provisional.", ".", 1);
        if expected.is_some_and(|expected| expected != settled) {
            self.wrong.push(format!("{subject}: its data belongs elsewhere: {}", body["data"]));
        }
        self.wrong.extend(
            unchecksummed(&body).into_iter().map(|text| format!("{subject}: {text} is lower case")),
        );
    }

    fn hold(&mut self, subject: &str, name: &str, instance: &Json) {
        *self.seen.entry(name.to_owned()).or_default() += 1;
        let errors = self.validators[name].iter_errors(instance);
        let errors = errors.map(|e| format!("{subject}: {name}{}: {e}", e.instance_path()));
        self.wrong.extend(errors);
    }
}

/// The subject that data says it belongs to.
fn subject_of(schema: &str, data: &Json) -> Option<String> {
    let text = |pointer: &str| data.pointer(pointer).and_then(Json::as_str).unwrap_or("?");
    let tokens = match schema {
        "event" => vec!["events", text("/chain"), text("/contract"), text("/name")],
        "watermark" => vec!["watermarks", text("/chain"), text("/contract")],
        "rewind" => vec!["rewinds", text("/chain"), text("/contract")],
        "unlock" => {
            let request = (text("/request/rule_set"), text("/request/achievement"));
            vec!["unlocks", request.0, request.1, text("/state")]
        }
        "transaction" => vec!["transactions", text("/signer"), text("/state")],
        "governance" => {
            let what = match (text("/what/kind"), text("/what/to")) {
                (vote @ ("vote" | "vote_reduced"), _) => vote,
                (_, "pending") => "created",
                (_, state) => state,
            };
            vec!["governance", text("/chain"), text("/governor"), what]
        }
        "benefits" => vec!["benefits", text("/holder")],
        "dead_letter" => vec!["dead_letters", text("/actor")],
        _ => return None,
    };
    Some(format!("merit.v1.{}", tokens.join(".")))
}

/// Addresses that are not written with their EIP-55 checksum: no pattern can
/// tell.
fn unchecksummed(json: &Json) -> Vec<String> {
    match json {
        Json::String(text) if text.len() == 42 => {
            let address = text.parse::<Address>().ok();
            let wrong = address.filter(|address| address.to_checksum(None) != *text);
            wrong.map(|_| text.clone()).into_iter().collect()
        }
        Json::Array(items) => items.iter().flat_map(unchecksummed).collect(),
        Json::Object(members) => members.values().flat_map(unchecksummed).collect(),
        _ => Vec::new(),
    }
}

/// What this test publishes itself: no message of meritd.
const GARBAGE: &str = "merit.v1.events.local.dao.garbage";

#[tokio::test]
async fn every_message_validates_against_its_schema() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let mut story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.start().await;
    let wire = daemon.listen().await;
    wire.publish(GARBAGE, "no event").await;
    support::play(&world, &mut story).await;
    support::assert_right_outcome(&world, &story).await;
    until("the garbage is a dead letter of both who read it", PATIENCE, async || {
        (daemon.stream(StreamId::DeadLetters).await.len() >= 2).then_some(())
    })
    .await;
    let said = wire.said().await;

    let mut schemas = Schemas::load();
    let mut requests = Vec::new();
    let mut stored = BTreeSet::new();
    for stream in StreamId::ALL {
        for (subject, body) in daemon.stream(stream).await {
            if subject != GARBAGE {
                schemas.take(&subject, &body);
                stored.insert((subject, body));
            }
        }
    }
    for (subject, body) in said {
        if subject != GARBAGE {
            schemas.take(&subject, &body);
            if subject.ends_with(".requested") {
                requests.push(messages::read::<UnlockMessage>(&body).unwrap());
            }
            assert!(stored.contains(&(subject.clone(), body)), "{subject} is on no stream");
        }
    }
    // What a story has no reason to say is made by whoever would say it.
    let request = requests.first().expect("something was asked for").request.clone();
    let rejected = UnlockMessage {
        state: UnlockState::Rejected,
        request: request.clone(),
        transaction_hash: Some(B256::repeat_byte(7)),
        code: Some("achievement_not_defined".into()),
        reason: Some("the contract does not know the achievement".to_owned()),
    };
    let signer = Name::new("awards").unwrap();
    let writer = Writer::new(WriterKind::Signer, signer.clone());
    let event = json!({ "event": request.evidence.items[0].event });
    let governor = Writer::new(WriterKind::Governor, Name::new("dao").unwrap());
    for made in [
        messages::orphaned_but_kept(&signer, &request, "mark"),
        messages::unlock(&rejected, "mark"),
        messages::rejected(&writer, &rejected, "mark"),
        messages::dead_letter(&governor, "id", "of no proposal", &event),
    ] {
        let Outgoing::Publish { subject, payload, .. } = made.unwrap() else {
            panic!("not a message");
        };
        schemas.take(&subject, payload.as_bytes());
    }
    let rewind = Rewind {
        chain: Name::new("local").unwrap(),
        chain_id: 31337,
        contract: Name::new("dao").unwrap(),
        from_block: 7,
        reason: RewindReason::Lost,
        missing: 3,
    };
    let made = messages::rewind(&rewind, "id".to_owned(), UnixTime(1)).unwrap();
    schemas.take(&made.subject, &made.payload);

    println!("{:?}", schemas.seen);
    let total = schemas.wrong.len();
    let mut wrong = schemas.wrong;
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{total} in all, among them:\n{}", wrong.join("\n"));
    let unused: Vec<_> =
        schemas.validators.keys().filter(|name| !schemas.seen.contains_key(*name)).collect();
    assert!(unused.is_empty(), "no message went through {unused:?}");
    assert!(schemas.seen["fences"] > 0, "writers are fenced");
}

#[test]
fn a_schema_refuses_what_its_producer_never_says() {
    let schemas = Schemas::load();
    let hash = B256::ZERO.to_string();
    let block = json!({ "number": 7, "hash": hash, "parent_hash": hash, "time": 1 });
    let good = json!({
        "kind": "retraction", "chain": "local", "chain_id": 31337, "contract": "dao",
        "from": 8, "to": 9, "common": block,
    });
    assert!(schemas.validators["watermark"].is_valid(&good));
    for (pointer, bad) in [
        ("/kind", json!("other")),
        ("/chain", json!("a.b")),
        ("/from", json!("8")),
        ("/to", json!(-1)),
        ("/common/hash", json!("0x7")),
    ] {
        let mut message = good.clone();
        *message.pointer_mut(pointer).unwrap() = bad;
        assert!(!schemas.validators["watermark"].is_valid(&message), "{message}");
    }
    let mut more = good;
    more["unknown"] = json!(true);
    assert!(!schemas.validators["watermark"].is_valid(&more));
}
