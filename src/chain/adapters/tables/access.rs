//! Who controls a contract, whether it is paused, and whether its code was
//! replaced: OpenZeppelin's access control and ERC-1967.

use crate::chain::adapters::spec::{EventSpec, event};

pub(super) const EVENTS: &[EventSpec] = &[
    event(
        "role_granted",
        "event RoleGranted(bytes32 indexed role, address indexed account, address indexed sender)",
    ),
    event(
        "role_revoked",
        "event RoleRevoked(bytes32 indexed role, address indexed account, address indexed sender)",
    ),
    event(
        "role_admin_changed",
        "event RoleAdminChanged(bytes32 indexed role, bytes32 indexed previous_admin_role, bytes32 indexed new_admin_role)",
    ),
    event(
        "ownership_transferred",
        "event OwnershipTransferred(address indexed previous_owner, address indexed new_owner)",
    ),
    event(
        "ownership_transfer_started",
        "event OwnershipTransferStarted(address indexed previous_owner, address indexed new_owner)",
    ),
    event("paused", "event Paused(address account)"),
    event("unpaused", "event Unpaused(address account)"),
    event("upgraded", "event Upgraded(address indexed implementation)"),
    // Proxies from before ERC-1967 did not index it.
    event("upgraded", "event Upgraded(address implementation)"),
    event("admin_changed", "event AdminChanged(address previous_admin, address new_admin)"),
    event("beacon_upgraded", "event BeaconUpgraded(address indexed beacon)"),
];
