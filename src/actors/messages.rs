//! From the domain's words to messages and back: subject, envelope, id.

use bytes::Bytes;
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Value as Json, json};

use super::{outbox::Outgoing, transaction::unix_s};
use crate::{
    domain::{
        Event, EventId, Name, Rewind, TransactionMessage, UnlockMessage, UnlockRequest,
        UnlockState, Watermark,
    },
    streams::{
        envelope::{Envelope, EnvelopeError, UnixTime, headers},
        publish::OutMessage,
        subjects::{self, StreamId, Writer},
    },
};

/// Why something is no message, or can't become one.
pub type MessageError = EnvelopeError;

/// Longest message that is read, bytes; the broker's own limit is 8 MiB.
const MAX_BYTES: usize = 8 << 20;

/// Where the JSON Schemas of the data are, relative to the source.
fn schema(name: &str) -> String {
    format!("/schemas/v1/{name}.json")
}

/// Reads the data of a message.
///
/// # Errors
/// When it is no CloudEvent with such data.
pub fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, MessageError> {
    Envelope::decode(payload, MAX_BYTES).map(|envelope| envelope.data)
}

/// The id of a message, if it is one of ours.
#[must_use]
pub fn id(payload: &[u8]) -> Option<String> {
    let envelope = Envelope::<IgnoredAny>::decode(payload, MAX_BYTES);
    envelope.ok().map(|envelope| envelope.id)
}

/// An event, ready to be published.
///
/// # Errors
/// When it can't be written as JSON.
pub fn event(event: &Event) -> Result<OutMessage, MessageError> {
    let subject = subjects::event(&event.chain, &event.contract, &event.name);
    event_as("merit.v1.event", subject, event)
}

/// An event of a block that is not confirmed yet, ready to be published.
///
/// # Errors
/// When it can't be written as JSON.
pub fn provisional_event(event: &Event) -> Result<OutMessage, MessageError> {
    let subject = subjects::provisional_event(&event.chain, &event.contract, &event.name);
    event_as("merit.v1.provisional.event", subject, event)
}

fn event_as(
    kind: &'static str,
    subject: String,
    event: &Event,
) -> Result<OutMessage, MessageError> {
    /// Most events are shorter.
    const USUAL_BYTES: usize = 1024;
    let p = event.position;
    let envelope = EventEnvelope {
        specversion: "1.0",
        id: event.id,
        source: &format!("/meritd/contracts/{}", event.contract),
        kind,
        time: UnixTime(event.block.time),
        datacontenttype: "application/json",
        dataschema: "/schemas/v1/event.json",
        data: event,
        meritposition: &format!(
            "{}/{}/{}/{}",
            p.chain_id, p.block, p.transaction_index, p.log_index
        ),
    };
    let mut payload = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut payload, &envelope)?;
    Ok(OutMessage::new(subject, headers(None), payload.into()))
}

/// An [`Envelope`] that owns nothing: events are what there are millions of.
#[derive(Serialize)]
struct EventEnvelope<'a> {
    specversion: &'static str,
    id: EventId,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    time: UnixTime,
    datacontenttype: &'static str,
    dataschema: &'static str,
    data: &'a Event,
    meritposition: &'a str,
}

/// A rewind, ready to be published. `id` tells it from any other.
///
/// # Errors
/// When it can't be written as JSON.
pub fn rewind(rewind: &Rewind, id: String, at: UnixTime) -> Result<OutMessage, MessageError> {
    let source = format!("/meritd/contracts/{}", rewind.contract);
    let envelope =
        Envelope::new(id, source, "merit.v1.rewind", at, rewind).schema(schema("rewind"));
    let subject = subjects::rewind(&rewind.chain, &rewind.contract);
    Ok(OutMessage::new(subject, headers(None), envelope.encode()?))
}

/// A watermark, ready to be published.
///
/// # Errors
/// When it can't be written as JSON.
pub fn watermark(chain: &Name, watermark: &Watermark) -> Result<OutMessage, MessageError> {
    let subject = subjects::watermark(chain, watermark.contract());
    watermark_as("merit.v1.watermark", subject, watermark).map(|(_, message)| message)
}

/// How far a contract's unconfirmed blocks are told, ready to be published,
/// with its id.
///
/// # Errors
/// When it can't be written as JSON.
pub fn provisional_watermark(
    chain: &Name,
    watermark: &Watermark,
) -> Result<(String, OutMessage), MessageError> {
    let subject = subjects::provisional_watermark(chain, watermark.contract());
    watermark_as("merit.v1.provisional.watermark", subject, watermark)
}

