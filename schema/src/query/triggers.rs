//! Triggers, which are read from the journal itself.

use async_graphql::{Context, Object, Result};
use commands::Commands;
use projections::Window;

use super::head;
use crate::failure;
use crate::input::key;
use crate::order::{Cursor, TriggerOrder};
use crate::page::{Arguments, Pages, connection, cost};
use crate::trigger::{Trigger, TriggerFilter};

/// Triggers.
#[derive(Default)]
pub(super) struct Triggers;

#[Object]
impl Triggers {
    /// A trigger by its key.
    async fn trigger(&self, context: &Context<'_>, #[graphql(name = "key")] wanted: String) -> Result<Option<Trigger>> {
        Trigger::find(context, &key(&wanted)?).await
    }

    /// Every trigger, by key unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn triggers(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<TriggerFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "TriggerOrder::Key")] order_by: TriggerOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
    ) -> Result<Pages<Cursor, Trigger>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let position = head(context).await?;
        let triggers = context.data::<Commands>()?.triggers().await;
        let triggers = triggers.map_err(|error| failure::command(context, error))?;
        let filter = filter.unwrap_or_default();
        let mut triggers: Vec<Trigger> = triggers.iter().filter_map(|trigger| Trigger::of(trigger)).collect();
        triggers.retain(|trigger| filter.wants(trigger));
        let page = Trigger::page(triggers, &window, order_by, reversed)?;
        connection(page, &window, position, Ok)
    }
}
