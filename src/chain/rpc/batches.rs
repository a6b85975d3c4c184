//! Refusals of batches: not of what is in them, but of how much.

use super::{Refusal, RpcError};
use crate::chain::rpc_errors::RpcErrorClass;

impl RpcError {
    /// Whether a refusal of a batch is about how many calls came together, or
    /// that they did.
    #[must_use]
    pub fn is_about_the_batch(&self) -> bool {
        let Self::Refused { answer, .. } = self else { return false };
        let Refusal { code, http_status, message, .. } = &**answer;
        let text = message.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let limited = *http_status == Some(429) || has(&["rate limit", "per second"]);
        // Invalid request, parse error: who expects an object.
        let odd = matches!(code, Some(-32600 | -32700)) || matches!(http_status, Some(400 | 413));
        let words = ["batch", "too large", "too big", "too many calls", TOO_LARGE, NO_JSON];
        !limited && (odd || has(&words))
    }

    /// The error of a batch as a whole, as an answer where it is about its
    /// size: the endpoint works, and repeating it would not help.
    pub(crate) fn of_batch(mut self) -> Self {
        if let Self::Failed { endpoint, method, reason } = &self
            && (reason.contains(TOO_LARGE) || reason.to_lowercase().contains(NO_JSON))
        {
            let (class, message) = (RpcErrorClass::Semantic, reason.clone());
            let refusal = Refusal { class, code: None, http_status: None, message, data: None };
            return Self::refused(endpoint, method, refusal);
        }
        if self.is_about_the_batch()
            && let Self::Refused { answer, .. } = &mut self
        {
            answer.class = RpcErrorClass::Semantic;
        }
        self
    }
}

/// How our own transport says that an answer is beyond its bound, or no
/// JSON-RPC at all.
const TOO_LARGE: &str = "is larger than";
const NO_JSON: &str = "is no json-rpc";
