//! Frozen definitions of workflows: what `workflow.drafted` and `run.started` hold.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::workflow::{
    Approval, Approver, ForEach, InvalidApprover, ParentClose, SignalWait, SubRun, TaskWork, Verdict, Wait, Work,
};
use domain::{Definition, Expression, Step, StepName};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{JsonV1, RetryPolicyV1, RetryPolicyV2, all, borrowed, checked, micros, owned};
use super::words::BilingualV1;

/// One name of a mapping and its expression.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct MappingV1<'a> {
    name: &'a str,
    expression: &'a str,
}

impl<'a> MappingV1<'a> {
    pub(super) fn freeze(mapping: &'a BTreeMap<StepName, Expression>) -> Vec<Self> {
        mapping.iter().map(|(name, expression)| Self { name: name.as_str(), expression: expression.as_str() }).collect()
    }

    pub(super) fn thaw(mapping: &[Self]) -> Result<BTreeMap<StepName, Expression>, String> {
        if !mapping.is_sorted_by(|one, next| one.name < next.name) {
            return Err("the names of a mapping are not in order".to_owned());
        }
        mapping.iter().map(|entry| Ok((checked(entry.name)?, Expression::trusted(entry.expression)))).collect()
    }
}

/// An expression, or none.
pub(super) fn expression(source: Option<&str>) -> Option<Expression> {
    source.map(Expression::trusted)
}

/// One step when every step was a task.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct StepV1<'a> {
    name: &'a str,
    title: &'a str,
    agent: &'a str,
    template: &'a str,
    #[serde(borrow)]
    input: Vec<MappingV1<'a>>,
    #[serde(borrow)]
    output: Vec<MappingV1<'a>>,
    #[serde(borrow)]
    needs: Vec<&'a str>,
    retry: RetryPolicyV1,
    attempt_timeout_micros: u64,
}

/// A definition when every step was a task.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DefinitionV1<'a> {
    key: &'a str,
    name: &'a str,
    description: &'a str,
    department: &'a str,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    #[serde(borrow)]
    input_schema: JsonV1<'a>,
    #[serde(borrow)]
    steps: Vec<StepV1<'a>>,
    #[serde(borrow)]
    output: Vec<MappingV1<'a>>,
}

/// A template, carried out by an agent.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct TaskWorkV1<'a> {
    agent: &'a str,
    template: &'a str,
    #[serde(borrow)]
    input: Vec<MappingV1<'a>>,
    retry: RetryPolicyV2,
    attempt_timeout_micros: u64,
    start_timeout_micros: Option<u64>,
}

/// The same task for every element of a list.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ForEachV1<'a> {
    over: &'a str,
    max_parallel: u32,
    #[serde(borrow)]
    each: TaskWorkV1<'a>,
}

/// Who may decide.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) enum ApproverV1<'a> {
    Anyone,
    Person(&'a str),
    Role(&'a str),
}

/// What the end of an approval without the wanted decisions means.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum VerdictV1 {
    Fail,
    Reject,
    Approve,
}

/// People decide, asked in one language.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ApprovalV1<'a> {
    question: &'a str,
    #[serde(borrow)]
    approvers: Vec<ApproverV1<'a>>,
    quorum: u32,
    #[serde(borrow)]
    content: Vec<MappingV1<'a>>,
    own_run: bool,
    on_rejection: VerdictV1,
    expires_after_micros: Option<u64>,
    on_expiry: VerdictV1,
}

/// People decide.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ApprovalV2<'a> {
    #[serde(borrow)]
    question: BilingualV1<'a>,
    #[serde(borrow)]
    approvers: Vec<ApproverV1<'a>>,
    quorum: u32,
    #[serde(borrow)]
    content: Vec<MappingV1<'a>>,
    own_run: bool,
    on_rejection: VerdictV1,
    expires_after_micros: Option<u64>,
    on_expiry: VerdictV1,
}

/// How long a wait step waits.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) enum WaitV1<'a> {
    For { micros: u64 },
    Until { expression: &'a str },
}

/// What becomes of a run when the one that started it ends first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum ParentCloseV1 {
    Cancel,
    Abandon,
}

/// Another workflow as a step.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct SubRunV1<'a> {
    workflow: &'a str,
    version: Option<u32>,
    #[serde(borrow)]
    input: Vec<MappingV1<'a>>,
    wait: bool,
    on_parent_close: ParentCloseV1,
}

