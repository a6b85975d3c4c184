//! From the domain's words to messages and back: subject, envelope, id.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value as Json, json};

use super::{outbox::Outgoing, transaction::unix_s};
use crate::{
    domain::{
        Event, Name, Rewind, TransactionMessage, UnlockMessage, UnlockRequest, UnlockState,
        Watermark,
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

/// An event, ready to be published.
///
/// # Errors
/// When it can't be written as JSON.
pub fn event(event: &Event) -> Result<OutMessage, MessageError> {
    let subject = subjects::event(&event.chain, &event.contract, &event.name);
    let p = event.position;
    let envelope = Envelope::new(
        event.id.to_string(),
        format!("/meritd/contracts/{}", event.contract),
        "merit.v1.event",
        UnixTime(event.block.time),
        event,
    )
    .schema(schema("event"))
    .extension(
        "meritposition",
        format!("{}/{}/{}/{}", p.chain_id, p.block, p.transaction_index, p.log_index),
    );
    Ok(OutMessage::new(subject, headers(None), envelope.encode()?))
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
        id,
        format!("/meritd/contracts/{}", watermark.contract()),
        "merit.v1.watermark",
        UnixTime(through.time),
        watermark,
    )
    .schema(schema("watermark"));
    let subject = subjects::watermark(chain, watermark.contract());
    Ok(OutMessage::new(subject, headers(None), envelope.encode()?))
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
    let data = json!({ "actor": actor.to_string(), "reason": why, "origin": origin });
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
    dead_letter(actor, &id, &why, &origin)
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
        "notice": "the evidence of a landed achievement was orphaned; its policy is `alert`",
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
