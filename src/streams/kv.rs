//! Values in a KV bucket that only ever get newer.

use async_nats::jetstream::kv::{EntryErrorKind, Operation, Store, UpdateErrorKind};
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::{Map, Value as Json};
use tokio::time::Instant;

#[cfg(feature = "simulation")]
use super::simulated::Server;
use super::{
    StreamError,
    connection::{Connection, Link},
};

/// How often a value is tried when others write it at the same time.
const ATTEMPTS: u32 = 10;
/// Room for the headers of a value, bytes.
const HEADERS_MAX: usize = 1024;
/// The member of each value that says how new it is.
const REVISION: &str = "revision";
/// The member that says by which rules it was computed.
pub const VERSION: &str = "version";

/// What came of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The bucket has this value.
    Written,
    /// The bucket has a newer one, of this revision.
    Stale {
        /// What the bucket has.
        present: u64,
    },
}

/// A bucket whose values are JSON objects with a `revision`.
#[derive(Clone)]
pub struct Bucket {
    connection: Connection,
    name: String,
    shelf: Shelf,
}

/// Where the values are.
#[derive(Clone)]
#[cfg_attr(feature = "simulation", expect(clippy::large_enum_variant))]
enum Shelf {
    Nats(Store),
    #[cfg(feature = "simulation")]
    Simulated(Server),
}

impl Bucket {
    /// Opens a bucket that exists.
    ///
    /// # Errors
    /// When it doesn't, or NATS does not answer.
    pub async fn open(connection: &Connection, name: &str) -> Result<Self, StreamError> {
        let what = format!("bucket {name}");
        let shelf = match connection.link() {
            Link::Nats(nats) => {
                let call = nats.jetstream.get_key_value(name);
                let store = connection.bounded(&what, call).await?.map_err(|error| {
                    StreamError::Unavailable { what, reason: error.to_string() }
                })?;
                Shelf::Nats(store)
            }
            #[cfg(feature = "simulation")]
            Link::Simulated(server) => {
                connection.bounded(&what, server.probe()).await??;
                Shelf::Simulated(server.clone())
            }
        };
        Ok(Self { connection: connection.clone(), name: name.to_owned(), shelf })
    }

    /// All keys that have a value.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn keys(&self) -> Result<Vec<String>, StreamError> {
        let what = format!("keys of bucket {}", self.name);
        let store = match &self.shelf {
            Shelf::Nats(store) => store,
            #[cfg(feature = "simulation")]
            Shelf::Simulated(server) => {
                return self.connection.bounded(&what, server.keys()).await?;
            }
        };
        let unavailable = |error: &dyn std::fmt::Display| StreamError::Unavailable {
            what: what.clone(),
            reason: error.to_string(),
        };
        let listing = self.connection.bounded(&what, store.keys()).await?;
        let mut listing = listing.map_err(|error| unavailable(&error))?;
        let mut keys = Vec::new();
        while let Some(key) = self.connection.bounded(&what, listing.next()).await? {
            keys.push(key.map_err(|error| unavailable(&error))?);
        }
        Ok(keys)
    }

    /// The present value and its revision.
    ///
    /// # Errors
    /// When the key is invalid, NATS does not answer, or the value is none
    /// of ours.
    pub async fn get(&self, key: &str) -> Result<Option<(u64, Map<String, Json>)>, StreamError> {
        match self.entry(key).await?.1 {
            None => Ok(None),
            Some(value) => read(&value).map(Some).map_err(|reason| StreamError::Unreadable {
                what: format!("{key} of bucket {}", self.name),
                reason,
            }),
        }
    }

    /// Writes the value with its revision, unless the bucket has one of a
    /// higher revision. Of two with the same revision the last one stays: what
    /// is computed anew from the same place in the stream replaces the old.
    /// Revisions compare only within one `version` (a member of the value, if
    /// it has one): other rules count anew, and their value replaces the old.
    ///
    /// # Errors
    /// When NATS does not answer: the value may have been written; writing it
    /// again does no harm. [`StreamError::Refused`] when no server will ever
    /// take it: the key is invalid, or the value larger than a message.
    pub async fn put_if_newer(
        &self,
        key: &str,
        revision: u64,
        mut value: Map<String, Json>,
    ) -> Result<PutOutcome, StreamError> {
        value.insert(REVISION.to_owned(), Json::from(revision));
        let bytes = Bytes::from(Json::Object(value.clone()).to_string());
        let limit = self.connection.max_payload().saturating_sub(HEADERS_MAX);
        if bytes.len() > limit {
            let description = format!("a value of {} bytes; {limit} are possible", bytes.len());
            return Err(self.refused(key, description));
        }
        for attempt in 0..ATTEMPTS {
            let (last, present) = self.entry(key).await?;
            match present.as_ref().map(|present| (present, read(present))) {
                Some((present, _)) if *present == bytes => return Ok(PutOutcome::Written),
                Some((_, Ok((present, old))))
                    if present > revision && old.get(VERSION) == value.get(VERSION) =>
                {
                    return Ok(PutOutcome::Stale { present });
                }
                Some((_, Err(reason))) => {
                    tracing::warn!(bucket = self.name, key, reason, "replacing a foreign value");
                }
                Some((_, Ok(_))) | None => {}
            }
            let what = format!("writing {key} of bucket {}", self.name);
            let call = async {
                match &self.shelf {
                    Shelf::Nats(store) => store.update(key, bytes.clone(), last).await.map(drop),
                    #[cfg(feature = "simulation")]
                    Shelf::Simulated(server) => server.update(key, bytes.clone(), last).await,
                }
            };
            let sent = Instant::now();
            let told = self.connection.bounded(&what, call).await;
            let is_silent = match &told {
                Err(_) => true,
                Ok(told) => {
                    told.as_ref().is_err_and(|error| error.kind() == UpdateErrorKind::TimedOut)
                }
            };
            if is_silent {
                self.connection.writes().note(&self.name, sent);
            } else {
                self.connection.writes().answered(&self.name);
            }
            match told? {
                Ok(()) => return Ok(PutOutcome::Written),
                Err(error) => match error.kind() {
                    UpdateErrorKind::WrongLastRevision => {
                        let pause_ms = crate::chance::random_range(0..=1_u64 << attempt.min(6));
                        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
                    }
                    UpdateErrorKind::TimedOut => return Err(self.connection.timed_out(what)),
                    _ => {
                        return Err(StreamError::Unavailable { what, reason: error.to_string() });
                    }
                },
            }
        }
        Err(StreamError::Unavailable {
            what: format!("writing {key} of bucket {}", self.name),
            reason: format!("others wrote it {ATTEMPTS} times meanwhile"),
        })
    }

    fn refused(&self, key: &str, description: String) -> StreamError {
        StreamError::Refused {
            what: format!("{key} of bucket {}", self.name),
            code: 0,
            description,
        }
    }

    /// The bucket's sequence for the key (0 if it never had one), and the
    /// value unless it was deleted.
    async fn entry(&self, key: &str) -> Result<(u64, Option<Bytes>), StreamError> {
        let what = format!("reading {key} of bucket {}", self.name);
        let store = match &self.shelf {
            Shelf::Nats(store) => store,
            #[cfg(feature = "simulation")]
            Shelf::Simulated(server) => {
                return self.connection.bounded(&what, server.entry(key)).await?;
            }
        };
        let entry = self.connection.bounded(&what, store.entry(key)).await?;
        let entry = entry.map_err(|error| match error.kind() {
            EntryErrorKind::InvalidKey => self.refused(key, error.to_string()),
            _ => StreamError::Unavailable { what, reason: error.to_string() },
        })?;
        Ok(match entry {
            None => (0, None),
            Some(entry) => {
                let value = (entry.operation == Operation::Put).then_some(entry.value);
                (entry.revision, value)
            }
        })
    }
}

