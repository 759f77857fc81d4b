use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::graph::Graph;
use super::step::{Mapping, TaskWork, Wait, Work};
use crate::{Bilingual, ErrorKind, ExpressionError, Key, Step, StepName};

/// One version of a workflow, as its author wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The workflow's key.
    pub key: Key,
    /// The name that people read.
    pub name: Bilingual,
    /// What it is for.
    pub description: Bilingual,
    /// Whose it is.
    pub department: String,
    /// Free words for finding it.
    pub tags: Vec<String>,
    /// JSON Schema (2020-12) of the run's input, an object schema.
    pub input_schema: Value,
    /// The steps; their order carries no meaning.
    pub steps: Vec<Step>,
    /// The run's output: names and the expressions that give their values, over `input` and `steps`. When empty,
    /// the output holds the outputs of the steps that nobody needs.
    pub output: Mapping,
    /// The longest that a run may take; then what runs is cut and the run fails.
    pub timeout: Option<Duration>,
}

/// What is wrong with a definition; all that is wrong is reported at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// There is nothing to do.
    #[error("the workflow has no steps; add at least one")]
    NoSteps,
    /// More steps than can be handled.
    #[error("the workflow has {count} steps; at most {} are allowed", Definition::MAX_STEPS)]
    TooManySteps {
        /// How many there are.
        count: usize,
    },
    /// Two steps share a name.
    #[error("two steps are called `{name}`; step names must be unique")]
    DuplicateStep {
        /// The name.
        name: StepName,
    },
    /// A dependency that does not exist.
    #[error("step `{step}` needs `{missing}`, but there is no step of that name")]
    UnknownStep {
        /// Who needs it.
        step: StepName,
        /// What is missing.
        missing: StepName,
    },
    /// Steps wait for each other in a circle.
    #[error("steps wait for each other in a circle: {}", .cycle.iter().map(StepName::as_str).collect::<Vec<_>>().join(" -> "))]
    Cycle {
        /// The circle; the first name is also the last.
        cycle: Vec<StepName>,
    },
    /// A mapping reads something that is not there.
    #[error("{place}: `{expression}` reads `{path}`, {why}")]
    MappingToNowhere {
        /// Where the mapping stands.
        place: String,
        /// The expression.
        expression: String,
        /// What it reads.
        path: String,
        /// Why that leads nowhere, and what would be right.
        why: String,
    },
    /// A mapping that is no JMESPath.
    #[error("{place}: {error}")]
    BadExpression {
        /// Where the mapping stands.
        place: String,
        /// What the library says.
        error: ExpressionError,
    },
    /// The input schema is not an object schema.
    #[error("the input schema must be a JSON Schema of type `object`")]
    InputSchemaNotObject,
    /// A number of the workflow out of its range.
    #[error("the workflow's {what}")]
    WorkflowOutOfRange {
        /// What is out of range, and the range.
        what: &'static str,
    },
    /// A number out of its range.
    #[error("step `{step}`: {what}")]
    OutOfRange {
        /// Which step.
        step: StepName,
        /// What is out of range, and the range.
        what: &'static str,
    },
}

/// The longest that anything may take.
const MAX_WAIT: Duration = Duration::from_secs(366 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);

impl Definition {
    /// The most steps that a workflow may have.
    pub const MAX_STEPS: usize = 1000;

