//! Workflows to draft.

use std::collections::BTreeMap;
use std::time::Duration;

use async_graphql::{InputObject, Result};
use domain::workflow::{Approval, ForEach, SignalWait, SubRun, TaskWork, Wait, Work};
use domain::{Bilingual, Definition, Expression, StepName};
use uuid::Uuid;

use super::{duration, milli, parse};
use crate::failure::invalid;
use crate::scalar::{Count, Json};
use crate::status::{ErrorKind, ParentClose, Verdict};

/// How long one attempt may take when nothing is said.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(300);

/// A workflow to draft. Drafting an existing key makes a new version of it.
#[derive(Debug, InputObject)]
pub(crate) struct DraftWorkflowInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// The workflow's key: 1 to 64 of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit.
    key: String,
    /// The name that people read.
    name: String,
    /// The same in Arabic.
    name_ar: Option<String>,
    /// What it is for.
    #[graphql(default)]
    description: String,
    /// The same in Arabic.
    description_ar: Option<String>,
    /// Whose it is.
    #[graphql(default)]
    department: String,
    /// Free words for finding it.
    #[graphql(default)]
    tags: Vec<String>,
    /// JSON Schema (2020-12) of the run's input, an object schema.
    input_schema: Json,
    /// The steps; their order carries no meaning.
    steps: Vec<StepInput>,
    /// The run's output, over `input` and `steps`. When empty, the output holds the outputs of the steps that nobody
    /// needs.
    #[graphql(default)]
    output: Vec<MappingInput>,
    /// The longest that a run may take, in milliseconds; then what runs is cut and the run fails.
    timeout_ms: Option<Count>,
}

impl DraftWorkflowInput {
    pub(crate) fn into_definition(self) -> Result<Definition> {
        Ok(Definition {
            key: parse("key", &self.key)?,
            name: Bilingual { en: self.name, ar: self.name_ar },
            description: Bilingual { en: self.description, ar: self.description_ar },
            department: self.department,
            tags: self.tags,
            input_schema: self.input_schema.0,
            steps: self.steps.into_iter().map(StepInput::into_step).collect::<Result<_>>()?,
            output: mappings("run output", self.output)?,
            timeout: self.timeout_ms.map(duration),
        })
    }
}

/// One step of a workflow. It has exactly one of `agent` with `template`, `approval`, `wait`, `signal` and `run`, which
/// says what happens in it.
#[derive(Debug, InputObject)]
pub(crate) struct StepInput {
    /// Its name, unique in the workflow: 1 to 64 of a-z, 0-9 and `_`, starting with a letter.
    name: String,
    /// The title that people read; null takes the name.
    title: Option<String>,
    /// The same in Arabic.
    title_ar: Option<String>,
    /// The steps that must have completed, or been skipped, first.
    #[graphql(default)]
    needs: Vec<String>,
    /// The step is skipped when this expression over `input` and `steps` gives `false`, `null`, or something empty.
    when: Option<String>,
    /// The key of the agent that does it; `auto` lets the best one be chosen when the step begins.
    agent: Option<String>,
    /// The key of the template that says what is done.
    template: Option<String>,
    /// The template's parameters, over `input` and `steps`; with `forEach` also `item` and `index`.
    #[graphql(default)]
    input: Vec<MappingInput>,
    /// When a failed attempt is repeated; null takes three attempts with doubling pauses from 2 s to at most 60 s.
    retry: Option<RetryInput>,
    /// How long one attempt may take in milliseconds, at most one day; null takes five minutes.
    attempt_timeout_ms: Option<Count>,
    /// How long the task may wait for its first attempt in milliseconds; then it fails.
    start_timeout_ms: Option<Count>,
    /// The agent does it once for each element of a list.
    for_each: Option<ForEachInput>,
    /// People decide.
    approval: Option<ApprovalInput>,
    /// Time passes.
    wait: Option<WaitInput>,
    /// The name of the signal that it waits for; one that came before the step began counts.
    signal: Option<String>,
    /// Another workflow runs.
    run: Option<SubRunInput>,
    /// The step's output, over `result`, which holds what the work gives: `text` and `json` of a task, `items` of a
    /// list, `approved`, `decisions` and `content` of an approval, `until` of a wait, `payload` of a signal, `run` and
    /// `output` of another workflow. When empty, the output is all of that, of a task the text.
    #[graphql(default)]
    output: Vec<MappingInput>,
    /// The longest that the step may take from its start, in milliseconds.
    timeout_ms: Option<Count>,
    /// What undoes the step when the run fails or is cancelled after the step has completed.
    compensation: Option<CompensationInput>,
}

