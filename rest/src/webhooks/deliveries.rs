//! What webhooks can be told, what they were told, and telling it once more.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use commands::webhooks::ReplayRange;
use domain::webhook::Topic;
use domain::{DeliveryId, Timestamp, WebhookId};
use projections::{DeliveryFilter, Window};
use uuid::Uuid;

use super::carried;
use super::shapes::{
    Delivery, DeliveryPage, EventType, EventTypeList, ListDeliveries, ListSamples, Replay, ReplayRangeBody, cursor,
    cursor_of, topic,
};
use crate::problem::Details;
use crate::{Answer, Call, Json, Params, Problem};

/// Lists what webhooks can be told, with samples.
#[utoipa::path(
    get, path = "/api/v1/webhooks/event-types", tag = "webhooks",
    responses(
        (status = 200, description = "The event types.", body = EventTypeList),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn event_types(call: Call) -> Result<Answer, Problem> {
    let event_types = Topic::ALL.map(EventType::of).into();
    Answer::json(&call, StatusCode::OK, &EventTypeList { event_types })
}

/// Shows messages as they could be, as a bare list.
#[utoipa::path(
    get, path = "/api/v1/webhooks/samples", tag = "webhooks", params(ListSamples),
    responses(
        (status = 200, description = "The messages.", body = Vec<std::collections::HashMap<String, serde_json::Value>>),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn samples(call: Call, asked: Params<ListSamples>) -> Result<Answer, Problem> {
    let topics = match &asked.0.event_type {
        Some(name) => vec![topic(name)?],
        None => Topic::ALL.to_vec(),
    };
    let now = commands::now();
    let messages: Vec<_> = topics.into_iter().map(|topic| topic.message(now, topic.sample())).collect();
    Answer::json(&call, StatusCode::OK, &messages)
}

/// Lists what a webhook was told, the latest first.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}/deliveries", tag = "webhooks",
    params(("id" = Uuid, Path, description = "Which webhook."), ListDeliveries),
    responses(
        (status = 200, description = "A page of deliveries.", body = DeliveryPage),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn deliveries(call: Call, id: Path<Uuid>, asked: Params<ListDeliveries>) -> Result<Answer, Problem> {
    let limit = asked.0.limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(Problem::invalid("`limit` must be 1 to 200"));
    }
    let after = asked.0.cursor.as_deref().map(cursor).transpose()?;
    let filter = DeliveryFilter { webhook: Some(id.into_inner()), status: asked.0.status() };
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let position = call.fresh(None).await?;
            let page = call.api.queries().deliveries(&filter, &Window { after, ..Window::first(limit) }).await;
            let page = page.map_err(|error| Problem::query(call.correlation, &error))?;
            let last = page.rows.last().filter(|_| page.has_more);
            let next_cursor = last.map(|row| cursor_of(row.event_position, row.id));
            let deliveries = page.rows.iter().map(Delivery::of).collect();
            Ok(Answer::json(&call, StatusCode::OK, &DeliveryPage { deliveries, next_cursor })?.at(position))
        })
        .await
}

/// Tells one thing once more.
#[utoipa::path(
    post, path = "/api/v1/webhooks/deliveries/{id}/replay", tag = "webhooks",
    params(("id" = Uuid, Path, description = "Which delivery."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 202, description = "It is on its way.", body = Replay),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn replay_delivery(call: Call, id: Path<Uuid>) -> Result<Answer, Problem> {
    let id = id.into_inner();
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let ((), done) = carried(&call, &[], |commands, request| async move {
                Ok(((), commands.replay_delivery(request, DeliveryId::from_uuid(id)).await?))
            })
            .await?;
            let replay = Replay { delivery_ids: vec![id], delivered: None, open: None };
            Ok(Answer::json(&call, StatusCode::ACCEPTED, &replay)?.at(done.position).replayed(done.repeated))
        })
        .await
}

/// Tells a webhook once more what happened within a time; of more than a thousand things nothing is told.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/replay", tag = "webhooks", request_body = ReplayRangeBody,
    params(("id" = Uuid, Path, description = "Which webhook."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 202, description = "They are on their way.", body = Replay),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn replay_range(call: Call, id: Path<Uuid>, body: Json<ReplayRangeBody>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let moment = |at: jiff::Timestamp| Timestamp::from_micros(at.as_microsecond());
    let range = ReplayRange {
        from: moment(value.from),
        until: value.until.map_or_else(commands::now, moment),
        delivered_too: value.delivered_too,
    };
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let request = call.begin(&bytes).await?;
            let done = call.commands().replay_deliveries(request, WebhookId::from_uuid(id.into_inner()), range).await;
            let done = done.map_err(|error| call.refused(error))?;
            let replay = Replay {
                delivery_ids: done.requested.iter().map(|id| id.as_uuid()).collect(),
                delivered: Some(done.delivered),
                open: Some(done.open),
            };
            Ok(Answer::json(&call, StatusCode::ACCEPTED, &replay)?.at(done.position).replayed(done.repeated))
        })
        .await
}
