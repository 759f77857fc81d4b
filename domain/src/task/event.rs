use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent_choice::AgentChoice;
use super::choice::{Choice, Consumed, Kept, Masked, PassedOver, Purpose, Reserved};
use super::output::{Output, Quality, Score};
use super::verdict::{Judgement, Review, Shift};
use crate::run::SlotsNeed;
use crate::{Actor, AgentId, AttemptError, Key, Reply, RetryPolicy, RunId, StepName, TemplateId, Timestamp};

/// What can happen to a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TaskEvent {
    /// It came to be.
    Created {
        /// The run that it belongs to.
        run: Option<RunId>,
        /// The step that it belongs to.
        step: Option<StepName>,
        /// What is to be done.
        template: TemplateId,
        /// That template's version.
        template_version: u32,
        /// The template's parameters.
        parameters: Arc<Value>,
        /// When a failed attempt is repeated.
        retry: RetryPolicy,
        /// How long one attempt may take.
        attempt_timeout: Duration,
        /// When.
        at: Timestamp,
        /// When it fails if no attempt has started by then.
        start_by: Option<Timestamp>,
    },
    /// An agent took it.
    Assigned {
        /// Which agent.
        agent: AgentId,
        /// That agent's version.
        agent_version: u32,
        /// Why this one, for a person.
        reason: String,
        /// What it was chosen from; `None` when it was named.
        choice: Option<Box<AgentChoice>>,
    },
    /// It waits for slots of limits before the next attempt starts. They are given back when that attempt ends. Also
    /// recorded, with what it waited for already or nothing, when another node takes the run.
    Queued {
        /// Which ones.
        slots: Vec<SlotsNeed>,
    },
    /// A platform is being called.
    AttemptStarted {
        /// Counts from 1.
        attempt: u32,
        /// What for.
        purpose: Purpose,
        /// Which platform.
        platform: Key,
        /// Which model; `None` is the platform's default.
        model: Option<String>,
        /// BLAKE3 over the request.
        request_hash: [u8; 32],
        /// Why it goes there; `None` in what was recorded before that was said.
        choice: Option<Choice>,
        /// What is set aside for it until it ends.
        reserved: Vec<Reserved>,
        /// What was masked in the request.
        masked: Vec<Masked>,
        /// The kept answer that serves instead of a call.
        kept: Option<Kept>,
    },
    /// Whoever could be asked rests, so the next attempt waits.
    Postponed {
        /// Until when.
        until: Timestamp,
        /// Who was passed over, and why.
        passed_over: Vec<PassedOver>,
    },
    /// The platform answered.
    AttemptSucceeded {
        /// Which attempt.
        attempt: u32,
        /// The answer.
        reply: Box<Reply>,
    },
    /// The attempt failed.
    AttemptFailed {
        /// Which attempt.
        attempt: u32,
        /// Why.
        error: AttemptError,
        /// When the next one starts; `None` when there is none.
        retry_at: Option<Timestamp>,
        /// What had been used by then, as far as the platform has told.
        consumed: Option<Consumed>,
    },
    /// The process died between calling and recording; the cost of the attempt is unknown.
    AttemptLost {
        /// Which attempt.
        attempt: u32,
        /// When the next one starts; `None` when there is none.
        retry_at: Option<Timestamp>,
    },
    /// An answer came after the attempt had been given up; it changes nothing.
    AttemptLate {
        /// Which attempt.
        attempt: u32,
        /// The answer.
        reply: Box<Reply>,
    },
    /// The run's clock stood still while it was paused.
    Deferred {
        /// When the next attempt starts instead; `None` when none is planned.
        retry_at: Option<Timestamp>,
        /// When it fails instead if no attempt has started by then.
        start_by: Option<Timestamp>,
    },
    /// Done.
    Completed {
        /// The attempt whose answer counts.
        attempt: u32,
        /// The parts of its output; `None` when only the results were asked for, which are the answer.
        output: Option<Box<Output>>,
        /// How good it is by what a program can decide; `None` when there was nothing to decide.
        quality: Option<Box<Quality>>,
        /// What became of reviewing it; `None` when it was not reviewed.
        review: Option<Box<Review>>,
    },
    /// Failed for good.
    Failed {
        /// The last error; when several platforms were asked, that of the first, with every attempt in its message.
        error: AttemptError,
    },
    /// Stopped on request.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// Somebody has rated the answer.
    Rated {
        /// Who.
        by: Actor,
        /// What they give.
        mark: Score,
        /// In their words; empty when they say nothing.
        comment: String,
        /// When.
        at: Timestamp,
        /// What that makes of the quality that the task counts for; `None` when it counts for nobody.
        shift: Option<Shift>,
    },
    /// A judge has judged the answer.
    Judged {
        /// What the judge gives.
        judgement: Box<Judgement>,
        /// Why, in the words of the sample that is nearest to the median.
        reason: String,
        /// What that makes of the quality that the task counts for; `None` when it counts for nobody, or people's word
        /// counts.
        shift: Option<Shift>,
    },
    /// A judge was to judge the answer and brought no mark.
    JudgingFailed {
        /// The run in which it was asked; `None` when it could not be asked at all.
        run: Option<RunId>,
        /// Why there is no mark.
        reason: String,
        /// When.
        at: Timestamp,
    },
}

impl TaskEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "task.created",
            Self::Assigned { .. } => "task.assigned",
            Self::Queued { .. } => "task.queued",
            Self::AttemptStarted { .. } => "task.attempt_started",
            Self::Postponed { .. } => "task.postponed",
            Self::AttemptSucceeded { .. } => "task.attempt_succeeded",
            Self::AttemptFailed { .. } => "task.attempt_failed",
            Self::AttemptLost { .. } => "task.attempt_lost",
            Self::AttemptLate { .. } => "task.attempt_late",
            Self::Deferred { .. } => "task.deferred",
            Self::Completed { .. } => "task.completed",
            Self::Failed { .. } => "task.failed",
            Self::Cancelled { .. } => "task.cancelled",
            Self::Rated { .. } => "task.rated",
            Self::Judged { .. } => "task.judged",
            Self::JudgingFailed { .. } => "task.judging_failed",
        }
    }
}
