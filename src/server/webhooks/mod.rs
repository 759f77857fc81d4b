//! `/api/v1/webhooks`: the resource that Zapier's REST hooks, Make's attached webhooks and n8n's trigger nodes work with as
//! they are (docs/integrate).
//!
//! Names of fields are the ones that Standard Webhooks users expect; the names by which Zapier and others call a URL are
//! taken, too. Errors are problem details (RFC 9457) with our stable codes.

mod problem;
mod shapes;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use commands::webhooks::{KnownWebhook, ReplayRange};
use commands::{Commands, Request};
use domain::{CommandId, DeliveryId, Timestamp, WebhookId};
use projections::{DeliveryFilter, Queries, Window};
use serde_json::json;
use tracing::Instrument;
use uuid::Uuid;

use self::problem::Problem;
use self::shapes::{
    ChangeBody, DeliveriesQuery, ListQuery, PauseBody, ReplayBody, RotateBody, SamplesQuery, SubscribeBody, delivery,
    event_types, samples, webhook,
};
use super::{State, graphql, trace};

/// What a request came to, before it is a response: that stays on the thread that answers.
struct Done {
    status: StatusCode,
    location: Option<String>,
    /// `null` for none.
    body: serde_json::Value,
}

impl Done {
    fn of(status: StatusCode, body: serde_json::Value) -> Self {
        Self { status, location: None, body }
    }

    fn response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(location) = self.location {
            response.insert_header(("location", location));
        }
        if self.body.is_null() { response.finish() } else { response.json(self.body) }
    }
}

type Answer = Result<Done, Problem>;

/// The longest key by which a repeated request is known, in bytes.
const MAX_IDEMPOTENCY_KEY: usize = 255;

/// The routes below `/api/v1/webhooks`.
pub(super) fn routes() -> actix_web::Scope {
    web::scope("/api/v1/webhooks")
        .route("", web::post().to(subscribe))
        .route("", web::get().to(list))
        .route("", web::delete().to(delete_by_url))
        .route("/event-types", web::get().to(types))
        .route("/samples", web::get().to(sample))
        .route("/deliveries/{id}/replay", web::post().to(replay_one))
        .route("/{id}", web::get().to(show))
        .route("/{id}", web::patch().to(change))
        .route("/{id}", web::delete().to(delete))
        .route("/{id}/pause", web::post().to(pause))
        .route("/{id}/resume", web::post().to(resume))
        .route("/{id}/rotate", web::post().to(rotate))
        .route("/{id}/test", web::post().to(test))
        .route("/{id}/deliveries", web::get().to(deliveries))
        .route("/{id}/replay", web::post().to(replay_range))
}

/// What the handlers work with.
struct Desk {
    commands: Commands,
    queries: Queries,
    request: Request,
}

impl Desk {
    fn of(request: &HttpRequest, state: &State) -> Result<Self, Problem> {
        let Some(hooks) = &state.hooks else { return Err(Problem::not_found("there are no webhooks here")) };
        let caller = graphql::caller(request, state, trace::correlation(request));
        let caller = caller.map_err(|what| Problem::bad("ARGUMENT_INVALID", what))?;
        let command = match request.headers().get("idempotency-key").map(|key| key.to_str().unwrap_or_default()) {
            None => None,
            Some(key) if key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY => {
                let what = format!("Idempotency-Key must have 1 to {MAX_IDEMPOTENCY_KEY} bytes of ASCII");
                return Err(Problem::bad("IDEMPOTENCY_KEY_INVALID", &what));
            }
            Some(key) => {
                let parts = [request.method().as_str(), "\0", request.path(), "\0", key].concat();
                let hash = blake3::derive_key("hishamos 2026 command of a webhook request", parts.as_bytes());
                let mut bytes = [0; 16];
                bytes.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
                Some(CommandId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid()))
            }
        };
        let asked = Request { actor: caller.actor, command, correlation: Some(caller.correlation), causation: None };
        Ok(Self { commands: hooks.commands.clone(), queries: hooks.queries.clone(), request: asked })
    }

    async fn shown(&self, id: WebhookId) -> Result<serde_json::Value, Problem> {
        let known = KnownWebhook { id, webhook: self.commands.webhook(id).await? };
        webhook(&known).ok_or_else(|| Problem::not_found("there is no such webhook"))
    }
}

