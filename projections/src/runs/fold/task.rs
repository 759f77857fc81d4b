//! What happens to tasks and their attempts.

use std::time::Duration;

use domain::task::TaskStatus;
use domain::{
    Account, CostSource, ErrorKind, FinishReason, NanoUsd, Reply, RunId, StepName, TaskEvent, Timestamp, Usage,
};
use journal::RecordedEvent;

use super::{Fold, clamp, counter, json};
use crate::projector::{ApplyError, number, storable};
use crate::runs::change::{Answer, AttemptBirth, Failure, Spent, TaskBirth};

/// What a lost attempt has for an error; its event carries none.
const LOST: &str = "the process ended while the platform was being called; whether it answered is unknown";

impl<'a> Fold<'a> {
    pub(super) fn task(&mut self, recorded: &'a RecordedEvent, event: &'a TaskEvent) -> Result<(), ApplyError> {
        let id = recorded.stream.id;
        let at = recorded.recorded_at.as_micros();
        let change = self.tasks.entry(id).or_default();
        change.position = number(recorded.position);
        let mut stand = |status: TaskStatus, retry_at: Option<Timestamp>| {
            change.status = Some(status.name());
            change.retry_at = retry_at.map(Timestamp::as_micros);
            change.retry_moved = None;
            if status.is_terminal() {
                change.ended_at = Some(at);
            }
        };
        match event {
            TaskEvent::Created { run, step, template, template_version, parameters, start_by, .. } => {
                stand(TaskStatus::Created, None);
                change.born = Some(TaskBirth {
                    run_id: run.map(RunId::as_uuid),
                    step: step.as_ref().map(StepName::as_str),
                    template_id: template.as_uuid(),
                    template_version: counter(*template_version)?,
                    parameters: json(parameters)?,
                    created_at: at,
                    start_by: start_by.map(Timestamp::as_micros),
                });
            }
            TaskEvent::Assigned { agent, agent_version, reason, choice: _ } => {
                stand(TaskStatus::Assigned, None);
                change.agent_id = Some(agent.as_uuid());
                change.agent_version = Some(counter(*agent_version)?);
                change.assign_reason = Some(storable(reason));
            }
            // The limits' own events tell who waits for them, and what an answer is worth is the business of the quality.
            TaskEvent::Queued { .. }
            | TaskEvent::Rated { .. }
            | TaskEvent::Judged { .. }
            | TaskEvent::JudgingFailed { .. } => {}
            TaskEvent::Deferred { retry_at, start_by } => {
                change.retry_moved = Some(retry_at.map(Timestamp::as_micros));
                change.start_moved = Some(start_by.map(Timestamp::as_micros));
            }
            TaskEvent::Postponed { until, .. } => stand(TaskStatus::Waiting, Some(*until)),
            TaskEvent::AttemptStarted { attempt, platform, model, request_hash, kept, .. } => {
                stand(TaskStatus::Running, None);
                change.attempts = counter(*attempt)?;
                let attempt = self.attempts.entry((id, counter(*attempt)?)).or_default();
                attempt.status = Some("running");
                attempt.born = Some(AttemptBirth {
                    platform: platform.as_str(),
                    model: model.as_deref().map(storable),
                    request_hash,
                    kept_at: kept.map(|kept| kept.at.as_micros()),
                    saved_nano_usd: kept.and_then(|kept| kept.cost).map(|cost| cost.0),
                    started_at: at,
                });
            }
            TaskEvent::AttemptSucceeded { attempt, reply } => {
                let attempt = self.attempts.entry((id, counter(*attempt)?)).or_default();
                attempt.status = Some("succeeded");
                attempt.answer = Some(answer(reply));
                attempt.spent.learn(spent(&reply.usage, reply.cost, reply.account.as_deref()));
                attempt.ended_at = Some(at);
            }
            TaskEvent::AttemptFailed { attempt, error, retry_at, consumed } => {
                if retry_at.is_some() {
                    stand(TaskStatus::Waiting, *retry_at);
                }
                let attempt = self.attempts.entry((id, counter(*attempt)?)).or_default();
                attempt.status = Some("failed");
                attempt.error = Failure::from(error);
                if let Some(consumed) = consumed {
                    attempt.spent.learn(spent(&consumed.usage, consumed.cost, consumed.account.as_deref()));
                }
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
                attempt.spent.learn(spent(&reply.usage, reply.cost, reply.account.as_deref()));
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
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
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
        duration_ms: millis(reply.duration),
        first_piece_ms: reply.first_piece.map(millis),
    }
}

fn spent<'a>(usage: &Usage, cost: Option<NanoUsd>, account: Option<&'a Account>) -> Spent<'a> {
    let source = account.map(|account| &account.source);
    let tokens = |count: Option<u64>| count.map(clamp);
    Spent {
        input_tokens: tokens(usage.input_tokens),
        cached_input_tokens: tokens(usage.cached_input_tokens),
        output_tokens: tokens(usage.output_tokens),
        reasoning_tokens: tokens(usage.reasoning_tokens),
        cost_nano_usd: cost.map(|cost| cost.0),
        cost_source: source.map(CostSource::name),
        price_list: match source {
            Some(CostSource::Listed(list)) => Some(storable(list)),
            _ => None,
        },
    }
}