impl StepInput {
    fn into_step(mut self) -> Result<domain::Step> {
        let name: StepName = parse("steps.name", &self.name)?;
        let output = mappings(&format!("step `{name}`, output"), std::mem::take(&mut self.output))?;
        let compensation = self.compensation.take().map(|undo| undo.into_work(&name)).transpose()?.map(Box::new);
        let when = self.when.take().map(|when| expression(&format!("step `{name}`, when"), &when)).transpose()?;
        let needs = self.needs.iter().map(|need| parse("steps.needs", need)).collect::<Result<_>>()?;
        let en = self.title.take().unwrap_or_else(|| self.name.clone());
        let title = Bilingual { en, ar: self.title_ar.take() };
        let timeout = self.timeout_ms.map(duration);
        let work = self.into_work(&name)?;
        Ok(domain::Step { name, title, needs, when, work, output, timeout, compensation })
    }

    fn into_work(self, name: &StepName) -> Result<Work> {
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
                return Err(invalid(format!(
                    "step `{name}` does nothing: give it `agent` and `template`, `approval`, `wait`, `signal` or `run`"
                )));
            }
            [_] => {}
            several => {
                return Err(invalid(format!("step `{name}` is of several kinds at once: {}", several.join(", "))));
            }
        }
        if self.agent.is_none() {
            let only = [
                ("forEach", self.for_each.is_some()),
                ("input", !self.input.is_empty()),
                ("retry", self.retry.is_some()),
                ("attemptTimeoutMs", self.attempt_timeout_ms.is_some()),
                ("startTimeoutMs", self.start_timeout_ms.is_some()),
            ];
            if let Some((field, _)) = only.iter().find(|(_, there)| *there) {
                return Err(invalid(format!("step `{name}` has `{field}`, which only a step with an agent can have")));
            }
        }
        if let Some(approval) = self.approval {
            return approval.into_approval(name).map(Work::Approval);
        }
        if let Some(wait) = self.wait {
            return wait.into_wait(name).map(Work::Wait);
        }
        if let Some(signal) = self.signal {
            return Ok(Work::Signal(SignalWait { signal: parse("steps.signal", &signal)? }));
        }
        if let Some(run) = self.run {
            return run.into_run(name).map(Work::Run);
        }
        let (Some(agent), Some(template)) = (self.agent, self.template) else {
            return Err(invalid(format!("step `{name}` needs both `agent` and `template`")));
        };
        let task = TaskWork {
            agent: parse("steps.agent", &agent)?,
            template: parse("steps.template", &template)?,
            input: mappings(&format!("step `{name}`, input"), self.input)?,
            retry: self.retry.map(RetryInput::into_policy).transpose()?.unwrap_or_default(),
            attempt_timeout: self.attempt_timeout_ms.map_or(ATTEMPT_TIMEOUT, duration),
            start_timeout: self.start_timeout_ms.map(duration),
        };
        Ok(match self.for_each {
            None => Work::Task(task),
            Some(each) => Work::ForEach(ForEach {
                over: expression(&format!("step `{name}`, forEach.over"), &each.over)?,
                max_parallel: each.max_parallel,
                each: task,
            }),
        })
    }
}

