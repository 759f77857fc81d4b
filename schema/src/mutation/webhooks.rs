//! Webhooks and what they are told.

use std::time::Duration;

use ::commands::Outcome;
use ::commands::webhooks::{KnownWebhook, ReplayRange};
use async_graphql::{Context, Object, Result, SimpleObject};
use domain::{CommandId, DeliveryId, WebhookId};
use uuid::Uuid;

use super::{asking, commands, request};
use crate::failure;
use crate::reflected::recorded;
use crate::scalar::{Count, Position};
use crate::webhook::{
    ChangeWebhookInput, ReplayDeliveriesInput, ReplayDeliveryInput, RotateWebhookInput, SubscribeWebhookInput, Webhook,
    WebhookInput,
};

/// Webhooks.
#[derive(Default)]
pub(super) struct WebhookCommands;

/// What a command on a webhook came to.
#[derive(Debug, SimpleObject)]
pub(crate) struct WebhookPayload {
    /// The command's own id, as the caller gave it.
    client_mutation_id: Option<Uuid>,
    /// The position that contains the command's effect.
    position: Position,
    /// The webhook's revision after the command.
    revision: Option<Count>,
    /// Whether the command had been carried out before, and this is that first answer.
    repeated: bool,
    /// Whether anything was recorded now; otherwise it was true already, or this is a repetition.
    changed: bool,
    /// The webhook's id.
    webhook_id: Uuid,
    /// The webhook as it is now; null when it was deleted.
    webhook: Option<Webhook>,
    /// The secret by which it is signed, of a webhook that is new or has a new one. It is shown here and nowhere else.
    secret: Option<String>,
    /// What is told because of the command, of a test.
    delivery_id: Option<Uuid>,
}

/// What asking for a delivery came to.
#[derive(Debug, SimpleObject)]
pub(crate) struct ReplayDeliveryPayload {
    /// The command's own id, as the caller gave it.
    client_mutation_id: Option<Uuid>,
    /// The position that contains the command's effect.
    position: Position,
    /// Whether anything was recorded now; otherwise an attempt was due anyway.
    changed: bool,
    /// The delivery.
    delivery_id: Uuid,
}

/// What asking for the deliveries of a range came to.
#[derive(Debug, SimpleObject)]
pub(crate) struct ReplayDeliveriesPayload {
    /// The command's own id, as the caller gave it.
    client_mutation_id: Option<Uuid>,
    /// A position that contains all of these requests.
    position: Position,
    /// Whether all of it had been asked for before, and this is that first answer.
    repeated: bool,
    /// The deliveries that are made once more.
    delivery_ids: Vec<Uuid>,
    /// How many were left alone because they had been delivered.
    delivered: Count,
    /// How many were left alone because they are going on anyway.
    open: Count,
}

impl WebhookPayload {
    async fn of(
        context: &Context<'_>,
        command: Option<CommandId>,
        id: WebhookId,
        outcome: Result<Outcome, ::commands::Error>,
    ) -> Result<Self> {
        let outcome = outcome.map_err(|error| failure::command(context, error))?;
        let webhook = match commands(context)?.webhook(id).await {
            Ok(webhook) => Webhook::of(&KnownWebhook { id, webhook }),
            Err(error) if error.code() == "WEBHOOK_NOT_FOUND" => None,
            Err(error) => return Err(failure::command(context, error)),
        };
        Ok(Self {
            client_mutation_id: command.map(CommandId::as_uuid),
            position: recorded(context, outcome.position),
            revision: outcome.revision.map(Count),
            repeated: outcome.repeated,
            changed: outcome.changed,
            webhook_id: id.as_uuid(),
            webhook,
            secret: None,
            delivery_id: None,
        })
    }
}

fn count(number: usize) -> Count {
    Count(u64::try_from(number).unwrap_or(u64::MAX))
}

#[Object]
impl WebhookCommands {
    /// Subscribes: from now on the URL is told. The answer shows the secret.
    async fn subscribe_webhook(&self, context: &Context<'_>, input: SubscribeWebhookInput) -> Result<WebhookPayload> {
        let request = request(context, input.client_mutation_id)?;
        let command = request.command;
        let subscribed = commands(context)?.subscribe_webhook(request, input.into_settings()?).await;
        let subscribed = subscribed.map_err(|error| failure::command(context, error))?;
        let payload = WebhookPayload::of(context, command, subscribed.id, Ok(subscribed.outcome)).await?;
        Ok(WebhookPayload { secret: Some(subscribed.secret.reveal()), ..payload })
    }

