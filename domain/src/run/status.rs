use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It does not exist.
    #[default]
    Absent,
    /// Under way.
    Running,
    /// Nothing new starts until somebody resumes it.
    Paused,
    /// Somebody wants it to stop, and what runs is being ended.
    Cancelling,
    /// Its time is over or its output cannot be made, and what runs is being cut.
    Failing,
    /// It will fail or be cancelled, and what had been done is being undone.
    Compensating,
    /// All steps completed or were skipped.
    Completed,
    /// A step failed for good, or its time was over.
    Failed,
    /// Stopped on request.
    Cancelled,
}

impl RunStatus {
    /// Every status of a run that exists.
    pub const ALL: [Self; 8] = [
        Self::Running,
        Self::Paused,
        Self::Cancelling,
        Self::Failing,
        Self::Compensating,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether the run has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelling => "cancelling",
            Self::Failing => "failing",
            Self::Compensating => "compensating",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It waits for other steps.
    #[default]
    Pending,
    /// It is under way: an agent works, people are asked, time passes.
    Running,
    /// Its output is there.
    Completed,
    /// Its condition was not met.
    Skipped,
    /// It failed for good.
    Failed,
    /// It was cut.
    Cancelled,
}

impl StepStatus {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Running, Self::Completed, Self::Skipped, Self::Failed, Self::Cancelled];

    /// Whether steps that need it may go on.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Completed | Self::Skipped)
    }

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}
