//! Asking the system to do something; each mutation is one command.

use async_graphql::{ComplexObject, Context, Object, Result, SimpleObject};
use commands::{Commands, Outcome, Request, StartRun};
use domain::{CommandId, RunId};
use uuid::Uuid;

use crate::agent::Agent;
use crate::failure::{self, Caller};
use crate::input::{
    ActivateWorkflowInput, CancelRunInput, DisableAgentInput, DraftWorkflowInput, EnableAgentInput, RegisterAgentInput,
    RegisterTemplateInput, StartRunInput, key,
};
use crate::loader::Loaders;
use crate::query::wait_for;
use crate::run::Run;
use crate::scalar::{Count, Position};
use crate::template::Template;
use crate::workflow::Workflow;

/// The commands of HishamOS. Each answer says where its effect stands in the journal; a query with that position as
/// `minPosition` sees the effect.
pub struct Mutation;

/// The commands of HishamOS. Each answer says where its effect stands in the journal; a query with that position as
/// `minPosition` sees the effect.
#[Object]
impl Mutation {
    /// Registers an agent, or makes a new version of it; an equal profile changes nothing.
    async fn register_agent(&self, context: &Context<'_>, input: RegisterAgentInput) -> Result<AgentPayload> {
        let request = request(context, input.client_mutation_id)?;
        let profile = input.into_profile()?;
        let key = profile.key.to_string();
        let outcome = commands(context)?.register_agent(request.clone(), profile).await;
        AgentPayload::of(&request, key, outcome.map_err(|error| failure::command(context, error))?)
    }

    /// Lets an agent take work again.
    async fn enable_agent(&self, context: &Context<'_>, input: EnableAgentInput) -> Result<AgentPayload> {
        let request = request(context, input.client_mutation_id)?;
        let outcome = commands(context)?.enable_agent(request.clone(), &key(&input.key)?).await;
        AgentPayload::of(&request, input.key, outcome.map_err(|error| failure::command(context, error))?)
    }

    /// Gives an agent no new work; what it is doing goes on.
    async fn disable_agent(&self, context: &Context<'_>, input: DisableAgentInput) -> Result<AgentPayload> {
        let request = request(context, input.client_mutation_id)?;
        let outcome = commands(context)?.disable_agent(request.clone(), &key(&input.key)?, input.reason).await;
        AgentPayload::of(&request, input.key, outcome.map_err(|error| failure::command(context, error))?)
    }

    /// Registers a template, or makes a new version of it; an equal body changes nothing.
    async fn register_template(&self, context: &Context<'_>, input: RegisterTemplateInput) -> Result<TemplatePayload> {
        let request = request(context, input.client_mutation_id)?;
        let body = input.into_body()?;
        let key = body.key.to_string();
        let outcome = commands(context)?.register_template(request.clone(), body).await;
        TemplatePayload::of(&request, key, outcome.map_err(|error| failure::command(context, error))?)
    }

    /// Adds the next version of a workflow as a draft; a definition equal to the newest version changes nothing.
    async fn draft_workflow(&self, context: &Context<'_>, input: DraftWorkflowInput) -> Result<WorkflowPayload> {
        let request = request(context, input.client_mutation_id)?;
        let definition = input.into_definition()?;
        let key = definition.key.to_string();
        let drafted = commands(context)?.draft_workflow(request.clone(), definition).await;
        let (version, outcome) = drafted.map_err(|error| failure::command(context, error))?;
        WorkflowPayload::of(&request, key, version, outcome)
    }

    /// Makes a version of a workflow the one that new runs use. Every agent and template that it names must exist,
    /// and every step's input must fit its template.
    async fn activate_workflow(&self, context: &Context<'_>, input: ActivateWorkflowInput) -> Result<WorkflowPayload> {
        let request = request(context, input.client_mutation_id)?;
        let activated = commands(context)?.activate_workflow(request.clone(), &key(&input.key)?, input.version).await;
        let (version, outcome) = activated.map_err(|error| failure::command(context, error))?;
        WorkflowPayload::of(&request, input.key, version, outcome)
    }

