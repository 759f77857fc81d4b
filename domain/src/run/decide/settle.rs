//! What tasks and other runs came to.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Plan;
use crate::run::command::TaskEnd;
use crate::run::mapping::{mapping_failed, step_output};
use crate::run::refusal::RunRefusal;
use crate::run::state::{Activity, Place};
use crate::run::status::StepStatus;
use crate::{AttemptError, ErrorKind, RunEvent, StepName, TaskId, Timestamp};

impl Plan<'_> {
    pub(super) fn settle_task(&mut self, task: TaskId, end: TaskEnd, now: Timestamp) -> Result<(), RunRefusal> {
        let place = self.state.place_of(task);
        match place {
            Some(Place::Step(step)) => {
                self.running(&step)?;
                match end {
                    TaskEnd::Completed { result, simulated } => self.complete(step, &result, simulated),
                    TaskEnd::Failed(error) => self.happen(RunEvent::StepFailed { step, error }),
                    TaskEnd::Cancelled if self.is_ending() => self.happen(RunEvent::StepCancelled { step }),
                    // Nobody wanted the run to end; a step that merely stopped would leave it with nothing to do.
                    TaskEnd::Cancelled => self.happen(RunEvent::StepFailed { step, error: cut() }),
                }
            }
            Some(Place::Item(step, item)) => {
                self.running(&step)?;
                match end {
                    TaskEnd::Completed { result, simulated } => {
                        let result = Arc::new(result);
                        self.happen(RunEvent::ItemCompleted { step: step.clone(), item, result, simulated });
                    }
                    TaskEnd::Failed(error) => self.happen(RunEvent::ItemFailed { step: step.clone(), item, error }),
                    TaskEnd::Cancelled => {
                        let error = cut();
                        self.happen(RunEvent::ItemFailed { step: step.clone(), item, error });
                    }
                }
                self.settle_items(step);
            }
            Some(Place::Undo(step)) => {
                let undoing = self.state.steps().get(&step).and_then(|step| step.undo.as_ref());
                if undoing.is_none_or(|undo| undo.status != StepStatus::Running) {
                    return Err(RunRefusal::StepNotRunning { step });
                }
                match end {
                    TaskEnd::Completed { simulated, .. } => {
                        self.happen(RunEvent::CompensationCompleted { step, simulated });
                    }
                    TaskEnd::Failed(error) => self.happen(RunEvent::CompensationFailed { step, error }),
                    TaskEnd::Cancelled => self.happen(RunEvent::CompensationFailed { step, error: cut() }),
                }
            }
            None => return Err(RunRefusal::TaskUnknown { task }),
        }
        self.advance(now);
        Ok(())
    }

    /// Ends a step over a list when nothing of it runs and nothing more will.
    pub(super) fn settle_items(&mut self, step: StepName) {
        let Some(Activity::Items(items)) = self.state.steps().get(&step).map(|step| &step.activity) else { return };
        if items.running > 0 {
            return;
        }
        if let Some(error) = items.failure.clone() {
            self.happen(RunEvent::StepFailed { step, error });
        } else if usize::try_from(items.done).is_ok_and(|done| done == items.states.len()) {
            let results: Vec<Value> =
                items.states.iter().filter_map(|state| Some((**state.result.as_ref()?).clone())).collect();
            let simulated = items.simulated;
            self.complete(step, &json!({ "items": results }), simulated);
        }
    }

    pub(super) fn settle_child(
        &mut self,
        step: StepName,
        end: Result<(Value, bool), AttemptError>,
        now: Timestamp,
    ) -> Result<(), RunRefusal> {
        self.running(&step)?;
        let Some(Activity::Child { run }) = self.state.steps().get(&step).map(|step| &step.activity) else {
            return Err(RunRefusal::StepNotRunning { step });
        };
        match end {
            Ok((output, simulated)) => {
                let result = json!({ "run": run.to_string(), "output": output });
                self.complete(step, &result, simulated);
            }
            Err(error) => self.happen(RunEvent::StepFailed { step, error }),
        }
        self.advance(now);
        Ok(())
    }

    /// Ends a step with what its output mapping makes of the result.
    pub(super) fn complete(&mut self, step: StepName, result: &Value, simulated: bool) {
        let Some(definition) = self.definition.step(&step) else { return };
        match step_output(definition, result) {
            Ok(output) => self.happen(RunEvent::StepCompleted { step, output: Arc::new(output), simulated }),
            Err(error) => self.happen(RunEvent::StepFailed { step, error: mapping_failed(&error) }),
        }
    }
}

fn cut() -> AttemptError {
    AttemptError { kind: ErrorKind::Interrupted, message: "its task was cancelled".to_owned(), retry_after: None }
}
