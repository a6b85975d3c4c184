//! `kill -9` at any instant is a normal way to stop.

use std::time::Duration;

use meritd::cli::demo::{anvil::Mining, world::World};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::support::{self, Daemon};

const KILLS: u32 = 20;
/// Long enough that many lives get past their start, short enough that many
/// don't.
const LIFE_MS: std::ops::RangeInclusive<u64> = 50..=3000;

#[tokio::test]
async fn the_final_table_is_unchanged_by_twenty_kills() {
    let seed: u64 = match std::env::var("MERITD_TEST_SEED") {
        Ok(text) => text.parse().expect("MERITD_TEST_SEED is a number"),
        Err(_) => rand::random(),
    };
    println!("MERITD_TEST_SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let world = World::create(Mining::Every(Duration::from_millis(300))).await.unwrap();
    let mut daemon = Daemon::of(&world).await;
    let mut story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.spawn();

    let kills = async {
        for _ in 0..KILLS {
            // The moment itself is what is drawn; nothing waits for it.
            tokio::time::sleep(Duration::from_millis(chance.random_range(LIFE_MS))).await;
            daemon.kill().await;
            daemon.spawn();
        }
    };
    tokio::join!(kills, support::play(&world, &mut story));

    daemon.wait_ready().await;
    support::assert_right_outcome(&world, &story).await;
}
