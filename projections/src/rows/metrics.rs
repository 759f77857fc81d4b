use uuid::Uuid;

/// How an agent or a template has done in the tasks that were created within a window. Averages are over what is known.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsRow {
    /// The agent's or the template's id.
    pub subject: Uuid,
    /// Its key; empty when it was never registered.
    pub key: String,
    /// Tasks, ended or not.
    pub total: i64,
    /// Tasks that completed.
    pub completed: i64,
    /// Tasks that failed for good.
    pub failed: i64,
    /// Tasks that were cancelled.
    pub cancelled: i64,
    /// Completed among completed and failed, 0 to 1; `None` before the first end.
    pub success_rate: Option<f64>,
    /// The average mark of the tasks that have one by what a program can decide, 1 to 10.
    pub average_quality: Option<f64>,
    /// How many tasks have such a mark.
    pub rated: i64,
    /// How long completed tasks took from their creation, in milliseconds, on average.
    pub average_elapsed_ms: Option<f64>,
    /// The average duration of successful attempts, in milliseconds.
    pub average_duration_ms: Option<f64>,
    /// The average known cost of successful attempts, in billionths of a US dollar.
    pub average_cost_nano_usd: Option<f64>,
    /// Attempts that asked no model.
    pub simulated: i64,
    /// The sum of all known costs, in billionths of a US dollar.
    pub total_cost_nano_usd: i64,
    /// Attempts whose cost is not known, such as lost ones.
    pub attempts_of_unknown_cost: i64,
    /// All prompt tokens that were reported.
    pub input_tokens: i64,
    /// All answer tokens that were reported.
    pub output_tokens: i64,
    /// When its last task was created.
    pub last_task_at: Option<i64>,
}
