//! What is personal in the events of a run that is about somebody: declared here, field by field, and nowhere else.
//!
//! Invariant: a test compares the lists with the frozen structs, so that no field that can hold text is in neither.

use std::sync::Arc;

use domain::task::Output;
use domain::{ActionEvent, AttemptError, Event, RunEvent, TaskEvent};
use serde_json::Value;

/// What stands in the place of what cannot be read any more.
pub const ERASED: &str = "[erased]";

/// The fields that are personal, by event: what people give to a run, what platforms answer, what people say about it, and
/// hashes from which any of that could be guessed.
pub const PERSONAL: &[(&str, &[&str])] = &[
    ("run.started", &["input"]),
    ("run.items_planned", &["items"]),
    ("run.item_completed", &["result"]),
    ("run.item_failed", &["error"]),
    ("run.approval_requested", &["content", "content_hash"]),
    ("run.approval_decided", &["comment", "content_hash"]),
    ("run.signal_received", &["payload"]),
    ("run.step_skipped", &["reason"]),
    ("run.step_completed", &["output"]),
    ("run.step_failed", &["error"]),
    ("run.paused", &["reason"]),
    ("run.cancel_requested", &["reason"]),
    ("run.failing", &["error"]),
    ("run.stalled", &["what"]),
    ("run.compensation_failed", &["error"]),
    ("run.completed", &["output"]),
    ("run.failed", &["error"]),
    ("run.cancelled", &["reason"]),
    ("task.created", &["parameters"]),
    ("task.assigned", &["reason"]),
    ("task.attempt_started", &["request_hash"]),
    ("task.attempt_succeeded", &["reply"]),
    ("task.attempt_failed", &["error"]),
    ("task.attempt_late", &["reply"]),
    ("task.completed", &["output"]),
    ("task.failed", &["error"]),
    ("task.cancelled", &["reason"]),
    ("task.rated", &["comment"]),
    ("task.judged", &["reason"]),
    ("task.judging_failed", &["reason"]),
    ("action.changed", &["owner", "due", "note"]),
];

/// The fields of the same events that hold text and are not personal: keys, names of steps, the definition of the
/// workflow, who acted, the values that limits count by, and platforms' own accounts of what was used.
pub const PLAIN: &[(&str, &[&str])] = &[
    ("run.started", &["definition", "by", "parent", "lineage", "trigger", "again"]),
    ("run.queued", &["slots"]),
    ("run.step_started", &["step"]),
    ("run.items_planned", &["step"]),
    ("run.item_started", &["step"]),
    ("run.item_completed", &["step"]),
    ("run.item_failed", &["step"]),
    ("run.approval_requested", &["step"]),
    ("run.approval_decided", &["step", "by"]),
    ("run.approval_expired", &["step"]),
    ("run.timer_started", &["step"]),
    ("run.signal_awaited", &["step", "signal"]),
    ("run.signal_received", &["signal"]),
    ("run.child_started", &["step"]),
    ("run.child_abandoned", &["step"]),
    ("run.step_skipped", &["step"]),
    ("run.step_completed", &["step"]),
    ("run.step_failed", &["step"]),
    ("run.step_cancelled", &["step"]),
    ("run.paused", &["by"]),
    ("run.resumed", &["by"]),
    ("run.compensation_started", &["step"]),
    ("run.compensation_completed", &["step"]),
    ("run.compensation_failed", &["step"]),
    ("run.failed", &["step"]),
    ("task.created", &["step"]),
    ("task.assigned", &["choice"]),
    ("task.queued", &["slots"]),
    ("task.attempt_started", &["platform", "model", "choice", "reserved", "masked", "kept"]),
    ("task.postponed", &["passed_over"]),
    ("task.attempt_failed", &["consumed"]),
    ("task.completed", &["quality"]),
    ("task.rated", &["by"]),
    ("task.judged", &["model", "author"]),
    ("action.changed", &["by"]),
];

