//! Many calls in one JSON-RPC batch.

use alloy::{
    rpc::{
        client::RpcClient,
        json_rpc::{Id, Request, RequestPacket, Response, ResponsePacket, ResponsePayload},
    },
    transports::{RpcError as AlloyError, TransportError},
};
use serde_json::value::RawValue;
use tower_service::Service as _;

use super::{TransportFault, fault};

/// The answer to one call of a batch; `None` when there is none.
pub type Member = Option<Result<Box<RawValue>, TransportError>>;

/// Calls a method once with each of `params`. Answers are matched by their
/// ids, in whatever order they come, and given in the order of `params`.
///
/// # Errors
/// When the batch as a whole has no answer, or one error for all.
pub async fn call_batch(
    rpc: &RpcClient,
    method: &str,
    params: &[Box<RawValue>],
) -> Result<Vec<Member>, TransportError> {
    let requests = (0_u64..).zip(params).map(|(id, params)| {
        Request::new(method.to_owned(), Id::Number(id), params.clone()).serialize()
    });
    let requests = requests.collect::<Result<Vec<_>, _>>().map_err(TransportError::ser_err)?;
    let answer = rpc.transport().clone().call(RequestPacket::Batch(requests)).await?;
    let answers = match answer {
        ResponsePacket::Batch(answers) => answers,
        ResponsePacket::Single(answer) => match place(&answer, params.len()) {
            // One answer without the brackets, as some give for a batch of one.
            Some(_) => vec![answer],
            None => return Err(about_all(answer)),
        },
    };
    let mut members: Vec<Member> = std::iter::repeat_with(|| None).take(params.len()).collect();
    let (count, mut placed) = (answers.len(), 0);
    let mut stray = None;
    for answer in answers {
        match place(&answer, params.len()).and_then(|index| members.get_mut(index)) {
            Some(member) => {
                placed += 1;
                // Of two answers to one call the first counts.
                member.get_or_insert_with(|| result(answer.payload));
            }
            None => stray = Some(answer),
        }
    }
    match stray {
        // What names no call of ours speaks of the batch.
        Some(answer) if placed == 0 && count == 1 => Err(about_all(answer)),
        _ => Ok(members),
    }
}

fn place(answer: &Response, calls: usize) -> Option<usize> {
    let index = match &answer.id {
        Id::Number(id) => usize::try_from(*id).ok()?,
        Id::String(id) => id.parse().ok()?,
        Id::None => return None,
    };
    (index < calls).then_some(index)
}

fn result(payload: ResponsePayload) -> Result<Box<RawValue>, TransportError> {
    match payload {
        ResponsePayload::Success(result) => Ok(result),
        ResponsePayload::Failure(error) => Err(AlloyError::ErrorResp(error)),
    }
}

fn about_all(answer: Response) -> TransportError {
    result(answer.payload).err().unwrap_or_else(|| {
        fault(TransportFault::Http("one answer came to a batch of calls".to_owned()))
    })
}