    /// Finds a step by its name.
    #[must_use]
    pub fn step(&self, name: &StepName) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == *name)
    }

    /// Checks everything that can be known without the rest of the catalogue.
    ///
    /// # Errors
    /// All that is wrong, in the order of the steps.
    pub fn validate(&self) -> Result<(), Vec<DefinitionError>> {
        let mut errors = Vec::new();
        if self.steps.is_empty() {
            errors.push(DefinitionError::NoSteps);
        }
        if self.steps.len() > Self::MAX_STEPS {
            // Everything below grows with the number of steps, so an absurd number is refused alone.
            return Err(vec![DefinitionError::TooManySteps { count: self.steps.len() }]);
        }
        if self.input_schema.get("type").and_then(Value::as_str) != Some("object") {
            errors.push(DefinitionError::InputSchemaNotObject);
        }
        if self.timeout.is_some_and(|timeout| !in_time(timeout)) {
            errors.push(DefinitionError::WorkflowOutOfRange { what: "timeout must be 1 ms to 366 days" });
        }
        let mut by_name: BTreeMap<&StepName, &Step> = BTreeMap::new();
        for step in &self.steps {
            if by_name.insert(&step.name, step).is_some() {
                errors.push(DefinitionError::DuplicateStep { name: step.name.clone() });
            }
            step.check_ranges(&mut errors);
        }
        for step in &self.steps {
            for missing in step.needs.iter().filter(|need| !by_name.contains_key(need)) {
                errors.push(DefinitionError::UnknownStep { step: step.name.clone(), missing: missing.clone() });
            }
        }
        let graph = Graph::new(&by_name);
        match graph.order() {
            Err(cycle) => errors.push(DefinitionError::Cycle { cycle }),
            Ok(order) => super::mappings::check(self, &by_name, &graph.ancestors(&order), &mut errors),
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

fn in_time(duration: Duration) -> bool {
    duration >= Duration::from_millis(1) && duration <= MAX_WAIT
}

impl Step {
    fn check_ranges(&self, errors: &mut Vec<DefinitionError>) {
        let mut check = |ok: bool, what| {
            if !ok {
                errors.push(DefinitionError::OutOfRange { step: self.name.clone(), what });
            }
        };
        check(self.timeout.is_none_or(in_time), "step_timeout must be 1 ms to 366 days");
        for task in self.tasks() {
            task.check_ranges(&mut check);
        }
        match &self.work {
            Work::Task(_) | Work::Signal(_) | Work::Run(_) => {}
            Work::ForEach(each) => {
                check((1..=1000).contains(&each.max_parallel), "for_each.max_parallel must be 1 to 1000");
            }
            Work::Approval(approval) => {
                check(!approval.approvers.is_empty(), "approval.approvers must name at least one");
                check((1..=100).contains(&approval.quorum), "approval.quorum must be 1 to 100");
                check(approval.can_agree(), "approval.quorum must not be more than the persons who may decide");
                check(approval.on_rejection != super::Verdict::Approve, "approval.on_rejection must be fail or reject");
                check(approval.expires_after.is_none_or(in_time), "approval.expires_after must be 1 ms to 366 days");
            }
            Work::Wait(Wait::For(duration)) => {
                check(*duration <= MAX_WAIT, "wait.for must be at most 366 days");
            }
            Work::Wait(Wait::Until(_)) => {}
        }
    }
}

impl TaskWork {
    fn check_ranges(&self, check: &mut impl FnMut(bool, &'static str)) {
        let retry = &self.retry;
        check((1..=100).contains(&retry.max_attempts), "retry.max_attempts must be 1 to 100");
        let newer = [ErrorKind::BudgetExhausted, ErrorKind::TagMissing];
        let names_newer = newer.iter().any(|kind| retry.never.contains(kind));
        check(!names_newer, "retry.never cannot name budget_exhausted and tag_missing; they are never repeated");
        check((1000..=10_000).contains(&retry.multiplier_milli), "retry.multiplier must be 1 to 10");
        check(retry.max_backoff <= DAY, "retry.max_backoff must be at most one day");
        check(retry.first_backoff <= retry.max_backoff, "retry.first_backoff must not exceed retry.max_backoff");
        check(retry.budget.is_none_or(in_time), "retry.budget must be 1 ms to 366 days");
        check(
            self.attempt_timeout >= Duration::from_millis(1) && self.attempt_timeout <= DAY,
            "timeout must be more than zero and at most one day",
        );
        check(self.start_timeout.is_none_or(in_time), "start_timeout must be 1 ms to 366 days");
    }
}
