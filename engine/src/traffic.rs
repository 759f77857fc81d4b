//! How the platforms are doing, as this process sees it: who rests, and how much may be under way.
//!
//! All drivers of an engine share it. It is no record: a process that starts knows nothing, and finds out. Whoever may
//! call gets a [`Permit`], which tells what became of the call; one that is dropped before was never made.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use providers::router::{Admission, BreakerOptions, Breakers, Pace, PaceOptions, Phase, Rest, Target, Turn, Verdict};
use providers::wire::rate_limit::RateLimits;
use providers::{Failure, FailureKind};
use tokio::sync::{Notify, watch};

use crate::health::{LineHealth, ProbeHealth, SeenFailure};
use crate::limits::{Buckets, Limits, PlatformLimits, SharedCall, SharedTurn};

/// A call waits within its attempt for its turn no longer than this; who has to wait longer rests.
const PATIENCE: Duration = Duration::from_secs(2);
/// Whoever waits for the outcome of a probe looks again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Cheap to clone; all clones share what they know.
#[derive(Clone)]
pub(crate) struct Traffic(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// A call has ended.
    ended: Notify,
    /// Counts whatever changes what [`Traffic::lines`] tells.
    changed: watch::Sender<u64>,
    limits: Limits,
}

struct State {
    breakers: Breakers<Line>,
    paces: HashMap<Line, Pace>,
    pace: PaceOptions,
    seen: HashMap<Line, Seen>,
    /// When each platform was probed last, and what was wrong.
    probes: BTreeMap<String, (Instant, Option<String>)>,
    /// What is left of the limits of platforms.
    buckets: BTreeMap<String, Buckets>,
}

impl State {
    /// Whether one more call may be under way at a platform.
    fn has_room(&self, platform: &str, limits: Option<&PlatformLimits>) -> bool {
        let Some(at_once) = limits.and_then(|limits| limits.at_once) else { return true };
        let lines = self.paces.iter().filter(|(line, _)| line.platform == platform);
        lines.map(|(_, pace)| pace.in_flight()).sum::<u32>() < at_once.max(1)
    }
}

/// What came of the calls of one line.
#[derive(Debug, Default)]
struct Seen {
    calls: u64,
    failed: u64,
    /// The last failures, the latest first.
    failures: VecDeque<(Instant, FailureKind, String)>,
}

impl Seen {
    fn take(&mut self, failure: Option<&Failure>, now: Instant) {
        self.calls = self.calls.saturating_add(1);
        let Some(failure) = failure else { return };
        self.failed = self.failed.saturating_add(1);
        self.failures.truncate(LineHealth::MAX_FAILURES - 1);
        self.failures.push_front((now, failure.kind, failure.message.clone()));
    }
}

/// What rests or is paced by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Line {
    platform: String,
    model: String,
}

impl Line {
    fn of(target: &Target) -> Self {
        Self { platform: target.platform.clone(), model: target.model.clone().unwrap_or_default() }
    }
}

