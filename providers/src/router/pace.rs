use std::time::{Duration, Instant};

use crate::wire::rate_limit::{RateLimits, Window};
use crate::{Failure, FailureKind};

/// How much may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceOptions {
    /// At first.
    pub start: u32,
    /// At most, however well it goes.
    pub most: u32,
}

impl Default for PaceOptions {
    /// 1024 at first and at most: nothing is held back before the platform has complained.
    fn default() -> Self {
        Self { start: 1024, most: 1024 }
    }
}

/// Whether it is a call's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is; [`Pace::settle`] must be told when the call is over.
    Now,
    /// Once another call is over.
    WhenOneEnds,
    /// After this time.
    After(Duration),
}

/// How fast one platform may be called with one key: concurrency that grows while all goes well and halves when the
/// platform complains (additive increase, multiplicative decrease), and the windows that the platform told in its
/// headers. Nothing is known at first, so nothing is held back.
#[derive(Debug, Clone)]
pub struct Pace {
    options: PaceOptions,
    /// In thousandths of a call, so that growth by parts of one is exact.
    limit_milli: u64,
    in_flight: u32,
    /// When the limit was last halved; many complaints about one burst are one complaint.
    halved: Option<Instant>,
    hold_until: Option<Instant>,
    requests: Known,
    tokens: Known,
}

/// A window as last told, less what was admitted since.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    limit: Option<u64>,
    left: Option<u64>,
    full_again: Option<Instant>,
}

impl Known {
    /// Until when `amount` does not fit; `None` when it does, or nobody knows.
    fn wait(&mut self, amount: u64, now: Instant) -> Option<Duration> {
        if self.full_again.is_some_and(|time| time <= now) {
            (self.left, self.full_again) = (self.limit, None);
        }
        let left = self.left?;
        // What is larger than the whole window never fits; the platform shall say so itself.
        if amount <= left || self.limit.is_some_and(|limit| amount > limit && left == limit) {
            return None;
        }
        self.full_again.map(|time| time - now)
    }

    fn take(&mut self, amount: u64) {
        self.left = self.left.map(|left| left.saturating_sub(amount));
    }

    fn learn(&mut self, window: Window, in_flight: u64, now: Instant) {
        if window == Window::default() {
            return;
        }
        self.limit = window.limit.or(self.limit);
        // The platform does not know yet about what is under way.
        self.left = window.remaining.map(|left| left.saturating_sub(in_flight)).or(self.left);
        self.full_again = window.reset.map(|reset| now + reset).or(self.full_again);
    }
}

impl Pace {
    /// A pace about which nothing is known.
    #[must_use]
    pub fn new(options: PaceOptions) -> Self {
        let limit_milli = u64::from(options.start.clamp(1, options.most.max(1))) * 1000;
        let (requests, tokens) = (Known::default(), Known::default());
        Self { options, limit_milli, in_flight: 0, halved: None, hold_until: None, requests, tokens }
    }

    /// How many calls may be under way at once.
    #[must_use]
    pub fn limit(&self) -> u32 {
        u32::try_from(self.limit_milli / 1000).unwrap_or(u32::MAX).max(1)
    }

    /// How many are.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Whether a call of about so many tokens may be made now.
    pub fn admit(&mut self, tokens: u64, now: Instant) -> Turn {
        if let Some(until) = self.hold_until {
            if now < until {
                return Turn::After(until - now);
            }
            self.hold_until = None;
        }
        if self.in_flight >= self.limit() {
            return Turn::WhenOneEnds;
        }
        let waits = [self.requests.wait(1, now), self.tokens.wait(tokens, now)];
        if let Some(wait) = waits.into_iter().flatten().max().filter(|wait| !wait.is_zero()) {
            return Turn::After(wait);
        }
        self.requests.take(1);
        self.tokens.take(tokens);
        self.in_flight += 1;
        Turn::Now
    }

    /// How long the platform itself wants nothing more to come; `None` when a call of about so many tokens fits what it
    /// has told. Changes nothing.
    #[must_use]
    pub fn resting(&self, tokens: u64, now: Instant) -> Option<Duration> {
        let held = self.hold_until.and_then(|until| until.checked_duration_since(now));
        // Looking at copies, because looking at a window that is over renews it.
        let (mut requests, mut windows) = (self.requests, self.tokens);
        let waits = [held, requests.wait(1, now), windows.wait(tokens, now)];
        waits.into_iter().flatten().max().filter(|wait| !wait.is_zero())
    }