    /// Changes who is told, or about what.
    async fn change_webhook(&self, context: &Context<'_>, input: ChangeWebhookInput) -> Result<WebhookPayload> {
        let (request, id) = (request(context, input.client_mutation_id)?, WebhookId::from_uuid(input.webhook_id));
        let command = request.command;
        let known = commands(context)?.webhook(id).await.map_err(|error| failure::command(context, error))?;
        let outcome = match known.settings() {
            Some(settings) => commands(context)?.change_webhook(request, id, input.into_settings(settings)?).await,
            None => Err(::commands::Error::Refused(Box::new(domain::WebhookRefusal::NotFound))),
        };
        WebhookPayload::of(context, command, id, outcome).await
    }

    /// Tells a webhook nothing until it is resumed.
    async fn pause_webhook(&self, context: &Context<'_>, input: WebhookInput) -> Result<WebhookPayload> {
        let (request, id) = (request(context, input.client_mutation_id)?, WebhookId::from_uuid(input.webhook_id));
        let command = request.command;
        let outcome = commands(context)?.pause_webhook(request, id, input.reason).await;
        WebhookPayload::of(context, command, id, outcome).await
    }

    /// Tells a webhook again that was paused or disabled.
    async fn resume_webhook(&self, context: &Context<'_>, input: WebhookInput) -> Result<WebhookPayload> {
        let (request, id) = (request(context, input.client_mutation_id)?, WebhookId::from_uuid(input.webhook_id));
        let command = request.command;
        let outcome = commands(context)?.resume_webhook(request, id).await;
        WebhookPayload::of(context, command, id, outcome).await
    }

    /// Takes a webhook away for good. Doing it twice is no error.
    async fn delete_webhook(&self, context: &Context<'_>, input: WebhookInput) -> Result<WebhookPayload> {
        let (request, id) = (request(context, input.client_mutation_id)?, WebhookId::from_uuid(input.webhook_id));
        let command = request.command;
        let outcome = commands(context)?.delete_webhook(request, id).await;
        WebhookPayload::of(context, command, id, outcome).await
    }

    /// Gives a webhook a new secret, which the answer shows.
    async fn rotate_webhook_secret(&self, context: &Context<'_>, input: RotateWebhookInput) -> Result<WebhookPayload> {
        let (request, id) = (request(context, input.client_mutation_id)?, WebhookId::from_uuid(input.webhook_id));
        let command = request.command;
        let overlap = Duration::from_secs(u64::from(input.overlap_seconds));
        let rotated = commands(context)?.rotate_webhook(request, id, overlap).await;
        let (secret, outcome) = rotated.map_err(|error| failure::command(context, error))?;
        let payload = WebhookPayload::of(context, command, id, Ok(outcome)).await?;
        Ok(WebhookPayload { secret: Some(secret.reveal()), ..payload })
    }

    /// Tells a webhook that this is a test, whatever types of event it wants.
    async fn test_webhook(&self, context: &Context<'_>, input: WebhookInput) -> Result<WebhookPayload> {
        let (request, id) = (request(context, input.client_mutation_id)?, WebhookId::from_uuid(input.webhook_id));
        let command = request.command;
        let tested = commands(context)?.test_webhook(request, id).await;
        let (delivery, outcome) = tested.map_err(|error| failure::command(context, error))?;
        let payload = WebhookPayload::of(context, command, id, Ok(outcome)).await?;
        Ok(WebhookPayload { delivery_id: Some(delivery.as_uuid()), ..payload })
    }

    /// Makes a delivery once more; its attempts count anew.
    async fn replay_webhook_delivery(
        &self,
        context: &Context<'_>,
        input: ReplayDeliveryInput,
    ) -> Result<ReplayDeliveryPayload> {
        let request = request(context, input.client_mutation_id)?;
        let outcome = commands(context)?.replay_delivery(request, DeliveryId::from_uuid(input.delivery_id)).await;
        let outcome = outcome.map_err(|error| failure::command(context, error))?;
        Ok(ReplayDeliveryPayload {
            client_mutation_id: input.client_mutation_id,
            position: recorded(context, outcome.position),
            changed: outcome.changed,
            delivery_id: input.delivery_id,
        })
    }

    /// Tells a webhook what happened within a time, once more; of more than 1,000 events nothing.
    async fn replay_webhook_deliveries(
        &self,
        context: &Context<'_>,
        input: ReplayDeliveriesInput,
    ) -> Result<ReplayDeliveriesPayload> {
        let request = asking(context, input.client_mutation_id, "replayWebhookDeliveries", &input)?;
        let range = ReplayRange { from: input.from.0, until: input.until.0, delivered_too: input.delivered_too };
        let done = commands(context)?.replay_deliveries(request, WebhookId::from_uuid(input.webhook_id), range).await;
        let done = done.map_err(|error| failure::command(context, error))?;
        Ok(ReplayDeliveriesPayload {
            client_mutation_id: input.client_mutation_id,
            position: recorded(context, done.position),
            repeated: done.repeated,
            delivery_ids: done.requested.into_iter().map(DeliveryId::as_uuid).collect(),
            delivered: count(done.delivered),
            open: count(done.open),
        })
    }
}
