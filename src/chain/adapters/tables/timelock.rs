//! Timelocks. OpenZeppelin's has operations of several calls, known by an id;
//! Compound's has single transactions, known by a hash.

use crate::chain::adapters::spec::{EventSpec, event};

/// One event for each call of an operation; delays in seconds.
pub(super) const OPENZEPPELIN: &[EventSpec] = &[
    event(
        "call_scheduled",
        "event CallScheduled(bytes32 indexed id, uint256 indexed index, address target, uint256 value, bytes data, bytes32 predecessor, uint256 delay)",
    ),
    event(
        "call_executed",
        "event CallExecuted(bytes32 indexed id, uint256 indexed index, address target, uint256 value, bytes data)",
    ),
    event("call_salt", "event CallSalt(bytes32 indexed id, bytes32 salt)"),
    event("cancelled", "event Cancelled(bytes32 indexed id)"),
    event("min_delay_change", "event MinDelayChange(uint256 old_duration, uint256 new_duration)"),
];

/// `eta` in seconds since the Unix epoch. `data` has no selector where
/// `signature` is not empty.
pub(super) const COMPOUND: &[EventSpec] = &[
    event(
        "queue_transaction",
        "event QueueTransaction(bytes32 indexed tx_hash, address indexed target, uint256 value, string signature, bytes data, uint256 eta)",
    ),
    event(
        "execute_transaction",
        "event ExecuteTransaction(bytes32 indexed tx_hash, address indexed target, uint256 value, string signature, bytes data, uint256 eta)",
    ),
    event(
        "cancel_transaction",
        "event CancelTransaction(bytes32 indexed tx_hash, address indexed target, uint256 value, string signature, bytes data, uint256 eta)",
    ),
    event("new_admin", "event NewAdmin(address indexed new_admin)"),
    event("new_pending_admin", "event NewPendingAdmin(address indexed new_pending_admin)"),
    event("new_delay", "event NewDelay(uint256 indexed new_delay)"),
];
