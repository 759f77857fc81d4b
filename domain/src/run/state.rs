use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rpds::VectorSync;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::{Again, Lineage, Parent, Pause, PauseClock, SlotsNeed};
use super::status::{RunStatus, StepStatus};
use crate::task::Form;
use crate::{Actor, AttemptError, Definition, NodeId, Root, RunId, StepName, SubjectId, TaskId, Timestamp, WorkflowId};

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StepState {
    /// Where it stands.
    pub status: StepStatus,
    /// What it consists of, once started.
    pub activity: Activity,
    /// When it started.
    pub since: Option<Timestamp>,
    /// When it fails if it has not ended.
    pub deadline: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<AttemptError>,
    /// Why it was skipped.
    pub skipped: Option<String>,
    /// The task that undoes it, and how far that is.
    pub undo: Option<Undo>,
}

impl StepState {
    /// Its task, when it is a single one.
    #[must_use]
    pub fn task(&self) -> Option<TaskId> {
        match self.activity {
            Activity::Task(task) => Some(task),
            _ => None,
        }
    }
}

/// What a step that has started consists of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Activity {
    /// Nothing: it has not started.
    #[default]
    None,
    /// One task.
    Task(TaskId),
    /// A task for each element of a list.
    Items(Items),
    /// People are asked.
    Approval(Asked),
    /// It waits for its time.
    Timer {
        /// When it goes on.
        fires_at: Timestamp,
    },
    /// It waits for a signal.
    Signal {
        /// The signal's name.
        signal: StepName,
    },
    /// Another run.
    Child {
        /// Which one.
        run: RunId,
    },
}

/// The elements of a step over a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Items {
    /// The list.
    pub values: Arc<Value>,
    /// How each stands. Copies share what they have in common, so that a long list is no burden.
    pub states: VectorSync<ItemState>,
    /// How many are under way.
    pub running: u32,
    /// How many are done.
    pub done: u32,
    /// Whether any of those was simulated.
    pub simulated: bool,
    /// The first that failed.
    pub failure: Option<AttemptError>,
}

/// One element of a list.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ItemState {
    /// Where it stands.
    pub status: StepStatus,
    /// Its result, once completed.
    pub result: Option<Arc<Value>>,
}

/// An approval that people are asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// What they see.
    pub content: Arc<Value>,
    /// BLAKE3 over it.
    pub content_hash: [u8; 32],
    /// When it ends without the wanted decisions.
    pub expires_at: Option<Timestamp>,
    /// Whether it has.
    pub expired: bool,
    /// What they said.
    pub decisions: Vec<Decision>,
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who.
    pub by: Actor,
    /// Yes or no.
    pub approved: bool,
    /// In their words.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}

/// How far the undoing of a step is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The task.
    pub task: TaskId,
    /// Running, completed or failed.
    pub status: StepStatus,
    /// Why it failed.
    pub error: Option<AttemptError>,
}

/// Who owns a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The node.
    pub node: NodeId,
    /// Counts the claims, from 1.
    pub epoch: u64,
}

/// That somebody wants a run to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Why.
    pub reason: String,
    /// When running attempts are cut.
    pub cut_at: Timestamp,
}

/// Slots of limits that a run needs before it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Which ones.
    pub slots: Vec<SlotsNeed>,
    /// Since when.
    pub at: Timestamp,
}

/// A signal that came and that no step has used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) signal: StepName,
    pub(super) payload: Arc<Value>,
    pub(super) at: Timestamp,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Run {
    pub(super) id: Option<RunId>,
    pub(super) workflow: Option<WorkflowId>,
    pub(super) version: u32,
    pub(super) definition: Option<Arc<Definition>>,
    pub(super) input: Arc<Value>,
    pub(super) by: Option<Actor>,
    pub(super) priority: i32,
    pub(super) started_at: Option<Timestamp>,
    pub(super) deadline: Option<Timestamp>,
    pub(super) parent: Option<Parent>,
    pub(super) lineage: Option<Lineage>,
    pub(super) subject: Option<SubjectId>,
    pub(super) form: Form,
    pub(super) again: Option<Again>,
    pub(super) status: RunStatus,
    pub(super) queue: Option<Queue>,
    pub(super) admitted: bool,
    pub(super) pause: Option<Pause>,
    pub(super) lease: Option<Lease>,
    /// Shared by the copies of a run, of which every decision makes one.
    pub(super) steps: BTreeMap<StepName, Arc<StepState>>,
    pub(super) outputs: BTreeMap<StepName, Arc<Value>>,
    /// Steps that have completed, in that order.
    pub(super) completed: Vec<StepName>,
    /// Signals that came and that no step has used.
    pub(super) signals: Vec<Kept>,
    pub(super) first_failure: Option<(Option<StepName>, AttemptError)>,
    pub(super) cancel: Option<Cancel>,
    pub(super) simulated: bool,
    pub(super) stalled: bool,
    pub(super) output: Option<Arc<Value>>,
    pub(super) error: Option<AttemptError>,
}