/// Tokio's clock, which a test can hold.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Traffic {
    pub(crate) fn new(breakers: BreakerOptions, pace: PaceOptions, limits: Limits) -> Self {
        let (paces, seen, probes, buckets) = (HashMap::new(), HashMap::new(), BTreeMap::new(), BTreeMap::new());
        let state = State { breakers: Breakers::new(breakers), paces, pace, seen, probes, buckets };
        let changed = watch::Sender::new(0);
        Self(Arc::new(Shared { state: Mutex::new(state), ended: Notify::new(), changed, limits }))
    }

    /// Remembers until when nodes together have sent enough to a platform.
    fn shared_until(&self, platform: &str, until: Instant) {
        self.0.state.lock().buckets.entry(platform.to_owned()).or_default().shared_until(until);
    }

    fn limits(&self, platform: &str) -> Option<&PlatformLimits> {
        self.0.limits.platforms.get(platform)
    }

    /// How everything that was called is doing, by platform and model.
    pub(crate) fn lines(&self) -> Vec<LineHealth> {
        let now = now();
        let state = self.0.state.lock();
        let line = |(line, pace): (&Line, &Pace)| {
            let rest = state.breakers.resting(line, now);
            let seen = state.seen.get(line);
            let failure = |(at, kind, message): &(Instant, FailureKind, String)| SeenFailure {
                ago: now.saturating_duration_since(*at),
                kind: *kind,
                message: message.clone(),
            };
            LineHealth {
                platform: line.platform.clone(),
                model: line.model.clone(),
                phase: state.breakers.phase(line),
                resting: rest.map(|rest| rest.pause),
                barred: rest.is_some_and(|rest| rest.barred),
                in_flight: pace.in_flight(),
                at_once: Some(pace.limit()),
                calls: seen.map_or(0, |seen| seen.calls),
                failed: seen.map_or(0, |seen| seen.failed),
                failures: seen.map(|seen| seen.failures.iter().map(failure).collect()).unwrap_or_default(),
            }
        };
        // Whatever was called has a pace.
        let mut lines: Vec<_> = state.paces.iter().map(line).collect();
        lines.sort_by(|one, other| (&one.platform, &one.model).cmp(&(&other.platform, &other.model)));
        lines
    }

    /// Changes whenever what [`Self::lines`] tells does, a rest that ends by itself excepted.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    fn tell(&self) {
        self.0.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// What the last probes have found, by platform.
    pub(crate) fn probes(&self) -> Vec<ProbeHealth> {
        let now = now();
        let one = |(platform, (at, failure)): (&String, &(Instant, Option<String>))| ProbeHealth {
            platform: platform.clone(),
            ago: now.saturating_duration_since(*at),
            failure: failure.clone(),
        };
        self.0.state.lock().probes.iter().map(one).collect()
    }

    /// The platforms of which a probe could tell something.
    pub(crate) fn want_probes(&self) -> BTreeSet<String> {
        let (state, now) = (self.0.state.lock(), now());
        let ill = state.breakers.open(now).filter(|(line, _)| state.breakers.wants_probe(line, now));
        ill.map(|(line, _)| line.platform.clone()).collect()
    }

    /// Tells what a probe has found; the next one is over within so long.
    pub(crate) fn probed(&self, platform: &str, found: Result<(), Failure>, next: Duration) {
        let now = now();
        let mut state = self.0.state.lock();
        let lines: Vec<Line> = state
            .breakers
            .open(now)
            .filter(|(line, _)| line.platform == platform)
            .map(|(line, _)| line.clone())
            .collect();
        let over = |line: &&Line| state.breakers.probed(line, found.is_ok(), now, now + next);
        let ended: Vec<&Line> = lines.iter().filter(over).collect();
        for Line { platform, model } in ended {
            tracing::info!(platform, model, "a platform that was down answers again");
        }
        state.probes.insert(platform.to_owned(), (now, found.err().map(|failure| failure.message)));
        drop(state);
        self.tell();
    }

    /// Whether a target is not to be called now with so many tokens.
    pub(crate) fn resting(&self, target: &Target, tokens: u64) -> Option<Rest> {
        let (line, now) = (Line::of(target), now());
        let state = self.0.state.lock();
        if let Some(rest) = state.breakers.resting(&line, now) {
            let probing = state.breakers.phase(&line) == Phase::Probing;
            let pause = if probing { rest.pause.min(LOOK_AGAIN) } else { rest.pause };
            return Some(Rest { pause, ..rest });
        }
        let paced = state.paces.get(&line).and_then(|pace| pace.resting(tokens, now));
        let limited = self.limits(&line.platform).zip(state.buckets.get(&line.platform));
        let limited = limited.and_then(|(limits, buckets)| buckets.wait(limits, tokens, now));
        let pause = paced.into_iter().chain(limited).max().filter(|pause| *pause > PATIENCE)?;
        Some(Rest { pause, barred: false })
    }

    /// Lets a call through; `None` when the target has begun to rest meanwhile. Whoever is barred is let through.
    pub(crate) fn permit(&self, target: &Target, tokens: u64) -> Option<Permit> {
        let (line, now) = (Line::of(target), now());
        let mut state = self.0.state.lock();
        let barred = state.breakers.resting(&line, now).is_some_and(|rest| rest.barred);
        let admission = if barred { Admission::Go } else { state.breakers.admit(&line, now) };
        if matches!(admission, Admission::Rest(_)) {
            return None;
        }
        if admission == Admission::Probe {
            report(&line, Phase::Probing);
        }
        drop(state);
        Some(Permit { traffic: self.clone(), line, admission, tokens, under_way: false, shared: None, settled: false })
    }
}

/// Leave to make one call.
pub(crate) struct Permit {
    traffic: Traffic,
    line: Line,
    admission: Admission,
    tokens: u64,
    /// Whether its turn has come.
    under_way: bool,
    /// How it is counted where nodes share limits.
    shared: Option<SharedCall>,
    settled: bool,
}

impl Permit {
    /// Waits until one more call may be under way, which takes no longer than `longest`.
    pub(crate) async fn turn(&mut self, longest: Duration) {
        self.in_limits().await;
        self.in_pace().await;
        self.in_shared_limits(longest).await;
    }

