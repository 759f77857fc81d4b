//! `POST /hooks/{trigger}`: something that happened outside, signed by whoever posts it, becomes an event that the trigger
//! waits for. The sender's id of the message is its idempotency key.

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use commands::{Error, PostEvent, Request};
use domain::trigger::TriggerKind;
use domain::{Actor, ActorKind, Key};
use serde_json::{Value, json};
use tracing::Instrument;

use super::reply::refuse;
use super::{State, trace};

pub(super) async fn post(
    request: HttpRequest,
    state: Data<State>,
    trigger: Path<String>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let Some(hooks) = &state.hooks else { return super::reply::not_found().await };
    let body = match body {
        Ok(body) => body,
        Err(error) if error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the body is too large; at most {} bytes are allowed", state.options.max_body);
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", &message);
        }
        Err(_) => return refuse(StatusCode::BAD_REQUEST, "BODY_INVALID", "the body could not be read to its end"),
    };
    // Who cannot sign learns nothing about which triggers there are.
    let Ok(trigger) = trigger.parse::<Key>() else { return unbelieved("no signature of the message fits") };
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let now = hooks.commands.surroundings().now();
    let id = match hooks.hooks.of(&trigger).check(header, &body, now) {
        Ok(id) => id,
        Err(error) => {
            tracing::warn!(trigger = trigger.as_str(), code = error.code(), "a post for a trigger was not believed");
            return refuse(StatusCode::UNAUTHORIZED, error.code(), &error.to_string());
        }
    };
    let Ok(payload) = serde_json::from_slice::<Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "BODY_INVALID", "the body is no JSON");
    };
    let commands = hooks.commands.clone();
    let correlation = trace::correlation(&request);
    let work = async move {
        let known = commands.trigger(&trigger).await?;
        let name = match known.settings().map(|settings| &settings.kind) {
            Some(TriggerKind::External { name, .. }) => name.clone(),
            _ => return Ok(None),
        };
        // Different senders may use the same ids, and two triggers the same name.
        let event = PostEvent { name, payload, id: Some(format!("{trigger}/{id}")) };
        let actor = Actor { kind: ActorKind::ApiKey, id: format!("hook-{trigger}") };
        let request = Request { correlation: Some(correlation), ..Request::by(actor) };
        commands.post_event(request, event).await.map(Some)
    };
    // A command that was begun is finished, whatever becomes of the connection.
    let done = state.tracker.spawn_on(work.in_current_span(), &state.runtime).await;
    match done {
        Ok(Ok(Some((event, outcome)))) => {
            let said = json!({ "event_id": event.to_string(), "repeated": !outcome.changed });
            HttpResponse::Accepted().json(said)
        }
        Ok(Ok(None)) => {
            let message = "the trigger waits for something else than what is posted from outside";
            refuse(StatusCode::CONFLICT, "HOOK_NOT_EXTERNAL", message)
        }
        Ok(Err(Error::Refused(refusal))) => {
            let status = match refusal.code() {
                "TRIGGER_NOT_FOUND" => StatusCode::NOT_FOUND,
                "EVENT_ID_REUSED" => StatusCode::CONFLICT,
                "EVENT_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::BAD_REQUEST,
            };
            refuse(status, refusal.code(), &refusal.to_string())
        }
        Ok(Err(error)) => {
            tracing::error!(%correlation, error = &error as &dyn std::error::Error, "a post was not recorded");
            refuse(StatusCode::SERVICE_UNAVAILABLE, error.code(), "the post was not recorded; send it again later")
        }
        Err(error) => {
            tracing::error!(%correlation, error = &error as &dyn std::error::Error, "a post broke off");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "the post broke off; send it again later")
        }
    }
}

fn unbelieved(message: &str) -> HttpResponse {
    refuse(StatusCode::UNAUTHORIZED, "HOOK_SIGNATURE_REFUSED", message)
}
