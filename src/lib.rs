//! meritd: watches governance, NFT and achievement contracts on EVM chains,
//! evaluates rules over their events and lands the achievements that people
//! earned on chain, exactly once.
//!
//! Data flows top to bottom: chain → events → stream → rules → unlocks →
//! signer → chain. `actors` may use every module below it; the pure cores
//! (`fold`, `rules`, `governance`, `signing`) use nothing but `domain`.

pub mod actors;
pub mod api;
pub mod breakers;
pub mod chain;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod evidence;
pub mod facts;
pub mod failpoints;
pub mod fold;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod governance;
pub mod rules;
mod shortened;
pub mod signing;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod store;
pub mod streams;
pub mod supervisor;
pub mod teeth;
pub mod telemetry;
pub mod tools;
