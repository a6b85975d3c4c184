//! A bounded number of attempts under way, a bounded number waiting. What is
//! of low priority never takes the last quarter of either.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::spec::Priority;

#[derive(Debug)]
pub(super) struct Bulkhead {
    places: Arc<Semaphore>,
    /// Beside a place, what is of low priority needs one of these.
    low_places: Arc<Semaphore>,
    max_queued: usize,
    queue_timeout: Duration,
    queued: Counted,
    in_flight: Counted,
}

/// A count that is a metric too.
#[derive(Clone, Debug)]
struct Counted {
    count: Arc<AtomicUsize>,
    gauge: IntGauge,
}

/// Keeps a [`Counted`] raised; lowers it when dropped, by whatever way.
#[derive(Debug)]
struct Raised(Counted);

/// A place in the bulkhead, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _in_flight: Raised,
    _permit: OwnedSemaphorePermit,
    _low: Option<OwnedSemaphorePermit>,
}

/// Neither a place nor a place in the queue, or not within the time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Counted {
    fn new(gauge: IntGauge) -> Self {
        Self { count: Arc::default(), gauge }
    }

    fn get(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Raises the count unless it has reached `limit`.
    fn raise(&self, limit: usize) -> Option<Raised> {
        let below = |count: usize| (count < limit).then_some(count + 1);
        self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, below).ok()?;
        self.gauge.inc();
        Some(Raised(self.clone()))
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.gauge.dec();
    }
}

impl Bulkhead {
    pub(super) fn new(
        max_concurrent: usize,
        max_queued: usize,
        queue_timeout: Duration,
        in_flight: IntGauge,
        queued: IntGauge,
    ) -> Self {
        Self {
            places: Arc::new(Semaphore::new(max_concurrent)),
            low_places: Arc::new(Semaphore::new(but_a_quarter(max_concurrent))),
            max_queued,
            queue_timeout,
            queued: Counted::new(queued),
            in_flight: Counted::new(in_flight),
        }
    }

    /// A place at once, or after waiting in a bounded queue (first come, first
    /// served) for a bounded time.
    pub(super) async fn enter(&self, priority: Priority) -> Result<Place, Full> {
        let low = priority == Priority::Low;
        let mut low_permit = None;
        if low {
            low_permit = Arc::clone(&self.low_places).try_acquire_owned().ok();
        }
        let mut permit = None;
        if low == low_permit.is_some() {
            permit = Arc::clone(&self.places).try_acquire_owned().ok();
        }
        if permit.is_none() {
            let queue = if low { but_a_quarter(self.max_queued) } else { self.max_queued };
            let _waiting = self.queued.raise(queue).ok_or(Full)?;
            let places = async {
                if low && low_permit.is_none() {
                    low_permit = Some(Arc::clone(&self.low_places).acquire_owned().await?);
                }
                Arc::clone(&self.places).acquire_owned().await
            };
            let waited = tokio::time::timeout(self.queue_timeout, places).await;
            permit = waited.map_err(|_| Full)?.ok();
        }
        // The semaphore is the limit here; the count only tells.
        let in_flight = self.in_flight.raise(usize::MAX).ok_or(Full)?;
        Ok(Place { _in_flight: in_flight, _permit: permit.ok_or(Full)?, _low: low_permit })
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    pub(super) fn queued(&self) -> usize {
        self.queued.get()
    }
}

/// Three quarters, but at least one of what there is at all.
fn but_a_quarter(of: usize) -> usize {
    of - (of.div_ceil(4)).min(of.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use futures::FutureExt;

    use super::*;

    fn bulkhead(places: usize, queue: usize) -> Bulkhead {
        let gauge = |name| IntGauge::new(name, "help").unwrap();
        Bulkhead::new(places, queue, Duration::from_secs(5), gauge("a"), gauge("b"))
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_places_and_queue_it_rejects_at_once() {
        let bulkhead = bulkhead(1, 1);
        let first = bulkhead.enter(Priority::Normal).await.unwrap();
        let mut second = Box::pin(bulkhead.enter(Priority::Normal));
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (1, 1));

        assert_eq!(bulkhead.enter(Priority::Normal).now_or_never().unwrap().unwrap_err(), Full);

        drop(first);
        let _second = second.await.unwrap();
        assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_place_has_its_limit() {
        let bulkhead = bulkhead(1, 1);
        let _first = bulkhead.enter(Priority::Normal).await.unwrap();
        let start = tokio::time::Instant::now();
        assert_eq!(bulkhead.enter(Priority::Normal).await.unwrap_err(), Full);
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        assert_eq!(bulkhead.queued(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_gives_up_the_place_in_the_queue() {
        let bulkhead = bulkhead(1, 1);
        let first = bulkhead.enter(Priority::Normal).await.unwrap();
        let mut second = Box::pin(bulkhead.enter(Priority::Normal));
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        assert_eq!(bulkhead.queued(), 0);
        drop(first);
        assert!(bulkhead.enter(Priority::Normal).now_or_never().unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn low_priority_never_takes_the_last_quarter_of_places() {
        let bulkhead = bulkhead(8, 8);
        let mut low = Vec::new();
        while let Some(place) = bulkhead.enter(Priority::Low).now_or_never() {
            low.push(place.unwrap());
        }
        assert_eq!(low.len(), 6);
        let live: Vec<_> =
            (0..2).map(|_| bulkhead.enter(Priority::Normal).now_or_never().unwrap()).collect();
        assert!(live.iter().all(Result::is_ok));
        // Where there is only one place, it is everybody's.
        assert!(self::bulkhead(1, 0).enter(Priority::Low).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn low_priority_never_fills_the_queue() {
        let bulkhead = bulkhead(1, 4);
        let _taken = bulkhead.enter(Priority::Normal).await.unwrap();
        let mut low: Vec<_> = (0..3).map(|_| Box::pin(bulkhead.enter(Priority::Low))).collect();
        assert!(low.iter_mut().all(|waits| waits.as_mut().now_or_never().is_none()));
        assert_eq!(bulkhead.enter(Priority::Low).now_or_never().unwrap().unwrap_err(), Full);
        assert!(bulkhead.enter(Priority::Normal).now_or_never().is_none());
    }
}
