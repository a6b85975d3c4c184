//! Why a call to an endpoint has no result.

mod batches;

use std::{sync::Arc, time::Duration};

use alloy::{
    primitives::B256,
    rpc::json_rpc::ErrorPayload,
    transports::{RpcError as AlloyError, TransportError, TransportErrorKind},
};
use serde_json::{Value as Json, value::RawValue};

use super::{
    ranges::RangeFailure,
    rpc_errors::{ErrorAnswer, RangeCap, RangeHint, RpcErrorClass, classify, speaks_of_rate},
    transport::TransportFault,
};
use crate::{
    breakers::{Classify, FailureClass, GuardError},
    shortened::shortened,
    supervisor::Unreachable,
};

/// Longest message of an endpoint that is kept, in characters.
const MESSAGE_MAX: usize = 500;

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RpcError {
    /// The endpoint answered with an error.
    #[error("{endpoint} refused {method}: {answer}")]
    Refused {
        /// The endpoint's name.
        endpoint: Arc<str>,
        /// The method.
        method: String,
        /// What it said.
        answer: Box<Refusal>,
    },
    /// No answer came, or one that can't be read.
    #[error("{endpoint} failed at {method}: {reason}")]
    Failed {
        /// The endpoint's name.
        endpoint: Arc<str>,
        /// The method.
        method: String,
        /// What happened.
        reason: String,
    },
    /// The answer contradicts the question or itself.
    #[error("{endpoint} gave a wrong answer to {method}: {reason}")]
    Wrong {
        /// The endpoint's name.
        endpoint: Arc<str>,
        /// The method.
        method: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The endpoint's head is below the block that was asked for.
    #[error("{endpoint} is only at block {head}, not at {wanted}")]
    Behind {
        /// The endpoint's name.
        endpoint: Arc<str>,
        /// Its head.
        head: u64,
        /// The block that was asked for.
        wanted: u64,
    },
    /// It did not answer in time. The call may have had its effect.
    #[error("{endpoint} did not answer {method} in time")]
    TimedOut {
        /// The endpoint's name.
        endpoint: Arc<str>,
        /// The method.
        method: String,
    },
    /// Its breaker is open or its queue is full: it was not called.
    #[error("{endpoint} was not called: {reason}")]
    NotCalled {
        /// The endpoint's name.
        endpoint: Arc<str>,
        /// What the guard says.
        reason: String,
    },
    /// The rate that it may be asked at is used up for longer than a call may
    /// wait: it was not called.
    #[error("{endpoint} was not called: its rate allows the next call in {} ms", wait.as_millis())]
    Busy {
        /// The endpoint's name.
        endpoint: Arc<str>,
        /// How long the call would have waited.
        wait: Duration,
    },
    /// It gave wrong answers, and is not asked for a while.
    #[error("{endpoint} is quarantined: {reason}")]
    Quarantined {
        /// The endpoint's name, or those of all.
        endpoint: Arc<str>,
        /// The wrong answer.
        reason: String,
    },
    /// It serves another chain.
    #[error("{endpoint} serves chain {found}, not chain {expected}")]
    OtherChain {
        /// The endpoint's name.
        endpoint: Arc<str>,
        /// The configured chain id.
        expected: u64,
        /// The one it answers.
        found: u64,
    },
    /// Nobody's answers prove what is in a block, as `completeness =
    /// "receipts"` wants it.
    #[error("block {block} of chain `{chain}` is not proven: {reason}")]
    Unproven {
        /// The chain's configured name.
        chain: Arc<str>,
        /// Its height.
        block: u64,
        /// What is missing.
        reason: String,
    },
    /// The chain has no endpoint that could be asked.
    #[error("chain `{chain}` has no endpoint to ask")]
    NoEndpoint {
        /// The chain's configured name.
        chain: String,
    },
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}{}{}", code.map(|c| format!(" (code {c})")).unwrap_or_default(),
    http_status.map(|s| format!(" (HTTP {s})")).unwrap_or_default())]