/// Carries something out to its end, whatever becomes of the connection, on the runtime that the database belongs to.
async fn finish(state: &State, work: impl Future<Output = Answer> + Send + 'static) -> HttpResponse {
    let correlation = tracing::Span::current();
    match state.tracker.spawn_on(work.instrument(correlation), &state.runtime).await {
        Ok(Ok(done)) => done.response(),
        Ok(Err(problem)) => problem.response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a request broke off");
            Problem::internal().response()
        }
    }
}

fn id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| Problem::not_found(&format!("`{text}` is no id")))
}

fn webhook_id(text: &str) -> Result<WebhookId, Problem> {
    id(text).map(WebhookId::from_uuid)
}

/// The body, in JSON; none at all is an empty object.
fn read<T: serde::de::DeserializeOwned>(body: Result<Bytes, actix_web::Error>) -> Result<T, Problem> {
    let body = body.map_err(|error| {
        let status = error.as_response_error().status_code();
        let code = if status == StatusCode::PAYLOAD_TOO_LARGE { "BODY_TOO_LARGE" } else { "BODY_INVALID" };
        Problem::new(status, code, "the body could not be read")
    })?;
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    serde_json::from_slice(text).map_err(|error| Problem::bad("BODY_INVALID", &format!("the body: {error}")))
}

async fn subscribe(request: HttpRequest, state: Data<State>, body: Result<Bytes, actix_web::Error>) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    let asked = read::<SubscribeBody>(body);
    finish(&state, async move {
        let (desk, settings) = (desk?, asked?.into_settings()?);
        let subscribed = desk.commands.subscribe_webhook(desk.request.clone(), settings).await?;
        let mut shown = desk.shown(subscribed.id).await?;
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("secret".to_owned(), subscribed.secret.reveal().into());
        }
        let place = format!("/api/v1/webhooks/{}", subscribed.id);
        Ok(Done { location: Some(place), ..Done::of(StatusCode::CREATED, shown) })
    })
    .await
}

async fn list(request: HttpRequest, state: Data<State>, asked: Query<ListQuery>) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    finish(&state, async move {
        let known = desk?.commands.webhooks().await?;
        let wanted = |known: &&KnownWebhook| {
            let url = known.webhook.settings().map(|settings| &settings.url);
            asked.url.is_none() || url == asked.url.as_ref()
        };
        let shown: Vec<_> = known.iter().filter(wanted).filter_map(webhook).collect();
        Ok(Done::of(StatusCode::OK, json!({ "webhooks": shown })))
    })
    .await
}

async fn show(request: HttpRequest, state: Data<State>, id: Path<String>) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    finish(&state, async move { Ok(Done::of(StatusCode::OK, desk?.shown(webhook_id(&id)?).await?)) }).await
}

async fn change(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    let asked = read::<ChangeBody>(body);
    finish(&state, async move {
        let (desk, id) = (desk?, webhook_id(&id)?);
        let known = desk.commands.webhook(id).await?;
        let known = known.settings().ok_or_else(|| Problem::not_found("there is no such webhook"))?;
        let settings = asked?.into_settings(known)?;
        desk.commands.change_webhook(desk.request.clone(), id, settings).await?;
        Ok(Done::of(StatusCode::OK, desk.shown(id).await?))
    })
    .await
}

async fn delete(request: HttpRequest, state: Data<State>, id: Path<String>) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    finish(&state, async move {
        let desk = desk?;
        desk.commands.delete_webhook(desk.request.clone(), webhook_id(&id)?).await?;
        Ok(Done::of(StatusCode::NO_CONTENT, serde_json::Value::Null))
    })
    .await
}

/// For those that remember the URL instead of the id.
async fn delete_by_url(request: HttpRequest, state: Data<State>, asked: Query<ListQuery>) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    finish(&state, async move {
        let desk = desk?;
        let Some(url) = &asked.url else {
            return Err(Problem::bad("ARGUMENT_INVALID", "`url` must say which webhooks are meant"));
        };
        let mut found = false;
        for known in desk.commands.webhooks().await? {
            if known.webhook.settings().is_some_and(|settings| settings.url == *url) {
                // Each is a command of its own.
                let request = Request { command: None, ..desk.request.clone() };
                desk.commands.delete_webhook(request, known.id).await?;
                found = true;
            }
        }
        if found {
            Ok(Done::of(StatusCode::NO_CONTENT, serde_json::Value::Null))
        } else {
            Err(Problem::not_found("there is no webhook with this URL"))
        }
    })
    .await
}

