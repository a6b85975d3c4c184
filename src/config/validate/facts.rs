//! Sources of facts that no chain has.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

use alloy::primitives::Address;

use super::Checker;
use crate::{
    config::{Contract, Facts, SecretRef, raw::RawFacts},
    domain::{EventSchema, FieldSchema, FieldType, Name},
    facts::ID_FIELD,
};

/// Time between watermarks, in seconds.
const HEARTBEAT_S: RangeInclusive<u64> = 1..=3_600;
/// Unless it is said.
const USUAL_HEARTBEAT_S: u64 = 15;
const TYPES: &str = "write \"address\", \"uint\", \"int\", \"bool\", \"text\" or \"bytes\"";

pub(super) fn check_facts(
    c: &mut Checker<'_>,
    raw: Vec<RawFacts>,
    contracts: &[Contract],
) -> Vec<Facts> {
    let mut names = BTreeSet::new();
    let mut checked = Vec::new();
    for (i, facts) in raw.into_iter().enumerate() {
        let key = |part: &str| format!("facts[{i}].{part}");
        let name = c.name(&key("name"), &facts.name, &mut names);
        if name.as_ref().is_some_and(|name| contracts.iter().any(|it| it.name == *name)) {
            let why = "a contract has this name";
            c.problem(
                &key("name"),
                Some(&facts.name),
                why,
                "rules must tell them apart: rename one",
            );
        }
        let signers = facts.signers.iter().filter_map(|text| {
            let signer = text.parse::<Address>().ok().filter(|signer| !signer.is_zero());
            if signer.is_none() {
                let remedy = "write 0x and 40 hex digits";
                c.problem(&key("signers"), Some(text), "not an address", remedy);
            }
            signer
        });
        let signers: Vec<Address> = signers.collect();
        let hmac = facts.hmac.and_then(|text| {
            let parsed = SecretRef::parse(&text, c.dir);
            if parsed.is_none() {
                // It may be the secret.
                let why = "a secret never stands in a file";
                c.problem(&key("hmac"), None, why, "write env:NAME or file:PATH");
            }
            parsed
        });
        if facts.signers.is_empty() && hmac.is_none() {
            let why = "anybody could say anything";
            let remedy =
                "name whose signatures are taken, or a secret: hmac = \"env:FORUM_SECRET\"";
            c.problem(&key("signers"), None, why, remedy);
        }
        let heartbeat_s = facts.heartbeat_s.unwrap_or(USUAL_HEARTBEAT_S);
        if !HEARTBEAT_S.contains(&heartbeat_s) {
            let given = heartbeat_s.to_string();
            let remedy = "rule sets wait so long for facts that don't come: 15";
            c.problem(&key("heartbeat_s"), Some(&given), "from 1 to 3600 seconds", remedy);
        }
        if facts.events.is_empty() {
            let remedy = "say what it tells: events = { posted = { author = \"address\" } }";
            c.problem(&key("events"), None, "it tells nothing", remedy);
        }
        let events = facts.events.iter();
        let events = events.filter_map(|(event, fields)| {
            schema(c, &key(&format!("events.{event}")), event, fields)
        });
        let events: Vec<EventSchema> = events.collect();
        let heartbeat = Duration::from_secs(heartbeat_s);
        checked.extend(name.map(|name| Facts { name, signers, hmac, heartbeat, events }));
    }
    checked
}

fn schema(
    c: &mut Checker<'_>,
    key: &str,
    event: &str,
    fields: &BTreeMap<String, String>,
) -> Option<EventSchema> {
    let remedy = "use 1 to 64 characters of a-z, 0-9, `_` and `-`, starting with a letter";
    let Ok(name) = Name::new(event) else {
        c.problem(key, Some(event), "not a name", remedy);
        return None;
    };
    let mut schema = EventSchema { name, fields: Vec::new() };
    for (field, kind) in fields {
        let key = format!("{key}.{field}");
        if field == ID_FIELD || Name::new(field).is_err() {
            let why = "a field can't have this name";
            c.problem(&key, Some(field), why, "choose another one: each fact has its `fact_id`");
            continue;
        }
        let field_type = match kind.as_str() {
            "address" => FieldType::Address,
            "uint" => FieldType::Uint,
            "int" => FieldType::Int,
            "bool" => FieldType::Bool,
            "text" => FieldType::Text,
            "bytes" => FieldType::Bytes,
            _ => {
                c.problem(&key, Some(kind), "not a type of fields", TYPES);
                continue;
            }
        };
        schema.fields.push(FieldSchema { name: field.clone(), field_type });
    }
    if schema.fields.iter().all(|field| field.field_type != FieldType::Address) {
        let why = "nobody can earn anything by it";
        c.problem(key, None, why, "give it a field of type \"address\": whom it is about");
    }
    Some(schema)
}
