//! Tells of endpoints that lied, as notices on the operations stream.
//!
//! The client that finds a lie must not wait for a broker: it leaves the lie
//! in a bounded queue, and this actor publishes it. What is still untold when
//! the process ends is in its log only.

use std::{convert::Infallible, sync::Arc, time::Duration};

use serde_json::{Value as Json, json};
use tokio::sync::{Mutex, mpsc};

use super::{
    messages::{self, MessageError},
    shared::Shared,
    transaction::unix_s,
};
use crate::{
    chain::client::Lie,
    domain::Name,
    streams::{
        PublishError,
        envelope::{Envelope, UnixTime, headers},
        publish::OutMessage,
        subjects::{self, StreamId},
    },
    supervisor::{Next, Steps},
};

/// Pause after which the queue is looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// The queue; it outlives the actor's incarnations.
pub type Lies = Arc<Mutex<mpsc::Receiver<Lie>>>;

/// What it owns: the lie that is being told.
pub struct NoticeActor {
    shared: Shared,
    lies: Lies,
    /// Made once, so that a repetition has the same id.
    untold: Option<(String, OutMessage)>,
    told: u64,
    trouble: Option<String>,
}

impl NoticeActor {
    /// Tells what is put into the queue.
    #[must_use]
    pub fn new(shared: Shared, lies: Lies) -> Self {
        Self { shared, lies, untold: None, told: 0, trouble: None }
    }

    async fn tell(&self, id: &str, notice: OutMessage) -> Result<(), PublishError> {
        self.shared.publish(StreamId::Operations, id, notice, None).await.map(drop)
    }
}

impl Steps for NoticeActor {
    type Failure = Infallible;

    async fn started(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, Infallible> {
        if self.untold.is_none() {
            let Ok(lie) = self.lies.lock().await.try_recv() else { return Ok(Next::After(LOOK)) };
            match notice(&lie, &format!("lie/{}", self.shared.incarnation())) {
                Ok(notice) => self.untold = Some(notice),
                Err(error) => {
                    tracing::error!(endpoint = %lie.endpoint, "a lie can't be told: {error}");
                    return Ok(Next::Again);
                }
            }
        }
        let Some((id, notice)) = &self.untold else { return Ok(Next::Again) };
        match self.tell(id, notice.clone()).await {
            Ok(()) => {
                self.untold = None;
                self.told += 1;
                self.trouble = None;
                Ok(Next::Again)
            }
            Err(error @ (PublishError::Refused { .. } | PublishError::TooLarge { .. })) => {
                tracing::error!(id, "a lie can't be told: {error}");
                self.untold = None;
                Ok(Next::Again)
            }
            // The broker's own readiness tells of it.
            Err(error) => {
                self.trouble = Some(error.to_string());
                Ok(Next::After(LOOK))
            }
        }
    }

    async fn drain(&mut self) {}

    fn observe(&self) -> Json {
        json!({ "told": self.told, "trouble": self.trouble })
    }
}

/// The notice of a lie, with its id.
fn notice(lie: &Lie, id: &str) -> Result<(String, OutMessage), MessageError> {
    let Lie { chain, endpoint, kind, method, reason, quarantined_for } = lie;
    let then = match quarantined_for {
        Some(time) => format!("it is not asked for {} s", time.as_secs()),
        None => "it is asked on, as there is no other".to_owned(),
    };
    let data = json!({
        "notice": format!("{endpoint} gave a wrong answer to {method}: {reason}; {then}"),
        "lie": {
            "chain": chain,
            "endpoint": endpoint,
            "kind": kind.as_str(),
            "method": method,
            "reason": reason,
            "quarantined_s": quarantined_for.map(|time| time.as_secs()),
        },
    });
    let source = format!("/meritd/chains/{chain}");
    let envelope = Envelope::new(id, source, "merit.v1.notice", UnixTime(unix_s()), data)
        .about(endpoint.to_string())
        .schema(messages::schema_of("notice"));
    let subject = subjects::notice(&topic());
    Ok((id.to_owned(), OutMessage::new(subject, headers(None), envelope.encode()?)))
}

fn topic() -> Name {
    static TOPIC: std::sync::LazyLock<Name> = std::sync::LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "a constant, made by every test of this file")]
        Name::new("endpoints").expect("it is a name")
    });
    TOPIC.clone()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::{actors::testing::Rig, chain::client::LieKind};

    fn lie() -> Lie {
        Lie {
            chain: Name::new("local").unwrap(),
            endpoint: "endpoint/local/1".into(),
            kind: LieKind::Logs,
            method: "eth_getLogs".to_owned(),
            reason: "it withheld logs".to_owned(),
            quarantined_for: Some(Duration::from_secs(60)),
        }
    }

    #[actix::test]
    async fn lies_are_told_one_after_the_other_by_whichever_incarnation() {
        let rig = Rig::start().await;
        let (tell, lies) = mpsc::channel(4);
        let lies = Arc::new(Mutex::new(lies));
        for _ in 0..3 {
            tell.try_send(lie()).unwrap();
        }
        let mut first = NoticeActor::new(rig.shared.clone(), Arc::clone(&lies));
        assert_eq!(first.step().await, Ok(Next::Again));
        drop(first);
        let mut second = NoticeActor::new(rig.shared.clone(), lies);
        assert_eq!(second.step().await, Ok(Next::Again));
        assert_eq!(second.step().await, Ok(Next::Again));
        assert_eq!(second.step().await, Ok(Next::After(LOOK)));
        let said = rig.said(StreamId::Operations, "merit.v1.notices.endpoints").await;
        assert_eq!(said.len(), 3);
        assert_eq!(said[0]["data"]["lie"]["kind"], "logs");
        rig.stop().await;
    }

    #[test]
    fn a_lie_is_told_with_all_that_a_person_needs() {
        let lie = lie();
        let (id, message) = notice(&lie, "lie/run-1").unwrap();
        assert_eq!(
            (id.as_str(), message.subject.as_str()),
            ("lie/run-1", "merit.v1.notices.endpoints")
        );
        let envelope: Json = serde_json::from_slice(&message.payload).unwrap();
        let schema: Json =
            serde_json::from_str(include_str!("../../docs/schemas/notice.json")).unwrap();
        jsonschema::validate(&schema, &envelope["data"]).unwrap();
        let told = envelope["data"]["notice"].as_str().unwrap();
        assert!(told.contains("endpoint/local/1") && told.contains("it withheld logs"), "{told}");
        assert!(told.contains("60 s"), "{told}");

        let lone = Lie { quarantined_for: None, ..lie };
        let (_, message) = notice(&lone, "lie/run-2").unwrap();
        let envelope: Json = serde_json::from_slice(&message.payload).unwrap();
        jsonschema::validate(&schema, &envelope["data"]).unwrap();
    }
}
