//! Declares the streams and the benefits bucket, and refuses to run on ones
//! that would lose truth.

use std::{collections::BTreeMap, time::Duration};

use async_nats::jetstream::{
    self, ErrorCode,
    context::{CreateStreamErrorKind, GetStreamErrorKind},
    kv,
    stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType},
};
use serde::{Deserialize, Serialize};

use super::{
    StreamError,
    connection::{Connection, Link, Nats},
    subjects::StreamId,
};
use crate::breakers::{Classify, FailureClass};

/// The bucket that has each holder's present benefits.
pub const BENEFITS_BUCKET: &str = "merit_benefits";
/// How many past values of a holder's benefits stay readable.
const BENEFITS_HISTORY: i64 = 5;
/// How long the server knows a `Nats-Msg-Id`. Only a first line: consumers
/// recognise duplicates by position or id, for ever.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
const MIB: i64 = 1 << 20;
/// Dead letters wait for a person. When they reach this, new ones are
/// refused, so that whoever writes them stops and says so.
const DEAD_LETTERS_MAX_BYTES: i64 = 256 * MIB;
/// Notices are news: the oldest go.
const OPERATIONS_MAX_BYTES: i64 = 64 * MIB;
/// What is provisional is confirmed or void by then.
const PROVISIONAL_MAX_AGE: Duration = Duration::from_secs(3600);
const PROVISIONAL_MAX_BYTES: i64 = 64 * MIB;

/// How many servers keep each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicas(usize);

impl Replicas {
    /// A single server.
    pub const ONE: Self = Self(1);

    /// 1, 3 or 5: an even number adds a server that can fail, not one that may.
    #[must_use]
    pub fn new(count: usize) -> Option<Self> {
        matches!(count, 1 | 3 | 5).then_some(Self(count))
    }
}

/// Which stream of a name this is: the time at which the server made it, in
/// nanoseconds since the Unix epoch. A stream that was deleted and made anew
/// has another, and its sequences mean other messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamIncarnation(u64);

impl StreamIncarnation {
    /// When the stream was made, milliseconds since the Unix epoch.
    #[must_use]
    pub fn unix_ms(self) -> u64 {
        self.0 / 1_000_000
    }

    #[cfg(feature = "simulation")]
    pub(super) fn made_at_ns(unix_ns: u64) -> Self {
        Self(unix_ns)
    }

    pub(super) fn of(info: &Info) -> Self {
        Self(u64::try_from(info.created.unix_timestamp_nanos()).unwrap_or(0))
    }
}

/// All streams as they are now.
pub type Incarnations = BTreeMap<StreamId, StreamIncarnation>;

/// Why the streams are not as meritd needs them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// A stream of ours has a setting that we can't live with, or can't be
    /// changed.
    #[error(
        "stream {stream} has {setting} = {found}, meritd needs {needed}; change it, or back the stream up, delete it and start meritd again: it rebuilds what the chain still has"
    )]
    Clash {
        /// The stream.
        stream: String,
        /// The setting, as `nats stream info --json` names it.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        needed: String,
    },
    /// Another stream takes our messages.
    #[error(
        "{stream} can't be declared: another stream of this account has subjects of `merit.v1`; remove them there ({reason})"
    )]
    SubjectsTaken {
        /// Our stream.
        stream: String,
        /// The server's words.
        reason: String,
    },
    /// The server does not declare it.
    #[error(
        "{stream} can't be declared: {reason}; check replicas, storage limits and permissions of the account"
    )]
    Undeclared {
        /// The stream or bucket.
        stream: String,
        /// The server's words.
        reason: String,
    },
    /// NATS can't be asked.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl Classify for SetupError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Stream(error) => error.class(),
            Self::Clash { .. } | Self::SubjectsTaken { .. } | Self::Undeclared { .. } => {
                FailureClass::Answer
            }
        }
    }
}

