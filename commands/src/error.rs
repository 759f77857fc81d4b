use domain::task::TaskStatus;
use domain::{ActionId, CommandId, ExpressionError, Key, Refusal, RunId, StepName, TaskId, ValueTooLarge};
use journal::{AppendError, ExecuteError, Position, ReadError};

use crate::SchemaError;
use crate::catalog::Fault;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rules say no; part of the API.
    #[error("{0}")]
    Refused(Box<dyn Refusal>),
    /// Too many changed the same thing at the same time; trying again is right.
    #[error("{0}")]
    Conflict(String),
    /// The journal's disk is full. Nothing was recorded.
    #[error("the journal's disk is full, so nothing was recorded; make space on the server and try again")]
    Full,
    /// The journal failed. Nothing was recorded, unless the cause is [`AppendError::Unclear`]; repeating the command with
    /// the same id is safe in both cases.
    #[error("the journal failed")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The stable code; every code has a page in docs/errors.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Conflict(_) => "CONFLICT",
            Self::Full => "STORAGE_FULL",
            Self::Unavailable(_) => "UNAVAILABLE",
        }
    }

    /// Whether the rules said no, as opposed to bad luck or a failure.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// Refusals that span aggregates, or that stand before any aggregate is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No workflow has this key.
    #[error("there is no workflow `{0}`; `hishamos catalog load` loads the catalogue")]
    WorkflowNotFound(Key),
    /// The workflow has only drafts.
    #[error("workflow `{0}` has no active version; activate one first")]
    WorkflowNotActive(Key),
    /// That version does not exist.
    #[error("workflow `{key}` has no version {version}; the newest is {newest}")]
    WorkflowVersionNotFound {
        /// Which workflow.
        key: Key,
        /// What was asked for.
        version: u32,
        /// What there is.
        newest: u32,
    },
    /// The definition does not fit the agents and templates that there are.
    #[error("workflow `{key}` cannot be activated: {first}{}", more_faults(.more))]
    DoesNotFit {
        /// Which workflow.
        key: Key,
        /// What does not fit.
        first: Box<Fault>,
        /// How many further faults there are.
        more: usize,
    },
    /// No agent has this key.
    #[error("there is no agent `{0}`")]
    AgentNotFound(Key),
    /// No template has this key.
    #[error("there is no template `{0}`; `hishamos catalog load` loads the catalogue")]
    TemplateNotFound(Key),
    /// No template does what somebody wants.
    #[error(
        "no registered template has anything in common with this; `hishamos catalog load` registers those of the catalogue"
    )]
    NothingFits,
    /// The parameters do not fit the template.
    #[error("the parameters do not fit template `{template}`: {problems}")]
    ParametersInvalid {
        /// Which template.
        template: Key,
        /// Every problem, with its place.
        problems: String,
    },
    /// No limit has this key.
    #[error("there is no limit `{0}`")]
    LimitNotFound(Key),
    /// No trigger has this key.
    #[error("there is no trigger `{0}`")]
    TriggerNotFound(Key),
    /// A trigger's mapping cannot make the input of its run.
    #[error("the trigger cannot make the input `{name}`: {error}")]
    TriggerInput {
        /// Which value of the input.
        name: StepName,
        /// Why not.
        error: ExpressionError,
    },
    /// A range of the past that cannot be made up for.
    #[error("the backfill is not possible: {0}")]
    BackfillInvalid(String),
    /// An id of an external event that is none.
    #[error("the id of an event must have 1 to {max} bytes")]
    EventIdInvalid {
        /// The longest.
        max: usize,
    },
    /// A priority out of its range.
    #[error("the priority {priority} is out of its range; it must be -100 to 100")]
    PriorityInvalid {
        /// What was given.
        priority: i32,
    },
    /// An idempotency key that is none.
    #[error("an idempotency key must have 1 to {max} bytes")]
    IdempotencyKeyInvalid {
        /// The longest.
        max: usize,
    },
    /// The key belongs to a run that was started otherwise.
    #[error("the idempotency key `{key}` belongs to run {run}, which was started with another workflow or input")]
    IdempotencyKeyReused {
        /// Which key.
        key: String,
        /// Its run.
        run: RunId,
    },
    /// The command's id came with another request before.
    #[error("the command id {0} came with another request before; take a new one for a new request")]
    CommandReused(CommandId),
    /// Only what ended without completing can be tried again.
    #[error("run {run} is {}; only a failed or cancelled run can be retried. To do a completed run again, rerun it from a step", .status.name())]
    RunNotRetryable {
        /// Which run.
        run: RunId,
        /// Where it stands.
        status: domain::run::RunStatus,
    },
    /// The workflow has no such step, or none that an agent carries out.
    #[error("workflow `{workflow}` has no step `{step}` of the kind that this needs")]
    StepUnknown {
        /// Which workflow.
        workflow: Key,
        /// Which step.
        step: StepName,
    },
    /// The run has no such event.
    #[error("run {run} has no event with revision {revision}; its last one is {head}")]
    RevisionUnknown {
        /// Which run.
        run: RunId,
        /// What was asked for.
        revision: u64,
        /// What there is.
        head: u64,
    },
    /// No run has this id.
    #[error("there is no run {0}")]
    RunNotFound(RunId),
    /// The run's input does not fit the workflow's schema.
    #[error("the input does not fit workflow `{workflow}`: {problems}")]
    InputInvalid {
        /// Which workflow.
        workflow: Key,
        /// Every problem, with its place.
        problems: String,
    },
    /// The run's input is too large, or nested too deeply.
    #[error("the input {0}")]
    InputTooLarge(ValueTooLarge),
    /// A schema that is no JSON Schema.
    #[error("{place}: {error}")]
    SchemaInvalid {
        /// Whose schema.
        place: String,
        /// What is wrong with it.
        error: SchemaError,
    },
    /// An example that does not fit the template's own parameters.
    #[error("the example of template `{key}` does not fit its parameters: {problems}")]
    ExampleInvalid {
        /// Which template.
        key: Key,
        /// Every problem, with its place.
        problems: String,
    },
    /// There is no master key.
    #[error("this installation has no master key for webhooks, so there are none")]
    WebhooksOff,
    /// There are as many as there may be.
    #[error("there are {max} webhooks, which is the most there may be; delete one first")]
    WebhooksTooMany {
        /// The most.
        max: usize,
    },
    /// The master key is another one.
    #[error("{0}")]
    WebhookKey(crate::webhooks::OtherKey),
    /// A range that cannot be delivered once more.
    #[error("the replay is not possible: {0}")]
    ReplayInvalid(String),
    /// A person's name that is none.
    #[error("a subject is named by 1 to {max} characters without line breaks")]
    SubjectInvalid {
        /// The longest.
        max: usize,
    },
    /// There is no list of subjects.
    #[error("this installation keeps no list of subjects, so no run can be about one")]
    SubjectsOff,
    /// Nobody of this name is in the list.
    #[error("there is no subject `{0}`; `hishamos privacy list` shows who there is")]
    SubjectNotFound(String),
    /// Runs about this subject go on.
    #[error("{} runs about this subject have not ended, such as {first}; cancel them or wait", .runs)]
    SubjectHasLiveRuns {
        /// How many.
        runs: usize,
        /// One of them.
        first: RunId,
    },
    /// There is no such task.
    #[error("there is no task {0}")]
    TaskNotFound(TaskId),
    /// It goes on.
    #[error("task {task} is {}, so it cannot be done again yet; wait for its end, or cancel its run", .status.name())]
    TaskNotEnded {
        /// Which task.
        task: TaskId,
        /// Where it stands.
        status: TaskStatus,
    },
    /// The template has no such version.
    #[error("the template of task {task} has no version {version}; its newest is {newest}")]
    TemplateVersionNotFound {
        /// Which task.
        task: TaskId,
        /// The version that was wanted.
        version: u32,
        /// The newest.
        newest: u32,
    },
    /// There is no such action item.
    #[error(
        "there is no action item {0}; `hishamos actions` shows which there are. What several tasks of a run ask for is one"
    )]
    ActionNotFound(ActionId),
    /// Its run goes on.
    #[error("action item {id} is tracked once run {run} has ended")]
    ActionNotYet {
        /// Which one.
        id: ActionId,
        /// The run.
        run: RunId,
    },
    /// A rating that is none.
    #[error("{mark} is no rating; it must be a whole number from 1 to 10")]
    RatingInvalid {
        /// What was given.
        mark: i64,
    },
    /// A comment on a rating that is too long.
    #[error("the comment has {length} bytes; a comment on a rating has at most {max}")]
    RatingCommentTooLong {
        /// How long it is.
        length: usize,
        /// The longest.
        max: usize,
    },
    /// More would have to be folded from the journal than one question may cost.
    #[error("as of position {position} this takes more than can be folded for one answer: more than {max} events")]
    TooMuchPast {
        /// As of where.
        position: Position,
        /// The most.
        max: usize,
    },
    /// What is to be recorded is larger than the journal takes.
    #[error("the request cannot be recorded: {0}")]
    TooLarge(String),
}

