//! GraphQL over HTTP, after the GraphQL-over-HTTP specification.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response};
use schema::Caller;
use tracing::Instrument;
use uuid::Uuid;

use super::documents::Refusal;
use super::reply::refuse;
use super::{PERSON, State, denials, events, explorer, metrics, trace};

const RESPONSE_TYPE: &str = "application/graphql-response+json";
const EVENT_STREAM: &str = "text/event-stream";

/// `POST /graphql`.
pub(super) async fn post(
    request: HttpRequest,
    state: Data<State>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    // Anything that a form or a plain cross-site request may send is refused before it is read.
    if !essence(&request, CONTENT_TYPE).is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        let message = "the content type must be application/json";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "CONTENT_TYPE_REFUSED", message);
    }
    let body = match body {
        Ok(body) => body,
        Err(error) if error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the request is too large; at most {} bytes are allowed", state.options.max_body);
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", &message);
        }
        Err(_) => return refuse(StatusCode::BAD_REQUEST, "BODY_INVALID", "the request could not be read to its end"),
    };
    match serde_json::from_slice::<Request>(&body) {
        Ok(operation) => answer(&request, &state, operation).await,
        Err(error) => {
            let message = format!(
                "the body is no GraphQL request, which is a JSON object with `query` and perhaps `variables` and \
                 `operationName`: {error}"
            );
            refuse(StatusCode::BAD_REQUEST, "BODY_INVALID", &message)
        }
    }
}

/// `GET /graphql`: the explorer for browsers, queries for everybody else.
pub(super) async fn get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let accepts_pages = accepts(&request, "text/html");
    if request.query_string().is_empty() && accepts_pages {
        return explorer::page();
    }
    match async_graphql::http::parse_query_string(request.query_string()) {
        Ok(mut operation) => match kind_of_named(&state, &mut operation) {
            Some(OperationType::Query) | None => answer(&request, &state, operation).await,
            Some(OperationType::Subscription) if accepts(&request, EVENT_STREAM) => {
                answer(&request, &state, operation).await
            }
            Some(_) => {
                let message = "GET takes queries, and subscriptions from whoever accepts text/event-stream; send \
                               mutations by POST";
                refuse(StatusCode::METHOD_NOT_ALLOWED, "QUERY_ONLY", message)
            }
        },
        Err(error) => {
            let message = format!("the query string is no GraphQL request: {error}");
            refuse(StatusCode::BAD_REQUEST, "BODY_INVALID", &message)
        }
    }
}

/// What an operation does whose document may only be named; nothing when that cannot be told.
fn kind_of_named(state: &State, operation: &mut Request) -> Option<OperationType> {
    if operation.query.is_empty() {
        // What is wrong with the name is said when it is answered.
        let name = operation.extensions.get("persistedQuery").cloned();
        state.documents.resolve(operation).ok()?;
        if let Some(name) = name {
            operation.extensions.insert("persistedQuery".to_owned(), name);
        }
    }
    kind(operation)
}

