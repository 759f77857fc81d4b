//! Folds a batch of events into the changes of rows.

mod run;
mod task;

use std::collections::{BTreeMap, HashMap};
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

/// Parts a batch into rounds that are folded and written one after the other; nothing when one is enough, as for all
/// ordinary batches.
///
/// Two events change rows by what the rows already say, so what came before them must have been written: a run that
/// takes over another's history copies that run's rows, and a run that goes on after its clock stood still moves the
/// times in its own rows; what comes after the latter must not be moved. Other runs do not care, so they go on in the
/// round where they are: a thousand runs that go on at once take as many rounds as one.
pub(super) fn rounds(events: &[Arc<RecordedEvent>]) -> Result<Option<Vec<Vec<Arc<RecordedEvent>>>>, ApplyError> {
    let mut ordinary = true;
    for recorded in events {
        ordinary &= match decoded(recorded)? {
            Event::Run(RunEvent::Resumed { .. }) => false,
            Event::Run(RunEvent::Started(start)) => start.lineage.is_none(),
            _ => true,
        };
    }
    if ordinary {
        return Ok(None);
    }
    let mut rounds: Vec<Vec<Arc<RecordedEvent>>> = Vec::new();
    // The round in which each run's next event belongs, and whether the run has one there already.
    let mut next: HashMap<Uuid, (usize, bool)> = HashMap::new();
    for recorded in events {
        let round = match decoded(recorded)? {
            Event::Run(event) => {
                let source = event.lineage().and_then(|lineage| next.get(&lineage.run.as_uuid()));
                let first = source.map_or(0, |(round, touched)| round + usize::from(*touched));
                let (round, touched) = next.get(&recorded.stream.id).copied().unwrap_or((first, false));
                let resumed = matches!(event, RunEvent::Resumed { .. });
                let round = if resumed && touched { round + 1 } else { round };
                let after = if resumed { (round + 1, false) } else { (round, true) };
                next.insert(recorded.stream.id, after);
                round
            }
            _ => 0,
        };
        if rounds.len() <= round {
            rounds.resize_with(round + 1, Vec::new);
        }
        if let Some(events) = rounds.get_mut(round) {
            events.push(Arc::clone(recorded));
        }
    }
    Ok(Some(rounds))
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