    /// Tells that an admitted call was cut short on this side, so that it says nothing about the platform.
    pub fn abandon(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Tells that a call is over, with what the platform said about its limits.
    pub fn settle(&mut self, outcome: Result<(), &Failure>, limits: Option<RateLimits>, now: Instant) {
        let busy = u64::from(self.in_flight) * 1000 * 5 >= self.limit_milli * 4;
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(limits) = limits {
            self.requests.learn(limits.requests, u64::from(self.in_flight), now);
            self.tokens.learn(limits.tokens, 0, now);
        }
        match outcome {
            // A limit that nobody comes near says nothing, so it only grows while it is used.
            Ok(()) if busy => {
                let grown = self.limit_milli + 1_000_000 / self.limit_milli.max(1);
                self.limit_milli = grown.min(u64::from(self.options.most.max(1)) * 1000);
            }
            Err(failure) if failure.kind == FailureKind::RateLimited => {
                if self.halved.is_none_or(|time| now >= time + Duration::from_secs(1)) {
                    self.limit_milli = (self.limit_milli / 2).max(1000);
                    self.halved = Some(now);
                }
                if let Some(until) = failure.retry_after.map(|pause| now + pause) {
                    self.hold_until = Some(self.hold_until.map_or(until, |known| known.max(until)));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::{Pace, PaceOptions, Turn};
    use crate::wire::rate_limit::{RateLimits, Window};
    use crate::{Failure, FailureKind};

    fn limited(pause: Option<u64>) -> Failure {
        Failure::new(FailureKind::RateLimited, "slow down").after(pause.map(Duration::from_secs))
    }

    #[test]
    fn concurrency_grows_while_used_and_halves_on_complaint() {
        let (mut pace, now) = (Pace::new(PaceOptions { start: 4, most: 6 }), Instant::now());
        for _ in 0..4 {
            assert_eq!(pace.admit(1, now), Turn::Now);
        }
        assert_eq!(pace.admit(1, now), Turn::WhenOneEnds);
        for _ in 0..40 {
            pace.settle(Ok(()), None, now);
            assert_eq!(pace.admit(1, now), Turn::Now);
            while pace.admit(1, now) == Turn::Now {}
        }
        assert_eq!((pace.limit(), pace.in_flight()), (6, 6));
        pace.settle(Err(&limited(None)), None, now);
        pace.settle(Err(&limited(None)), None, now);
        assert_eq!(pace.limit(), 3, "one burst is one complaint");
        pace.settle(Err(&limited(Some(7))), None, now + Duration::from_secs(2));
        assert_eq!(pace.limit(), 1);
        assert_eq!(pace.admit(1, now + Duration::from_secs(4)), Turn::After(Duration::from_secs(5)));
    }

    #[test]
    fn an_idle_limit_does_not_grow() {
        let (mut pace, now) = (Pace::new(PaceOptions { start: 10, most: 100 }), Instant::now());
        for _ in 0..1000 {
            assert_eq!(pace.admit(1, now), Turn::Now);
            pace.settle(Ok(()), None, now);
        }
        assert_eq!(pace.limit(), 10);
    }

    #[test]
    fn windows_are_learnt_from_headers() {
        let (mut pace, now) = (Pace::new(PaceOptions::default()), Instant::now());
        let window =
            |limit, left| Window { limit: Some(limit), remaining: Some(left), reset: Some(Duration::from_secs(30)) };
        assert_eq!(pace.resting(1_000_000, now), None);
        assert_eq!(pace.admit(1_000_000, now), Turn::Now, "nothing is known");
        let limits = RateLimits { requests: window(10, 2), tokens: window(1000, 500) };
        pace.settle(Ok(()), Some(limits), now);
        assert_eq!(pace.admit(400, now), Turn::Now);
        assert_eq!(pace.admit(101, now), Turn::After(Duration::from_secs(30)), "only 100 tokens are left");
        assert_eq!(pace.resting(101, now), Some(Duration::from_secs(30)));
        assert_eq!(pace.resting(100, now), None);
        assert_eq!(pace.admit(100, now), Turn::Now);
        assert_eq!(pace.admit(0, now), Turn::After(Duration::from_secs(30)), "no call is left");
        assert_eq!(pace.resting(900, now + Duration::from_secs(30)), None, "looking changes nothing");
        assert_eq!(pace.resting(0, now), Some(Duration::from_secs(30)));
        assert_eq!(pace.admit(900, now + Duration::from_secs(30)), Turn::Now, "the window is full again");
    }

    proptest! {
        /// Never more under way than the limit, never a limit of nothing, and nobody waits for ever.
        #[test]
        fn the_limit_holds(events in prop::collection::vec((0_u8..4, 0_u64..3), 1..200)) {
            let (mut pace, mut now) = (Pace::new(PaceOptions { start: 3, most: 8 }), Instant::now());
            let mut under_way = 0_u32;
            for (event, wait) in events {
                now += Duration::from_secs(wait);
                match event {
                    0 | 1 => {
                        let before = pace.limit();
                        if pace.admit(1, now) == Turn::Now {
                            under_way += 1;
                            prop_assert!(under_way <= before);
                        }
                    }
                    _ if under_way == 0 => {}
                    2 => {
                        pace.settle(Ok(()), None, now);
                        under_way -= 1;
                    }
                    _ => {
                        pace.settle(Err(&limited(Some(1))), None, now);
                        under_way -= 1;
                    }
                }
                prop_assert_eq!(pace.in_flight(), under_way);
                prop_assert!((1..=8).contains(&pace.limit()));
            }
        }
    }
}
