//! Asks platforms that are left alone after failures whether they can be reached again.
//!
//! Invariants: what is asked costs nothing; nobody is asked while nothing rests, nor whose rest is a pause that was asked for; a
//! platform that answers is not taken for well by that, the next call finds out.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use providers::{Failure, FailureKind, Platform, Registry};

use crate::traffic::Traffic;

/// A probe that takes longer has found nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Probes for ever, each time after this long; never with nothing given.
pub(crate) async fn run(platforms: Registry, traffic: Traffic, every: Option<Duration>) -> Infallible {
    let Some(every) = every else { return std::future::pending().await };
    let mut changes = traffic.watch();
    loop {
        changes.mark_unchanged();
        if asked(&platforms, &traffic).next().is_none() {
            // Whoever tells of changes lives as long as the traffic.
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
            continue;
        }
        tokio::time::sleep(every).await;
        let probes: Vec<_> =
            asked(&platforms, &traffic).map(|platform| probe(Arc::clone(platform), &traffic, every)).collect();
        join_all(probes).await;
    }
}

async fn probe(platform: Arc<dyn Platform>, traffic: &Traffic, every: Duration) {
    let late = |_| {
        let what = format!("{}: it said nothing within {PATIENCE:?}", platform.key());
        Err(Failure::new(FailureKind::Unreachable, what))
    };
    let found = tokio::time::timeout(PATIENCE, platform.probe()).await.unwrap_or_else(late);
    let outcome = found.as_ref().map_or_else(|failure| failure.kind.name(), |()| "up");
    metrics::counter!("hishamos_probes_total", "platform" => platform.key().to_owned(), "outcome" => outcome)
        .increment(1);
    traffic.probed(platform.key(), found, every.saturating_mul(2));
}

/// Who is to be asked now.
fn asked<'a>(platforms: &'a Registry, traffic: &Traffic) -> impl Iterator<Item = &'a Arc<dyn Platform>> {
    let ill = traffic.want_probes();
    let known = ill.into_iter().filter_map(|key| platforms.get(&key));
    known.filter(|platform| platform.can_be_probed())
}
