//! What the versions of workflows say.

use async_graphql::{ComplexObject, SimpleObject, Union};
use domain::workflow::{Mapping as Expressions, Wait, Work};
use domain::{Bilingual, Definition, Expression};

use crate::agent::milliseconds;
use crate::scalar::{Count, Json};
use crate::status::{ErrorKind, ParentClose, StepKind, Verdict};
use crate::words::Language;

/// A workflow as its author wrote it.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct WorkflowDefinition {
    #[graphql(skip)]
    name: Bilingual,
    #[graphql(skip)]
    description: Bilingual,
    /// Whose it is.
    department: String,
    /// Free words for finding it.
    tags: Vec<String>,
    /// JSON Schema (2020-12) of the run's input.
    input_schema: Json,
    /// The steps; their order carries no meaning.
    steps: Vec<StepDefinition>,
    /// The run's output, over `input` and `steps`. When empty, the output holds the outputs of the steps that nobody
    /// needs.
    output: Vec<Mapping>,
    /// The longest that a run may take, in milliseconds.
    timeout_ms: Option<Count>,
}

#[ComplexObject]
impl WorkflowDefinition {
    /// The name that people read.
    async fn name(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.name)
    }

    /// What it is for.
    async fn description(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.description)
    }
}

impl From<Definition> for WorkflowDefinition {
    fn from(definition: Definition) -> Self {
        Self {
            name: definition.name,
            description: definition.description,
            department: definition.department,
            tags: definition.tags,
            input_schema: async_graphql::Json(definition.input_schema),
            steps: definition.steps.into_iter().map(Into::into).collect(),
            output: mappings(definition.output),
            timeout_ms: definition.timeout.map(milliseconds),
        }
    }
}

/// One step of a definition.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct StepDefinition {
    /// Its name, unique in the workflow.
    name: String,
    #[graphql(skip)]
    title: Bilingual,
    /// What kind of step it is.
    kind: StepKind,
    /// The steps that must have completed, or been skipped, first.
    needs: Vec<String>,
    /// The step is skipped when this expression over `input` and `steps` gives `false`, `null`, or something empty.
    when: Option<String>,
    /// What happens in it.
    work: StepWork,
    /// The step's output, over `result`. When empty, the output is what the work gives.
    output: Vec<Mapping>,
    /// The longest that the step may take from its start, in milliseconds.
    timeout_ms: Option<Count>,
    /// What undoes the step when the run fails or is cancelled after the step has completed.
    compensation: Option<TaskWork>,
}

#[ComplexObject]
impl StepDefinition {
    /// The title that people read.
    async fn title(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.title)
    }
}

impl From<domain::Step> for StepDefinition {
    fn from(step: domain::Step) -> Self {
        Self {
            name: step.name.into(),
            title: step.title,
            kind: match &step.work {
                Work::Task(_) => StepKind::Task,
                Work::ForEach(_) => StepKind::ForEach,
                Work::Approval(_) => StepKind::Approval,
                Work::Wait(_) => StepKind::Wait,
                Work::Signal(_) => StepKind::Signal,
                Work::Run(_) => StepKind::Run,
            },
            needs: step.needs.into_iter().map(String::from).collect(),
            when: step.when.as_ref().map(Expression::to_string),
            work: step.work.into(),
            output: mappings(step.output),
            timeout_ms: step.timeout.map(milliseconds),
            compensation: step.compensation.map(|work| TaskWork::from(*work)),
        }
    }
}

/// What happens in a step.
#[derive(Debug, Clone, Union)]
pub(crate) enum StepWork {
    /// A template, carried out by an agent.
    Task(TaskWork),
    /// A template, carried out once for each element of a list.
    ForEach(ForEachWork),
    /// People decide.
    Approval(ApprovalWork),
    /// Time passes.
    Wait(WaitWork),
    /// Something outside says that it may go on.
    Signal(SignalWork),
    /// Another workflow runs.
    Run(RunWork),
}

impl From<Work> for StepWork {
    fn from(work: Work) -> Self {
        match work {
            Work::Task(task) => Self::Task(task.into()),
            Work::ForEach(each) => Self::ForEach(ForEachWork {
                over: each.over.to_string(),
                max_parallel: each.max_parallel,
                each: each.each.into(),
            }),
            Work::Approval(approval) => Self::Approval(ApprovalWork {
                question: approval.question,
                approvers: approval.approvers.iter().map(ToString::to_string).collect(),
                quorum: approval.quorum,
                content: mappings(approval.content),
                own_run: approval.own_run,
                on_rejection: Verdict::of_domain(approval.on_rejection),
                expires_after_ms: approval.expires_after.map(milliseconds),
                on_expiry: Verdict::of_domain(approval.on_expiry),
            }),
            Work::Wait(Wait::For(duration)) => {
                Self::Wait(WaitWork { for_ms: Some(milliseconds(duration)), until: None })
            }
            Work::Wait(Wait::Until(until)) => Self::Wait(WaitWork { for_ms: None, until: Some(until.to_string()) }),
            Work::Signal(wait) => Self::Signal(SignalWork { signal: wait.signal.into() }),
            Work::Run(run) => Self::Run(RunWork {
                workflow: run.workflow.into(),
                version: run.version,
                input: mappings(run.input),
                wait: run.wait,
                on_parent_close: ParentClose::of_domain(run.on_parent_close),
            }),
        }
    }
}

