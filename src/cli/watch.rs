//! Shows a run as it happens, from the events that the server tells.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Client, Subscription};
use super::failure::Failure;
use super::terminal::{Style, Terminal, cut, printable, seconds};

const EVENTS: &str = "subscription($run: UUID!, $after: Position) { runEvents(runId: $run, afterPosition: $after) \
                      { position step terminal event { type recordedAt payload } } }";

/// How often the line of what is under way is renewed on a terminal.
const TICK: Duration = Duration::from_millis(500);
/// How often a log says what is under way when nothing else happens.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often in a row a broken connection is opened anew.
const RECONNECTS: u32 = 20;

/// How a watched run ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// Whether all steps completed.
    pub(crate) completed: bool,
    /// The position of its last event.
    pub(crate) position: String,
}

/// Follows a run to its end and shows it, unless `terminal` is `None`.
pub(crate) async fn follow(client: &Client, run: Uuid, terminal: Option<&mut Terminal>) -> Result<Ended, Failure> {
    let mut view = View { terminal, steps: BTreeMap::new(), started: None, width: 0, last_line: Instant::now() };
    let mut after: Option<String> = None;
    let mut subscription: Option<Subscription> = None;
    let mut broken = 0;
    let mut tick = tokio::time::interval(TICK);
    loop {
        let Some(events) = &mut subscription else {
            match client.subscribe(EVENTS, json!({ "run": run, "after": after })).await {
                Ok(events) => subscription = Some(events),
                Err(failure @ Failure::Refused { .. }) => return Err(failure),
                Err(failure) if broken >= RECONNECTS => return Err(failure),
                Err(_) => {
                    broken += 1;
                    tokio::time::sleep(TICK).await;
                }
            }
            continue;
        };
        tokio::select! {
            item = events.next() => match item {
                Ok(Some(item)) => {
                    broken = 0;
                    let Some(item) = item.get("runEvents") else { continue };
                    after = item.get("position").and_then(Value::as_str).map(str::to_owned);
                    if let Some(completed) = view.show(item) {
                        return Ok(Ended { completed, position: after.unwrap_or_default() });
                    }
                }
                Err(failure @ Failure::Refused { .. }) => return Err(failure),
                // Going on after the last position brings the rest without gap or repetition.
                Ok(None) | Err(_) => {
                    broken += 1;
                    subscription = None;
                    if broken >= RECONNECTS {
                        return Err(anyhow::anyhow!("the events of run {run} ended before the run did").into());
                    }
                    tokio::time::sleep(TICK).await;
                }
            },
            _ = tick.tick() => view.tick(),
        }
    }
}

#[derive(Debug, Default)]
struct StepView {
    title: String,
    /// By the clock of the server, for durations.
    started: Option<jiff::Timestamp>,
    /// By our own clock, for the status line.
    since: Option<Instant>,
    attempt: u64,
    platform: String,
    model: String,
}

struct View<'t> {
    terminal: Option<&'t mut Terminal>,
    steps: BTreeMap<String, StepView>,
    started: Option<jiff::Timestamp>,
    width: usize,
    last_line: Instant,
}

