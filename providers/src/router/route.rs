use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::{Lack, Needs};
use crate::{Capabilities, Failure, FailureKind};

/// Where a call can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The platform's key.
    pub platform: String,
    /// The model; `None` takes the platform's default.
    pub model: Option<String>,
    /// What is known about the model.
    pub capabilities: Capabilities,
    /// Tags of the platform, such as regions.
    pub tags: Vec<String>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.model {
            Some(model) => write!(f, "{}/{model}", self.platform),
            None => f.write_str(&self.platform),
        }
    }
}

/// Where to go when the first target cannot, by what stands in the way. An empty special list means the general one,
/// except for refused content: what one platform refuses on principle is not taken to another unless somebody said so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fallbacks {
    /// For everything without a list of its own, most wanted first.
    pub general: Vec<Target>,
    /// When prompt and answer do not fit.
    pub context_too_long: Vec<Target>,
    /// When the content was refused.
    pub content_refused: Vec<Target>,
    /// When the platform asks for a pause that is longer than anybody will wait.
    pub rate_limited: Vec<Target>,
}

/// How often and how patiently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Attempts at one target, 1 or more.
    pub attempts_per_target: u32,
    /// Attempts altogether.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each further one.
    pub first_pause: Duration,
    /// No pause of ours is longer.
    pub longest_pause: Duration,
    /// A pause that a platform asks for is waited for up to here; for a longer one another target is taken.
    pub patience: Duration,
    /// By how much chance shortens a pause of ours at most, in thousandths.
    pub jitter_milli: u16,
}

impl Default for Policy {
    /// 3 attempts at a target and 6 in all, 500 ms to 30 s, a minute of patience, half of a pause by chance.
    fn default() -> Self {
        Self {
            attempts_per_target: 3,
            attempts: 6,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            patience: Duration::from_secs(60),
            jitter_milli: 500,
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Call this target.
    Call {
        /// Whom.
        target: Target,
        /// Which attempt of the whole request this is, from 1.
        attempt: u32,
        /// After this pause.
        after: Duration,
    },
    /// It cannot be done.
    GiveUp(Exhausted),
}

/// One attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Where.
    pub target: Target,
    /// Why it failed.
    pub failure: Failure,
}

/// A target that was not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub target: Target,
    /// Why.
    pub why: SkipReason,
}

/// Why a target was not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// It cannot do what the request needs.
    #[error(transparent)]
    Lacking(#[from] Lack),
    /// Its circuit breaker is open.
    #[error("it rests for another {0:?} after failures")]
    Resting(Duration),
}

/// All that was tried in vain. It counts as its [`original`](Self::original) failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// Every attempt, in order.
    pub tried: Vec<Tried>,
    /// Every target that was passed over, in order.
    pub skipped: Vec<Skipped>,
}

impl Exhausted {
    /// The failure that made it leave its first target: the one to report, because the later ones may only be about
    /// substitutes. `None` when nobody could be asked.
    #[must_use]
    pub fn original(&self) -> Option<&Failure> {
        let first = self.tried.first()?;
        self.tried.iter().take_while(|tried| tried.target == first.target).last().map(|tried| &tried.failure)
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.original() {
            Some(failure) => write!(f, "{failure}")?,
            None => f.write_str("no platform could be asked")?,
        }
        for (number, tried) in (1..).zip(&self.tried) {
            write!(f, "; attempt {number} at {}: {} ({})", tried.target, tried.failure.kind.name(), tried.failure)?;
        }
        for skipped in &self.skipped {
            write!(f, "; {} was not asked: {}", skipped.target, skipped.why)?;
        }
        Ok(())
    }
}

impl std::error::Error for Exhausted {}

/// The way of one request through its targets. The one place that repeats calls.
#[derive(Debug, Clone)]
pub struct Route {
    policy: Policy,
    needs: Needs,
    fallbacks: Fallbacks,
    current: Option<(Target, u32)>,
    /// What is still to come of the list that is being worked through.
    coming: VecDeque<Target>,
    tried: Vec<Tried>,
    skipped: Vec<Skipped>,
}

impl Route {
    /// A route that begins at `first`.
    #[must_use]
    pub fn new(first: Target, fallbacks: Fallbacks, policy: Policy, needs: Needs) -> Self {
        let coming = VecDeque::from([first]);
        Self { policy, needs, fallbacks, current: None, coming, tried: Vec::new(), skipped: Vec::new() }
    }

