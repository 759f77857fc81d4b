//! Agents, templates and workflows.

use async_graphql::{Context, Object, Result};

use super::{AgentPayload, TemplatePayload, WorkflowPayload, commands, request};
use crate::failure;
use crate::input::{
    ActivateWorkflowInput, DisableAgentInput, DraftWorkflowInput, EnableAgentInput, RegisterAgentInput,
    RegisterTemplateInput, key,
};

/// Agents, templates and workflows.
#[derive(Default)]
pub(super) struct Catalog;

#[Object]
impl Catalog {
    /// Registers an agent, or makes a new version of it; an equal profile changes nothing.
    async fn register_agent(&self, context: &Context<'_>, input: RegisterAgentInput) -> Result<AgentPayload> {
        let request = request(context, input.client_mutation_id)?;
        let profile = input.into_profile()?;
        let key = profile.key.to_string();
        let outcome = commands(context)?.register_agent(request.clone(), profile).await;
        AgentPayload::of(context, &request, key, outcome.map_err(|error| failure::command(context, error))?)
    }

    /// Lets an agent take work again.
    async fn enable_agent(&self, context: &Context<'_>, input: EnableAgentInput) -> Result<AgentPayload> {
        let request = request(context, input.client_mutation_id)?;
        let outcome = commands(context)?.enable_agent(request.clone(), &key(&input.key)?).await;
        AgentPayload::of(context, &request, input.key, outcome.map_err(|error| failure::command(context, error))?)
    }

    /// Gives an agent no new work; what it is doing goes on.
    async fn disable_agent(&self, context: &Context<'_>, input: DisableAgentInput) -> Result<AgentPayload> {
        let request = request(context, input.client_mutation_id)?;
        let outcome = commands(context)?.disable_agent(request.clone(), &key(&input.key)?, input.reason).await;
        AgentPayload::of(context, &request, input.key, outcome.map_err(|error| failure::command(context, error))?)
    }

    /// Registers a template, or makes a new version of it; an equal body changes nothing.
    async fn register_template(&self, context: &Context<'_>, input: RegisterTemplateInput) -> Result<TemplatePayload> {
        let request = request(context, input.client_mutation_id)?;
        let body = input.into_body()?;
        let key = body.key.to_string();
        let outcome = commands(context)?.register_template(request.clone(), body).await;
        TemplatePayload::of(context, &request, key, outcome.map_err(|error| failure::command(context, error))?)
    }

    /// Adds the next version of a workflow as a draft; a definition equal to the newest version changes nothing.
    async fn draft_workflow(&self, context: &Context<'_>, input: DraftWorkflowInput) -> Result<WorkflowPayload> {
        let request = request(context, input.client_mutation_id)?;
        let definition = input.into_definition()?;
        let key = definition.key.to_string();
        let drafted = commands(context)?.draft_workflow(request.clone(), definition).await;
        let (version, outcome) = drafted.map_err(|error| failure::command(context, error))?;
        WorkflowPayload::of(context, &request, key, version, outcome)
    }

    /// Makes a version of a workflow the one that new runs use. Every agent and template that it names must exist,
    /// and every step's input must fit its template.
    async fn activate_workflow(&self, context: &Context<'_>, input: ActivateWorkflowInput) -> Result<WorkflowPayload> {
        let request = request(context, input.client_mutation_id)?;
        let activated = commands(context)?.activate_workflow(request.clone(), &key(&input.key)?, input.version).await;
        let (version, outcome) = activated.map_err(|error| failure::command(context, error))?;
        WorkflowPayload::of(context, &request, input.key, version, outcome)
    }
}
