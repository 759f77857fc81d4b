use uuid::Uuid;

/// A limit: what it counts, and how much there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRow {
    /// The limit's id.
    pub id: Uuid,
    /// The key.
    pub key: String,
    /// What it is for.
    pub description: String,
    /// `workflow`, `agent` or `platform`.
    pub scope_kind: String,
    /// The key of the workflow, agent or platform.
    pub scope_key: String,
    /// Counts for each value of this expression over `input` apart.
    pub partition_by: Option<String>,
    /// How many at the same time.
    pub max_running: Option<i64>,
    /// How many starts within the rate's time.
    pub rate_starts: Option<i64>,
    /// That time, in microseconds.
    pub rate_micros: Option<i64>,
    /// Among whom it is fair, an expression over `input`.
    pub fairness: Option<String>,
    /// Who set it last, as `kind:id`.
    pub set_by: String,
    /// When.
    pub set_at: i64,
    /// When it was taken away.
    pub removed_at: Option<i64>,
    /// Why.
    pub removed_reason: Option<String>,
    /// The position of its last event that the row reflects.
    pub position: i64,
}

/// Somebody who has a slot of a limit, or waits for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatRow {
    /// Where the slot is given.
    pub slots_id: Uuid,
    /// The limit's key.
    pub limit_key: String,
    /// The value that the limit counts apart.
    pub partition: Option<String>,
    /// The run.
    pub run_id: Uuid,
    /// Its task, when the slot is for an attempt.
    pub task_id: Option<Uuid>,
    /// Higher before lower.
    pub priority: i32,
    /// Among whom the limit is fair.
    pub fairness: String,
    /// Since when it is wanted.
    pub requested_at: i64,
    /// Since when it is held; `None` while waiting.
    pub granted_at: Option<i64>,
}

/// The slots of a limit, or of one partition of it, that somebody has or wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotsRow {
    /// The limit's key.
    pub limit_key: String,
    /// Where the slots are given.
    pub slots_id: Uuid,
    /// The value that the limit counts apart.
    pub partition: Option<String>,
    /// How many have one.
    pub running: i64,
    /// How many wait.
    pub waiting: i64,
}

/// A time during which everything, or a workflow, was held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRow {
    /// The hold's id: there is one for each scope.
    pub hold_id: Uuid,
    /// Counts the events of the hold.
    pub number: i64,
    /// The workflow whose runs are held; `None` when all are.
    pub workflow_key: Option<String>,
    /// Who placed it, as `kind:id`.
    pub placed_by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub placed_at: i64,
    /// `frozen` or `running`.
    pub clock: String,
    /// Who lifted it.
    pub lifted_by: Option<String>,
    /// When; `None` while it is in force.
    pub lifted_at: Option<i64>,
    /// The position of the last event that the row reflects.
    pub position: i64,
}
