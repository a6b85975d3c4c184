//! The promises of [`Guard`]. Time is paused except where failsafe's real
//! clock decides; there a cooldown of a few milliseconds is waited out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    cell::{Cell, RefCell},
    future::{pending, ready},
    num::{NonZeroU32, NonZeroUsize},
};

use futures::{FutureExt, future::join_all};

use super::{super::spec::BreakerSpec, *};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}")]
struct Failure(FailureClass);

impl Classify for Failure {
    fn class(&self) -> FailureClass {
        self.0
    }
}

const FAULT: Failure = Failure(FailureClass::Fault);
const ANSWER: Failure = Failure(FailureClass::Answer);

fn slow_down(seconds: u64) -> Failure {
    Failure(FailureClass::Overloaded { retry_after: Some(Duration::from_secs(seconds)) })
}

fn spec() -> GuardSpec {
    GuardSpec {
        dependency: "rpc-1".to_owned(),
        max_concurrent: NonZeroUsize::new(4).unwrap(),
        max_queued: 4,
        queue_timeout: Duration::from_secs(1),
        call_timeout: Duration::from_secs(2),
        breaker: BreakerSpec {
            consecutive_failures: NonZeroU32::new(3).unwrap(),
            cooldown_min: Duration::from_millis(20),
            cooldown_max: Duration::from_millis(20),
        },
        retry: RetrySpec {
            max_attempts: NonZeroU32::MIN,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            budget_percent: 10,
        },
    }
}

/// Retries and never opens.
fn patient() -> GuardSpec {
    let mut spec = spec();
    spec.retry.max_attempts = NonZeroU32::new(3).unwrap();
    spec.breaker.consecutive_failures = NonZeroU32::MAX;
    spec
}

/// Opens and stays so for as long as a test may take.
fn stays_open() -> GuardSpec {
    let mut spec = spec();
    spec.breaker.cooldown_min = Duration::from_secs(3_600);
    spec.breaker.cooldown_max = Duration::from_secs(3_600);
    spec
}

fn guard(spec: GuardSpec) -> Guard {
    Guard::new(spec, &Metrics::new()).unwrap()
}

async fn outcome(guard: &Guard, result: Result<(), Failure>) -> Result<(), GuardError<Failure>> {
    guard.call(|| ready(result.clone())).await
}

