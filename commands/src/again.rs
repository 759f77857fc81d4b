//! A task done again, as it was or changed, as a run of its own.
//!
//! The run names the task that it does again, and what its definition cannot say: the versions of template and agent, and
//! the model. It is a run like any other, so budgets, limits and the record hold for it; and a task that was a step's is
//! done by itself, with the parameters that the step had made for it.

use domain::run::Again;
use domain::task::Form;
use domain::workflow::Assignee;
use domain::{Agent, AgentId, Decide, Run, Task, TaskId, Template};
use serde_json::{Map, Value};

use crate::runs::{Started, first_start};
use crate::tasks::Occasion;
use crate::{Commands, Error, Refused, Request};

/// Asks for a task to be done again; what is not given stays as it was.
#[derive(Debug, Clone)]
pub struct RunTaskAgain {
    /// Which task.
    pub task: TaskId,
    /// Who does it; `None` takes the agent that did it.
    pub agent: Option<Assignee>,
    /// The model, whatever the agent names.
    pub model: Option<String>,
    /// The version of the template.
    pub template_version: Option<u32>,
    /// Takes the newest versions of template and agent where none is named, instead of those that there were.
    pub latest: bool,
    /// Parameters in the place of those of the same names; null takes one away.
    pub parameters: Map<String, Value>,
    /// Which runs go first when a limit makes them wait: -100 to 100, 0 is usual.
    pub priority: i32,
    /// How much of the output layer is asked for.
    pub form: Option<Form>,
}

impl RunTaskAgain {
    /// As it was.
    #[must_use]
    pub fn of(task: TaskId) -> Self {
        Self {
            task,
            agent: None,
            model: None,
            template_version: None,
            latest: false,
            parameters: Map::new(),
            priority: 0,
            form: None,
        }
    }
}

impl Commands {
    /// Does a task again that has ended, in a run of its own that names it.
    ///
    /// # Errors
    /// `TASK_NOT_FOUND`, `TASK_NOT_ENDED`, `TEMPLATE_VERSION_UNKNOWN`, `AGENT_NOT_FOUND`, `RUN_INPUT_INVALID`,
    /// `RUN_INPUT_TOO_LARGE`, `RUN_PRIORITY_INVALID`.
    pub async fn run_task_again(&self, request: Request, asked: RunTaskAgain) -> Result<Started, Error> {
        let (mut context, remember) = self.context(&request);
        if remember && let Some(first) = self.executor.journal().find_command(context.command).await? {
            return first_start(&first.heads, first.position);
        }
        if !(-100..=100).contains(&asked.priority) {
            return Err(Refused::PriorityInvalid { priority: asked.priority }.into());
        }
        let task = self.executor.load::<Task>(asked.task.into()).await?.state;
        let Some(order) = task.order() else { return Err(Refused::TaskNotFound(asked.task).into()) };
        if !task.status().is_terminal() {
            return Err(Refused::TaskNotEnded { task: asked.task, status: task.status() }.into());
        }
        let run = match order.run {
            Some(run) => Some(self.executor.load_cached::<Run>(run.into()).await?.state),
            None => None,
        };
        let template = self.executor.load::<Template>(order.template.into()).await?.state;
        let newest = template.version();
        let version = asked.template_version.unwrap_or(if asked.latest { newest } else { order.template_version });
        let Some(body) = template.body_at(version) else {
            return Err(Refused::TemplateVersionNotFound { task: asked.task, version, newest }.into());
        };
        // A model that was not the agent's own goes with the agent.
        let keeps = asked.agent.is_none();
        let kept = run.as_ref().filter(|_| keeps).and_then(|run| run.model()).map(str::to_owned);
        let (agent, agent_version) = match (asked.agent, task.agent()) {
            (Some(agent), _) => {
                let version =
                    self.newest_agent(agent.named().map(AgentId::from_key)).await?.map(|(_, version)| version);
                (agent, version)
            }
            (None, None) => (Assignee::Auto, None),
            (None, Some((id, version))) => match self.newest_agent(Some(id)).await? {
                None => (Assignee::Auto, None),
                Some((agent, newest)) => (agent, Some(if asked.latest { newest } else { version })),
            },
        };
        let again = Again { task: asked.task, template_version: version, agent_version, model: asked.model.or(kept) };
        let Value::Object(mut parameters) = (*order.parameters).clone() else {
            let problems = "they are gone with the person whom the task was about".to_owned();
            return Err(Refused::ParametersInvalid { template: body.key.clone(), problems }.into());
        };
        for (name, value) in asked.parameters {
            match value {
                Value::Null => parameters.remove(&name),
                value => parameters.insert(name, value),
            };
        }
        let parameters = Value::Object(parameters);
        let (retry, attempt_timeout) = (order.retry.clone(), order.attempt_timeout);
        let (definition, input) =
            self.occasion(Occasion { body, agent: &agent, parameters, retry, attempt_timeout }).await?;
        let had_parts = task.output().is_some();
        let form = asked.form.unwrap_or(if had_parts { Form::Every } else { Form::Text });
        let mut start = self.occasional(&request, context.at, definition, input, asked.priority, form)?;
        start.subject = run.as_ref().and_then(|run| Decide::subject(&**run));
        start.again = Some(again);
        context.subject = start.subject;
        self.start_occasion(start, context, remember).await
    }

    /// An agent and its newest version, when there is one.
    async fn newest_agent(&self, id: Option<AgentId>) -> Result<Option<(Assignee, u32)>, Error> {
        let Some(id) = id else { return Ok(None) };
        let known = self.executor.load::<Agent>(id.into()).await?.state;
        Ok(known.profile().map(|profile| (profile.key.clone().into(), known.version())))
    }
}
