//! How much may go to a platform, as the configuration says: calls and tokens in a minute, and calls at once.
//!
//! # The formula
//!
//! Each rate is a bucket of a capacity `c` that fills at `r` a minute. For a limit of `n` calls in a minute, `c` is `n / 6` (what ten
//! seconds are worth), at least 1, and `r` is `n - c + 1`; so no minute sees more than `n`. For a limit of `n` tokens, `c` is
//! `n / 6` and `r` is `n - c`; a call goes when what it may use at most is there, or the bucket is full where it is smaller than that,
//! and what it really used is put right when it is over. So no minute sees more than `n` tokens and what one call used beyond what was expected.
//!
//! Invariants: a node alone keeps to the limits whatever happens; where a place is given that nodes share, all of them together do, as
//! long as it answers; while it does not, each keeps to them by itself, and nothing stops.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

/// Limits of platforms by their keys, and where they are shared.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Of whom there is any.
    pub platforms: BTreeMap<String, PlatformLimits>,
    /// Where nodes share them; each has its own otherwise.
    pub shared: Option<Arc<dyn SharedLimits>>,
}

/// The limits of one platform.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlatformLimits {
    /// Whom the platform counts our calls for; nodes of the same account share limits.
    pub account: String,
    /// So many calls may start in a minute.
    pub requests_per_minute: Option<u32>,
    /// So many tokens may be used in a minute.
    pub tokens_per_minute: Option<u64>,
    /// So many calls may be under way.
    pub at_once: Option<u32>,
}

/// A bucket, whether it is kept here or elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How much it holds.
    pub capacity: f64,
    /// By how much it fills in a millisecond.
    pub per_ms: f64,
}

impl PlatformLimits {
    /// The bucket of calls.
    #[must_use]
    pub fn requests(&self) -> Option<Rate> {
        let limit = f64::from(self.requests_per_minute?.max(1));
        let capacity = (limit / 6.0).floor().max(1.0);
        Some(Rate { capacity, per_ms: (limit - capacity + 1.0) / 60_000.0 })
    }

    /// The bucket of tokens.
    #[must_use]
    pub fn tokens(&self) -> Option<Rate> {
        let limit = as_f64(self.tokens_per_minute?.max(6));
        let capacity = (limit / 6.0).floor();
        Some(Rate { capacity, per_ms: (limit - capacity) / 60_000.0 })
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, which is more tokens than there are")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// A call as it is counted elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedCall {
    /// Of which account.
    pub account: String,
    /// What it is called there.
    pub id: u128,
    /// What it may use at most.
    pub tokens: u64,
}

/// What the place says that nodes share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharedTurn {
    /// The call may be made; it is counted as under way until it is released.
    Go(SharedCall),
    /// To ask again after this time.
    After(Duration),
    /// It does not answer.
    Away,
}

/// A place where nodes share limits. It never makes anybody wait for long because of itself.
#[async_trait]
pub trait SharedLimits: fmt::Debug + Send + Sync {
    /// Asks for a call of so many tokens at most, which is under way no longer than `longest`, whatever becomes of the node.
    async fn admit(&self, limits: &PlatformLimits, tokens: u64, longest: Duration) -> SharedTurn;

    /// Tells that an admitted call is over, and what it really used if that is known. Returns at once.
    fn release(&self, call: SharedCall, used: Option<u64>);

    /// Tells that a platform wants nothing more from an account for a while. Returns at once.
    fn hold(&self, account: &str, pause: Duration);
}

/// The buckets of one platform on this node.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    requests: Option<Level>,
    tokens: Option<Level>,
    /// Until when the shared place wants to be left alone.
    shared: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    level: f64,
    at: Instant,
}

impl Level {
    fn now(of: Option<Self>, rate: Rate, now: Instant) -> f64 {
        let full = Self { level: rate.capacity, at: now };
        let Self { level, at } = of.unwrap_or(full);
        let passed = now.saturating_duration_since(at).as_secs_f64() * 1000.0;
        (level + passed * rate.per_ms).min(rate.capacity)
    }
}

/// How long until so much is there; `None` when it is.
fn missing(level: f64, needed: f64, rate: Rate) -> Option<Duration> {
    (level < needed).then(|| Duration::from_secs_f64(((needed - level) / rate.per_ms / 1000.0).max(0.001)))
}

