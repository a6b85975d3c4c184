//! The stream is believed only as far as it is whole: whatever the broker
//! loses comes back from the chain, under the same ids.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use meritd::{
    cli::demo::{broker, outcome::Outcome, story::Story, world::World},
    streams::subjects::StreamId,
};

use crate::support::{self, Daemon, PATIENCE, truth, until};

/// Ids of the events that hold, in order, by contract.
type Events = BTreeMap<String, Vec<String>>;

async fn events(daemon: &Daemon) -> Events {
    let mut events = Events::new();
    for event in truth::told(daemon).await.events {
        events.entry(event.contract.to_string()).or_default().push(event.id.to_string());
    }
    events
}

/// A daemon that has seen the whole story, what its stream said of it, and
/// what came of it.
async fn settled<'a>(
    world: &'a World,
    daemon: &mut Daemon,
    between: impl AsyncFnOnce(&mut Daemon),
) -> (Story<'a>, Events, Outcome) {
    let mut story = support::story(world);
    story.everybody_joins().await.unwrap();
    daemon.start().await;
    story.first_votes().await.unwrap();
    between(daemon).await;
    support::play_on(world, &mut story).await;
    let outcome = support::assert_right_outcome(world, &story).await;
    let told = told(daemon, &outcome).await;
    (story, told, outcome)
}

/// What the stream says once it has the last unlocks, too.
async fn told(daemon: &Daemon, outcome: &Outcome) -> Events {
    until("all unlocks are heard", PATIENCE, async || {
        let told = events(daemon).await;
        let unlocks = daemon.stream(StreamId::Events).await;
        let unlocks = unlocks.iter().filter(|(s, _)| s.ends_with(".achievement_unlocked")).count();
        (unlocks >= outcome.expected.len()).then_some(told)
    })
    .await
}

async fn assert_same_again(daemon: &Daemon, world: &World, story: &Story<'_>, told: &Events) {
    let mut now = Events::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while now != *told {
        assert!(tokio::time::Instant::now() < deadline, "told {told:#?}, now {now:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        now = events(daemon).await;
    }
    support::assert_right_outcome(world, story).await;
}

fn jetstream(daemon: &Daemon) -> PathBuf {
    daemon.setting.data().join("nats")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn a_stream_that_was_rolled_back_is_published_again_under_the_same_ids() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let earlier = tempfile::tempdir().unwrap();
    let (story, told, _) = settled(&world, &mut daemon, async |daemon| {
        assert!(daemon.stop().await.success());
        copy(&jetstream(daemon), earlier.path());
        daemon.start().await;
    })
    .await;
    assert!(daemon.stop().await.success());
    fs::remove_dir_all(jetstream(&daemon)).unwrap();
    copy(earlier.path(), &jetstream(&daemon));

    daemon.start().await;
    assert_same_again(&daemon, &world, &story, &told).await;
}

#[tokio::test]
async fn a_stream_deleted_under_the_daemon_is_published_again_under_the_same_ids() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let (story, told, _) = settled(&world, &mut daemon, async |_| {}).await;

    let heard = broker::listen(&daemon.setting).await.unwrap();
    let jetstream = async_nats::jetstream::new(heard.client.clone());
    jetstream.delete_stream("MERIT_EVENTS").await.unwrap();
    until("the stream is declared again", PATIENCE, async || {
        jetstream.get_stream("MERIT_EVENTS").await.ok()
    })
    .await;

    assert_same_again(&daemon, &world, &story, &told).await;
}

#[tokio::test]
async fn messages_lost_in_the_middle_of_the_stream_are_read_again() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let (story, told, _) = settled(&world, &mut daemon, async |_| {}).await;
    let heard = broker::listen(&daemon.setting).await.unwrap();
    let stream = async_nats::jetstream::new(heard.client.clone());
    let stream = stream.get_stream("MERIT_EVENTS").await.unwrap();
    // An event of the governor, and a watermark of the badge.
    for subject in ["merit.v1.events.local.dao.>", "merit.v1.watermarks.local.badge"] {
        let first = stream.get_first_raw_message_by_subject(subject, 1).await.unwrap();
        assert!(stream.delete_message(first.sequence).await.unwrap());
    }
    let short = events(&daemon).await;
    assert_ne!(short, told, "something is lacking");
    assert!(daemon.stop().await.success());

    daemon.start().await;
    assert_same_again(&daemon, &world, &story, &told).await;
    let metrics = daemon.get("/metrics").await.1;
    let rewound = "meritd_contract_rewinds_total{chain=\"local\",contract=\"dao\"} 1";
    assert!(metrics.contains(rewound), "{metrics}");
    // Known from now on: nothing is examined again.
    assert!(daemon.stop().await.success());
    let log = daemon.log().len();
    daemon.start().await;
    assert!(!daemon.log()[log..].contains("examining"), "{}", &daemon.log()[log..]);
}

#[tokio::test]
async fn a_flipped_bit_in_the_brokers_files_is_found_and_read_again() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let (story, told, _) = settled(&world, &mut daemon, async |_| {}).await;
    assert!(daemon.stop().await.success());
    let blocks: Vec<PathBuf> = files(&jetstream(&daemon))
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("MERIT_EVENTS"))
        .filter(|path| path.extension().is_some_and(|extension| extension == "blk"))
        .collect();
    let largest = blocks.iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(largest).unwrap();
    // In the middle of the body of a vote.
    let vote = bytes.windows(11).position(|part| part == b"\"vote_cast\"").unwrap();
    bytes[vote + 3] ^= 1;
    fs::write(largest, bytes).unwrap();

    daemon.start().await;
    assert_same_again(&daemon, &world, &story, &told).await;
}

/// Somebody with the broker's login writes where a contract keeps its place.
#[tokio::test]
async fn what_is_no_watermark_keeps_no_contract_from_going_on() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    daemon.start().await;
    let wire = daemon.listen().await;
    wire.publish("merit.v1.watermarks.local.dao", "no watermark").await;
    let goes_on = async |daemon: &Daemon| {
        let head = world.anvil.block_number().await.unwrap();
        until("the contract goes on behind it", PATIENCE, async || {
            let shown = daemon.actor("contract/dao").await?;
            shown["observed"]["next_block"].as_u64().filter(|next| *next > head).map(drop)
        })
        .await;
    };
    goes_on(&daemon).await;
    // Also when it is the last that was said.
    wire.publish("merit.v1.watermarks.local.dao", "no watermark either").await;
    daemon.kill().await;
    daemon.start().await;
    goes_on(&daemon).await;
}
