//! What a governor is asked of a proposal: the calls, as of which block, and how an
//! answer is read.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes, U256},
    sol,
    sol_types::SolCall,
};

use crate::{
    actors::shared::ChainLink,
    chain::rpc::RpcError,
    domain::Name,
    governance::{Ask, ProposalState},
};

sol! {
    // OpenZeppelin Governor; the quorum at a past timepoint is read from
    // checkpoints, so the answer is a function of the canonical chain.
    function quorum(uint256 timepoint) external view returns (uint256);
    // Governor Bravo and Alpha have a constant, Nouns one of each proposal.
    function quorumVotes() external view returns (uint256);
    function quorumVotes(uint256 proposalId) external view returns (uint256);
    function state(uint256 proposalId) external view returns (uint8);
}

/// What a governor says of a proposal.
pub(in crate::actors) async fn answer(
    link: &ChainLink,
    governor: &Name,
    address: Address,
    (proposal, ask): (U256, Ask),
) -> Result<U256, RpcError> {
    let (calldata, at) = question(proposal, ask);
    let at = match at.as_number() {
        Some(number) => link.place(number).await?,
        None => at.into(),
    };
    let answer = link.call(None, address, &calldata, at).await?;
    read_answer(&answer).ok_or_else(|| RpcError::Wrong {
        endpoint: link.name.as_str().into(),
        method: "eth_call".to_owned(),
        reason: format!("governor {governor} does not answer {ask} of proposal {proposal}"),
    })
}

/// The call by which a governor is asked about a proposal, and as of which block.
#[must_use]
pub fn question(proposal: U256, ask: Ask) -> (Bytes, BlockNumberOrTag) {
    let latest = BlockNumberOrTag::Latest;
    let (calldata, at) = match ask {
        Ask::Quorum { snapshot } => {
            let call = quorumCall { timepoint: U256::from(snapshot) };
            (call.abi_encode(), latest)
        }
        Ask::QuorumVotes => (quorumVotes_0Call {}.abi_encode(), latest),
        Ask::QuorumVotesOf => {
            let call = quorumVotes_1Call { proposalId: proposal };
            (call.abi_encode(), latest)
        }
        Ask::State { block } => return (state_call(proposal), BlockNumberOrTag::Number(block)),
    };
    (calldata.into(), at)
}

/// What a governor answered: one word, whatever was asked.
#[must_use]
pub fn read_answer(answer: &[u8]) -> Option<U256> {
    U256::try_from_be_slice(answer).filter(|_| answer.len() == 32)
}

/// The call by which a contract is asked for a proposal's state.
pub(super) fn state_call(proposal: U256) -> Bytes {
    stateCall { proposalId: proposal }.abi_encode().into()
}

/// The state that it answered; nothing if that is none.
pub(super) fn read_state(answer: &[u8]) -> Option<ProposalState> {
    stateCall::abi_decode_returns(answer).ok().and_then(ProposalState::of_contract)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_governor_is_asked_by_the_selectors_of_its_make() {
        let id = U256::from(7);
        let latest = BlockNumberOrTag::Latest;
        for (ask, selector, words, at) in [
            (Ask::Quorum { snapshot: 9 }, "f8ce560a", vec![9], latest),
            (Ask::QuorumVotes, "24bc1a64", vec![], latest),
            (Ask::QuorumVotesOf, "0f7b1f08", vec![7], latest),
            (Ask::State { block: 21 }, "3e4f49e6", vec![7], BlockNumberOrTag::Number(21)),
        ] {
            let (calldata, asked_at) = question(id, ask);
            let words: Vec<u8> = words
                .into_iter()
                .flat_map(|word: u64| U256::from(word).to_be_bytes::<32>())
                .collect();
            let expected = [alloy::hex::decode(selector).unwrap(), words].concat();
            assert_eq!((calldata.to_vec(), asked_at), (expected, at), "{ask}");
        }
    }

    #[test]
    fn an_answer_is_one_word() {
        let word = U256::from(5).to_be_bytes::<32>();
        assert_eq!(read_answer(&word), Some(U256::from(5)));
        for other in [&word[1..], &[], &[word, word].concat()] {
            assert_eq!(read_answer(other), None);
        }
    }
}
