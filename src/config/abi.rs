//! ABI files.

use alloy::json_abi::{JsonAbi, Param};

/// How deep types may nest. The decoder goes no deeper, and what takes types apart would
/// need as much of the stack.
const DEPTH_MAX: usize = 16;

/// Reads a bare ABI array, or a compiler's artifact with an `abi` member.
///
/// # Errors
/// Why it is none that can be used.
pub(crate) fn parse(text: &str) -> Result<JsonAbi, &'static str> {
    let read = |text| {
        let json: serde_json::Value = serde_json::from_str(text).ok()?;
        let abi = json.get("abi").cloned().unwrap_or(json);
        serde_json::from_value::<JsonAbi>(abi).ok()
    };
    let abi = read(text).ok_or("no ABI in this file")?;
    let of_events = abi.events().flat_map(|event| &event.inputs);
    let of_events = of_events.map(|input| depth(&input.ty, &input.components));
    let of_errors = abi.errors().flat_map(|error| &error.inputs);
    let of_functions = abi.functions().flat_map(|it| it.inputs.iter().chain(&it.outputs));
    let of_others = of_errors.chain(of_functions).map(|input| depth(&input.ty, &input.components));
    match of_events.chain(of_others).max() {
        Some(depth) if depth > DEPTH_MAX => Err("a type in it nests deeper than 16 levels"),
        _ => Ok(abi),
    }
}

/// Levels of lists and structs of a type. Structs nest as deep as JSON may.
fn depth(solidity: &str, components: &[Param]) -> usize {
    let lists = solidity.bytes().filter(|byte| *byte == b'[').count();
    let members = components.iter().map(|member| depth(&member.ty, &member.components));
    lists + members.max().map_or(0, |depth| depth + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_would_exhaust_the_stack_is_refused() {
        let of = |solidity: &str| {
            format!(
                r#"[{{"type":"event","name":"A","anonymous":false,"inputs":[
                    {{"name":"a","type":"{solidity}","indexed":false}}]}}]"#
            )
        };
        assert!(parse(&of(&format!("uint256{}", "[]".repeat(16)))).is_ok());
        for levels in [17, 100_000] {
            let refused = parse(&of(&format!("uint256{}", "[]".repeat(levels))));
            assert_eq!(refused, Err("a type in it nests deeper than 16 levels"), "{levels}");
        }
        assert_eq!(parse("{}"), Err("no ABI in this file"));
    }
}