/// The list that a step works through.
#[derive(Debug, InputObject)]
pub(crate) struct ForEachInput {
    /// The list, an expression over `input` and `steps`.
    over: String,
    /// How many elements are worked on at the same time, at least 1.
    #[graphql(default = 4)]
    max_parallel: u32,
}

/// What people are asked in a step.
#[derive(Debug, InputObject)]
pub(crate) struct ApprovalInput {
    /// What is asked, for the person who decides.
    question: String,
    /// The same in Arabic.
    question_ar: Option<String>,
    /// Who may decide, each as `anyone`, `person:NAME` or `role:NAME`; at least one.
    approvers: Vec<String>,
    /// How many of them must agree, at least 1.
    #[graphql(default = 1)]
    quorum: u32,
    /// What they see and what their decision is bound to, over `input` and `steps`.
    #[graphql(default)]
    content: Vec<MappingInput>,
    /// Whether who started the run may decide too.
    #[graphql(default)]
    own_run: bool,
    /// What a rejection means.
    #[graphql(default_with = "Verdict::Fail")]
    on_rejection: Verdict,
    /// How long it is waited for decisions, in milliseconds.
    expires_after_ms: Option<Count>,
    /// What it means when nobody has decided by then.
    #[graphql(default_with = "Verdict::Fail")]
    on_expiry: Verdict,
}

impl ApprovalInput {
    fn into_approval(self, name: &StepName) -> Result<Approval> {
        let approvers = self.approvers.iter().map(|one| parse("approval.approvers", one)).collect::<Result<_>>()?;
        Ok(Approval {
            question: Bilingual { en: self.question, ar: self.question_ar },
            approvers,
            quorum: self.quorum,
            content: mappings(&format!("step `{name}`, approval content"), self.content)?,
            own_run: self.own_run,
            on_rejection: self.on_rejection.domain(),
            expires_after: self.expires_after_ms.map(duration),
            on_expiry: self.on_expiry.domain(),
        })
    }
}

/// How long a step waits: exactly one of both.
#[derive(Debug, InputObject)]
pub(crate) struct WaitInput {
    /// So many milliseconds from the step's start.
    for_ms: Option<Count>,
    /// Until a moment in RFC 3339, given by an expression over `input` and `steps`.
    until: Option<String>,
}

impl WaitInput {
    fn into_wait(self, name: &StepName) -> Result<Wait> {
        match (self.for_ms, self.until) {
            (Some(milliseconds), None) => Ok(Wait::For(duration(milliseconds))),
            (None, Some(until)) => Ok(Wait::Until(expression(&format!("step `{name}`, wait.until"), &until)?)),
            _ => Err(invalid(format!("step `{name}` must wait either `forMs` milliseconds or `until` a moment"))),
        }
    }
}

/// Another workflow as a step.
#[derive(Debug, InputObject)]
pub(crate) struct SubRunInput {
    /// The key of the workflow.
    workflow: String,
    /// Which version; null takes the active one.
    version: Option<u32>,
    /// Its input, over `input` and `steps`.
    #[graphql(default)]
    input: Vec<MappingInput>,
    /// Whether the step completes with the other run, or as soon as that has started.
    #[graphql(default = true)]
    wait: bool,
    /// What becomes of the other run when this run ends or is cancelled before it.
    #[graphql(default_with = "ParentClose::Cancel")]
    on_parent_close: ParentClose,
}

impl SubRunInput {
    fn into_run(self, name: &StepName) -> Result<SubRun> {
        Ok(SubRun {
            workflow: parse("run.workflow", &self.workflow)?,
            version: self.version,
            input: mappings(&format!("step `{name}`, run input"), self.input)?,
            wait: self.wait,
            on_parent_close: self.on_parent_close.domain(),
        })
    }
}

