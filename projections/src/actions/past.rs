//! The rows of action items in memory: what the table would hold if the journal ended with the last event given.

use std::sync::Arc;

use domain::task::Priority;
use journal::RecordedEvent;

use super::{fold, write};
use crate::ActionRow;
use crate::projector::ApplyError;

/// Makes of items, as they were when they came to be, what they are after these events of their own streams.
pub(crate) fn change(rows: &mut [ActionRow], events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError> {
    let mut changed = fold::fold(events)?.changed;
    for row in rows {
        let Some(change) = changed.remove(&(row.task_id, row.number)) else { continue };
        change.state.clone_into(&mut row.state);
        row.owner = change.owner.map(std::borrow::Cow::into_owned);
        row.due = change.due.map(std::borrow::Cow::into_owned);
        row.due_day = change.due_day;
        row.note = change.note.map(std::borrow::Cow::into_owned);
        row.changed_at = change.at;
        row.changed_by = Some(change.by);
        row.position = change.position;
    }
    Ok(())
}

/// By what the priority of an item is sorted, as the row has its name.
pub(crate) fn urgency(priority: Option<&str>) -> i64 {
    let named = Priority::ALL.into_iter().find(|known| Some(known.name()) == priority);
    write::urgency(named).into()
}
