//! A JSON-RPC error, and the HTTP status it comes with.

use serde_json::{Value as Json, json};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub code: i64,
    pub message: String,
    pub data: Option<Json>,
    pub http_status: u16,
}

impl Refusal {
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, http_status: 200 }
    }

    pub fn with_data(self, data: Json) -> Self {
        Self { data: Some(data), ..self }
    }

    pub fn with_status(self, http_status: u16) -> Self {
        Self { http_status, ..self }
    }

    /// What a node says of a block that it does not know.
    pub fn unknown_block() -> Self {
        Self::new(-32000, "unknown block")
    }

    pub(super) fn to_json(&self) -> Json {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        error
    }
}
