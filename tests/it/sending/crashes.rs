//! A crash between any two steps of landing an unlock.

use std::fs;

use meritd::failpoints::Failpoint;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::Scene;
use crate::support::{self, PATIENCE, contribute, until};

#[tokio::test]
async fn a_crash_at_any_step_neither_loses_nor_repeats_an_unlock() {
    let mut chance = StdRng::seed_from_u64(support::seed());
    let mut scene = Scene::start("bump_after_s = 5").await;
    scene.earns(scene.member(0)).await;
    let file = scene.daemon.setting.config().join("development.toml");
    let whole = fs::read_to_string(&file).unwrap();
    for (round, point) in Failpoint::ALL.into_iter().enumerate() {
        let nth = chance.random_range(1..=2);
        println!("{round}: {point}:{nth}");
        scene.daemon.kill().await;
        fs::write(&file, format!("{whole}failpoint = \"{point}:{nth}\"\n")).unwrap();
        scene.daemon.spawn();
        let member = scene.world.anvil.account(round + 2);
        contribute(&scene.world, member).await;
        until("it dies there", PATIENCE, async || scene.daemon.has_ended().then_some(())).await;
        fs::write(&file, &whole).unwrap();
        scene.daemon.start().await;
        scene.lands(member).await;
    }
    // Some are no members of the story, whom the oracle would miss.
    scene.is_orderly().await;
}
