use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent_choice::AgentChoice;
use super::choice::{Consumed, PassedOver, Purpose, Reserved};
use super::output::{Output, Quality};
use super::verdict::{FailedJudgement, Judgement, PersonRating, Review, Standing};
use crate::budget::Unit;
use crate::run::SlotsNeed;
use crate::{
    AgentId, AttemptError, ErrorKind, Key, Reply, RetryPolicy, RunId, StepName, TaskEvent, TemplateId, Timestamp,
};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// It does not exist.
    #[default]
    Absent,
    /// No agent has it yet.
    Created,
    /// An agent has it; no platform is being called.
    Assigned,
    /// A platform is being called.
    Running,
    /// An attempt failed, or whoever could be asked rests, and the next one waits for its time.
    Waiting,
    /// Done.
    Completed,
    /// Failed for good.
    Failed,
    /// Stopped on request.
    Cancelled,
}

impl TaskStatus {
    /// Whether the task has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Created => "created",
            Self::Assigned => "assigned",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How an attempt stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AttemptStatus {
    /// The platform is being called.
    Running,
    /// It answered.
    Succeeded(Arc<Reply>),
    /// It failed.
    Failed(AttemptError),
    /// The process died in between.
    Lost,
    /// It was cut because the task was cancelled.
    Cancelled,
}

/// One call to a platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
    /// What for.
    pub purpose: Purpose,
    /// Which platform.
    pub platform: Key,
    /// Which model.
    pub model: Option<String>,
    /// How it stands.
    pub status: AttemptStatus,
    /// What was set aside for it; settled once it has ended.
    pub reserved: Vec<Reserved>,
    /// What it had used although it failed, as far as the platform has told.
    pub consumed: Option<Consumed>,
}

impl Attempt {
    /// Whether it is over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.status != AttemptStatus::Running
    }

    /// How much of a unit it has used; `None` while it runs, and when nobody knows. What a platform refused before it
    /// had done anything is nothing.
    #[must_use]
    pub fn used(&self, unit: Unit) -> Option<u64> {
        let (usage, cost) = match &self.status {
            AttemptStatus::Succeeded(reply) => (reply.usage, reply.cost),
            AttemptStatus::Failed(error) => match &self.consumed {
                Some(Consumed { usage, cost, .. }) => (*usage, *cost),
                None => return (!error.kind.may_have_cost()).then_some(0),
            },
            AttemptStatus::Running | AttemptStatus::Lost | AttemptStatus::Cancelled => return None,
        };
        match unit {
            Unit::Money => u64::try_from(cost?.0).ok(),
            Unit::Tokens => Some(usage.input_tokens?.saturating_add(usage.output_tokens?)),
        }
    }

    /// Whether HishamOS itself cut it short because it was being stopped.
    #[must_use]
    pub fn was_interrupted(&self) -> bool {
        matches!(&self.status, AttemptStatus::Failed(error) if error.kind == ErrorKind::Interrupted)
    }
}

/// What a task was created for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The run that it belongs to.
    pub run: Option<RunId>,
    /// The step that it belongs to.
    pub step: Option<StepName>,
    /// What is to be done.
    pub template: TemplateId,
    /// That template's version.
    pub template_version: u32,
    /// The template's parameters.
    pub parameters: Arc<Value>,
    /// When a failed attempt is repeated.
    pub retry: RetryPolicy,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
    /// When it was created; the retry budget counts from here.
    pub at: Timestamp,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Task {
    order: Option<Order>,
    agent: Option<(AgentId, u32)>,
    choice: Option<Arc<AgentChoice>>,
    status: TaskStatus,
    attempts: Vec<Attempt>,
    retry_at: Option<Timestamp>,
    start_by: Option<Timestamp>,
    slots: Vec<SlotsNeed>,
    gave_up: Vec<SlotsNeed>,
    passed_over: Vec<PassedOver>,
    error: Option<AttemptError>,
    done: Option<Done>,
    ratings: Vec<PersonRating>,
    judgement: Option<(Arc<Judgement>, String)>,
    unjudged: Option<Arc<FailedJudgement>>,
}

/// What a task has completed with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Done {
    attempt: u32,
    output: Option<Arc<Output>>,
    quality: Option<Arc<Quality>>,
    review: Option<Arc<Review>>,
}

