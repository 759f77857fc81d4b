//! Folds a batch of events into the changes of rows.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use domain::action::day_of;
use domain::task::{ActionItem, Form};
use domain::{ActionEvent, Event, RunEvent, TaskEvent};
use journal::RecordedEvent;
use uuid::Uuid;

use crate::projector::{ApplyError, number, storable};

/// What a batch does.
#[derive(Debug, Default)]
pub(super) struct Fold<'a> {
    /// Runs that ask for outputs, with their workflows.
    pub(super) runs: Vec<(Uuid, &'a str)>,
    /// Runs of this batch that do not. Whatever else happens to them is of no interest.
    silent: HashSet<Uuid>,
    /// Tasks of all other runs, with their runs and steps.
    pub(super) tasks: Vec<(Uuid, Uuid, &'a str)>,
    /// What tasks asked for.
    pub(super) asked: Vec<Asked<'a>>,
    /// Runs that ended, save the silent ones, with the positions and moments of their ends.
    pub(super) ended: BTreeMap<Uuid, (i64, i64)>,
    /// What became of items, the newest of each.
    pub(super) changed: BTreeMap<(Uuid, i32), Changed<'a>>,
}

/// Something that a task asked for.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) task: Uuid,
    pub(super) number: i32,
    pub(super) position: i64,
    pub(super) item: &'a ActionItem,
}

/// What is true of an item.
#[derive(Debug)]
pub(super) struct Changed<'a> {
    pub(super) state: &'static str,
    pub(super) owner: Option<Cow<'a, str>>,
    pub(super) due: Option<Cow<'a, str>>,
    pub(super) due_day: Option<i64>,
    pub(super) note: Option<Cow<'a, str>>,
    pub(super) at: i64,
    pub(super) by: String,
    pub(super) position: i64,
}

/// Folds events in the order of the journal.
pub(super) fn fold(events: &[Arc<RecordedEvent>]) -> Result<Fold<'_>, ApplyError> {
    let mut fold = Fold::default();
    for recorded in events {
        let id = recorded.stream.id;
        match recorded.event().map_err(|error| ApplyError::Indigestible(error.to_string()))? {
            Event::Run(RunEvent::Started(start)) if start.form != Form::Text => {
                fold.runs.push((id, start.definition.key.as_str()));
            }
            Event::Run(RunEvent::Started(_)) => {
                fold.silent.insert(id);
            }
            Event::Run(_) if fold.silent.contains(&id) => {}
            // Most runs ask for no outputs; that this one did is known only where its start was.
            Event::Run(event) if event.is_terminal() => {
                fold.ended.insert(id, (number(recorded.position), recorded.recorded_at.as_micros()));
            }
            // The run's own event and not the task's, which stands before the start of the run when both begin together.
            Event::Run(
                RunEvent::StepStarted { step, task, .. }
                | RunEvent::ItemStarted { step, task, .. }
                | RunEvent::CompensationStarted { step, task, .. },
            ) => fold.tasks.push((task.as_uuid(), id, step.as_str())),
            Event::Task(TaskEvent::Completed { output: Some(output), .. }) => {
                for (count, item) in (1..).zip(output.actions.iter().flatten()) {
                    fold.asked.push(Asked { task: id, number: count, position: number(recorded.position), item });
                }
            }
            Event::Action(ActionEvent::Changed { task, number: count, state, owner, due, note, by, at, .. }) => {
                let count = i32::try_from(*count)
                    .map_err(|_| ApplyError::Indigestible(format!("{count} is too large a number for an item")))?;
                let changed = Changed {
                    state: state.name(),
                    owner: owner.as_deref().map(storable),
                    due: due.as_deref().map(storable),
                    due_day: due.as_deref().and_then(day_of),
                    note: note.as_deref().map(storable),
                    at: at.as_micros(),
                    by: storable(&by.to_string()).into_owned(),
                    position: number(recorded.position),
                };
                fold.changed.insert((task.as_uuid(), count), changed);
            }
            _ => {}
        }
    }
    Ok(fold)
}
