use std::sync::Arc;

use domain::template::TemplateBody;
use domain::{
    Agent, AgentId, Definition, Key, Step, StreamId, Template, TemplateId, Workflow, WorkflowCommand, WorkflowId,
};
use serde_json::Value;

use crate::{Commands, Error, Outcome, Refused, Request};

impl Commands {
    /// Adds the next version of a workflow as a draft; a definition equal to the newest version changes nothing.
    /// Answers with the version's number.
    ///
    /// # Errors
    /// `WORKFLOW_INVALID` with everything that is wrong, `SCHEMA_INVALID`.
    pub async fn draft_workflow(&self, request: Request, definition: Definition) -> Result<(u32, Outcome), Error> {
        self.schemas.check_schema(&definition.input_schema).map_err(|error| Refused::SchemaInvalid {
            place: format!("workflow `{}`, input_schema", definition.key),
            error,
        })?;
        let stream = StreamId::from(WorkflowId::from_key(&definition.key));
        let command = WorkflowCommand::Draft { definition: Box::new(definition) };
        let (context, remember) = request.context();
        let done = self.executor.execute::<Workflow>(stream, command, context, remember).await?;
        Ok((done.state.newest(), Outcome::of(stream, &done)))
    }

    /// Makes a version the one that new runs use; the newest when none is named. Every agent and template that it
    /// names must exist, and every step's input must fit its template.
    ///
    /// # Errors
    /// `WORKFLOW_NOT_FOUND`, `WORKFLOW_VERSION_UNKNOWN`, `WORKFLOW_UNKNOWN_AGENT`, `WORKFLOW_UNKNOWN_TEMPLATE`,
    /// `WORKFLOW_STEP_INPUT_MISMATCH`.
    pub async fn activate_workflow(
        &self,
        request: Request,
        key: &Key,
        version: Option<u32>,
    ) -> Result<(u32, Outcome), Error> {
        let stream = StreamId::from(WorkflowId::from_key(key));
        let workflow = self.executor.load::<Workflow>(stream).await?.state;
        let newest = workflow.newest();
        if newest == 0 {
            return Err(Refused::WorkflowNotFound(key.clone()).into());
        }
        let version = version.unwrap_or(newest);
        let Some(definition) = workflow.version(version) else {
            return Err(Refused::WorkflowVersionNotFound { key: key.clone(), version, newest }.into());
        };
        for step in &definition.steps {
            self.check_step(step).await?;
        }
        let (context, remember) = request.context();
        let command = WorkflowCommand::Activate { version };
        let done = self.executor.execute::<Workflow>(stream, command, context, remember).await?;
        Ok((version, Outcome::of(stream, &done)))
    }

    async fn check_step(&self, step: &Step) -> Result<(), Error> {
        let agent = self.executor.load::<Agent>(AgentId::from_key(&step.agent).into()).await?.state;
        if agent.profile().is_none() {
            return Err(Refused::UnknownAgent { step: step.name.clone(), agent: step.agent.clone() }.into());
        }
        let template = self.executor.load::<Template>(TemplateId::from_key(&step.template).into()).await?.state;
        let Some(body) = template.body() else {
            return Err(Refused::UnknownTemplate { step: step.name.clone(), template: step.template.clone() }.into());
        };
        check_parameters(step, body).map_err(|what| Refused::StepInputMismatch { step: step.name.clone(), what }.into())
    }
}

/// Whether a step gives its template what the template wants.
pub(crate) fn check_parameters(step: &Step, body: &Arc<TemplateBody>) -> Result<(), String> {
    let properties = body.parameters.get("properties").and_then(Value::as_object);
    let known = |name: &str| properties.is_some_and(|known| known.contains_key(name));
    if let Some(name) = step.input.keys().find(|name| !known(name.as_str())) {
        let names: Vec<&str> = properties.into_iter().flat_map(|known| known.keys()).map(String::as_str).collect();
        return Err(format!(
            "template `{}` has no parameter `{name}`; its parameters are: {}",
            body.key,
            names.join(", ")
        ));
    }
    let required = body.parameters.get("required").and_then(Value::as_array);
    let given = |name: &str| step.input.keys().any(|key| key.as_str() == name);
    let missing = required.into_iter().flatten().filter_map(Value::as_str).find(|name| !given(name));
    match missing {
        Some(name) => Err(format!("template `{}` needs parameter `{name}`, and the step's input does not give it", body.key)),
        None => Ok(()),
    }
}
