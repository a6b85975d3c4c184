//! Compound's Governor Bravo: a proxy of its own (`GovernorBravoDelegator`)
//! with its own administrator, also under Uniswap's and Nouns' governors.

use crate::chain::adapters::spec::{EventSpec, event};

pub(super) const EVENTS: &[EventSpec] = &[
    event(
        "new_implementation",
        "event NewImplementation(address old_implementation, address new_implementation)",
    ),
    event("new_admin", "event NewAdmin(address old_admin, address new_admin)"),
    event(
        "new_pending_admin",
        "event NewPendingAdmin(address old_pending_admin, address new_pending_admin)",
    ),
];
