//! The circuit breaker: `failsafe`'s state machine, behind one concrete type.
//! No other file names that crate.
//!
//! What is added, and why (failsafe 1.3.0, measured or read in its source):
//! - half-open lets every concurrent call through: here exactly one probes;
//! - a dropped future records nothing, so that a probe whose caller went away
//!   leaves it half-open for ever: here an abandoned probe opens it again;
//! - an error that its predicate declines counts as success and closes a
//!   half-open breaker: here an outcome may also say nothing;
//! - a call from before it opened, ending late, would close or reopen it:
//!   here an outcome counts only in the period that admitted the call;
//! - its backoffs panic below 1 s and jitter in whole seconds, from 0: an own
//!   iterator replaces them;
//! - it has no state getter, and its hooks run outside its lock: here every
//!   step runs under one lock, in which the hooks keep their order.
//!
//! Its clock is `std::time::Instant`, which paused tests don't move; a simulation has
//! it read its own.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use failsafe::{
    Config, Instrument, StateMachine,
    failure_policy::{self, ConsecutiveFailures},
};
use prometheus::IntGauge;
use serde::Serialize;

use super::spec::BreakerSpec;

/// More failures in a row than a breaker that is to open at all would wait for.
const FAILURES_MAX: u32 = 10_000;

/// What the breaker does with the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Lets it through.
    Closed,
    /// Lets one through, to see whether the dependency is back.
    HalfOpen,
    /// Rejects it.
    Open,
}

/// What an admitted attempt says of the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Works,
    AtFault,
    /// At fault for long: opens it without waiting for more.
    Barred,
    /// Neither: it asked us to slow down, or we stopped listening.
    Unclear,
}

#[derive(Debug)]
pub(super) struct Breaker {
    /// Whether a probe is under way. Held through every step of `machine`.
    probing: Mutex<bool>,
    machine: StateMachine<ConsecutiveFailures<Cooldown>, Watch>,
    watch: Watch,
    /// Failures in a row that open it.
    failures: u32,
}

/// Leave to make one attempt. Dropped without a verdict, it was abandoned.
#[derive(Debug)]
pub(super) struct Admission {
    breaker: Arc<Breaker>,
    period: u64,
    probe: bool,
    settled: bool,
}

/// Follows the state through failsafe's hooks.
#[derive(Clone, Debug)]
struct Watch {
    state: Arc<AtomicU8>,
    period: Arc<AtomicU64>,
    gauge: IntGauge,
}

/// Times open: doubling from the least to the most, each with up to half of
/// itself on top, so that many daemons don't probe together.
#[derive(Clone, Debug)]
struct Cooldown {
    next: Duration,
    max: Duration,
}

impl Iterator for Cooldown {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let jittered = self.next.mul_f64(crate::chance::random_range(1.0..1.5)).min(self.max);
        self.next = self.next.saturating_mul(2).min(self.max);
        Some(jittered)
    }
}

/// Has failsafe read the clock of the simulation that runs on this thread, if one does.
fn at_simulated_time<T>(step: impl FnOnce() -> T) -> T {
    #[cfg(feature = "simulation")]
    if let Some(now) = crate::clock::simulated::instant() {
        return failsafe::clock::freeze(|clock| {
            let real = clock.now();
            clock.advance(now.saturating_duration_since(real));
            step()
        });
    }
    step()
}

impl Watch {
    fn enter(&self, state: BreakerState) {
        self.state.store(state as u8, Ordering::Release);
        self.period.fetch_add(1, Ordering::AcqRel);
        self.gauge.set(state as i64);
    }

    fn state(&self) -> BreakerState {
        match self.state.load(Ordering::Acquire) {
            state if state == BreakerState::Closed as u8 => BreakerState::Closed,
            state if state == BreakerState::HalfOpen as u8 => BreakerState::HalfOpen,
            _ => BreakerState::Open,
        }
    }
}

impl Instrument for Watch {
    // The guard counts rejections; asking for the state isn't one.
    fn on_call_rejected(&self) {}
    fn on_open(&self) {
        self.enter(BreakerState::Open);
    }
    fn on_half_open(&self) {
        self.enter(BreakerState::HalfOpen);
    }
    fn on_closed(&self) {
        self.enter(BreakerState::Closed);
    }
}

impl Breaker {
    pub(super) fn new(spec: &BreakerSpec, gauge: IntGauge) -> Arc<Self> {
        let cooldown = Cooldown { next: spec.cooldown_min, max: spec.cooldown_max };
        let watch = Watch {
            state: Arc::new(AtomicU8::new(BreakerState::Closed as u8)),
            period: Arc::default(),
            gauge,
        };
        let machine = Config::new()
            .failure_policy(failure_policy::consecutive_failures(
                spec.consecutive_failures.get(),
                cooldown,
            ))
            .instrument(watch.clone())
            .build();
        let failures = spec.consecutive_failures.get();
        Arc::new(Self { probing: Mutex::new(false), machine, watch, failures })
    }

