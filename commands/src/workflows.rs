use std::sync::Arc;

use domain::{Agent, AgentId, Definition, Key, StreamId, Template, TemplateId, Workflow, WorkflowCommand, WorkflowId};

use crate::catalog::{Known, check_definition};
use crate::{Commands, Error, Outcome, Refused, Request};

impl Commands {
    /// Adds the next version of a workflow as a draft; a definition equal to the newest version changes nothing.
    /// Answers with the version's number.
    ///
    /// # Errors
    /// `WORKFLOW_INVALID` with everything that is wrong, `SCHEMA_INVALID`.
    pub async fn draft_workflow(&self, request: Request, definition: Definition) -> Result<(u32, Outcome), Error> {
        self.check_workflow(&definition)?;
        let stream = StreamId::from(WorkflowId::from_key(&definition.key));
        let command = WorkflowCommand::Draft { definition: Box::new(definition) };
        let (context, remember) = self.context(&request);
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
        self.check_fits(definition).await?;
        let (context, remember) = self.context(&request);
        let command = WorkflowCommand::Activate { version };
        let done = self.executor.execute::<Workflow>(stream, command, context, remember).await?;
        Ok((version, Outcome::of(stream, &done)))
    }

    /// Checks what the domain cannot: the input schema.
    pub(crate) fn check_workflow(&self, definition: &Definition) -> Result<(), Error> {
        self.schemas.check_schema(&definition.input_schema).map_err(|error| Refused::SchemaInvalid {
            place: format!("workflow `{}`, input_schema", definition.key),
            error,
        })?;
        Ok(())
    }

    /// Checks a definition against the agents and templates that there are.
    async fn check_fits(&self, definition: &Definition) -> Result<(), Error> {
        let mut faults = check_definition(definition, &self.known_to(definition).await?);
        if faults.is_empty() {
            return Ok(());
        }
        let first = Box::new(faults.swap_remove(0));
        Err(Refused::DoesNotFit { key: definition.key.clone(), first, more: faults.len() }.into())
    }

    /// The agents and templates that a definition names and that exist.
    async fn known_to(&self, definition: &Definition) -> Result<Known, Error> {
        let mut known = Known::default();
        for work in definition.steps.iter().flat_map(domain::Step::tasks) {
            if let Some(named) = work.agent.named()
                && !known.agents.contains(named)
            {
                let agent = self.executor.load::<Agent>(AgentId::from_key(named).into()).await?.state;
                if agent.profile().is_some() {
                    known.agents.insert(named.clone());
                }
            }
            if !known.templates.contains_key(&work.template) {
                let id = TemplateId::from_key(&work.template);
                let template = self.executor.load::<Template>(id.into()).await?.state;
                if let Some(body) = template.body() {
                    known.templates.insert(work.template.clone(), Arc::clone(body));
                }
            }
        }
        Ok(known)
    }
}