    /// Waits for what this node may send in a minute.
    async fn in_limits(&self) {
        let platform = &self.line.platform;
        let Some(limits) = self.traffic.limits(platform) else { return };
        loop {
            let taken = {
                let mut state = self.traffic.0.state.lock();
                state.buckets.entry(platform.clone()).or_default().take(limits, self.tokens, now())
            };
            match taken {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Waits for what all nodes together may send; not at all where they share nothing, or nobody knows.
    async fn in_shared_limits(&mut self, longest: Duration) {
        let platform = &self.line.platform;
        let (Some(limits), Some(shared)) = (self.traffic.limits(platform), &self.traffic.0.limits.shared) else {
            return;
        };
        loop {
            match shared.admit(limits, self.tokens, longest).await {
                SharedTurn::Go(call) => {
                    self.shared = Some(call);
                    return;
                }
                SharedTurn::Away => return,
                SharedTurn::After(wait) => {
                    self.traffic.shared_until(platform, now() + wait);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Tells where nodes share limits that the call is over.
    fn release(&mut self, used: Option<u64>, pause: Option<Duration>) {
        let (Some(call), Some(shared)) = (self.shared.take(), &self.traffic.0.limits.shared) else { return };
        if let Some(pause) = pause {
            shared.hold(&call.account, pause);
        }
        shared.release(call, used);
    }

    /// Waits for the pace of its line.
    async fn in_pace(&mut self) {
        loop {
            let ended = self.traffic.0.ended.notified();
            tokio::pin!(ended);
            // From here on no end is missed.
            ended.as_mut().enable();
            let turn = {
                let mut state = self.traffic.0.state.lock();
                let options = state.pace;
                if state.has_room(&self.line.platform, self.traffic.limits(&self.line.platform)) {
                    let pace = state.paces.entry(self.line.clone()).or_insert_with(|| Pace::new(options));
                    pace.admit(self.tokens, now())
                } else {
                    Turn::WhenOneEnds
                }
            };
            match turn {
                Turn::Now => {
                    self.under_way = true;
                    self.traffic.tell();
                    return;
                }
                Turn::WhenOneEnds => ended.await,
                Turn::After(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    /// Tells what became of the call, what the platform said about its limits, and how many tokens were used.
    pub(crate) fn settle(mut self, outcome: Result<Option<RateLimits>, &Failure>, used: Option<u64>) {
        self.settled = true;
        let limited = |failure: &&&Failure| failure.kind == FailureKind::RateLimited;
        let pause = outcome.as_ref().err().filter(limited).and_then(|failure| failure.retry_after);
        self.release(used, pause);
        let now = now();
        let mut state = self.traffic.0.state.lock();
        let (before, verdict) = (state.breakers.phase(&self.line), outcome.map_or_else(Verdict::of, |_| Verdict::Well));
        state.breakers.settle(&self.line, verdict, now);
        let limits = self.traffic.limits(&self.line.platform);
        if let (true, Some(limits), Some(used)) = (self.under_way, limits, used)
            && let Some(buckets) = state.buckets.get_mut(&self.line.platform)
        {
            buckets.correct(limits, self.tokens, used, now);
        }
        state.seen.entry(self.line.clone()).or_default().take(outcome.as_ref().err().copied(), now);
        let after = state.breakers.phase(&self.line);
        let rest = state.breakers.resting(&self.line, now);
        if self.under_way
            && let Some(pace) = state.paces.get_mut(&self.line)
        {
            let limits = match outcome {
                Ok(limits) => limits,
                Err(failure) => failure.limits.as_deref().copied(),
            };
            pace.settle(outcome.map(drop), limits, now);
        }
        drop(state);
        self.traffic.0.ended.notify_waiters();
        self.traffic.tell();
        if before != after {
            report(&self.line, after);
            let Line { platform, model } = &self.line;
            match rest {
                Some(Rest { pause, barred }) => {
                    tracing::warn!(platform, model, ?pause, barred, "a platform is resting after failures");
                }
                None => tracing::info!(platform, model, "a platform works again"),
            }
        }
    }
}

impl Drop for Permit {
    /// The call was not made, or was cut on this side.
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.release(None, None);
        let mut state = self.traffic.0.state.lock();
        state.breakers.abandon(&self.line, self.admission, now());
        let phase = state.breakers.phase(&self.line);
        if self.under_way
            && let Some(pace) = state.paces.get_mut(&self.line)
        {
            pace.abandon();
        }
        drop(state);
        if self.admission == Admission::Probe {
            report(&self.line, phase);
        }
        if self.under_way {
            self.traffic.0.ended.notify_waiters();
        }
        self.traffic.tell();
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lines()).finish()
    }
}

/// 0 lets calls through, 1 rests, 2 tries whether it works again. What rests is tried when somebody next needs it.
fn report(line: &Line, phase: Phase) {
    let value = match phase {
        Phase::Closed => 0.0,
        Phase::Open => 1.0,
        Phase::Probing => 2.0,
    };
    let (platform, model) = (line.platform.clone(), line.model.clone());
    metrics::gauge!("hishamos_breaker_state", "platform" => platform, "model" => model).set(value);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use providers::router::{BreakerOptions, PaceOptions, Phase, Target};
    use providers::{Capabilities, Failure, FailureKind};

    use super::{LineHealth, Traffic};
    use crate::limits::{Limits, PlatformLimits};

    fn target() -> Target {
        Target {
            platform: "openai".to_owned(),
            model: Some("large".to_owned()),
            capabilities: Capabilities::default(),
            tags: vec![],
            unusable: None,
        }
    }

    async fn call(traffic: &Traffic, outcome: Result<(), Failure>) {
        let mut permit = traffic.permit(&target(), 10).unwrap();
        permit.turn(Duration::from_secs(60)).await;
        permit.settle(outcome.as_ref().map(|()| None), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_called_says_how_it_is_doing() {
        let traffic = Traffic::new(BreakerOptions::default(), PaceOptions::default(), Limits::default());
        let mut watch = traffic.watch();
        assert!(traffic.lines().is_empty() && !watch.has_changed().unwrap());
        call(&traffic, Ok(())).await;
        watch.changed().await.unwrap();
        let mut under_way = traffic.permit(&target(), 10).unwrap();
        under_way.turn(Duration::from_secs(60)).await;
        let [line] = &traffic.lines()[..] else { panic!("{:?}", traffic.lines()) };
        assert_eq!((line.platform.as_str(), line.model.as_str()), ("openai", "large"));
        assert_eq!((line.phase, line.in_flight, line.calls, line.failed), (Phase::Closed, 1, 1, 0));
        drop(under_way);
        for n in 0..7 {
            let failure = Failure::new(FailureKind::Unauthorized, format!("no, for the {n}. time"));
            call(&traffic, Err(failure)).await;
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let [line] = &traffic.lines()[..] else { panic!("{:?}", traffic.lines()) };
        assert_eq!((line.phase, line.barred, line.in_flight, line.calls, line.failed), (Phase::Open, true, 0, 8, 7));
        assert!(line.resting.is_some());
        assert_eq!(line.failures.len(), LineHealth::MAX_FAILURES);
        assert_eq!(
            (line.failures[0].ago, line.failures[0].message.as_str()),
            (Duration::from_secs(1), "no, for the 6. time")
        );
    }

    fn limited(limits: PlatformLimits) -> Traffic {
        let limits = Limits { platforms: BTreeMap::from([("openai".to_owned(), limits)]), shared: None };
        Traffic::new(BreakerOptions::default(), PaceOptions::default(), limits)
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_have_to_wait_for_long_rests_and_what_waits_gets_its_turn() {
        let traffic = limited(PlatformLimits { requests_per_minute: Some(6), ..PlatformLimits::default() });
        assert!(traffic.resting(&target(), 10).is_none());
        call(&traffic, Ok(())).await;
        let rest = traffic.resting(&target(), 10).unwrap();
        assert!(!rest.barred && rest.pause > Duration::from_secs(9), "{rest:?}");
        let other = Target { platform: "anthropic".to_owned(), ..target() };
        assert!(traffic.resting(&other, 10).is_none());
        // The clock of the test goes on by itself while everybody waits.
        let before = tokio::time::Instant::now();
        call(&traffic, Ok(())).await;
        assert_eq!(before.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_at_once_are_counted_over_all_models_of_a_platform() {
        let traffic = limited(PlatformLimits { at_once: Some(1), ..PlatformLimits::default() });
        let small = Target { model: Some("small".to_owned()), ..target() };
        let mut first = traffic.permit(&target(), 10).unwrap();
        first.turn(Duration::from_secs(60)).await;
        let mut second = traffic.permit(&small, 10).unwrap();
        let waits = tokio::time::timeout(Duration::from_secs(600), second.turn(Duration::from_secs(60))).await;
        assert!(waits.is_err(), "there is no room");
        drop(first);
        second.turn(Duration::from_secs(60)).await;
        second.settle(Ok(None), Some(7));
        call(&traffic, Ok(())).await;
    }
}
