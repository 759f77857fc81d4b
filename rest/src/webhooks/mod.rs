//! Webhooks: the resource that Zapier's REST hooks, Make's attached webhooks and n8n's trigger nodes work with as they are
//! (docs/integrate).
//!
//! Names of fields are the ones that Standard Webhooks users expect, with underscores; the names by which Zapier and others
//! call a URL are taken, too, and what they send beside is let through.

mod deliveries;
mod shapes;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Path, ServiceConfig};
use commands::webhooks::KnownWebhook;
use commands::{Commands, Error, Outcome, Request};
use domain::WebhookId;
use uuid::Uuid;

use self::shapes::{
    ChangeWebhook, ListWebhooks, NewWebhook, PauseWebhook, RotateWebhook, SubscribeWebhook, Webhook, WebhookList,
    WebhookTest,
};
use crate::problem::{Details, only};
use crate::{Answer, Call, Json, PREFIX, Params, Problem};

pub(crate) use deliveries::{
    __path_deliveries, __path_event_types, __path_replay_delivery, __path_replay_range, __path_samples, deliveries,
    event_types, replay_delivery, replay_range, samples,
};

pub(crate) fn routes(config: &mut ServiceConfig) {
    let post = |path: &str, route: actix_web::Route| web::resource(path).route(route).default_service(only("POST"));
    let get = |path: &str, route: actix_web::Route| web::resource(path).route(route).default_service(only("GET"));
    config
        .service(
            web::resource("/webhooks")
                .route(web::get().to(list))
                .route(web::post().to(subscribe))
                .route(web::delete().to(delete_by_url))
                .default_service(only("GET, POST, DELETE")),
        )
        .service(get("/webhooks/event-types", web::get().to(event_types)))
        .service(get("/webhooks/samples", web::get().to(samples)))
        .service(post("/webhooks/deliveries/{id}/replay", web::post().to(replay_delivery)))
        .service(
            web::resource("/webhooks/{id}")
                .route(web::get().to(show))
                .route(web::patch().to(change))
                .route(web::delete().to(delete))
                .default_service(only("GET, PATCH, DELETE")),
        )
        .service(post("/webhooks/{id}/pause", web::post().to(pause)))
        .service(post("/webhooks/{id}/resume", web::post().to(resume)))
        .service(post("/webhooks/{id}/rotate", web::post().to(rotate)))
        .service(post("/webhooks/{id}/test", web::post().to(test)))
        .service(get("/webhooks/{id}/deliveries", web::get().to(deliveries)))
        .service(post("/webhooks/{id}/replay", web::post().to(replay_range)));
}

fn unknown(id: Uuid) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "WEBHOOK_NOT_FOUND", format!("there is no webhook {id}"))
}

/// The webhook as it is now.
async fn shown(call: &Call, id: Uuid) -> Result<Webhook, Problem> {
    let id = WebhookId::from_uuid(id);
    let webhook = call.api.commands().webhook(id).await.map_err(|error| call.refused(error))?;
    Webhook::of(&KnownWebhook { id, webhook }).ok_or_else(|| unknown(id.as_uuid()))
}

/// Looks whether a repetition is one.
async fn looked(call: &Call, request: &Request, outcome: &Outcome) -> Result<(), Problem> {
    if outcome.repeated { call.same(request).await } else { Ok(()) }
}

/// Carries a command out for a request with this body; a repetition of another request is none.
async fn carried<T, W>(
    call: &Call,
    body: &[u8],
    command: impl FnOnce(Commands, Request) -> W,
) -> Result<(T, Outcome), Problem>
where
    W: Future<Output = Result<(T, Outcome), Error>>,
{
    let request = call.begin(body).await?;
    let (made, done) = command(call.commands(), request.clone()).await.map_err(|error| call.refused(error))?;
    looked(call, &request, &done).await?;
    Ok((made, done))
}