/// Makes what is missing, mends what may be mended, and names what clashes.
/// Changes nothing when all is as it should be.
///
/// # Errors
/// See [`SetupError`].
pub async fn declare(
    connection: &Connection,
    replicas: Replicas,
) -> Result<Incarnations, SetupError> {
    let nats = match connection.link() {
        Link::Nats(nats) => nats,
        #[cfg(feature = "simulation")]
        Link::Simulated(server) => {
            return Ok(connection.bounded("declaring streams", server.declare()).await??);
        }
    };
    let mut incarnations = Incarnations::new();
    for stream in StreamId::ALL {
        incarnations.insert(stream, declare_stream((connection, nats), stream, replicas).await?);
    }
    declare_bucket((connection, nats), replicas).await?;
    Ok(incarnations)
}

/// The stream's present incarnation.
///
/// # Errors
/// When the stream does not exist or NATS does not answer.
pub async fn incarnation(
    connection: &Connection,
    stream: StreamId,
) -> Result<StreamIncarnation, StreamError> {
    held(connection, stream).await.map(|held| held.incarnation)
}

/// How many messages the stream lacks between its first and its last
/// sequence. Nothing is ever taken out of a stream of ours: what lacks, the
/// server lost.
///
/// # Errors
/// When the stream does not exist or NATS does not answer.
pub async fn missing(connection: &Connection, stream: StreamId) -> Result<u64, StreamError> {
    let held = held(connection, stream).await?;
    Ok(held.last_sequence.saturating_sub(held.messages))
}

/// What a stream holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) incarnation: StreamIncarnation,
    /// The last sequence that it gave out.
    pub(super) last_sequence: u64,
    pub(super) messages: u64,
}

/// What the stream holds now.
pub(super) async fn held(connection: &Connection, stream: StreamId) -> Result<Held, StreamError> {
    let nats = match connection.link() {
        Link::Nats(nats) => nats,
        #[cfg(feature = "simulation")]
        Link::Simulated(server) => {
            return connection.bounded("stream", server.held(stream)).await?;
        }
    };
    let info = info((connection, nats), stream).await?;
    let Info { state, .. } = &info;
    Ok(Held {
        incarnation: StreamIncarnation::of(&info),
        last_sequence: state.last_sequence,
        messages: state.messages,
    })
}

/// The stream as the server describes it.
pub(super) async fn info(
    (connection, nats): (&Connection, &Nats),
    stream: StreamId,
) -> Result<Info, StreamError> {
    let what = format!("stream {stream}");
    let call = nats.jetstream.get_stream(stream.name());
    let handle = connection.bounded(&what, call).await?.map_err(|error| match error.kind() {
        GetStreamErrorKind::JetStream(answer) => {
            StreamError::answered(&what, &answer, stream.name())
        }
        _ => StreamError::Unavailable { what, reason: error.to_string() },
    })?;
    Ok(handle.cached_info().clone())
}

async fn declare_stream(
    (connection, nats): (&Connection, &Nats),
    stream: StreamId,
    replicas: Replicas,
) -> Result<StreamIncarnation, SetupError> {
    let found = match info((connection, nats), stream).await {
        Ok(info) => info,
        Err(StreamError::NoStream { .. }) => {
            let config = wanted(stream, replicas);
            let made = connection
                .bounded("declaring a stream", nats.jetstream.create_stream(config))
                .await?
                .map_err(|error| not_declared(stream, &error))?;
            return Ok(StreamIncarnation::of(made.cached_info()));
        }
        Err(error) => return Err(error.into()),
    };
    let mended = reconcile(stream, replicas, &found.config)?;
    if mended == found.config {
        return Ok(StreamIncarnation::of(&found));
    }
    tracing::info!(stream = stream.name(), "updating the stream's settings");
    let updated = connection
        .bounded("updating a stream", nats.jetstream.update_stream(mended))
        .await?
        .map_err(|error| not_declared(stream, &error))?;
    Ok(StreamIncarnation::of(&updated))
}

fn not_declared(stream: StreamId, error: &jetstream::context::CreateStreamError) -> SetupError {
    let (stream, reason) = (stream.name().to_owned(), error.to_string());
    match error.kind() {
        CreateStreamErrorKind::JetStream(answer)
            if answer.error_code() == ErrorCode::STREAM_SUBJECT_OVERLAP =>
        {
            SetupError::SubjectsTaken { stream, reason }
        }
        CreateStreamErrorKind::TimedOut => {
            StreamError::Unavailable { what: format!("declaring {stream}"), reason }.into()
        }
        _ => SetupError::Undeclared { stream, reason },
    }
}

