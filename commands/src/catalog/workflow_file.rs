//! The file of a workflow as its author writes it, and its conversion to the domain and back. docs/use/workflows.md
//! describes the format.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::workflow::{
    Approval, Approver, Assignee, ForEach, Mapping, ParentClose, SignalWait, SubRun, TaskWork, Verdict, Wait, Work,
};
use domain::{Definition, ErrorKind, Expression, Key, RetryPolicy, Step, StepName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::Fault;
use super::scalar::{Human, Thousandths};
use super::text::Text;

/// How long one attempt may take when a file does not say: generous for a local model, short for a person.
const ATTEMPT_TIMEOUT: Human = Human(Duration::from_secs(300));
/// How many elements of a list are worked on at the same time when a file does not say.
const MAX_PARALLEL: u32 = 4;

/// Names and expressions, with their places.
type Expressions = BTreeMap<StepName, Spanned<Expression>>;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkflowFile {
    key: Key,
    name: Text,
    description: Text,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    department: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    input_schema: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Human>,
    pub(super) steps: Vec<StepFile>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) output: Expressions,
}

/// One step. Which of its parts are there says of which kind it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepFile {
    pub(super) name: Spanned<StepName>,
    title: Text,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    needs: Vec<StepName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) when: Option<Spanned<Expression>>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<Spanned<Assignee>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) template: Option<Spanned<Key>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) input: Expressions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<RetryFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Human>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_timeout: Option<Human>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) for_each: Option<ForEachFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) approval: Option<ApprovalFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wait: Option<WaitFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<StepName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<RunFile>,

    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) output: Expressions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step_timeout: Option<Human>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) compensation: Option<CompensationFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForEachFile {
    pub(super) over: Spanned<Expression>,
    #[serde(default = "max_parallel")]
    max_parallel: u32,
}

fn max_parallel() -> u32 {
    MAX_PARALLEL
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalFile {
    question: Text,
    approvers: Vec<Approver>,
    #[serde(default = "one")]
    quorum: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) content: Expressions,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    own_run: bool,
    #[serde(default = "fail")]
    on_rejection: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_after: Option<Human>,
    #[serde(default = "fail")]
    on_expiry: Verdict,
}

fn one() -> u32 {
    1
}

fn fail() -> Verdict {
    Verdict::Fail
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitFile {
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    duration: Option<Human>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Spanned<Expression>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunFile {
    workflow: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) input: Expressions,
    #[serde(default = "yes")]
    wait: bool,
    #[serde(default = "cancel")]
    on_parent_close: ParentClose,
}

fn yes() -> bool {
    true
}

fn cancel() -> ParentClose {
    ParentClose::Cancel
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CompensationFile {
    pub(super) agent: Spanned<Assignee>,
    pub(super) template: Spanned<Key>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) input: Expressions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<RetryFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Human>,
}

/// What is left out has the domain's default.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetryFile {
    max_attempts: u32,
    first_backoff: Human,
    multiplier: Thousandths,
    max_backoff: Human,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Human>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    never: Vec<ErrorKind>,
}

impl Default for RetryFile {
    fn default() -> Self {
        Self::from(&RetryPolicy::default())
    }
}

impl From<&RetryPolicy> for RetryFile {
    fn from(retry: &RetryPolicy) -> Self {
        Self {
            max_attempts: retry.max_attempts,
            first_backoff: Human(retry.first_backoff),
            multiplier: Thousandths(i64::from(retry.multiplier_milli)),
            max_backoff: Human(retry.max_backoff),
            budget: retry.budget.map(Human),
            never: retry.never.clone(),
        }
    }
}

impl From<RetryFile> for RetryPolicy {
    fn from(file: RetryFile) -> Self {
        Self {
            max_attempts: file.max_attempts,
            first_backoff: file.first_backoff.0,
            multiplier_milli: file.multiplier.fit(0),
            max_backoff: file.max_backoff.0,
            budget: file.budget.map(|budget| budget.0),
            never: file.never,
        }
    }
}

