//! Why a run stands where it stands.

use async_graphql::{Context, Result, SimpleObject};
use commands::{Cause as Reason, Commands};
use domain::RunId;
use uuid::Uuid;

use crate::failure;
use crate::scalar::DateTime;
use crate::status::{CauseKind, RunStatus, StepStatus};

/// Why a run stands where it stands, straight from the journal.
#[derive(Debug, SimpleObject)]
pub(crate) struct Explanation {
    /// Which run.
    run_id: Uuid,
    /// Where it stands.
    status: RunStatus,
    /// The node that owns it.
    node: Option<Uuid>,
    /// What has to happen next for the run to go on; empty only when it has ended.
    next: Vec<Cause>,
    /// Each step that has not completed, in the order of the definition.
    steps: Vec<StepExplanation>,
}

/// Why a step stands where it stands.
#[derive(Debug, SimpleObject)]
pub(crate) struct StepExplanation {
    /// The step's name.
    step: String,
    /// Where it stands.
    status: StepStatus,
    /// What it waits for.
    cause: Cause,
}

/// What something waits for.
#[derive(Debug, SimpleObject)]
pub(crate) struct Cause {
    /// What it is.
    kind: CauseKind,
    /// Of an attempt or a retry: for which task.
    task_id: Option<Uuid>,
    /// Of an attempt: which one, from 1. Of a retry: how many there were.
    attempt: Option<u32>,
    /// Of an attempt: which platform is being called.
    platform: Option<String>,
    /// Of a retry: when the next attempt starts.
    at: Option<DateTime>,
    /// Of a retry or a failure: what went wrong.
    error: Option<String>,
    /// Of steps that wait: for which steps.
    steps: Vec<String>,
}

impl Explanation {
    pub(crate) async fn of_run(context: &Context<'_>, run: RunId) -> Result<Self> {
        let commands = context.data::<Commands>()?;
        let explained = commands.explain(run).await.map_err(|error| failure::command(context, error))?;
        let steps = explained.steps.into_iter().map(|step| StepExplanation {
            step: step.step.into(),
            status: step.status.into(),
            cause: step.cause.into(),
        });
        Ok(Self {
            run_id: explained.run.as_uuid(),
            status: RunStatus::of(explained.status.name())?,
            node: explained.node.map(domain::NodeId::as_uuid),
            next: explained.next.into_iter().map(Cause::from).collect(),
            steps: steps.collect(),
        })
    }
}

impl From<Reason> for Cause {
    fn from(reason: Reason) -> Self {
        let plain = |kind| Self {
            kind,
            task_id: None,
            attempt: None,
            platform: None,
            at: None,
            error: None,
            steps: Vec::new(),
        };
        match reason {
            Reason::Unclaimed => plain(CauseKind::Unclaimed),
            Reason::Attempt { task, attempt, platform } => Self {
                task_id: Some(task.as_uuid()),
                attempt: Some(attempt),
                platform: Some(platform),
                ..plain(CauseKind::Attempt)
            },
            Reason::Retry { task, attempts, at, error } => Self {
                task_id: Some(task.as_uuid()),
                attempt: Some(attempts),
                at: Some(at.into()),
                error: Some(error),
                ..plain(CauseKind::Retry)
            },
            Reason::Engine => plain(CauseKind::Engine),
            Reason::Needs { steps } => {
                Self { steps: steps.into_iter().map(String::from).collect(), ..plain(CauseKind::Needs) }
            }
            Reason::Failed { error } => Self { error: Some(error), ..plain(CauseKind::Failed) },
            Reason::NotReached => plain(CauseKind::NotReached),
        }
    }
}
