//! Brings a run to its end: what runs is cut, what had been done is undone, and then it is over.

use std::sync::Arc;

use super::Plan;
use crate::run::mapping::{mapping_failed, run_output};
use crate::run::refusal::RunRefusal;
use crate::run::state::Activity;
use crate::run::status::{RunStatus, StepStatus};
use crate::workflow::{ParentClose, Work};
use crate::{RunEvent, StepName, TaskId, Timestamp};

impl Plan<'_> {
    /// Ends the run when nothing runs any more. After a failure, what only waits is given up; what works is let finish.
    pub(super) fn end_if_done(&mut self, now: Timestamp) {
        if self.state.status() != RunStatus::Running {
            return;
        }
        if self.state.first_failure.is_some() {
            self.give_up_waits();
        }
        if self.state.running().next().is_some() {
            return;
        }
        if self.state.first_failure.is_some() {
            self.undo_next(now);
        } else if self.state.steps().values().all(|step| step.status.is_done()) {
            match run_output(&self.definition, &self.state) {
                Ok(output) => {
                    let simulated = self.state.simulated();
                    self.happen(RunEvent::Completed { output: Arc::new(output), simulated });
                }
                Err(error) => {
                    self.happen(RunEvent::Failing { error: mapping_failed(&error) });
                    self.undo_next(now);
                }
            }
        }
    }

    /// People, time and signals are not waited for any more, and neither are runs that may be abandoned.
    fn give_up_waits(&mut self) {
        let definition = Arc::clone(&self.definition);
        let waits: Vec<StepName> = self
            .state
            .running()
            .filter(|(name, step)| match &step.activity {
                Activity::Approval(_) | Activity::Timer { .. } | Activity::Signal { .. } | Activity::None => true,
                Activity::Child { .. } => abandons(&definition, name),
                Activity::Items(items) => items.running == 0,
                Activity::Task(_) => false,
            })
            .map(|(name, _)| name.clone())
            .collect();
        for step in waits {
            self.cut(step);
        }
    }

    fn cut(&mut self, step: StepName) {
        self.abandon(&step);
        self.happen(RunEvent::StepCancelled { step });
    }

    /// Leaves the run alone that a step waits for, if it may go on without it.
    pub(super) fn abandon(&mut self, step: &StepName) {
        if let Some(Activity::Child { run }) = self.state.steps().get(step).map(|step| &step.activity)
            && abandons(&self.definition, step)
        {
            self.happen(RunEvent::ChildAbandoned { step: step.clone(), run: *run });
        }
    }

    /// What ran has ended or been cut by its owner.
    pub(super) fn cut_off(&mut self, now: Timestamp) -> Result<(), RunRefusal> {
        if !matches!(self.state.status(), RunStatus::Cancelling | RunStatus::Failing) {
            return Err(RunRefusal::NotCancelling);
        }
        let running: Vec<StepName> = self.state.running().map(|(name, _)| name.clone()).collect();
        for step in running {
            self.cut(step);
        }
        self.undo_next(now);
        Ok(())
    }

    /// Undoes the last completed step that can be undone and has not been; when there is none, the run ends.
    pub(super) fn undo_next(&mut self, now: Timestamp) {
        let undoing = |step: &StepName| self.state.steps().get(step).and_then(|state| state.undo.as_ref());
        let running = |step: &StepName| undoing(step).is_some_and(|undo| undo.status == StepStatus::Running);
        if self.state.completed.iter().any(running) {
            return;
        }
        let undoable = |step: &StepName| self.definition.step(step).is_some_and(|step| step.compensation.is_some());
        let next = self.state.completed.iter().rev().find(|step| undoing(step).is_none() && undoable(step));
        if let Some(step) = next.cloned() {
            let task = TaskId::of_compensation(self.id, &step);
            self.happen(RunEvent::CompensationStarted { step, task, at: now });
        } else if let Some(cancel) = self.state.cancel() {
            let reason = cancel.reason.clone();
            self.happen(RunEvent::Cancelled { reason });
        } else if let Some((step, error)) = self.state.first_failure.clone() {
            self.happen(RunEvent::Failed { step, error });
        }
    }
}

fn abandons(definition: &crate::Definition, step: &StepName) -> bool {
    let work = definition.step(step).map(|step| &step.work);
    matches!(work, Some(Work::Run(run)) if run.on_parent_close == ParentClose::Abandon)
}
