//! Asking the system to do something; each mutation is one command, those on many runs excepted.

mod actions;
mod budgets;
mod bulk;
mod catalog;
mod flow;
mod platforms;
mod quality;
mod runs;
mod searches;
mod triggers;
mod webhooks;

use async_graphql::{ComplexObject, Context, InputType, MergedObject, Result, SimpleObject};
use commands::{Commands, Outcome, Request};
use domain::CommandId;
use uuid::Uuid;

use crate::agent::Agent;
use crate::failure::Caller;
use crate::flow::Limit;
use crate::loader::Loaders;
use crate::query::wait_for;
use crate::reflected::recorded;
use crate::run::Run;
use crate::scalar::{Count, Position};
use crate::task::Task;
use crate::template::Template;
use crate::workflow::Workflow;

/// The commands of HishamOS. Each answer says where its effect stands in the journal; a query with that position as
/// `minPosition` sees the effect.
#[derive(Default, MergedObject)]
pub struct Mutation(
    catalog::Catalog,
    runs::Runs,
    flow::Flow,
    bulk::Bulk,
    triggers::TriggerCommands,
    budgets::BudgetCommands,
    webhooks::WebhookCommands,
    searches::SearchCommands,
    actions::ActionCommands,
    quality::QualityCommands,
    platforms::PlatformCommands,
);

pub(crate) fn commands<'a>(context: &Context<'a>) -> Result<&'a Commands> {
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

/// The request for a command of many appends, which is told by its input from another one under the same id.
fn asking(context: &Context<'_>, command: Option<Uuid>, field: &str, input: &impl InputType) -> Result<Request> {
    let asked = input.to_value().to_string();
    Ok(request(context, command)?.asking(&[field.as_bytes(), asked.as_bytes()]))
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
            fn of(context: &Context<'_>, request: &Request, $($field: $type,)* outcome: Outcome) -> Result<Self> {
                Ok(Self {
                    client_mutation_id: request.command.map(CommandId::as_uuid),
                    position: recorded(context, outcome.position),
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

payload! {
    /// What a command on a task came to.
    TaskPayload {
        /// The task's id.
        task_id: Uuid
    }
    /// The task with the command's effect; waits until the read model has it.
    task: Task = |payload| payload.task_id
}

payload! {
    /// What a command on a limit came to.
    LimitPayload {
        /// The limit's key.
        key: String
    }
    /// The limit with the command's effect; waits until the read model has it.
    limit: Limit = |payload| payload.key.as_str()
}

/// What a command on a hold came to.
#[derive(Debug, SimpleObject)]
pub(crate) struct HoldPayload {
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
    /// The id of the hold.
    hold_id: Uuid,
}

impl HoldPayload {
    fn of(context: &Context<'_>, request: &Request, hold_id: Uuid, outcome: Outcome) -> Result<Self> {
        Ok(Self {
            client_mutation_id: request.command.map(CommandId::as_uuid),
            position: recorded(context, outcome.position),
            revision: outcome.revision.map(Count),
            repeated: outcome.repeated,
            changed: outcome.changed,
            hold_id,
        })
    }
}
