//! What the answers of a batch together say about the endpoint.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::{
    breakers::{Classify, FailureClass},
    chain::rpc::RpcError,
};

/// Answers to the calls of a batch, in their order; `None`: none came.
pub type Members = Vec<Option<Result<Box<RawValue>, RpcError>>>;

/// A batch in which nothing was answered but refusals failed as its worst
/// member did.
pub(super) fn judged(members: Members) -> Result<Members, RpcError> {
    let answered = members.iter().any(|member| !matches!(member, Some(Err(_))));
    let grave = |error: &RpcError| match error.class() {
        FailureClass::Overloaded { .. } => 2,
        FailureClass::Fault | FailureClass::Barred => 1,
        FailureClass::Answer => 0,
    };
    let worst = members.iter().flatten().filter_map(|m| m.as_ref().err()).max_by_key(|e| grave(e));
    match worst {
        Some(worst) if !answered && grave(worst) > 0 => Err(worst.clone()),
        _ => Ok(members),
    }
}

/// How long a refused call should wait, if it was refused for their number.
pub(super) fn slowed_down<T>(answer: &Result<T, RpcError>) -> Option<Option<Duration>> {
    match answer.as_ref().err()?.class() {
        FailureClass::Overloaded { retry_after } => Some(retry_after),
        FailureClass::Fault | FailureClass::Barred | FailureClass::Answer => None,
    }
}
