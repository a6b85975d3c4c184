//! Starts what a promise is about: a real chain, a real broker, and the real
//! daemon as a child process, all in a temporary folder and on ports of
//! their own. The world and its story are those of `meritd demo`.

mod daemon;
pub mod endpoint;
mod heard;
#[cfg(any(feature = "aws-kms", feature = "gcp-kms"))]
pub mod kms;
mod processes;
pub mod truth;

use std::{
    process::Output,
    time::{Duration, Instant},
};

use alloy::primitives::{Address, U256, keccak256};
use meritd::cli::demo::{
    anvil::Mining, contracts::IInbox, oracle::ACHIEVEMENT_NAMES, outcome::Outcome, story::Story,
    world::World,
};

pub use daemon::Daemon;
use endpoint::ScriptedEndpoint;
pub use heard::Wire;
pub use processes::{living, naming};

/// Time between blocks, where a test does not need another.
pub const BLOCK_TIME: Duration = Duration::from_millis(250);
/// How long the daemon may take to do what is due, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(45);
/// For a chain of which a test takes a certain block away: the chain grows
/// meanwhile, and on a busy machine by many blocks.
pub const NEVER_FINAL: &str = "finality_depth = 400";
/// Blocks after which an event is deep enough to count: more than the
/// confirmations of the setting.
const DEEP: u64 = 4;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A chain with everything deployed on it.
pub async fn world() -> World {
    World::create(Mining::Every(BLOCK_TIME)).await.unwrap()
}

/// A story that prints what happens, for when a test fails.
pub fn story(world: &World) -> Story<'_> {
    let began = Instant::now();
    Story::new(world, move |line| println!("{:>6.1}s  {line}", began.elapsed().as_secs_f64()))
}

/// Makes the daemon ask these endpoints, with further keys of the chain's
/// section (TOML).
pub fn reach_through(world: &World, daemon: &Daemon, endpoints: &[&ScriptedEndpoint], keys: &str) {
    let urls = endpoints.iter().map(|endpoint| format!("{{ url = {:?} }}", endpoint.url()));
    let urls: Vec<_> = urls.collect();
    let keys = format!("endpoints = [{}]\n{keys}", urls.join(", "));
    daemon.setting.set_chain(world, &keys).unwrap();
}

/// What a test draws from; MERITD_TEST_SEED gives a failed one again.
pub fn seed() -> u64 {
    let seed = match std::env::var("MERITD_TEST_SEED") {
        Ok(text) => text.parse().expect("MERITD_TEST_SEED is a number"),
        Err(_) => rand::random(),
    };
    println!("MERITD_TEST_SEED={seed}");
    seed
}

/// All acts from the first votes on.
pub async fn play(world: &World, story: &mut Story<'_>) {
    story.first_votes().await.unwrap();
    play_on(world, story).await;
}

/// The acts after the first votes: a vote counts and is orphaned, and what
/// was decided is executed.
pub async fn play_on(world: &World, story: &mut Story<'_>) {
    let voted_in = story.doomed_vote().await.unwrap();
    until("the doomed vote is deep enough to count", PATIENCE, async || {
        (world.anvil.block_number().await.unwrap() >= voted_in + DEEP).then_some(())
    })
    .await;
    story.orphan_doomed_vote(voted_in).await.unwrap();
    story.last_votes().await.unwrap();
    story.execute().await.unwrap();
}

/// The addresses of the story's members.
pub fn addresses(story: &Story<'_>) -> Vec<Address> {
    story.members().into_iter().map(|(_, address)| address).collect()
}

/// Asserts that the chain comes to have what the oracle says, and keeps it.
pub async fn assert_right_outcome(world: &World, story: &Story<'_>) -> Outcome {
    let outcome = Outcome::settle(world, &addresses(story), PATIENCE).await.unwrap();
    let named = |awards: &std::collections::BTreeSet<(Address, u64)>| -> Vec<String> {
        let members = story.members();
        let name = |who: &Address| members.iter().find(|(_, address)| address == who);
        let achievement = |id: u64| ACHIEVEMENT_NAMES[usize::try_from(id - 1).unwrap()];
        awards.iter().map(|(who, id)| format!("{:?}: {}", name(who), achievement(*id))).collect()
    };
    assert!(
        outcome.is_right(),
        "missing {:?}, twice {:?}, phantom {:?}",
        named(&outcome.missing()),
        named(&outcome.duplicate),
        named(&outcome.phantom()),
    );
    assert!(!outcome.expected.is_empty(), "the story earns something");
    outcome
}

/// A contribution that is worth an achievement, mined.
pub async fn contribute(world: &World, member: Address) {
    let call = IInbox::contributeCall {
        topic: keccak256("translations"),
        amount: U256::from(100),
        note: "pages translated".into(),
    };
    world.member_call("contribute", member, world.inbox, call).await.unwrap();
}

/// Asserts how a command ended, and that it said so, on stdout or stderr.
#[track_caller]
pub fn says(ended: &Output, code: i32, text: &str) {
    let told = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(code), "{told}");
    assert!(told.contains(text), "`{text}` is not in {told}");
}

/// Looks again and again until there is something to see.
pub async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {} s: {what}", limit.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
