//! Judging answers: a run that asks a judge, made for the occasion, and what came of it.
//!
//! Invariants: a task is judged by one run, whose id follows from the task's, however often and by whichever node it is
//! asked for; the run is about whomever the judged run is about, so what it says of them is sealed with the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::run::Start;
use domain::task::{FailedJudgement, Form, Judgement};
use domain::template::TemplateBody;
use domain::workflow::{Assignee, TaskWork, Work};
use domain::{
    Actor, Definition, EventId, Expression, Key, RetryPolicy, Run, RunId, Step, StepName, StreamId, Task, TaskCommand,
    TaskId, Template, TemplateId,
};
use journal::AppendError;
use serde_json::{Value, json};

use crate::tasks::id_of;
use crate::{Commands, Error, Outcome, Refused, Request};

/// A judge to be asked about the answer of a task.
#[derive(Debug, Clone)]
pub struct StartJudging {
    /// Which task.
    pub task: TaskId,
    /// The agent that judges.
    pub agent: Key,
    /// The template with which it is asked; it takes `sample` beside the parameters.
    pub template: Key,
    /// The parameters, an object.
    pub parameters: Value,
    /// How often it is asked.
    pub samples: u32,
}

impl Commands {
    /// How long one sample may take.
    const SAMPLE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(300);

    /// Who asks judges.
    #[must_use]
    pub fn judge() -> Actor {
        Actor::system("judge")
    }

    /// The step that asks a judge for sample number `sample`, from 1.
    ///
    /// # Errors
    /// When that is no name, which it always is.
    pub fn sample_step(sample: u32) -> Result<StepName, domain::InvalidKey> {
        format!("sample_{sample}").parse()
    }

    /// Registers the template with which judges are asked, unless there is one: who has changed it keeps the change.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn register_rubric(&self, body: TemplateBody) -> Result<(), Error> {
        let stream = StreamId::from(TemplateId::from_key(&body.key));
        if self.executor.load::<Template>(stream).await?.state.body().is_some() {
            return Ok(());
        }
        self.register_template(Request::by(Self::judge()), body).await.map(drop)
    }

    /// Starts the run in which a judge is asked about the answer of a task, several times at once; nothing when it was
    /// started before.
    ///
    /// # Errors
    /// `TASK_NOT_FOUND`, `AGENT_NOT_FOUND`, `TEMPLATE_NOT_FOUND`, `RUN_INPUT_TOO_LARGE`, `RUN_INPUT_INVALID`.
    pub async fn start_judging(&self, cause: Option<EventId>, start: StartJudging) -> Result<RunId, Error> {
        let id = RunId::of_judging(start.task);
        if self.executor.load::<Run>(id.into()).await?.revision.is_some() {
            return Ok(id);
        }
        let task = self.executor.load::<Task>(start.task.into()).await?.state;
        let judged = match task.order().and_then(|order| order.run) {
            Some(run) => self.executor.load::<Run>(run.into()).await?.state,
            None => Arc::default(),
        };
        let department = judged.definition().map(|definition| definition.department.clone()).unwrap_or_default();
        let definition = self.judging(&start, department).await?;
        let mut input = start.parameters;
        if let Some(input) = input.as_object_mut() {
            input.insert("task".to_owned(), json!(start.task.as_uuid()));
        }
        domain::check_size(&input).map_err(Refused::InputTooLarge)?;
        let request = Request { causation: cause, ..Request::by(Self::judge()) };
        let (mut context, _) = self.context(&request);
        context.subject = judged.subject();
        let start = Box::new(Start {
            id,
            workflow: id_of(&definition)?,
            version: 1,
            definition: Arc::new(definition),
            input: Arc::new(input),
            by: request.actor,
            at: context.at,
            deadline: None,
            // Whoever waits for an answer goes before what is only said about one.
            priority: -50,
            parent: None,
            lineage: None,
            trigger: None,
            again: None,
            subject: judged.subject(),
            form: Form::Text,
        });
        match self.record_start(start, context, false).await? {
            // Another node was faster.
            Ok(_) | Err(AppendError::Conflict { .. }) => Ok(id),
            Err(error) => Err(error.into()),
        }
    }

    /// The workflow of such a run: one step for each sample, none of which waits for another.
    async fn judging(&self, start: &StartJudging, department: String) -> Result<Definition, Error> {
        let StartJudging { agent, template, parameters, samples, .. } = start;
        let known = self.executor.load::<domain::Agent>(domain::AgentId::from_key(agent).into()).await?.state;
        if known.profile().is_none() {
            return Err(Refused::AgentNotFound(agent.clone()).into());
        }
        let state = self.executor.load::<Template>(TemplateId::from_key(template).into()).await?.state;
        let body = state.body().ok_or_else(|| Refused::TemplateNotFound(template.clone()))?;
        let unfit = |problems: String| Refused::ParametersInvalid { template: template.clone(), problems };
        let expression = |text: String| text.parse::<Expression>().map_err(|error| unfit(error.to_string()));
        let name = |text: &str| text.parse::<StepName>().map_err(|error| unfit(error.to_string()));
        let mut mapping = BTreeMap::new();
        for given in parameters.as_object().into_iter().flatten().map(|(given, _)| given) {
            mapping.insert(name(given)?, expression(format!("input.{given}"))?);
        }
        let mut steps = Vec::new();
        for sample in 1..=*samples {
            let mut input = mapping.clone();
            input.insert(name("sample")?, expression(format!("'{sample}'"))?);
            steps.push(Step {
                name: Self::sample_step(sample).map_err(|error| unfit(error.to_string()))?,
                title: body.title.clone(),
                needs: Vec::new(),
                when: None,
                work: Work::Task(TaskWork {
                    agent: Assignee::from(agent.clone()),
                    template: template.clone(),
                    input,
                    retry: RetryPolicy::default(),
                    attempt_timeout: Self::SAMPLE_TIMEOUT,
                    start_timeout: None,
                }),
                output: BTreeMap::new(),
                timeout: None,
                compensation: None,
            });
        }
        let mut key = format!("judge.{template}");
        key.truncate(Key::MAX_LEN);
        Ok(Definition {
            key: key.parse().map_err(|error: domain::InvalidKey| unfit(error.to_string()))?,
            name: body.title.clone(),
            description: body.description.clone(),
            department,
            tags: Vec::new(),
            input_schema: json!({ "type": "object" }),
            steps,
            output: BTreeMap::new(),
            timeout: None,
        })
    }

    /// Records what a judge gives the answer of a task; nothing when one was recorded before.
    ///
    /// # Errors
    /// `TASK_NOT_FOUND`, `TASK_NOT_COMPLETED`.
    pub async fn record_judgement(
        &self,
        cause: Option<EventId>,
        task: TaskId,
        judgement: Judgement,
        reason: String,
    ) -> Result<Outcome, Error> {
        let request = Request { causation: cause, ..Request::by(Self::judge()) };
        let completed_at = self.completed_at(task).await?.unwrap_or(judgement.at);
        let command = TaskCommand::Judge { judgement: Box::new(judgement), reason, completed_at };
        self.on_answer(request, task, command).await
    }

    /// Records that a judge brought no mark.
    ///
    /// # Errors
    /// `TASK_NOT_FOUND`, `TASK_NOT_COMPLETED`.
    pub async fn record_failed_judgement(
        &self,
        cause: Option<EventId>,
        task: TaskId,
        failed: FailedJudgement,
    ) -> Result<Outcome, Error> {
        let request = Request { causation: cause, ..Request::by(Self::judge()) };
        self.on_answer(request, task, TaskCommand::FailJudging { failed }).await
    }
}