/// Carries a command on one webhook out, and answers with the webhook.
async fn steered<W>(
    call: Call,
    id: Uuid,
    body: Bytes,
    command: impl FnOnce(Commands, Request, WebhookId) -> W + Send + 'static,
) -> Result<Answer, Problem>
where
    W: Future<Output = Result<Outcome, Error>> + Send,
{
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let ((), done) = carried(&within, &body, |commands, request| async move {
                Ok(((), command(commands, request, WebhookId::from_uuid(id)).await?))
            })
            .await?;
            told(&within, id, &done).await
        })
        .await
}

/// Answers with a webhook that something was done with.
async fn told(call: &Call, id: Uuid, outcome: &Outcome) -> Result<Answer, Problem> {
    let answer = Answer::json(call, StatusCode::OK, &shown(call, id).await?)?;
    Ok(answer.at(outcome.position).replayed(outcome.repeated))
}

/// Subscribes a URL: from now on it is told. The answer shows the secret that messages are signed with, once.
#[utoipa::path(
    post, path = "/api/v1/webhooks", tag = "webhooks", request_body = SubscribeWebhook,
    params(("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
        min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 201, description = "The webhook and its secret.", body = NewWebhook),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn subscribe(call: Call, body: Json<SubscribeWebhook>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let settings = value.into_settings()?;
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let request = call.begin(&bytes).await?;
            let subscribed = call.commands().subscribe_webhook(request.clone(), settings).await;
            let subscribed = subscribed.map_err(|error| call.refused(error))?;
            looked(&call, &request, &subscribed.outcome).await?;
            let webhook = shown(&call, subscribed.id.as_uuid()).await?;
            let new = NewWebhook { webhook, secret: subscribed.secret.reveal() };
            let answer = Answer::json(&call, StatusCode::CREATED, &new)?.at(subscribed.outcome.position);
            Ok(answer.location(format!("{PREFIX}/webhooks/{}", subscribed.id)).replayed(subscribed.outcome.repeated))
        })
        .await
}

/// Lists the webhooks, all or those with a URL.
#[utoipa::path(
    get, path = "/api/v1/webhooks", tag = "webhooks", params(ListWebhooks),
    responses(
        (status = 200, description = "The webhooks.", body = WebhookList),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(call: Call, asked: Params<ListWebhooks>) -> Result<Answer, Problem> {
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let known = within.api.commands().webhooks().await.map_err(|error| within.refused(error))?;
            let wanted = known.iter().filter(|known| asked.0.url.is_none() || asked.0.names(known));
            let webhooks = wanted.filter_map(Webhook::of).collect();
            Answer::json(&within, StatusCode::OK, &WebhookList { webhooks })
        })
        .await
}

/// Takes away the webhooks with a URL, for those that remember the URL instead of the id.
#[utoipa::path(
    delete, path = "/api/v1/webhooks", tag = "webhooks", params(ListWebhooks),
    responses(
        (status = 204, description = "They are gone."),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete_by_url(call: Call, asked: Params<ListWebhooks>) -> Result<Answer, Problem> {
    if asked.0.url.is_none() {
        return Err(Problem::invalid("`url` must say which webhooks are meant"));
    }
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let (call, mut found) = (within, false);
            for known in call.api.commands().webhooks().await.map_err(|error| call.refused(error))? {
                if asked.0.names(&known) {
                    // Each is a command of its own.
                    let request = Request { command: None, ..call.begin(&[]).await? };
                    let deleted = call.api.commands().delete_webhook(request, known.id).await;
                    deleted.map_err(|error| call.refused(error))?;
                    found = true;
                }
            }
            if found {
                return Ok(Answer::empty(StatusCode::NO_CONTENT));
            }
            Err(Problem::new(StatusCode::NOT_FOUND, "WEBHOOK_NOT_FOUND", "there is no webhook with this URL"))
        })
        .await
}