/// What happens in a step, when people were asked in one language.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) enum WorkV1<'a> {
    Task(#[serde(borrow)] TaskWorkV1<'a>),
    ForEach(#[serde(borrow)] ForEachV1<'a>),
    Approval(#[serde(borrow)] ApprovalV1<'a>),
    Wait(#[serde(borrow)] WaitV1<'a>),
    Signal { signal: &'a str },
    Run(#[serde(borrow)] SubRunV1<'a>),
}

/// What happens in a step.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) enum WorkV2<'a> {
    Task(#[serde(borrow)] TaskWorkV1<'a>),
    ForEach(#[serde(borrow)] ForEachV1<'a>),
    Approval(#[serde(borrow)] ApprovalV2<'a>),
    Wait(#[serde(borrow)] WaitV1<'a>),
    Signal { signal: &'a str },
    Run(#[serde(borrow)] SubRunV1<'a>),
}

/// One step when its title was in one language.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct StepV2<'a> {
    name: &'a str,
    title: &'a str,
    #[serde(borrow)]
    needs: Vec<&'a str>,
    #[serde(borrow)]
    when: Option<&'a str>,
    #[serde(borrow)]
    work: WorkV1<'a>,
    #[serde(borrow)]
    output: Vec<MappingV1<'a>>,
    timeout_micros: Option<u64>,
    #[serde(borrow)]
    compensation: Option<TaskWorkV1<'a>>,
}

/// A definition when its name was in one language.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DefinitionV2<'a> {
    key: &'a str,
    name: &'a str,
    description: &'a str,
    department: &'a str,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    #[serde(borrow)]
    input_schema: JsonV1<'a>,
    #[serde(borrow)]
    steps: Vec<StepV2<'a>>,
    #[serde(borrow)]
    output: Vec<MappingV1<'a>>,
    timeout_micros: Option<u64>,
}

/// One step of a definition.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct StepV3<'a> {
    name: &'a str,
    #[serde(borrow)]
    title: BilingualV1<'a>,
    #[serde(borrow)]
    needs: Vec<&'a str>,
    #[serde(borrow)]
    when: Option<&'a str>,
    #[serde(borrow)]
    work: WorkV2<'a>,
    #[serde(borrow)]
    output: Vec<MappingV1<'a>>,
    timeout_micros: Option<u64>,
    #[serde(borrow)]
    compensation: Option<TaskWorkV1<'a>>,
}

/// One version of a workflow.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DefinitionV3<'a> {
    key: &'a str,
    #[serde(borrow)]
    name: BilingualV1<'a>,
    #[serde(borrow)]
    description: BilingualV1<'a>,
    department: &'a str,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    #[serde(borrow)]
    input_schema: JsonV1<'a>,
    #[serde(borrow)]
    steps: Vec<StepV3<'a>>,
    #[serde(borrow)]
    output: Vec<MappingV1<'a>>,
    timeout_micros: Option<u64>,
}

impl<'a> From<StepV1<'a>> for StepV2<'a> {
    fn from(old: StepV1<'a>) -> Self {
        Self {
            name: old.name,
            title: old.title,
            needs: old.needs,
            when: None,
            work: WorkV1::Task(TaskWorkV1 {
                agent: old.agent,
                template: old.template,
                input: old.input,
                retry: old.retry.into(),
                attempt_timeout_micros: old.attempt_timeout_micros,
                start_timeout_micros: None,
            }),
            output: old.output,
            timeout_micros: None,
            compensation: None,
        }
    }
}

impl<'a> From<DefinitionV1<'a>> for DefinitionV2<'a> {
    fn from(old: DefinitionV1<'a>) -> Self {
        Self {
            key: old.key,
            name: old.name,
            description: old.description,
            department: old.department,
            tags: old.tags,
            input_schema: old.input_schema,
            steps: old.steps.into_iter().map(StepV2::from).collect(),
            output: old.output,
            timeout_micros: None,
        }
    }
}

impl<'a> From<ApprovalV1<'a>> for ApprovalV2<'a> {
    fn from(old: ApprovalV1<'a>) -> Self {
        Self {
            question: BilingualV1::english(old.question),
            approvers: old.approvers,
            quorum: old.quorum,
            content: old.content,
            own_run: old.own_run,
            on_rejection: old.on_rejection,
            expires_after_micros: old.expires_after_micros,
            on_expiry: old.on_expiry,
        }
    }
}

impl<'a> From<WorkV1<'a>> for WorkV2<'a> {
    fn from(old: WorkV1<'a>) -> Self {
        match old {
            WorkV1::Task(task) => Self::Task(task),
            WorkV1::ForEach(list) => Self::ForEach(list),
            WorkV1::Approval(approval) => Self::Approval(approval.into()),
            WorkV1::Wait(wait) => Self::Wait(wait),
            WorkV1::Signal { signal } => Self::Signal { signal },
            WorkV1::Run(run) => Self::Run(run),
        }
    }
}

impl<'a> From<StepV2<'a>> for StepV3<'a> {
    fn from(old: StepV2<'a>) -> Self {
        Self {
            name: old.name,
            title: BilingualV1::english(old.title),
            needs: old.needs,
            when: old.when,
            work: old.work.into(),
            output: old.output,
            timeout_micros: old.timeout_micros,
            compensation: old.compensation,
        }
    }
}

impl<'a> From<DefinitionV2<'a>> for DefinitionV3<'a> {
    fn from(old: DefinitionV2<'a>) -> Self {
        Self {
            key: old.key,
            name: BilingualV1::english(old.name),
            description: BilingualV1::english(old.description),
            department: old.department,
            tags: old.tags,
            input_schema: old.input_schema,
            steps: old.steps.into_iter().map(StepV3::from).collect(),
            output: old.output,
            timeout_micros: old.timeout_micros,
        }
    }
}

