#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256},
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use hmac::{Hmac, Mac as _};
use serde_json::{Value as Json, json};
use sha2::Sha256;

use super::{Fact, FactChain, FactSource, ID_FIELD, Refused, Signed, WebhookSecret, signing_hash};
use crate::domain::{EventSchema, FieldSchema, FieldType, Name, Watermark};

const SECRET: &str = "a secret of the forum";

fn key(byte: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(byte)).unwrap()
}

fn source() -> FactSource {
    let field = |name: &str, field_type| FieldSchema { name: name.to_owned(), field_type };
    FactSource {
        name: Name::new("forum").unwrap(),
        events: vec![EventSchema {
            name: Name::new("posted").unwrap(),
            fields: vec![field("author", FieldType::Address), field("likes", FieldType::Uint)],
        }],
        signers: vec![key(1).address()],
        secret: Some(WebhookSecret::new(SECRET)),
    }
}

fn fields() -> Json {
    json!({ "likes": "3", "author": Address::repeat_byte(7).to_checksum(None) })
}

/// A fact as its signer sends it.
fn signed(by: &PrivateKeySigner, id: &str, event: &str, fields: &Json) -> Vec<u8> {
    let sorted: BTreeMap<String, Json> = serde_json::from_value(fields.clone()).unwrap();
    let hash = signing_hash(&source().name, id, event, &sorted);
    let signature = by.sign_hash_sync(&hash).unwrap().to_string();
    let fact = json!({ "id": id, "event": event, "fields": fields, "signature": signature });
    fact.to_string().into_bytes()
}

fn mac(body: &[u8], secret: &str) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    hmac.update(body);
    format!("sha256={}", alloy::hex::encode(hmac.finalize().into_bytes()))
}

fn read(body: &[u8], mac: Option<&str>) -> Result<Fact, Refused> {
    source().read(Signed { body, mac })
}

#[test]
fn what_a_signer_says_is_taken() {
    let fact = read(&signed(&key(1), "post-1", "posted", &fields()), None).unwrap();
    assert_eq!((fact.id.as_str(), fact.event.as_str()), ("post-1", "posted"));
    assert_eq!(fact.by, key(1).address());
    assert_eq!(fact.fields["likes"], "3");
    let again = json!({ "author": fields()["author"], "likes": "3" });
    let other_order = read(&signed(&key(1), "post-1", "posted", &again), None).unwrap();
    assert_eq!(other_order, fact, "the order of fields says nothing");
    let other = read(&signed(&key(1), "post-2", "posted", &fields()), None).unwrap();
    assert_ne!(other.digest, fact.digest);
}

/// EIP-712 by hand: what any wallet signs.
#[test]
fn what_is_signed_is_typed_data() {
    use alloy::primitives::keccak256;
    let text = |text: &str| keccak256(text);
    let sorted: BTreeMap<String, Json> =
        [("b".to_owned(), json!(1)), ("a".to_owned(), json!("x"))].into();
    let domain = keccak256(
        [text("EIP712Domain(string name,string version)"), text("meritd facts"), text("1")]
            .concat(),
    );
    let kind = text("MeritFact(string source,string id,string event,string fields)");
    let fields = text("{\"a\":\"x\",\"b\":1}");
    let fact = keccak256([kind, text("forum"), text("p"), text("posted"), fields].concat());
    let expected = keccak256([b"\x19\x01".as_slice(), domain.as_slice(), fact.as_slice()].concat());
    assert_eq!(signing_hash(&source().name, "p", "posted", &sorted), expected);
}

#[test]
fn what_a_webhook_says_is_taken_by_its_hmac() {
    let body = json!({ "id": "1", "event": "posted", "fields": fields() }).to_string();
    let fact = read(body.as_bytes(), Some(&mac(body.as_bytes(), SECRET))).unwrap();
    assert_eq!(fact.by, Address::ZERO);
    // RFC 4231, test case 2.
    let known = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(mac(b"what do ya want for nothing?", "Jefe"), known);
}

