//! Names and types of event parameters.

use alloy::{
    dyn_abi::{DynSolType, DynSolValue},
    json_abi::Param,
};

use crate::domain::{FieldType, Value};

/// `proposalId` → `proposal_id`, `tokenURI` → `token_uri`, `EIP712Domain` →
/// `eip712_domain`. Underscores at the start go, `$` becomes `_`.
pub(super) fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.trim_start_matches('_').chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (i, &c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|j| chars.get(j)).copied();
        let ends_acronym = before.is_some_and(|b| b.is_ascii_uppercase())
            && chars.get(i + 1).is_some_and(char::is_ascii_lowercase);
        let starts_word =
            before.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) || ends_acronym;
        if c.is_ascii_uppercase() && starts_word && !out.ends_with('_') {
            out.push('_');
        }
        out.push(if c == '$' { '_' } else { c.to_ascii_lowercase() });
    }
    out
}

/// Names of parameters or members in snake_case: `_0` for one without a name,
/// and its place appended to one that another already has.
pub(super) fn member_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken = Vec::<String>::new();
    for (index, name) in names.enumerate() {
        let mut name = snake_case(name);
        // Again, as another may be called so by its own name.
        while name.is_empty() || taken.contains(&name) {
            name = format!("{name}_{index}");
        }
        taken.push(name);
    }
    taken
}

/// The type of a parameter; `components` name the members of structs.
pub(super) fn field_type(solidity: &DynSolType, components: &[Param]) -> FieldType {
    match solidity {
        DynSolType::Bool => FieldType::Bool,
        DynSolType::Int(_) => FieldType::Int,
        DynSolType::Uint(_) => FieldType::Uint,
        DynSolType::Address => FieldType::Address,
        DynSolType::String => FieldType::Text,
        DynSolType::Array(item) | DynSolType::FixedArray(item, _) => {
            FieldType::List(Box::new(field_type(item, components)))
        }
        DynSolType::Tuple(members) => {
            let given = |i: usize| components.get(i);
            let names = member_names(
                (0..members.len()).map(|i| given(i).map_or("", |param| param.name.as_str())),
            );
            let types = members.iter().enumerate().map(|(i, member)| {
                field_type(member, given(i).map_or(&[], |param| param.components.as_slice()))
            });
            FieldType::Tuple(names.into_iter().zip(types).collect())
        }
        // bytes, bytesN and function pointers (24 bytes).
        _ => FieldType::Bytes,
    }
}

/// A decoded value, its struct members named by `field_type`.
pub(super) fn value(field_type: &FieldType, decoded: DynSolValue) -> Value {
    match (field_type, decoded) {
        (_, DynSolValue::Bool(b)) => Value::Bool(b),
        (_, DynSolValue::Int(n, _)) => Value::Int(n),
        (_, DynSolValue::Uint(n, _)) => Value::Uint(n),
        (_, DynSolValue::Address(a)) => Value::Address(a),
        (_, DynSolValue::FixedBytes(word, size)) => {
            Value::Bytes(word.get(..size).unwrap_or_default().to_vec().into())
        }
        (_, DynSolValue::Function(f)) => Value::Bytes(f.to_vec().into()),
        (_, DynSolValue::Bytes(bytes)) => Value::Bytes(bytes.into()),
        // The decoder has already replaced what is no UTF-8.
        (_, DynSolValue::String(text)) => Value::Text(text),
        (FieldType::List(item), DynSolValue::Array(items) | DynSolValue::FixedArray(items)) => {
            Value::List(items.into_iter().map(|entry| value(item, entry)).collect())
        }
        (FieldType::Tuple(members), DynSolValue::Tuple(items)) => Value::Tuple(
            members
                .iter()
                .zip(items)
                .map(|((name, member), item)| (name.clone(), value(member, item)))
                .collect(),
        ),
        // Unreached: type and value were resolved from one declaration.
        (_, other) => Value::Bytes(other.abi_encode().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solidity_names_become_snake_case() {
        for (given, expected) in [
            ("VoteCast", "vote_cast"),
            ("proposalId", "proposal_id"),
            ("tokenURI", "token_uri"),
            ("EIP712DomainChanged", "eip712_domain_changed"),
            ("NFTMinted", "nft_minted"),
            ("_owner", "owner"),
            ("already_snake", "already_snake"),
            ("Snake_Case", "snake_case"),
            ("a$b", "a_b"),
            ("", ""),
        ] {
            assert_eq!(snake_case(given), expected, "{given}");
        }
    }

    #[test]
    fn nameless_and_clashing_members_get_their_place() {
        assert_eq!(member_names(["", "a", "_a", ""].into_iter()), ["_0", "a", "a_2", "_3"]);
        assert_eq!(member_names(["a", "a_2", "a"].into_iter()), ["a", "a_2", "a_2_2"]);
    }
}
