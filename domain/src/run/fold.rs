//! What each event leaves behind.

use std::sync::Arc;

use rpds::VectorSync;

use super::event::{PauseClock, Start};
use super::state::{Activity, Asked, Cancel, Decision, ItemState, Items, Kept, Lease, Queue, Run, StepState, Undo};
use super::status::{RunStatus, StepStatus};
use crate::{RunEvent, StepName, Timestamp};

impl Run {
    pub(super) fn fold(&mut self, event: RunEvent) {
        self.stalled = false;
        match event {
            RunEvent::Started(start) => self.begin(*start),
            RunEvent::Claimed { node, epoch } => self.lease = Some(Lease { node, epoch }),
            RunEvent::Queued { slots, at } => self.queue = Some(Queue { slots, at }),
            RunEvent::Admitted => self.admitted = true,
            RunEvent::StepStarted { step, task, at, deadline } => self.start(step, Activity::Task(task), at, deadline),
            RunEvent::ItemsPlanned { step, items, at, deadline } => {
                let count = items.as_array().map_or(0, Vec::len);
                let states: VectorSync<ItemState> = std::iter::repeat_n(ItemState::default(), count).collect();
                let items = Items { values: items, states, running: 0, done: 0, simulated: false, failure: None };
                self.start(step, Activity::Items(items), at, deadline);
            }
            RunEvent::ItemStarted { step, item, .. } => {
                self.item(&step, item, |items, state| {
                    state.status = StepStatus::Running;
                    items.running += 1;
                });
            }
            RunEvent::ItemCompleted { step, item, result, simulated } => {
                self.simulated |= simulated;
                self.item(&step, item, |items, state| {
                    *state = ItemState { status: StepStatus::Completed, result: Some(result) };
                    items.simulated |= simulated;
                    items.running = items.running.saturating_sub(1);
                    items.done += 1;
                });
            }
            RunEvent::ItemFailed { step, item, error } => {
                self.item(&step, item, |items, state| {
                    state.status = StepStatus::Failed;
                    items.running = items.running.saturating_sub(1);
                    items.failure.get_or_insert(error);
                });
            }
            RunEvent::ApprovalRequested { step, content, content_hash, at, expires_at, deadline } => {
                let asked = Asked { content, content_hash, expires_at, expired: false, decisions: vec![] };
                self.start(step, Activity::Approval(asked), at, deadline);
            }
            RunEvent::ApprovalDecided { step, by, approved, comment, at, .. } => {
                self.asked(&step, |asked| asked.decisions.push(Decision { by, approved, comment, at }));
            }
            RunEvent::ApprovalExpired { step } => self.asked(&step, |asked| asked.expired = true),
            RunEvent::TimerStarted { step, fires_at, at, deadline } => {
                self.start(step, Activity::Timer { fires_at }, at, deadline);
            }
            RunEvent::SignalAwaited { step, signal, at, deadline } => {
                self.start(step, Activity::Signal { signal }, at, deadline);
            }
            RunEvent::SignalReceived { signal, payload, at } => self.signals.push(Kept { signal, payload, at }),
            RunEvent::ChildStarted { step, run, at, deadline } => {
                self.start(step, Activity::Child { run }, at, deadline);
            }
            RunEvent::ChildAbandoned { .. } => {}
            RunEvent::StepSkipped { step, reason } => {
                let state = self.step(step);
                state.status = StepStatus::Skipped;
                state.skipped = Some(reason);
            }
            RunEvent::StepCompleted { step, output, simulated } => {
                self.use_signal(&step);
                self.set_status(&step, StepStatus::Completed);
                self.completed.push(step.clone());
                self.outputs.insert(step, output);
                self.simulated |= simulated;
            }
            RunEvent::StepFailed { step, error } => {
                let state = self.step(step.clone());
                state.status = StepStatus::Failed;
                state.error = Some(error.clone());
                self.first_failure.get_or_insert((Some(step), error));
            }
            RunEvent::StepCancelled { step } => self.set_status(&step, StepStatus::Cancelled),
            RunEvent::Paused(pause) => {
                self.status = RunStatus::Paused;
                self.pause = Some(pause);
            }
            RunEvent::Resumed { at, .. } => {
                if let Some(pause) = self.pause.take().filter(|pause| pause.clock == PauseClock::Frozen) {
                    self.shift(at.since(pause.at));
                }
                self.status = RunStatus::Running;
            }
            RunEvent::CancelRequested { reason, at, grace } => {
                self.status = RunStatus::Cancelling;
                self.pause = None;
                self.cancel = Some(Cancel { reason, cut_at: at.plus(grace) });
            }
            RunEvent::Failing { error } => {
                self.status = RunStatus::Failing;
                self.first_failure.get_or_insert((None, error));
            }
            RunEvent::Stalled { .. } => self.stalled = true,
            RunEvent::CompensationStarted { step, task, .. } => {
                self.status = RunStatus::Compensating;
                let state = self.step(step);
                state.undo = Some(Undo { task, status: StepStatus::Running, error: None });
            }
            RunEvent::CompensationCompleted { step, simulated } => {
                self.simulated |= simulated;
                self.undo(&step, |undo| undo.status = StepStatus::Completed);
            }
            RunEvent::CompensationFailed { step, error } => self.undo(&step, |undo| {
                undo.status = StepStatus::Failed;
                undo.error = Some(error);
            }),
            RunEvent::Completed { output, simulated } => {
                self.status = RunStatus::Completed;
                self.output = Some(output);
                self.simulated |= simulated;
            }
            RunEvent::Failed { error, .. } => {
                self.status = RunStatus::Failed;
                self.error = Some(error);
            }
            RunEvent::Cancelled { .. } => self.status = RunStatus::Cancelled,
        }
    }

