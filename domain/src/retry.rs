use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ErrorKind;

/// When a failed attempt is followed by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// How many attempts there may be at one platform, at least 1. Fallbacks have attempts of their own, so this is how
    /// often the list of platforms is gone through.
    pub max_attempts: u32,
    /// The pause after the first failure.
    pub first_backoff: Duration,
    /// By what each further pause grows, in thousandths: 2000 doubles it.
    pub multiplier_milli: u32,
    /// No pause is longer, unless the platform itself asks for more.
    pub max_backoff: Duration,
    /// No attempt starts later than this after the task was created; `None` sets no such bound.
    pub budget: Option<Duration>,
    /// Kinds of failure that are not repeated although they may pass.
    pub never: Vec<ErrorKind>,
}

impl Default for RetryPolicy {
    /// 3 attempts, 2 s, doubling, at most 60 s; no budget, and every failure that may pass is repeated.
    fn default() -> Self {
        Self {
            max_attempts: 3,
            first_backoff: Duration::from_secs(2),
            multiplier_milli: 2000,
            max_backoff: Duration::from_secs(60),
            budget: None,
            never: vec![],
        }
    }
}

impl RetryPolicy {
    /// The pause after failed attempt number `attempt` (from 1): `min(max, first × multiplierⁿ⁻¹)`, of which the
    /// upper half is spread by `jitter_milli` (0 to 1000; "equal jitter", so never less than half).
    #[must_use]
    pub fn backoff(&self, attempt: u32, jitter_milli: u16) -> Duration {
        let max = self.max_backoff.as_micros();
        let mut pause = self.first_backoff.as_micros().min(max);
        for _ in 1..attempt {
            if pause >= max || pause == 0 || self.multiplier_milli == 1000 {
                break;
            }
            pause = (pause.saturating_mul(u128::from(self.multiplier_milli)) / 1000).min(max);
        }
        let jitter = u128::from(jitter_milli.min(1000));
        let spread = pause / 2 + pause.div_ceil(2) * jitter / 1000;
        Duration::from_micros(u64::try_from(spread).unwrap_or(u64::MAX))
    }
}
