//! What goes wrong below JSON-RPC.

use std::{ops::RangeInclusive, time::Duration};

/// A failure of one HTTP request, whatever is asked in it.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It takes longer: so many milliseconds, drawn. Further rules follow.
    Delay(RangeInclusive<u64>),
    /// No answer until the endpoint is told to release, or gets another
    /// script. Then further rules follow.
    Hang,
    /// The answer's first half, and the connection is gone. What was asked
    /// for has been done.
    Cut,
    /// The answer's first half as if it were the whole.
    Truncated,
    /// Something else than JSON-RPC; nothing was done.
    Other { status: u16, retry_after: Option<Duration>, body: String },
}

impl Fault {
    /// The page of a proxy.
    pub fn html(status: u16) -> Self {
        let body = "<!DOCTYPE html><html><body><h1>We'll be back soon</h1></body></html>";
        Self::Other { status, retry_after: None, body: body.to_owned() }
    }

    /// A bare HTTP error.
    pub fn status(status: u16) -> Self {
        Self::Other { status, retry_after: None, body: String::new() }
    }

    /// HTTP 429; `retry_after` is told in whole seconds.
    pub fn rate_limited(retry_after: Option<Duration>) -> Self {
        Self::Other { status: 429, retry_after, body: "Too Many Requests".to_owned() }
    }

    /// HTTP 402.
    pub fn payment_required() -> Self {
        let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32003,"message":"Monthly capacity limit exceeded."}}"#;
        Self::Other { status: 402, retry_after: None, body: body.to_owned() }
    }
}
