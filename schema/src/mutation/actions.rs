//! Action items.

use async_graphql::{ComplexObject, Context, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use commands::ChangeAction;
use domain::{ActionId, CommandId};
use uuid::Uuid;

use super::{commands, request};
use crate::action::{ActionState, TrackedAction};
use crate::failure;
use crate::input::parse;
use crate::query::{queries, wait_for};
use crate::reflected::recorded;
use crate::scalar::{Count, Position};

/// Action items.
#[derive(Default)]
pub(super) struct ActionCommands;

/// A change of an action item; what is not given stays.
#[derive(Debug, InputObject)]
pub(crate) struct ChangeActionItemInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    client_mutation_id: Option<Uuid>,
    /// Which one, by its own id.
    id: String,
    /// How far it is.
    state: Option<ActionState>,
    /// Who does it, in at most 200 characters; null says that nobody does.
    owner: MaybeUndefined<String>,
    /// The date by which it has to be done, such as `2026-12-31`; null says that there is none.
    due: MaybeUndefined<String>,
    /// What there is to say about it, in at most 4,000 characters; null takes it away.
    note: MaybeUndefined<String>,
}

/// What a command on an action item came to.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct ActionItemPayload {
    /// The command's own id, as the caller gave it.
    client_mutation_id: Option<Uuid>,
    /// The position that contains the command's effect.
    position: Position,
    /// The revision of the item's stream after the command.
    revision: Option<Count>,
    /// Whether the command had been carried out before, and this is that first answer.
    repeated: bool,
    /// Whether anything was recorded now; otherwise it was true already, or this is a repetition.
    changed: bool,
    /// The item's own id.
    action_id: String,
    #[graphql(skip)]
    of: (Uuid, u32),
}

#[ComplexObject]
impl ActionItemPayload {
    /// The item with the command's effect; waits until the read model has it.
    async fn action_item(&self, context: &Context<'_>) -> Result<Option<TrackedAction>> {
        wait_for(context, self.position.0).await?;
        let of = (self.of.0, i32::try_from(self.of.1).unwrap_or(i32::MAX));
        let rows = queries(context)?.actions_by_ids(&[of]).await;
        let row = rows.map_err(|error| failure::query(context, &error))?.pop();
        row.map(TrackedAction::of).transpose()
    }
}

#[Object]
impl ActionCommands {
    /// Changes what is true of an action item: how far it is, who does it, until when, and what there is to say about it.
    async fn change_action_item(
        &self,
        context: &Context<'_>,
        input: ChangeActionItemInput,
    ) -> Result<ActionItemPayload> {
        let request = request(context, input.client_mutation_id)?;
        let id: ActionId = parse("id", &input.id)?;
        let change = ChangeAction {
            id,
            state: input.state.map(Into::into),
            owner: input.owner.into(),
            due: input.due.into(),
            note: input.note.into(),
        };
        let outcome = commands(context)?.change_action(request.clone(), change).await;
        let outcome = outcome.map_err(|error| failure::command(context, error))?;
        Ok(ActionItemPayload {
            client_mutation_id: request.command.map(CommandId::as_uuid),
            position: recorded(context, outcome.position),
            revision: outcome.revision.map(Count),
            repeated: outcome.repeated,
            changed: outcome.changed,
            action_id: id.to_string(),
            of: (id.task.as_uuid(), id.number),
        })
    }
}
