//! What the server measures, and where Prometheus reads what the whole program measures.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Data;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::State;
use super::reply::refuse;

/// How often recorded samples are folded into histograms, so that they do not pile up while nobody asks for metrics.
pub(super) const UPKEEP: Duration = Duration::from_secs(15);

/// The buckets of every duration, in seconds: from a read in memory to a long call of a platform.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0, 300.0];

/// Installs the recorder for the whole program; call it once, before any room measures.
///
/// # Errors
/// When another recorder is installed already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    describe_counter!("hishamos_http_requests_total", "Requests answered, by method, path and status.");
    describe_histogram!("hishamos_http_request_duration_seconds", "From request to the head of the answer.");
    describe_counter!("hishamos_graphql_operations_total", "GraphQL operations, by kind and outcome.");
    describe_gauge!("hishamos_websocket_connections", "Open WebSocket connections.");
    describe_gauge!("hishamos_websocket_operations", "Operations under way on WebSocket connections.");
    Ok(handle)
}

/// A request was answered.
pub(super) fn request(method: &str, path: &str, status: u16, duration: Duration) {
    let labels = [("method", method.to_owned()), ("path", path.to_owned()), ("status", status.to_string())];
    counter!("hishamos_http_requests_total", &labels).increment(1);
    histogram!("hishamos_http_request_duration_seconds", "path" => path.to_owned()).record(duration.as_secs_f64());
}

/// A GraphQL operation ended.
pub(super) fn operation(kind: &'static str, failed: bool) {
    let outcome = if failed { "error" } else { "ok" };
    counter!("hishamos_graphql_operations_total", "kind" => kind, "outcome" => outcome).increment(1);
}

/// Counts something that is under way for as long as it lives.
#[derive(Debug)]
pub(super) struct Underway(&'static str);

impl Underway {
    /// An open WebSocket connection.
    pub(super) fn connection() -> Self {
        Self::count("hishamos_websocket_connections")
    }

    /// An operation on a WebSocket connection.
    pub(super) fn operation() -> Self {
        Self::count("hishamos_websocket_operations")
    }

    fn count(name: &'static str) -> Self {
        gauge!(name).increment(1.0);
        Self(name)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        gauge!(self.0).decrement(1.0);
    }
}

/// `/metrics`.
pub(super) async fn show(state: Data<State>) -> HttpResponse {
    match &state.metrics {
        Some(handle) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
            .body(handle.render()),
        None => refuse(StatusCode::NOT_FOUND, "NO_METRICS", "this program records no metrics"),
    }
}
