//! `meritd demo`: a whole story on a private chain, with a crash and a reorg
//! in the middle, and a check of its outcome against the chain.

pub mod anvil;
mod child;
pub mod contracts;
mod narrator;
pub mod oracle;
mod report;
pub mod setting;
pub mod story;
pub mod world;

use std::{
    collections::BTreeSet,
    io,
    time::{Duration, Instant},
};

use clap::Args;

use self::{
    anvil::{AnvilError, Mining},
    child::{ChildError, DaemonProcess},
    narrator::Narrator,
    oracle::Award,
    setting::Setting,
    story::Story,
    world::World,
};
use super::Failure;
use crate::streams::StreamError;

/// How to play it.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Leave chain, broker and daemon up at the end, until Ctrl-C
    #[arg(long)]
    keep_running: bool,
}

/// Why the story could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The chain.
    #[error(transparent)]
    Chain(#[from] AnvilError),
    /// The daemon.
    #[error(transparent)]
    Daemon(#[from] ChildError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] StreamError),
    /// A file.
    #[error("{what}: {source}")]
    File {
        /// Which, or what for.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Time between blocks of the demo's chain.
const BLOCK_TIME: Duration = Duration::from_millis(400);
/// How long the daemon may take to do what is due.
const PATIENCE: Duration = Duration::from_secs(45);
/// Blocks through which the outcome must stay as it is.
const QUIET_BLOCKS: u64 = 8;

pub(super) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
    let differs = runtime.block_on(play(args)).map_err(Failure::failed)?;
    if differs {
        return Err(Failure::Failed("the chain is not as the story says it must be".to_owned()));
    }
    Ok(())
}

/// Plays everything; true when the outcome is not what it must be.
async fn play(args: &DemoArgs) -> Result<bool, DemoError> {
    let began = Instant::now();
    let stage = Stage { began };
    stage.tell("starting a private chain and deploying token, governor, badge, achievements");
    let world = World::create(Mining::Every(BLOCK_TIME)).await?;
    let setting = Setting::create(&world).await?;
    let mut story = Story::new(&world, |line| stage.tell(line));
    story.everybody_joins().await?;

    let mut daemon = DaemonProcess::start(&setting).await?;
    stage.tell(format!("meritd runs, {} (log: {})", daemon.url(), setting.log().display()));
    let narrator = Narrator::start(&setting, &story.members(), began).await?;
    story.first_votes().await?;

    let voted_in = story.doomed_vote().await?;
    let seen = narrator.wait_for_request(story.doomed(), "first-vote", PATIENCE).await;
    stage.tell(if seen {
        "meritd asks for hal's first-vote; now it is killed (SIGKILL)"
    } else {
        "meritd is killed (SIGKILL)"
    });
    daemon.kill().await;
    drop(narrator);
    story.orphan_doomed_vote(voted_in).await?;
    daemon = DaemonProcess::start(&setting).await?;
    stage.tell(format!("meritd is back, {}", daemon.url()));
    let narrator = Narrator::start(&setting, &story.members(), began).await?;
    story.last_votes().await?;
    story.execute().await?;

    let members = story.members();
    let addresses: Vec<_> = members.iter().map(|(_, address)| *address).collect();
    let expected = oracle::expected(&world).await?;
    let unlocked = settle(&world, &addresses, &expected).await?;
    narrator.catch_up().await;
    drop(narrator);
    println!();
    report::unlocks(&setting, &members).await?;
    report::benefits(&setting, &members).await?;
    let counts = oracle::unlock_counts(&world).await?;
    let duplicate = counts.values().filter(|count| **count > 1).count();
    let missing = expected.difference(&unlocked).count();
    let phantom = unlocked.difference(&expected).count();
    report::verdict(&members, &expected, &unlocked, duplicate);

    if args.keep_running {
        report::look_around(&setting, &daemon, &world);
        // Also when there is no terminal to press Ctrl-C at.
        let _ = tokio::signal::ctrl_c().await;
    }
    daemon.stop().await;
    setting.remove();
    println!(
        "{{\"demo\":{{\"members\":{},\"unlocked\":{},\"missing\":{missing},\"duplicate\":{duplicate},\
         \"phantom\":{phantom},\"seconds\":{:.1}}}}}",
        members.len(),
        unlocked.len(),
        began.elapsed().as_secs_f64(),
    );
    Ok(missing + duplicate + phantom > 0)
}

/// Waits until the chain has what it must have, and keeps it: a late phantom
/// or a late revocation would show within some blocks.
async fn settle(
    world: &World,
    members: &[alloy::primitives::Address],
    expected: &BTreeSet<Award>,
) -> Result<BTreeSet<Award>, DemoError> {
    let deadline = Instant::now() + PATIENCE;
    let mut quiet_since = None;
    loop {
        let unlocked = oracle::unlocked(world, members).await?;
        let block = world.anvil.block_number().await?;
        if unlocked == *expected {
            let since = *quiet_since.get_or_insert(block);
            if block >= since + QUIET_BLOCKS {
                return Ok(unlocked);
            }
        } else {
            quiet_since = None;
        }
        if Instant::now() > deadline {
            return Ok(unlocked);
        }
        tokio::time::sleep(BLOCK_TIME).await;
    }
}

/// Where lines of the story go.
struct Stage {
    began: Instant,
}

impl Stage {
    fn tell(&self, line: impl AsRef<str>) {
        println!("{:>6.1}s  {}", self.began.elapsed().as_secs_f64(), line.as_ref());
    }
}
