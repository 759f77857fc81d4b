//! Webhooks, straight from the journal, and what they were told, from the read model.

use async_graphql::{Context, Object, Result};
use commands::Commands;
use domain::WebhookId;
use projections::{DeliveryFilter, Window};
use uuid::Uuid;

use super::{fresh, head, queries};
use crate::failure;
use crate::order::{Cursor, DeliveryOrder, WebhookOrder, by_place, placed, usual, usually};
use crate::page::{Arguments, Pages, connection, cost};
use crate::scalar::Position;
use crate::status::DeliveryStatus;
use crate::webhook::{Webhook, WebhookDelivery, WebhookEventType, WebhookFilter};

/// Webhooks.
#[derive(Default)]
pub(super) struct Webhooks;

#[Object]
impl Webhooks {
    /// A webhook as it is now; null when there is none.
    async fn webhook(&self, context: &Context<'_>, id: Uuid) -> Result<Option<Webhook>> {
        super::nodes::webhook(context, WebhookId::from_uuid(id)).await
    }

    /// Every webhook as it is now, the oldest first unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn webhooks(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<WebhookFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "WebhookOrder::Subscribed")] order_by: WebhookOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
    ) -> Result<Pages<Cursor, Webhook>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let position = head(context).await?;
        let known = context.data::<Commands>()?.webhooks().await;
        let known = known.map_err(|error| failure::command(context, error))?;
        let filter = filter.unwrap_or_default();
        let mut webhooks: Vec<Webhook> = known.iter().filter_map(Webhook::of).collect();
        webhooks.retain(|webhook| filter.wants(webhook));
        let page = Webhook::page(webhooks, &window, order_by, reversed)?;
        connection(page, &window, position, Ok)
    }

    /// What webhooks can be told about, by name. All of it is part of the program, so it comes as a whole.
    async fn webhook_event_types(
        &self,
        #[graphql(desc = "Only with this text in the name or the description, whatever the case.")] text: Option<
            String,
        >,
        #[graphql(desc = "In the opposite order.", default)] reversed: bool,
    ) -> Vec<WebhookEventType> {
        WebhookEventType::all(text.as_deref(), reversed)
    }

    /// What webhooks were told, those about the latest events first unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn webhook_deliveries(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only to this webhook.")] webhook_id: Option<Uuid>,
        #[graphql(desc = "Only with this status.")] status: Option<DeliveryStatus>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "DeliveryOrder::Event")] order_by: DeliveryOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
    ) -> Result<Pages<Cursor, WebhookDelivery>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let position = fresh(context, min_position).await?;
        let filter = DeliveryFilter { webhook: webhook_id, status: status.map(|status| status.name().to_owned()) };
        let failed = |error: projections::Error| failure::query(context, &error);
        let page = match order_by.key() {
            None => {
                let page = queries(context)?.deliveries(&filter, &usual(&window)?.turned(reversed)).await;
                usually(page.map_err(failed)?, reversed, |row| (row.event_position, row.id))?
            }
            Some(key) => {
                let asked = placed(&window, order_by.name())?.turned(reversed);
                let page = queries(context)?.deliveries_by(key, &filter, &asked).await.map_err(failed)?;
                by_place(page, reversed, order_by.name())?
            }
        };
        connection(page, &window, position, |(cursor, row)| Ok((cursor, WebhookDelivery::of(row)?)))
    }

    /// What a webhook was told once; null when there is no such delivery, or no attempt was made yet.
    async fn webhook_delivery(
        &self,
        context: &Context<'_>,
        id: Uuid,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
    ) -> Result<Option<WebhookDelivery>> {
        fresh(context, min_position).await?;
        super::nodes::delivery(context, id).await
    }
}
