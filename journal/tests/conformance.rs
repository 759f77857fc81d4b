//! What the port promises, for every back end.

mod append;
mod cqrs;
mod follow;
mod of_run;
mod origin;
mod read;
mod turn;

use std::sync::Arc;

use journal::{Filter, Journal, Position, RecordedEvent};

use crate::backend;

/// Makes one test per back end out of a function over a journal.
macro_rules! conformance {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let opened = crate::backend::memory().await;
                super::$name(std::sync::Arc::clone(&opened.journal)).await;
                crate::conformance::is_sound(&*opened.journal).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let opened = crate::backend::postgres().await;
                super::$name(std::sync::Arc::clone(&opened.journal)).await;
                crate::conformance::is_sound(&*opened.journal).await;
            })*
        }
        mod kurrent {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let opened = crate::backend::kurrent().await;
                super::$name(std::sync::Arc::clone(&opened.journal)).await;
                crate::conformance::is_sound(&*opened.journal).await;
            })*
        }
        mod kurrent_small {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let opened = crate::backend::kurrent_small().await;
                super::$name(std::sync::Arc::clone(&opened.journal)).await;
                crate::conformance::is_sound(&*opened.journal).await;
            })*
        }
        mod postgres_small {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let opened = crate::backend::postgres_small().await;
                super::$name(std::sync::Arc::clone(&opened.journal)).await;
                crate::conformance::is_sound(&*opened.journal).await;
            })*
        }
    };
}
pub(crate) use conformance;

/// Whatever a test did, every chain holds.
pub(crate) async fn is_sound(journal: &dyn Journal) {
    let report = journal::chain::verify(journal).await.unwrap();
    assert!(report.is_sound(), "{report:#?}");
}

/// Everything, in one pass.
pub(crate) async fn everything(journal: &dyn Journal) -> Vec<Arc<RecordedEvent>> {
    let mut events = Vec::new();
    let mut after = Position::START;
    loop {
        let page = journal.read_all(after, &Filter::default(), 500).await.unwrap();
        if page.position == after {
            return events;
        }
        events.extend(page.events);
        after = page.position;
    }
}

/// Positions grow, and have no gaps where the back end promises that.
pub(crate) fn in_order(journal: &dyn Journal, events: &[Arc<RecordedEvent>]) {
    let positions = positions(events);
    assert!(positions.is_sorted_by(|one, two| one < two), "{positions:?}");
    if journal.gapless() {
        assert_eq!(positions, (1..=positions.len() as u64).collect::<Vec<_>>());
    }
}

pub(crate) fn positions(events: &[Arc<RecordedEvent>]) -> Vec<u64> {
    events.iter().map(|event| event.position.as_u64()).collect()
}

#[tokio::test]
async fn an_empty_journal_is_sound() {
    for opened in [backend::memory().await, backend::postgres().await, backend::kurrent().await] {
        is_sound(&*opened.journal).await;
        assert_eq!(opened.journal.head().await.unwrap(), Position::START);
        assert!(everything(&*opened.journal).await.is_empty());
    }
}
