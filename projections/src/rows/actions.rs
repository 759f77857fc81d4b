use uuid::Uuid;

/// An action item that is tracked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRow {
    /// The task that asked for it first.
    pub task_id: Uuid,
    /// Its number among what that task asks for, from 1.
    pub number: i32,
    /// The run that asked for it.
    pub run_id: Uuid,
    /// The key of that run's workflow.
    pub workflow_key: String,
    /// The steps that ask for it.
    pub steps: Vec<String>,
    /// What has to be done.
    pub what: String,
    /// `high`, `medium` or `low`.
    pub priority: Option<String>,
    /// `open`, `in_progress`, `done` or `dismissed`.
    pub state: String,
    /// Who does it.
    pub owner: Option<String>,
    /// Until when.
    pub due: Option<String>,
    /// The day of that, counted from 1970-01-01, when it is a date.
    pub due_day: Option<i64>,
    /// What there is to say about it.
    pub note: Option<String>,
    /// When the run ended.
    pub opened_at: i64,
    /// When it was changed last.
    pub changed_at: i64,
    /// Who changed it last, as `kind:id`.
    pub changed_by: Option<String>,
    /// The position of the last event that the row reflects.
    pub position: i64,
}
