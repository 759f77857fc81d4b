//! Commands and events of runs, short.

use std::sync::Arc;

use cqrs_es::test::TestFramework;
use domain::run::{Pause, PauseClock, Start, TaskEnd};
use domain::{
    Actor, AttemptError, Definition, ErrorKind, NodeId, Run, RunCommand, RunEvent, RunId, TaskId, Timestamp, WorkflowId,
};
use serde_json::{Value, json};

use super::drive::Driven;
use super::fixtures::{at, error, name, output, result, seconds, uuid};

pub(crate) fn id() -> RunId {
    RunId::from_uuid(uuid(1))
}

/// A run that mara starts at second 0.
pub(crate) fn beginning(definition: Definition) -> Start {
    Start {
        id: id(),
        workflow: WorkflowId::from_uuid(uuid(2)),
        version: 3,
        deadline: definition.timeout.map(|timeout| at(0).plus(timeout)),
        definition: Arc::new(definition),
        input: Arc::new(json!({ "topic": "moon" })),
        by: Actor::person("mara"),
        at: at(0),
        priority: 0,
        parent: None,
        lineage: None,
        trigger: None,
        subject: None,
        form: domain::task::Form::Text,
        again: None,
    }
}

pub(crate) fn start(definition: Definition) -> RunCommand {
    RunCommand::Start(Box::new(beginning(definition)))
}

pub(crate) fn started(definition: Definition) -> RunEvent {
    RunEvent::Started(Box::new(beginning(definition)))
}

pub(crate) fn given(events: Vec<RunEvent>) -> cqrs_es::test::AggregateTestExecutor<Run> {
    TestFramework::with(()).given(events)
}

pub(crate) fn advance(second: u64) -> RunCommand {
    RunCommand::Advance { now: at(second) }
}

pub(crate) fn task(called: &str) -> TaskId {
    TaskId::of_step(id(), &name(called))
}

pub(crate) fn item(called: &str, number: u32) -> TaskId {
    TaskId::of_item(id(), &name(called), number)
}

pub(crate) fn undo(called: &str) -> TaskId {
    TaskId::of_compensation(id(), &name(called))
}

pub(crate) fn settle(task: TaskId, end: TaskEnd, second: u64) -> RunCommand {
    RunCommand::SettleTask { task, end, now: at(second) }
}

pub(crate) fn done(text: &str) -> TaskEnd {
    TaskEnd::Completed { result: result(text), simulated: false }
}

pub(crate) fn broken() -> TaskEnd {
    TaskEnd::Failed(error(ErrorKind::Timeout))
}

pub(crate) fn complete(called: &str) -> RunCommand {
    settle(task(called), done(called), 1)
}

pub(crate) fn fail(called: &str) -> RunCommand {
    settle(task(called), broken(), 1)
}

/// Its task was created at this second.
pub(crate) fn step_started(called: &str, second: u64) -> RunEvent {
    RunEvent::StepStarted { step: name(called), task: task(called), at: at(second), deadline: None }
}

pub(crate) fn step_completed(called: &str) -> RunEvent {
    completed_with(called, &output(called))
}

pub(crate) fn completed_with(called: &str, output: &Value) -> RunEvent {
    RunEvent::StepCompleted { step: name(called), output: Arc::new(output.clone()), simulated: false }
}

pub(crate) fn step_failed(called: &str) -> RunEvent {
    RunEvent::StepFailed { step: name(called), error: error(ErrorKind::Timeout) }
}

pub(crate) fn step_cancelled(called: &str) -> RunEvent {
    RunEvent::StepCancelled { step: name(called) }
}

pub(crate) fn failed(called: &str) -> RunEvent {
    RunEvent::Failed { step: Some(name(called)), error: error(ErrorKind::Timeout) }
}

pub(crate) fn completed(output: Value) -> RunEvent {
    RunEvent::Completed { output: Arc::new(output), simulated: false }
}

pub(crate) fn request_cancel(second: u64) -> RunCommand {
    RunCommand::RequestCancel { reason: "enough".to_owned(), now: at(second), grace: seconds(10) }
}

pub(crate) fn cancel_requested(second: u64) -> RunEvent {
    RunEvent::CancelRequested { reason: "enough".to_owned(), at: at(second), grace: seconds(10) }
}

pub(crate) fn cancelled() -> RunEvent {
    RunEvent::Cancelled { reason: "enough".to_owned() }
}

pub(crate) fn cut_off(second: u64) -> RunCommand {
    RunCommand::CutOff { now: at(second) }
}

pub(crate) fn claim(node: u128) -> RunCommand {
    RunCommand::Claim { node: NodeId::from_uuid(uuid(node)) }
}

pub(crate) fn claimed(node: u128, epoch: u64) -> RunEvent {
    RunEvent::Claimed { node: NodeId::from_uuid(uuid(node)), epoch }
}

pub(crate) fn pausing(second: u64, clock: PauseClock) -> Pause {
    Pause { by: Actor::person("noor"), reason: "lunch".to_owned(), at: at(second), clock, hold: None }
}

pub(crate) fn pause(second: u64) -> RunCommand {
    RunCommand::Pause(pausing(second, PauseClock::Frozen))
}

pub(crate) fn paused(second: u64) -> RunEvent {
    RunEvent::Paused(pausing(second, PauseClock::Frozen))
}

pub(crate) fn resume(second: u64) -> RunCommand {
    RunCommand::Resume { by: Actor::person("noor"), now: at(second) }
}

pub(crate) fn resumed(second: u64) -> RunEvent {
    RunEvent::Resumed { by: Actor::person("noor"), at: at(second) }
}

pub(crate) fn send(called: &str, payload: Value, second: u64) -> RunCommand {
    RunCommand::Signal { signal: name(called), payload: Arc::new(payload), now: at(second) }
}

pub(crate) fn received(called: &str, payload: Value, second: u64) -> RunEvent {
    RunEvent::SignalReceived { signal: name(called), payload: Arc::new(payload), at: at(second) }
}

pub(crate) fn timed_out(message: &str) -> AttemptError {
    AttemptError { kind: ErrorKind::Timeout, message: message.to_owned(), retry_after: None }
}

pub(crate) fn undoing(called: &str, second: u64) -> RunEvent {
    RunEvent::CompensationStarted { step: name(called), task: undo(called), at: at(second) }
}

pub(crate) fn was_undone(called: &str) -> RunEvent {
    RunEvent::CompensationCompleted { step: name(called), simulated: false }
}

/// A run that has been asked all this.
pub(crate) fn asked(definition: Definition, commands: Vec<RunCommand>) -> Driven<Run> {
    let mut run = Driven::new();
    run.ask(start(definition)).unwrap();
    for command in commands {
        run.ask(command.clone()).unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"));
    }
    run
}

/// When something of the run becomes due next.
pub(crate) fn due(run: &Driven<Run>) -> Option<Timestamp> {
    run.state.next_due()
}