/// A template, carried out by an agent. `result` has `text` and `json`.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct TaskWork {
    /// The key of the agent that does it; `auto` lets the best one be chosen.
    agent: String,
    /// The key of the template that says what is done.
    template: String,
    /// The template's parameters, over `input` and `steps`; for each element of a list also `item` and `index`.
    input: Vec<Mapping>,
    /// When a failed attempt is repeated.
    retry: RetryPolicy,
    /// How long one attempt may take, in milliseconds.
    attempt_timeout_ms: Count,
    /// How long the task may wait for its first attempt, in milliseconds; then it fails.
    start_timeout_ms: Option<Count>,
}

impl From<domain::workflow::TaskWork> for TaskWork {
    fn from(work: domain::workflow::TaskWork) -> Self {
        Self {
            agent: work.agent.as_str().to_owned(),
            template: work.template.into(),
            input: mappings(work.input),
            retry: work.retry.into(),
            attempt_timeout_ms: milliseconds(work.attempt_timeout),
            start_timeout_ms: work.start_timeout.map(milliseconds),
        }
    }
}

/// The same task for every element of a list. `result` has `items`, a list of `{text, json}`.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ForEachWork {
    /// The list, an expression over `input` and `steps`.
    over: String,
    /// How many elements are worked on at the same time.
    max_parallel: u32,
    /// What is done for each.
    each: TaskWork,
}

/// People decide whether the run goes on. `result` has `approved`, `decisions` and `content`.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct ApprovalWork {
    #[graphql(skip)]
    question: Bilingual,
    /// Who may decide, each as `anyone`, `person:NAME` or `role:NAME`.
    approvers: Vec<String>,
    /// How many of them must agree.
    quorum: u32,
    /// What they see and what their decision is bound to, over `input` and `steps`.
    content: Vec<Mapping>,
    /// Whether who started the run may decide too.
    own_run: bool,
    /// What a rejection means.
    on_rejection: Verdict,
    /// How long it is waited for decisions, in milliseconds.
    expires_after_ms: Option<Count>,
    /// What it means when nobody has decided by then.
    on_expiry: Verdict,
}

#[ComplexObject]
impl ApprovalWork {
    /// What is asked.
    async fn question(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.question)
    }
}

/// Time passes. `result` has `until`. One of the fields is given.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct WaitWork {
    /// So many milliseconds from the step's start.
    for_ms: Option<Count>,
    /// Until a moment in RFC 3339, given by an expression over `input` and `steps`.
    until: Option<String>,
}

/// Something outside says that it may go on. `result` has `payload`.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct SignalWork {
    /// The signal's name; one that came before the step began counts.
    signal: String,
}

/// Another workflow runs. `result` has `run` and, when it was waited for, `output`.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RunWork {
    /// The key of the workflow.
    workflow: String,
    /// Which version; null takes the active one.
    version: Option<u32>,
    /// Its input, over `input` and `steps`.
    input: Vec<Mapping>,
    /// Whether the step completes with the other run, or as soon as that has started.
    wait: bool,
    /// What becomes of the other run when this run ends or is cancelled before it.
    on_parent_close: ParentClose,
}

/// A named value and the expression that gives it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Mapping {
    /// The name.
    name: String,
    /// The expression, in JMESPath.
    expression: String,
}

pub(crate) fn mappings(map: Expressions) -> Vec<Mapping> {
    map.into_iter()
        .map(|(name, expression)| Mapping { name: name.into(), expression: expression.to_string() })
        .collect()
}

/// When a failed attempt is followed by another.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RetryPolicy {
    /// How many attempts there may be in all, at least 1.
    max_attempts: u32,
    /// The pause after the first failure, in milliseconds.
    first_backoff_ms: Count,
    /// By what each further pause grows: 2 doubles it.
    multiplier: f64,
    /// No pause is longer, in milliseconds, unless the platform itself asks for more.
    max_backoff_ms: Count,
    /// No attempt starts later than so many milliseconds after the task was created.
    budget_ms: Option<Count>,
    /// Kinds of failure that are not repeated although they may pass.
    never: Vec<ErrorKind>,
}

impl From<domain::RetryPolicy> for RetryPolicy {
    fn from(policy: domain::RetryPolicy) -> Self {
        Self {
            max_attempts: policy.max_attempts,
            first_backoff_ms: milliseconds(policy.first_backoff),
            multiplier: f64::from(policy.multiplier_milli) / 1000.0,
            max_backoff_ms: milliseconds(policy.max_backoff),
            budget_ms: policy.budget.map(milliseconds),
            never: policy.never.into_iter().map(ErrorKind::of_domain).collect(),
        }
    }
}
