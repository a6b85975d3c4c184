//! Calls of a contract of somebody else's making, as the configuration writes
//! them: `mint(address user, uint256 id)`. What an argument gets follows from
//! its name, or is said: `setBonus(address user, uint256 bps = 12000)`. A question may
//! say the answer that means yes: `bonusOf(address user) == 12000`.

use std::collections::BTreeMap;

use alloy::{
    dyn_abi::{DynSolType, DynSolValue, JsonAbiExt},
    json_abi::Function,
    primitives::{Bytes, U256},
};

use super::Target;

/// What an argument gets.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    User,
    Id,
    /// The commitment to the evidence: `bytes` or `bytes32`.
    Proof,
    /// What is said.
    Said(DynSolValue),
}

/// A function and what its arguments get.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Form {
    function: Function,
    parts: Vec<Part>,
    is_batch: bool,
    /// The answer that means yes, where it is said.
    yes: Option<U256>,
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
    /// What an argument is said to be is not of its type.
    #[error("argument `{name}` = {text}: {why}; it is of type {ty}")]
    Value {
        /// Its name.
        name: String,
        /// Its type.
        ty: String,
        /// What is said.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// What a question's answer is compared with is no word.
    #[error("`== {0}`: compare the answer with a number, an address, or true or false")]
    Answer(String),
    /// Only a question has an answer.
    #[error("only `has` is compared with something; remove `==`")]
    NoQuestion,
    /// An argument is missing, or there twice.
    #[error("argument `{0}` must stand there once")]
    Once(&'static str),
}

impl Form {
    /// Reads the signature of a call about one item, or about several.
    pub(super) fn parse(text: &str, is_batch: bool) -> Result<Self, BadCall> {
        let (text, said) = without_values(text)?;
        let function =
            Function::parse(&text).map_err(|error| BadCall::Syntax(error.to_string()))?;
        let mut parts = Vec::new();
        for (place, input) in function.inputs.iter().enumerate() {
            if let Some(text) = said.get(&place) {
                parts.push(Part::Said(value(&input.name, &input.ty, text)?));
                continue;
            }
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
                    (_, false) => "bytes or bytes32",
                    (_, true) => "bytes[] or bytes32[]",
                };
                let (name, found) = (input.name.clone(), input.ty.clone());
                return Err(BadCall::Type { name, found, needed });
            }
            parts.push(part);
        }
        let count = |part: Part| parts.iter().filter(|it| **it == part).count();
        // A contract may have one achievement only: see `names_id`.
        for (part, name, least) in
            [(Part::User, "user", 1), (Part::Id, "id", 0), (Part::Proof, "proof", 0)]
        {
            if !(least..=1).contains(&count(part)) {
                return Err(BadCall::Once(name));
            }
        }
        Ok(Self { function, parts, is_batch, yes: None })
    }

    /// Reads the signature of something that is done.
    pub(super) fn parse_deed(text: &str, is_batch: bool) -> Result<Self, BadCall> {
        match text.split_once("==") {
            Some(_) => Err(BadCall::NoQuestion),
            None => Self::parse(text, is_batch),
        }
    }

    /// Reads a question: a signature, and what answers yes.
    pub(super) fn parse_question(text: &str) -> Result<Self, BadCall> {
        let Some((text, yes)) = text.rsplit_once("==") else {
            return Self::parse(text, false);
        };
        let yes = yes.trim();
        let word = ["uint256", "address", "bool", "int256", "bytes32"].into_iter().find_map(|ty| {
            let word = ty.parse::<DynSolType>().ok()?.coerce_str(yes).ok()?.as_word()?;
            Some(U256::from_be_bytes(word.0))
        });
        let word = word.ok_or_else(|| BadCall::Answer(yes.to_owned()))?;
        Ok(Self { yes: Some(word), ..Self::parse(text.trim_end(), false)? })
    }

    /// Whether it says which achievement it is about.
    pub(super) fn names_id(&self) -> bool {
        self.parts.contains(&Part::Id)
    }

    /// A yes or no: whether it is the answer that means yes, or else a `bool` or a
    /// number that is not 0, such as a balance.
    pub(super) fn decode_answer(&self, answer: &[u8]) -> Option<bool> {
        let word: [u8; 32] = answer.try_into().ok()?;
        let word = U256::from_be_bytes(word);
        Some(self.yes.map_or(word != U256::ZERO, |yes| word == yes))
    }

    /// Calldata for these items; of a single call, for the first.
    pub(super) fn encode(&self, targets: &[Target]) -> Bytes {
        let word = |part: &Part, target: &Target, ty: &str| match part {
            Part::Said(value) => value.clone(),
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
                let mut all = targets.iter().map(|target| word(part, target, &input.ty));
                let is_said = matches!(part, Part::Said(_));
                if self.is_batch && !is_said {
                    Some(DynSolValue::Array(all.collect()))
                } else {
                    all.next()
                }
            })
            .collect();
        // The values have the types that were checked when it was read; what can't
        // be encoded would be refused by the contract.
        self.function.abi_encode_input(&values).unwrap_or_default().into()
    }
}

/// A value as it is said for a type.
fn value(name: &str, ty: &str, text: &str) -> Result<DynSolValue, BadCall> {
    let bad = |why: String| BadCall::Value {
        name: name.to_owned(),
        ty: ty.to_owned(),
        text: text.to_owned(),
        why,
    };
    let parsed = ty.parse::<DynSolType>().map_err(|error| bad(error.to_string()))?;
    parsed.coerce_str(text).map_err(|error| bad(error.to_string()))
}

/// A signature without what it says of its arguments, and that by their places.
fn without_values(text: &str) -> Result<(String, BTreeMap<usize, String>), BadCall> {
    let syntax = |why: &str| BadCall::Syntax(why.to_owned());
    let Some((head, rest)) = text.split_once('(') else {
        return Ok((text.to_owned(), BTreeMap::new()));
    };
    let (mut plain, mut said) = (format!("{head}("), BTreeMap::new());
    let (mut place, mut depth, mut quoted, mut value) = (0, 0_u32, false, None::<String>);
    for c in rest.chars() {
        let ends = depth == 0 && !quoted && matches!(c, ',' | ')');
        if ends {
            if let Some(text) = value.take() {
                let text = text.trim();
                if text.is_empty() {
                    return Err(syntax("nothing is said after `=`"));
                }
                said.insert(place, text.trim_matches('"').to_owned());
            }
            place += 1;
            plain.push(c);
            continue;
        }
        match c {
            '"' if value.is_some() => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth = depth.saturating_sub(1),
            '=' if depth == 0 && !quoted && value.is_none() => {
                plain.truncate(plain.trim_end().len());
                value = Some(String::new());
                continue;
            }
            _ => {}
        }
        match &mut value {
            Some(value) => value.push(c),
            None => plain.push(c),
        }
    }
    match value {
        Some(_) => Err(syntax("a bracket or a quote is not closed")),
        None => Ok((plain, said)),
    }
}
