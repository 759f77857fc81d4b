use std::fmt;
use std::time::Duration;

use super::{Lack, Needs};
use crate::{Capabilities, FailureKind};

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
    /// Why it cannot be asked at all, such as a missing key.
    pub unusable: Option<String>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.model {
            Some(model) => write!(f, "{}/{model}", self.platform),
            None => f.write_str(&self.platform),
        }
    }
}

/// That a target is not to be called for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// For how long.
    pub pause: Duration,
    /// Whether it rests because somebody has to do something: a key is wrong, an account is empty.
    pub barred: bool,
}

/// A call that was made before for the same request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The platform's key.
    pub platform: String,
    /// How it failed; `None` when nobody knows, or it was cut short on this side. That is not held against the target.
    pub failure: Option<FailureKind>,
    /// Whether it is one of the attempts that there may be at one target.
    pub counts: bool,
}

/// A target that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The platform's key.
    pub platform: String,
    /// The model.
    pub model: Option<String>,
    /// Why.
    pub why: SkipReason,
}

/// Why a target was passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// It cannot be asked at all.
    #[error("{0}")]
    Unusable(String),
    /// It cannot do what the request needs.
    #[error(transparent)]
    Lacking(#[from] Lack),
    /// Its circuit breaker is open.
    #[error("it is resting after failures")]
    Resting(Duration),
}

/// Why a target is the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is the first that can be asked.
    First,
    /// It is asked once more.
    Again,
    /// It stands in for the one that failed before.
    Fallback {
        /// The platform that failed.
        from: String,
        /// How.
        kind: FailureKind,
    },
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// Call this target.
    Call {
        /// Which one.
        target: &'a Target,
        /// Why this one.
        why: Why,
        /// Who was passed over for it.
        skipped: Vec<Skipped>,
    },
    /// Whoever could be called rests.
    Rest {
        /// For how long at least.
        pause: Duration,
        /// Who was passed over.
        skipped: Vec<Skipped>,
    },
    /// Nobody is left who could be called.
    Nowhere {
        /// Who was passed over.
        skipped: Vec<Skipped>,
    },
}

/// The targets of one request, and who of them is next after what was tried.
///
/// It keeps nothing: the calls that were made are what whoever makes them has recorded, so the same record leads to the
/// same next step in whatever process it is read. When to call again is not decided here, only whom.
///
/// Targets are asked in *rounds*. Within a round nobody is asked twice; a failure that may not happen elsewhere sends
/// the request to the next who can take it. When nobody is left, the next round begins with the first again, without
/// those that have said no for good.
#[derive(Debug, Clone)]
pub struct Route {
    targets: Vec<Target>,
    needs: Needs,
    /// How many attempts there may be at one target.
    attempts: u32,
    /// Whether content that one platform has refused may be taken to the next.
    refused_content_goes_on: bool,
}

impl Route {
    /// A route over targets, most wanted first, with so many attempts at each. What one platform refuses on principle is taken to another only when
    /// `refused_content_goes_on`: somebody has to have said so.
    #[must_use]
    pub fn new(targets: Vec<Target>, needs: Needs, attempts: u32, refused_content_goes_on: bool) -> Self {
        Self { targets, needs, attempts, refused_content_goes_on }
    }

    /// Leaves a target out, for a reason that is no fault of its own.
    pub fn leave_out(&mut self, platform: &str, reason: &str) {
        for target in self.targets.iter_mut().filter(|target| target.platform == platform) {
            target.unusable = Some(reason.to_owned());
        }
    }

