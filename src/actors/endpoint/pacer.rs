//! Makes calls to an endpoint wait for their turn under its rate.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use crate::{
    breakers::Priority,
    chain::rate::{Bucket, Plan},
};

/// See the module. It outlives the actor's incarnations.
#[derive(Debug)]
pub struct Pacer {
    plan: Option<Plan>,
    bucket: Mutex<Bucket>,
    started: Instant,
    /// Longest wait.
    limit: Duration,
    /// Calls that may wait.
    waiting_max: usize,
    waiting: AtomicUsize,
    /// What can wait waits in line.
    line: tokio::sync::Mutex<()>,
}

/// Credits of a call that has not gone out yet; given back when it never does.
struct Promised<'a> {
    pacer: &'a Pacer,
    cost: f64,
    gone: bool,
}

/// A place among those who wait; given back when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Promised<'_> {
    fn drop(&mut self) {
        if !self.gone {
            self.pacer.refund(self.cost);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pacer {
    pub(super) fn new(plan: Option<Plan>, limit: Duration, waiting_max: usize) -> Self {
        Self {
            bucket: Mutex::new(Bucket::new(plan.as_ref())),
            plan,
            started: Instant::now(),
            limit,
            waiting_max,
            waiting: AtomicUsize::new(0),
            line: tokio::sync::Mutex::new(()),
        }
    }

    /// Credits of `calls` calls.
    pub(super) fn cost(&self, method: &str, calls: usize) -> f64 {
        let one = self.plan.as_ref().map_or(1, |plan| plan.cost(method));
        f64::from(one) * f64::from(u32::try_from(calls).unwrap_or(u32::MAX))
    }

    /// Calls that may go out at once: of more than that a batch would wait for
    /// longer than it saves.
    #[must_use]
    pub fn at_once(&self, method: &str) -> usize {
        let burst = |plan: &Plan| plan.burst / plan.cost(method).max(1);
        self.plan.as_ref().map_or(usize::MAX, |plan| burst(plan).max(1) as usize)
    }

    /// Waits until a call of `cost` may go out.
    ///
    /// # Errors
    /// The time it would take, where that is too long, or too many wait.
    pub(super) async fn enter(&self, cost: f64, priority: Priority) -> Result<(), Duration> {
        match priority {
            Priority::Normal => self.enter_live(cost).await,
            Priority::Low => self.enter_low(cost).await,
        }
    }

    async fn enter_live(&self, cost: f64) -> Result<(), Duration> {
        let wait = self.bucket().reserve(self.now(), cost, self.limit)?;
        if wait.is_zero() {
            return Ok(());
        }
        let mut promised = Promised { pacer: self, cost, gone: false };
        let _waiting = self.wait_in(self.waiting_max).ok_or(wait)?;
        sleep(wait).await;
        // It may have refused others meanwhile.
        let pause = self.bucket().pause(self.now());
        if wait + pause > self.limit {
            return Err(pause);
        }
        sleep(pause).await;
        promised.gone = true;
        Ok(())
    }

    async fn enter_low(&self, cost: f64) -> Result<(), Duration> {
        let wait = || self.bucket().wait(self.now(), cost);
        let _waiting = self.wait_in(self.waiting_max * 3 / 4).ok_or_else(wait)?;
        let turn = async {
            let _first = self.line.lock().await;
            loop {
                let taken = self.bucket().take_spare(self.now(), cost);
                match taken {
                    Ok(()) => return,
                    Err(wait) => sleep(wait.min(self.limit)).await,
                }
            }
        };
        timeout(self.limit, turn).await.map_err(|_| wait())
    }

    /// Takes credits for what goes out anyway: a repetition, which has waited.
    pub(super) fn charge(&self, cost: f64) {
        let now = self.now();
        self.bucket().charge(now, cost);
    }

    pub(super) fn refund(&self, cost: f64) {
        self.bucket().refund(cost);
    }

    /// The endpoint refused a call: too many.
    pub(super) fn refused(&self, wish: Option<Duration>) {
        let now = self.now();
        self.bucket().refused(now, wish);
    }

    /// How long a usual call would wait now.
    #[must_use]
    pub fn wait(&self) -> Duration {
        // One that costs more than the burst always waits, which tells nothing.
        let usual = self.plan.as_ref().map_or(1, |plan| plan.default_cost.min(plan.burst));
        self.bucket().wait(self.now(), f64::from(usual))
    }

    /// Credits per second now, if they are limited.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.bucket().rate()
    }

    /// Whether it refused of late and is spared.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        let now = self.now();
        let mut bucket = self.bucket();
        bucket.charge(now, 0.0);
        bucket.is_cut() || !bucket.pause(now).is_zero()
    }

    fn wait_in(&self, queue: usize) -> Option<Waiting<'_>> {
        let below = |count: usize| (count < queue).then_some(count + 1);
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, below).ok()?;
        Some(Waiting(&self.waiting))
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::collections::BTreeMap;

    use futures::FutureExt;

    use super::*;

    fn pacer(per_second: u32, limit_s: u64) -> Pacer {
        let costs = BTreeMap::from([("eth_getLogs".to_owned(), 5)]);
        let plan = Plan { per_second, burst: per_second, costs, default_cost: 1 };
        Pacer::new(Some(plan), Duration::from_secs(limit_s), 8)
    }

    #[tokio::test(start_paused = true)]
    async fn a_live_call_goes_before_those_that_can_wait() {
        let pacer = pacer(8, 10);
        assert_eq!(pacer.cost("eth_getLogs", 2), 10.0);
        assert_eq!(pacer.at_once("eth_getLogs"), 1);
        pacer.charge(8.0);
        let mut low = Box::pin(pacer.enter(1.0, Priority::Low));
        assert!(low.as_mut().now_or_never().is_none());
        let asked = Instant::now();
        pacer.enter(1.0, Priority::Normal).await.unwrap();
        assert_eq!(asked.elapsed().as_millis(), 125);
        assert!(low.as_mut().now_or_never().is_none());
        low.await.unwrap();
        // Two for the reserve, one for itself, after the live one.
        assert!((495..=510).contains(&asked.elapsed().as_millis()), "{:?}", asked.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_limit_nor_in_too_long_a_queue() {
        let pacer = pacer(1, 3);
        pacer.charge(1.0);
        assert!(pacer.enter(4.0, Priority::Normal).await.unwrap_err() > Duration::from_secs(3));
        let pacer = self::pacer(1, 60);
        pacer.charge(1.0);
        let mut waiting: Vec<_> =
            (0..8).map(|_| Box::pin(pacer.enter(1.0, Priority::Normal))).collect();
        assert!(waiting.iter_mut().all(|call| call.as_mut().now_or_never().is_none()));
        assert!(pacer.enter(1.0, Priority::Normal).now_or_never().unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_gives_the_credits_back() {
        let pacer = pacer(1, 60);
        pacer.charge(1.0);
        let mut call = Box::pin(pacer.enter(10.0, Priority::Normal));
        assert!(call.as_mut().now_or_never().is_none());
        drop(call);
        assert_eq!(pacer.wait(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_meanwhile_makes_those_who_wait_wait_on() {
        let pacer = pacer(10, 60);
        pacer.charge(10.0);
        let asked = Instant::now();
        let mut call = Box::pin(pacer.enter(1.0, Priority::Normal));
        assert!(call.as_mut().now_or_never().is_none());
        pacer.refused(Some(Duration::from_secs(5)));
        assert!(pacer.is_cut());
        call.await.unwrap();
        assert!(asked.elapsed() >= Duration::from_secs(5));
    }
}
