//! One task by itself: a run of a workflow with a single step, made for the occasion.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::run::Start;
use domain::task::Form;
use domain::template::TemplateBody;
use domain::workflow::{Assignee, TaskWork, Work};
use domain::{
    Agent, AgentId, Definition, Expression, Key, RetryPolicy, RunId, Step, StepName, StreamId, Template, TemplateId,
    Timestamp, WorkflowId,
};
use journal::{AppendError, Context};
use serde_json::Value;

use crate::runs::{Started, first_start};
use crate::{Commands, Error, Outcome, Refused, Request, SchemaError};

/// Asks for one task.
#[derive(Debug, Clone)]
pub struct StartTask {
    /// What is done.
    pub template: Key,
    /// Who does it.
    pub agent: Assignee,
    /// The template's parameters, an object.
    pub parameters: Value,
    /// Which runs go first when a limit makes them wait: -100 to 100, 0 is usual.
    pub priority: i32,
    /// How much of the output layer is asked for; `None` for as much as is usual here ([`Commands::with_form`]).
    pub form: Option<Form>,
}

/// What a workflow for one task is made from.
pub(crate) struct Occasion<'a> {
    /// What is done.
    pub(crate) body: &'a TemplateBody,
    /// Who does it.
    pub(crate) agent: &'a Assignee,
    /// The template's parameters, an object.
    pub(crate) parameters: Value,
    /// When a failed attempt is repeated.
    pub(crate) retry: RetryPolicy,
    /// How long one attempt may take.
    pub(crate) attempt_timeout: std::time::Duration,
}

impl Commands {
    /// How long one attempt at such a task may take.
    const TASK_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(300);

    /// The name of the one step of a run that is made for a task.
    pub const TASK_STEP: &'static str = "task";

    /// Starts a run that carries out one template, with one step called `task`. It keeps the definition that is made
    /// for it, as every run does, and belongs to no registered workflow: its workflow is called `task.` and the
    /// template's key. Its output has `text` and `json`.
    ///
    /// # Errors
    /// `TEMPLATE_NOT_FOUND`, `AGENT_NOT_FOUND`, `RUN_INPUT_INVALID`, `RUN_INPUT_TOO_LARGE`, `RUN_PRIORITY_INVALID`.
    pub async fn start_task(&self, request: Request, task: StartTask) -> Result<Started, Error> {
        let (context, remember) = self.context(&request);
        if remember && let Some(first) = self.executor.journal().find_command(context.command).await? {
            return first_start(&first.heads, first.position);
        }
        if !(-100..=100).contains(&task.priority) {
            return Err(Refused::PriorityInvalid { priority: task.priority }.into());
        }
        let (definition, input) = self.first_occasion(&task).await?;
        let form = task.form.unwrap_or(self.form);
        let start = self.occasional(&request, context.at, definition, input, task.priority, form)?;
        self.start_occasion(start, context, remember).await
    }

    /// The start of a run that is made for one task.
    pub(crate) fn occasional(
        &self,
        request: &Request,
        at: Timestamp,
        definition: Definition,
        input: Value,
        priority: i32,
        form: Form,
    ) -> Result<Box<Start>, Error> {
        Ok(Box::new(Start {
            id: RunId::from_uuid(self.surroundings.new_id()),
            workflow: id_of(&definition)?,
            version: 1,
            definition: Arc::new(definition),
            input: Arc::new(input),
            by: request.actor.clone(),
            at,
            deadline: None,
            priority,
            parent: None,
            lineage: None,
            trigger: None,
            again: None,
            subject: None,
            form,
        }))
    }

    /// Records such a start.
    pub(crate) async fn start_occasion(
        &self,
        start: Box<Start>,
        context: Context,
        remember: bool,
    ) -> Result<Started, Error> {
        let run = start.id;
        let done =
            self.record_start(start, context, remember).await?.map_err(|error: AppendError| Error::from(error))?;
        if done.repeated {
            return first_start(&done.heads, done.position);
        }
        let revision = done.heads.last().map(|(_, revision)| *revision);
        let outcome = Outcome { stream: run.into(), revision, position: done.position, repeated: false, changed: true };
        Ok(Started { run, outcome })
    }

