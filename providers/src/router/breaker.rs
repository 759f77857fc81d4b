use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::Rest;
use crate::{Failure, FailureKind};

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerOptions {
    /// So many failures in a row open it.
    pub threshold: u32,
    /// How long it stays open the first time; each time that the probe fails, twice as long.
    pub cooldown: Duration,
    /// The same after a platform asked for a pause without saying for how long.
    pub pause: Duration,
    /// It never stays open longer, unless the platform asks for it.
    pub longest: Duration,
    /// A probe that has not come back by then is given up.
    pub probe_limit: Duration,
}

impl Default for BreakerOptions {
    /// 5 failures, 10 s (2 s after a platform asked for a pause) to 5 min, 2 min for a probe.
    fn default() -> Self {
        Self {
            threshold: 5,
            cooldown: Duration::from_secs(10),
            pause: Duration::from_secs(2),
            longest: Duration::from_secs(300),
            probe_limit: Duration::from_secs(120),
        }
    }
}

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Go,
    /// It may, and it decides whether others may follow.
    Probe,
    /// Not before this much time has passed.
    Rest(Duration),
}

/// What a call says about the health of whoever was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works, though the request may have been refused for its own sake.
    Well,
    /// It failed.
    Ill,
    /// It asks for a pause.
    Pause(Option<Duration>),
    /// It will not work before somebody does something: a key is wrong, an account is empty.
    Barred,
}

impl Verdict {
    /// What a failure says.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        match failure.kind {
            // The next call goes with the other key.
            FailureKind::RateLimited | FailureKind::Unauthorized if failure.spare_key => Self::Well,
            FailureKind::RateLimited => Self::Pause(failure.retry_after),
            FailureKind::Unauthorized => Self::Barred,
            FailureKind::InvalidRequest | FailureKind::ContextTooLong | FailureKind::ContentRefused => Self::Well,
            FailureKind::PlatformFailure if failure.retry_after.is_some() => Self::Pause(failure.retry_after),
            FailureKind::Timeout
            | FailureKind::Unreachable
            | FailureKind::PlatformFailure
            | FailureKind::MalformedReply => Self::Ill,
        }
    }
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Calls go through.
    Closed,
    /// No call goes through until its rest is over.
    Open,
    /// One call goes through and decides about the others.
    Probing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    Probing { since: Instant },
}

#[derive(Debug, Clone, Copy)]
struct Breaker {
    state: State,
    /// Failures in a row.
    failures: u32,
    /// How often it has opened in a row.
    trips: u32,
    /// Whether it is open because somebody has to do something.
    barred: bool,
    /// Whether it is open because a pause was asked for, of which nothing but time is the end.
    paused: bool,
    /// Whether a probe from outside the calls has found it down since it opened.
    found_down: bool,
}

/// The circuit breakers of whatever can fail by itself, such as (platform, model, key). What was never seen is closed.
#[derive(Debug, Clone)]
pub struct Breakers<K> {
    options: BreakerOptions,
    breakers: HashMap<K, Breaker>,
}

impl<K: Eq + Hash + Clone> Breakers<K> {
    /// None yet.
    #[must_use]
    pub fn new(options: BreakerOptions) -> Self {
        Self { options, breakers: HashMap::new() }
    }

    /// Whether a call may be made now. Whoever gets [`Admission::Probe`] must tell what became of it; a probe that
    /// is lost is made again after a while.
    pub fn admit(&mut self, key: &K, now: Instant) -> Admission {
        let Some(breaker) = self.breakers.get_mut(key) else {
            return Admission::Go;
        };
        match breaker.state {
            State::Closed => Admission::Go,
            State::Open { until } if now < until => Admission::Rest(until - now),
            State::Probing { since } if now < since + self.options.probe_limit => {
                Admission::Rest(since + self.options.probe_limit - now)
            }
            State::Open { .. } | State::Probing { .. } => {
                breaker.state = State::Probing { since: now };
                Admission::Probe
            }
        }
    }

