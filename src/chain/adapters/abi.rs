//! Any contract, by its ABI: every event under its own name in snake_case.

use std::collections::HashMap;

use alloy::json_abi::{Event as AbiEvent, JsonAbi};

use super::{AdapterError, fields::snake_case, layout::Layout};

/// One layout per event of the ABI.
pub(super) fn layouts(abi: &JsonAbi) -> Result<Vec<Layout>, AdapterError> {
    let events: Vec<&AbiEvent> = abi.events().collect();
    if events.is_empty() {
        return Err(AdapterError::NoEvents);
    }
    let names = distinct_names(&events);
    events.iter().zip(names).map(|(event, name)| Layout::new(&name, event)).collect()
}

/// Overloads are told apart by how many arguments they have, and where that
/// does not do, by the first four bytes of topic 0.
fn distinct_names(events: &[&AbiEvent]) -> Vec<String> {
    let written = |event: &AbiEvent, detail: u8| {
        let (name, arguments) = (snake_case(&event.name), event.inputs.len());
        match detail {
            0 => name,
            1 => format!("{name}_{arguments}"),
            _ => format!(
                "{name}_{arguments}_{}",
                alloy::hex::encode(event.selector().get(..4).unwrap_or_default())
            ),
        }
    };
    let mut details = vec![0; events.len()];
    loop {
        let names: Vec<_> =
            events.iter().zip(&details).map(|(event, detail)| written(event, *detail)).collect();
        let mut counts = HashMap::<&str, usize>::new();
        for name in &names {
            *counts.entry(name).or_default() += 1;
        }
        let mut clashed = false;
        for (name, detail) in names.iter().zip(&mut details) {
            if counts.get(name.as_str()).is_some_and(|count| *count > 1) && *detail < 2 {
                *detail += 1;
                clashed = true;
            }
        }
        if !clashed {
            return names;
        }
    }
}
