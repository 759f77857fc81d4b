//! The rows of limits in memory: what the table would hold if the journal ended with the last event given.

use std::sync::Arc;

use journal::RecordedEvent;

use super::fold;
use super::write::micros;
use crate::LimitRow;
use crate::projector::{ApplyError, storable};

/// Limits, from all events of their streams.
pub(crate) fn limits(events: &[Arc<RecordedEvent>]) -> Result<Vec<LimitRow>, ApplyError> {
    let fold = fold::fold(events)?;
    let rows = fold.limits.iter().map(|(id, set)| {
        let removed = fold.removed.get(id);
        let limit = set.settings;
        LimitRow {
            id: *id,
            key: limit.key.as_str().to_owned(),
            description: storable(&limit.description).into_owned(),
            scope_kind: limit.scope.kind().to_owned(),
            scope_key: limit.scope.key().as_str().to_owned(),
            partition_by: limit.by.as_ref().map(|by| storable(&by.to_string()).into_owned()),
            max_running: limit.capacity.max_running.map(i64::from),
            rate_starts: limit.capacity.rate.map(|rate| i64::from(rate.starts)),
            rate_micros: limit.capacity.rate.map(|rate| micros(rate.per)),
            fairness: limit.fairness.as_ref().map(|by| storable(&by.to_string()).into_owned()),
            set_by: set.by.clone(),
            set_at: set.at,
            removed_at: removed.map(|removed| removed.at),
            removed_reason: removed.map(|removed| removed.reason.clone().into_owned()),
            position: removed.map_or(set.position, |removed| removed.position),
        }
    });
    Ok(rows.collect())
}