fn watermark_as(
    kind: &'static str,
    subject: String,
    watermark: &Watermark,
) -> Result<(String, OutMessage), MessageError> {
    let through = watermark.complete_through();
    let id = match watermark {
        Watermark::Progress { contract, chain_id, .. } => {
            format!("{chain_id}/{contract}/{}", through.hash)
        }
        Watermark::Retraction { contract, chain_id, from, to, .. } => {
            format!("{chain_id}/{contract}/{}/retracts/{from}-{to}", through.hash)
        }
    };
    let envelope = Envelope::new(
        id.clone(),
        format!("/meritd/contracts/{}", watermark.contract()),
        kind,
        UnixTime(through.time),
        watermark,
    )
    .schema(schema("watermark"));
    Ok((id, OutMessage::new(subject, headers(None), envelope.encode()?)))
}

/// What becomes of an unlock. `mark` makes the id unlike that of any other
/// message about it.
///
/// # Errors
/// When it can't be written as JSON.
pub fn unlock(message: &UnlockMessage, mark: &str) -> Result<Outgoing, MessageError> {
    let request = &message.request;
    let source = match message.state {
        UnlockState::Requested | UnlockState::Retracted => {
            format!("/meritd/rule-sets/{}", request.rule_set)
        }
        _ => format!("/meritd/signers/{}", request.signer),
    };
    let state = message.state;
    let envelope = Envelope::new(
        format!("{}/{}/{mark}", request.id, state.as_str()),
        source,
        format!("merit.v1.unlock.{}", state.as_str()),
        UnixTime(unix_s()),
        message,
    )
    .about(request.user.to_checksum(None))
    .schema(schema("unlock"));
    let subject = subjects::unlock(&request.rule_set, &request.achievement, state);
    outgoing(StreamId::Unlocks, subject, &envelope)
}

/// That an achievement was earned which is told and never lands, or that it is so no
/// more. `mark` as in [`unlock`].
///
/// # Errors
/// When it can't be written as JSON.
pub fn earned(message: &UnlockMessage, mark: &str) -> Result<Outgoing, MessageError> {
    let request = &message.request;
    let (user, achievement) = (request.user.to_checksum(None), &request.achievement);
    let retracted = message.state != UnlockState::Requested;
    let notice = match (retracted, &message.reason) {
        (false, _) => format!("{user} has earned {achievement}"),
        (true, Some(reason)) => format!("{user} has {achievement} no more: {reason}"),
        (true, None) => format!("{user} has not earned {achievement}: its evidence was orphaned"),
    };
    let data = json!({ "notice": notice, "unlock": request, "retracted": retracted });
    let envelope = Envelope::new(
        format!("{}/notice/{}/{mark}", request.id, message.state.as_str()),
        format!("/meritd/rule-sets/{}", request.rule_set),
        "merit.v1.notice",
        UnixTime(unix_s()),
        data,
    )
    .about(user)
    .schema(schema("notice"));
    outgoing(StreamId::Operations, subjects::notice(&request.rule_set), &envelope)
}

/// What [`earned`] told, as what the rule set asks for.
#[must_use]
pub fn read_earned(payload: &[u8]) -> Option<UnlockMessage> {
    #[derive(Deserialize)]
    struct Notice {
        unlock: UnlockRequest,
        retracted: bool,
    }
    let notice: Notice = read(payload).ok()?;
    let state = if notice.retracted { UnlockState::Retracted } else { UnlockState::Requested };
    let (transaction_hash, code, reason) = (None, None, None);
    Some(UnlockMessage { state, request: notice.unlock, transaction_hash, code, reason })
}

/// What becomes of a transaction. `mark` as in [`unlock`].
///
/// # Errors
/// When it can't be written as JSON.
pub fn transaction(message: &TransactionMessage, mark: &str) -> Result<Outgoing, MessageError> {
    let state = message.state.as_str();
    let envelope = Envelope::new(
        format!(
            "{}/{}/{state}/{}/{mark}",
            message.signer,
            message.nonce,
            message.hash.unwrap_or_default()
        ),
        format!("/meritd/signers/{}", message.signer),
        format!("merit.v1.transaction.{state}"),
        UnixTime(unix_s()),
        message,
    )
    .schema(schema("transaction"));
    let subject = subjects::transaction(&message.signer, message.state);
    outgoing(StreamId::Transactions, subject, &envelope)
}

/// A dead letter: what could not be processed, why, and where it came from.
/// The id is the same for every attempt at the same thing.
///
/// # Errors
/// When it can't be written as JSON.
pub fn dead_letter(
    actor: &Writer,
    id: &str,
    why: &str,
    origin: &Json,
) -> Result<Outgoing, MessageError> {
    coded_letter(actor, id, (None, why), origin)
}

