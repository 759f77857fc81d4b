//! Folds a batch of events into the changes of rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::run::StepStatus;
use domain::task::TaskStatus;
use domain::{Definition, ErrorKind, Event, FinishReason, Reply, RunEvent, RunId, StepName, TaskEvent, Timestamp};
use journal::RecordedEvent;
use serde_json::Value;
use uuid::Uuid;

use super::change::{
    Answer, AttemptBirth, AttemptChange, Failure, RunBirth, RunChange, StepChange, TaskBirth, TaskChange,
};
use crate::projector::{ApplyError, number, storable};

/// What a batch does. Sorted by key, so that neighbours in the batch are neighbours in the index.
#[derive(Debug, Default)]
pub(super) struct Fold<'a> {
    pub(super) plans: BTreeMap<(Uuid, i32), &'a Definition>,
    pub(super) runs: BTreeMap<Uuid, RunChange<'a>>,
    pub(super) steps: BTreeMap<(Uuid, &'a str), StepChange<'a>>,
    pub(super) tasks: BTreeMap<Uuid, TaskChange<'a>>,
    pub(super) attempts: BTreeMap<(Uuid, i32), AttemptChange<'a>>,
    /// Cancelled tasks and when: an attempt of theirs that still runs, started in an earlier batch, ends with them.
    pub(super) cut: BTreeMap<Uuid, i64>,
}

/// What a lost attempt has for an error; its event carries none.
const LOST: &str = "the process ended while the platform was being called; whether it answered is unknown";

/// Folds events in the order of the journal.
pub(super) fn fold(events: &[Arc<RecordedEvent>]) -> Result<Fold<'_>, ApplyError> {
    let mut fold = Fold::default();
    for recorded in events {
        let event = recorded.event().map_err(|error| ApplyError::Indigestible(error.to_string()))?;
        match event {
            Event::Run(event) => fold.run(recorded, event)?,
            Event::Task(event) => fold.task(recorded, event)?,
            Event::Workflow(_) | Event::Agent(_) | Event::Template(_) => {}
        }
    }
    Ok(fold)
}

impl<'a> Fold<'a> {
    fn run(&mut self, recorded: &'a RecordedEvent, event: &'a RunEvent) -> Result<(), ApplyError> {
        let id = recorded.stream.id;
        let at = recorded.recorded_at.as_micros();
        let position = number(recorded.position);
        match event {
            RunEvent::StepStarted { step, task } => {
                let change = self.step(id, step, StepStatus::Running, position);
                change.task_id = Some(task.as_uuid());
                change.started_at = Some(at);
                return Ok(());
            }
            RunEvent::StepCompleted { step, output, simulated } => {
                let change = self.step(id, step, StepStatus::Completed, position);
                change.output = Some(json(output)?);
                change.simulated |= simulated;
                change.ended_at = Some(at);
                return Ok(());
            }
            RunEvent::StepFailed { step, error } => {
                let change = self.step(id, step, StepStatus::Failed, position);
                change.error = Failure::from(error);
                change.ended_at = Some(at);
                return Ok(());
            }
            RunEvent::StepCancelled { step } => {
                self.step(id, step, StepStatus::Cancelled, position).ended_at = Some(at);
                return Ok(());
            }
            _ => {}
        }
        if let RunEvent::Started { workflow, version, definition, .. } = event {
            self.plans.insert((workflow.as_uuid(), counter(*version)?), &**definition);
        }
        let change = self.runs.entry(id).or_default();
        change.position = position;
        if event.is_terminal() {
            change.ended_at = Some(at);
        }
        match event {
            RunEvent::Started { workflow, version, definition, input, .. } => {
                change.status = Some("running");
                change.born = Some(RunBirth {
                    workflow_id: workflow.as_uuid(),
                    workflow_key: definition.key.as_str(),
                    version: counter(*version)?,
                    input: json(input)?,
                    actor: storable(&recorded.metadata.actor.to_string()).into_owned(),
                    correlation: recorded.metadata.correlation,
                    started_at: at,
                });
            }
            RunEvent::Claimed { node, epoch } => {
                change.node = Some(node.as_uuid());
                change.epoch = Some(clamp(*epoch));
            }
            RunEvent::CancelRequested { reason } => {
                change.status = Some("cancelling");
                change.cancel_reason = Some(storable(reason));
            }
            RunEvent::Completed { output, simulated } => {
                change.status = Some("completed");
                change.output = Some(json(output)?);
                change.simulated |= simulated;
            }
            RunEvent::Failed { step, error } => {
                change.status = Some("failed");
                change.failed_step = step.as_ref().map(StepName::as_str);
                change.error = Failure::from(error);
            }
            RunEvent::Cancelled { reason } => {
                change.status = Some("cancelled");
                change.cancel_reason = Some(storable(reason));
            }
            RunEvent::StepStarted { .. }
            | RunEvent::StepCompleted { .. }
            | RunEvent::StepFailed { .. }
            | RunEvent::StepCancelled { .. } => {}
        }
        Ok(())
    }

