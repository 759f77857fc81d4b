//! What concerns KurrentDB alone, over its protocol double.

mod cluster;
mod failure;
mod halves;
mod listening;
mod security;
mod sessions;
mod tamper;

use std::sync::Arc;

use journal::{Journal, RecordedEvent};

use crate::conformance::{everything, in_order};
use crate::sample::text_of;

/// What must hold after every accident: each accepted append is there once, nothing else is, and every chain holds.
pub(crate) async fn holds_exactly(journal: &dyn Journal, mut accepted: Vec<String>) -> Vec<Arc<RecordedEvent>> {
    let events = everything(journal).await;
    in_order(journal, &events);
    let mut found: Vec<String> = events.iter().map(|event| text_of(event.event().unwrap()).to_owned()).collect();
    accepted.sort();
    found.sort();
    assert_eq!(found, accepted);
    crate::conformance::is_sound(journal).await;
    events
}
