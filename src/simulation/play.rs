//! Plays a script: the world goes on, the daemon lives and dies in it.

mod happening;
mod rest;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_rt::System;
use alloy::primitives::U256;
use tokio::time::{Instant, sleep_until};

use super::{
    chain::{Act, Chain},
    node::{Endpoint, SharedChain, lock},
    script::{Loss, Script, What},
    setup::{BLOCK_TIME, CHAIN_ID, ENDPOINTS, FINALITY, Setup, url},
    verdict::{self, Verdict},
};
use crate::{
    chain::transport::simulated,
    chance, clock,
    daemon::simulated::SimulatedDaemon,
    store::simulated::Disk,
    streams::{
        connection::Connection,
        simulated::{Image, Server},
    },
};

/// When the world begins, seconds since the Unix epoch.
const GENESIS: u64 = 1_700_000_000;
/// How long after a daemon that did not start the next one is tried.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What came of a script.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it is, and what is not as it must be.
    pub verdict: Verdict,
    /// What happened, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Follows from all that was said on the chain and in the streams: two plays of one
    /// script have the same.
    pub fingerprint: u64,
    /// Blocks that the chain came to have.
    pub blocks: u64,
    /// Of a failure: what the streams of unlocks and transactions have, and what the
    /// contract has done, in order.
    pub said: Vec<String>,
}

/// Something that is to happen.
enum Due {
    Block,
    What(What),
    BrokerIsBack,
    BrokerAnswers,
    EndpointIsHonest(usize),
    ContractGoesOn,
    DiskHasRoom,
}

pub(super) struct World<'s> {
    pub(super) setup: &'s Setup,
    receipts: bool,
    pub(super) chain: SharedChain,
    pub(super) server: Server,
    endpoints: Vec<Arc<Endpoint>>,
    disk: Disk,
    /// What is due, by time; of one time in the order in which it was planned.
    due: BTreeMap<(Duration, u64), Due>,
    planned: u64,
    now: Duration,
    /// By how much the system's clock is wrong, in seconds.
    clock_error: i64,
    copies: Option<(Vec<u8>, Image)>,
    /// At some time one of them does.
    endpoints_fail: bool,
    faults: BTreeMap<&'static str, u64>,
    pub(super) wrong: Vec<String>,
    /// The block after which all has been as it must be.
    quiet_since: Option<u64>,
    /// The block at which the last fault was over.
    calm_at: Option<u64>,
    /// The highest block there ever was.
    highest: u64,
    pub(super) verdict: Verdict,
}

/// Why a life ended.
enum End {
    Killed(Duration, Loss),
    Over,
}

/// The daemon, once it has started.
type Daemon = Rc<RefCell<Option<SimulatedDaemon>>>;

/// Plays a script to its end.
#[must_use]
pub fn play(setup: &Setup, script: &Script) -> Outcome {
    chance::simulated::begin(script.seed);
    let mut world = World::new(setup, script);
    while let End::Killed(down, loss) = world.life() {
        world.server.client_gone();
        match loss {
            Loss::Nothing => {}
            Loss::Unsynced => world.disk.power_fails(),
            Loss::Everything => world.disk.restore(Vec::new()),
            Loss::SinceCopy => {
                if let Some((store, _)) = &world.copies {
                    world.disk.restore(store.clone());
                }
            }
        }
        world.without_daemon(down);
    }
    simulated::close();
    chance::simulated::end();
    let fingerprint = verdict::fingerprint(&world);
    let blocks = lock(&world.chain).number();
    let is_right = world.verdict.is_right() && world.wrong.is_empty();
    let said = if is_right { Vec::new() } else { verdict::said(&world) };
    let World { mut verdict, wrong, faults, .. } = world;
    verdict.wrong.extend(wrong);
    Outcome { verdict, faults, fingerprint, blocks, said }
}

impl<'s> World<'s> {
    fn new(setup: &'s Setup, script: &Script) -> Self {
        let mut chain = Chain::new(CHAIN_ID, GENESIS - 1_000, setup.deployment);
        chain.set_depths(FINALITY / 2, FINALITY);
        chain
            .act(Act::Fund { to: setup.signer, wei: U256::from(100_000_000_000_000_000_000_u128) });
        for role in ["UNLOCKER_ROLE", "REVOKER_ROLE"] {
            let role = alloy::primitives::keccak256(role);
            chain.act(Act::GrantRole { role, to: setup.signer });
        }
        // So deep that no reorg takes it.
        for block in (1..=FINALITY).rev() {
            chain.mine(GENESIS.saturating_sub(block), usize::MAX);
        }
        let chain = Arc::new(Mutex::new(chain));
        let endpoints: Vec<_> = (0..ENDPOINTS).map(|_| Endpoint::new(Arc::clone(&chain))).collect();
        for (i, endpoint) in endpoints.iter().enumerate() {
            if let Ok(url) = url(i).parse() {
                simulated::serve(&url, Arc::clone(endpoint) as Arc<dyn simulated::Node>);
            }
        }
        let mut world = Self {
            setup,
            receipts: script.receipts,
            chain,
            server: Server::new(),
            endpoints,
            disk: Disk::new(),
            due: BTreeMap::new(),
            planned: 0,
            now: Duration::ZERO,
            clock_error: 0,
            copies: None,
            endpoints_fail: script.events.iter().any(|it| matches!(it.what, What::Endpoint(..))),
            faults: BTreeMap::new(),
            wrong: Vec::new(),
            quiet_since: None,
            calm_at: None,
            highest: 0,
            verdict: Verdict::default(),
        };
        world.plan(BLOCK_TIME, Due::Block);
        for event in &script.events {
            world.plan(Duration::from_millis(event.at_ms), Due::What(event.what.clone()));
        }
        world
    }

