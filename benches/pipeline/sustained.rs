//! A backlog, from the daemon's start to the unlock that its last event earns.

use std::time::{Duration, Instant};

use alloy::{providers::Provider as _, rpc::types::Filter};
use meritd::cli::demo::child::DaemonProcess;

use super::{
    Outcome,
    emitter::LOAD,
    heard::{Heard, id_of},
    scene::Scene,
};

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Sustained {
    pub events: u64,
    /// From the daemon's start to when a node has the transaction of the last unlock.
    pub seconds: f64,
    /// How long a bare client takes to have the same logs of the node.
    pub node_seconds: f64,
    /// Processor seconds of daemon and broker.
    pub cpu: [f64; 2],
    /// Their most memory, MiB.
    pub peak: [f64; 2],
}

/// Events of one block of the backlog.
const PER_BLOCK: u64 = 100;
/// Blocks of which a bare client asks at once: some 10,000 logs, as much as the large
/// providers give.
const AT_ONCE: u64 = 100;
const LIMIT: Duration = Duration::from_secs(900);

impl Sustained {
    pub fn per_s(&self) -> f64 {
        self.events as f64 / self.seconds
    }

    pub fn node_per_s(&self) -> f64 {
        self.events as f64 / self.node_seconds
    }

    /// A million events' worth of something.
    pub fn a_million(&self, of: f64) -> f64 {
        of * 1e6 / self.events as f64
    }
}

/// Makes the backlog, and starts the daemon on it.
pub async fn measure(scene: &mut Scene, events: u64) -> Outcome<(Sustained, DaemonProcess)> {
    eprintln!("a backlog of {events} events");
    let first = scene.world.anvil.block_number().await? + 1;
    for _ in 0..events.div_ceil(PER_BLOCK) {
        scene.fill(PER_BLOCK).await?;
        scene.mine().await?;
    }
    let events = events.div_ceil(PER_BLOCK) * PER_BLOCK;
    let last = scene.world.anvil.block_number().await?;
    let began = Instant::now();
    let mut seen = 0;
    for from in (first..=last).step_by(usize::try_from(AT_ONCE)?) {
        let to = (from + AT_ONCE - 1).min(last);
        let filter = Filter::new().address(LOAD).from_block(from).to_block(to);
        seen += scene.world.anvil.provider().get_logs(&filter).await?.len() as u64;
    }
    if seen != events {
        return Err(format!("the node has {seen} of {events} events").into());
    }
    let node_seconds = began.elapsed().as_secs_f64();

    let member = scene.probe().await?;
    scene.mine().await?;
    let id = id_of(scene.world.achievements, member);
    let began = Instant::now();
    let daemon = scene.spawn()?;
    let heard = Heard::listen_soon(&scene.setting).await?;
    let sent = heard.wait(&id, LIMIT).await?;
    let seconds = sent.duration_since(began).as_secs_f64();
    let (cpu, peak) = (scene.cpu(&daemon), scene.peak(&daemon));
    let sustained = Sustained { events, seconds, node_seconds, cpu, peak };
    eprintln!(
        "  {:.0} events/s; the node by itself {:.0}",
        sustained.per_s(),
        sustained.node_per_s()
    );
    Ok((sustained, daemon))
}