impl View<'_> {
    /// Shows an event; says how the run ended when this was its end.
    fn show(&mut self, item: &Value) -> Option<bool> {
        let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let payload = item.pointer("/event/payload").unwrap_or(&Value::Null);
        let at: Option<jiff::Timestamp> = text("/event/recordedAt").parse().ok();
        let step = text("/step");
        match text("/event/type") {
            "run.started" => self.run_started(payload, at),
            "run.claimed" if payload.get("epoch").and_then(Value::as_u64).is_some_and(|epoch| epoch > 1) => {
                self.note(Style::Warn, "↺ taken over after an interruption");
            }
            "run.step_started" => self.step_started(step, at),
            "task.attempt_started" => self.attempt_started(step, payload),
            "task.attempt_succeeded" => self.attempt_succeeded(step, payload),
            "task.attempt_failed" => self.attempt_failed(step, payload, at),
            "task.attempt_lost" => {
                self.step_line(Style::Warn, "↻", step, "attempt lost: the program ended while it was under way");
            }
            "run.step_completed" => self.step_completed(step, payload, at),
            "run.step_failed" => {
                let why = error_text(payload.get("error"));
                self.step_ended(step);
                self.step_line(Style::Bad, "✗", step, &format!("failed: {why}"));
            }
            "run.step_cancelled" => {
                self.step_ended(step);
                self.step_line(Style::Warn, "■", step, "cancelled");
            }
            "run.cancel_requested" => self.note(Style::Warn, "■ cancelling"),
            "run.completed" => {
                let label = if payload.get("simulated") == Some(&Value::Bool(true)) { " [simulated]" } else { "" };
                let message = format!("✓ completed in {}{label}", self.since_start(at));
                self.note(Style::Good, &message);
                return Some(true);
            }
            "run.failed" => {
                let why = error_text(payload.get("error"));
                let message = format!("✗ failed after {}: {why}", self.since_start(at));
                self.note(Style::Bad, &message);
                return Some(false);
            }
            "run.cancelled" => {
                let message = format!("■ cancelled after {}", self.since_start(at));
                self.note(Style::Warn, &message);
                return Some(false);
            }
            _ => {}
        }
        None
    }

    fn run_started(&mut self, payload: &Value, at: Option<jiff::Timestamp>) {
        self.started = at;
        let text = |pointer: &str| payload.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        for step in payload.pointer("/definition/steps").and_then(Value::as_array).into_iter().flatten() {
            let field = |name: &str| step.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            self.width = self.width.max(field("name").chars().count());
            let title = step.pointer("/title/en").and_then(Value::as_str).unwrap_or_default().to_owned();
            // The first attempts may be recorded together with the start, and before it.
            self.steps.entry(field("name")).or_default().title = title;
        }
        let heading = format!(
            "● {} (workflow {}, version {}), run {}",
            printable(&text("/definition/name/en")),
            text("/definition/key"),
            payload.get("version").unwrap_or(&Value::Null),
            text("/id")
        );
        self.note(Style::Strong, &heading);
    }

    fn step_started(&mut self, step: &str, at: Option<jiff::Timestamp>) {
        if let Some(view) = self.steps.get_mut(step) {
            view.started = at;
            view.since = Some(Instant::now());
        }
        let title = self.steps.get(step).map(|view| printable(&view.title)).unwrap_or_default();
        self.step_line(Style::Dim, "▸", step, &title);
    }

    fn attempt_started(&mut self, step: &str, payload: &Value) {
        if step.is_empty() {
            return;
        }
        let view = self.steps.entry(step.to_owned()).or_default();
        view.attempt = payload.get("attempt").and_then(Value::as_u64).unwrap_or(1);
        payload.get("platform").and_then(Value::as_str).unwrap_or_default().clone_into(&mut view.platform);
        view.model.clear();
    }

    fn attempt_succeeded(&mut self, step: &str, payload: &Value) {
        if let Some(view) = self.steps.get_mut(step) {
            payload.pointer("/reply/model").and_then(Value::as_str).unwrap_or_default().clone_into(&mut view.model);
        }
    }

    fn attempt_failed(&mut self, step: &str, payload: &Value, at: Option<jiff::Timestamp>) {
        let attempt = payload.get("attempt").and_then(Value::as_u64).unwrap_or(1);
        let again = payload.get("retry_at").and_then(Value::as_i64);
        let again = again.zip(at).map(|(retry, at)| retry.saturating_sub(at.as_microsecond()).max(0).unsigned_abs());
        let next = match again {
            Some(micros) => format!("; again in {}", seconds(Duration::from_micros(micros))),
            None => "; no more attempts".to_owned(),
        };
        let why = error_text(payload.get("error"));
        self.step_line(Style::Warn, "↻", step, &format!("attempt {attempt} failed: {why}{next}"));
    }

    fn step_completed(&mut self, step: &str, payload: &Value, at: Option<jiff::Timestamp>) {
        let simulated = payload.get("simulated") == Some(&Value::Bool(true));
        let text = match self.steps.get(step) {
            None => "completed".to_owned(),
            Some(view) => {
                let took = view.started.zip(at).map(|(start, end)| seconds(between(start, end))).unwrap_or_default();
                let by = match (&*view.platform, &*view.model) {
                    (platform, "") => platform.to_owned(),
                    (platform, model) => format!("{platform}/{}", printable(model)),
                };
                let attempts = if view.attempt > 1 { format!(", attempt {}", view.attempt) } else { String::new() };
                let label = if simulated { "  [simulated]" } else { "" };
                format!("{}  {took}  {by}{attempts}{label}", printable(&view.title))
            }
        };
        self.step_ended(step);
        self.step_line(Style::Good, "✓", step, &text);
    }

    fn step_ended(&mut self, step: &str) {
        if let Some(view) = self.steps.get_mut(step) {
            view.since = None;
        }
    }

    fn since_start(&self, at: Option<jiff::Timestamp>) -> String {
        self.started.zip(at).map(|(start, end)| seconds(between(start, end))).unwrap_or_default()
    }

    fn note(&mut self, style: Style, text: &str) {
        self.last_line = Instant::now();
        if let Some(terminal) = &mut self.terminal {
            let text = terminal.paint(style, text);
            terminal.line(text);
        }
    }

    fn step_line(&mut self, style: Style, glyph: &str, step: &str, text: &str) {
        self.last_line = Instant::now();
        let width = self.width;
        if let Some(terminal) = &mut self.terminal {
            let glyph = terminal.paint(style, glyph);
            terminal.line(format!("  {glyph} {step:<width$}  {text}"));
        }
    }

    /// Says what is under way: on a terminal in a line that is renewed, in a log now and then.
    fn tick(&mut self) {
        let running: Vec<String> = self
            .steps
            .iter()
            .filter_map(|(name, view)| {
                let since = view.since?;
                let by = if view.platform.is_empty() { String::new() } else { format!(" on {}", view.platform) };
                Some(format!("{name}{by} {} s", since.elapsed().as_secs()))
            })
            .collect();
        let done = self.steps.values().filter(|view| view.started.is_some() && view.since.is_none()).count();
        let Some(terminal) = &mut self.terminal else { return };
        if running.is_empty() {
            return;
        }
        let text = format!("  … {done}/{} steps done; under way: {}", self.steps.len(), running.join(", "));
        if terminal.is_interactive() {
            terminal.status(&cut(&text, 100));
        } else if self.last_line.elapsed() >= HEARTBEAT {
            self.last_line = Instant::now();
            terminal.line(text);
        }
    }
}

fn between(start: jiff::Timestamp, end: jiff::Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(end.as_microsecond().saturating_sub(start.as_microsecond())).unwrap_or(0))
}

fn error_text(error: Option<&Value>) -> String {
    let text = |name: &str| error.and_then(|error| error.get(name)).and_then(Value::as_str).unwrap_or_default();
    printable(&format!("{} ({})", text("message"), text("kind")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attempts_recorded_together_with_the_start_keep_their_platform() {
        let mut view =
            View { terminal: None, steps: BTreeMap::new(), started: None, width: 0, last_line: Instant::now() };
        let payload = json!({ "attempt": 1, "platform": "local" });
        view.show(&json!({ "step": "brief", "event": { "type": "task.attempt_started", "payload": payload } }));
        let steps = json!([{ "name": "brief", "title": { "en": "Write the briefing" } }]);
        let payload = json!({ "definition": { "key": "welcome", "steps": steps }, "version": 1 });
        view.show(&json!({ "step": null, "event": { "type": "run.started", "payload": payload } }));
        let step = view.steps.get("brief").map(|view| (view.platform.as_str(), view.title.as_str()));
        assert_eq!(step, Some(("local", "Write the briefing")));
    }
}