fn read(value: &[u8]) -> Result<(u64, Map<String, Json>), String> {
    let mut object: Map<String, Json> =
        serde_json::from_slice(value).map_err(|error| error.to_string())?;
    let revision = object.remove(REVISION).and_then(|revision| revision.as_u64());
    revision.map(|revision| (revision, object)).ok_or_else(|| "it has no revision".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, irrefutable_let_patterns)]

    use super::*;
    use crate::streams::{
        setup::{self, BENEFITS_BUCKET, Replicas},
        testing::TestServer,
    };

    fn value(text: &str) -> Map<String, Json> {
        [("weight".to_owned(), Json::from(text))].into_iter().collect()
    }

    #[tokio::test]
    async fn an_older_value_never_replaces_a_newer_one() {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        setup::declare(&connection, Replicas::ONE).await.unwrap();
        let bucket = Bucket::open(&connection, BENEFITS_BUCKET).await.unwrap();
        let key = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
        assert_eq!(bucket.get(key).await.unwrap(), None);
        let put = async |revision, text| bucket.put_if_newer(key, revision, value(text)).await;
        assert_eq!(put(5, "five").await.unwrap(), PutOutcome::Written);
        assert_eq!(put(4, "four").await.unwrap(), PutOutcome::Stale { present: 5 });
        assert_eq!(bucket.get(key).await.unwrap(), Some((5, value("five"))));
        assert_eq!(put(5, "five, computed anew").await.unwrap(), PutOutcome::Written);
        assert_eq!(bucket.get(key).await.unwrap(), Some((5, value("five, computed anew"))));

        let Shelf::Nats(store) = &bucket.shelf else { panic!("a real bucket") };
        store.delete(key).await.unwrap();
        assert_eq!(put(3, "three").await.unwrap(), PutOutcome::Written);
        store.put(key, Bytes::from_static(b"foreign")).await.unwrap();
        assert!(matches!(bucket.get(key).await, Err(StreamError::Unreadable { .. })));
        assert_eq!(put(2, "two").await.unwrap(), PutOutcome::Written);
        server.stop().await;
    }

    #[tokio::test]
    async fn what_no_server_will_ever_take_is_told_from_what_may_pass() {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        setup::declare(&connection, Replicas::ONE).await.unwrap();
        let bucket = Bucket::open(&connection, BENEFITS_BUCKET).await.unwrap();
        let large = value(&"x".repeat(9 << 20));
        for put in [bucket.put_if_newer("k", 1, large), bucket.put_if_newer(".", 1, value("x"))] {
            let error = put.await.unwrap_err();
            assert!(matches!(error, StreamError::Refused { code: 0, .. }), "{error}");
        }
        server.stop().await;
    }

    #[tokio::test]
    async fn of_writers_that_race_the_newest_wins() {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        setup::declare(&connection, Replicas::ONE).await.unwrap();
        let bucket = Bucket::open(&connection, BENEFITS_BUCKET).await.unwrap();
        let writers = [3_u64, 1, 4, 2].map(|revision| {
            let bucket = bucket.clone();
            async move { bucket.put_if_newer("k", revision, value("x")).await.unwrap() }
        });
        futures::future::join_all(writers).await;
        assert_eq!(bucket.get("k").await.unwrap(), Some((4, value("x"))));
        server.stop().await;
    }
}
