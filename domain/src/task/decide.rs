use super::choice::PassedOver;
use super::command::Ending;
use super::failures::Failures;
use super::state::TaskStatus;
use super::verdict::{FailedJudgement, PersonRating, Shift, Standing};
use crate::{AttemptError, ErrorKind, Refusal, Task, TaskCommand, TaskEvent, Timestamp};

/// Why a task refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskRefusal {
    /// It was created before.
    #[error("the task exists already")]
    AlreadyCreated,
    /// It does not stand where the command needs it.
    #[error("the task is {}, so it cannot be {wish}", .status.name())]
    WrongStatus {
        /// Where it stands.
        status: TaskStatus,
        /// What was wanted.
        wish: &'static str,
    },
    /// There is no such attempt.
    #[error("the task has no attempt {attempt}")]
    NoSuchAttempt {
        /// Which attempt.
        attempt: u32,
    },
    /// There is no such task.
    #[error("the task does not exist")]
    NotFound,
    /// There is no answer to say anything about.
    #[error("the task is {}; only the answer of a completed task can be {wish}", .status.name())]
    NotCompleted {
        /// Where it stands.
        status: TaskStatus,
        /// What was wanted.
        wish: &'static str,
    },
}

impl Refusal for TaskRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyCreated => "TASK_EXISTS",
            Self::WrongStatus { .. } => "TASK_WRONG_STATUS",
            Self::NoSuchAttempt { .. } => "ATTEMPT_UNKNOWN",
            Self::NotFound => "TASK_NOT_FOUND",
            Self::NotCompleted { .. } => "TASK_NOT_COMPLETED",
        }
    }
}

