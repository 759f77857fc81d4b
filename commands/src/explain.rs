use domain::run::{RunStatus, StepStatus};
use domain::task::TaskStatus;
use domain::{NodeId, Run, RunId, StepName, Task, TaskId, Timestamp};
use serde::Serialize;

use crate::{Commands, Error, Refused};

/// Why a run stands where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Which run.
    pub run: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// The node that owns it.
    pub node: Option<NodeId>,
    /// What has to happen next for the run to go on; empty only when it has ended.
    pub next: Vec<Cause>,
    /// Each step that has not completed, in the order of the definition.
    pub steps: Vec<StepExplanation>,
}

/// Why a step stands where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepExplanation {
    /// Which step.
    pub step: StepName,
    /// Where it stands.
    pub status: StepStatus,
    /// What it waits for.
    pub cause: Cause,
}

/// What something waits for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// No node has taken the run yet.
    Unclaimed,
    /// A platform is being called.
    Attempt {
        /// For which task.
        task: TaskId,
        /// Which attempt.
        attempt: u32,
        /// Which platform.
        platform: String,
    },
    /// An attempt failed, and the next one waits for its time.
    Retry {
        /// For which task.
        task: TaskId,
        /// How many attempts there were.
        attempts: u32,
        /// When the next one starts.
        at: Timestamp,
        /// Why the last one failed.
        error: String,
    },
    /// The owner is about to go on; seen only between two appends or after a crash.
    Engine,
    /// Other steps have to complete first.
    Needs {
        /// Which ones.
        steps: Vec<StepName>,
    },
    /// The step failed.
    Failed {
        /// Why.
        error: String,
    },
    /// The run ended or is ending before the step's turn came.
    NotReached,
}

impl Commands {
    /// Says what a run waits for, straight from the journal.
    ///
    /// # Errors
    /// `RUN_NOT_FOUND`.
    pub async fn explain(&self, run: RunId) -> Result<Explanation, Error> {
        let state = self.executor.load::<Run>(run.into()).await?.state;
        let Some(definition) = state.definition() else {
            return Err(Refused::RunNotFound(run).into());
        };
        let mut next = Vec::new();
        let mut steps = Vec::new();
        if state.status() == RunStatus::Running && state.lease().is_none() {
            next.push(Cause::Unclaimed);
        }
        for step in &definition.steps {
            let Some(at) = state.steps().get(&step.name) else { continue };
            let completed =
                |name: &StepName| state.steps().get(name).is_some_and(|step| step.status == StepStatus::Completed);
            let cause = match (at.status, at.task) {
                (StepStatus::Completed, _) => continue,
                (StepStatus::Running, Some(task)) if !state.status().is_terminal() => {
                    let cause = self.task_cause(task).await?;
                    next.push(cause.clone());
                    cause
                }
                (StepStatus::Failed, _) => {
                    Cause::Failed { error: at.error.as_ref().map_or_else(String::new, |error| error.message.clone()) }
                }
                (StepStatus::Pending, _) if state.status() == RunStatus::Running => {
                    let steps: Vec<StepName> = step.needs.iter().filter(|need| !completed(need)).cloned().collect();
                    match (steps.is_empty(), state.lease()) {
                        (false, _) => Cause::Needs { steps },
                        (true, None) => Cause::Unclaimed,
                        (true, Some(_)) => Cause::Engine,
                    }
                }
                _ => Cause::NotReached,
            };
            steps.push(StepExplanation { step: step.name.clone(), status: at.status, cause });
        }
        if next.is_empty() && !state.status().is_terminal() {
            next.push(Cause::Engine);
        }
        Ok(Explanation { run, status: state.status(), node: state.lease().map(|lease| lease.node), next, steps })
    }

    async fn task_cause(&self, id: TaskId) -> Result<Cause, Error> {
        let task = self.executor.load::<Task>(id.into()).await?.state;
        if let Some(attempt) = task.running_attempt() {
            return Ok(Cause::Attempt { task: id, attempt: attempt.number, platform: attempt.platform.to_string() });
        }
        match (task.status(), task.retry_at()) {
            (TaskStatus::Waiting, Some(at)) => Ok(Cause::Retry {
                task: id,
                attempts: u32::try_from(task.attempts().len()).unwrap_or(u32::MAX),
                at,
                error: task.last_error().map_or_else(String::new, |error| error.message),
            }),
            _ => Ok(Cause::Engine),
        }
    }
}
