//! What all answers have in common: each has the id of its request, and each error one shape,
//! whoever found it.

use actix_web::{
    Error, ResponseError as _,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
};

use super::ApiProblem;
use crate::chance;

/// The id of a request: the client's own, or one that it is given.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken of a client.
const REQUEST_ID_MAX: usize = 64;

/// The id that joins an answer to what the log says of it.
fn request_id(request: &ServiceRequest) -> String {
    let given = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_plain = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=REQUEST_ID_MAX).contains(&id.len()) && id.bytes().all(plain)
    };
    match given.filter(is_plain) {
        Some(id) => id.to_owned(),
        None => format!("{:016x}", chance::random::<u64>()),
    }
}

/// Gives every answer its request's id, and every error the shape of [`ApiProblem`].
pub(super) async fn in_one_shape(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = request_id(&request);
    let mut answered = next.call(request).await?.map_into_boxed_body();
    if let Some(error) = answered.response().error() {
        let problem = ApiProblem::of(error);
        let (method, path) = (answered.request().method(), answered.request().path());
        // All others say in the answer what is wrong; whoever asks often would fill the log.
        if problem == ApiProblem::Internal {
            tracing::error!(request_id = id, %method, path, "not answered: {error}");
        } else {
            let status = problem.status_code().as_u16();
            tracing::debug!(request_id = id, %method, path, status, "refused: {error}");
        }
        answered = answered.into_response(problem.answer(&id));
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        answered.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(answered)
}