#[test]
fn who_may_not_say_it_is_not_heard() {
    let by_signer = signed(&key(1), "1", "posted", &fields());
    let told = |body: &[u8], mac: Option<&str>| {
        let refused = read(body, mac).unwrap_err();
        assert!(refused.is_about_signature(), "{refused}");
        refused.to_string()
    };
    let unsigned = json!({ "id": "1", "event": "posted", "fields": fields() }).to_string();
    assert!(told(unsigned.as_bytes(), None).contains("not signed"));
    told(&signed(&key(2), "1", "posted", &fields()), None);
    let mut changed: Json = serde_json::from_slice(&by_signer).unwrap();
    for (pointer, value) in [
        ("/id", json!("2")),
        ("/fields/likes", json!("4")),
        ("/signature", json!("0x12")),
        ("/signature", json!("no hex")),
    ] {
        let before = changed.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        told(changed.to_string().as_bytes(), None);
        changed = before;
    }
    told(unsigned.as_bytes(), Some(&mac(unsigned.as_bytes(), "another")));
    told(unsigned.as_bytes(), Some(&mac(b"another body", SECRET)));
    for bad in ["", "sha256=", "sha256=zz", "sha1=00", &"f".repeat(10_000)] {
        told(unsigned.as_bytes(), Some(bad));
    }
    // Even with a good signature within: somebody changed it on the way.
    told(&by_signer, Some(&mac(b"another body", SECRET)));
    let source = FactSource { secret: None, ..source() };
    let mac = mac(unsigned.as_bytes(), "");
    let refused = source.read(Signed { body: unsigned.as_bytes(), mac: Some(&mac) }).unwrap_err();
    assert!(refused.to_string().contains("no HMAC secret"), "{refused}");
    // Whoever may not say anything learns nothing of what may be said.
    told(&signed(&key(2), "1", "no_such_event", &fields()), None);
}

#[test]
fn what_is_no_fact_is_refused_by_what_is_wrong() {
    let author = fields()["author"].clone();
    for (id, event, fields, said) in [
        ("", "posted", fields(), "1 to 128"),
        (&*"x".repeat(129), "posted", fields(), "1 to 128"),
        ("a\u{7}", "posted", fields(), "printable"),
        ("1", "liked", fields(), "`liked` is no event of `forum`; known: posted"),
        ("1", "posted", json!({ "author": author }), "`likes` is missing"),
        ("1", "posted", json!({ "author": author, "likes": "-1" }), "field `likes`"),
        ("1", "posted", json!({ "author": "0x12", "likes": "1" }), "field `author`"),
        ("1", "posted", json!({ "author": author, "likes": "1", "x": 1 }), "no field `x`"),
        ("1", "posted", json!({ "author": author, "likes": "1", "fact_id": "2" }), "`fact_id`"),
    ] {
        let refused = read(&signed(&key(1), id, event, &fields), None).unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
        assert!(!refused.is_about_signature());
    }
    for body in
        ["", "[]", "null", "{\"id\":1}", "{\"id\":\"1\",\"event\":\"posted\",\"fields\":[]}"]
    {
        assert!(matches!(read(body.as_bytes(), None), Err(Refused::Malformed(_))), "{body}");
    }
    let more = json!({ "id": "1", "event": "posted", "fields": fields(), "time": 5 }).to_string();
    assert!(read(more.as_bytes(), None).unwrap_err().to_string().contains("`time`"));
}

#[test]
fn a_secret_shows_itself_to_nobody() {
    assert!(!format!("{:?}", source()).contains(SECRET));
}

fn fact(id: &str) -> Fact {
    read(&signed(&key(1), id, "posted", &fields()), None).unwrap()
}

#[test]
fn facts_have_an_order_with_blocks_that_follow_each_other() {
    let mut chain = FactChain::after(source().name, None);
    let (events, first) = chain.next(&[fact("a"), fact("b")], 1_000);
    let ids: Vec<&Json> = events.iter().map(|event| &event.fields[ID_FIELD]).collect();
    assert_eq!(ids, ["a", "b"]);
    assert!(events[0].position < events[1].position && events[0].id != events[1].id);
    assert_eq!(events[0].address, key(1).address());
    assert!(events[0].position.time == 1_000 && events[0].block.number == 1);
    chain.advance(&first);
    let (none, second) = chain.next(&[], 900);
    assert!(none.is_empty());
    let Watermark::Progress { through, after, finalized, events, .. } = second else {
        panic!("{second:?}")
    };
    assert_eq!((through.number, through.time), (2, 1_000), "a clock that went back is waited for");
    assert_eq!((after, finalized, events), (Some(*first.complete_through()), 2, Some(0)));
    assert_eq!(through.parent_hash, first.complete_through().hash);
}

#[test]
fn the_same_facts_at_another_place_are_other_blocks() {
    let hash = |facts: &[Fact], now| {
        let (_, watermark) = FactChain::after(source().name, None).next(facts, now);
        watermark.complete_through().hash
    };
    assert_eq!(hash(&[fact("a")], 5), hash(&[fact("a")], 5));
    assert_ne!(hash(&[fact("a")], 5), hash(&[fact("a")], 6));
    assert_ne!(hash(&[fact("a"), fact("b")], 5), hash(&[fact("b"), fact("a")], 5));
}