    /// Begins; with a lineage, on what this state holds of the other run.
    fn begin(&mut self, start: Start) {
        let other = std::mem::take(self);
        let pending = Arc::new(StepState::default());
        let steps = start.definition.steps.iter();
        self.steps = steps.map(|step| (step.name.clone(), Arc::clone(&pending))).collect();
        self.id = Some(start.id);
        self.workflow = Some(start.workflow);
        self.version = start.version;
        self.definition = Some(start.definition);
        self.input = start.input;
        self.by = Some(start.by);
        self.priority = start.priority;
        self.started_at = Some(start.at);
        self.deadline = start.deadline;
        self.parent = start.parent;
        self.subject = start.subject;
        self.form = start.form;
        self.again = start.again;
        self.status = RunStatus::Running;
        if let Some(lineage) = start.lineage {
            self.take_over(other, &lineage.kept);
            self.lineage = Some(lineage);
        }
    }

    fn take_over(&mut self, mut other: Self, kept: &[StepName]) {
        for name in kept {
            let Some(state) = self.step_mut(name) else { continue };
            match other.steps.remove(name) {
                Some(step) => *state = StepState { undo: None, ..Arc::unwrap_or_clone(step) },
                // The other run is not at hand; what is kept had completed.
                None => state.status = StepStatus::Completed,
            }
            if let Some(output) = other.outputs.remove(name) {
                self.outputs.insert(name.clone(), output);
            }
        }
        self.completed = other.completed.into_iter().filter(|name| kept.contains(name)).collect();
        self.signals = other.signals;
        self.simulated = other.simulated && !kept.is_empty();
    }

    fn step(&mut self, step: StepName) -> &mut StepState {
        Arc::make_mut(self.steps.entry(step).or_default())
    }

    fn step_mut(&mut self, step: &StepName) -> Option<&mut StepState> {
        self.steps.get_mut(step).map(Arc::make_mut)
    }

    fn start(&mut self, step: StepName, activity: Activity, at: Timestamp, deadline: Option<Timestamp>) {
        let state =
            StepState { status: StepStatus::Running, activity, since: Some(at), deadline, ..StepState::default() };
        self.steps.insert(step, Arc::new(state));
    }

    fn item(&mut self, step: &StepName, item: u32, change: impl FnOnce(&mut Items, &mut ItemState)) {
        let Some(Activity::Items(items)) = self.step_mut(step).map(|step| &mut step.activity) else { return };
        let Ok(index) = usize::try_from(item) else { return };
        let Some(mut state) = items.states.get(index).cloned() else { return };
        change(items, &mut state);
        items.states.set_mut(index, state);
    }

    fn asked(&mut self, step: &StepName, change: impl FnOnce(&mut Asked)) {
        if let Some(Activity::Approval(asked)) = self.step_mut(step).map(|step| &mut step.activity) {
            change(asked);
        }
    }

    fn undo(&mut self, step: &StepName, change: impl FnOnce(&mut Undo)) {
        if let Some(undo) = self.step_mut(step).and_then(|step| step.undo.as_mut()) {
            change(undo);
        }
    }

    /// A completed step that waited for a signal has used the oldest one of that name.
    fn use_signal(&mut self, step: &StepName) {
        let Some(Activity::Signal { signal }) = self.steps.get(step).map(|step| &step.activity) else { return };
        if let Some(used) = self.signals.iter().position(|kept| kept.signal == *signal) {
            self.signals.remove(used);
        }
    }

    fn set_status(&mut self, step: &StepName, status: StepStatus) {
        if let Some(state) = self.step_mut(step) {
            state.status = status;
        }
    }
}
