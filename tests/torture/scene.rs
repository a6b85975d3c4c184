//! What a seed's daemon finds when it starts: how much it believes, where its data is,
//! and what must never be shown.

use std::fs;

use meritd::cli::demo::world::World;
use rand::{Rng as _, rngs::StdRng};

use super::disk::SmallDisk;
use crate::support::{Daemon, endpoint::ScriptedEndpoint};

/// Of the store and the streams one may be lost: what neither remembers, nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Staying {
    Store,
    Streams,
}

/// What is drawn once for a seed.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) staying: Staying,
    /// Whether receipts prove logs; else blooms tell what they can.
    pub(super) receipts: bool,
    /// No output may have any of these.
    pub(super) canaries: Vec<String>,
    /// The configuration as it was written first.
    pub(super) text: String,
    /// Where the daemon's data are, if that can be filled.
    pub(super) disk: Option<SmallDisk>,
}

/// Seeds whose data folder is small enough to be filled.
const SMALL_DISKS: f64 = 0.5;

impl Scene {
    /// Draws it, and writes the daemon's configuration.
    pub(super) fn set(
        world: &World,
        daemon: &mut Daemon,
        endpoints: &[&ScriptedEndpoint],
        chance: &mut StdRng,
    ) -> Self {
        let staying = if chance.random_bool(0.5) { Staying::Store } else { Staying::Streams };
        let receipts = chance.random_bool(0.5);
        let wants_disk = chance.random_bool(SMALL_DISKS);
        let mut canaries = vec![daemon.setting.passphrase().to_owned()];
        let mut urls = Vec::new();
        for (place, endpoint) in endpoints.iter().enumerate() {
            let key = format!("canary{:024x}", chance.random::<u128>() >> 32);
            let variable = format!("MERITD_TORTURE_URL_{place}");
            daemon.setting.set_variable(&variable, &format!("{}/v3/{key}", endpoint.url()));
            urls.push(format!("{{ url = \"env:{variable}\" }}"));
            canaries.push(key);
        }
        let completeness = if receipts { "receipts" } else { "bloom" };
        let keys = format!(
            "endpoints = [{}]\npoll_interval_ms = 100\ncompleteness = \"{completeness}\"",
            urls.join(", ")
        );
        daemon.setting.set_chain(world, &keys).unwrap();
        let text = fs::read_to_string(daemon.setting.config().join("development.toml")).unwrap();
        let disk = wants_disk.then(|| SmallDisk::mount(&daemon.setting.data())).flatten();
        Self { staying, receipts, canaries, text, disk }
    }

    /// What only the broker's processes know, once there is one.
    pub(super) fn broker_password(daemon: &Daemon) -> Option<String> {
        let note = fs::read(daemon.setting.data().join("nats-client.json")).ok()?;
        let note: serde_json::Value = serde_json::from_slice(&note).ok()?;
        note["password"].as_str().map(str::to_owned)
    }
}
