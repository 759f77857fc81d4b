//! The rows of limits, of their seats and of holds in memory: what the table would hold if the journal ended with the last event given.

use std::sync::Arc;

use journal::RecordedEvent;
use uuid::Uuid;

use super::fold::{self, Seat};
use super::write::micros;
use crate::projector::{ApplyError, storable};
use crate::{HoldRow, LimitRow, SeatRow};

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

/// Who has slots or waits for one, in the order of the rows' key, from all events of their streams.
pub(crate) fn seats(events: &[Arc<RecordedEvent>]) -> Result<Vec<SeatRow>, ApplyError> {
    let fold = fold::fold(events)?;
    let rows = fold.seats.iter().filter_map(|((slots, run, task), seat)| {
        let Seat::Taken(seat) = seat else { return None };
        Some(SeatRow {
            slots_id: *slots,
            limit_key: seat.limit.to_owned(),
            partition: seat.partition.as_deref().map(str::to_owned),
            run_id: *run,
            task_id: Some(*task).filter(|task| *task != Uuid::nil()),
            priority: seat.priority,
            fairness: seat.fairness.clone().into_owned(),
            requested_at: seat.requested_at,
            granted_at: seat.granted_at,
        })
    });
    Ok(rows.collect())
}

/// Times of holds, by hold and number, from all events of their streams.
pub(crate) fn holds(events: &[Arc<RecordedEvent>]) -> Result<Vec<HoldRow>, ApplyError> {
    let fold = fold::fold(events)?;
    let rows = fold.placed.iter().map(|((hold, number), placed)| {
        let lifted = placed.lifted.as_ref();
        HoldRow {
            hold_id: *hold,
            number: *number,
            workflow_key: placed.workflow.map(str::to_owned),
            placed_by: placed.by.clone(),
            reason: placed.reason.clone().into_owned(),
            placed_at: placed.at,
            clock: placed.clock.to_owned(),
            lifted_by: lifted.map(|lifted| lifted.by.clone()),
            lifted_at: lifted.map(|lifted| lifted.at),
            position: lifted.map_or(placed.position, |lifted| lifted.position),
        }
    });
    Ok(rows.collect())
}