pub(super) fn decide(state: &Task, command: TaskCommand) -> Result<Vec<TaskEvent>, TaskRefusal> {
    let status = state.status();
    let wrong = |wish| Err(TaskRefusal::WrongStatus { status, wish });
    match command {
        TaskCommand::Create {
            run,
            step,
            template,
            template_version,
            parameters,
            retry,
            attempt_timeout,
            at,
            start_by,
        } => {
            if status != TaskStatus::Absent {
                return Err(TaskRefusal::AlreadyCreated);
            }
            Ok(vec![TaskEvent::Created {
                run,
                step,
                template,
                template_version,
                parameters,
                retry,
                attempt_timeout,
                at,
                start_by,
            }])
        }
        TaskCommand::Assign { agent, agent_version, reason, choice } => match status {
            TaskStatus::Created => Ok(vec![TaskEvent::Assigned { agent, agent_version, reason, choice }]),
            _ => wrong("assigned"),
        },
        TaskCommand::Queue { slots } => match status {
            TaskStatus::Assigned | TaskStatus::Waiting if state.slots() == slots => Ok(vec![]),
            TaskStatus::Assigned | TaskStatus::Waiting => Ok(vec![TaskEvent::Queued { slots }]),
            _ => wrong("queued"),
        },
        // Nothing changes but the revision, on which everything is based that the former owner may still want.
        TaskCommand::Fence => match status {
            TaskStatus::Created | TaskStatus::Assigned | TaskStatus::Waiting => {
                Ok(vec![TaskEvent::Queued { slots: state.slots().to_vec() }])
            }
            _ => Ok(vec![]),
        },
        TaskCommand::Defer { by } => {
            let (retry_at, start_by) = (state.retry_at(), state.start_by());
            if status.is_terminal() || (retry_at.is_none() && start_by.is_none()) || by.is_zero() {
                return Ok(vec![]);
            }
            let later = |at: Option<Timestamp>| at.map(|at| at.plus(by));
            Ok(vec![TaskEvent::Deferred { retry_at: later(retry_at), start_by: later(start_by) }])
        }
        TaskCommand::StartAttempt { purpose, platform, model, request_hash, choice, reserved, masked, kept } => {
            match status {
                TaskStatus::Assigned | TaskStatus::Waiting => {
                    let attempt = attempts(state) + 1;
                    let choice = Some(choice);
                    Ok(vec![TaskEvent::AttemptStarted {
                        attempt,
                        purpose,
                        platform,
                        model,
                        request_hash,
                        choice,
                        reserved,
                        masked,
                        kept,
                    }])
                }
                _ => wrong("attempted"),
            }
        }
        TaskCommand::Postpone { until, passed_over, error } => match status {
            TaskStatus::Assigned | TaskStatus::Waiting => Ok(postpone(state, until, passed_over, error)),
            _ => wrong("postponed"),
        },
        TaskCommand::SucceedAttempt { attempt, reply, ending } => {
            let reply = Box::new(reply);
            if let Some(counts) = ending.as_ref().and_then(|ending| ending.counts)
                && counts != attempt
                && !state.has_succeeded(counts)
            {
                return Err(TaskRefusal::NoSuchAttempt { attempt: counts });
            }
            if is_running(state, attempt)? {
                let succeeded = TaskEvent::AttemptSucceeded { attempt, reply };
                Ok(std::iter::once(succeeded).chain(ending.map(|ending| completed(attempt, ending))).collect())
            } else if state.has_succeeded(attempt) {
                Ok(vec![])
            } else {
                Ok(vec![TaskEvent::AttemptLate { attempt, reply }])
            }
        }
        TaskCommand::Complete { attempt, ending } => match status {
            TaskStatus::Waiting if state.has_succeeded(attempt) => Ok(vec![completed(attempt, ending)]),
            TaskStatus::Waiting => Err(TaskRefusal::NoSuchAttempt { attempt }),
            _ => wrong("completed"),
        },
        TaskCommand::FailAttempt { attempt, error, consumed, fallback, pacing } => {
            if !is_running(state, attempt)? {
                return Ok(vec![]);
            }
            // It was to better an answer, which is there all the same.
            if state.answer().is_some() {
                let retry_at = (error.kind == ErrorKind::Interrupted).then_some(pacing.now);
                return Ok(vec![TaskEvent::AttemptFailed { attempt, error, retry_at, consumed }]);
            }
            let failures = Failures::of(state, error.clone());
            let retry_at = failures.next_at(state, fallback, pacing);
            let failed = TaskEvent::AttemptFailed { attempt, error, retry_at, consumed };
            Ok(with_end(failed, retry_at, failures))
        }
        TaskCommand::LoseAttempt { attempt, pacing } => {
            if !is_running(state, attempt)? {
                return Ok(vec![]);
            }
            if state.answer().is_some() {
                return Ok(vec![TaskEvent::AttemptLost { attempt, retry_at: None }]);
            }
            let failures = Failures::of(state, Task::lost());
            let retry_at = failures.next_at(state, false, pacing);
            Ok(with_end(TaskEvent::AttemptLost { attempt, retry_at }, retry_at, failures))
        }
        TaskCommand::Reject { error } => match status {
            TaskStatus::Created | TaskStatus::Assigned | TaskStatus::Waiting => Ok(vec![TaskEvent::Failed { error }]),
            _ => wrong("rejected"),
        },
        TaskCommand::Cancel { reason } => match status {
            TaskStatus::Absent => wrong("cancelled"),
            status if status.is_terminal() => Ok(vec![]),
            _ => Ok(vec![TaskEvent::Cancelled { reason }]),
        },
        TaskCommand::Rate { rating, completed_at } => {
            has_completed(state, "rated")?;
            let same = |known: &PersonRating| {
                known.by == rating.by && known.mark == rating.mark && known.comment == rating.comment
            };
            if state.ratings().iter().any(same) {
                return Ok(vec![]);
            }
            let mut ratings: Vec<_> = state.ratings().iter().filter(|known| known.by != rating.by).cloned().collect();
            ratings.push(rating.clone());
            let checks = state.quality().map(AsRef::as_ref);
            let after = Standing::of(checks, state.judgement().map(AsRef::as_ref), &ratings);
            let shift = shift(state, after.as_ref(), completed_at);
            let PersonRating { by, mark, comment, at } = rating;
            Ok(vec![TaskEvent::Rated { by, mark, comment, at, shift }])
        }
        TaskCommand::Judge { judgement, reason, completed_at } => {
            has_completed(state, "judged")?;
            if state.was_judged() || judgement.marks.is_empty() {
                return Ok(vec![]);
            }
            let after = Standing::of(state.quality().map(AsRef::as_ref), Some(&judgement), state.ratings());
            let shift = shift(state, after.as_ref(), completed_at);
            Ok(vec![TaskEvent::Judged { judgement, reason, shift }])
        }
        TaskCommand::FailJudging { failed } => {
            has_completed(state, "judged")?;
            let FailedJudgement { run, reason, at } = failed;
            Ok(if state.was_judged() { vec![] } else { vec![TaskEvent::JudgingFailed { run, reason, at }] })
        }
    }
}

