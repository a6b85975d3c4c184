//! The Ethereum Attestation Service. What is attested stands in its storage,
//! under `uid`, not in the log.

use crate::chain::adapters::spec::{EventSpec, event};

pub(super) const EVENTS: &[EventSpec] = &[
    event(
        "attested",
        "event Attested(address indexed recipient, address indexed attester, bytes32 uid, bytes32 indexed schema_uid)",
    ),
    event(
        "revoked",
        "event Revoked(address indexed recipient, address indexed attester, bytes32 uid, bytes32 indexed schema_uid)",
    ),
    event("timestamped", "event Timestamped(bytes32 indexed data, uint64 indexed timestamp)"),
    event(
        "revoked_offchain",
        "event RevokedOffchain(address indexed revoker, bytes32 indexed data, uint64 indexed timestamp)",
    ),
];