async fn half_open(guard: &Guard) {
    while guard.state() == BreakerState::Closed {
        let _ = outcome(guard, Err(FAULT)).await;
    }
    while guard.state() != BreakerState::HalfOpen {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn it_opens_after_faults_in_a_row_and_then_does_not_call() {
    let guard = guard(stays_open());
    for _ in 0..3 {
        assert_eq!(outcome(&guard, Err(FAULT)).await, Err(GuardError::Inner(FAULT)));
    }
    assert_eq!(guard.state(), BreakerState::Open);
    let called = Cell::new(false);
    let result: Result<(), GuardError<Failure>> = guard
        .call_once(|| {
            called.set(true);
            ready(Ok(()))
        })
        .await;
    assert_eq!(result, Err(GuardError::Open { dependency: "rpc-1".into() }));
    assert!(!called.get());
    assert_eq!(guard.snapshot().rejected, 1);
}

#[tokio::test]
async fn who_is_barred_opens_it_at_once_and_is_not_retried() {
    let guard = guard(stays_open());
    let barred = Failure(FailureClass::Barred);
    assert_eq!(outcome(&guard, Err(barred.clone())).await, Err(GuardError::Inner(barred)));
    assert_eq!(guard.state(), BreakerState::Open);
    assert_eq!(guard.snapshot().retries, 0);
}

#[tokio::test]
async fn a_probe_that_is_barred_opens_it_again() {
    let guard = guard(spec());
    half_open(&guard).await;
    let _ = outcome(&guard, Err(Failure(FailureClass::Barred))).await;
    assert_eq!(guard.state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn timeouts_are_faults() {
    let guard = guard(stays_open());
    for _ in 0..3 {
        let result: Result<(), GuardError<Failure>> = guard.call_once(pending).await;
        let dependency = "rpc-1".into();
        assert_eq!(result, Err(GuardError::TimedOut { dependency, after_ms: 2_000 }));
    }
    assert_eq!(guard.state(), BreakerState::Open);
}

#[tokio::test]
async fn half_open_probes_with_one_call_and_closes_after_its_success() {
    let guard = guard(spec());
    half_open(&guard).await;
    let (answer, answered) = tokio::sync::oneshot::channel();
    let mut probe = Box::pin(guard.call_once(|| async {
        answered.await.unwrap();
        Ok::<(), Failure>(())
    }));
    assert!(probe.as_mut().now_or_never().is_none());
    for _ in 0..50 {
        assert!(matches!(outcome(&guard, Ok(())).await, Err(GuardError::Open { .. })));
    }
    assert_eq!(guard.state(), BreakerState::HalfOpen);
    answer.send(()).unwrap();
    assert_eq!(probe.await, Ok(()));
    assert_eq!(guard.state(), BreakerState::Closed);
    assert_eq!(outcome(&guard, Ok(())).await, Ok(()));
}

#[tokio::test]
async fn a_failed_probe_opens_it_again() {
    let mut spec = spec();
    spec.breaker.cooldown_max = Duration::from_secs(3_600);
    let guard = guard(spec);
    half_open(&guard).await;
    assert_eq!(outcome(&guard, Err(FAULT)).await, Err(GuardError::Inner(FAULT)));
    assert_eq!(guard.state(), BreakerState::Open);
}

#[tokio::test]
async fn answers_never_open_it_and_close_it_because_the_dependency_works() {
    let guard = guard(spec());
    for _ in 0..20 {
        assert_eq!(outcome(&guard, Err(ANSWER)).await, Err(GuardError::Inner(ANSWER)));
    }
    assert_eq!(guard.state(), BreakerState::Closed);
    half_open(&guard).await;
    assert_eq!(outcome(&guard, Err(ANSWER)).await, Err(GuardError::Inner(ANSWER)));
    assert_eq!(guard.state(), BreakerState::Closed);
}

#[tokio::test]
async fn being_told_to_slow_down_neither_opens_nor_closes_it() {
    let guard = guard(spec());
    for _ in 0..20 {
        let _ = outcome(&guard, Err(slow_down(60))).await;
    }
    assert_eq!(guard.state(), BreakerState::Closed);
    half_open(&guard).await;
    let _ = outcome(&guard, Err(slow_down(60))).await;
    assert_eq!(guard.state(), BreakerState::HalfOpen);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_leave_it_half_open() {
    let guard = guard(spec());
    half_open(&guard).await;
    let mut probe = Box::pin(guard.call_once(pending::<Result<(), Failure>>));
    assert!(probe.as_mut().now_or_never().is_none());
    drop(probe);
    assert_eq!(guard.state(), BreakerState::Open);
    half_open(&guard).await;
    assert_eq!(outcome(&guard, Ok(())).await, Ok(()));
    assert_eq!(guard.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_rejects_at_once_and_other_dependencies_do_not_notice() {
    let (slow, other) = (guard(spec()), guard(spec()));
    let mut hanging: Vec<_> =
        (0..8).map(|_| Box::pin(slow.call_once(pending::<Result<(), Failure>>))).collect();
    for call in &mut hanging {
        assert!(call.as_mut().now_or_never().is_none());
    }
    let snapshot = slow.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued), (4, 4));
    let ninth = outcome(&slow, Ok(())).now_or_never().unwrap();
    assert_eq!(ninth, Err(GuardError::Full { dependency: "rpc-1".into() }));
    assert_eq!(outcome(&other, Ok(())).now_or_never().unwrap(), Ok(()));
    drop(hanging);
    let snapshot = slow.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn faults_and_timeouts_are_retried_answers_are_not() {
    let guard = guard(patient());
    let calls = Cell::new(0);
    let result: Result<u32, GuardError<Failure>> = guard
        .call(|| {
            calls.set(calls.get() + 1);
            let call = calls.get();
            async move {
                match call {
                    1 => Err(FAULT),
                    2 => pending().await,
                    _ => Ok(call),
                }
            }
        })
        .await;
    assert_eq!(result, Ok(3));
    assert_eq!(guard.snapshot().retries, 2);
    assert_eq!(outcome(&guard, Err(ANSWER)).await, Err(GuardError::Inner(ANSWER)));
    assert_eq!(guard.snapshot().retries, 2);
    let once: Result<(), _> = guard.call_once(|| ready(Err(FAULT))).await;
    assert_eq!(once, Err(GuardError::Inner(FAULT)));
    assert_eq!(guard.snapshot().retries, 2);
}

#[tokio::test(start_paused = true)]
async fn the_budget_stops_a_storm_of_retries() {
    let guard = guard(patient());
    let calls = Cell::new(0_u64);
    for _ in 0..1_000 {
        let _: Result<(), _> = guard
            .call(|| {
                calls.set(calls.get() + 1);
                ready(Err(FAULT))
            })
            .await;
    }
    // 10 % of 1000 and a reserve of 10, where three attempts each would be 3000.
    assert!(calls.get() <= 1_110, "{}", calls.get());
    assert_eq!(guard.snapshot().retries, calls.get() - 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_as_long_as_it_was_told() {
    let guard = guard(patient());
    let times = RefCell::new(Vec::new());
    let result = guard
        .call(|| {
            times.borrow_mut().push(Instant::now());
            ready(if times.borrow().len() == 1 { Err(slow_down(7)) } else { Ok(()) })
        })
        .await;
    assert_eq!(result, Ok(()));
    let waited = times.borrow()[1] - times.borrow()[0];
    assert!(waited >= Duration::from_secs(7) && waited < Duration::from_secs(8), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_more_patience_than_there_is_gets_no_retry() {
    let guard = guard(patient());
    let before = Instant::now();
    assert_eq!(outcome(&guard, Err(slow_down(60))).await, Err(GuardError::Inner(slow_down(60))));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_pause_before_a_retry_holds_no_place() {
    let mut spec = patient();
    spec.max_concurrent = NonZeroUsize::MIN;
    spec.max_queued = 0;
    let guard = guard(spec);
    let mut pausing = Box::pin(outcome(&guard, Err(slow_down(5))));
    assert!(pausing.as_mut().now_or_never().is_none());
    assert_eq!(outcome(&guard, Ok(())).await, Ok(()));
}

#[tokio::test]
async fn a_breaker_that_opens_during_retries_leaves_the_cause_as_the_error() {
    let mut spec = stays_open();
    spec.retry.max_attempts = NonZeroU32::new(9).unwrap();
    spec.retry.backoff_min = Duration::from_millis(1);
    spec.retry.backoff_max = Duration::from_millis(1);
    let guard = guard(spec);
    assert_eq!(outcome(&guard, Err(FAULT)).await, Err(GuardError::Inner(FAULT)));
    assert_eq!(guard.state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_state_and_every_outcome() {
    let metrics = Metrics::new();
    let guard = Guard::new(stays_open(), &metrics).unwrap();
    let state = metrics.breaker_state.with_label_values(&["rpc-1"]);
    assert_eq!(state.get(), 0);
    let _ = outcome(&guard, Ok(())).await;
    let _ = outcome(&guard, Err(ANSWER)).await;
    let _ = outcome(&guard, Err(slow_down(60))).await;
    assert!(guard.call_once(pending::<Result<(), Failure>>).now_or_never().is_none());
    let _: Result<(), GuardError<Failure>> = guard.call_once(pending).await;
    let hanging = || guard.call_once(pending::<Result<(), Failure>>);
    join_all((0..9).map(|_| hanging())).await;
    let _ = outcome(&guard, Err(FAULT)).await;
    assert_eq!(state.get(), 2);
    let count = |outcome| metrics.guard_calls_total.with_label_values(&["rpc-1", outcome]).get();
    for (outcome, expected) in [
        ("ok", 1),
        ("answer", 1),
        ("overloaded", 1),
        ("dropped", 1),
        ("timeout", 5),
        ("rejected_full", 5),
        ("rejected_open", 1),
    ] {
        assert_eq!(count(outcome), expected, "{outcome}");
    }
    assert_eq!(metrics.guard_call_seconds.with_label_values(&["rpc-1"]).get_sample_count(), 9);
    assert_eq!(metrics.guard_in_flight.with_label_values(&["rpc-1"]).get(), 0);
    assert_eq!(metrics.guard_queued.with_label_values(&["rpc-1"]).get(), 0);
}

#[test]
fn a_guard_without_bounds_is_refused() {
    type Spoil = fn(&mut GuardSpec);
    let spoiled: [(&str, Spoil); 9] = [
        ("dependency", |spec| spec.dependency.clear()),
        ("max_concurrent", |spec| spec.max_concurrent = NonZeroUsize::MAX),
        ("queue_timeout", |spec| spec.queue_timeout = Duration::ZERO),
        ("call_timeout", |spec| spec.call_timeout = Duration::ZERO),
        ("call_timeout", |spec| spec.call_timeout = Duration::MAX),
        ("breaker.cooldown_min", |spec| spec.breaker.cooldown_min = Duration::from_secs(60)),
        ("retry.backoff_min", |spec| spec.retry.backoff_min = Duration::from_secs(60)),
        ("retry.budget_percent", |spec| spec.retry.budget_percent = 101),
        ("retry.budget_percent", |spec| {
            spec.retry.budget_percent = 0;
            spec.retry.max_attempts = NonZeroU32::new(2).unwrap();
        }),
    ];
    for (key, spoil) in spoiled {
        let mut spec = spec();
        spoil(&mut spec);
        let error = Guard::new(spec, &Metrics::new()).unwrap_err();
        assert_eq!(error.key, key, "{error}");
    }
    assert!(Guard::new(spec(), &Metrics::new()).is_ok());
}