impl<'a> TaskWorkV1<'a> {
    fn freeze(task: &'a TaskWork) -> Result<Self, String> {
        let TaskWork { agent, template, input, retry, attempt_timeout, start_timeout } = task;
        Ok(Self {
            agent: agent.as_str(),
            template: template.as_str(),
            input: MappingV1::freeze(input),
            retry: RetryPolicyV2::freeze(retry)?,
            attempt_timeout_micros: micros(*attempt_timeout)?,
            start_timeout_micros: start_timeout.map(micros).transpose()?,
        })
    }

    fn thaw(self) -> Result<TaskWork, String> {
        Ok(TaskWork {
            agent: checked(self.agent)?,
            template: checked(self.template)?,
            input: MappingV1::thaw(&self.input)?,
            retry: self.retry.thaw(),
            attempt_timeout: Duration::from_micros(self.attempt_timeout_micros),
            start_timeout: self.start_timeout_micros.map(Duration::from_micros),
        })
    }
}

impl<'a> ApproverV1<'a> {
    fn freeze(approver: &'a Approver) -> Self {
        match approver {
            Approver::Anyone => Self::Anyone,
            Approver::Person(name) => Self::Person(name),
            Approver::Role(name) => Self::Role(name),
        }
    }

    fn thaw(&self) -> Result<Approver, String> {
        match *self {
            Self::Anyone => Ok(Approver::Anyone),
            Self::Person("") => Err(InvalidApprover("person:".to_owned()).to_string()),
            Self::Role("") => Err(InvalidApprover("role:".to_owned()).to_string()),
            Self::Person(name) => Ok(Approver::Person(name.to_owned())),
            Self::Role(name) => Ok(Approver::Role(name.to_owned())),
        }
    }
}

impl VerdictV1 {
    fn freeze(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Fail => Self::Fail,
            Verdict::Reject => Self::Reject,
            Verdict::Approve => Self::Approve,
        }
    }

    fn thaw(self) -> Verdict {
        match self {
            Self::Fail => Verdict::Fail,
            Self::Reject => Verdict::Reject,
            Self::Approve => Verdict::Approve,
        }
    }
}

impl<'a> ApprovalV2<'a> {
    fn freeze(approval: &'a Approval) -> Result<Self, String> {
        let Approval { question, approvers, quorum, content, own_run, on_rejection, expires_after, on_expiry } =
            approval;
        Ok(Self {
            question: BilingualV1::freeze(question),
            approvers: approvers.iter().map(ApproverV1::freeze).collect(),
            quorum: *quorum,
            content: MappingV1::freeze(content),
            own_run: *own_run,
            on_rejection: VerdictV1::freeze(*on_rejection),
            expires_after_micros: expires_after.map(micros).transpose()?,
            on_expiry: VerdictV1::freeze(*on_expiry),
        })
    }

    fn thaw(self) -> Result<Approval, String> {
        Ok(Approval {
            question: self.question.thaw(),
            approvers: self.approvers.iter().map(ApproverV1::thaw).collect::<Result<_, _>>()?,
            quorum: self.quorum,
            content: MappingV1::thaw(&self.content)?,
            own_run: self.own_run,
            on_rejection: self.on_rejection.thaw(),
            expires_after: self.expires_after_micros.map(Duration::from_micros),
            on_expiry: self.on_expiry.thaw(),
        })
    }
}