impl Buckets {
    /// How long a call of so many tokens has to wait; `None` when it need not.
    pub(crate) fn wait(&self, limits: &PlatformLimits, tokens: u64, now: Instant) -> Option<Duration> {
        let requests = limits.requests().and_then(|rate| missing(Level::now(self.requests, rate, now), 1.0, rate));
        let tokens = limits
            .tokens()
            .and_then(|rate| missing(Level::now(self.tokens, rate, now), as_f64(tokens).min(rate.capacity), rate));
        let shared = self.shared.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero());
        [requests, tokens, shared].into_iter().flatten().max()
    }

    /// Takes a call, or says how long it has to wait.
    pub(crate) fn take(&mut self, limits: &PlatformLimits, tokens: u64, now: Instant) -> Result<(), Duration> {
        // What the shared place wants is decided there.
        self.shared = None;
        if let Some(wait) = self.wait(limits, tokens, now) {
            return Err(wait);
        }
        if let Some(rate) = limits.requests() {
            self.requests = Some(Level { level: Level::now(self.requests, rate, now) - 1.0, at: now });
        }
        if let Some(rate) = limits.tokens() {
            self.tokens = Some(Level { level: Level::now(self.tokens, rate, now) - as_f64(tokens), at: now });
        }
        Ok(())
    }

    /// Puts right what a call has used.
    pub(crate) fn correct(&mut self, limits: &PlatformLimits, expected: u64, used: u64, now: Instant) {
        if let Some(rate) = limits.tokens() {
            let level = Level::now(self.tokens, rate, now) + as_f64(expected) - as_f64(used);
            self.tokens = Some(Level { level: level.min(rate.capacity), at: now });
        }
    }

    /// Remembers until when the shared place wants to be left alone.
    pub(crate) fn shared_until(&mut self, until: Instant) {
        self.shared = Some(until);
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Buckets, PlatformLimits};

    fn limits(requests: Option<u32>, tokens: Option<u64>) -> PlatformLimits {
        PlatformLimits { requests_per_minute: requests, tokens_per_minute: tokens, ..PlatformLimits::default() }
    }

    /// When calls go that are made as soon as they may, in milliseconds.
    fn times(limits: &PlatformLimits, tokens: u64, count: usize) -> Vec<u128> {
        let (mut buckets, begun) = (Buckets::default(), Instant::now());
        let mut now = begun;
        let mut times = Vec::new();
        while times.len() < count {
            match buckets.take(limits, tokens, now) {
                Ok(()) => times.push((now - begun).as_millis()),
                Err(wait) => now += wait,
            }
        }
        times
    }

    /// The most calls that any minute sees.
    fn most(times: &[u128]) -> usize {
        let within = |from: &u128| times.iter().filter(|at| (*from..from + 60_000).contains(at)).count();
        times.iter().map(within).max().unwrap_or(0)
    }

    #[test]
    fn no_minute_sees_more_calls_than_the_limit_and_a_busy_one_sees_all_of_them() {
        for limit in [1_u32, 2, 5, 6, 7, 60, 61, 500] {
            let times = times(&limits(Some(limit), None), 0, 4 * limit as usize);
            assert_eq!(most(&times), limit as usize, "{limit}: {times:?}");
        }
        assert_eq!(times(&limits(Some(60), None), 0, 11)[..10], [0; 10], "ten seconds' worth goes at once");
        assert_eq!(times(&limits(None, None), 1_000_000, 100), [0; 100]);
    }

    #[test]
    fn no_minute_sees_more_tokens_than_the_limit() {
        for (limit, each) in [(6000_u64, 1000_u64), (6000, 100), (6000, 7), (100, 16)] {
            let times = times(&limits(None, Some(limit)), each, 300);
            assert!(most(&times) as u64 * each <= limit, "{limit} {each}: {}", most(&times));
            assert!(times[299] > 0, "{times:?}");
        }
        // What is larger than the bucket goes when it is full, and the bucket has to make up for it.
        let times = times(&limits(None, Some(6000)), 4000, 3);
        assert_eq!(times[0], 0);
        assert!(times[1] >= 48_000 && times[2] >= 96_000, "{times:?}");
    }

    #[test]
    fn what_was_not_used_is_given_back() {
        let (limits, now) = (limits(None, Some(6000)), Instant::now());
        let mut buckets = Buckets::default();
        assert_eq!(buckets.take(&limits, 1000, now), Ok(()));
        assert!(buckets.wait(&limits, 500, now).is_some());
        buckets.correct(&limits, 1000, 400, now);
        assert_eq!(buckets.wait(&limits, 500, now), None);
        buckets.correct(&limits, 0, 5600, now);
        assert!(
            buckets.wait(&limits, 1, now + Duration::from_secs(59)).is_some(),
            "what was used beyond has to be made up for"
        );
        assert_eq!(buckets.wait(&limits, 1, now + Duration::from_secs(61)), None);
    }

    #[test]
    fn what_the_shared_place_wants_is_kept_to_by_others() {
        let (limits, now) = (limits(Some(60), None), Instant::now());
        let mut buckets = Buckets::default();
        buckets.shared_until(now + Duration::from_secs(7));
        assert_eq!(buckets.wait(&limits, 0, now), Some(Duration::from_secs(7)));
        assert_eq!(buckets.wait(&limits, 0, now + Duration::from_secs(7)), None);
        assert_eq!(buckets.take(&limits, 0, now), Ok(()), "whoever asks it anew is told by itself");
    }
}