    /// The first step. `resting` says how long a target's breaker is still open.
    pub fn begin(&mut self, resting: impl Fn(&Target) -> Option<Duration>) -> Step {
        match self.advance(&resting) {
            Some(step) => step,
            None => {
                // The first target is out of the question, so whatever can do it will do.
                self.coming = self.fallbacks.general.clone().into();
                self.advance(&resting).unwrap_or_else(|| self.give_up())
            }
        }
    }

    /// The step after a failure. `delivered` says whether any part of an answer has reached the caller: then nothing
    /// is repeated, because the caller would see two beginnings. `chance` is any number; 0 to 1000 are all there are.
    pub fn failed(
        &mut self,
        failure: Failure,
        delivered: bool,
        chance: u16,
        resting: impl Fn(&Target) -> Option<Duration>,
    ) -> Step {
        let Some((target, attempts)) = self.current.take() else {
            return self.give_up();
        };
        let kind = failure.kind;
        let asked = failure.retry_after;
        self.tried.push(Tried { target: target.clone(), failure });
        let total = u32::try_from(self.tried.len()).unwrap_or(u32::MAX);
        if delivered || total >= self.policy.attempts {
            return self.give_up();
        }
        let patient = asked.is_none_or(|pause| pause <= self.policy.patience);
        if may_pass(kind) && patient && attempts < self.policy.attempts_per_target {
            let after = asked.unwrap_or_else(|| self.pause(attempts, chance));
            self.current = Some((target.clone(), attempts + 1));
            return Step::Call { target, attempt: total + 1, after };
        }
        if !self.turn_to(kind, &target) {
            return self.give_up();
        }
        self.advance(&resting).unwrap_or_else(|| self.give_up())
    }

    /// Takes up the list for a kind of failure; `false` when there is none and the way ends.
    fn turn_to(&mut self, kind: FailureKind, failed: &Target) -> bool {
        let Fallbacks { general, context_too_long, content_refused, rate_limited } = &self.fallbacks;
        let or_general = |special: &Vec<Target>| if special.is_empty() { general.clone() } else { special.clone() };
        let mut list = match kind {
            // The request itself is wrong; it would be so everywhere.
            FailureKind::InvalidRequest => return false,
            FailureKind::ContentRefused => content_refused.clone(),
            FailureKind::RateLimited => or_general(rate_limited),
            FailureKind::ContextTooLong => {
                let known = failed.capabilities.max_input;
                let mut list = or_general(context_too_long);
                // Who is known to hold no more than the one that failed would fail as well.
                list.retain(|target| match (target.capabilities.max_input, known) {
                    (Some(limit), Some(known)) => limit > known,
                    _ => true,
                });
                list
            }
            FailureKind::Timeout
            | FailureKind::Unreachable
            | FailureKind::PlatformFailure
            | FailureKind::MalformedReply
            | FailureKind::Unauthorized => general.clone(),
        };
        // Nobody is asked again who had their turn.
        list.retain(|target| {
            !self.tried.iter().any(|tried| tried.target == *target)
                && !self.skipped.iter().any(|skipped| skipped.target == *target)
        });
        self.coming = list.into();
        true
    }

    /// The next target that can be asked.
    fn advance(&mut self, resting: &impl Fn(&Target) -> Option<Duration>) -> Option<Step> {
        while let Some(target) = self.coming.pop_front() {
            let lacking = self.needs.lacking(&target.capabilities, &target.tags).map(SkipReason::Lacking);
            match lacking.or_else(|| resting(&target).map(SkipReason::Resting)) {
                Some(why) => self.skipped.push(Skipped { target, why }),
                None => {
                    self.current = Some((target.clone(), 1));
                    let attempt = u32::try_from(self.tried.len()).unwrap_or(u32::MAX).saturating_add(1);
                    return Some(Step::Call { target, attempt, after: Duration::ZERO });
                }
            }
        }
        None
    }

    fn give_up(&mut self) -> Step {
        Step::GiveUp(Exhausted { tried: std::mem::take(&mut self.tried), skipped: std::mem::take(&mut self.skipped) })
    }

    /// The pause before the attempt that follows `attempts` at the same target.
    fn pause(&self, attempts: u32, chance: u16) -> Duration {
        let doubled = self.policy.first_pause.saturating_mul(1 << attempts.saturating_sub(1).min(20));
        let whole = doubled.min(self.policy.longest_pause);
        let cut = u32::from(self.policy.jitter_milli.min(1000)) * u32::from(chance.min(1000)) / 1000;
        whole.saturating_sub(whole.saturating_mul(cut) / 1000)
    }
}

/// Whether the same call can succeed at another time.
const fn may_pass(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Timeout
            | FailureKind::Unreachable
            | FailureKind::RateLimited
            | FailureKind::PlatformFailure
            | FailureKind::MalformedReply
    )
}