/// Shows a webhook.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}", tag = "webhooks", params(("id" = Uuid, Path, description = "Which webhook.")),
    responses(
        (status = 200, description = "The webhook.", body = Webhook),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(call: Call, id: Path<Uuid>) -> Result<Answer, Problem> {
    let within = call.clone();
    let shown = async move { Answer::json(&within, StatusCode::OK, &shown(&within, id.into_inner()).await?) };
    call.api.run(call.correlation, shown).await
}

/// Changes a webhook; what is not given stays.
#[utoipa::path(
    patch, path = "/api/v1/webhooks/{id}", tag = "webhooks", request_body = ChangeWebhook,
    params(("id" = Uuid, Path, description = "Which webhook."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 200, description = "The webhook.", body = Webhook),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn change(call: Call, id: Path<Uuid>, body: Json<ChangeWebhook>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let id = id.into_inner();
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let request = call.begin(&bytes).await?;
            let (commands, webhook) = (call.commands(), WebhookId::from_uuid(id));
            let known = commands.webhook(webhook).await.map_err(|error| call.refused(error))?;
            let settings = value.into_settings(known.settings().ok_or_else(|| unknown(id))?)?;
            let done = commands.change_webhook(request.clone(), webhook, settings).await;
            let done = done.map_err(|error| call.refused(error))?;
            looked(&call, &request, &done).await?;
            told(&call, id, &done).await
        })
        .await
}

/// Takes a webhook away; taking it away a second time changes nothing.
#[utoipa::path(
    delete, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = Uuid, Path, description = "Which webhook."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 204, description = "It is gone."),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(call: Call, id: Path<Uuid>) -> Result<Answer, Problem> {
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let ((), done) = carried(&call, &[], |commands, request| async move {
                Ok(((), commands.delete_webhook(request, WebhookId::from_uuid(id.into_inner())).await?))
            })
            .await?;
            Ok(Answer::empty(StatusCode::NO_CONTENT).at(done.position).replayed(done.repeated))
        })
        .await
}

/// Tells a webhook nothing until it is resumed. What happens meanwhile can be told later by a replay.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/pause", tag = "webhooks", request_body = PauseWebhook,
    params(("id" = Uuid, Path, description = "Which webhook."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 200, description = "The webhook.", body = Webhook),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn pause(call: Call, id: Path<Uuid>, body: Json<PauseWebhook>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    steered(call, id.into_inner(), bytes, move |commands, request, id| async move {
        commands.pause_webhook(request, id, value.reason).await
    })
    .await
}

/// Tells a paused or disabled webhook again what happens from now on.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/resume", tag = "webhooks",
    params(("id" = Uuid, Path, description = "Which webhook."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 200, description = "The webhook.", body = Webhook),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn resume(call: Call, id: Path<Uuid>) -> Result<Answer, Problem> {
    steered(call, id.into_inner(), Bytes::new(), |commands, request, id| async move {
        commands.resume_webhook(request, id).await
    })
    .await
}

/// Gives a webhook a new secret; for a while, messages are signed with both.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/rotate", tag = "webhooks", request_body = RotateWebhook,
    params(("id" = Uuid, Path, description = "Which webhook."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 200, description = "The webhook and its new secret.", body = NewWebhook),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn rotate(call: Call, id: Path<Uuid>, body: Json<RotateWebhook>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let id = id.into_inner();
    let overlap = value.overlap_seconds.map_or(Commands::OVERLAP, Duration::from_secs);
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let (secret, done) = carried(&call, &bytes, |commands, request| async move {
                commands.rotate_webhook(request, WebhookId::from_uuid(id), overlap).await
            })
            .await?;
            let new = NewWebhook { webhook: shown(&call, id).await?, secret: secret.reveal() };
            Ok(Answer::json(&call, StatusCode::OK, &new)?.at(done.position).replayed(done.repeated))
        })
        .await
}

/// Sends a webhook a message of the type `webhook.test`.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/test", tag = "webhooks",
    params(("id" = Uuid, Path, description = "Which webhook."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 202, description = "It is on its way.", body = WebhookTest),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn test(call: Call, id: Path<Uuid>) -> Result<Answer, Problem> {
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let (delivery, done) = carried(&call, &[], |commands, request| async move {
                commands.test_webhook(request, WebhookId::from_uuid(id.into_inner())).await
            })
            .await?;
            let told = WebhookTest { delivery_id: delivery.as_uuid(), position: done.position.to_string() };
            Ok(Answer::json(&call, StatusCode::ACCEPTED, &told)?.at(done.position).replayed(done.repeated))
        })
        .await
}