fn coded_letter(
    actor: &Writer,
    id: &str,
    (code, why): (Option<&str>, &str),
    origin: &Json,
) -> Result<Outgoing, MessageError> {
    let mut data = json!({ "actor": actor.to_string(), "reason": why, "origin": origin });
    if let (Some(code), Some(data)) = (code, data.as_object_mut()) {
        data.insert("code".to_owned(), json!(code));
    }
    let envelope = Envelope::new(
        id,
        format!("/meritd/actors/{actor}"),
        "merit.v1.dead_letter",
        UnixTime(unix_s()),
        data,
    )
    .schema(schema("dead_letter"));
    outgoing(StreamId::DeadLetters, subjects::dead_letter(actor), &envelope)
}

/// A dead letter of an unlock that the contract refuses for good.
///
/// # Errors
/// When it can't be written as JSON.
pub fn rejected(
    actor: &Writer,
    message: &UnlockMessage,
    mark: &str,
) -> Result<Outgoing, MessageError> {
    let id = format!("rejected/{}/{mark}", message.request.id);
    let why = message.reason.clone().unwrap_or_default();
    let origin = json!({ "unlock": message.request });
    coded_letter(actor, &id, (message.code.as_deref(), &why), &origin)
}

/// A notice: an achievement stays though its evidence was orphaned.
///
/// # Errors
/// When it can't be written as JSON.
pub fn orphaned_but_kept(
    topic: &Name,
    request: &UnlockRequest,
    mark: &str,
) -> Result<Outgoing, MessageError> {
    let data = json!({
        "notice": "a landed achievement was retracted; its policy is `alert`",
        "unlock": request,
    });
    let envelope = Envelope::new(
        format!("orphaned/{}/{mark}", request.id),
        format!("/meritd/signers/{}", request.signer),
        "merit.v1.notice",
        UnixTime(unix_s()),
        data,
    )
    .about(request.user.to_checksum(None))
    .schema(schema("notice"));
    outgoing(StreamId::Operations, subjects::notice(topic), &envelope)
}

/// A notice of a signer to its operators.
///
/// # Errors
/// When it can't be written as JSON.
pub fn signer_notice(signer: &Name, text: &str, mark: &str) -> Result<Outgoing, MessageError> {
    let envelope = Envelope::new(
        format!("notice/{signer}/{mark}"),
        format!("/meritd/signers/{signer}"),
        "merit.v1.notice",
        UnixTime(unix_s()),
        json!({ "notice": text, "signer": signer }),
    )
    .about(signer.to_string())
    .schema(schema("notice"));
    outgoing(StreamId::Operations, subjects::notice(signer), &envelope)
}

/// Any message of an actor's outbox.
///
/// # Errors
/// When it can't be written as JSON.
pub fn outgoing<T: Serialize>(
    stream: StreamId,
    subject: String,
    envelope: &Envelope<T>,
) -> Result<Outgoing, MessageError> {
    let bytes: Bytes = envelope.encode()?;
    // JSON is UTF-8.
    let payload = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Outgoing::Publish { stream, id: envelope.id.clone(), subject, payload })
}

/// Where the schema of a kind of data is; for messages made elsewhere.
#[must_use]
pub fn schema_of(name: &str) -> String {
    schema(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy::primitives::{Address, B256};

    use super::*;
    use crate::domain::{BlockRef, Origin, Position};

    #[test]
    fn an_event_is_written_as_any_envelope_is() {
        let (chain_id, hash) = (31337, B256::repeat_byte(5));
        let event = Event {
            id: EventId::of(chain_id, hash, B256::repeat_byte(7), 3),
            origin: Origin { chain_id, transaction_hash: B256::repeat_byte(7), ordinal: 1 },
            chain: Name::new("local").unwrap(),
            contract: Name::new("dao").unwrap(),
            address: Address::repeat_byte(0xab),
            name: Name::new("vote_cast").unwrap(),
            position: Position { time: 9, chain_id, block: 5, transaction_index: 2, log_index: 3 },
            block: BlockRef { number: 5, hash, parent_hash: B256::ZERO, time: 1_795_219_200 },
            fields: [("reason".to_owned(), json!("weil \"es\" gut ist\n"))].into(),
        };
        let envelope = Envelope::new(
            event.id.to_string(),
            "/meritd/contracts/dao",
            "merit.v1.event",
            UnixTime(event.block.time),
            &event,
        )
        .schema(schema("event"))
        .extension("meritposition", "31337/5/2/3");
        let message = super::event(&event).unwrap();
        assert_eq!(message.payload, envelope.encode().unwrap());
        assert_eq!(message.subject, "merit.v1.events.local.dao.vote_cast");
        assert_eq!(read::<Event>(&message.payload).unwrap(), event);
    }
}
