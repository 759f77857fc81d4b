//! Triggers, which are read from the journal itself.

use async_graphql::{Context, Object, Result};
use commands::Commands;

use crate::failure;
use crate::input::key;
use crate::order::TriggerOrder;
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
    #[graphql(complexity = "20 * child_complexity")]
    async fn triggers(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<TriggerFilter>,
        #[graphql(desc = "In which order.", default_with = "TriggerOrder::Key")] order_by: TriggerOrder,
        #[graphql(desc = "In the opposite order.", default)] reversed: bool,
    ) -> Result<Vec<Trigger>> {
        let triggers = context.data::<Commands>()?.triggers().await;
        let triggers = triggers.map_err(|error| failure::command(context, error))?;
        let filter = filter.unwrap_or_default();
        let mut triggers: Vec<Trigger> = triggers.iter().filter_map(|trigger| Trigger::of(trigger)).collect();
        triggers.retain(|trigger| filter.wants(trigger));
        Trigger::sort(&mut triggers, order_by);
        if reversed {
            triggers.reverse();
        }
        Ok(triggers)
    }
}
