//! CloudEvents 1.0 in structured JSON: what every message of ours is wrapped
//! in, so that foreign tools know what, when and from where without knowing
//! meritd.
//!
//! Readers ignore attributes they don't know; a message of another
//! `specversion` is refused, because its attributes may mean something else.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value as Json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::shortened::shortened;

/// The media type of the structured mode.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";
/// The header that carries it.
const CONTENT_TYPE_HEADER: &str = "content-type";
/// W3C Trace Context.
const TRACEPARENT_HEADER: &str = "traceparent";
/// The specification asks for names that fit everywhere.
const EXTENSION_NAME_MAX: usize = 20;
/// Names that an extension can't have: they are attributes of their own.
const ATTRIBUTES: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "data_base64",
];

/// Why a message is no envelope of ours, or can't become one.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Longer than the reader is willing to parse.
    #[error("message of {size} bytes; at most {limit} are read")]
    TooLarge {
        /// Its length, bytes.
        size: usize,
        /// The reader's limit, bytes.
        limit: usize,
    },
    /// No JSON, an attribute is missing, or the data is of another shape.
    #[error("no CloudEvent of this kind: {}", shortened(.0))]
    Malformed(#[from] serde_json::Error),
    /// An extension's name is not one.
    #[error(
        "`{name}` can't name an extension: use 1 to {EXTENSION_NAME_MAX} characters of a-z and 0-9, and no attribute's name"
    )]
    BadExtension {
        /// What was given.
        name: String,
    },
}

/// A CloudEvent with data of type `T`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    specversion: SpecVersion,
    /// Unique within the source, the same for each copy of the message.
    pub id: String,
    /// Who says so, a URI reference such as `/meritd/contracts/dao`.
    pub source: String,
    /// What it is, such as `merit.v1.event`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about, such as a user's address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// When it happened: block time for what the chain says, the sender's clock
    /// for what meritd did.
    pub time: UnixTime,
    datacontenttype: DataContentType,
    /// The JSON Schema of the data, a URI.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dataschema: Option<String>,
    /// The message itself.
    pub data: T,
    /// Attributes of our own, such as `meritposition`; when read, also those
    /// of others.
    #[serde(flatten)]
    pub extensions: BTreeMap<String, Json>,
}

impl<T> Envelope<T> {
    /// An envelope without the optional attributes.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        source: impl Into<String>,
        kind: impl Into<String>,
        time: UnixTime,
        data: T,
    ) -> Self {
        Self {
            specversion: SpecVersion::V1,
            id: id.into(),
            source: source.into(),
            kind: kind.into(),
            subject: None,
            time,
            datacontenttype: DataContentType,
            dataschema: None,
            data,
            extensions: BTreeMap::new(),
        }
    }

    /// Sets what it is about.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets the schema of the data.
    #[must_use]
    pub fn schema(mut self, uri: impl Into<String>) -> Self {
        self.dataschema = Some(uri.into());
        self
    }

    /// Adds an attribute of our own.
    #[must_use]
    pub fn extension(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }
}

impl<T: Serialize> Envelope<T> {
    /// The message's body.
    ///
    /// # Errors
    /// When an extension has a name that CloudEvents doesn't allow, or the
    /// data has a shape that JSON doesn't (a map with other keys than texts).
    pub fn encode(&self) -> Result<Bytes, EnvelopeError> {
        for name in self.extensions.keys() {
            let fits = (1..=EXTENSION_NAME_MAX).contains(&name.len())
                && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            if !fits || ATTRIBUTES.contains(&name.as_str()) {
                return Err(EnvelopeError::BadExtension { name: name.clone() });
            }
        }
        Ok(serde_json::to_vec(self)?.into())
    }
}

impl<T: DeserializeOwned> Envelope<T> {
    /// Reads a message's body of at most `limit` bytes.
    ///
    /// # Errors
    /// When it is longer, or no CloudEvent with such data.
    pub fn decode(payload: &[u8], limit: usize) -> Result<Self, EnvelopeError> {
        let size = payload.len();
        if size > limit {
            return Err(EnvelopeError::TooLarge { size, limit });
        }
        Ok(serde_json::from_slice(payload)?)
    }
}

/// The headers of a message whose body is an envelope. A `traceparent` that
/// is none is left out: a broken trace must not stop a message.
#[must_use]
pub fn headers(traceparent: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE_HEADER, CONTENT_TYPE);
    if let Some(traceparent) = traceparent.filter(|text| is_traceparent(text)) {
        headers.insert(TRACEPARENT_HEADER, traceparent);
    }
    headers
}

/// The trace that a message belongs to.
#[must_use]
pub fn traceparent(headers: &HeaderMap) -> Option<&str> {
    headers.get(TRACEPARENT_HEADER).map(|value| value.as_str()).filter(|text| is_traceparent(text))
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, in lower case.
fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str| part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    parts.iter().map(|part| part.len()).eq([2, 32, 16, 2]) && parts.into_iter().all(hex)
}

/// Seconds since the Unix epoch; in messages RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u64);

impl UnixTime {
    fn text(self) -> Option<String> {
        let seconds = i64::try_from(self.0).ok()?;
        OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok()
    }
}

/// As RFC 3339 writes it; beyond the calendar, its seconds.
impl std::fmt::Display for UnixTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.text() {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} s", self.0),
        }
    }
}

impl Serialize for UnixTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        let text = self.text().ok_or_else(|| S::Error::custom("a time beyond the calendar"))?;
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for UnixTime {
    /// Any offset; fractions of a second are cut off.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = String::deserialize(deserializer)?;
        let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)?;
        u64::try_from(time.unix_timestamp())
            .map(Self)
            .map_err(|_| D::Error::custom(format!("`{text}` is before 1970")))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum SpecVersion {
    #[serde(rename = "1.0")]
    V1,
}