pub struct Refusal {
    /// What to do about it.
    pub class: RpcErrorClass,
    /// JSON-RPC code.
    pub code: Option<i64>,
    /// HTTP status, when it was not 200.
    pub http_status: Option<u16>,
    /// The endpoint's words, cut.
    pub message: String,
    /// The error's data: of a revert, its bytes.
    pub data: Option<Json>,
}

impl RpcError {
    /// The answer about the request itself that any endpoint would give: a
    /// revert, a nonce too low.
    #[must_use]
    pub fn semantic(&self) -> Option<&Refusal> {
        self.refusal().filter(|refusal| refusal.class == RpcErrorClass::Semantic)
    }

    /// The error answer, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { answer, .. } => Some(answer),
            _ => None,
        }
    }

    /// For a call for logs: why it may have been too much, if it may.
    #[must_use]
    pub fn range_failure(&self) -> Option<RangeFailure> {
        match self {
            Self::TimedOut { .. } => Some(RangeFailure::TimedOut),
            Self::Failed { .. } => Some(RangeFailure::Broken),
            Self::Refused { answer, .. } => match answer.class {
                RpcErrorClass::RangeTooLarge { cap, hint } => {
                    Some(RangeFailure::TooLarge { cap, hint })
                }
                RpcErrorClass::TooManyAddresses(hint) => Some(RangeFailure::TooManyAddresses(hint)),
                // Words that nobody has seen before.
                RpcErrorClass::Semantic => Some(RangeFailure::Unknown),
                RpcErrorClass::Transient => Some(RangeFailure::Broken),
                // Some nodes say "limit exceeded" to a range, with the code of
                // a rate limit, for ever.
                RpcErrorClass::RateLimited { retry_after: None }
                    if answer.http_status.is_none() && !speaks_of_rate(&answer.message) =>
                {
                    Some(RangeFailure::Broken)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The endpoint does not have this block, or not on its branch.
    pub(crate) fn lacks_block(endpoint: &Arc<str>, method: &str, hash: B256) -> Self {
        let message = format!("it has no block {hash} on its branch");
        let class = RpcErrorClass::Lagging;
        let (code, http_status, data) = (None, None, None);
        Self::refused(endpoint, method, Refusal { class, code, http_status, message, data })
    }

    /// Reads what alloy's client and our transport say.
    pub(crate) fn from_transport(endpoint: &Arc<str>, method: &str, error: TransportError) -> Self {
        let refused = |code, status, message: &str, data: Option<Json>, retry_after| {
            let class = classify(&ErrorAnswer {
                method,
                code,
                http_status: status,
                message,
                data: data.as_ref(),
                retry_after,
            });
            let message = message.chars().take(MESSAGE_MAX).collect();
            Self::refused(
                endpoint,
                method,
                Refusal { class, code, http_status: status, message, data },
            )
        };
        let failed = |reason: String| Self::Failed {
            endpoint: Arc::clone(endpoint),
            method: method.to_owned(),
            reason,
        };
        let http_refused = |status, body: &str, retry_after| match json_rpc_error(body) {
            Some((code, message, data)) => {
                refused(Some(code), Some(status), &message, data, retry_after)
            }
            None => refused(None, Some(status), body, None, retry_after),
        };
        match error {
            AlloyError::ErrorResp(payload) => {
                let data = payload.data.as_deref().and_then(|raw| json(raw.get()));
                refused(Some(payload.code), None, &payload.message, data, None)
            }
            AlloyError::Transport(TransportErrorKind::HttpError(error)) => {
                http_refused(error.status, &error.body, None)
            }
            AlloyError::Transport(TransportErrorKind::HttpErrorWithRetryAfter {
                error,
                retry_after,
            }) => http_refused(error.status, &error.body, Some(retry_after)),
            AlloyError::Transport(TransportErrorKind::Custom(error)) => {
                match error.downcast_ref::<TransportFault>() {
                    // An answer beyond our own bound is a range too dense for us.
                    Some(fault @ TransportFault::TooLarge { .. }) if method == "eth_getLogs" => {
                        let class = RpcErrorClass::RangeTooLarge {
                            cap: RangeCap::Density,
                            hint: RangeHint::default(),
                        };
                        let message = fault.to_string();
                        let (code, http_status, data) = (None, None, None);
                        Self::refused(
                            endpoint,
                            method,
                            Refusal { class, code, http_status, message, data },
                        )
                    }
                    _ => failed(error.to_string()),
                }
            }
            // An endpoint's own words may stand in parse errors: only what, not where.
            AlloyError::DeserError { err, .. } => failed(shortened(&err)),
            other => failed(other.to_string()),
        }
    }

    pub(crate) fn from_guard(endpoint: &Arc<str>, method: &str, error: GuardError<Self>) -> Self {
        let endpoint = Arc::clone(endpoint);
        match error {
            GuardError::Inner(error) => error,
            GuardError::TimedOut { .. } => Self::TimedOut { endpoint, method: method.to_owned() },
            GuardError::Open { .. } => {
                Self::NotCalled { endpoint, reason: "its circuit breaker is open".to_owned() }
            }
            GuardError::Full { .. } => {
                Self::NotCalled { endpoint, reason: "its queue is full".to_owned() }
            }
        }
    }

    pub(crate) fn from_actor(endpoint: &Arc<str>, method: &str, error: Unreachable) -> Self {
        let endpoint = Arc::clone(endpoint);
        match error {
            Unreachable::Down { .. } => {
                Self::NotCalled { endpoint, reason: "its actor is down".to_owned() }
            }
            // Either way the call may have gone out.
            Unreachable::Died { .. } | Unreachable::TimedOut { .. } => {
                Self::TimedOut { endpoint, method: method.to_owned() }
            }
        }
    }

    pub(crate) fn wrong(endpoint: &Arc<str>, method: &str, reason: impl ToString) -> Self {
        Self::Wrong {
            endpoint: Arc::clone(endpoint),
            method: method.to_owned(),
            reason: reason.to_string(),
        }
    }

    fn refused(endpoint: &Arc<str>, method: &str, answer: Refusal) -> Self {
        Self::Refused {
            endpoint: Arc::clone(endpoint),
            method: method.to_owned(),
            answer: Box::new(answer),
        }
    }

    /// How long the endpoint asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.refusal()?.class {
            RpcErrorClass::RateLimited { retry_after } => retry_after,
            _ => None,
        }
    }
}

impl Classify for RpcError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Refused { answer, .. } => match &answer.class {
                RpcErrorClass::Transient => FailureClass::Fault,
                RpcErrorClass::RateLimited { retry_after } => {
                    FailureClass::Overloaded { retry_after: *retry_after }
                }
                RpcErrorClass::Unpaid => FailureClass::Barred,
                _ => FailureClass::Answer,
            },
            Self::Busy { wait, .. } => FailureClass::Overloaded { retry_after: Some(*wait) },
            Self::OtherChain { .. } | Self::Behind { .. } | Self::Unproven { .. } => {
                FailureClass::Answer
            }
            _ => FailureClass::Fault,
        }
    }
}

fn json(text: &str) -> Option<Json> {
    serde_json::from_str(text).ok()
}

/// The error of a JSON-RPC body that came with an HTTP error.
fn json_rpc_error(body: &str) -> Option<(i64, String, Option<Json>)> {
    let body: Json = json(body)?;
    let error = match &body {
        Json::Array(items) => items.first()?.get("error")?,
        _ => body.get("error")?,
    };
    let payload: ErrorPayload<Box<RawValue>> = serde_json::from_value(error.clone()).ok()?;
    let data = payload.data.and_then(|raw| json(raw.get()));
    Some((payload.code, payload.message.into_owned(), data))
}