    /// How long it still rests; `None` when a call would be let through. Changes nothing. While a probe is under way
    /// that is until the probe is given up, though it may be over any moment.
    #[must_use]
    pub fn resting(&self, key: &K, now: Instant) -> Option<Rest> {
        let breaker = self.breakers.get(key)?;
        let until = match breaker.state {
            State::Closed => return None,
            State::Open { until } => until,
            State::Probing { since } => since + self.options.probe_limit,
        };
        let pause = until.checked_duration_since(now).filter(|rest| !rest.is_zero())?;
        Some(Rest { pause, barred: breaker.barred })
    }

    /// How it stands.
    #[must_use]
    pub fn phase(&self, key: &K) -> Phase {
        match self.breakers.get(key).map(|breaker| breaker.state) {
            None | Some(State::Closed) => Phase::Closed,
            Some(State::Open { .. }) => Phase::Open,
            Some(State::Probing { .. }) => Phase::Probing,
        }
    }

    /// Tells that a call that was let through was not made, or was cut short on this side: it says nothing, and when it
    /// was the probe, the next one is.
    pub fn abandon(&mut self, key: &K, admission: Admission, now: Instant) {
        if let (Admission::Probe, Some(breaker)) = (admission, self.breakers.get_mut(key))
            && matches!(breaker.state, State::Probing { .. })
        {
            breaker.state = State::Open { until: now };
        }
    }

    /// Tells what became of a call.
    pub fn settle(&mut self, key: &K, verdict: Verdict, now: Instant) {
        let options = self.options;
        if verdict == Verdict::Well {
            // Nothing has to be remembered of what works.
            self.breakers.remove(key);
            return;
        }
        let fresh =
            Breaker { state: State::Closed, failures: 0, trips: 0, barred: false, paused: false, found_down: false };
        let breaker = self.breakers.entry(key.clone()).or_insert(fresh);
        breaker.failures = breaker.failures.saturating_add(1);
        let probing = matches!(breaker.state, State::Probing { .. });
        let doubled = |first: Duration| first.saturating_mul(1 << breaker.trips.min(16)).min(options.longest);
        let rest = match verdict {
            Verdict::Well => return,
            Verdict::Pause(Some(pause)) => pause,
            Verdict::Pause(None) => doubled(options.pause),
            Verdict::Barred => options.longest,
            Verdict::Ill if probing || breaker.failures >= options.threshold => doubled(options.cooldown),
            Verdict::Ill => return,
        };
        // What the platform asks for is no sign of illness, so it does not make the next rest longer.
        if !matches!(verdict, Verdict::Pause(Some(_))) {
            breaker.trips = breaker.trips.saturating_add(1);
        }
        breaker.barred = verdict == Verdict::Barred;
        breaker.paused = matches!(verdict, Verdict::Pause(_));
        breaker.found_down = false;
        let until = now + rest;
        // A call that was under way before does not shorten the rest.
        breaker.state = match breaker.state {
            State::Open { until: known } if known > until => breaker.state,
            _ => State::Open { until },
        };
    }

    /// Whether a probe from outside the calls, one that costs nothing, could tell something: it rests, and not because a pause was
    /// asked for.
    #[must_use]
    pub fn wants_probe(&self, key: &K, now: Instant) -> bool {
        let is_ill =
            |breaker: &Breaker| matches!(breaker.state, State::Open { until } if now < until) && !breaker.paused;
        self.breakers.get(key).is_some_and(is_ill)
    }

    /// Tells what such a probe has found. While it is down it rests on, at least until `next`, when the next probe is over;
    /// when it was down and is up again, its rest is over, and the next call decides about the others. That it is up and never
    /// was down says nothing: what failed was something else. Answers whether a rest is over.
    pub fn probed(&mut self, key: &K, is_up: bool, now: Instant, next: Instant) -> bool {
        if !self.wants_probe(key, now) {
            return false;
        }
        let Some(breaker) = self.breakers.get_mut(key) else { return false };
        let State::Open { until } = &mut breaker.state else { return false };
        if is_up && breaker.found_down {
            *until = now;
            breaker.barred = false;
            return true;
        }
        if !is_up {
            breaker.found_down = true;
            *until = next.max(*until);
        }
        false
    }

