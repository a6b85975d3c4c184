//! What the rule language promises, as claims.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_input;
mod conditions;
mod evaluation;
mod explanation;
mod expressions;
mod gallery;
mod groups;
mod holdings;
mod lasting;
mod links;
mod lists;
mod mutual;
mod outcomes;
mod powers;
mod property;
mod ratios;
mod reorg;
mod repeats;
mod schema;
mod sequences;
mod streaks;
mod tiers;
mod versions;
mod windows;
mod world;