fn has_completed(state: &Task, wish: &'static str) -> Result<(), TaskRefusal> {
    match state.status() {
        TaskStatus::Completed => Ok(()),
        TaskStatus::Absent => Err(TaskRefusal::NotFound),
        status => Err(TaskRefusal::NotCompleted { status, wish }),
    }
}

/// What a verdict makes of the quality that the agent's task counts for. What was simulated says nothing about an agent.
fn shift(state: &Task, after: Option<&Standing>, completed_at: Timestamp) -> Option<Shift> {
    let (agent, _) = state.agent()?;
    if state.reply()?.simulated {
        return None;
    }
    let from = state.standing().and_then(|before| before.counting().map(|part| part.mark));
    let to = after?.counting()?.mark;
    (from != Some(to)).then_some(Shift { agent, completed_at, from, to })
}

fn completed(attempt: u32, Ending { output, quality, review, counts }: Ending) -> TaskEvent {
    let (output, quality, review) = (output.map(Box::new), quality.map(Box::new), review.map(Box::new));
    TaskEvent::Completed { attempt: counts.unwrap_or(attempt), output, quality, review }
}

fn attempts(state: &Task) -> u32 {
    u32::try_from(state.attempts().len()).unwrap_or(u32::MAX)
}

/// Whether this very attempt is under way; an attempt that never started is refused.
fn is_running(state: &Task, attempt: u32) -> Result<bool, TaskRefusal> {
    if attempt == 0 || attempt > attempts(state) {
        return Err(TaskRefusal::NoSuchAttempt { attempt });
    }
    Ok(!state.status().is_terminal() && state.running_attempt().is_some_and(|running| running.number == attempt))
}

fn postpone(state: &Task, until: Timestamp, passed_over: Vec<PassedOver>, error: AttemptError) -> Vec<TaskEvent> {
    if state.retry_at() == Some(until) && state.passed_over() == passed_over {
        return vec![];
    }
    let in_budget =
        state.order().is_none_or(|order| order.retry.budget.is_none_or(|most| until <= order.at.plus(most)));
    if !in_budget {
        let error = match state.last_error() {
            Some(last) => Failures::of(state, last).verdict(),
            None => error,
        };
        return vec![TaskEvent::Failed { error }];
    }
    // Who rests lets others have the slots.
    let gives_back = (!state.slots().is_empty()).then(|| TaskEvent::Queued { slots: vec![] });
    gives_back.into_iter().chain([TaskEvent::Postponed { until, passed_over }]).collect()
}

fn with_end(event: TaskEvent, retry_at: Option<Timestamp>, failures: Failures<'_>) -> Vec<TaskEvent> {
    match retry_at {
        Some(_) => vec![event],
        None => vec![event, TaskEvent::Failed { error: failures.verdict() }],
    }
}
