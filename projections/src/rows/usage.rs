/// What some attempts have cost. A dimension that is not told apart, or that they have none of, is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageRow {
    /// The day, counted from 1970-01-01.
    pub day: Option<i64>,
    /// The department.
    pub department: Option<String>,
    /// The agent's key.
    pub agent: Option<String>,
    /// The platform.
    pub platform: Option<String>,
    /// The model; empty where it is the platform's default and nothing was answered.
    pub model: Option<String>,
    /// The template's key.
    pub template: Option<String>,
    /// The workflow's key.
    pub workflow: Option<String>,
    /// Who started the runs, as `kind:id`.
    pub person: Option<String>,
    /// How many attempts.
    pub attempts: i64,
    /// How many of them succeeded.
    pub succeeded: i64,
    /// How many of them failed, or were lost.
    pub failed: i64,
    /// How many of them asked no model.
    pub simulated: i64,
    /// Of how many tasks they are.
    pub tasks: i64,
    /// The sum of all known costs, in billionths of a US dollar.
    pub cost_nano_usd: i64,
    /// How many have ended with a cost that is not known.
    pub unknown_costs: i64,
    /// All prompt tokens that were reported, cached ones included.
    pub input_tokens: i64,
    /// Of these, read from platforms' caches.
    pub cached_input_tokens: i64,
    /// All answer tokens that were reported, reasoning included.
    pub output_tokens: i64,
    /// Of these, spent on reasoning.
    pub reasoning_tokens: i64,
    /// How many were answered with a kept answer instead of a call.
    pub kept: i64,
    /// The sum of what is known to have been saved by that, in billionths of a US dollar.
    pub saved_nano_usd: i64,
    /// How many of them saved what nobody knows.
    pub unknown_savings: i64,
}

impl UsageRow {
    /// Adds what others have cost; the dimensions stay.
    pub(crate) fn add(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.simulated += other.simulated;
        self.tasks += other.tasks;
        self.cost_nano_usd += other.cost_nano_usd;
        self.unknown_costs += other.unknown_costs;
        self.input_tokens += other.input_tokens;
        self.cached_input_tokens += other.cached_input_tokens;
        self.output_tokens += other.output_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.kept += other.kept;
        self.saved_nano_usd += other.saved_nano_usd;
        self.unknown_savings += other.unknown_savings;
    }
}
