//! A bounded number of attempts under way, a bounded number waiting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Debug)]
pub(super) struct Bulkhead {
    places: Arc<Semaphore>,
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
            max_queued,
            queue_timeout,
            queued: Counted::new(queued),
            in_flight: Counted::new(in_flight),
        }
    }

    /// A place at once, or after waiting in a bounded queue (first come, first
    /// served) for a bounded time.
    pub(super) async fn enter(&self) -> Result<Place, Full> {
        let places = Arc::clone(&self.places);
        let permit = match Arc::clone(&places).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = self.queued.raise(self.max_queued).ok_or(Full)?;
                tokio::time::timeout(self.queue_timeout, places.acquire_owned())
                    .await
                    .map_err(|_| Full)?
                    .map_err(|_| Full)?
            }
        };
        // The semaphore is the limit here; the count only tells.
        let in_flight = self.in_flight.raise(usize::MAX).ok_or(Full)?;
        Ok(Place { _in_flight: in_flight, _permit: permit })
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    pub(super) fn queued(&self) -> usize {
        self.queued.get()
    }
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
        let first = bulkhead.enter().await.unwrap();
        let mut second = Box::pin(bulkhead.enter());
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (1, 1));

        assert_eq!(bulkhead.enter().now_or_never().unwrap().unwrap_err(), Full);

        drop(first);
        let _second = second.await.unwrap();
        assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_place_has_its_limit() {
        let bulkhead = bulkhead(1, 1);
        let _first = bulkhead.enter().await.unwrap();
        let start = tokio::time::Instant::now();
        assert_eq!(bulkhead.enter().await.unwrap_err(), Full);
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        assert_eq!(bulkhead.queued(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_gives_up_the_place_in_the_queue() {
        let bulkhead = bulkhead(1, 1);
        let first = bulkhead.enter().await.unwrap();
        let mut second = Box::pin(bulkhead.enter());
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        assert_eq!(bulkhead.queued(), 0);
        drop(first);
        assert!(bulkhead.enter().now_or_never().unwrap().is_ok());
    }
}