impl WorkflowFile {
    /// The definition, and what is wrong with the shape of its steps. A step of no kind, or of two, stands in the
    /// definition as a wait for nothing, so that everything else can be checked too.
    pub(super) fn into_definition(self) -> (Definition, Vec<Fault>) {
        let mut faults = Vec::new();
        let steps = self.steps.into_iter().map(|step| step.into_step(&mut faults)).collect();
        let definition = Definition {
            key: self.key,
            name: self.name.0,
            description: self.description.0,
            department: self.department,
            tags: self.tags,
            input_schema: self.input_schema,
            timeout: self.timeout.map(|timeout| timeout.0),
            steps,
            output: mapping(self.output),
        };
        (definition, faults)
    }
}

impl StepFile {
    fn into_step(self, faults: &mut Vec<Fault>) -> Step {
        let name = self.name.value.clone();
        let (title, needs, output) = (self.title.0.clone(), self.needs.clone(), self.output.clone());
        let when = self.when.clone().map(|when| when.value);
        let timeout = self.step_timeout.as_ref().map(|timeout| timeout.0);
        let compensation = self.compensation.as_ref().map(|undo| Box::new(undo.work()));
        let work = self.work().unwrap_or_else(|what| {
            faults.push(Fault::StepKind { step: name.clone(), what });
            Work::Wait(Wait::For(Duration::ZERO))
        });
        Step { name, title, needs, when, work, output: mapping(output), timeout, compensation }
    }

    fn work(self) -> Result<Work, String> {
        let kinds = [
            ("agent", self.agent.is_some() || self.template.is_some()),
            ("approval", self.approval.is_some()),
            ("wait", self.wait.is_some()),
            ("signal", self.signal.is_some()),
            ("run", self.run.is_some()),
        ];
        let found: Vec<&str> = kinds.iter().filter(|(_, there)| *there).map(|(kind, _)| *kind).collect();
        match found.as_slice() {
            [] => {
                return Err(
                    "does nothing: give it `agent` and `template`, `approval`, `wait`, `signal` or `run`".into()
                );
            }
            [_] => {}
            several => return Err(format!("is of several kinds at once: {}", several.join(", "))),
        }
        if self.agent.is_none() {
            let only = [
                ("for_each", self.for_each.is_some()),
                ("input", !self.input.is_empty()),
                ("retry", self.retry.is_some()),
                ("timeout", self.timeout.is_some()),
                ("start_timeout", self.start_timeout.is_some()),
            ];
            if let Some((field, _)) = only.iter().find(|(_, there)| *there) {
                return Err(format!("has `{field}`, which only a step with an agent can have"));
            }
        }
        if let Some(approval) = self.approval {
            return Ok(Work::Approval(approval.into()));
        }
        if let Some(wait) = self.wait {
            return match (wait.duration, wait.until) {
                (Some(duration), None) => Ok(Work::Wait(Wait::For(duration.0))),
                (None, Some(until)) => Ok(Work::Wait(Wait::Until(until.value))),
                _ => Err("must wait either `for` a duration or `until` a moment".to_owned()),
            };
        }
        if let Some(signal) = self.signal {
            return Ok(Work::Signal(SignalWait { signal }));
        }
        if let Some(run) = self.run {
            let RunFile { workflow, version, input, wait, on_parent_close } = run;
            return Ok(Work::Run(SubRun { workflow, version, input: mapping(input), wait, on_parent_close }));
        }
        let (Some(agent), Some(template)) = (self.agent, self.template) else {
            return Err("needs both `agent` and `template`".to_owned());
        };
        let task = TaskWork {
            agent: agent.value,
            template: template.value,
            input: mapping(self.input),
            retry: self.retry.unwrap_or_default().into(),
            attempt_timeout: self.timeout.unwrap_or(ATTEMPT_TIMEOUT).0,
            start_timeout: self.start_timeout.map(|timeout| timeout.0),
        };
        Ok(match self.for_each {
            None => Work::Task(task),
            Some(ForEachFile { over, max_parallel }) => {
                Work::ForEach(ForEach { over: over.value, max_parallel, each: task })
            }
        })
    }
}

impl CompensationFile {
    fn work(&self) -> TaskWork {
        TaskWork {
            agent: self.agent.value.clone(),
            template: self.template.value.clone(),
            input: mapping(self.input.clone()),
            retry: self.retry.clone().unwrap_or_default().into(),
            attempt_timeout: self.timeout.as_ref().map_or(ATTEMPT_TIMEOUT.0, |timeout| timeout.0),
            start_timeout: None,
        }
    }
}