    /// The workflow that is made for a task, and its input.
    async fn first_occasion(&self, task: &StartTask) -> Result<(Definition, Value), Error> {
        let StartTask { template, agent, parameters, .. } = task;
        let state = self.executor.load::<Template>(StreamId::from(TemplateId::from_key(template))).await?.state;
        let body = state.body().ok_or_else(|| Refused::TemplateNotFound(template.clone()))?;
        self.occasion(Occasion {
            body,
            agent,
            parameters: parameters.clone(),
            retry: RetryPolicy::default(),
            attempt_timeout: Self::TASK_TIMEOUT,
        })
        .await
    }

    /// The same for a body of a template in any version.
    pub(crate) async fn occasion(&self, occasion: Occasion<'_>) -> Result<(Definition, Value), Error> {
        let Occasion { body, agent, parameters: mut input, retry, attempt_timeout } = occasion;
        let template = &body.key;
        if let Some(named) = agent.named() {
            let known = self.executor.load::<Agent>(StreamId::from(AgentId::from_key(named))).await?.state;
            if known.profile().is_none() {
                return Err(Refused::AgentNotFound(named.clone()).into());
            }
        }
        let unfit = |problems: String| Refused::ParametersInvalid { template: template.clone(), problems };
        self.schemas.complete_and_check(&body.parameters, &mut input).map_err(|error| match error {
            SchemaError::Value(problems) => unfit(problems.join("; ")),
            error => Refused::SchemaInvalid { place: format!("template `{template}`, parameters"), error },
        })?;
        domain::check_size(&input).map_err(Refused::InputTooLarge)?;
        let Value::Object(given) = &input else { return Err(unfit("they must be an object".to_owned()).into()) };
        // What is not given is not mapped, so that the template's own ideas of what is missing hold.
        let mut mapping = BTreeMap::new();
        for name in given.keys() {
            let name: StepName = name.parse().map_err(|error: domain::InvalidKey| unfit(error.to_string()))?;
            let expression: Expression =
                format!("input.{name}").parse().map_err(|error: domain::ExpressionError| unfit(error.to_string()))?;
            mapping.insert(name, expression);
        }
        let word = |text: &str| text.parse::<StepName>().map_err(|error| unfit(error.to_string()));
        let output = |text: &str| text.parse::<Expression>().map_err(|error| unfit(error.to_string()));
        let mut key = format!("task.{template}");
        key.truncate(Key::MAX_LEN);
        let definition = Definition {
            key: key.parse().map_err(|error: domain::InvalidKey| unfit(error.to_string()))?,
            name: body.title.clone(),
            description: body.description.clone(),
            department: body.department.clone(),
            tags: Vec::new(),
            input_schema: body.parameters.clone(),
            steps: vec![Step {
                name: word(Self::TASK_STEP)?,
                title: body.title.clone(),
                needs: Vec::new(),
                when: None,
                work: Work::Task(TaskWork {
                    agent: agent.clone(),
                    template: template.clone(),
                    input: mapping,
                    retry,
                    attempt_timeout,
                    start_timeout: None,
                }),
                output: BTreeMap::from([
                    (word("text")?, output("result.text")?),
                    (word("json")?, output("result.json")?),
                ]),
                timeout: None,
                compensation: None,
            }],
            output: BTreeMap::from([
                (word("text")?, output("steps.task.text")?),
                (word("json")?, output("steps.task.json")?),
            ]),
            timeout: None,
        };
        Ok((definition, input))
    }
}

/// The id of a workflow that is nowhere registered: it follows from all of the definition, so that one id and version
/// never mean two definitions.
pub(crate) fn id_of(definition: &Definition) -> Result<WorkflowId, Error> {
    let bytes = serde_json::to_vec(definition).map_err(|error| Error::Unavailable(Box::new(error)))?;
    let mut hasher = blake3::Hasher::new_derive_key("hishamos 2026 id of a workflow for one task");
    hasher.update(&bytes);
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    Ok(WorkflowId::from_uuid(uuid::Builder::from_custom_bytes(id).into_uuid()))
}