    fn step(&mut self, run: Uuid, step: &'a StepName, status: StepStatus, position: i64) -> &mut StepChange<'a> {
        let change = self.steps.entry((run, step.as_str())).or_default();
        change.status = match status {
            StepStatus::Pending => "pending",
            StepStatus::Running => "running",
            StepStatus::Completed => "completed",
            StepStatus::Failed => "failed",
            StepStatus::Cancelled => "cancelled",
        };
        change.position = position;
        change
    }

    fn task(&mut self, recorded: &'a RecordedEvent, event: &'a TaskEvent) -> Result<(), ApplyError> {
        let id = recorded.stream.id;
        let at = recorded.recorded_at.as_micros();
        let change = self.tasks.entry(id).or_default();
        change.position = number(recorded.position);
        let mut stand = |status: TaskStatus, retry_at: Option<Timestamp>| {
            change.status = Some(status.name());
            change.retry_at = retry_at.map(Timestamp::as_micros);
            if status.is_terminal() {
                change.ended_at = Some(at);
            }
        };
        match event {
            TaskEvent::Created { run, step, template, template_version, parameters, .. } => {
                stand(TaskStatus::Created, None);
                change.born = Some(TaskBirth {
                    run_id: run.map(RunId::as_uuid),
                    step: step.as_ref().map(StepName::as_str),
                    template_id: template.as_uuid(),
                    template_version: counter(*template_version)?,
                    parameters: json(parameters)?,
                    created_at: at,
                });
            }
            TaskEvent::Assigned { agent, agent_version, reason } => {
                stand(TaskStatus::Assigned, None);
                change.agent_id = Some(agent.as_uuid());
                change.agent_version = Some(counter(*agent_version)?);
                change.assign_reason = Some(storable(reason));
            }
            TaskEvent::AttemptStarted { attempt, platform, model, request_hash } => {
                stand(TaskStatus::Running, None);
                change.attempts = counter(*attempt)?;
                let attempt = self.attempts.entry((id, counter(*attempt)?)).or_default();
                attempt.status = Some("running");
                attempt.born = Some(AttemptBirth {
                    platform: platform.as_str(),
                    model: model.as_deref().map(storable),
                    request_hash,
                    started_at: at,
                });
            }
            TaskEvent::AttemptSucceeded { attempt, reply } => {
                let attempt = self.attempts.entry((id, counter(*attempt)?)).or_default();
                attempt.status = Some("succeeded");
                attempt.answer = Some(answer(reply));
                attempt.ended_at = Some(at);
            }
            TaskEvent::AttemptFailed { attempt, error, retry_at } => {
                if retry_at.is_some() {
                    stand(TaskStatus::Waiting, *retry_at);
                }
                let attempt = self.attempts.entry((id, counter(*attempt)?)).or_default();
                attempt.status = Some("failed");
                attempt.error = Failure::from(error);
                attempt.ended_at = Some(at);
            }
            TaskEvent::AttemptLost { attempt, retry_at } => {
                if retry_at.is_some() {
                    stand(TaskStatus::Waiting, *retry_at);
                }
                let attempt = self.attempts.entry((id, counter(*attempt)?)).or_default();
                attempt.status = Some("lost");
                attempt.error = Failure { kind: Some(ErrorKind::Lost.name()), message: Some(LOST.into()) };
                attempt.ended_at = Some(at);
            }
            TaskEvent::AttemptLate { attempt, reply } => {
                let attempt = self.attempts.entry((id, counter(*attempt)?)).or_default();
                attempt.answer = Some(answer(reply));
                attempt.late = true;
            }
            TaskEvent::Completed { .. } => stand(TaskStatus::Completed, None),
            TaskEvent::Failed { error } => {
                stand(TaskStatus::Failed, None);
                change.error = Failure::from(error);
            }
            TaskEvent::Cancelled { reason } => {
                stand(TaskStatus::Cancelled, None);
                change.cancel_reason = Some(storable(reason));
                let running = self.attempts.range_mut((id, 0)..=(id, i32::MAX)).next_back();
                match running {
                    Some((_, attempt)) if attempt.status == Some("running") => {
                        attempt.status = Some("cancelled");
                        attempt.ended_at = Some(at);
                    }
                    // Its last attempt had ended within this batch.
                    Some((_, attempt)) if attempt.status.is_some() => {}
                    _ => {
                        self.cut.insert(id, at);
                    }
                }
            }
        }
        Ok(())
    }
}

fn answer(reply: &Reply) -> Answer<'_> {
    let tokens = |count: Option<u64>| count.map(clamp);
    Answer {
        answered_by: storable(&reply.model),
        finish_reason: match &reply.finish {
            FinishReason::Stop => "stop".into(),
            FinishReason::Length => "length".into(),
            FinishReason::ContentFilter => "content_filter".into(),
            FinishReason::Other(word) => storable(word),
        },
        text: storable(&reply.text),
        simulated: reply.simulated,
        input_tokens: tokens(reply.usage.input_tokens),
        cached_input_tokens: tokens(reply.usage.cached_input_tokens),
        output_tokens: tokens(reply.usage.output_tokens),
        reasoning_tokens: tokens(reply.usage.reasoning_tokens),
        cost_nano_usd: reply.cost.map(|cost| cost.0),
        duration_ms: i64::try_from(reply.duration.as_millis()).unwrap_or(i64::MAX),
    }
}

fn json(value: &Value) -> Result<String, ApplyError> {
    serde_json::to_string(value).map_err(|error| ApplyError::Indigestible(error.to_string()))
}

/// A version or an attempt's number; beyond two billion it is no such thing.
fn counter(number: u32) -> Result<i32, ApplyError> {
    i32::try_from(number).map_err(|_| ApplyError::Indigestible(format!("{number} is too large a number to count with")))
}

/// A reported amount: nothing that is counted in tokens or claims comes near the limit.
fn clamp(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
