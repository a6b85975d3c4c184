//! `meritd demo`: a whole story on a private chain, with a crash and a reorg
//! in the middle, and a check of its outcome against the chain.

pub mod anvil;
pub mod broker;
pub mod child;
pub mod contracts;
mod narrator;
pub mod oracle;
pub mod outcome;
mod report;
pub mod setting;
pub mod story;
pub mod world;

use std::{
    io,
    time::{Duration, Instant},
};

use clap::Args;

use self::{
    anvil::{AnvilError, Mining},
    child::{ChildError, DaemonProcess},
    narrator::Narrator,
    outcome::Outcome,
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

    let program = std::env::current_exe().map_err(ChildError::Start)?;
    let mut daemon = DaemonProcess::start(&setting, &program).await?;
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
    daemon = DaemonProcess::start(&setting, &program).await?;
    stage.tell(format!("meritd is back, {}", daemon.url()));
    let narrator = Narrator::start(&setting, &story.members(), began).await?;
    story.last_votes().await?;
    story.execute().await?;

    let members = story.members();
    let addresses: Vec<_> = members.iter().map(|(_, address)| *address).collect();
    let outcome = Outcome::settle(&world, &addresses, PATIENCE).await?;
    narrator.catch_up().await;
    drop(narrator);
    println!();
    report::unlocks(&setting, &members).await?;
    report::benefits(&setting, &members).await?;
    let (missing, phantom) = (outcome.missing().len(), outcome.phantom().len());
    let duplicate = outcome.duplicate.len();
    report::verdict(&members, &outcome.expected, &outcome.unlocked, duplicate);

    if args.keep_running {
        report::look_around(&setting, &daemon, &world);
        told_to_end().await;
    }
    // The outcome is known; how the daemon ends does not change it.
    let _ = daemon.stop().await;
    setting.remove();
    println!(
        "{{\"demo\":{{\"members\":{},\"unlocked\":{},\"missing\":{missing},\"duplicate\":{duplicate},\
         \"phantom\":{phantom},\"seconds\":{:.1}}}}}",
        members.len(),
        outcome.unlocked.len(),
        began.elapsed().as_secs_f64(),
    );
    Ok(!outcome.is_right())
}

/// Waits for Ctrl-C, or for SIGTERM where there is no terminal to press it at.
async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => _ = terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
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
