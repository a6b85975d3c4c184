//! A small fold that notices every mistake of order.

use alloy::primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

use super::super::{AsJson, Fold, JsonPaths as _, State};
use crate::domain::Event;

/// Sums amounts by contract, says once per contract when its sum reaches ten,
/// chains a digest over all events, and lets an amount of seven set a deadline
/// two seconds later, whose decision reports the digest of that moment.
pub(super) struct Tally;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Said {
    ReachedTen { contract: String, digest: B256 },
    Decided { deadline: u64, digest: B256 },
}

impl AsJson for Said {}

fn digest(state: &State) -> B256 {
    state.get("digest").unwrap_or_default()
}

impl Fold for Tally {
    type Output = Said;
    type Key = String;

    fn begin_block(&self, _: u64, _: u64, time: u64, state: &mut State, output: &mut Vec<Said>) {
        let due: Vec<String> = state.keys("due/").map(str::to_owned).collect();
        for key in due {
            let deadline: u64 = state.get(&key).unwrap();
            if deadline < time {
                state.remove(&key);
                output.push(Said::Decided { deadline, digest: digest(state) });
            }
        }
    }

    fn apply(&self, event: &Event, state: &mut State, output: &mut Vec<Said>) {
        let digest = keccak256([digest(state).0, event.id.0.0].concat());
        state.put("digest", &digest);
        let amount: u64 = event.fields["amount"].as_str().unwrap().parse().unwrap();
        let key = format!("sum/{}", event.contract);
        let before: u64 = state.get(&key).unwrap_or(0);
        state.put(&key, &(before + amount));
        if before < 10 && before + amount >= 10 {
            output.push(Said::ReachedTen { contract: event.contract.to_string(), digest });
        }
        if amount == 7 {
            let deadline = event.position.time + 2;
            state.put(&format!("due/{deadline:020}"), &deadline);
        }
    }
}
