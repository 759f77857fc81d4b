//! Budgets.

use async_graphql::{Context, Object, Result, SimpleObject};
use commands::Outcome;
use domain::CommandId;
use uuid::Uuid;

use super::{commands, request};
use crate::budget::{Budget, RemoveBudgetInput, SetBudgetInput};
use crate::failure;
use crate::input::key;
use crate::reflected::recorded;
use crate::scalar::{Count, Position};

/// Budgets.
#[derive(Default)]
pub(super) struct BudgetCommands;

/// What a command on a budget came to.
#[derive(Debug, SimpleObject)]
pub(crate) struct BudgetPayload {
    /// The command's own id, as the caller gave it.
    client_mutation_id: Option<Uuid>,
    /// The position that contains the command's effect.
    position: Position,
    /// The revision of the budgets after the command.
    revision: Option<Count>,
    /// Whether the command had been carried out before, and this is that first answer.
    repeated: bool,
    /// Whether anything was recorded now; otherwise it was true already, or this is a repetition.
    changed: bool,
    /// The budget's key.
    key: String,
    /// The budget as it stands now; null when it was taken away.
    budget: Option<Budget>,
}

#[Object]
impl BudgetCommands {
    /// Sets a budget, or changes it; it counts from the next attempt on. What was spent stays spent.
    async fn set_budget(&self, context: &Context<'_>, input: SetBudgetInput) -> Result<BudgetPayload> {
        let request = request(context, input.client_mutation_id)?;
        let settings = input.into_settings()?;
        let key = settings.key.clone();
        let outcome = commands(context)?.set_budget(request.clone(), settings).await;
        let outcome = outcome.map_err(|error| failure::command(context, error))?;
        let standing = commands(context)?.budget(&key, None).await.ok();
        payload(context, &request, key.to_string(), outcome, standing.map(Budget::standing).transpose()?)
    }

    /// Takes a budget away; what is set aside from it is settled all the same.
    async fn remove_budget(&self, context: &Context<'_>, input: RemoveBudgetInput) -> Result<BudgetPayload> {
        let request = request(context, input.client_mutation_id)?;
        let outcome = commands(context)?.remove_budget(request.clone(), key(&input.key)?, input.reason).await;
        payload(context, &request, input.key, outcome.map_err(|error| failure::command(context, error))?, None)
    }
}

fn payload(
    context: &Context<'_>,
    request: &commands::Request,
    key: String,
    outcome: Outcome,
    budget: Option<Budget>,
) -> Result<BudgetPayload> {
    Ok(BudgetPayload {
        client_mutation_id: request.command.map(CommandId::as_uuid),
        position: recorded(context, outcome.position),
        revision: outcome.revision.map(Count),
        repeated: outcome.repeated,
        changed: outcome.changed,
        key,
        budget,
    })
}
