//! How the platforms are doing, for whoever watches.

use std::time::Duration;

use providers::FailureKind;
use providers::router::Phase;

/// How one model of a platform is doing, as this process sees it: what it has called, since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineHealth {
    /// The platform.
    pub platform: String,
    /// The model; empty for the platform's default.
    pub model: String,
    /// How its breaker stands.
    pub phase: Phase,
    /// For how long it still rests.
    pub resting: Option<Duration>,
    /// Whether it rests because somebody has to do something.
    pub barred: bool,
    /// How many calls are under way.
    pub in_flight: u32,
    /// How many may be under way at once, by what it said and how it coped; `None` while nothing was called.
    pub at_once: Option<u32>,
    /// How many calls have ended.
    pub calls: u64,
    /// How many of these have failed.
    pub failed: u64,
    /// The last failures, the latest first; at most [`Self::MAX_FAILURES`].
    pub failures: Vec<SeenFailure>,
}

impl LineHealth {
    /// How many failures are remembered of each model.
    pub const MAX_FAILURES: usize = 5;
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFailure {
    /// How long ago.
    pub ago: Duration,
    /// The kind.
    pub kind: FailureKind,
    /// What happened, for a person; never a secret.
    pub message: String,
}

/// What the last probe of a platform has found, of those that are made while it is left alone after failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeHealth {
    /// The platform.
    pub platform: String,
    /// How long ago.
    pub ago: Duration,
    /// What was wrong, for a person; `None` when it answered.
    pub failure: Option<String>,
}
