//! Triggers, which are read from the journal itself.

use async_graphql::{Context, Object, Result};
use commands::Commands;

use crate::failure;
use crate::input::key;
use crate::trigger::Trigger;

/// Triggers.
#[derive(Default)]
pub(super) struct Triggers;

#[Object]
impl Triggers {
    /// A trigger by its key.
    async fn trigger(&self, context: &Context<'_>, #[graphql(name = "key")] wanted: String) -> Result<Option<Trigger>> {
        Trigger::find(context, &key(&wanted)?).await
    }

    /// Every trigger, by key.
    #[graphql(complexity = "20 * child_complexity")]
    async fn triggers(&self, context: &Context<'_>) -> Result<Vec<Trigger>> {
        let triggers = context.data::<Commands>()?.triggers().await;
        let triggers = triggers.map_err(|error| failure::command(context, error))?;
        Ok(triggers.iter().filter_map(|trigger| Trigger::of(trigger)).collect())
    }
}
