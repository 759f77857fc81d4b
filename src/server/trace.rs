//! One span, one correlation id and one measurement per request.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use tracing::Instrument;
use uuid::Uuid;

use super::State;
use super::denials::Asked;

/// In: the caller's id for the request, when it is a UUID. Out: the id under which log and journal know the request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every answer carries. Scripts and styles come from this server only, and no other page may frame it.
const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];

/// The same for all that follows from one request.
#[derive(Debug, Clone, Copy)]
struct Correlation(Uuid);

/// The correlation id of a request.
pub(super) fn correlation(request: &HttpRequest) -> Uuid {
    request.extensions().get::<Correlation>().map_or_else(Uuid::now_v7, |correlation| correlation.0)
}

/// The middleware.
pub(super) async fn trace<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let given = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok()?.parse().ok());
    let correlation = given.unwrap_or_else(Uuid::now_v7);
    request.extensions_mut().insert(Correlation(correlation));
    let method = request.method().clone();
    // The pattern, not the path: what strangers ask for must not become names of time series.
    let path = request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
    let state = request.app_data::<Data<State>>().cloned();
    let asked = Asked::of(&method, request.path(), request.headers());
    let span = tracing::info_span!("request", %correlation, %method, path);
    let started = Instant::now();
    let answer = next.call(request).instrument(span.clone()).await;
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    if let Some(state) = state.filter(|_| status.is_client_error()) {
        match &answer {
            Ok(response) => {
                asked.answered(&state, correlation, &path, response.response(), Some(response.request()));
            }
            Err(error) => {
                let response = error.as_response_error().error_response();
                asked.answered(&state, correlation, &path, &response, None);
            }
        }
    }
    let duration = started.elapsed();
    super::metrics::request(method.as_str(), &path, status.as_u16(), duration);
    span.in_scope(|| {
        tracing::debug!(status = status.as_u16(), duration_ms = duration.as_secs_f64() * 1000.0, "request answered");
    });
    let mut response = answer?;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        // A page that needs a policy of its own has said so.
        if !headers.contains_key(name) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    if let Ok(id) = HeaderValue::from_str(&correlation.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    Ok(response)
}
