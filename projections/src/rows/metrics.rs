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

/// What metrics are made of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MetricsSums {
    /// Tasks, and what became of them.
    pub(crate) total: i64,
    pub(crate) completed: i64,
    pub(crate) failed: i64,
    pub(crate) cancelled: i64,
    /// Of completed tasks: from creation to end, in microseconds.
    pub(crate) elapsed: i64,
    /// Hundredths of marks, and of how many tasks.
    pub(crate) quality: i64,
    pub(crate) rated: i64,
    /// Attempts that brought an answer: how many, how long they took in milliseconds, what those cost of which it is known.
    pub(crate) answers: i64,
    pub(crate) duration_ms: i64,
    pub(crate) answer_cost: i64,
    pub(crate) priced_answers: i64,
    /// Of all attempts.
    pub(crate) simulated: i64,
    pub(crate) cost: i64,
    pub(crate) unknown_costs: i64,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    /// When the last task was created.
    pub(crate) last_task_at: Option<i64>,
}

impl MetricsSums {
    pub(crate) fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.completed += other.completed;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.elapsed += other.elapsed;
        self.quality += other.quality;
        self.rated += other.rated;
        self.answers += other.answers;
        self.duration_ms += other.duration_ms;
        self.answer_cost += other.answer_cost;
        self.priced_answers += other.priced_answers;
        self.simulated += other.simulated;
        self.cost += other.cost;
        self.unknown_costs += other.unknown_costs;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.last_task_at = self.last_task_at.max(other.last_task_at);
    }

    /// The metrics of an agent or a template. Averages are made here and nowhere else, of the present as of the past.
    pub(crate) fn of(self, subject: Uuid, key: String) -> MetricsRow {
        MetricsRow {
            subject,
            key,
            total: self.total,
            completed: self.completed,
            failed: self.failed,
            cancelled: self.cancelled,
            success_rate: ratio(self.completed, self.completed + self.failed),
            average_quality: ratio(self.quality, self.rated * 100),
            rated: self.rated,
            average_elapsed_ms: ratio(self.elapsed, self.completed * 1000),
            average_duration_ms: ratio(self.duration_ms, self.answers),
            average_cost_nano_usd: ratio(self.answer_cost, self.priced_answers),
            simulated: self.simulated,
            total_cost_nano_usd: self.cost,
            attempts_of_unknown_cost: self.unknown_costs,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            last_task_at: self.last_task_at,
        }
    }
}

/// A share of a count; nothing when nothing was counted. Exact for sums below 2^53, 285 years of microseconds; nearly so above.
fn ratio(sum: i64, count: i64) -> Option<f64> {
    (count != 0).then(|| sum as f64 / count as f64)
}