/// A stream as we make it.
fn wanted(stream: StreamId, replicas: Replicas) -> Config {
    let (max_bytes, discard) = match stream {
        // Truth: no limit, and if an operator sets one, new messages are
        // refused rather than old ones dropped.
        StreamId::Events | StreamId::Unlocks | StreamId::Transactions | StreamId::Governance => {
            (-1, DiscardPolicy::New)
        }
        StreamId::DeadLetters => (DEAD_LETTERS_MAX_BYTES, DiscardPolicy::New),
        StreamId::Operations => (OPERATIONS_MAX_BYTES, DiscardPolicy::Old),
        StreamId::Provisional => (PROVISIONAL_MAX_BYTES, DiscardPolicy::Old),
    };
    let max_age = match stream {
        StreamId::Provisional => PROVISIONAL_MAX_AGE,
        _ => Duration::ZERO,
    };
    Config {
        name: stream.name().to_owned(),
        subjects: stream.subjects(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        max_bytes,
        max_age,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        discard,
        num_replicas: replicas.0,
        duplicate_window: DUPLICATE_WINDOW,
        allow_direct: true,
        allow_atomic_publish: true,
        ..Config::default()
    }
}

/// What an existing stream should become: an operator's own settings stay
/// (limits of size, placement, compression, description), ours are restored.
/// A setting that drops or hides messages, or can't be changed, clashes.
fn reconcile(stream: StreamId, replicas: Replicas, found: &Config) -> Result<Config, SetupError> {
    let ours = wanted(stream, replicas);
    let clash = |setting, found: String, needed: &str| {
        Err(SetupError::Clash {
            stream: stream.name().to_owned(),
            setting,
            found,
            needed: needed.to_owned(),
        })
    };
    if found.storage != StorageType::File {
        return clash("storage", format!("{:?}", found.storage), "file");
    }
    if found.retention != RetentionPolicy::Limits {
        return clash("retention", format!("{:?}", found.retention), "limits");
    }
    if found.sealed {
        return clash("sealed", "true".to_owned(), "false");
    }
    if found.no_ack {
        return clash("no_ack", "true".to_owned(), "false");
    }
    if found.mirror.is_some() || found.sources.is_some() {
        return clash("mirror, sources", "set".to_owned(), "none");
    }
    if found.subject_transform.is_some() {
        return clash("subject_transform", "set".to_owned(), "none");
    }
    let must_not_forget = !matches!(stream, StreamId::Operations | StreamId::Provisional);
    if must_not_forget && !found.max_age.is_zero() {
        return clash(
            "max_age",
            format!("{:?}", found.max_age),
            "none: its messages are the truth",
        );
    }
    if must_not_forget && found.max_messages_per_subject > 0 {
        let found = found.max_messages_per_subject.to_string();
        return clash("max_msgs_per_subject", found, "none: its messages are the truth");
    }
    let mut config = found.clone();
    for subject in ours.subjects {
        if !config.subjects.contains(&subject) {
            config.subjects.push(subject);
        }
    }
    config.discard = ours.discard;
    config.num_replicas = ours.num_replicas;
    config.duplicate_window = ours.duplicate_window;
    config.allow_direct = ours.allow_direct;
    config.allow_atomic_publish = ours.allow_atomic_publish;
    Ok(config)
}

async fn declare_bucket(
    (connection, nats): (&Connection, &Nats),
    replicas: Replicas,
) -> Result<(), SetupError> {
    let config = kv::Config {
        bucket: BENEFITS_BUCKET.to_owned(),
        description: "A holder's benefits as of the last position that governance applied"
            .to_owned(),
        history: BENEFITS_HISTORY,
        storage: StorageType::File,
        num_replicas: replicas.0,
        ..kv::Config::default()
    };
    let call = nats.jetstream.create_or_update_key_value(config);
    connection.bounded("declaring a bucket", call).await?.map(drop).map_err(|error| {
        SetupError::Undeclared { stream: BENEFITS_BUCKET.to_owned(), reason: error.to_string() }
    })
}

#[cfg(test)]
mod tests;