    /// Everything that rests now, with how long it still does.
    pub fn open(&self, now: Instant) -> impl Iterator<Item = (&K, Duration)> {
        self.breakers.keys().filter_map(move |key| Some((key, self.resting(key, now)?.pause)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::{Admission, BreakerOptions, Breakers, Phase, Rest, Verdict};

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    const fn rest(count: u64) -> Option<Rest> {
        Some(Rest { pause: seconds(count), barred: false })
    }

    fn options() -> BreakerOptions {
        BreakerOptions {
            threshold: 3,
            cooldown: seconds(10),
            pause: seconds(4),
            longest: seconds(60),
            probe_limit: seconds(30),
        }
    }

    #[test]
    fn opens_probes_and_closes() {
        let (mut breakers, start) = (Breakers::new(options()), Instant::now());
        for _ in 0..2 {
            breakers.settle(&"a", Verdict::Ill, start);
            assert_eq!(breakers.admit(&"a", start), Admission::Go);
        }
        breakers.settle(&"a", Verdict::Ill, start);
        assert_eq!(breakers.admit(&"a", start + seconds(4)), Admission::Rest(seconds(6)));
        assert_eq!(breakers.admit(&"b", start), Admission::Go, "others are not concerned");
        assert_eq!(breakers.admit(&"a", start + seconds(10)), Admission::Probe);
        assert_eq!(breakers.admit(&"a", start + seconds(11)), Admission::Rest(seconds(29)), "one probe at a time");
        breakers.settle(&"a", Verdict::Ill, start + seconds(12));
        assert_eq!(breakers.resting(&"a", start + seconds(12)), rest(20), "twice as long");
        assert_eq!(breakers.admit(&"a", start + seconds(32)), Admission::Probe);
        breakers.settle(&"a", Verdict::Well, start + seconds(33));
        assert_eq!(breakers.admit(&"a", start + seconds(33)), Admission::Go);
        breakers.settle(&"a", Verdict::Ill, start + seconds(34));
        assert_eq!(breakers.admit(&"a", start + seconds(34)), Admission::Go, "it counts from the beginning again");
    }

    #[test]
    fn a_lost_probe_is_made_again() {
        let (mut breakers, start) = (Breakers::new(options()), Instant::now());
        breakers.settle(&1, Verdict::Pause(Some(seconds(5))), start);
        assert_eq!(breakers.admit(&1, start + seconds(5)), Admission::Probe);
        assert_eq!(breakers.admit(&1, start + seconds(35)), Admission::Probe);
    }

    #[test]
    fn a_probe_that_was_not_made_is_left_to_the_next() {
        let (mut breakers, start) = (Breakers::new(options()), Instant::now());
        breakers.settle(&1, Verdict::Pause(Some(seconds(5))), start);
        assert_eq!(breakers.phase(&1), Phase::Open);
        let now = start + seconds(5);
        assert_eq!(breakers.resting(&1, now), None);
        let admission = breakers.admit(&1, now);
        assert_eq!((admission, breakers.phase(&1)), (Admission::Probe, Phase::Probing));
        assert_eq!(breakers.resting(&1, now), rest(30), "one is under way");
        breakers.abandon(&1, admission, now);
        assert_eq!(breakers.admit(&1, now), Admission::Probe);
        breakers.abandon(&1, Admission::Go, now);
        assert_eq!(breakers.phase(&1), Phase::Probing, "one that was let through earlier was no probe");
        breakers.settle(&1, Verdict::Well, now);
        assert_eq!(breakers.phase(&1), Phase::Closed);
    }

    #[test]
    fn a_probe_prolongs_and_ends_a_rest() {
        let (mut breakers, start) = (Breakers::new(options()), Instant::now());
        let at = |count: u64| start + seconds(count);
        assert!(!breakers.wants_probe(&1, start) && !breakers.probed(&1, true, start, at(10)));
        for _ in 0..3 {
            breakers.settle(&1, Verdict::Ill, start);
        }
        assert!(breakers.wants_probe(&1, start));
        assert!(!breakers.probed(&1, true, at(1), at(11)), "it was not down, so something else is wrong");
        assert_eq!(breakers.resting(&1, at(1)), rest(9));
        assert!(!breakers.probed(&1, false, at(5), at(15)));
        assert_eq!(breakers.resting(&1, at(5)), rest(10), "it rests on");
        assert!(breakers.probed(&1, true, at(14), at(24)));
        assert!(breakers.resting(&1, at(14)).is_none() && !breakers.wants_probe(&1, at(14)));
        assert_eq!(breakers.admit(&1, at(14)), Admission::Probe, "a call decides about the others");
        assert!(!breakers.probed(&1, false, at(14), at(99)), "which is under way now");
        breakers.settle(&1, Verdict::Ill, at(15));
        assert_eq!(breakers.resting(&1, at(15)), rest(20), "it has not worked in between");
        assert!(!breakers.probed(&1, true, at(16), at(26)), "it was not down since");
        // Who is barred is asked; who asked for a pause gets it.
        breakers.settle(&2, Verdict::Barred, start);
        breakers.settle(&3, Verdict::Pause(Some(seconds(30))), start);
        assert!(!breakers.probed(&2, false, at(1), at(11)) && breakers.probed(&2, true, at(2), at(12)));
        assert!(!breakers.wants_probe(&3, at(1)) && !breakers.probed(&3, true, at(1), at(11)));
        assert_eq!(breakers.resting(&3, at(1)), rest(29));
    }

    #[test]
    fn what_the_platform_asks_for_is_kept() {
        let (mut breakers, start) = (Breakers::new(options()), Instant::now());
        breakers.settle(&1, Verdict::Pause(Some(seconds(90))), start);
        assert_eq!(breakers.resting(&1, start), rest(90));
        breakers.settle(&1, Verdict::Pause(Some(seconds(2))), start + seconds(1));
        assert_eq!(breakers.resting(&1, start + seconds(1)), rest(89), "a late answer shortens nothing");
        breakers.settle(&2, Verdict::Barred, start);
        assert_eq!(breakers.resting(&2, start), Some(Rest { pause: seconds(60), barred: true }));
        breakers.settle(&3, Verdict::Pause(None), start);
        assert_eq!(breakers.resting(&3, start), rest(4), "nobody said for how long");
        breakers.settle(&3, Verdict::Well, start);
        assert_eq!(breakers.open(start).count(), 2);
    }

    proptest! {
        /// Whatever happens, nothing rests for ever, and there is never more than one probe at a time.
        #[test]
        fn every_rest_ends(events in prop::collection::vec((0_u8..5, 0_u64..40), 1..60)) {
            let (mut breakers, mut now) = (Breakers::new(options()), Instant::now());
            for (event, wait) in events {
                now += seconds(wait);
                let verdict = match event {
                    0 => Verdict::Well,
                    1 => Verdict::Ill,
                    2 => Verdict::Pause(None),
                    3 => Verdict::Pause(Some(seconds(20))),
                    _ => Verdict::Barred,
                };
                breakers.settle(&0, verdict, now);
                if let Some(Rest { pause: rest, .. }) = breakers.resting(&0, now) {
                    prop_assert!(rest <= seconds(60));
                    let mut later = breakers.clone();
                    prop_assert_eq!(later.admit(&0, now + rest), Admission::Probe);
                    prop_assert!(matches!(later.admit(&0, now + rest), Admission::Rest(_)));
                }
            }
        }
    }
}
