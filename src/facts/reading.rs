//! Whether a fact is right: its form, its fields, and who says so.

use std::collections::BTreeMap;

use alloy::{
    dyn_abi::Eip712Domain,
    primitives::{Address, B256, Signature},
    sol,
    sol_types::{SolStruct as _, eip712_domain},
};
use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use serde_json::Value as Json;
use sha2::Sha256;

use super::{Fact, FactSource};
use crate::{
    domain::{EventSchema, FieldType, Name, Value, ValueError},
    shortened::shortened,
};

sol! {
    /// What is signed: `fields` is their JSON with sorted keys and without spaces.
    struct MeritFact {
        string source;
        string id;
        string event;
        string fields;
    }
}

/// The domain of signed facts.
const DOMAIN: Eip712Domain = eip712_domain! { name: "meritd facts", version: "1", };
/// Longest id, in characters.
const MAX_ID_CHARS: usize = 128;

/// A fact on its way in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    id: String,
    event: String,
    fields: BTreeMap<String, Json>,
    /// 65 bytes, 0x-hex.
    signature: Option<String>,
}

/// Why a fact is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is none.
    #[error("it is no fact: {0}; send {{ \"id\", \"event\", \"fields\", \"signature\" }}")]
    Malformed(String),
    /// Its id is empty, long, or has what can't be shown.
    #[error("its id must have 1 to {MAX_ID_CHARS} printable characters")]
    BadId,
    /// The source does not tell of this.
    #[error("`{event}` is no event of `{facts}`; known: {known}")]
    UnknownEvent {
        /// The event.
        event: String,
        /// The source.
        facts: Name,
        /// What it tells.
        known: String,
    },
    /// A field is missing.
    #[error("field `{field}` is missing: {expected}")]
    MissingField {
        /// Which.
        field: String,
        /// What it is.
        expected: FieldType,
    },
    /// A field that the event does not have.
    #[error("`{event}` has no field `{field}`")]
    UnknownField {
        /// The event.
        event: Name,
        /// The field.
        field: String,
    },
    /// A field is of another type.
    #[error("field `{field}`: {source}")]
    WrongField {
        /// Which.
        field: String,
        /// Why.
        #[source]
        source: ValueError,
    },
    /// Nobody whom the source trusts says so.
    #[error("{0}")]
    Unsigned(&'static str),
}

impl Refused {
    /// Whether it is about who says it, and not about what is said.
    #[must_use]
    pub fn is_about_signature(&self) -> bool {
        matches!(self, Self::Unsigned(_))
    }
}

/// By what a fact was signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'s> {
    /// What was sent.
    pub body: &'s [u8],
    /// `sha256=` and the HMAC of the body in hex, where one was sent beside it.
    pub mac: Option<&'s str>,
}

impl FactSource {
    /// Reads a fact, and checks who says it.
    ///
    /// # Errors
    /// Why it is not taken. Who says it is looked at first: whoever may not say
    /// anything learns nothing of what may be said.
    pub fn read(&self, signed: Signed<'_>) -> Result<Fact, Refused> {
        let by_secret = match signed.mac {
            Some(mac) => Some(self.check_mac(signed.body, mac)?),
            None => None,
        };
        let said: Said = serde_json::from_slice(signed.body)
            .map_err(|error| Refused::Malformed(shortened(&error)))?;
        let hash = signing_hash(&self.name, &said.id, &said.event, &said.fields);
        let by = match (by_secret, &said.signature) {
            (Some(()), _) => Address::ZERO,
            (None, Some(signature)) => self.check_signature(hash, signature)?,
            (None, None) => {
                return Err(Refused::Unsigned(
                    "it is not signed: send a `signature` (EIP-712), or the header \
                     X-Merit-Signature with sha256= and the HMAC of the body",
                ));
            }
        };
        let is_shown = |c: char| !c.is_control();
        let length = said.id.chars().count();
        if !(1..=MAX_ID_CHARS).contains(&length) || !said.id.chars().all(is_shown) {
            return Err(Refused::BadId);
        }
        let schema = self.schema(&said.event)?;
        let fields = checked(schema, &said.fields)?;
        Ok(Fact { id: said.id, event: schema.name.clone(), fields, by, digest: hash })
    }

    fn schema(&self, event: &str) -> Result<&EventSchema, Refused> {
        let found = self.events.iter().find(|schema| schema.name.as_str() == event);
        found.ok_or_else(|| {
            let known: Vec<&str> = self.events.iter().map(|it| it.name.as_str()).collect();
            let event = event.chars().take(Name::MAX_LEN).collect();
            Refused::UnknownEvent { event, facts: self.name.clone(), known: known.join(", ") }
        })
    }

    fn check_mac(&self, body: &[u8], mac: &str) -> Result<(), Refused> {
        let wrong = Refused::Unsigned("the HMAC in X-Merit-Signature is not that of the body");
        let secret = self.secret.as_ref().ok_or(Refused::Unsigned(
            "this source has no HMAC secret: send a `signature` (EIP-712)",
        ))?;
        let given = mac.strip_prefix("sha256=").and_then(|hex| alloy::hex::decode(hex).ok());
        let given =
            given.ok_or(Refused::Unsigned("X-Merit-Signature is sha256= and 64 hex digits"))?;
        // A key of any length is one.
        let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(&secret.0) else {
            return Err(wrong);
        };
        hmac.update(body);
        // In constant time.
        hmac.verify_slice(&given).map_err(|_| wrong)
    }

    fn check_signature(&self, hash: B256, signature: &str) -> Result<Address, Refused> {
        let read = signature.parse::<Signature>();
        let by = read.ok().and_then(|it| it.recover_address_from_prehash(&hash).ok());
        by.filter(|by| self.signers.contains(by)).ok_or(Refused::Unsigned(
            "its signature is of none of the source's signers, or of something else",
        ))
    }
}

/// What is signed of a fact (EIP-712): `MeritFact(string source,string id,string
/// event,string fields)` in the domain `meritd facts`, version `1`.
#[must_use]
pub fn signing_hash(source: &Name, id: &str, event: &str, fields: &BTreeMap<String, Json>) -> B256 {
    // Sorted, and without spaces. Plain JSON: it serialises to memory.
    let fields = serde_json::to_string(fields).unwrap_or_default();
    let (source, id, event) = (source.to_string(), id.to_owned(), event.to_owned());
    MeritFact { source, id, event, fields }.eip712_signing_hash(&DOMAIN)
}

/// The fields as events have them: all of the schema and no others, each in its
/// standard form.
fn checked(
    schema: &EventSchema,
    said: &BTreeMap<String, Json>,
) -> Result<BTreeMap<String, Json>, Refused> {
    if let Some(field) = said.keys().find(|field| schema.field(field).is_none()) {
        let field = field.chars().take(Name::MAX_LEN).collect();
        return Err(Refused::UnknownField { event: schema.name.clone(), field });
    }
    let field = |field: &crate::domain::FieldSchema| {
        let name = field.name.clone();
        let Some(json) = said.get(&name) else {
            return Err(Refused::MissingField { field: name, expected: field.field_type.clone() });
        };
        match Value::from_json(&field.field_type, json) {
            Ok(value) => Ok((name, value.to_json())),
            Err(source) => Err(Refused::WrongField { field: name, source }),
        }
    };
    schema.fields.iter().map(field).collect()
}
