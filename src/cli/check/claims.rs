//! What a contract says that it is (ERC-165), held against what it is configured as.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes, FixedBytes, fixed_bytes},
    rpc::client::RpcClient,
    sol,
    sol_types::SolCall as _,
};
use serde_json::json;

use crate::config::ContractKind;

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
    client: &RpcClient,
    address: Address,
    kind: ContractKind,
) -> Result<Claim, String> {
    let Some((_, expected)) = TOKENS.into_iter().find(|(of, _)| *of == kind) else {
        return Ok(Claim::None);
    };
    let has = async |interface| supports(client, address, interface).await;
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

async fn supports(
    client: &RpcClient,
    address: Address,
    (_, id): Interface,
) -> Result<bool, String> {
    let data: Bytes = supportsInterfaceCall { interfaceId: id }.abi_encode().into();
    let request = json!({ "to": address, "data": data });
    let answer: Result<Bytes, _> =
        client.request("eth_call", (request, BlockNumberOrTag::Latest)).await;
    match answer {
        Ok(answer) => {
            Ok(supportsInterfaceCall::abi_decode_returns_validate(&answer).unwrap_or(false))
        }
        Err(error) if error.as_error_resp().is_some() => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}
