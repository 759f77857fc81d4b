//! Saved searches.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use commands::Outcome;
use domain::CommandId;
use uuid::Uuid;

use super::{commands, request};
use crate::failure;
use crate::query::{SaveSearchInput, SavedSearch};
use crate::reflected::recorded;
use crate::scalar::{Count, Position};

/// Saved searches.
#[derive(Default)]
pub(super) struct SearchCommands;

/// A search to take away.
#[derive(Debug, InputObject)]
pub(crate) struct DeleteSearchInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    client_mutation_id: Option<Uuid>,
    /// Its name.
    name: String,
}

/// What a command on a saved search came to.
#[derive(Debug, SimpleObject)]
pub(crate) struct SearchPayload {
    /// The command's own id, as the caller gave it.
    client_mutation_id: Option<Uuid>,
    /// The position that contains the command's effect.
    position: Position,
    /// The revision of your searches after the command.
    revision: Option<Count>,
    /// Whether the command had been carried out before, and this is that first answer.
    repeated: bool,
    /// Whether anything was recorded now; otherwise it was true already, or this is a repetition.
    changed: bool,
    /// The search's name.
    name: String,
    /// The search as it is now; null when it was taken away.
    search: Option<SavedSearch>,
}

#[Object]
impl SearchCommands {
    /// Saves a search of yours, or changes the one of this name.
    async fn save_search(&self, context: &Context<'_>, input: SaveSearchInput) -> Result<SearchPayload> {
        let request = request(context, input.client_mutation_id)?;
        let search = input.into_search()?;
        let name = search.name.clone();
        let outcome = commands(context)?.save_search(request.clone(), search).await;
        let outcome = outcome.map_err(|error| failure::command(context, error))?;
        let search = SavedSearch::find(context, &name).await?;
        Ok(payload(context, &request, name, outcome, search))
    }

    /// Takes a search of yours away.
    async fn delete_search(&self, context: &Context<'_>, input: DeleteSearchInput) -> Result<SearchPayload> {
        let request = request(context, input.client_mutation_id)?;
        let outcome = commands(context)?.delete_search(request.clone(), input.name.clone()).await;
        Ok(payload(context, &request, input.name, outcome.map_err(|error| failure::command(context, error))?, None))
    }
}

fn payload(
    context: &Context<'_>,
    request: &commands::Request,
    name: String,
    outcome: Outcome,
    search: Option<SavedSearch>,
) -> SearchPayload {
    SearchPayload {
        client_mutation_id: request.command.map(CommandId::as_uuid),
        position: recorded(context, outcome.position),
        revision: outcome.revision.map(Count),
        repeated: outcome.repeated,
        changed: outcome.changed,
        name,
        search,
    }
}
