#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

const LONG: Duration = Duration::from_secs(3_600);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn bucket(per_second: u32, burst: u32) -> Bucket {
    Bucket::new(Some(&Plan { per_second, burst, costs: BTreeMap::new(), default_cost: 1 }))
}

proptest! {
    #[test]
    fn no_window_sees_more_than_the_burst_and_the_rate(
        rate in 1_u32..200, burst in 1_u32..400,
        steps in prop::collection::vec((0_u64..400, 1_u32..50, any::<bool>()), 1..200),
    ) {
        let mut bucket = bucket(rate, burst);
        let mut now = Duration::ZERO;
        let mut out: Vec<(Duration, f64)> = Vec::new();
        for (pause, cost, spare) in steps {
            now += ms(pause);
            let cost = f64::from(cost);
            if spare {
                if bucket.take_spare(now, cost).is_ok() {
                    out.push((now, cost));
                }
            } else {
                out.push((now + bucket.reserve(now, cost, LONG).unwrap(), cost));
            }
        }
        out.sort_by_key(|(at, _)| *at);
        for (first, (from, _)) in out.iter().enumerate() {
            let mut sum = 0.0;
            for (to, cost) in &out[first..] {
                sum += cost;
                // One call of low priority may cost more than the bucket holds.
                let most = f64::from(burst.max(50))
                    + f64::from(rate) * (*to - *from).as_secs_f64() + 50.0;
                prop_assert!(sum <= most + 1e-3, "{sum} > {most}");
            }
        }
    }

    #[test]
    fn what_can_wait_leaves_a_quarter_to_live_calls(
        rate in 4_u32..200, cost in 1_u32..20, tries in 1_usize..200,
    ) {
        let burst = rate.max(2 * cost) * 2;
        let mut bucket = bucket(rate, burst);
        for _ in 0..tries {
            let _ = bucket.take_spare(Duration::ZERO, f64::from(cost));
        }
        let live = f64::from(burst) / 4.0;
        prop_assert_eq!(bucket.reserve(Duration::ZERO, live, LONG), Ok(Duration::ZERO));
    }

    #[test]
    fn a_rate_is_cut_by_refusals_and_regrows(
        rate in 1_u32..1_000, refusals in 1_u64..50,
    ) {
        let mut bucket = bucket(rate, rate);
        let whole = f64::from(rate);
        let mut now = Duration::ZERO;
        for _ in 0..refusals {
            now += WAVE;
            bucket.refused(now, None);
            let rate = bucket.rate().unwrap();
            prop_assert!(rate <= whole / 2.0 + 1e-9 && rate >= whole / DEEPEST - 1e-9);
        }
        now += Duration::from_secs(60);
        bucket.charge(now, 0.0);
        prop_assert_eq!(bucket.rate(), Some(whole));
    }
}

#[test]
fn live_calls_wait_in_line_and_only_as_long_as_they_may() {
    let mut bucket = bucket(10, 5);
    for _ in 0..5 {
        assert_eq!(bucket.reserve(ms(0), 1.0, LONG), Ok(ms(0)));
    }
    assert_eq!(bucket.reserve(ms(0), 1.0, LONG), Ok(ms(100)));
    assert_eq!(bucket.reserve(ms(0), 1.0, ms(150)), Err(ms(200)));
    assert_eq!(bucket.reserve(ms(0), 1.0, LONG), Ok(ms(200)), "a refusal took nothing");
    bucket.refund(1.0);
    assert_eq!(bucket.wait(ms(0), 1.0), ms(200));
    assert_eq!(bucket.wait(ms(1_000), 1.0), ms(0));
}

#[test]
fn a_call_that_costs_more_than_the_burst_still_goes_out() {
    let mut bucket = bucket(10, 5);
    assert_eq!(bucket.reserve(ms(0), 25.0, LONG), Ok(ms(2_000)));
    let mut bucket = self::bucket(10, 5);
    assert_eq!(bucket.take_spare(ms(0), 25.0), Ok(()));
    assert!(bucket.take_spare(ms(0), 1.0).is_err());
}

#[test]
fn the_calls_of_one_wave_cut_the_rate_once() {
    let mut bucket = bucket(100, 100);
    for at in [0, 10, 500, 999] {
        bucket.refused(ms(at), None);
    }
    assert!((50.0..53.0).contains(&bucket.rate().unwrap()), "{bucket:?}");
}

#[test]
fn a_pause_that_was_asked_for_is_kept_within_its_bound() {
    let mut bucket = bucket(100, 100);
    bucket.refused(ms(0), Some(Duration::from_secs(5)));
    assert!(bucket.wait(ms(1_000), 1.0) >= Duration::from_secs(4));
    assert!(bucket.wait(ms(5_100), 1.0) < ms(100));
    bucket.refused(ms(10_000), Some(Duration::from_secs(86_400)));
    assert!(bucket.pause(ms(10_000)) <= PAUSE_MAX);
}

#[test]
fn without_a_plan_what_was_borne_stands_for_it_until_it_is_outgrown() {
    let mut bucket = Bucket::new(None);
    for call in 0..4_000 {
        assert_eq!(bucket.reserve(ms(call * 10), 1.0, ms(0)), Ok(ms(0)));
    }
    let now = ms(40_000);
    bucket.refused(now, None);
    let rate = bucket.rate().unwrap();
    assert!((45.0..55.0).contains(&rate), "half of 100 per second: {rate}");
    assert!(bucket.wait(now, 10.0) > ms(0));
    bucket.charge(now + Duration::from_secs(3), 0.0);
    let doubled = bucket.rate().unwrap() / rate;
    assert!((1.99..2.01).contains(&doubled), "{doubled}");
    bucket.charge(now + Duration::from_secs(600), 0.0);
    assert_eq!(bucket.rate(), None);
}

#[test]
fn a_spell_of_refusals_at_the_start_is_outgrown_in_half_a_minute() {
    let mut bucket = Bucket::new(None);
    let mut now = Duration::ZERO;
    for _ in 0..20 {
        now += WAVE;
        let _ = bucket.reserve(now, 1.0, ms(0));
        bucket.refused(now, None);
    }
    assert!(bucket.rate().unwrap() < 1.0, "{bucket:?}");
    bucket.charge(now + Duration::from_secs(15), 0.0);
    assert!(bucket.rate().unwrap() >= SEEN_MIN, "{bucket:?}");
    bucket.charge(now + Duration::from_secs(30), 0.0);
    assert_eq!(bucket.rate(), None, "no limit again");
}
