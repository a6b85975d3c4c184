//! Contracts that keep achievements.

use crate::chain::adapters::spec::{EventSpec, event};

pub(super) const EVENTS: &[EventSpec] = &[
    event(
        "achievement_unlocked",
        "event AchievementUnlocked(address indexed user, uint256 indexed id, uint256 token_id, bytes proof_data)",
    ),
    event(
        "achievement_revoked",
        "event AchievementRevoked(address indexed user, uint256 indexed id, uint256 token_id, bytes reason)",
    ),
    event(
        "achievement_skipped",
        "event AchievementSkipped(address indexed user, uint256 indexed id)",
    ),
    event("achievement_defined", "event AchievementDefined(uint256 indexed id, string uri)"),
];
