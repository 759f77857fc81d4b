//! What concerns PostgreSQL alone.

mod failure;
mod guard;
mod members;
mod nodes;
mod older;
mod parts;
mod plans;
mod tamper;
mod turn;

use std::sync::Arc;

use journal::{Journal, RecordedEvent};

use crate::conformance::{everything, positions};
use crate::sample::text_of;

/// What must hold after every accident: each accepted append is there once, nothing else is, positions have no gaps
/// and every chain holds.
pub(crate) async fn holds_exactly(journal: &dyn Journal, mut accepted: Vec<String>) -> Vec<Arc<RecordedEvent>> {
    let events = everything(journal).await;
    let wanted: Vec<u64> = (1..=events.len() as u64).collect();
    assert_eq!(positions(&events), wanted);
    let mut found: Vec<String> = events.iter().map(|event| text_of(event.event().unwrap()).to_owned()).collect();
    accepted.sort();
    found.sort();
    assert_eq!(found, accepted);
    crate::conformance::is_sound(journal).await;
    events
}
