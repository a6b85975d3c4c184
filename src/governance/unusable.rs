//! Why an event could not be used.

use alloy::primitives::{Address, U256};

use super::ProposalState;
use crate::domain::{Name, ValueError};

/// Why an event changes nothing here. Its text stands in the dead letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error(
        "contract `{contract}` is neither the governor nor named by a benefit: \
         remove it from the sources or name it in a benefit"
    )]
    UnknownContract { contract: Name },
    #[error(
        "event `{name}` of `{contract}` has no meaning here: is the contract of the kind that \
         the configuration says?"
    )]
    UnknownEvent { contract: Name, name: Name },
    #[error("`{name}` has no field `{field}`")]
    MissingField { name: Name, field: &'static str },
    #[error("field `{field}` of `{name}`: {source}")]
    WrongField {
        name: Name,
        field: &'static str,
        #[source]
        source: ValueError,
    },
    #[error("field `{field}` of `{name}` is {value}, beyond {most}")]
    OutOfRange { name: Name, field: &'static str, value: U256, most: u64 },
    #[error(
        "the creation of proposal {id} was not seen: let the governor's start_block reach back \
         before it"
    )]
    UnknownProposal { id: U256 },
    #[error("proposal {id} exists already")]
    ProposalExists { id: U256 },
    #[error(
        "a vote of {voter} on proposal {id}, which takes none while it is {state}: is the \
         governor's clock (block or timestamp) set as its CLOCK_MODE() says?"
    )]
    OutsideWindow { id: U256, voter: Address, state: ProposalState },
    #[error("proposal {id} is {state}: `{name}` can't follow")]
    CannotFollow { id: U256, state: ProposalState, name: Name },
    #[error(
        "support {support} on proposal {id}: known are 0 against, 1 for, 2 abstain, and 255 \
         (fractional) with 48 bytes of params"
    )]
    UnknownSupport { id: U256, support: u64 },
    #[error("the vote of {voter} on proposal {id} weighs less, and was never seen")]
    NeverVoted { id: U256, voter: Address },
    #[error(
        "the vote of {voter} on proposal {id} is to weigh {weight} less, which is more than it weighs"
    )]
    ReducedBelowZero { id: U256, voter: Address, weight: U256 },
    #[error("the parts of a fractional vote on proposal {id} exceed its weight {weight}")]
    SplitExceedsWeight { id: U256, weight: U256 },
}
