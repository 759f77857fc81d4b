//! `hishamos audit replay`: a run again, event by event.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use cqrs_es::Aggregate;
use domain::{Event, Run, RunEvent, RunId, StreamId, Task, TaskId};
use journal::{Executor, Journal, Position, RecordedEvent};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{fields, moment};
use crate::cli::attached::Attached;
use crate::cli::failure::Failure;
use crate::cli::terminal::{Style, Terminal, cut, printable};
use crate::config::Config;

/// How many events of a stream are read at a time.
const PAGE: usize = 1000;
/// How many changes of a state are shown to people.
const SHOWN: usize = 12;

/// `hishamos audit replay`.
pub(super) async fn replay(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    run: Uuid,
    at: Option<Position>,
) -> Result<(), Failure> {
    let attached = Attached::open(config).await?;
    let journal = Arc::clone(&attached.store.journal);
    let history = history(&*journal, RunId::from_uuid(run)).await;
    // A run that took over another's history begins with what that had come to.
    let base = match &history {
        Ok(history) => origin(&journal, history).await,
        Err(_) => Ok(Run::default()),
    };
    attached.close().await?;
    let (mut history, base) = (history?, base?);
    history.retain(|recorded| at.is_none_or(|at| recorded.position <= at));
    if history.is_empty() {
        return Err(Failure::Refused {
            code: "RUN_NOT_FOUND".to_owned(),
            message: match at {
                Some(at) => format!("there is no run {run}, or it had not begun at position {at}"),
                None => format!("there is no run {run}"),
            },
        });
    }
    let steps = step_names(&history);
    let base_is_empty = base.id().is_none();
    let mut folded = Folded { run: base, ..Folded::default() };
    let mut entries = Vec::new();
    // The state of each stream before the event, from nothing on; a run that took over a history begins with that.
    let mut before: HashMap<StreamId, Value> = HashMap::new();
    if !base_is_empty {
        before.insert(
            RunId::from_uuid(run).into(),
            serde_json::to_value(&folded.run).context("a state cannot be shown")?,
        );
    }
    for recorded in &history {
        let event = recorded.event().context("an event cannot be read; `hishamos audit verify` says more")?;
        let state = folded.after(recorded.stream, event)?;
        let changes = changes(before.get(&recorded.stream).unwrap_or(&Value::Null), &state);
        before.insert(recorded.stream, state.clone());
        if as_json {
            entries.push(json!({
                "position": recorded.position.to_string(),
                "stream": recorded.stream.to_string(),
                "step": steps.get(&recorded.stream),
                "revision": recorded.revision,
                "type": recorded.event_type,
                "recordedAt": moment(recorded),
                "actor": recorded.metadata.actor.to_string(),
                "hash": recorded.hash.to_string(),
                "payload": fields(event)?,
                "changes": changes.iter().map(Change::as_value).collect::<Vec<_>>(),
                "state": state,
            }));
        } else {
            let place = steps.get(&recorded.stream).map_or_else(|| "run".to_owned(), |step| format!("step {step}"));
            let heading = format!("{:>6}  {}  {:<24}", recorded.position, moment(recorded), recorded.event_type);
            let heading = terminal.paint(Style::Strong, &heading);
            terminal.line(format!("{heading}  {place}  by {}", recorded.metadata.actor));
            let state = terminal.paint(Style::Dim, &format!("        state: {}", summary(&state)));
            terminal.line(state);
            for change in changes.iter().take(SHOWN) {
                let change = terminal.paint(Style::Dim, &format!("          {}", change.line()));
                terminal.line(change);
            }
            if let Some(more) = changes.len().checked_sub(SHOWN).filter(|more| *more > 0) {
                let more = terminal.paint(Style::Dim, &format!("          and {more} more; --json shows all"));
                terminal.line(more);
            }
        }
    }
    if as_json {
        terminal.json(&entries);
    }
    Ok(())
}

/// What the run whose history this one takes over had come to; nothing when it takes over none.
async fn origin(journal: &Arc<dyn Journal>, history: &[Arc<RecordedEvent>]) -> Result<Run, Failure> {
    let first = history.iter().find_map(|recorded| match recorded.event() {
        Ok(Event::Run(event)) => event.lineage(),
        _ => None,
    });
    let Some(lineage) = first else { return Ok(Run::default()) };
    let executor = Executor::new(Arc::clone(journal));
    let loaded = executor.load_at::<Run>(lineage.run.into(), lineage.revision).await;
    Ok((*loaded.context("the journal cannot be read")?.state).clone())
}

/// The events of a run and of all its tasks, in the order of the journal.
async fn history(journal: &dyn Journal, run: RunId) -> Result<Vec<Arc<RecordedEvent>>, Failure> {
    let mut events = read(journal, run.into()).await?;
    let mut tasks = Vec::new();
    for recorded in &events {
        if let Ok(Event::Run(event)) = recorded.event() {
            tasks.extend(task_of(event).map(|(task, _)| task));
        }
    }
    for task in tasks {
        events.extend(read(journal, task.into()).await?);
    }
    events.sort_by_key(|recorded| recorded.position);
    Ok(events)
}

