//! Reading what happened before.

use meritd::cli::demo::world::World;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{FAST, contribute};
use crate::support::{
    self, Daemon,
    endpoint::{
        Cap, Fault, Script, ScriptedEndpoint, When,
        wording::{DENSITY, STRUCTURAL},
    },
    truth::assert_stream_is_the_chain,
};

/// Blocks that the history has at least.
const HISTORY: u64 = 250;

/// Contributions in many blocks, some empty ones between them.
pub(super) async fn history(world: &World, chance: &mut StdRng) {
    while world.anvil.block_number().await.unwrap() < HISTORY {
        for member in 1..chance.random_range(2..9) {
            contribute(world, world.anvil.account(member)).await;
        }
        world.anvil.mine(chance.random_range(1..12)).await.unwrap();
    }
}

#[tokio::test]
async fn caps_in_any_words_make_ranges_narrower_and_lose_nothing() {
    let mut chance = StdRng::seed_from_u64(support::seed());
    let world = World::create(FAST).await.unwrap();
    history(&world, &mut chance).await;
    let endpoint = ScriptedEndpoint::start(world.anvil.url()).await;
    let most = chance.random_range(5..60);
    let blocks = Cap::Blocks { most, wording: *STRUCTURAL.choose(&mut chance).unwrap() };
    let logs = Cap::Logs { most: 10, wording: *DENSITY.choose(&mut chance).unwrap() };
    println!("{blocks:?}, {logs:?}");
    endpoint.set(Script::honest().cap(blocks).cap(logs));
    let mut daemon = Daemon::of(&world).await;
    support::reach_through(&world, &daemon, &[&endpoint], "finality_depth = 6");

    daemon.start().await;

    let told = assert_stream_is_the_chain(&world, &daemon).await;
    assert!(told.events.len() > 50);
    let asked = endpoint.requests();
    let number = |json: &serde_json::Value| {
        let text = json.as_str()?.strip_prefix("0x")?;
        u64::from_str_radix(text, 16).ok()
    };
    let too_wide = asked.iter().filter(|request| {
        let filter = request.params.first().unwrap_or(&serde_json::Value::Null);
        let range = number(&filter["fromBlock"]).zip(number(&filter["toBlock"]));
        range.is_some_and(|(from, to)| to - from + 1 > most)
    });
    // Halving from 2000 where no number was told; four contracts ask at once.
    let too_wide = too_wide.count();
    assert!((1..=40).contains(&too_wide), "{too_wide} ranges above the cap of {most}");
}

#[tokio::test]
async fn backfill_live_seam() {
    let mut chance = StdRng::seed_from_u64(support::seed());
    let world = World::create(FAST).await.unwrap();
    history(&world, &mut chance).await;
    let endpoint = ScriptedEndpoint::start(world.anvil.url()).await;
    // Slow enough that the chain goes on meanwhile.
    endpoint.set(Script::honest().fault(When::always().on("eth_getLogs"), Fault::Delay(5..=60)));
    let mut daemon = Daemon::of(&world).await;
    let keys = "finality_depth = 6\nmax_range = 25";
    support::reach_through(&world, &daemon, &[&endpoint], keys);
    let began_at = world.anvil.block_number().await.unwrap();

    daemon.spawn();
    let live = async {
        let mut number = 0;
        while world.anvil.block_number().await.unwrap() < began_at + 40 {
            number += 1;
            contribute(&world, world.anvil.account(1 + number % 8)).await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::join!(live, daemon.wait_ready());

    let told = assert_stream_is_the_chain(&world, &daemon).await;
    let after = told.events.iter().filter(|event| event.block.number > began_at).count();
    assert!(after > 30, "events of before and after: {after} of {}", told.events.len());
    assert!(told.void.is_empty());
}
