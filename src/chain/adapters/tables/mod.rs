//! The events of each kind: one file a kind, and what several kinds share.
//!
//! A thing that is the same on two kinds of contracts has one name, and its
//! parameters have one name and one type, so that a rule that is written for
//! one kind means the same on another. Everything else is called as its
//! contract calls it, in snake_case.

mod access;
mod achievements;
mod delegation;
mod eas;
mod erc1155;
mod erc6909;
mod erc721;
mod governor;
mod governor_alpha;
mod governor_bravo;
mod nouns;
mod optimism_governor;
mod proposals;
mod timelock;
mod votes;

use super::{Kind, spec::EventSpec};

/// The tables of a kind. Who controls a contract, and whether it was replaced,
/// concerns whoever listens to it, so all end with `access`.
pub(super) const fn of(kind: Kind) -> &'static [&'static [EventSpec]] {
    match kind {
        Kind::Governor => &[
            proposals::LIFE,
            proposals::VOTES,
            proposals::SETTINGS,
            governor::EVENTS,
            access::EVENTS,
        ],
        Kind::GovernorBravo => &[
            proposals::LIFE,
            proposals::VOTES,
            proposals::SETTINGS,
            governor_bravo::EVENTS,
            access::EVENTS,
        ],
        Kind::GovernorAlpha => &[proposals::LIFE, governor_alpha::EVENTS, access::EVENTS],
        Kind::Nouns => &[
            proposals::LIFE,
            proposals::VOTES,
            proposals::SETTINGS,
            governor_bravo::EVENTS,
            nouns::EVENTS,
            nouns::FORK,
            nouns::DATA,
            access::EVENTS,
        ],
        Kind::OptimismGovernor => &[
            proposals::LIFE,
            proposals::VOTES,
            proposals::SETTINGS,
            governor::EVENTS,
            optimism_governor::EVENTS,
            access::EVENTS,
        ],
        Kind::Votes => &[votes::EVENTS, delegation::EVENTS, access::EVENTS],
        Kind::Erc721 => &[erc721::EVENTS, delegation::EVENTS, access::EVENTS],
        Kind::Erc1155 => &[erc1155::EVENTS, access::EVENTS],
        Kind::Erc6909 => &[erc6909::EVENTS, access::EVENTS],
        Kind::Timelock => &[timelock::OPENZEPPELIN, timelock::COMPOUND, access::EVENTS],
        Kind::Eas => &[eas::EVENTS, access::EVENTS],
        Kind::Achievements => &[achievements::EVENTS, access::EVENTS],
        Kind::Access => &[access::EVENTS],
        Kind::Abi => &[],
    }
}

/// Declarations that share topic 0 with a kind's events and are none of them.
pub(super) const fn foreign(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Erc721 => erc721::FOREIGN,
        Kind::Votes => votes::FOREIGN,
        _ => &[],
    }
}
