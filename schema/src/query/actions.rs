//! Action items.

use async_graphql::{Context, Object, Result};
use projections::Window;

use super::queries;
use crate::action::{ActionItemFilter, TrackedAction};
use crate::as_of::{AsOf, open};
use crate::failure;
use crate::input::parse;
use crate::order::{ActionOrder, Cursor, by_place, placed};
use crate::page::{Arguments, Pages, connection, cost};
use crate::scalar::Position;

/// Action items.
#[derive(Default)]
pub(super) struct Actions;

#[Object]
impl Actions {
    /// One action item; null when there is none of this id.
    async fn action_item(
        &self,
        context: &Context<'_>,
        id: String,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Option<TrackedAction>> {
        let id: domain::ActionId = parse("id", &id)?;
        let view = open(context, min_position, as_of).await?;
        let ids = [(id.task.as_uuid(), i32::try_from(id.number).unwrap_or(i32::MAX))];
        let rows = match view.past() {
            Some(past) => past.actions_by_ids(&ids).await,
            None => queries(context)?.actions_by_ids(&ids).await,
        };
        let row = rows.map_err(|error| failure::query(context, &error))?.pop();
        row.map(TrackedAction::of).transpose()
    }

    /// Action items, the one that came to be last first unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn action_items(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<ActionItemFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "ActionOrder::Opened")] order_by: ActionOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Pages<Cursor, TrackedAction>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let asked = placed(&window, order_by.name())?.turned(reversed);
        let view = open(context, min_position, as_of).await?;
        let filter = filter.unwrap_or_default().into_filter(context).await?;
        let key = order_by.key().unwrap_or_default();
        let page = match view.past() {
            Some(past) => past.actions(key, &filter, &asked).await,
            None => queries(context)?.actions(key, &filter, &asked).await,
        };
        let page = page.map_err(|error| failure::query(context, &error))?;
        let page = by_place(page, reversed, order_by.name())?;
        connection(page, &window, view.position, |(cursor, row)| Ok((cursor, TrackedAction::of(row)?)))
    }
}
