//! `hishamos audit`: proving what happened, straight from the journal.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use cqrs_es::Aggregate;
use domain::{Event, Run, RunEvent, RunId, StreamId, Task, TaskId};
use journal::postgres::PostgresSnapshots;
use journal::{Executor, Journal, RecordedEvent};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::attached::Attached;
use super::failure::Failure;
use super::terminal::{Style, Terminal, cut, printable};
use crate::config::Config;

/// How many events of a stream are read at a time.
const PAGE: usize = 1000;

/// `hishamos audit verify`.
pub(crate) async fn verify(config: &Config, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let attached = Attached::open(config).await?;
    let report = journal::chain::verify(&*attached.store.journal).await;
    let snapshots = PostgresSnapshots::new(attached.store.pool.clone());
    let executor = Executor::new(Arc::clone(&attached.store.journal));
    let snapshots = journal::verify_snapshots(&executor, &snapshots).await;
    attached.close().await?;
    let report = report.context("the journal could not be checked; that says nothing about its soundness")?;
    // Snapshots are no part of the record, but states are computed with them.
    let snapshots = snapshots.context("the snapshots could not be compared with the journal")?;
    let sound = report.is_sound() && snapshots.wrong.is_empty();
    if as_json {
        let findings: Vec<Value> = report
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "position": finding.position.to_string(),
                    "event": finding.event.to_string(),
                    "stream": format!("{}-{}", finding.category, finding.stream),
                    "revision": finding.revision,
                    "fault": finding.fault.to_string(),
                })
            })
            .collect();
        terminal.json(&json!({
            "sound": sound,
            "events": report.events,
            "streams": report.streams,
            "position": report.position.to_string(),
            "faults": report.faults,
            "findings": findings,
            "snapshots": {
                "sound": snapshots.sound,
                "unused": snapshots.unused,
                "wrong": snapshots.wrong.iter().map(ToString::to_string).collect::<Vec<_>>(),
            },
        }));
    } else {
        for finding in &report.findings {
            let glyph = terminal.paint(Style::Bad, "✗");
            terminal.line(format!("{glyph} {finding}"));
        }
        for stream in &snapshots.wrong {
            let glyph = terminal.paint(Style::Bad, "✗");
            terminal.line(format!("{glyph} the snapshot of {stream} is not what its events come to"));
        }
        let (style, verdict) = if sound {
            (Style::Good, "✓ sound".to_owned())
        } else if report.is_sound() {
            (Style::Bad, "✗ wrong snapshots".to_owned())
        } else {
            (Style::Bad, format!("✗ {} faults", report.faults))
        };
        let verdict = terminal.paint(style, &verdict);
        let (events, streams, position) = (report.events, report.streams, report.position);
        terminal.line(format!("{verdict}: {events} events in {streams} streams, up to position {position}"));
    }
    if sound { Ok(()) } else { Err(Failure::Damaged) }
}

/// `hishamos audit replay`.
pub(crate) async fn replay(config: &Config, terminal: &mut Terminal, as_json: bool, run: Uuid) -> Result<(), Failure> {
    let attached = Attached::open(config).await?;
    let journal = Arc::clone(&attached.store.journal);
    let history = history(&*journal, RunId::from_uuid(run)).await;
    // A run that took over another's history begins with what that had come to.
    let base = match &history {
        Ok(history) => origin(&journal, history).await,
        Err(_) => Ok(Run::default()),
    };
    attached.close().await?;
    let (history, base) = (history?, base?);
    if history.is_empty() {
        return Err(Failure::Refused { code: "RUN_NOT_FOUND".to_owned(), message: format!("there is no run {run}") });
    }
    let steps = step_names(&history);
    let mut folded = Folded { run: base, ..Folded::default() };
    let mut entries = Vec::new();
    for recorded in &history {
        let event = recorded.event().context("an event cannot be read; `hishamos audit verify` says more")?;
        let state = folded.after(recorded.stream, event)?;
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
                "state": state,
            }));
        } else {
            let place = steps.get(&recorded.stream).map_or_else(|| "run".to_owned(), |step| format!("step {step}"));
            let heading = format!("{:>6}  {}  {:<24}", recorded.position, moment(recorded), recorded.event_type);
            let heading = terminal.paint(Style::Strong, &heading);
            terminal.line(format!("{heading}  {place}  by {}", recorded.metadata.actor));
            let state = terminal.paint(Style::Dim, &format!("        state: {}", summary(&state)));
            terminal.line(state);
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

/// The fields of an event, without the name of its variant, which its type tells already.
fn fields(event: &Event) -> Result<Value, Failure> {
    let tagged = match event {
        Event::Workflow(event) => serde_json::to_value(event),
        Event::Run(event) => serde_json::to_value(event),
        Event::Task(event) => serde_json::to_value(event),
        Event::Agent(event) => serde_json::to_value(event),
        Event::Template(event) => serde_json::to_value(event),
        Event::Limit(event) => serde_json::to_value(event),
        Event::Slots(event) => serde_json::to_value(event),
        Event::Hold(event) => serde_json::to_value(event),
        Event::Budget(event) => serde_json::to_value(event),
        Event::Purse(event) => serde_json::to_value(event),
        Event::Trigger(event) => serde_json::to_value(event),
        Event::External(event) => serde_json::to_value(event),
    };
    Ok(match tagged.context("an event cannot be shown")? {
        Value::Object(tagged) => tagged.into_iter().next().map_or(Value::Null, |(_, fields)| fields),
        _ => Value::Object(Map::new()),
    })
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

fn moment(recorded: &RecordedEvent) -> String {
    jiff::Timestamp::from_microsecond(recorded.recorded_at.as_micros())
        .map_or_else(|_| "-".to_owned(), |moment| format!("{moment:.6}"))
}
