use serde::{Deserialize, Serialize};

/// By what an agent is chosen where nobody is named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Agents {
    /// Below this score, 0 to 1, nobody is good enough, and a general-purpose agent does the work.
    pub(crate) minimum_score: f64,
    /// What a task may cost at most to be acceptable, in US dollars.
    pub(crate) acceptable_cost_usd: f64,
    /// How long a task may take at most to be acceptable, in seconds.
    pub(crate) acceptable_seconds: f64,
    /// With so many tasks at a time an agent is busy, 1 to 100,000.
    pub(crate) busy_from: u32,
    /// The general-purpose agent; any agent without capabilities when not given or not at hand.
    pub(crate) general_purpose: Option<domain::Key>,
}

impl Default for Agents {
    fn default() -> Self {
        let usual = selection::Policy::default();
        Self {
            minimum_score: usual.minimum,
            acceptable_cost_usd: usual.acceptable_cost_usd,
            acceptable_seconds: usual.acceptable_seconds,
            busy_from: usual.busy_from,
            general_purpose: usual.general_purpose,
        }
    }
}

impl Agents {
    /// What is wrong with it.
    pub(super) fn fault(&self) -> Option<String> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let rules = [
            ((0.0..=1.0).contains(&self.minimum_score), "minimum_score", self.minimum_score, "0 to 1"),
            (positive(self.acceptable_cost_usd), "acceptable_cost_usd", self.acceptable_cost_usd, "more than 0"),
            (positive(self.acceptable_seconds), "acceptable_seconds", self.acceptable_seconds, "more than 0"),
            ((1..=100_000).contains(&self.busy_from), "busy_from", self.busy_from.into(), "1 to 100,000"),
        ];
        let wrong = rules.into_iter().find(|(holds, ..)| !holds);
        wrong.map(|(_, name, value, rule)| format!("agents.{name} is {value}, but must be {rule}"))
    }

    pub(crate) fn policy(&self) -> selection::Policy {
        selection::Policy {
            minimum: self.minimum_score,
            acceptable_cost_usd: self.acceptable_cost_usd,
            acceptable_seconds: self.acceptable_seconds,
            busy_from: self.busy_from,
            general_purpose: self.general_purpose.clone(),
            ..selection::Policy::default()
        }
    }
}