/// The event without what is personal in it; nothing when there is nothing personal in it.
pub(super) fn without(event: &Event) -> Option<Event> {
    let bare = match event {
        Event::Run(event) => {
            let mut bare = event.clone();
            erase_run(&mut bare).then(|| Event::Run(bare))
        }
        Event::Task(event) => {
            let mut bare = event.clone();
            erase_task(&mut bare).then(|| Event::Task(bare))
        }
        Event::Action(ActionEvent::Changed { run, task, number, state, owner, due, note, by, at }) => {
            let erased = |text: &Option<String>| text.as_ref().map(|_| ERASED.to_owned());
            let (owner, due, note) = (erased(owner), erased(due), erased(note));
            let (run, task, number, state, by, at) = (*run, *task, *number, *state, by.clone(), *at);
            Some(ActionEvent::Changed { run, task, number, state, owner, due, note, by, at }.into())
        }
        _ => None,
    };
    debug_assert_eq!(bare.is_some(), PERSONAL.iter().any(|(name, _)| *name == event.name()), "{}", event.name());
    bare
}

fn erase_run(event: &mut RunEvent) -> bool {
    match event {
        RunEvent::Started(start) => value(&mut start.input),
        RunEvent::ItemsPlanned { items, .. } => {
            // How many there are is what a run is counted by.
            let count = items.as_array().map_or(0, Vec::len);
            *items = Arc::new(Value::Array(vec![Value::from(ERASED); count]));
        }
        RunEvent::ItemCompleted { result, .. } => value(result),
        RunEvent::ApprovalRequested { content, content_hash, .. } => {
            value(content);
            *content_hash = [0; 32];
        }
        RunEvent::ApprovalDecided { comment, content_hash, .. } => {
            text(comment);
            *content_hash = [0; 32];
        }
        RunEvent::SignalReceived { payload, .. } => value(payload),
        RunEvent::StepCompleted { output, .. } | RunEvent::Completed { output, .. } => value(output),
        RunEvent::StepSkipped { reason, .. }
        | RunEvent::CancelRequested { reason, .. }
        | RunEvent::Cancelled { reason } => text(reason),
        RunEvent::Paused(pause) => text(&mut pause.reason),
        RunEvent::Stalled { what, .. } => text(what),
        RunEvent::ItemFailed { error: failure, .. }
        | RunEvent::StepFailed { error: failure, .. }
        | RunEvent::Failing { error: failure }
        | RunEvent::CompensationFailed { error: failure, .. }
        | RunEvent::Failed { error: failure, .. } => error(failure),
        RunEvent::Claimed { .. }
        | RunEvent::Queued { .. }
        | RunEvent::Admitted
        | RunEvent::StepStarted { .. }
        | RunEvent::ItemStarted { .. }
        | RunEvent::ApprovalExpired { .. }
        | RunEvent::TimerStarted { .. }
        | RunEvent::SignalAwaited { .. }
        | RunEvent::ChildStarted { .. }
        | RunEvent::ChildAbandoned { .. }
        | RunEvent::StepCancelled { .. }
        | RunEvent::Resumed { .. }
        | RunEvent::CompensationStarted { .. }
        | RunEvent::CompensationCompleted { .. } => return false,
    }
    true
}

fn erase_task(event: &mut TaskEvent) -> bool {
    match event {
        TaskEvent::Created { parameters, .. } => value(parameters),
        TaskEvent::AttemptStarted { request_hash, .. } => *request_hash = [0; 32],
        TaskEvent::AttemptSucceeded { reply, .. } | TaskEvent::AttemptLate { reply, .. } => text(&mut reply.text),
        TaskEvent::AttemptFailed { error: failure, .. } | TaskEvent::Failed { error: failure } => error(failure),
        TaskEvent::Assigned { reason, .. }
        | TaskEvent::Cancelled { reason }
        | TaskEvent::Rated { comment: reason, .. }
        | TaskEvent::Judged { reason, .. }
        | TaskEvent::JudgingFailed { reason, .. } => text(reason),
        // That there is an output stays, because the rest of the run goes by it.
        TaskEvent::Completed { output, .. } => {
            if let Some(output) = output {
                **output = Output { results: ERASED.to_owned(), ..Output::default() };
            }
        }
        TaskEvent::Queued { .. }
        | TaskEvent::Postponed { .. }
        | TaskEvent::AttemptLost { .. }
        | TaskEvent::Deferred { .. } => return false,
    }
    true
}

fn value(value: &mut Arc<Value>) {
    *value = Arc::new(Value::from(ERASED));
}

fn text(text: &mut String) {
    ERASED.clone_into(text);
}

/// The kind stays, because it is what retries and figures go by.
fn error(error: &mut AttemptError) {
    text(&mut error.message);
}