impl Task {
    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        self.status
    }

    /// What it was created for; `None` when it does not exist.
    #[must_use]
    pub fn order(&self) -> Option<&Order> {
        self.order.as_ref()
    }

    /// The agent that has it, and the agent's version.
    #[must_use]
    pub fn agent(&self) -> Option<(AgentId, u32)> {
        self.agent
    }

    /// What the agent was chosen from; `None` when it was named.
    #[must_use]
    pub fn agent_choice(&self) -> Option<&Arc<AgentChoice>> {
        self.choice.as_ref()
    }

    /// Every attempt, oldest first.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The attempt under way.
    #[must_use]
    pub fn running_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.status == AttemptStatus::Running)
    }

    /// Whether this very attempt brought the answer.
    #[must_use]
    pub fn has_succeeded(&self, attempt: u32) -> bool {
        let succeeded = |known: &Attempt| matches!(known.status, AttemptStatus::Succeeded(_));
        self.attempts.iter().any(|known| known.number == attempt && succeeded(known))
    }

    /// When the next attempt starts, while waiting.
    #[must_use]
    pub fn retry_at(&self) -> Option<Timestamp> {
        self.retry_at
    }

    /// When it fails if no attempt has started by then; `None` once one has.
    #[must_use]
    pub fn start_by(&self) -> Option<Timestamp> {
        self.start_by
    }

    /// The slots that it waits for, or that its running attempt holds.
    #[must_use]
    pub fn slots(&self) -> &[SlotsNeed] {
        &self.slots
    }

    /// The slots that it gave up last. They were given back with that, unless the append was recorded in part.
    #[must_use]
    pub fn gave_up(&self) -> &[SlotsNeed] {
        &self.gave_up
    }

    /// Who rests, when the next attempt waits for nothing but that; empty otherwise.
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Why it failed, once failed.
    #[must_use]
    pub fn error(&self) -> Option<&AttemptError> {
        self.error.as_ref()
    }

    /// Why the last attempt failed, when it did.
    #[must_use]
    pub fn last_error(&self) -> Option<AttemptError> {
        match &self.attempts.last()?.status {
            AttemptStatus::Failed(error) => Some(error.clone()),
            AttemptStatus::Lost => Some(Self::lost()),
            _ => None,
        }
    }

    /// The answer, once completed.
    #[must_use]
    pub fn reply(&self) -> Option<&Arc<Reply>> {
        let counts = self.done.as_ref()?.attempt;
        self.answers().find(|(attempt, _)| attempt.number == counts).map(|(_, reply)| reply)
    }

    /// The attempt whose answer counts, once completed.
    #[must_use]
    pub fn counting_attempt(&self) -> Option<u32> {
        Some(self.done.as_ref()?.attempt)
    }

    /// The first answer that an attempt has brought, whether or not the task has ended with it.
    #[must_use]
    pub fn answer(&self) -> Option<(&Attempt, &Arc<Reply>)> {
        self.answers().next()
    }

    /// Every answer that an attempt has brought, oldest first.
    pub fn answers(&self) -> impl Iterator<Item = (&Attempt, &Arc<Reply>)> {
        self.attempts.iter().filter_map(|attempt| match &attempt.status {
            AttemptStatus::Succeeded(reply) => Some((attempt, reply)),
            _ => None,
        })
    }

    /// The parts of its output, once completed, when they were asked for.
    #[must_use]
    pub fn output(&self) -> Option<&Arc<Output>> {
        self.done.as_ref()?.output.as_ref()
    }

    /// How good its answer is by what a program can decide, once completed.
    #[must_use]
    pub fn quality(&self) -> Option<&Arc<Quality>> {
        self.done.as_ref()?.quality.as_ref()
    }

    /// What became of reviewing its answer, once completed, when it was reviewed.
    #[must_use]
    pub fn review(&self) -> Option<&Arc<Review>> {
        self.done.as_ref()?.review.as_ref()
    }

    /// What people give its answer: the last rating of each, in the order in which they came.
    #[must_use]
    pub fn ratings(&self) -> &[PersonRating] {
        &self.ratings
    }

    /// What a judge gives its answer.
    #[must_use]
    pub fn judgement(&self) -> Option<&Arc<Judgement>> {
        self.judgement.as_ref().map(|(judgement, _)| judgement)
    }

    /// Why a judge gives its answer that mark, in the judge's words.
    #[must_use]
    pub fn judge_reason(&self) -> Option<&str> {
        self.judgement.as_ref().map(|(_, reason)| reason.as_str())
    }

    /// Why a judge that was to judge its answer brought no mark.
    #[must_use]
    pub fn failed_judgement(&self) -> Option<&Arc<FailedJudgement>> {
        self.unjudged.as_ref()
    }

    /// Whether a judge was asked, whatever came of it.
    #[must_use]
    pub fn was_judged(&self) -> bool {
        self.judgement.is_some() || self.unjudged.is_some()
    }

    /// How good its answer is by everybody who has said so.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        Standing::of(self.quality().map(AsRef::as_ref), self.judgement().map(AsRef::as_ref), &self.ratings)
    }

    pub(super) fn fold(&mut self, event: TaskEvent) {
        match event {
            TaskEvent::Created {
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
                self.order =
                    Some(Order { run, step, template, template_version, parameters, retry, attempt_timeout, at });
                self.start_by = start_by;
                self.status = TaskStatus::Created;
            }
            TaskEvent::Assigned { agent, agent_version, reason: _, choice } => {
                self.agent = Some((agent, agent_version));
                self.choice = choice.map(Arc::from);
                self.status = TaskStatus::Assigned;
            }
            TaskEvent::Queued { slots } => self.want(slots),
            TaskEvent::Deferred { retry_at, start_by } => {
                self.retry_at = retry_at;
                self.start_by = start_by;
            }
            TaskEvent::Postponed { until, passed_over } => {
                self.retry_at = Some(until);
                self.passed_over = passed_over;
                self.status = TaskStatus::Waiting;
            }
            TaskEvent::AttemptStarted { attempt, purpose, platform, model, reserved, .. } => {
                self.passed_over.clear();
                self.attempts.push(Attempt {
                    number: attempt,
                    purpose,
                    platform,
                    model,
                    status: AttemptStatus::Running,
                    reserved,
                    consumed: None,
                });
                self.status = TaskStatus::Running;
                self.retry_at = None;
                self.start_by = None;
            }
            TaskEvent::AttemptSucceeded { reply, .. } => self.settle(AttemptStatus::Succeeded(Arc::from(reply)), None),
            TaskEvent::AttemptFailed { error, retry_at, consumed, .. } => {
                if let Some(attempt) = self.attempts.last_mut() {
                    attempt.consumed = consumed;
                }
                self.settle(AttemptStatus::Failed(error), retry_at);
            }
            TaskEvent::AttemptLost { retry_at, .. } => self.settle(AttemptStatus::Lost, retry_at),
            TaskEvent::AttemptLate { .. } => {}
            TaskEvent::Completed { attempt, output, quality, review } => {
                self.done = Some(Done {
                    attempt,
                    output: output.map(Arc::from),
                    quality: quality.map(Arc::from),
                    review: review.map(Arc::from),
                });
                self.status = TaskStatus::Completed;
                self.passed_over.clear();
                self.retry_at = None;
                self.want(vec![]);
            }
            TaskEvent::Failed { error } => {
                self.status = TaskStatus::Failed;
                self.error = Some(error);
                self.passed_over.clear();
                self.retry_at = None;
                self.start_by = None;
                self.want(vec![]);
            }
            TaskEvent::Cancelled { .. } => {
                if self.running_attempt().is_some() {
                    self.settle(AttemptStatus::Cancelled, None);
                }
                self.status = TaskStatus::Cancelled;
                self.passed_over.clear();
                self.retry_at = None;
                self.start_by = None;
                self.want(vec![]);
            }
            TaskEvent::Rated { by, mark, comment, at, shift: _ } => self.rate(PersonRating { by, mark, comment, at }),
            TaskEvent::Judged { judgement, reason, shift: _ } => self.judgement = Some((Arc::from(judgement), reason)),
            TaskEvent::JudgingFailed { run, reason, at } => {
                self.unjudged = Some(Arc::new(FailedJudgement { run, reason, at }));
            }
        }
    }

    fn rate(&mut self, rating: PersonRating) {
        self.ratings.retain(|known| known.by != rating.by);
        self.ratings.push(rating);
    }

    fn want(&mut self, slots: Vec<SlotsNeed>) {
        let before = std::mem::replace(&mut self.slots, slots);
        let dropped: Vec<SlotsNeed> = before.into_iter().filter(|need| !self.slots.contains(need)).collect();
        if !dropped.is_empty() {
            self.gave_up = dropped;
        }
    }

    fn settle(&mut self, status: AttemptStatus, retry_at: Option<Timestamp>) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.status = status;
        }
        self.retry_at = retry_at;
        self.want(vec![]);
        // With an answer it waits, if only for the decision that it ends with that.
        if retry_at.is_some() || self.answer().is_some() {
            self.status = TaskStatus::Waiting;
        }
    }

    /// The error that a lost attempt stands for.
    pub(super) fn lost() -> AttemptError {
        AttemptError {
            kind: ErrorKind::Lost,
            message: "the process ended while the platform was being called; whether it answered is unknown".to_owned(),
            retry_after: None,
        }
    }
}
