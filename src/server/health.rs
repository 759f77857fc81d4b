//! Whether the program lives, and whether it is ready to work.
//!
//! `live` says only that the process answers; a supervisor restarts it otherwise. `ready` asks every part, and says
//! what is wrong with each. Nothing is asked while nobody wants to know.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::web::Data;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use journal::Journal;
use projections::Queries;
use serde::Serialize;

use super::State;

/// How long one part may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How far the read models may be behind the journal, in positions, for the program to be ready.
const MAX_LAG: u64 = 100_000;

type Probe = dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync;

/// One part that has to be well for the program to be ready.
#[derive(Clone)]
pub(crate) struct Check {
    name: &'static str,
    probe: Arc<Probe>,
}

impl Check {
    /// A part that answers with a word on how it is, or with what is wrong.
    pub(crate) fn new<F, R>(name: &'static str, probe: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, String>> + Send + 'static,
    {
        Self { name, probe: Arc::new(move || probe().boxed()) }
    }

    /// The journal can be reached.
    pub(crate) fn journal(journal: Arc<dyn Journal>) -> Self {
        Self::new("journal", move || {
            let journal = Arc::clone(&journal);
            async move {
                match journal.head().await {
                    Ok(head) => Ok(format!("at position {head}")),
                    Err(error) => Err(error.to_string()),
                }
            }
        })
    }

    /// No projector is poisoned, and none is far behind the journal.
    pub(crate) fn projections(queries: Queries, journal: Arc<dyn Journal>) -> Self {
        Self::new("projections", move || {
            let (queries, journal) = (queries.clone(), Arc::clone(&journal));
            async move {
                let checkpoints = queries.checkpoints().await.map_err(|error| error.to_string())?;
                if let Some(poisoned) = checkpoints.iter().find(|checkpoint| checkpoint.status == "poisoned") {
                    let why = poisoned.error.as_deref().unwrap_or("no reason was written down");
                    return Err(format!("`{}` is poisoned at position {}: {why}", poisoned.name, poisoned.position));
                }
                let head = journal.head().await.map_err(|error| error.to_string())?;
                let reached = queries.position().await.map_err(|error| error.to_string())?;
                let lag = head.as_u64().saturating_sub(reached.as_u64());
                // Without gaps a position is an event; otherwise it is a byte of a log, about a thousand to an event.
                let allowed = if journal.gapless() { MAX_LAG } else { MAX_LAG.saturating_mul(1024) };
                if lag > allowed {
                    return Err(format!(
                        "at position {reached}, {lag} behind the journal; at most {allowed} are allowed"
                    ));
                }
                Ok(format!("at position {reached}, {lag} behind"))
            }
        })
    }

    async fn run(self) -> Finding {
        let started = Instant::now();
        let outcome = match tokio::time::timeout(PATIENCE, (self.probe)()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs())),
        };
        let (ok, detail) = match outcome {
            Ok(detail) => (true, detail),
            Err(reason) => (false, reason),
        };
        Finding { name: self.name, ok, detail, duration_ms: started.elapsed().as_secs_f64() * 1000.0 }
    }
}

#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    ok: bool,
    detail: String,
    duration_ms: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    status: &'static str,
    checks: Vec<Finding>,
}

/// `/health/live`.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Report { status: "live", checks: Vec::new() })
}

/// `/health/ready`.
pub(super) async fn ready(state: Data<State>) -> HttpResponse {
    let asked = join_all(state.checks.iter().cloned().map(Check::run));
    let checks = state.tracker.spawn_on(asked, &state.runtime).await.unwrap_or_default();
    // A part that was not asked, because the runtime is going away, is not well.
    let complete = checks.len() == state.checks.len();
    if state.closing.is_cancelled() {
        return HttpResponse::ServiceUnavailable().json(Report { status: "stopping", checks });
    }
    if complete && checks.iter().all(|finding| finding.ok) {
        HttpResponse::Ok().json(Report { status: "ready", checks })
    } else {
        HttpResponse::ServiceUnavailable().json(Report { status: "not_ready", checks })
    }
}
