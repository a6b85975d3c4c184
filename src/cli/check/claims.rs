//! What a contract says that it is (ERC-165), held against what it is configured as.

use alloy::{
    primitives::{Address, Bytes, FixedBytes, fixed_bytes},
    sol,
    sol_types::SolCall as _,
};

use super::opened::Opened;
use crate::{chain::rpc::RpcError, config::ContractKind};

sol! {
    function supportsInterface(bytes4 interfaceId) external view returns (bool);
}

/// An interface and its ERC-165 id.
type Interface = (&'static str, FixedBytes<4>);

const ERC165: Interface = ("ERC-165", fixed_bytes!("01ffc9a7"));
/// What no contract may say that it has.
const INVALID: Interface = ("nothing", fixed_bytes!("ffffffff"));
/// Those by which a kind can be told from another.
const TOKENS: [(ContractKind, Interface); 3] = [
    (ContractKind::Erc721, ("ERC-721", fixed_bytes!("80ac58cd"))),
    (ContractKind::Erc1155, ("ERC-1155", fixed_bytes!("d9b67a26"))),
    (ContractKind::Erc6909, ("ERC-6909", fixed_bytes!("0f632fb3"))),
];

/// What a contract says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing that could be held against its kind.
    None,
    /// It does not know the question.
    Silent,
    /// What it is configured as.
    Is(&'static str),
    /// Something else, if it says what.
    IsNot(&'static str, Option<&'static str>),
}

/// Asks a contract whether it is what it is configured as.
///
/// # Errors
/// When the endpoint does not answer. A contract that reverts has answered.
pub(super) async fn ask(
    endpoint: &Opened,
    address: Address,
    kind: ContractKind,
) -> Result<Claim, RpcError> {
    let Some((_, expected)) = TOKENS.into_iter().find(|(of, _)| *of == kind) else {
        return Ok(Claim::None);
    };
    let has = async |(_, id): Interface| {
        let asked = supportsInterfaceCall { interfaceId: id }.abi_encode().into();
        is_yes(endpoint.call(address, &asked).await)
    };
    // As ERC-165 says: a contract that answers everything with true knows nothing of it.
    if !has(ERC165).await? || has(INVALID).await? {
        return Ok(Claim::Silent);
    }
    if has(expected).await? {
        return Ok(Claim::Is(expected.0));
    }
    for (_, other) in TOKENS {
        if other != expected && has(other).await? {
            return Ok(Claim::IsNot(expected.0, Some(other.0)));
        }
    }
    Ok(Claim::IsNot(expected.0, None))
}

/// Whether a contract said yes. That an endpoint refuses, for its rate or its plan, is no
/// word of the contract's.
fn is_yes(answer: Result<Bytes, RpcError>) -> Result<bool, RpcError> {
    match answer {
        Ok(answer) => {
            Ok(supportsInterfaceCall::abi_decode_returns_validate(&answer).unwrap_or(false))
        }
        Err(error) if error.semantic().is_some() => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use alloy::{rpc::json_rpc::ErrorPayload, transports::TransportError};

    use super::*;

    fn refused(code: i64, message: &'static str) -> Result<Bytes, RpcError> {
        let payload = ErrorPayload { code, message: message.into(), data: None };
        let error = TransportError::ErrorResp(payload);
        Err(RpcError::from_transport(&"endpoint/main/0".into(), "eth_call", error))
    }

    #[test]
    fn only_the_contract_itself_says_no() {
        let word = |last: u8| Bytes::from([[0; 31].as_slice(), &[last]].concat());
        assert_eq!(is_yes(Ok(word(1))), Ok(true));
        for no in [Ok(word(0)), Ok(word(2)), Ok(Bytes::new()), refused(3, "execution reverted")] {
            assert_eq!(is_yes(no.clone()), Ok(false), "{no:?}");
        }
        for (code, message) in [(-32005, "rate limit exceeded"), (-32603, "internal error")] {
            assert!(is_yes(refused(code, message)).is_err(), "{message}");
        }
    }
}