    /// Starts a run of a workflow.
    async fn start_run(&self, context: &Context<'_>, input: StartRunInput) -> Result<RunPayload> {
        let request = request(context, input.client_mutation_id)?;
        let start = StartRun { workflow: key(&input.workflow)?, version: input.version, input: input.input.0 };
        let started = commands(context)?.start_run(request.clone(), start).await;
        let started = started.map_err(|error| failure::command(context, error))?;
        RunPayload::of(&request, started.run.as_uuid(), started.outcome)
    }

    /// Asks a run to stop; what is running is cut.
    async fn cancel_run(&self, context: &Context<'_>, input: CancelRunInput) -> Result<RunPayload> {
        let request = request(context, input.client_mutation_id)?;
        let cancelled =
            commands(context)?.cancel_run(request.clone(), RunId::from_uuid(input.run_id), input.reason).await;
        RunPayload::of(&request, input.run_id, cancelled.map_err(|error| failure::command(context, error))?)
    }
}

fn commands<'a>(context: &Context<'a>) -> Result<&'a Commands> {
    context.data::<Commands>()
}

fn request(context: &Context<'_>, command: Option<Uuid>) -> Result<Request> {
    let caller = Caller::of(context)?;
    Ok(Request {
        actor: caller.actor.clone(),
        command: command.map(CommandId::from_uuid),
        correlation: Some(caller.correlation),
        causation: None,
    })
}

/// Declares the answer of mutations on one kind of aggregate.
macro_rules! payload {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* } $(#[$node_doc:meta])* $node:ident: $node_type:ty = |$payload:ident| $wanted:expr) => {
        $(#[$doc])*
        #[derive(Debug, SimpleObject)]
        #[graphql(complex)]
        pub(crate) struct $name {
            /// The command's own id, as the caller gave it.
            client_mutation_id: Option<Uuid>,
            /// The position that contains the command's effect.
            position: Position,
            /// The aggregate's revision after the command.
            revision: Option<Count>,
            /// Whether the command had been carried out before, and this is that first answer.
            repeated: bool,
            /// Whether anything was recorded now; otherwise it was true already, or this is a repetition.
            changed: bool,
            $($(#[$field_doc])* $field: $type),*
        }

        impl $name {
            fn of(request: &Request, $($field: $type,)* outcome: Outcome) -> Result<Self> {
                Ok(Self {
                    client_mutation_id: request.command.map(CommandId::as_uuid),
                    position: outcome.position.into(),
                    revision: outcome.revision.map(Count),
                    repeated: outcome.repeated,
                    changed: outcome.changed,
                    $($field),*
                })
            }
        }

        #[ComplexObject]
        impl $name {
            $(#[$node_doc])*
            async fn $node(&self, context: &Context<'_>) -> Result<Option<$node_type>> {
                wait_for(context, self.position.0).await?;
                let $payload = self;
                Loaders::of(context)?.$node($wanted).await
            }
        }
    };
}

payload! {
    /// What a command on an agent came to.
    AgentPayload {
        /// The agent's key.
        key: String
    }
    /// The agent with the command's effect; waits until the read model has it.
    agent: Agent = |payload| payload.key.as_str()
}

payload! {
    /// What a command on a template came to.
    TemplatePayload {
        /// The template's key.
        key: String
    }
    /// The template with the command's effect; waits until the read model has it.
    template: Template = |payload| payload.key.as_str()
}

payload! {
    /// What a command on a workflow came to.
    WorkflowPayload {
        /// The workflow's key.
        key: String,
        /// The version that the command was about.
        version: u32
    }
    /// The workflow with the command's effect; waits until the read model has it.
    workflow: Workflow = |payload| payload.key.as_str()
}

payload! {
    /// What a command on a run came to.
    RunPayload {
        /// The run's id.
        run_id: Uuid
    }
    /// The run with the command's effect; waits until the read model has it.
    run: Run = |payload| payload.run_id
}