fn more_faults(more: &usize) -> String {
    if *more == 0 { String::new() } else { format!(" (and {more} more)") }
}

impl Refusal for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::WorkflowNotFound(_) => "WORKFLOW_NOT_FOUND",
            Self::WorkflowNotActive(_) => "WORKFLOW_NOT_ACTIVE",
            Self::WorkflowVersionNotFound { .. } => "WORKFLOW_VERSION_UNKNOWN",
            Self::DoesNotFit { first, .. } => match **first {
                Fault::UnknownAgent { .. } => "WORKFLOW_UNKNOWN_AGENT",
                Fault::UnknownTemplate { .. } => "WORKFLOW_UNKNOWN_TEMPLATE",
                _ => "WORKFLOW_STEP_INPUT_MISMATCH",
            },
            Self::AgentNotFound(_) => "AGENT_NOT_FOUND",
            Self::TemplateNotFound(_) | Self::NothingFits => "TEMPLATE_NOT_FOUND",
            Self::ParametersInvalid { .. } => "RUN_INPUT_INVALID",
            Self::LimitNotFound(_) => "LIMIT_NOT_FOUND",
            Self::TriggerNotFound(_) => "TRIGGER_NOT_FOUND",
            Self::TriggerInput { .. } => "TRIGGER_INPUT_FAILED",
            Self::BackfillInvalid(_) => "BACKFILL_INVALID",
            Self::EventIdInvalid { .. } => "EVENT_ID_INVALID",
            Self::PriorityInvalid { .. } => "RUN_PRIORITY_INVALID",
            Self::IdempotencyKeyInvalid { .. } => "IDEMPOTENCY_KEY_INVALID",
            Self::IdempotencyKeyReused { .. } | Self::CommandReused(_) => "IDEMPOTENCY_KEY_REUSED",
            Self::RunNotRetryable { .. } => "RUN_NOT_RETRYABLE",
            Self::StepUnknown { .. } => "STEP_UNKNOWN",
            Self::RevisionUnknown { .. } => "REVISION_UNKNOWN",
            Self::RunNotFound(_) => "RUN_NOT_FOUND",
            Self::InputInvalid { .. } => "RUN_INPUT_INVALID",
            Self::InputTooLarge(_) => "RUN_INPUT_TOO_LARGE",
            Self::SchemaInvalid { .. } => "SCHEMA_INVALID",
            Self::ExampleInvalid { .. } => "TEMPLATE_EXAMPLE_INVALID",
            Self::WebhooksOff => "WEBHOOKS_OFF",
            Self::WebhooksTooMany { .. } => "WEBHOOKS_TOO_MANY",
            Self::WebhookKey(_) => "WEBHOOK_KEY_UNKNOWN",
            Self::ReplayInvalid(_) => "REPLAY_INVALID",
            Self::SubjectInvalid { .. } => "SUBJECT_INVALID",
            Self::SubjectsOff => "SUBJECTS_OFF",
            Self::SubjectNotFound(_) => "SUBJECT_NOT_FOUND",
            Self::SubjectHasLiveRuns { .. } => "SUBJECT_HAS_LIVE_RUNS",
            Self::TaskNotFound(_) => "TASK_NOT_FOUND",
            Self::TaskNotEnded { .. } => "TASK_NOT_ENDED",
            Self::TemplateVersionNotFound { .. } => "TEMPLATE_VERSION_UNKNOWN",
            Self::ActionNotFound(_) => "ACTION_NOT_FOUND",
            Self::ActionNotYet { .. } => "ACTION_NOT_TRACKED",
            Self::RatingInvalid { .. } | Self::RatingCommentTooLong { .. } => "TASK_RATING_INVALID",
            Self::TooMuchPast { .. } => "AS_OF_TOO_MUCH",
            Self::TooLarge(_) => "TOO_LARGE",
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Refused(Box::new(refused))
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<AppendError> for Error {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict { .. } | AppendError::Unfounded { .. } => Self::Conflict(error.to_string()),
            AppendError::Invalid(what) => Refused::TooLarge(what).into(),
            AppendError::Full => Self::Full,
            error => Self::Unavailable(Box::new(error)),
        }
    }
}

impl<R: Refusal> From<ExecuteError<R>> for Error {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Refused(refusal) => Self::Refused(Box::new(refusal)),
            ExecuteError::Contended(stream) => {
                Self::Conflict(format!("too many others changed {stream} at the same time; try again"))
            }
            ExecuteError::Append(error) => error.into(),
            ExecuteError::Read(error) => error.into(),
        }
    }
}
