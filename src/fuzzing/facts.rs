//! Facts as they are sent over HTTP.

use std::sync::LazyLock;

use alloy::primitives::{Address, hex};
use hmac::{Hmac, Mac as _};
use serde_json::Value as Json;
use sha2::Sha256;

use crate::{
    domain::{EventSchema, FieldSchema, FieldType, Name},
    facts::{Fact, FactSource, Refused, Signed, WebhookSecret},
};

const SECRET: &str = "hunter2-hunter2";
/// Of the private key 1, with which facts of the corpus are signed.
const SIGNER: &str = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";

static SOURCE: LazyLock<FactSource> = LazyLock::new(|| {
    let fields = [
        ("member", FieldType::Address),
        ("points", FieldType::Uint),
        ("delta", FieldType::Int),
        ("text", FieldType::Text),
        ("thanked", FieldType::Bool),
        ("blob", FieldType::Bytes),
    ];
    let field =
        |(name, field_type): (&str, FieldType)| FieldSchema { name: name.to_owned(), field_type };
    FactSource {
        name: Name::new("forum").unwrap(),
        events: vec![EventSchema {
            name: Name::new("answered").unwrap(),
            fields: fields.into_iter().map(field).collect(),
        }],
        signers: vec![SIGNER.parse().unwrap()],
        secret: Some(WebhookSecret::new(SECRET)),
    }
});

/// The body of a request.
///
/// Without a signature nothing of it is told or taken; with one, the fact is of the types
/// that the source tells, stands for the same whoever signed it, and is read again as it was.
pub fn facts(bytes: &[u8]) {
    let right = mac(bytes);
    let mut wrong = right.clone();
    let last = wrong.pop();
    wrong.push(if last == Some('0') { '1' } else { '0' });
    let refused = read(bytes, Some(&wrong)).unwrap_err();
    assert!(refused.is_about_signature(), "who may say nothing learns something: {refused}");

    let alone = read(bytes, None);
    match read(bytes, Some(&right)) {
        Ok(fact) => {
            assert_eq!(fact.by, Address::ZERO, "the source itself says it");
            taken(bytes, &fact);
            match alone {
                Ok(signed) => {
                    assert!(SOURCE.signers.contains(&signed.by));
                    assert_eq!(Fact { by: fact.by, ..signed }, fact, "it says the same");
                }
                Err(refused) => assert!(refused.is_about_signature(), "{refused}"),
            }
        }
        Err(refused) => {
            short(&refused);
            if let Err(refused) = alone {
                short(&refused);
            } else {
                panic!("a signature makes right what is wrong: {refused}");
            }
        }
    }
}

fn read(body: &[u8], mac: Option<&str>) -> Result<Fact, Refused> {
    SOURCE.read(Signed { body, mac })
}

fn mac(body: &[u8]) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    hmac.update(body);
    format!("sha256={}", hex::encode(hmac.finalize().into_bytes()))
}

fn short(refused: &Refused) {
    assert!(refused.to_string().chars().count() <= 1_000, "a long refusal: {refused}");
}

/// Its fields are those of the schema, and it is the same in other words.
fn taken(body: &[u8], fact: &Fact) {
    assert!((1..=128).contains(&fact.id.chars().count()));
    let schema = &SOURCE.events[0];
    assert_eq!(fact.fields.len(), schema.fields.len());
    for field in &schema.fields {
        let value = crate::domain::Value::from_json(&field.field_type, &fact.fields[&field.name]);
        assert_eq!(
            value.unwrap().to_json(),
            fact.fields[&field.name],
            "a value is written one way"
        );
    }
    let body: Json = serde_json::from_slice(body).unwrap();
    let spaced = serde_json::to_vec_pretty(&body).unwrap();
    assert_eq!(read(&spaced, Some(&mac(&spaced))).as_ref(), Ok(fact), "spaces mean nothing");
}