async fn answer(request: &HttpRequest, state: &Data<State>, mut operation: Request) -> HttpResponse {
    let correlation = trace::correlation(request);
    if let Err(Refusal { status, code, message }) = state.documents.resolve(&mut operation) {
        return refuse(status, code, message);
    }
    let kind = kind(&mut operation);
    let caller = match caller(request, state, correlation) {
        Ok(caller) => caller,
        Err(message) => return refuse(StatusCode::BAD_REQUEST, "ARGUMENT_INVALID", message),
    };
    // A mutation is carried out whatever becomes of the connection, so it is never streamed.
    if kind != Some(OperationType::Mutation) && accepts(request, EVENT_STREAM) {
        return events::stream(state, caller, operation);
    }
    if kind == Some(OperationType::Subscription) {
        let message = "subscriptions run over WebSocket, at /graphql/ws with subprotocol graphql-transport-ws, or over \
                       server-sent events, here for whoever accepts text/event-stream";
        return refuse(StatusCode::BAD_REQUEST, "SUBSCRIPTION_OVER_HTTP", message);
    }
    let noted = denials::Operation::of(&caller, &mut operation);
    let operation = caller.asks(operation);
    let limit = state.options.timeout;
    let (schema, mutates) = (state.schema.clone(), kind == Some(OperationType::Mutation));
    let noting = Data::clone(state);
    let work = async move {
        // A command that was begun is finished, whatever becomes of the connection.
        let mut response = if mutates {
            schema.execute(operation).await
        } else {
            tokio::time::timeout(limit, schema.execute(operation)).await.ok()?
        };
        schema::label(&mut response);
        noted.answered(&noting, &response);
        metrics::operation(if mutates { "mutation" } else { "query" }, response.is_err());
        Some((is_request_error(&response), serde_json::to_vec(&response)))
    };
    let mut running = state.tracker.spawn_on(work.in_current_span(), &state.runtime);
    // A little longer than the work's own limit, so that a query's own answer comes first.
    let outcome = tokio::time::timeout(limit + Duration::from_millis(100), &mut running).await;
    match outcome {
        Ok(Ok(Some((request_error, Ok(body))))) => {
            let (content_type, status) = if accepts(request, RESPONSE_TYPE) {
                (RESPONSE_TYPE, if request_error { StatusCode::BAD_REQUEST } else { StatusCode::OK })
            } else {
                ("application/json", StatusCode::OK)
            };
            HttpResponse::build(status)
                .insert_header((CONTENT_TYPE, format!("{content_type}; charset=utf-8")))
                .body(body)
        }
        Ok(Ok(Some((_, Err(error))))) => {
            tracing::error!(%correlation, %error, "an answer could not be written");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "the answer could not be written")
        }
        Ok(Err(error)) => {
            tracing::error!(%correlation, %error, "an operation ended abnormally");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "something failed on the server")
        }
        Ok(Ok(None)) | Err(_) if !mutates => {
            let message = format!("the query took longer than {} s", limit.as_secs_f64());
            refuse(StatusCode::GATEWAY_TIMEOUT, "TIMEOUT", &message)
        }
        Ok(Ok(None)) | Err(_) => {
            let message = "the command takes long and goes on; repeat it with the same clientMutationId for its answer";
            refuse(StatusCode::GATEWAY_TIMEOUT, "TIMEOUT", message)
        }
    }
}

/// For whom a request is carried out: until there is access control, whoever the request says, else the local operator.
pub(super) fn caller(request: &HttpRequest, state: &State, correlation: Uuid) -> Result<Caller, &'static str> {
    let actor = match request.headers().get(PERSON) {
        None => state.options.actor.clone(),
        Some(name) => {
            let name = name.to_str().ok().filter(|name| domain::Actor::is_name(name));
            domain::Actor::person(
                name.ok_or("x-hishamos-person must be 1 to 64 of letters, digits, `.`, `_`, `-` and `@`")?,
            )
        }
    };
    Ok(Caller { actor, correlation })
}

/// Whether nothing was executed, because the request itself was wrong.
pub(super) fn is_request_error(response: &Response) -> bool {
    response.is_err()
        && response.data == async_graphql::Value::Null
        && response.errors.iter().all(|error| error.path.is_empty())
}

/// What the operation does that is meant; nothing when that cannot be told, and then execution will say why.
pub(super) fn kind(request: &mut Request) -> Option<OperationType> {
    let name = request.operation_name.clone();
    Some(schema::operation(request.parsed_query().ok()?, name.as_deref())?.ty)
}

/// The name of an operation's kind in the metrics.
pub(super) fn word(kind: Option<OperationType>) -> &'static str {
    match kind {
        Some(OperationType::Mutation) => "mutation",
        Some(OperationType::Subscription) => "subscription",
        Some(OperationType::Query) | None => "query",
    }
}

fn accepts(request: &HttpRequest, wanted: &str) -> bool {
    let accept = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    accept.flat_map(|value| value.split(',')).any(|range| essence_of(range).eq_ignore_ascii_case(wanted))
}

fn essence(request: &HttpRequest, header: HeaderName) -> Option<&str> {
    request.headers().get(header)?.to_str().ok().map(essence_of)
}

/// A media type without its parameters.
fn essence_of(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim()
}
