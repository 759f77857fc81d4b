//! Folds a batch of events into the changes of rows.

mod run;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::run::StepStatus;
use domain::{Definition, Event, RunEvent, StepName, Timestamp};
use journal::RecordedEvent;
use serde_json::Value;
use uuid::Uuid;

use super::change::{AttemptChange, RunChange, StepChange, TaskChange};
use super::rare::Rare;
use crate::projector::ApplyError;

/// What a batch does. Sorted by key, so that neighbours in the batch are neighbours in the index.
#[derive(Debug, Default)]
pub(super) struct Fold<'a> {
    pub(super) plans: BTreeMap<(Uuid, i32), &'a Definition>,
    pub(super) runs: BTreeMap<Uuid, RunChange<'a>>,
    pub(super) steps: BTreeMap<(Uuid, &'a str), StepChange<'a>>,
    pub(super) tasks: BTreeMap<Uuid, TaskChange<'a>>,
    pub(super) attempts: BTreeMap<(Uuid, i32), AttemptChange<'a>>,
    /// Cancelled tasks and when: an attempt of theirs that still runs, started in an earlier batch, ends with them.
    pub(super) cut: BTreeMap<Uuid, i64>,
    pub(super) rare: Rare<'a>,
}

/// Cuts a batch so that each part can be folded by itself.
///
/// Two events change rows by what the rows already say, so what came before them must have been written: a run that
/// takes over another's history copies that run's rows, and a run that goes on after its clock stood still moves the
/// times in its own rows; what comes after the latter must not be moved.
pub(super) fn parts(events: &[Arc<RecordedEvent>]) -> Result<Vec<&[Arc<RecordedEvent>]>, ApplyError> {
    let mut parts = Vec::new();
    let mut rest = events;
    let mut resumed: Vec<Uuid> = Vec::new();
    let mut length = 0;
    while let Some(recorded) = rest.get(length) {
        let (part, _) = rest.split_at(length);
        let touches = |run: Uuid| part.iter().any(|before| before.stream.id == run);
        let cut = match decoded(recorded)? {
            Event::Run(_) if resumed.contains(&recorded.stream.id) => true,
            Event::Run(RunEvent::Resumed { .. }) => touches(recorded.stream.id),
            Event::Run(RunEvent::Started(start)) => {
                start.lineage.as_ref().is_some_and(|lineage| touches(lineage.run.as_uuid()))
            }
            _ => false,
        };
        if cut {
            parts.push(part);
            rest = rest.split_at(length).1;
            length = 0;
            resumed.clear();
        }
        if matches!(decoded(recorded)?, Event::Run(RunEvent::Resumed { .. })) {
            resumed.push(recorded.stream.id);
        }
        length += 1;
    }
    parts.push(rest);
    Ok(parts)
}

/// Folds events in the order of the journal.
pub(super) fn fold(events: &[Arc<RecordedEvent>]) -> Result<Fold<'_>, ApplyError> {
    let mut fold = Fold::default();
    for recorded in events {
        match decoded(recorded)? {
            Event::Run(event) => fold.run(recorded, event)?,
            Event::Task(event) => fold.task(recorded, event)?,
            _ => {}
        }
    }
    Ok(fold)
}

fn decoded(recorded: &RecordedEvent) -> Result<&Event, ApplyError> {
    recorded.event().map_err(|error| ApplyError::Indigestible(error.to_string()))
}

impl<'a> Fold<'a> {
    fn step(&mut self, run: Uuid, step: &'a StepName, status: StepStatus, position: i64) -> &mut StepChange<'a> {
        let change = self.steps.entry((run, step.as_str())).or_default();
        change.status = status.name();
        change.position = position;
        change
    }
}

fn micros(moment: Option<Timestamp>) -> Option<i64> {
    moment.map(Timestamp::as_micros)
}

pub(super) fn json(value: &Value) -> Result<String, ApplyError> {
    serde_json::to_string(value).map_err(|error| ApplyError::Indigestible(error.to_string()))
}

/// A version or an attempt's number; beyond two billion it is no such thing.
pub(super) fn counter(number: u32) -> Result<i32, ApplyError> {
    i32::try_from(number).map_err(|_| ApplyError::Indigestible(format!("{number} is too large a number to count with")))
}

/// A reported amount: nothing that is counted in tokens or claims comes near the limit.
pub(super) fn clamp(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
