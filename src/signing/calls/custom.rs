//! Calls of a contract of somebody else's making, as the configuration writes
//! them: `mint(address user, uint256 id)`. What an argument gets follows from
//! its name.

use alloy::{
    dyn_abi::{DynSolValue, JsonAbiExt},
    json_abi::Function,
    primitives::{Bytes, U256},
};

use super::Target;

/// What an argument gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    User,
    Id,
    /// The commitment to the evidence: `bytes` or `bytes32`.
    Proof,
}

/// A function and what its arguments get.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Form {
    function: Function,
    parts: Vec<Part>,
    is_batch: bool,
}

/// Why a signature is no call that meritd can make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCall {
    /// Not a function's signature.
    #[error("not a signature: {0}; write it like \"mint(address user, uint256 id)\"")]
    Syntax(String),
    /// An argument whose name says nothing.
    #[error(
        "argument `{0}` has no meaning; name it user, id or proof (users, ids, proofs of a batch)"
    )]
    Meaning(String),
    /// An argument of the wrong type.
    #[error("argument `{name}` is of type {found}, not {needed}")]
    Type {
        /// Its name.
        name: String,
        /// As written.
        found: String,
        /// What it must be.
        needed: &'static str,
    },
    /// An argument is missing, or there twice.
    #[error("argument `{0}` must stand there once")]
    Once(&'static str),
}

impl Form {
    /// Reads the signature of a call about one item, or about several.
    pub(super) fn parse(text: &str, is_batch: bool) -> Result<Self, BadCall> {
        let function = Function::parse(text).map_err(|error| BadCall::Syntax(error.to_string()))?;
        let mut parts = Vec::new();
        for input in &function.inputs {
            let singular = |name: &str| match is_batch {
                true => name.strip_suffix('s').map(str::to_owned),
                false => Some(name.to_owned()),
            };
            let name = singular(&input.name.to_lowercase());
            let (part, needed): (Part, &[&str]) = match name.as_deref() {
                Some("user" | "account" | "to" | "holder") => (Part::User, &["address"]),
                Some("id" | "tokenid" | "achievementid") => (Part::Id, &["uint256"]),
                Some("proof" | "proofdata" | "data" | "reason") => {
                    (Part::Proof, &["bytes", "bytes32"])
                }
                _ => return Err(BadCall::Meaning(input.name.clone())),
            };
            let single = match is_batch {
                true => input.ty.strip_suffix("[]"),
                false => Some(input.ty.as_str()),
            };
            if !single.is_some_and(|ty| needed.contains(&ty)) {
                let needed = match (part, is_batch) {
                    (Part::User, false) => "address",
                    (Part::User, true) => "address[]",
                    (Part::Id, false) => "uint256",
                    (Part::Id, true) => "uint256[]",
                    (Part::Proof, false) => "bytes or bytes32",
                    (Part::Proof, true) => "bytes[] or bytes32[]",
                };
                let (name, found) = (input.name.clone(), input.ty.clone());
                return Err(BadCall::Type { name, found, needed });
            }
            parts.push(part);
        }
        let count = |part: Part| parts.iter().filter(|it| **it == part).count();
        for (part, name, least) in
            [(Part::User, "user", 1), (Part::Id, "id", 1), (Part::Proof, "proof", 0)]
        {
            if !(least..=1).contains(&count(part)) {
                return Err(BadCall::Once(name));
            }
        }
        Ok(Self { function, parts, is_batch })
    }

    /// Calldata for these items; of a single call, for the first.
    pub(super) fn encode(&self, targets: &[Target]) -> Bytes {
        let word = |part: Part, target: &Target, ty: &str| match part {
            Part::User => DynSolValue::Address(target.user),
            Part::Id => DynSolValue::Uint(target.achievement_id, 256),
            Part::Proof if ty.starts_with("bytes32") => DynSolValue::FixedBytes(target.proof, 32),
            Part::Proof => DynSolValue::Bytes(target.proof.to_vec()),
        };
        let values: Vec<DynSolValue> = self
            .function
            .inputs
            .iter()
            .zip(&self.parts)
            .filter_map(|(input, part)| {
                let mut all = targets.iter().map(|target| word(*part, target, &input.ty));
                if self.is_batch { Some(DynSolValue::Array(all.collect())) } else { all.next() }
            })
            .collect();
        // The values have the types that were checked when it was read; what can't
        // be encoded would be refused by the contract.
        self.function.abi_encode_input(&values).unwrap_or_default().into()
    }
}

/// A yes or no of a contract: a `bool`, or a number that is not 0, such as a
/// balance.
pub(super) fn decode_answer(answer: &[u8]) -> Option<bool> {
    let word: [u8; 32] = answer.try_into().ok()?;
    Some(U256::from_be_bytes(word) != U256::ZERO)
}
