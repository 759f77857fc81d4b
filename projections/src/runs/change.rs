//! What one batch does to one row. `None` leaves a column as it is.

use std::borrow::Cow;

use domain::AttemptError;
use uuid::Uuid;

use crate::projector::storable;

type Text<'a> = Option<Cow<'a, str>>;

/// To a run's row.
#[derive(Debug, Default)]
pub(super) struct RunChange<'a> {
    pub(super) born: Option<RunBirth<'a>>,
    pub(super) status: Option<&'static str>,
    pub(super) output: Option<String>,
    pub(super) simulated: bool,
    pub(super) error: Failure<'a>,
    pub(super) failed_step: Option<&'a str>,
    pub(super) cancel_reason: Text<'a>,
    pub(super) node: Option<Uuid>,
    pub(super) epoch: Option<i64>,
    pub(super) cut_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) position: i64,
}

/// What a run is from the start.
#[derive(Debug)]
pub(super) struct RunBirth<'a> {
    pub(super) workflow_id: Uuid,
    pub(super) workflow_key: &'a str,
    pub(super) version: i32,
    pub(super) input: String,
    pub(super) actor: String,
    pub(super) correlation: Uuid,
    pub(super) priority: i32,
    pub(super) deadline: Option<i64>,
    pub(super) started_at: i64,
    pub(super) position: i64,
}

/// To a step's row. Every event of a step says where it stands.
#[derive(Debug, Default)]
pub(super) struct StepChange<'a> {
    pub(super) status: &'static str,
    pub(super) task_id: Option<Uuid>,
    pub(super) output: Option<String>,
    pub(super) simulated: bool,
    pub(super) error: Failure<'a>,
    pub(super) skip_reason: Text<'a>,
    pub(super) deadline: Option<i64>,
    pub(super) started_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) position: i64,
}

impl StepChange<'_> {
    /// Whether the step begins with this, so that it has no row yet: it starts, or is skipped instead.
    pub(super) fn is_new(&self) -> bool {
        self.started_at.is_some() || self.skip_reason.is_some()
    }
}

/// To a task's row.
#[derive(Debug, Default)]
pub(super) struct TaskChange<'a> {
    pub(super) born: Option<TaskBirth<'a>>,
    pub(super) agent_id: Option<Uuid>,
    pub(super) agent_version: Option<i32>,
    pub(super) assign_reason: Text<'a>,
    /// Together with `retry_at`: a new status also says whether and until when the task waits.
    pub(super) status: Option<&'static str>,
    pub(super) retry_at: Option<i64>,
    pub(super) error: Failure<'a>,
    pub(super) cancel_reason: Text<'a>,
    pub(super) ended_at: Option<i64>,
    pub(super) attempts: i32,
    /// New times for a task that goes on waiting: for its next attempt, and for its first.
    pub(super) retry_moved: Option<Option<i64>>,
    pub(super) start_moved: Option<Option<i64>>,
    pub(super) position: i64,
}

/// What a task is from the start.
#[derive(Debug)]
pub(super) struct TaskBirth<'a> {
    pub(super) run_id: Option<Uuid>,
    pub(super) step: Option<&'a str>,
    pub(super) template_id: Uuid,
    pub(super) template_version: i32,
    pub(super) parameters: String,
    pub(super) created_at: i64,
    pub(super) start_by: Option<i64>,
}

/// To an attempt's row.
#[derive(Debug, Default)]
pub(super) struct AttemptChange<'a> {
    pub(super) born: Option<AttemptBirth<'a>>,
    pub(super) status: Option<&'static str>,
    pub(super) error: Failure<'a>,
    pub(super) answer: Option<Answer<'a>>,
    /// Also known of some that failed.
    pub(super) spent: Spent<'a>,
    pub(super) ended_at: Option<i64>,
    pub(super) late: bool,
}

/// What a platform has counted for an attempt, and what that costs.
#[derive(Debug, Default)]
pub(super) struct Spent<'a> {
    pub(super) input_tokens: Option<i64>,
    pub(super) cached_input_tokens: Option<i64>,
    pub(super) output_tokens: Option<i64>,
    pub(super) reasoning_tokens: Option<i64>,
    pub(super) cost_nano_usd: Option<i64>,
    /// Where that cost comes from; `None` of answers that served again, and of what was recorded before that was kept.
    pub(super) cost_source: Option<&'static str>,
    /// The list of prices that it was computed from.
    pub(super) price_list: Text<'a>,
}

impl Spent<'_> {
    /// Takes over what is known better; what is not known any more stays, as it does in the row. Where the cost comes from
    /// goes with the cost that stands.
    pub(super) fn learn(&mut self, later: Self) {
        let earlier = std::mem::take(self);
        let tells = later.cost_nano_usd.is_some() || (earlier.cost_nano_usd.is_none() && later.cost_source.is_some());
        let (cost_source, price_list) = match tells {
            true => (later.cost_source, later.price_list),
            false => (earlier.cost_source, earlier.price_list),
        };
        *self = Self {
            input_tokens: later.input_tokens.or(earlier.input_tokens),
            cached_input_tokens: later.cached_input_tokens.or(earlier.cached_input_tokens),
            output_tokens: later.output_tokens.or(earlier.output_tokens),
            reasoning_tokens: later.reasoning_tokens.or(earlier.reasoning_tokens),
            cost_nano_usd: later.cost_nano_usd.or(earlier.cost_nano_usd),
            cost_source,
            price_list,
        };
    }
}

/// What an attempt is from the start.
#[derive(Debug)]
pub(super) struct AttemptBirth<'a> {
    pub(super) platform: &'a str,
    pub(super) model: Text<'a>,
    pub(super) request_hash: &'a [u8],
    /// When the kept answer was given that serves instead of a call.
    pub(super) kept_at: Option<i64>,
    pub(super) saved_nano_usd: Option<i64>,
    pub(super) started_at: i64,
}

/// What a platform answered.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) answered_by: Cow<'a, str>,
    pub(super) finish_reason: Cow<'a, str>,
    pub(super) text: Cow<'a, str>,
    pub(super) simulated: bool,
    pub(super) duration_ms: i64,
    pub(super) first_piece_ms: Option<i64>,
}

/// Kind and message of an error; both or neither.
#[derive(Debug, Default)]
pub(super) struct Failure<'a> {
    pub(super) kind: Option<&'static str>,
    pub(super) message: Text<'a>,
}

impl<'a> From<&'a AttemptError> for Failure<'a> {
    fn from(error: &'a AttemptError) -> Self {
        Self { kind: Some(error.kind.name()), message: Some(storable(&error.message)) }
    }
}
