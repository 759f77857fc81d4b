//! One append in the making: decisions on a run and its tasks, each made on the state that the ones before it leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use cqrs_es::Aggregate;
use domain::{
    AttemptError, Decide, Event, Run, RunCommand, RunEvent, RunId, RunRefusal, StepName, Task, TaskCommand, TaskEvent,
    TaskId, TaskRefusal,
};
use journal::{Append, Appended, Context, Loaded, StreamAppend};
use serde_json::{Value, json};

use crate::call::Call;

/// A task as a driver knows it.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) id: TaskId,
    pub(crate) task: Loaded<Task>,
}

struct StagedTask {
    slot: Slot,
    events: Vec<TaskEvent>,
    call: Option<Call>,
}

pub(crate) struct Stage {
    id: RunId,
    run: Loaded<Run>,
    run_events: Vec<RunEvent>,
    tasks: BTreeMap<StepName, StagedTask>,
}

/// What a recorded stage leaves behind.
pub(crate) struct Adopted {
    pub(crate) run: Loaded<Run>,
    pub(crate) tasks: BTreeMap<StepName, Slot>,
    pub(crate) calls: Vec<(StepName, u32, Call)>,
}

impl Stage {
    pub(crate) fn new(id: RunId, run: &Loaded<Run>) -> Self {
        Self { id, run: run.clone(), run_events: Vec::new(), tasks: BTreeMap::new() }
    }

    /// The run as the staged decisions leave it.
    pub(crate) fn run(&self) -> &Run {
        &self.run.state
    }

    /// A step's task as the staged decisions leave it, when there are any.
    pub(crate) fn task(&self, step: &StepName) -> Option<&Task> {
        self.tasks.get(step).map(|staged| &*staged.slot.task.state)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.run_events.is_empty() && self.tasks.values().all(|task| task.events.is_empty())
    }

    /// Decides on the run; answers with the steps that were started by it.
    pub(crate) fn decide_run(&mut self, command: RunCommand) -> Result<Vec<(StepName, TaskId)>, RunRefusal> {
        let events = self.run.state.decide(command)?;
        let mut started = Vec::new();
        let state = Arc::make_mut(&mut self.run.state);
        for event in &events {
            if let RunEvent::StepStarted { step, task } = event {
                started.push((step.clone(), *task));
            }
            state.apply(event.clone());
        }
        self.run_events.extend(events);
        Ok(started)
    }

    /// Decides on a step's task; `known` is the task as the driver knows it, when it does.
    pub(crate) fn decide_task(
        &mut self,
        step: &StepName,
        known: impl FnOnce() -> Slot,
        command: TaskCommand,
    ) -> Result<&Task, TaskRefusal> {
        let staged = self.tasks.entry(step.clone()).or_insert_with(|| StagedTask {
            slot: known(),
            events: Vec::new(),
            call: None,
        });
        let events = staged.slot.task.state.decide(command)?;
        let state = Arc::make_mut(&mut staged.slot.task.state);
        events.iter().for_each(|event| state.apply(event.clone()));
        staged.events.extend(events);
        Ok(&staged.slot.task.state)
    }

    /// What is to be called once the stage is recorded.
    pub(crate) fn call_after(&mut self, step: &StepName, call: Call) {
        if let Some(staged) = self.tasks.get_mut(step) {
            staged.call = Some(call);
        }
    }

    /// The append of all staged events. Tasks stand before the run, whose revision the answer speaks of.
    pub(crate) fn append(&self, context: Context) -> Append {
        let mut streams: Vec<StreamAppend> = self
            .tasks
            .values()
            .filter(|staged| !staged.events.is_empty())
            .map(|staged| StreamAppend {
                stream: staged.slot.id.into(),
                expected: staged.slot.task.expected(),
                events: staged.events.iter().cloned().map(Event::from).collect(),
            })
            .collect();
        if !self.run_events.is_empty() {
            streams.push(StreamAppend {
                stream: self.id.into(),
                expected: self.run.expected(),
                events: self.run_events.iter().cloned().map(Event::from).collect(),
            });
        }
        Append { streams, context, remember: false }
    }

    /// Takes over what was recorded.
    pub(crate) fn adopt(mut self, appended: &Appended) -> Adopted {
        let revision = |stream| appended.heads.iter().find(|(head, _)| *head == stream).map(|(_, revision)| *revision);
        if let Some(at) = revision(self.id.into()) {
            self.run.revision = Some(at);
        }
        let mut tasks = BTreeMap::new();
        let mut calls = Vec::new();
        for (step, mut staged) in self.tasks {
            if let Some(at) = revision(staged.slot.id.into()) {
                staged.slot.task.revision = Some(at);
            }
            if let (Some(call), Some(attempt)) = (staged.call, staged.slot.task.state.running_attempt()) {
                calls.push((step.clone(), attempt.number, call));
            }
            tasks.insert(step, staged.slot);
        }
        Adopted { run: self.run, tasks, calls }
    }
}

/// What a task's end means for its run; `None` while it has not ended.
pub(crate) fn consequence(step: &StepName, task: &Task) -> Option<RunCommand> {
    use domain::task::TaskStatus;
    match task.status() {
        TaskStatus::Completed => {
            let reply = task.reply()?;
            Some(RunCommand::CompleteStep {
                step: step.clone(),
                result: json!({ "text": reply.text, "json": embedded_json(&reply.text) }),
                simulated: reply.simulated,
            })
        }
        TaskStatus::Failed => {
            let error = task.error().cloned().unwrap_or_else(|| AttemptError {
                kind: domain::ErrorKind::PlatformFailure,
                message: "the task failed".to_owned(),
                retry_after: None,
            });
            Some(RunCommand::FailStep { step: step.clone(), error })
        }
        _ => None,
    }
}

/// The JSON object or array that an answer consists of, bare or in a Markdown code fence; `null` when there is none.
fn embedded_json(text: &str) -> Value {
    let text = text.trim();
    let fenced = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inner = fenced.map_or(text, |rest| rest.strip_prefix("json").unwrap_or(rest)).trim();
    if inner.starts_with(['{', '[']) { serde_json::from_str(inner).unwrap_or(Value::Null) } else { Value::Null }
}