/// What undoes a step; its input may read the step's own output.
#[derive(Debug, InputObject)]
pub(crate) struct CompensationInput {
    /// The key of the agent that does it; `auto` lets the best one be chosen.
    agent: String,
    /// The key of the template that says what is done.
    template: String,
    /// The template's parameters, over `input` and `steps`.
    #[graphql(default)]
    input: Vec<MappingInput>,
    /// When a failed attempt is repeated; null takes three attempts with doubling pauses from 2 s to at most 60 s.
    retry: Option<RetryInput>,
    /// How long one attempt may take in milliseconds, at most one day; null takes five minutes.
    attempt_timeout_ms: Option<Count>,
}

impl CompensationInput {
    fn into_work(self, name: &StepName) -> Result<TaskWork> {
        Ok(TaskWork {
            agent: parse("compensation.agent", &self.agent)?,
            template: parse("compensation.template", &self.template)?,
            input: mappings(&format!("step `{name}`, compensation input"), self.input)?,
            retry: self.retry.map(RetryInput::into_policy).transpose()?.unwrap_or_default(),
            attempt_timeout: self.attempt_timeout_ms.map_or(ATTEMPT_TIMEOUT, duration),
            start_timeout: None,
        })
    }
}

/// A named value and the expression that gives it.
#[derive(Debug, InputObject)]
pub(crate) struct MappingInput {
    /// The name: 1 to 64 of a-z, 0-9 and `_`, starting with a letter.
    name: String,
    /// The expression, in JMESPath, such as `steps.outline.text`.
    expression: String,
}

/// When a failed attempt is followed by another.
#[derive(Debug, InputObject)]
pub(crate) struct RetryInput {
    /// How many attempts there may be in all, 1 to 100.
    max_attempts: u32,
    /// The pause after the first failure, in milliseconds.
    #[graphql(default_with = "Count(2_000)")]
    first_backoff_ms: Count,
    /// By what each further pause grows, 1 to 10, with at most three decimals.
    #[graphql(default = 2.0)]
    multiplier: f64,
    /// No pause is longer, in milliseconds, unless the platform itself asks for more.
    #[graphql(default_with = "Count(60_000)")]
    max_backoff_ms: Count,
    /// No attempt starts later than so many milliseconds after the task was created; null sets no such bound.
    budget_ms: Option<Count>,
    /// Kinds of failure that are not repeated although they may pass.
    #[graphql(default)]
    never: Vec<ErrorKind>,
}

impl RetryInput {
    fn into_policy(self) -> Result<domain::RetryPolicy> {
        Ok(domain::RetryPolicy {
            max_attempts: self.max_attempts,
            first_backoff: Duration::from_millis(self.first_backoff_ms.0),
            multiplier_milli: milli("retry.multiplier", Some(self.multiplier))?.unwrap_or(2000),
            max_backoff: Duration::from_millis(self.max_backoff_ms.0),
            budget: self.budget_ms.map(duration),
            never: self.never.into_iter().map(ErrorKind::domain).collect(),
        })
    }
}

pub(super) fn mappings(place: &str, list: Vec<MappingInput>) -> Result<BTreeMap<StepName, Expression>> {
    let mut map = BTreeMap::new();
    for MappingInput { name, expression } in list {
        let key: StepName = name.parse().map_err(|error| invalid(format!("{place}: {error}")))?;
        let expression = self::expression(&format!("{place} `{name}`"), &expression)?;
        if map.insert(key, expression).is_some() {
            return Err(invalid(format!("{place} names `{name}` twice")));
        }
    }
    Ok(map)
}

fn expression(place: &str, text: &str) -> Result<Expression> {
    text.parse().map_err(|error| invalid(format!("{place}: {error}")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_name_mapped_twice_is_refused() {
        let mapping = || MappingInput { name: "text".to_owned(), expression: "input.file".to_owned() };
        let error = mappings("step `a`, input", vec![mapping(), mapping()]).unwrap_err();
        assert_eq!(error.message, "step `a`, input names `text` twice");
    }
}
