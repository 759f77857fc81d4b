use std::time::Duration;

use domain::RetryPolicy;
use proptest::prelude::*;

/// Policies as a definition may hold them.
fn policy() -> impl Strategy<Value = RetryPolicy> {
    let day = 86_400_000_000_u64;
    (1_u32..=100, 0..=day, 1000_u32..=10_000, 0..=day).prop_map(|(max_attempts, one, multiplier_milli, other)| {
        RetryPolicy {
            max_attempts,
            first_backoff: Duration::from_micros(one.min(other)),
            multiplier_milli,
            max_backoff: Duration::from_micros(one.max(other)),
            ..RetryPolicy::default()
        }
    })
}

proptest! {
    #[test]
    fn a_pause_stays_within_its_bounds(policy in policy(), attempt in 1_u32..=100, jitter in 0_u16..=1000) {
        let pause = policy.backoff(attempt, jitter);
        let whole = policy.backoff(attempt, 1000);
        prop_assert!(pause <= policy.max_backoff);
        prop_assert!(pause >= Duration::from_micros(u64::try_from(whole.as_micros() / 2).unwrap()));
        prop_assert!(pause <= whole);
        prop_assert!(whole >= policy.first_backoff);
    }

    #[test]
    fn pauses_never_shrink(policy in policy(), attempt in 1_u32..100, jitter in 0_u16..1000) {
        prop_assert!(policy.backoff(attempt, jitter) <= policy.backoff(attempt + 1, jitter));
        prop_assert!(policy.backoff(attempt, jitter) <= policy.backoff(attempt, jitter + 1));
    }

    #[test]
    fn a_higher_cap_never_shortens_a_pause(policy in policy(), more in 0_u64..1_000_000_000, attempt in 1_u32..=100) {
        let higher = RetryPolicy { max_backoff: policy.max_backoff + Duration::from_micros(more), ..policy.clone() };
        prop_assert!(policy.backoff(attempt, 1000) <= higher.backoff(attempt, 1000));
    }

    /// Policies that no definition may hold, such as one read from elsewhere, still end in a pause.
    #[test]
    fn no_policy_panics(
        first in any::<Duration>(), max in any::<Duration>(), multiplier_milli: u32, attempt: u16, jitter: u16,
    ) {
        let policy = RetryPolicy {
            max_attempts: 1, first_backoff: first, multiplier_milli, max_backoff: max, ..RetryPolicy::default()
        };
        prop_assert!(policy.backoff(u32::from(attempt), jitter) <= max.max(Duration::from_micros(u64::MAX)));
    }
}

#[test]
fn the_default_doubles_up_to_a_minute() {
    let pauses: Vec<u64> = (1..=8).map(|attempt| RetryPolicy::default().backoff(attempt, 1000).as_secs()).collect();
    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(RetryPolicy::default().backoff(1, 0), Duration::from_secs(1));
    assert_eq!(RetryPolicy::default().backoff(1, 500), Duration::from_millis(1500));
    // More than the whole spread is the whole spread.
    assert_eq!(RetryPolicy::default().backoff(1, u16::MAX), Duration::from_secs(2));
}

#[test]
fn fractions_are_multiplied_exactly() {
    let policy =
        RetryPolicy { first_backoff: Duration::from_secs(1), multiplier_milli: 1500, ..RetryPolicy::default() };
    let pauses: Vec<u128> = (1..=4).map(|attempt| policy.backoff(attempt, 1000).as_micros()).collect();
    assert_eq!(pauses, [1_000_000, 1_500_000, 2_250_000, 3_375_000]);
}