/// Where in its run a task belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// It is the step.
    Step(StepName),
    /// It is an element of the step.
    Item(StepName, u32),
    /// It undoes the step.
    Undo(StepName),
}

impl Place {
    /// The step.
    #[must_use]
    pub fn step(&self) -> &StepName {
        match self {
            Self::Step(step) | Self::Item(step, _) | Self::Undo(step) => step,
        }
    }
}

impl Run {
    /// Its id; `None` when it does not exist.
    #[must_use]
    pub fn id(&self) -> Option<RunId> {
        self.id
    }

    /// The person whom it is about, if it is about one.
    #[must_use]
    pub fn subject(&self) -> Option<SubjectId> {
        self.subject
    }

    /// How much of the output layer is asked for.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// The task that it does again, when it does.
    #[must_use]
    pub fn again(&self) -> Option<&Again> {
        self.again.as_ref()
    }

    /// The model that is used instead of those that the agents name.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        let branched = self.lineage.as_ref().and_then(|lineage| lineage.overrides.model.as_deref());
        branched.or_else(|| self.again.as_ref()?.model.as_deref())
    }

    /// Whether every part of an output is asked of a task at this place. What undoes a step is no output.
    #[must_use]
    pub fn asks_for_parts(&self, place: &Place) -> bool {
        let waits = |step: &StepName| {
            self.definition.iter().flat_map(|definition| &definition.steps).any(|other| other.needs.contains(step))
        };
        match (self.form, place) {
            (_, Place::Undo(_)) | (Form::Text, _) => false,
            (Form::Every, _) => true,
            (Form::Last, place) => !waits(place.step()),
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        self.status
    }

    /// The workflow that it executes; `None` when it does not exist.
    #[must_use]
    pub fn workflow(&self) -> Option<WorkflowId> {
        self.workflow
    }

    /// The definition that it follows; `None` when it does not exist.
    #[must_use]
    pub fn definition(&self) -> Option<&Arc<Definition>> {
        self.definition.as_ref()
    }

    /// The version of the workflow that it follows.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Its input.
    #[must_use]
    pub fn input(&self) -> &Arc<Value> {
        &self.input
    }

    /// Who wanted it; `None` when it does not exist.
    #[must_use]
    pub fn by(&self) -> Option<&Actor> {
        self.by.as_ref()
    }

    /// How it ranks among runs that wait for a limit.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// When it started; `None` when it does not exist.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// When it fails if it has not ended.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// The run and step that started it.
    #[must_use]
    pub fn parent(&self) -> Option<&Parent> {
        self.parent.as_ref()
    }

    /// The run whose history it took over.
    #[must_use]
    pub fn lineage(&self) -> Option<&Lineage> {
        self.lineage.as_ref()
    }

    /// The slots that it waits for, or holds.
    #[must_use]
    pub fn queue(&self) -> Option<&Queue> {
        self.queue.as_ref()
    }

    /// Whether it waits for slots, so that nothing of it may start.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.queue.is_some() && !self.admitted
    }

    /// Whether nothing of it has begun.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.steps.values().all(|step| step.status == StepStatus::Pending)
    }

    /// Who paused it, while it is paused.
    #[must_use]
    pub fn pause(&self) -> Option<&Pause> {
        self.pause.as_ref()
    }

    /// Who owns it.
    #[must_use]
    pub fn lease(&self) -> Option<Lease> {
        self.lease
    }

    /// Every step, by name.
    #[must_use]
    pub fn steps(&self) -> &BTreeMap<StepName, Arc<StepState>> {
        &self.steps
    }

    /// Outputs of completed steps.
    #[must_use]
    pub fn outputs(&self) -> &BTreeMap<StepName, Arc<Value>> {
        &self.outputs
    }

    /// The steps under way.
    pub fn running(&self) -> impl Iterator<Item = (&StepName, &StepState)> {
        let all = self.steps.iter().map(|(name, step)| (name, &**step));
        all.filter(|(_, step)| step.status == StepStatus::Running)
    }

    /// Every task under way, and where it belongs.
    #[must_use]
    pub fn open_tasks(&self) -> Vec<(Place, TaskId)> {
        let Some(id) = self.id else { return vec![] };
        let mut open = Vec::new();
        for (name, step) in &self.steps {
            if step.status == StepStatus::Running {
                match &step.activity {
                    Activity::Task(task) => open.push((Place::Step(name.clone()), *task)),
                    Activity::Items(items) => {
                        for (item, state) in (0_u32..).zip(&items.states) {
                            if state.status == StepStatus::Running {
                                let task = TaskId::of_item(id, name, item);
                                open.push((Place::Item(name.clone(), item), task));
                            }
                        }
                    }
                    _ => {}
                }
            }
            if let Some(undo) = step.undo.as_ref().filter(|undo| undo.status == StepStatus::Running) {
                open.push((Place::Undo(name.clone()), undo.task));
            }
        }
        open
    }

    /// The runs that its steps started and wait for.
    pub fn children(&self) -> impl Iterator<Item = (&StepName, RunId)> {
        self.running().filter_map(|(name, step)| match step.activity {
            Activity::Child { run } => Some((name, run)),
            _ => None,
        })
    }

    /// The run's output, once completed.
    #[must_use]
    pub fn output(&self) -> Option<&Arc<Value>> {
        self.output.as_ref()
    }

    /// Why it failed, once failed.
    #[must_use]
    pub fn error(&self) -> Option<&AttemptError> {
        self.error.as_ref()
    }

    /// That somebody wants it to stop.
    #[must_use]
    pub fn cancel(&self) -> Option<&Cancel> {
        self.cancel.as_ref()
    }

    /// Whether any step so far was simulated.
    #[must_use]
    pub fn simulated(&self) -> bool {
        self.simulated
    }

    /// Whether the last thing that happened to it is that it was found with nothing to wait for.
    #[must_use]
    pub fn stalled(&self) -> bool {
        self.stalled
    }

    /// When the next thing becomes due by itself: a deadline, a timer, an expiry, the cut of a cancelled run. Nothing
    /// does while the run is paused.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        match self.status {
            RunStatus::Running => {}
            RunStatus::Cancelling => return self.cancel.as_ref().map(|cancel| cancel.cut_at),
            _ => return None,
        }
        let steps = self.running().flat_map(|(_, step)| {
            let own = match &step.activity {
                Activity::Timer { fires_at } => Some(*fires_at),
                Activity::Approval(asked) => asked.expires_at,
                _ => None,
            };
            [own, step.deadline]
        });
        steps.chain([self.deadline]).flatten().min()
    }

    pub(super) fn scope(&self) -> [(&'static str, Root<'_>); 2] {
        [("input", Root::Value(&self.input)), ("steps", Root::Shared(&self.outputs))]
    }

    /// Moves everything that waits for a time.
    pub(super) fn shift(&mut self, by: Duration) {
        let shift = |at: &mut Option<Timestamp>| *at = at.map(|at| at.plus(by));
        shift(&mut self.deadline);
        for step in self.steps.values_mut().filter(|step| step.status == StepStatus::Running).map(Arc::make_mut) {
            shift(&mut step.deadline);
            match &mut step.activity {
                Activity::Timer { fires_at } => *fires_at = fires_at.plus(by),
                Activity::Approval(asked) => shift(&mut asked.expires_at),
                _ => {}
            }
        }
    }

    /// How long a pause that ends at `now` moves what waits for a time.
    #[must_use]
    pub fn frozen_for(&self, now: Timestamp) -> Duration {
        match &self.pause {
            Some(pause) if pause.clock == PauseClock::Frozen => now.since(pause.at),
            _ => Duration::ZERO,
        }
    }

    /// Where a task of this run belongs, while it is under way.
    #[must_use]
    pub fn place_of(&self, task: TaskId) -> Option<Place> {
        let id = self.id?;
        for (name, step) in &self.steps {
            if step.undo.as_ref().is_some_and(|undo| undo.task == task) {
                return Some(Place::Undo(name.clone()));
            }
            match &step.activity {
                Activity::Task(known) if *known == task => return Some(Place::Step(name.clone())),
                Activity::Items(items) => {
                    let running = (0_u32..).zip(&items.states).filter(|(_, state)| state.status == StepStatus::Running);
                    for (item, _) in running {
                        if TaskId::of_item(id, name, item) == task {
                            return Some(Place::Item(name.clone(), item));
                        }
                    }
                }
                _ => {}
            }
        }
        None
    }

    pub(super) fn is_completed(&self, step: &StepName) -> bool {
        self.steps.get(step).is_some_and(|step| step.status.is_done())
    }
}
