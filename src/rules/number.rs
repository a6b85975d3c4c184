//! Numbers of events' fields: 256 bits, with a sign or without.

use std::cmp::Ordering;

use alloy::primitives::{I256, U256};
use serde::{Deserialize, Serialize};

use crate::domain::FieldType;

/// A number of the kind its field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Number {
    Uint(U256),
    Int(I256),
}

/// Numbers of one kind in their order; kinds are never mixed.
impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Uint(a), Self::Uint(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Uint(_), Self::Int(_)) => Ordering::Greater,
            (Self::Int(_), Self::Uint(_)) => Ordering::Less,
        }
    }
}

impl Number {
    /// How much less there is; zero when nothing lacks.
    pub(super) fn less(self, shown: Option<Self>) -> U256 {
        match (shown, self) {
            (None, Self::Uint(needed)) => needed,
            // Of what is negative nothing lacks.
            (None, Self::Int(needed)) => needed.max(I256::ZERO).into_raw(),
            (Some(Self::Uint(have)), Self::Uint(needed)) => needed.saturating_sub(have),
            // The difference of two signed numbers always fits unsigned.
            (Some(Self::Int(have)), Self::Int(needed)) if have < needed => {
                needed.into_raw().wrapping_sub(have.into_raw())
            }
            _ => U256::ZERO,
        }
    }

    /// Nothing, as fields of a type hold it.
    pub(super) fn zero(field_type: &FieldType) -> Self {
        match field_type {
            FieldType::Int => Self::Int(I256::ZERO),
            _ => Self::Uint(U256::ZERO),
        }
    }
}