/// Always JSON: `data` is a member of the same document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DataContentType;

const JSON: &str = "application/json";

impl Serialize for DataContentType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(JSON)
    }
}

impl<'de> Deserialize<'de> for DataContentType {
    /// Takes `application/json` with any parameters, and `…+json`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = String::deserialize(deserializer)?;
        let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media == JSON || media.ends_with("+json") {
            return Ok(Self);
        }
        Err(D::Error::custom(format!("data of type `{text}`, expected `{JSON}`")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn envelope() -> Envelope<Json> {
        Envelope::new(
            "0xab",
            "/meritd/contracts/dao",
            "merit.v1.event",
            UnixTime(1_795_219_200),
            json!({"weight": "115792089237316195423570985008687907853269984665640564039457584007913129639935"}),
        )
        .about("0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045")
        .schema("https://meritd.example/schemas/event.json")
        .extension("meritposition", "31337/12/0/3")
    }

    #[test]
    fn it_is_a_cloud_event_in_structured_json() {
        let written: Json = serde_json::from_slice(&envelope().encode().unwrap()).unwrap();
        assert_eq!(
            written,
            json!({
                "specversion": "1.0",
                "id": "0xab",
                "source": "/meritd/contracts/dao",
                "type": "merit.v1.event",
                "subject": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045",
                "time": "2026-11-21T00:00:00Z",
                "datacontenttype": "application/json",
                "dataschema": "https://meritd.example/schemas/event.json",
                "meritposition": "31337/12/0/3",
                "data": {"weight": "115792089237316195423570985008687907853269984665640564039457584007913129639935"},
            })
        );
        assert_eq!(Envelope::decode(written.to_string().as_bytes(), LIMIT).unwrap(), envelope());
    }

    #[test]
    fn unknown_attributes_of_any_type_are_no_obstacle() {
        let mut message = serde_json::to_value(envelope()).unwrap();
        message["sequence"] = json!(7);
        message["newer"] = json!({"nested": [true]});
        message["datacontenttype"] = json!("Application/JSON; charset=utf-8");
        message["time"] = json!("2026-11-21T01:00:00.75+01:00");
        let read: Envelope<Json> = Envelope::decode(message.to_string().as_bytes(), LIMIT).unwrap();
        assert_eq!((read.time, read.data), (UnixTime(1_795_219_200), envelope().data));
    }

    #[test]
    fn what_is_none_is_refused() {
        let body = |change: &dyn Fn(&mut Json)| {
            let mut message = serde_json::to_value(envelope()).unwrap();
            change(&mut message);
            message.to_string()
        };
        let refused = [
            body(&|m| m["specversion"] = json!("2.0")),
            body(&|m| m["time"] = json!("yesterday")),
            body(&|m| m["time"] = json!("1969-12-31T23:59:59Z")),
            body(&|m| m["datacontenttype"] = json!("text/plain")),
            body(&|m| drop(m.as_object_mut().unwrap().remove("id"))),
            "{".to_owned(),
            String::new(),
        ];
        for body in refused {
            let read = Envelope::<Json>::decode(body.as_bytes(), LIMIT);
            assert!(matches!(read, Err(EnvelopeError::Malformed(_))), "{body}");
        }
        let long = Envelope::<Json>::decode(&[b' '; 11], 10);
        assert!(matches!(long, Err(EnvelopeError::TooLarge { size: 11, limit: 10 })));
    }

    #[test]
    fn an_extension_needs_a_proper_name() {
        for bad in ["Upper", "under_score", "", "averyveryverylongname1", "data_base64", "time"] {
            let error = envelope().extension(bad, "x").encode().unwrap_err();
            assert!(matches!(error, EnvelopeError::BadExtension { .. }), "{bad}");
        }
    }

    #[test]
    fn a_trace_travels_in_the_headers_if_it_is_one() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let with = headers(Some(trace));
        assert_eq!(traceparent(&with), Some(trace));
        assert_eq!(with.get("content-type").map(|v| v.as_str()), Some(CONTENT_TYPE));
        for none in [None, Some("00-x\r\nEvil: 1"), Some(""), Some(&trace[1..])] {
            assert_eq!(traceparent(&headers(none)), None);
        }
    }

    #[test]
    fn a_time_beyond_the_year_9999_is_an_error_and_no_panic() {
        for seconds in [253_402_300_800, u64::MAX] {
            let mut late = envelope();
            late.time = UnixTime(seconds);
            assert!(matches!(late.encode(), Err(EnvelopeError::Malformed(_))));
        }
    }

    #[test]
    fn a_number_of_others_is_written_as_it_was_read() {
        let mut message = serde_json::to_value(envelope()).unwrap();
        let number = format!("1{}2", "1".repeat(82));
        message["data"] = json!(0);
        let body = message.to_string().replace("\"data\":0", &format!("\"data\":{number}"));
        let read: Envelope<Json> = Envelope::decode(body.as_bytes(), LIMIT).unwrap();
        assert_eq!(Envelope::decode(&read.encode().unwrap(), LIMIT).unwrap(), read);
    }

    proptest! {
        #[test]
        fn every_envelope_survives_its_message(
            id in ".*",
            seconds in 0_u64..253_402_300_800,
            text in ".*",
            extension in "[a-z0-9]{1,20}",
        ) {
            prop_assume!(!ATTRIBUTES.contains(&extension.as_str()));
            let sent = Envelope::new(id, "s", "k", UnixTime(seconds), text.clone())
                .extension(&extension, text);
            let read = Envelope::decode(&sent.encode().unwrap(), LIMIT).unwrap();
            prop_assert_eq!(sent, read);
        }
    }
}
