use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Timestamp;
use crate::trigger::Schedule;

/// A type of event that webhooks can be told about. The list is small and documented on purpose: its names and the
/// shape of its data are promised to others, while those of the journal are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Topic {
    /// A run was started.
    RunStarted,
    /// A run completed.
    RunCompleted,
    /// A run failed.
    RunFailed,
    /// A run was cancelled.
    RunCancelled,
    /// People are asked to decide.
    ApprovalRequested,
    /// Somebody has decided.
    ApprovalDecided,
    /// Nobody decided in time.
    ApprovalExpired,
    /// A budget comes to its end.
    BudgetWarned,
    /// Work was refused because a budget has nothing left.
    BudgetExceeded,
    /// Somebody wanted to see whether the webhook works. Cannot be subscribed to; only the webhook itself is told.
    Test,
}

/// The name of a topic that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no type of event that webhooks are told about; there are {names}", names = Topic::names())]
pub struct UnknownTopic(pub String);

impl Topic {
    /// Those that can be subscribed to.
    pub const ALL: [Self; 9] = [
        Self::RunStarted,
        Self::RunCompleted,
        Self::RunFailed,
        Self::RunCancelled,
        Self::ApprovalRequested,
        Self::ApprovalDecided,
        Self::ApprovalExpired,
        Self::BudgetWarned,
        Self::BudgetExceeded,
    ];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunStarted => "run.started",
            Self::RunCompleted => "run.completed",
            Self::RunFailed => "run.failed",
            Self::RunCancelled => "run.cancelled",
            Self::ApprovalRequested => "approval.requested",
            Self::ApprovalDecided => "approval.decided",
            Self::ApprovalExpired => "approval.expired",
            Self::BudgetWarned => "budget.warned",
            Self::BudgetExceeded => "budget.exceeded",
            Self::Test => "webhook.test",
        }
    }

    /// What it tells, in one sentence.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::RunStarted => "A run was started.",
            Self::RunCompleted => "A run completed; its output can be fetched by its id.",
            Self::RunFailed => "A run failed.",
            Self::RunCancelled => "A run was cancelled.",
            Self::ApprovalRequested => "A run waits for the decision of people.",
            Self::ApprovalDecided => "Somebody has decided on what a run waits for.",
            Self::ApprovalExpired => "Nobody decided on what a run waits for in time.",
            Self::BudgetWarned => "A budget comes to its end in this window.",
            Self::BudgetExceeded => "Work was refused because a budget has nothing left.",
            Self::Test => "Somebody wanted to see whether the webhook works.",
        }
    }

    /// The type of the journal's event from which it follows.
    #[must_use]
    pub const fn source(self) -> &'static str {
        match self {
            Self::RunStarted => "run.started",
            Self::RunCompleted => "run.completed",
            Self::RunFailed => "run.failed",
            Self::RunCancelled => "run.cancelled",
            Self::ApprovalRequested => "run.approval_requested",
            Self::ApprovalDecided => "run.approval_decided",
            Self::ApprovalExpired => "run.approval_expired",
            Self::BudgetWarned => "purse.warned",
            Self::BudgetExceeded => "task.failed",
            Self::Test => "webhook.tested",
        }
    }

    /// What follows from a type of the journal's events; of `task.failed` only what is due to a budget counts.
    #[must_use]
    pub fn of_source(event_type: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Test]).find(|topic| topic.source() == event_type)
    }

    /// A message about something of this type: the body that webhooks get.
    #[must_use]
    pub fn message(self, at: Timestamp, data: Value) -> Value {
        json!({ "type": self.name(), "timestamp": Schedule::name_of(at), "data": data })
    }

    /// An example of its `data`, with every field that it can have.
    #[must_use]
    pub fn sample(self) -> Value {
        const RUN: &str = "01934c2e-8a00-7000-8000-5e6f7a8b9c0d";
        let run = |more: Value| {
            let mut data = json!({ "run_id": RUN, "workflow": "document-brief", "workflow_version": 3 });
            if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
                data.extend(more);
            }
            data
        };
        match self {
            Self::RunStarted => run(json!({ "started_by": "person:ada", "trigger_id": null })),
            Self::RunCompleted => run(json!({ "simulated": false })),
            Self::RunFailed => run(json!({ "step": "draft", "reason": "timeout" })),
            Self::RunCancelled => run(json!({})),
            Self::ApprovalRequested => run(json!({ "step": "sign-off", "expires_at": "2026-11-27T09:00:00Z" })),
            Self::ApprovalDecided => run(json!({ "step": "sign-off", "approved": true, "decided_by": "person:grace" })),
            Self::ApprovalExpired => run(json!({ "step": "sign-off" })),
            Self::BudgetWarned => json!({ "budget": "everything", "used": "8000000000", "limit": "10000000000" }),
            Self::BudgetExceeded => run(json!({ "task_id": "01934c2e-8a00-8000-8000-000000000001", "step": "draft" })),
            Self::Test => json!({ "webhook_id": "01934c2e-8a00-8000-8000-000000000002", "requested_by": "person:ada" }),
        }
    }

    fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Topic {
    type Err = UnknownTopic;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter().chain([Self::Test]);
        all.find(|topic| topic.name() == text).ok_or_else(|| UnknownTopic(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for Topic {
    type Error = UnknownTopic;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Topic> for String {
    fn from(topic: Topic) -> Self {
        topic.name().to_owned()
    }
}
