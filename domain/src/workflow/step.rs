use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Assignee;
use crate::{Bilingual, Expression, Key, RetryPolicy, StepName};

/// Names and the expressions that give their values.
pub type Mapping = BTreeMap<StepName, Expression>;

/// One step of a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name, unique in the workflow.
    pub name: StepName,
    /// The title that people read.
    pub title: Bilingual,
    /// The steps that must have completed, or been skipped, first.
    pub needs: Vec<StepName>,
    /// The step is skipped when this expression over `input` and `steps` gives `false`, `null`, or something empty.
    pub when: Option<Expression>,
    /// What happens in it.
    pub work: Work,
    /// The step's output: names and expressions over `result`; what `result` holds depends on the work. When empty,
    /// the output is what [`Work::result_fields`] names.
    pub output: Mapping,
    /// The longest that the step may take from its start, whatever happens inside; then it fails.
    pub timeout: Option<Duration>,
    /// What undoes the step: carried out, in the reverse order of completion, when the run fails or is cancelled after
    /// the step has completed. Its input reads `input` and `steps`, the step's own output included.
    pub compensation: Option<Box<TaskWork>>,
}

/// What happens in a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// A template, carried out by an agent. `result` has `text` and `json`.
    Task(TaskWork),
    /// A template, carried out once for each element of a list. `result` has `items`, a list of `{text, json}`.
    ForEach(ForEach),
    /// People decide. `result` has `approved`, `decisions` and `content`.
    Approval(Approval),
    /// Time passes. `result` has `until`, in RFC 3339.
    Wait(Wait),
    /// Something outside says that it may go on. `result` has `payload`.
    Signal(SignalWait),
    /// Another workflow runs. `result` has `run` and, when it was waited for, `output`.
    Run(SubRun),
}

/// A template, carried out by an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskWork {
    /// Who does it.
    pub agent: Assignee,
    /// What is done.
    pub template: Key,
    /// The template's parameters: names and expressions over `input` and `steps`; for each element of a list also
    /// `item` and `index` (from 0).
    pub input: Mapping,
    /// When a failed attempt is repeated.
    pub retry: RetryPolicy,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
    /// How long the task may wait for its first attempt, for instance because of a limit; then it fails.
    pub start_timeout: Option<Duration>,
}

/// The same task for every element of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForEach {
    /// The list, an expression over `input` and `steps`.
    pub over: Expression,
    /// How many elements are worked on at the same time, at least 1.
    pub max_parallel: u32,
    /// What is done for each.
    pub each: TaskWork,
}

/// People decide whether the run goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// What is asked, for the person who decides.
    pub question: Bilingual,
    /// Who may decide; at least one entry.
    pub approvers: Vec<Approver>,
    /// How many of them must agree, at least 1.
    pub quorum: u32,
    /// What they see and what their decision is bound to: names and expressions over `input` and `steps`.
    pub content: Mapping,
    /// Whether who started the run may decide too.
    pub own_run: bool,
    /// What a rejection means.
    pub on_rejection: Verdict,
    /// How long it is waited for decisions.
    pub expires_after: Option<Duration>,
    /// What it means when nobody has decided by then.
    pub on_expiry: Verdict,
}

impl Approval {
    /// Whether enough people may decide; with a role, nobody knows how many have it.
    pub(super) fn can_agree(&self) -> bool {
        let named = |approver: &Approver| matches!(approver, Approver::Person(_));
        let persons: HashSet<&Approver> = self.approvers.iter().collect();
        self.approvers.is_empty()
            || !self.approvers.iter().all(named)
            || usize::try_from(self.quorum).is_ok_and(|quorum| quorum <= persons.len())
    }
}

/// What the end of an approval without the wanted decisions means for the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The step fails.
    Fail,
    /// The step completes with `approved: false`.
    Reject,
    /// The step completes with `approved: true`.
    Approve,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 3] = [Self::Fail, Self::Reject, Self::Approve];

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Reject => "reject",
            Self::Approve => "approve",
        }
    }
}

/// Who may decide. Its text form is `anyone`, `person:NAME` or `role:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Approver {
    /// Every person.
    Anyone,
    /// One person, by the name that stands in [`Actor::id`](crate::Actor).
    Person(String),
    /// Everybody who has the role.
    Role(String),
}

/// Text that names no approver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no approver; write `anyone`, `person:NAME` or `role:NAME`")]
pub struct InvalidApprover(pub String);

impl FromStr for Approver {
    type Err = InvalidApprover;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "anyone" => Ok(Self::Anyone),
            Some(("person", name)) if !name.is_empty() => Ok(Self::Person(name.to_owned())),
            Some(("role", name)) if !name.is_empty() => Ok(Self::Role(name.to_owned())),
            _ => Err(InvalidApprover(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Approver {
    type Error = InvalidApprover;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Approver> for String {
    fn from(approver: Approver) -> Self {
        approver.to_string()
    }
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Person(name) => write!(f, "person:{name}"),
            Self::Role(name) => write!(f, "role:{name}"),
        }
    }
}

/// How long a wait step waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Wait {
    /// From its start.
    For(Duration),
    /// Until a moment in RFC 3339, given by an expression over `input` and `steps`; one that has passed waits for nothing.
    Until(Expression),
}

/// Waits for a named signal; one that came before the step began counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalWait {
    /// The signal's name.
    pub signal: StepName,
}

/// Another workflow as a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubRun {
    /// Which workflow.
    pub workflow: Key,
    /// Which version; the active one when not given.
    pub version: Option<u32>,
    /// Its input: names and expressions over `input` and `steps`.
    pub input: Mapping,
    /// Whether the step completes with the other run, or as soon as that has started.
    pub wait: bool,
    /// What becomes of the other run when this run ends or is cancelled before it.
    pub on_parent_close: ParentClose,
}

/// What becomes of a run when the run that started it ends first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentClose {
    /// It is asked to stop, like by a person.
    Cancel,
    /// It goes on alone.
    Abandon,
}

impl ParentClose {
    /// Every policy.
    pub const ALL: [Self; 2] = [Self::Cancel, Self::Abandon];

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Abandon => "abandon",
        }
    }
}

impl Work {
    /// The stable snake_case name of the kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Task(_) => "task",
            Self::ForEach(_) => "for_each",
            Self::Approval(_) => "approval",
            Self::Wait(_) => "wait",
            Self::Signal(_) => "signal",
            Self::Run(_) => "run",
        }
    }

    /// What `result` holds when the step's output is mapped.
    #[must_use]
    pub fn result_fields(&self) -> &'static [&'static str] {
        match self {
            Self::Task(_) => &["text", "json"],
            Self::ForEach(_) => &["items"],
            Self::Approval(_) => &["approved", "decisions", "content"],
            Self::Wait(_) => &["until"],
            Self::Signal(_) => &["payload"],
            Self::Run(run) if run.wait => &["run", "output"],
            Self::Run(_) => &["run"],
        }
    }

    /// What a step without an output mapping has for its output.
    #[must_use]
    pub fn default_fields(&self) -> &'static [&'static str] {
        match self {
            Self::Task(_) => &["text"],
            other => other.result_fields(),
        }
    }

    /// The task that the work consists of, once or once for each element.
    #[must_use]
    pub fn task(&self) -> Option<&TaskWork> {
        match self {
            Self::Task(task) => Some(task),
            Self::ForEach(each) => Some(&each.each),
            _ => None,
        }
    }
}

impl Step {
    /// Everything that agents do for this step: its task, and what undoes it.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskWork> {
        self.work.task().into_iter().chain(self.compensation.as_deref())
    }
}
