use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::agent_choice::AgentChoice;
use super::choice::{Choice, Consumed, Kept, Masked, PassedOver, Purpose, Reserved};
use super::output::{Output, Quality};
use super::verdict::{FailedJudgement, Judgement, PersonRating, Review};
use crate::run::SlotsNeed;
use crate::{AgentId, AttemptError, Key, Reply, RetryPolicy, RunId, StepName, TemplateId, Timestamp};

/// The clock and the chance that a decision about retries needs; they come from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Now.
    pub now: Timestamp,
    /// Random, 0 to 1000: where in its spread the pause lies.
    pub jitter_milli: u16,
}

/// What a task ends with, beside the answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ending {
    /// The parts of its output, when they were asked for.
    pub output: Option<Output>,
    /// How good the answer is by what a program can decide.
    pub quality: Option<Quality>,
    /// What became of reviewing it, when it was reviewed.
    pub review: Option<Review>,
    /// The attempt whose answer counts, when that is another one than the command is about.
    pub counts: Option<u32>,
}

/// What may be asked of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskCommand {
    /// Creates it.
    Create {
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
    /// Gives it to an agent.
    Assign {
        /// Which agent.
        agent: AgentId,
        /// That agent's version.
        agent_version: u32,
        /// Why this one, for a person.
        reason: String,
        /// What it was chosen from; `None` when it was named.
        choice: Option<Box<AgentChoice>>,
    },
    /// Limits make it wait for slots.
    Queue {
        /// The slots that the next attempt needs.
        slots: Vec<SlotsNeed>,
    },
    /// An attempt is about to call the platform.
    StartAttempt {
        /// What for.
        purpose: Purpose,
        /// Which platform.
        platform: Key,
        /// Which model; `None` is the platform's default.
        model: Option<String>,
        /// BLAKE3 over the request as the port takes it: equal requests have equal hashes.
        request_hash: [u8; 32],
        /// Why it goes there.
        choice: Choice,
        /// What is set aside for it, in the same append.
        reserved: Vec<Reserved>,
        /// What was masked in the request.
        masked: Vec<Masked>,
        /// The kept answer that serves instead of a call.
        kept: Option<Kept>,
    },
    /// Whoever could be asked rests: the next attempt waits until one of them may be asked again.
    Postpone {
        /// Until when.
        until: Timestamp,
        /// Who was passed over, and why.
        passed_over: Vec<PassedOver>,
        /// What it fails with when that is too late and no attempt has been made yet.
        error: AttemptError,
    },
    /// The running attempt brought an answer.
    SucceedAttempt {
        /// Which attempt.
        attempt: u32,
        /// The answer.
        reply: Reply,
        /// What the task ends with; `None` when the answer is not good enough, so that another attempt follows.
        ending: Option<Ending>,
    },
    /// Ends with an answer that it has, although that was not good enough: nothing better is to be had.
    Complete {
        /// The attempt that brought it.
        attempt: u32,
        /// What the task ends with.
        ending: Ending,
    },
    /// The running attempt failed.
    FailAttempt {
        /// Which attempt.
        attempt: u32,
        /// Why.
        error: AttemptError,
        /// What had been used by then, as far as the platform has told.
        consumed: Option<Consumed>,
        /// Whether another platform is there that can take over at once.
        fallback: bool,
        /// Clock and chance.
        pacing: Pacing,
    },
    /// The process that ran the attempt is gone, and nobody knows what became of the call.
    LoseAttempt {
        /// Which attempt.
        attempt: u32,
        /// Clock and chance.
        pacing: Pacing,
    },
    /// Another node has taken the run: what the former owner has planned for the task must not be recorded any more.
    Fence,
    /// The run's clock stood still while it was paused: what the task waits for moves.
    Defer {
        /// By how much.
        by: Duration,
    },
    /// Fails the task before any attempt could be made.
    Reject {
        /// Why.
        error: AttemptError,
    },
    /// Stops it.
    Cancel {
        /// Why.
        reason: String,
    },
    /// Somebody rates the answer; instead of what they gave before, should they have.
    Rate {
        /// What they give.
        rating: PersonRating,
        /// When the task completed.
        completed_at: Timestamp,
    },
    /// A judge has judged the answer. It is judged once.
    Judge {
        /// What the judge gives.
        judgement: Box<Judgement>,
        /// Why, in the words of the sample that is nearest to the median.
        reason: String,
        /// When the task completed.
        completed_at: Timestamp,
    },
    /// A judge was to judge the answer and brought no mark. Nobody asks again.
    FailJudging {
        /// Why.
        failed: FailedJudgement,
    },
}
