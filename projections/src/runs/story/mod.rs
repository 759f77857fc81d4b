//! All rows of one run in memory: what the tables would hold if the journal ended with the run's last event given.
//!
//! Invariant: what is here and what `write` does to tables means the same; a test compares both, event by event.

mod parts;
mod rows;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::Definition;
use journal::RecordedEvent;
use serde_json::Value;
use uuid::Uuid;

use super::change::{Failure, RunChange};
use super::fold::{self, Fold};
use crate::projector::ApplyError;
use crate::{DecisionRow, PauseRow, RunRow, SignalRow, StallRow};

pub(crate) use task::TaskStory;

/// One run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    run: Option<RunRow>,
    definition: Option<Arc<Definition>>,
    steps: BTreeMap<String, StepCells>,
    activities: BTreeMap<String, ActivityCells>,
    approvals: BTreeMap<String, ApprovalCells>,
    lists: BTreeMap<String, ListCells>,
    items: BTreeMap<(String, i32), PartCells>,
    undos: BTreeMap<String, PartCells>,
    decisions: BTreeMap<(String, i64), DecisionRow>,
    pauses: BTreeMap<i64, PauseRow>,
    signals: BTreeMap<i64, SignalRow>,
    stalls: BTreeMap<i64, StallRow>,
}

#[derive(Debug, Clone, Default)]
struct StepCells {
    status: String,
    task_id: Option<Uuid>,
    output: Option<Value>,
    simulated: bool,
    error: ErrorCells,
    skip_reason: Option<String>,
    deadline: Option<i64>,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    position: i64,
}

#[derive(Debug, Clone, Default)]
struct ActivityCells {
    fires_at: Option<i64>,
    signal: Option<String>,
    child_id: Option<Uuid>,
    abandoned: bool,
}

#[derive(Debug, Clone)]
struct ApprovalCells {
    content: Value,
    content_hash: Vec<u8>,
    expires_at: Option<i64>,
    expired: bool,
}

#[derive(Debug, Clone)]
struct ListCells {
    elements: Value,
    length: i32,
}

#[derive(Debug, Clone, Default)]
struct PartCells {
    status: String,
    task_id: Option<Uuid>,
    result: Option<Value>,
    simulated: bool,
    error: ErrorCells,
    started_at: Option<i64>,
    ended_at: Option<i64>,
}

#[derive(Debug, Clone, Default)]
struct ErrorCells {
    kind: Option<String>,
    message: Option<String>,
}

impl From<&Failure<'_>> for ErrorCells {
    fn from(failure: &Failure<'_>) -> Self {
        Self { kind: failure.kind.map(str::to_owned), message: failure.message.as_deref().map(str::to_owned) }
    }
}

impl ErrorCells {
    /// Takes over what is said now; what is not said stays.
    fn learn(&mut self, failure: &Failure<'_>) {
        let said = Self::from(failure);
        self.kind = said.kind.or(self.kind.take());
        self.message = said.message.or(self.message.take());
    }
}

impl Story {
    /// Tells the story of one run from all events of its stream. A run that took over another's history keeps what
    /// that one's rows said when it started.
    pub(crate) fn tell(events: &[Arc<RecordedEvent>], source: Option<&Self>) -> Result<Self, ApplyError> {
        let mut story = Self::default();
        match fold::rounds(events)? {
            None => story.apply(&fold::fold(events)?, source)?,
            Some(rounds) => {
                for round in &rounds {
                    story.apply(&fold::fold(round)?, source)?;
                }
            }
        }
        Ok(story)
    }

    fn apply(&mut self, fold: &Fold<'_>, source: Option<&Self>) -> Result<(), ApplyError> {
        if let Some(definition) = fold.plans.values().next() {
            self.definition = Some(Arc::new((*definition).clone()));
        }
        for (id, change) in &fold.runs {
            self.change_run(*id, change)?;
        }
        self.origins(&fold.rare)?;
        self.keep_steps(&fold.rare, source);
        self.change_steps(fold)?;
        self.parts(&fold.rare)?;
        self.pause(&fold.rare);
        Ok(())
    }

    fn change_run(&mut self, id: Uuid, change: &RunChange<'_>) -> Result<(), ApplyError> {
        if let Some(born) = &change.born {
            self.run = Some(RunRow {
                id,
                workflow_id: born.workflow_id,
                workflow_key: born.workflow_key.to_owned(),
                version: born.version,
                input: value(&born.input)?,
                actor: born.actor.clone(),
                correlation: born.correlation,
                priority: born.priority,
                started_at: born.started_at,
                deadline: born.deadline,
                ..unborn()
            });
        }
        let Some(run) = &mut self.run else { return Ok(()) };
        if let Some(status) = change.status {
            status.clone_into(&mut run.status);
        }
        if let Some(output) = &change.output {
            run.output = Some(value(output)?);
        }
        run.simulated |= change.simulated;
        let mut error = ErrorCells { kind: run.error_kind.take(), message: run.error_message.take() };
        error.learn(&change.error);
        (run.error_kind, run.error_message) = (error.kind, error.message);
        learn(&mut run.failed_step, change.failed_step.map(str::to_owned));
        learn(&mut run.cancel_reason, change.cancel_reason.as_deref().map(str::to_owned));
        learn(&mut run.node, change.node);
        learn(&mut run.epoch, change.epoch);
        learn(&mut run.ended_at, change.ended_at);
        learn(&mut run.cut_at, change.cut_at);
        run.position = change.position;
        Ok(())
    }

    fn change_steps(&mut self, fold: &Fold<'_>) -> Result<(), ApplyError> {
        for ((_, step), change) in &fold.steps {
            let cells = self.steps.entry((*step).to_owned()).or_default();
            change.status.clone_into(&mut cells.status);
            learn(&mut cells.task_id, change.task_id);
            cells.output = change.output.as_deref().map(value).transpose()?;
            cells.simulated = change.simulated;
            cells.error = ErrorCells::from(&change.error);
            cells.skip_reason = change.skip_reason.as_deref().map(str::to_owned);
            learn(&mut cells.deadline, change.deadline);
            learn(&mut cells.started_at, change.started_at);
            cells.ended_at = change.ended_at;
            cells.position = change.position;
        }
        Ok(())
    }
}

/// A row whose every cell is still to be written.
fn unborn() -> RunRow {
    RunRow {
        id: Uuid::nil(),
        workflow_id: Uuid::nil(),
        workflow_key: String::new(),
        version: 0,
        status: String::new(),
        input: Value::Null,
        output: None,
        simulated: false,
        error_kind: None,
        error_message: None,
        failed_step: None,
        cancel_reason: None,
        node: None,
        epoch: None,
        actor: String::new(),
        correlation: Uuid::nil(),
        priority: 0,
        started_at: 0,
        ended_at: None,
        deadline: None,
        cut_at: None,
        parent_id: None,
        parent_step: None,
        depth: None,
        source_id: None,
        source_revision: None,
        lineage_kind: None,
        kept: None,
        overrides: None,
        trigger_id: None,
        trigger_cause: None,
        queued_at: None,
        admitted_at: None,
        paused_by: None,
        pause_reason: None,
        paused_at: None,
        pause_clock: None,
        hold_id: None,
        position: 0,
    }
}

/// What is said replaces what was known.
fn learn<T>(known: &mut Option<T>, said: Option<T>) {
    if said.is_some() {
        *known = said;
    }
}

/// A document, back from what a column would hold.
fn value(document: impl AsRef<str>) -> Result<Value, ApplyError> {
    serde_json::from_str(document.as_ref()).map_err(|error| ApplyError::Indigestible(error.to_string()))
}
