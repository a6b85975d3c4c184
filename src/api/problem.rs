//! One shape for every error: RFC 9457 problem details.

use actix_web::{
    Error, HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde_json::json;

/// An answer other than the one asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiProblem {
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The path takes other methods.
    #[error("this path takes {allowed}")]
    MethodNotAllowed {
        /// Which, as an `Allow` header names them.
        allowed: String,
    },
    /// The body is longer than any route reads.
    #[error("the body is longer than {limit_bytes} bytes")]
    TooLarge {
        /// The longest one.
        limit_bytes: usize,
    },
    /// What is asked for does not fit the present state.
    #[error("{0}")]
    Conflict(String),
    /// The configuration does not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// A part that is needed for the answer does not work now.
    #[error("{0}")]
    Unavailable(String),
    /// A mistake of the daemon's own. What it is stands in the log alone.
    #[error("the daemon made a mistake; its log says more")]
    Internal,
}

impl ApiProblem {
    /// The problem that an error is: the daemon's word, or what the server itself refuses.
    pub(super) fn of(error: &Error) -> Self {
        if let Some(problem) = error.as_error::<Self>() {
            return problem.clone();
        }
        match error.as_response_error().status_code() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::TooLarge { limit_bytes: super::routes::MAX_BODY_BYTES }
            }
            StatusCode::NOT_FOUND => Self::NotFound(error.to_string()),
            status if status.is_client_error() => Self::BadRequest(error.to_string()),
            _ => Self::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::NotFound(_) => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::TooLarge { .. } => "too_large",
            Self::Conflict(_) => "conflict",
            Self::Forbidden(_) => "forbidden",
            Self::Unavailable(_) => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The answer to a request of this id.
    pub(super) fn answer(&self, request_id: &str) -> HttpResponse {
        let status = self.status_code();
        let mut answer = HttpResponse::build(status);
        if let Self::MethodNotAllowed { allowed } = self {
            answer.insert_header((header::ALLOW, allowed.as_str()));
        }
        answer.content_type("application/problem+json").json(json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "code": self.code(),
            "detail": self.to_string(),
            "request_id": request_id,
        }))
    }
}

/// How the server knows the status; the body is made by [`Self::answer`].
impl ResponseError for ApiProblem {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