    fn plan(&mut self, at: Duration, due: Due) {
        self.planned += 1;
        self.due.insert((at, self.planned), due);
    }

    /// One life of the daemon, from its start to its end.
    fn life(&mut self) -> End {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true);
        // Without it whom a watch wakes first is left to chance.
        #[cfg(tokio_unstable)]
        runtime
            .rng_seed(tokio::runtime::RngSeed::from_bytes(&chance::random::<u64>().to_be_bytes()));
        let Ok(runtime) = runtime.build() else {
            self.wrong.push("no runtime".to_owned());
            return End::Over;
        };
        let system = System::with_tokio_rt(move || runtime);
        let end = system.block_on(async {
            let (born, before) = (Instant::now(), self.now);
            self.set_clock();
            let daemon = Daemon::default();
            actix_rt::spawn(start(
                Rc::clone(&daemon),
                self.setup.level(self.receipts).clone(),
                self.disk.clone(),
                self.server.clone(),
            ));
            let end = loop {
                let Some(((at, order), _)) = self.due.first_key_value() else { break End::Over };
                let (at, order) = (*at, *order);
                sleep_until(born + at.saturating_sub(before)).await;
                self.now = self.now.max(at);
                let Some(due) = self.due.remove(&(at, order)) else { continue };
                let is_block = matches!(due, Due::Block);
                if let Some((down, loss)) = self.happens(due) {
                    // In the middle of what is going on at this very moment.
                    for _ in 0..chance::random_range(0..=KILL_AFTER_TURNS) {
                        tokio::task::yield_now().await;
                    }
                    break End::Killed(down, loss);
                }
                if is_block {
                    self.look_at_breakers(&daemon);
                }
                if is_block && self.is_over(&daemon) {
                    break End::Over;
                }
            };
            self.look_for_panics(&daemon);
            // What is left runs until the system is dropped, and writes nothing more.
            self.disk.detach();
            end
        });
        drop(system);
        clock::simulated::end();
        end
    }

    /// The world goes on while the daemon is down.
    fn without_daemon(&mut self, down: Duration) {
        let until = self.now + down;
        while let Some(entry) = self.due.first_entry() {
            let at = entry.key().0;
            if at > until {
                break;
            }
            let due = entry.remove();
            self.now = self.now.max(at);
            // It is dead already.
            self.happens(due);
        }
        self.now = until;
    }

    fn set_clock(&self) {
        let true_time = Duration::from_secs(GENESIS) + self.now;
        let shown = true_time.as_secs().saturating_add_signed(self.clock_error);
        clock::simulated::begin(Duration::new(shown, true_time.subsec_nanos()), self.now);
    }

    /// Had a stream lost anything?
    pub(super) fn lost_messages(&self) -> bool {
        let kinds = ["stream_deleted", "message_lost", "broker_rolled_back", "broker_lost"];
        kinds.iter().any(|kind| self.faults.contains_key(kind))
    }

    /// Had anything been orphaned?
    pub(super) fn had_reorgs(&self) -> bool {
        self.faults.contains_key("reorg")
    }
}

/// After at most so many turns of everybody who has something to do, without any time
/// passing.
const KILL_AFTER_TURNS: u32 = 24;

/// Starts the daemon as the process would.
async fn start(
    daemon: Daemon,
    (config, plan): (crate::config::Config, crate::daemon::Plan),
    disk: Disk,
    server: Server,
) {
    loop {
        let connection = Connection::simulated(server.clone());
        let started = match disk.open() {
            Ok(database) => {
                SimulatedDaemon::start(&config, plan.clone(), database, connection).await
            }
            Err(error) => Err(error.into()),
        };
        match started {
            Ok(started) => return *daemon.borrow_mut() = Some(started),
            Err(error) => tracing::error!("the daemon does not start: {error}"),
        }
        // What keeps a service running starts it again.
        tokio::time::sleep(START_AGAIN_AFTER).await;
    }
}