impl From<ApprovalFile> for Approval {
    fn from(file: ApprovalFile) -> Self {
        Self {
            question: file.question.0,
            approvers: file.approvers,
            quorum: file.quorum,
            content: mapping(file.content),
            own_run: file.own_run,
            on_rejection: file.on_rejection,
            expires_after: file.expires_after.map(|after| after.0),
            on_expiry: file.on_expiry,
        }
    }
}

impl From<&Definition> for WorkflowFile {
    fn from(definition: &Definition) -> Self {
        Self {
            key: definition.key.clone(),
            name: Text(definition.name.clone()),
            description: Text(definition.description.clone()),
            department: definition.department.clone(),
            tags: definition.tags.clone(),
            input_schema: definition.input_schema.clone(),
            timeout: definition.timeout.map(Human),
            steps: definition.steps.iter().map(StepFile::from).collect(),
            output: nowhere_mapping(&definition.output),
        }
    }
}

impl From<&Step> for StepFile {
    fn from(step: &Step) -> Self {
        let mut file = Self {
            name: nowhere(&step.name),
            title: Text(step.title.clone()),
            needs: step.needs.clone(),
            when: step.when.as_ref().map(nowhere),
            agent: None,
            template: None,
            input: Expressions::new(),
            retry: None,
            timeout: None,
            start_timeout: None,
            for_each: None,
            approval: None,
            wait: None,
            signal: None,
            run: None,
            output: nowhere_mapping(&step.output),
            step_timeout: step.timeout.map(Human),
            compensation: step.compensation.as_deref().map(CompensationFile::from),
        };
        match &step.work {
            Work::Task(task) => file.task(task),
            Work::ForEach(each) => {
                file.task(&each.each);
                file.for_each = Some(ForEachFile { over: nowhere(&each.over), max_parallel: each.max_parallel });
            }
            Work::Approval(approval) => file.approval = Some(ApprovalFile::from(approval)),
            Work::Wait(Wait::For(duration)) => {
                file.wait = Some(WaitFile { duration: Some(Human(*duration)), until: None });
            }
            Work::Wait(Wait::Until(until)) => {
                file.wait = Some(WaitFile { duration: None, until: Some(nowhere(until)) });
            }
            Work::Signal(wait) => file.signal = Some(wait.signal.clone()),
            Work::Run(run) => {
                file.run = Some(RunFile {
                    workflow: run.workflow.clone(),
                    version: run.version,
                    input: nowhere_mapping(&run.input),
                    wait: run.wait,
                    on_parent_close: run.on_parent_close,
                });
            }
        }
        file
    }
}

impl StepFile {
    fn task(&mut self, task: &TaskWork) {
        self.agent = Some(nowhere(&task.agent));
        self.template = Some(nowhere(&task.template));
        self.input = nowhere_mapping(&task.input);
        self.retry = Some(RetryFile::from(&task.retry));
        self.timeout = Some(Human(task.attempt_timeout));
        self.start_timeout = task.start_timeout.map(Human);
    }
}

impl From<&TaskWork> for CompensationFile {
    fn from(task: &TaskWork) -> Self {
        Self {
            agent: nowhere(&task.agent),
            template: nowhere(&task.template),
            input: nowhere_mapping(&task.input),
            retry: Some(RetryFile::from(&task.retry)),
            timeout: Some(Human(task.attempt_timeout)),
        }
    }
}

impl From<&Approval> for ApprovalFile {
    fn from(approval: &Approval) -> Self {
        Self {
            question: Text(approval.question.clone()),
            approvers: approval.approvers.clone(),
            quorum: approval.quorum,
            content: nowhere_mapping(&approval.content),
            own_run: approval.own_run,
            on_rejection: approval.on_rejection,
            expires_after: approval.expires_after.map(Human),
            on_expiry: approval.on_expiry,
        }
    }
}

fn mapping(file: Expressions) -> Mapping {
    file.into_iter().map(|(name, expression)| (name, expression.value)).collect()
}

/// A value that comes from no file.
fn nowhere<T: Clone>(value: &T) -> Spanned<T> {
    Spanned::new(value.clone(), Location::UNKNOWN, Location::UNKNOWN)
}

fn nowhere_mapping(mapping: &Mapping) -> Expressions {
    mapping.iter().map(|(name, expression)| (name.clone(), nowhere(expression))).collect()
}