async fn pause(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    let asked = read::<PauseBody>(body);
    finish(&state, async move {
        let (desk, id) = (desk?, webhook_id(&id)?);
        desk.commands.pause_webhook(desk.request.clone(), id, asked?.reason).await?;
        Ok(Done::of(StatusCode::OK, desk.shown(id).await?))
    })
    .await
}

async fn resume(request: HttpRequest, state: Data<State>, id: Path<String>) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    finish(&state, async move {
        let (desk, id) = (desk?, webhook_id(&id)?);
        desk.commands.resume_webhook(desk.request.clone(), id).await?;
        Ok(Done::of(StatusCode::OK, desk.shown(id).await?))
    })
    .await
}

async fn rotate(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    let asked = read::<RotateBody>(body);
    finish(&state, async move {
        let (desk, id) = (desk?, webhook_id(&id)?);
        let overlap = asked?.overlap_seconds.map_or(Commands::OVERLAP, Duration::from_secs);
        let (secret, _) = desk.commands.rotate_webhook(desk.request.clone(), id, overlap).await?;
        let mut shown = desk.shown(id).await?;
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("secret".to_owned(), secret.reveal().into());
        }
        Ok(Done::of(StatusCode::OK, shown))
    })
    .await
}

async fn test(request: HttpRequest, state: Data<State>, id: Path<String>) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    finish(&state, async move {
        let desk = desk?;
        let (delivery, outcome) = desk.commands.test_webhook(desk.request.clone(), webhook_id(&id)?).await?;
        let position = outcome.position.as_u64().to_string();
        Ok(Done::of(StatusCode::ACCEPTED, json!({ "delivery_id": delivery.to_string(), "position": position })))
    })
    .await
}

async fn types() -> HttpResponse {
    HttpResponse::Ok().json(event_types())
}

async fn sample(asked: Query<SamplesQuery>) -> HttpResponse {
    match samples(asked.event_type.as_deref(), commands::now()) {
        Ok(samples) => HttpResponse::Ok().json(samples),
        Err(problem) => problem.response(),
    }
}

async fn deliveries(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
    asked: Query<DeliveriesQuery>,
) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    finish(&state, async move {
        let (desk, id) = (desk?, webhook_id(&id)?);
        let limit = asked.limit.unwrap_or(50);
        if !(1..=200).contains(&limit) {
            return Err(Problem::bad("ARGUMENT_INVALID", "`limit` must be 1 to 200"));
        }
        let after = asked.cursor.as_deref().map(shapes::cursor).transpose()?;
        let filter = DeliveryFilter { webhook: Some(id.as_uuid()), status: asked.status()? };
        let window = Window { after, ..Window::first(limit) };
        let page = desk.queries.deliveries(&filter, &window).await.map_err(|error| Problem::failed(&error))?;
        let last = page.rows.last().map(|row| shapes::cursor_of(row.event_position, row.id));
        let next = last.filter(|_| page.has_more);
        let shown: Vec<_> = page.rows.iter().map(delivery).collect();
        Ok(Done::of(StatusCode::OK, json!({ "deliveries": shown, "next_cursor": next })))
    })
    .await
}

async fn replay_one(request: HttpRequest, state: Data<State>, delivery: Path<String>) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    finish(&state, async move {
        let (desk, delivery) = (desk?, DeliveryId::from_uuid(id(&delivery)?));
        desk.commands.replay_delivery(desk.request.clone(), delivery).await?;
        Ok(Done::of(StatusCode::ACCEPTED, json!({ "delivery_ids": [delivery.to_string()] })))
    })
    .await
}

async fn replay_range(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let desk = Desk::of(&request, &state);
    let asked = read::<ReplayBody>(body);
    finish(&state, async move {
        let (desk, asked) = (desk?, asked?);
        let moment = |at: jiff::Timestamp| Timestamp::from_micros(at.as_microsecond());
        let range = ReplayRange {
            from: moment(asked.from),
            until: asked.until.map_or_else(commands::now, moment),
            delivered_too: asked.delivered_too,
        };
        let done = desk.commands.replay_deliveries(desk.request.clone(), webhook_id(&id)?, range).await?;
        let ids: Vec<String> = done.requested.iter().map(ToString::to_string).collect();
        let said = json!({ "delivery_ids": ids, "delivered": done.delivered, "open": done.open });
        Ok(Done::of(StatusCode::ACCEPTED, said))
    })
    .await
}