    /// Leave for one attempt, unless it is open or its probe is under way.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Admission> {
        let mut probing = self.lock();
        if !at_simulated_time(|| self.machine.is_call_permitted()) {
            return None;
        }
        let probe = self.watch.state() == BreakerState::HalfOpen;
        if probe {
            if *probing {
                return None;
            }
            *probing = true;
        }
        let period = self.watch.period.load(Ordering::Acquire);
        Some(Admission { breaker: Arc::clone(self), period, probe, settled: false })
    }

    /// The state now: an open breaker whose time is over is half-open.
    pub(super) fn state(&self) -> BreakerState {
        let _step = self.lock();
        // Moves an open breaker on when its time is over; changes nothing else.
        at_simulated_time(|| self.machine.is_call_permitted());
        self.watch.state()
    }

    fn settle(&self, period: u64, probe: bool, verdict: Verdict) {
        let mut probing = self.lock();
        if probe {
            *probing = false;
        }
        if period != self.watch.period.load(Ordering::Acquire) {
            return;
        }
        match verdict {
            Verdict::Works => at_simulated_time(|| self.machine.on_success()),
            Verdict::AtFault => at_simulated_time(|| self.machine.on_error()),
            Verdict::Barred => {
                for _ in 0..self.failures.min(FAILURES_MAX) {
                    if period == self.watch.period.load(Ordering::Acquire) {
                        at_simulated_time(|| self.machine.on_error());
                    }
                }
            }
            Verdict::Unclear => {}
        }
    }

    /// A panic can't leave the flag wrong: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.probing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission {
    /// Says how the attempt ended.
    pub(super) fn settle(mut self, verdict: Verdict) {
        self.settled = true;
        self.breaker.settle(self.period, self.probe, verdict);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.settled {
            // Whoever gave up on a probe had reason to; the next one comes after a cooldown.
            let verdict = if self.probe { Verdict::AtFault } else { Verdict::Unclear };
            self.breaker.settle(self.period, self.probe, verdict);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::{num::NonZeroU32, thread};

    use super::*;

    /// Failsafe reads the real clock: a short real cooldown, waited out by asking.
    const COOLDOWN: Duration = Duration::from_millis(20);

    fn breaker(failures: u32) -> Arc<Breaker> {
        let spec = BreakerSpec {
            consecutive_failures: NonZeroU32::new(failures).unwrap(),
            cooldown_min: COOLDOWN,
            cooldown_max: COOLDOWN,
        };
        Breaker::new(&spec, IntGauge::new("breaker_state", "help").unwrap())
    }

    fn open(breaker: &Arc<Breaker>) {
        while breaker.state() == BreakerState::Closed {
            breaker.admit().unwrap().settle(Verdict::AtFault);
        }
    }

    fn half_open(breaker: &Arc<Breaker>) {
        open(breaker);
        await_half_open(breaker);
    }

    fn await_half_open(breaker: &Arc<Breaker>) {
        while breaker.state() != BreakerState::HalfOpen {
            thread::yield_now();
        }
    }

    #[test]
    fn it_opens_after_that_many_faults_in_a_row_and_rejects() {
        let breaker = breaker(3);
        for verdict in [Verdict::AtFault, Verdict::AtFault, Verdict::Works, Verdict::AtFault] {
            breaker.admit().unwrap().settle(verdict);
        }
        breaker.admit().unwrap().settle(Verdict::AtFault);
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.admit().unwrap().settle(Verdict::AtFault);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(breaker.admit().is_none());
    }

    #[test]
    fn half_open_admits_exactly_one_of_many_threads() {
        let breaker = breaker(1);
        half_open(&breaker);
        let admitted: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| breaker.admit())).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(admitted.len(), 1);
    }

    #[test]
    fn a_good_probe_closes_and_a_bad_one_opens_again() {
        let breaker = breaker(2);
        half_open(&breaker);
        breaker.admit().unwrap().settle(Verdict::AtFault);
        assert_eq!(breaker.state(), BreakerState::Open);
        await_half_open(&breaker);
        breaker.admit().unwrap().settle(Verdict::Works);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_probe_that_says_nothing_leaves_it_half_open_for_the_next() {
        let breaker = breaker(1);
        half_open(&breaker);
        breaker.admit().unwrap().settle(Verdict::Unclear);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(breaker.admit().is_some());
    }

    #[test]
    fn an_abandoned_probe_opens_it_again_and_the_next_may_close_it() {
        let breaker = breaker(1);
        half_open(&breaker);
        drop(breaker.admit().unwrap());
        assert_eq!(breaker.state(), BreakerState::Open);
        await_half_open(&breaker);
        breaker.admit().unwrap().settle(Verdict::Works);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_call_from_before_it_opened_neither_closes_nor_reopens_it() {
        let breaker = breaker(1);
        let [late_good, late_bad] = [(); 2].map(|()| breaker.admit().unwrap());
        half_open(&breaker);
        late_good.settle(Verdict::Works);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        late_bad.settle(Verdict::AtFault);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }

    #[test]
    fn the_gauge_follows_the_state() {
        let breaker = breaker(1);
        assert_eq!(breaker.watch.gauge.get(), 0);
        open(&breaker);
        assert_eq!(breaker.watch.gauge.get(), 2);
        await_half_open(&breaker);
        assert_eq!(breaker.watch.gauge.get(), 1);
        breaker.admit().unwrap().settle(Verdict::Works);
        assert_eq!(breaker.watch.gauge.get(), 0);
    }

    #[test]
    fn cooldowns_double_up_to_the_longest() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(5));
        let mut least = min;
        for cooldown in (Cooldown { next: min, max }).take(100) {
            assert!(cooldown >= least && cooldown <= max, "{cooldown:?}");
            least = (least * 2).min(max);
        }
    }
}
