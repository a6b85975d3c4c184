//! What is said on the subjects, as a consumer of them hears it.

use std::time::Duration;

use futures::StreamExt as _;
use meritd::cli::demo::broker::Heard;
use serde_json::Value as Json;

/// Everything that is said since it was made, in order.
pub struct Wire {
    heard: Heard,
}

impl Wire {
    pub(super) fn new(heard: Heard) -> Self {
        Self { heard }
    }

    /// The next message that is wanted: its subject, and its data.
    pub async fn next_where(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&str, &Json) -> bool,
    ) -> (String, Json) {
        let search = async {
            while let Some(message) = self.heard.messages.next().await {
                let body: Json = serde_json::from_slice(&message.payload).unwrap_or_default();
                if wanted(&message.subject, &body["data"]) {
                    return (message.subject.to_string(), body["data"].clone());
                }
            }
            panic!("the subscription ended before: {what}");
        };
        let found = tokio::time::timeout(limit, search).await;
        found.unwrap_or_else(|_| panic!("not within {} s: {what}", limit.as_secs()))
    }

    /// Says something that is no message of meritd.
    pub async fn publish(&self, subject: &'static str, body: &'static str) {
        self.heard.client.publish(subject, body.into()).await.unwrap();
        self.heard.client.flush().await.unwrap();
    }

    /// Everything that was said until now: subjects and bodies.
    pub async fn said(mut self) -> Vec<(String, Vec<u8>)> {
        let mut said = Vec::new();
        // Ends the stream once what was under way has arrived.
        self.heard.messages.unsubscribe().await.unwrap();
        while let Some(message) = self.heard.messages.next().await {
            said.push((message.subject.to_string(), message.payload.to_vec()));
        }
        said
    }
}