    /// Whom to call after what was tried. `resting` says whether a target rests; who is barred is called all the same
    /// when there is nobody else, because the answer says at once what is wrong.
    #[must_use]
    pub fn next(&self, tried: &[Tried], resting: impl Fn(&Target) -> Option<Rest>) -> Step<'_> {
        let mut skipped = Vec::new();
        if let Some(last) = tried.last() {
            // What was cut short here is asked again where it was asked.
            let same = last.failure.is_none().then(|| self.target(&last.platform)).flatten();
            let can = |target: &&Target| {
                self.obstacle(target, &resting).is_none() && !self.gone(tried).contains(&&*target.platform)
            };
            if let Some(target) = same.filter(can) {
                return Step::Call { target, why: Why::Again, skipped };
            }
            if let Some(target) = self.fallback_noting(tried, &resting, &mut skipped) {
                let why = match last.failure {
                    Some(kind) => Why::Fallback { from: last.platform.clone(), kind },
                    None => first_or_again(target, tried),
                };
                return Step::Call { target, why, skipped };
            }
        }
        // A round begins.
        skipped.clear();
        let out = self.gone(tried);
        let (mut soonest, mut barred): (Option<Duration>, Option<&Target>) = (None, None);
        let left = |target: &&Target| !out.contains(&&*target.platform) && !self.is_too_small(target, tried);
        for target in self.targets.iter().filter(left) {
            match self.obstacle(target, &resting) {
                None => {
                    return Step::Call { target, why: first_or_again(target, tried), skipped };
                }
                Some((why, rest)) => {
                    match rest {
                        Some(rest) if rest.barred => barred = barred.or(Some(target)),
                        Some(rest) => soonest = Some(soonest.map_or(rest.pause, |pause| pause.min(rest.pause))),
                        None => {}
                    }
                    skipped.push(skip(target, why));
                }
            }
        }
        match (soonest, barred) {
            (Some(pause), _) => Step::Rest { pause, skipped },
            (None, Some(target)) => {
                skipped.retain(|skipped| skipped.platform != target.platform);
                Step::Call { target, why: first_or_again(target, tried), skipped }
            }
            (None, None) => Step::Nowhere { skipped },
        }
    }

    /// Who takes over at once after the last failure, if anybody can.
    #[must_use]
    pub fn fallback(&self, tried: &[Tried], resting: impl Fn(&Target) -> Option<Rest>) -> Option<&Target> {
        self.fallback_noting(tried, &resting, &mut Vec::new())
    }

    fn fallback_noting(
        &self,
        tried: &[Tried],
        resting: &impl Fn(&Target) -> Option<Rest>,
        skipped: &mut Vec<Skipped>,
    ) -> Option<&Target> {
        let refused = tried.iter().any(|tried| tried.failure == Some(FailureKind::ContentRefused));
        // A request that is wrong would be so everywhere.
        if tried.last()?.failure == Some(FailureKind::InvalidRequest) || (refused && !self.refused_content_goes_on) {
            return None;
        }
        let (asked, out) = (this_round(tried), self.gone(tried));
        for target in &self.targets {
            let platform = &*target.platform;
            if asked.contains(&platform) || out.contains(&platform) || self.is_too_small(target, tried) {
                continue;
            }
            match self.obstacle(target, resting) {
                None => return Some(target),
                Some((why, _)) => skipped.push(skip(target, why)),
            }
        }
        None
    }

    /// Who has said no for good, or has had all its attempts.
    fn gone<'t>(&self, tried: &'t [Tried]) -> Vec<&'t str> {
        let count = |platform: &str| tried.iter().filter(|tried| tried.counts && tried.platform == platform).count();
        let most = usize::try_from(self.attempts).unwrap_or(usize::MAX);
        let is_gone =
            |tried: &&Tried| tried.failure.is_some_and(|kind| !may_pass(kind)) || count(&tried.platform) >= most;
        tried.iter().filter(is_gone).map(|tried| &*tried.platform).collect()
    }

    fn target(&self, platform: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.platform == platform)
    }

    /// Whether a target holds no more than one that was too small, as far as is known of both.
    fn is_too_small(&self, target: &Target, tried: &[Tried]) -> bool {
        let failed = tried.iter().filter(|tried| tried.failure == Some(FailureKind::ContextTooLong));
        let known = failed.filter_map(|tried| self.target(&tried.platform)?.capabilities.max_input).max();
        matches!((target.capabilities.max_input, known), (Some(limit), Some(known)) if limit <= known)
    }

    /// What stands in the way of asking a target now.
    fn obstacle(
        &self,
        target: &Target,
        resting: &impl Fn(&Target) -> Option<Rest>,
    ) -> Option<(SkipReason, Option<Rest>)> {
        if let Some(reason) = &target.unusable {
            return Some((SkipReason::Unusable(reason.clone()), None));
        }
        if let Some(lack) = self.needs.lacking(&target.capabilities, &target.tags) {
            return Some((lack.into(), None));
        }
        resting(target).map(|rest| (SkipReason::Resting(rest.pause), Some(rest)))
    }
}

fn first_or_again(target: &Target, tried: &[Tried]) -> Why {
    if tried.iter().any(|tried| tried.platform == target.platform) { Why::Again } else { Why::First }
}

/// Who has been asked in the round of the last attempt. A platform that is asked again begins a round.
fn this_round(tried: &[Tried]) -> Vec<&str> {
    let mut asked: Vec<&str> = Vec::new();
    for tried in tried.iter().filter(|tried| tried.failure.is_some()) {
        if asked.contains(&&*tried.platform) {
            asked.clear();
        }
        asked.push(&tried.platform);
    }
    asked
}

fn skip(target: &Target, why: SkipReason) -> Skipped {
    Skipped { platform: target.platform.clone(), model: target.model.clone(), why }
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
