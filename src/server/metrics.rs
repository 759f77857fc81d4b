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

/// What kind of figure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Every figure that any room of the program records; docs/operate/observability.md explains them, and a test compares.
const FIGURES: &[(&str, Kind, &str)] = &[
    ("hishamos_http_requests_total", Kind::Counter, "Requests answered, by method, path and status."),
    ("hishamos_http_request_duration_seconds", Kind::Histogram, "From request to the head of the answer."),
    ("hishamos_graphql_operations_total", Kind::Counter, "GraphQL operations, by kind and outcome."),
    ("hishamos_websocket_connections", Kind::Gauge, "Open WebSocket connections."),
    ("hishamos_websocket_operations", Kind::Gauge, "Operations under way on WebSocket connections."),
    ("hishamos_attempts_total", Kind::Counter, "Calls to platforms that ended, by platform and outcome."),
    ("hishamos_kept_answers_served_total", Kind::Counter, "Attempts that a kept answer served instead of a call."),
    (
        "hishamos_probes_total",
        Kind::Counter,
        "Probes of platforms that are left alone after failures, by platform and outcome.",
    ),
    (
        "hishamos_shared_limits_total",
        Kind::Counter,
        "Questions whether a call fits the limits that nodes share, by outcome: go, wait or away.",
    ),
    (
        "hishamos_shared_limits_up",
        Kind::Gauge,
        "1 while the place where nodes share limits answers, 0 while each keeps to them by itself.",
    ),
    ("hishamos_breaker_state", Kind::Gauge, "Per platform and model: 0 lets calls through, 1 rests, 2 is tried again."),
    ("hishamos_runs_live", Kind::Gauge, "Runs that this node drives."),
    ("hishamos_runs_unreadable_total", Kind::Counter, "Runs that could not be read from the journal."),
    ("hishamos_runs_without_cause_total", Kind::Counter, "Live runs that waited for nothing; each is a defect."),
    ("hishamos_trigger_decisions_total", Kind::Counter, "What triggers decided, by decision."),
    ("hishamos_projection_events_total", Kind::Counter, "Events taken in, by read model."),
    ("hishamos_projection_batch_events", Kind::Histogram, "Events in one transaction, by read model."),
    ("hishamos_projection_batch_seconds", Kind::Histogram, "How long one transaction takes, by read model."),
    ("hishamos_projection_lag_positions", Kind::Gauge, "Positions behind the journal, by read model."),
    ("hishamos_projection_heartbeat_seconds", Kind::Gauge, "The last sign of life since 1970, by read model."),
    ("hishamos_projection_poisoned", Kind::Gauge, "1 when stopped at an event that cannot be digested."),
    ("journal_head_position", Kind::Gauge, "The last position that this node knows of."),
    ("journal_append_seconds", Kind::Histogram, "From asking for an append to its answer."),
    ("journal_conflicts_total", Kind::Counter, "Appends that others were faster than."),
    ("journal_batch_events", Kind::Histogram, "Events in one commit (PostgreSQL)."),
    ("journal_batch_requests", Kind::Histogram, "Appends in one commit (PostgreSQL)."),
    ("journal_subscriptions_lost_total", Kind::Counter, "Subscriptions that were replaced (KurrentDB)."),
    ("journal_finished_appends_total", Kind::Counter, "Half-written appends that were finished (KurrentDB)."),
    ("journal_torn_appends_total", Kind::Counter, "Half-written appends that stay so (KurrentDB)."),
];

/// Counters that may stay at 0 for ever.
const RARE: &[&str] = &[
    "hishamos_runs_unreadable_total",
    "hishamos_runs_without_cause_total",
    "journal_conflicts_total",
    "journal_subscriptions_lost_total",
    "journal_finished_appends_total",
    "journal_torn_appends_total",
];

/// Installs the recorder for the whole program; call it once, before any room measures.
///
/// # Errors
/// When another recorder is installed already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    for (name, kind, what) in FIGURES {
        match kind {
            Kind::Counter => describe_counter!(*name, *what),
            Kind::Gauge => describe_gauge!(*name, *what),
            Kind::Histogram => describe_histogram!(*name, *what),
        }
    }
    // What counts rare events without labels is there from the start, so that an alert can tell 0 from absent.
    for name in RARE {
        counter!(*name).increment(0);
    }
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