impl<'a> WorkV2<'a> {
    fn freeze(work: &'a Work) -> Result<Self, String> {
        Ok(match work {
            Work::Task(task) => Self::Task(TaskWorkV1::freeze(task)?),
            Work::ForEach(ForEach { over, max_parallel, each }) => Self::ForEach(ForEachV1 {
                over: over.as_str(),
                max_parallel: *max_parallel,
                each: TaskWorkV1::freeze(each)?,
            }),
            Work::Approval(approval) => Self::Approval(ApprovalV2::freeze(approval)?),
            Work::Wait(Wait::For(time)) => Self::Wait(WaitV1::For { micros: micros(*time)? }),
            Work::Wait(Wait::Until(moment)) => Self::Wait(WaitV1::Until { expression: moment.as_str() }),
            Work::Signal(SignalWait { signal }) => Self::Signal { signal: signal.as_str() },
            Work::Run(SubRun { workflow, version, input, wait, on_parent_close }) => Self::Run(SubRunV1 {
                workflow: workflow.as_str(),
                version: *version,
                input: MappingV1::freeze(input),
                wait: *wait,
                on_parent_close: match on_parent_close {
                    ParentClose::Cancel => ParentCloseV1::Cancel,
                    ParentClose::Abandon => ParentCloseV1::Abandon,
                },
            }),
        })
    }

    fn thaw(self) -> Result<Work, String> {
        Ok(match self {
            Self::Task(task) => Work::Task(task.thaw()?),
            Self::ForEach(list) => Work::ForEach(ForEach {
                over: Expression::trusted(list.over),
                max_parallel: list.max_parallel,
                each: list.each.thaw()?,
            }),
            Self::Approval(approval) => Work::Approval(approval.thaw()?),
            Self::Wait(WaitV1::For { micros }) => Work::Wait(Wait::For(Duration::from_micros(micros))),
            Self::Wait(WaitV1::Until { expression }) => Work::Wait(Wait::Until(Expression::trusted(expression))),
            Self::Signal { signal } => Work::Signal(SignalWait { signal: checked(signal)? }),
            Self::Run(run) => Work::Run(SubRun {
                workflow: checked(run.workflow)?,
                version: run.version,
                input: MappingV1::thaw(&run.input)?,
                wait: run.wait,
                on_parent_close: match run.on_parent_close {
                    ParentCloseV1::Cancel => ParentClose::Cancel,
                    ParentCloseV1::Abandon => ParentClose::Abandon,
                },
            }),
        })
    }
}

impl<'a> StepV3<'a> {
    fn freeze(step: &'a Step) -> Result<Self, String> {
        let Step { name, title, needs, when, work, output, timeout, compensation } = step;
        Ok(Self {
            name: name.as_str(),
            title: BilingualV1::freeze(title),
            needs: needs.iter().map(StepName::as_str).collect(),
            when: when.as_ref().map(Expression::as_str),
            work: WorkV2::freeze(work)?,
            output: MappingV1::freeze(output),
            timeout_micros: timeout.map(micros).transpose()?,
            compensation: compensation.as_deref().map(TaskWorkV1::freeze).transpose()?,
        })
    }

    fn thaw(self) -> Result<Step, String> {
        Ok(Step {
            name: checked(self.name)?,
            title: self.title.thaw(),
            needs: all(&self.needs)?,
            when: expression(self.when),
            work: self.work.thaw()?,
            output: MappingV1::thaw(&self.output)?,
            timeout: self.timeout_micros.map(Duration::from_micros),
            compensation: self.compensation.map(TaskWorkV1::thaw).transpose()?.map(Box::new),
        })
    }
}

impl<'a> DefinitionV3<'a> {
    pub(super) fn freeze(definition: &'a Definition) -> Result<Self, String> {
        let Definition { key, name, description, department, tags, input_schema, steps, output, timeout } = definition;
        Ok(Self {
            key: key.as_str(),
            name: BilingualV1::freeze(name),
            description: BilingualV1::freeze(description),
            department,
            tags: borrowed(tags),
            input_schema: JsonV1::freeze(input_schema)?,
            steps: steps.iter().map(StepV3::freeze).collect::<Result<_, _>>()?,
            output: MappingV1::freeze(output),
            timeout_micros: timeout.map(micros).transpose()?,
        })
    }

    pub(super) fn thaw(self) -> Result<Definition, String> {
        Ok(Definition {
            key: checked(self.key)?,
            name: self.name.thaw(),
            description: self.description.thaw(),
            department: self.department.to_owned(),
            tags: owned(self.tags),
            input_schema: self.input_schema.thaw()?,
            steps: self.steps.into_iter().map(StepV3::thaw).collect::<Result<_, _>>()?,
            output: MappingV1::thaw(&self.output)?,
            timeout: self.timeout_micros.map(Duration::from_micros),
        })
    }
}