async fn read(journal: &dyn Journal, stream: StreamId) -> Result<Vec<Arc<RecordedEvent>>, Failure> {
    let mut events: Vec<Arc<RecordedEvent>> = Vec::new();
    loop {
        let next = events.last().map_or(0, |last| last.revision + 1);
        let page = journal.read_stream(stream, next, PAGE).await.context("the journal cannot be read")?;
        let full = page.len() == PAGE;
        events.extend(page);
        if !full {
            return Ok(events);
        }
    }
}

fn step_names(history: &[Arc<RecordedEvent>]) -> HashMap<StreamId, String> {
    let started = history.iter().filter_map(|recorded| match recorded.event() {
        Ok(Event::Run(event)) => task_of(event).map(|(task, place)| (StreamId::from(task), place)),
        _ => None,
    });
    started.collect()
}

/// The task that an event of a run began, and what it is for.
fn task_of(event: &RunEvent) -> Option<(TaskId, String)> {
    match event {
        RunEvent::StepStarted { step, task, .. } => Some((*task, step.to_string())),
        RunEvent::ItemStarted { step, item, task } => Some((*task, format!("{step}[{item}]"))),
        RunEvent::CompensationStarted { step, task, .. } => Some((*task, format!("undo {step}"))),
        _ => None,
    }
}

/// The aggregates of a run, as far as the replay has come.
#[derive(Default)]
struct Folded {
    run: Run,
    tasks: HashMap<StreamId, Task>,
}

impl Folded {
    /// Folds an event and answers the state of its aggregate after it.
    fn after(&mut self, stream: StreamId, event: &Event) -> Result<Value, Failure> {
        let state = match event {
            Event::Run(event) => {
                self.run.apply(event.clone());
                serde_json::to_value(&self.run)
            }
            Event::Task(event) => {
                let task = self.tasks.entry(stream).or_default();
                task.apply(event.clone());
                serde_json::to_value(&*task)
            }
            other => return Err(anyhow!("`{}` does not belong into a run's history", other.name()).into()),
        };
        Ok(state.context("a state cannot be shown")?)
    }
}

/// A state in one line: where it stands, and where its parts stand.
fn summary(state: &Value) -> String {
    let status = |value: &Value| value.get("status").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut text = status(state);
    if let Some(steps) = state.get("steps").and_then(Value::as_object) {
        let steps: Vec<String> = steps.iter().map(|(name, step)| format!("{name} {}", status(step))).collect();
        text.push_str(&format!(" ({})", steps.join(", ")));
    }
    if let Some(attempts) = state.get("attempts").and_then(Value::as_array) {
        text.push_str(&format!(" ({} attempts)", attempts.len()));
    }
    cut(&printable(&text), 160)
}

/// What an event changed in a state: a place, and what stood and stands there.
#[derive(Debug, PartialEq)]
struct Change {
    path: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl Change {
    fn as_value(&self) -> Value {
        json!({ "path": self.path, "before": self.before, "after": self.after })
    }

    fn line(&self) -> String {
        let shown = |value: &Value| cut(&printable(&value.to_string()), 60);
        match (&self.before, &self.after) {
            (None, Some(after)) => format!("+ {} = {}", self.path, shown(after)),
            (Some(before), None) => format!("- {} was {}", self.path, shown(before)),
            (Some(before), Some(after)) => format!("~ {}: {} → {}", self.path, shown(before), shown(after)),
            (None, None) => self.path.clone(),
        }
    }
}

/// The difference between two states, to the deepest place that differs.
fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", Some(before).filter(|before| !before.is_null()), Some(after), &mut found);
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Change>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for (name, value) in before {
                compare(&below(name), Some(value), after.get(name), found);
            }
            for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
                compare(&below(name), None, Some(value), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for place in 0..before.len().max(after.len()) {
                compare(&format!("{path}[{place}]"), before.get(place), after.get(place), found);
            }
        }
        // Of what begins, each field that says something.
        (None, Some(Value::Object(after))) if path.is_empty() => {
            for (name, value) in after.iter().filter(|(_, value)| !value.is_null()) {
                compare(name, None, Some(value), found);
            }
        }
        (before, after) => {
            found.push(Change { path: path.to_owned(), before: before.cloned(), after: after.cloned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_at_its_deepest_place() {
        let before = json!({ "status": "running", "steps": { "a": { "status": "running" } }, "list": [1], "gone": 0 });
        let after = json!({ "status": "running", "steps": { "a": { "status": "done" } }, "list": [1, 2], "new": true });
        let lines: Vec<String> = changes(&before, &after).iter().map(Change::line).collect();
        let wanted = ["~ steps.a.status: \"running\" → \"done\"", "+ list[1] = 2", "- gone was 0", "+ new = true"];
        assert_eq!(lines, wanted);
        assert_eq!(changes(&before, &before), []);
        let first: Vec<String> =
            changes(&Value::Null, &json!({ "id": 1, "end": null })).iter().map(Change::line).collect();
        assert_eq!(first, ["+ id = 1"]);
    }
}
