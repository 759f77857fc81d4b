use std::sync::Arc;

use cqrs_es::Aggregate;
use serde_json::{Value, json};

use super::state::{MappingError, RunStatus, StepStatus, evaluate_all, sized};
use crate::{
    AttemptError, Definition, ErrorKind, Refusal, Root, Run, RunCommand, RunEvent, RunId, Step, StepName, TaskId,
};

/// Why a run refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunRefusal {
    /// There is no such run.
    #[error("the run does not exist")]
    NotFound,
    /// It was started before.
    #[error("the run exists already")]
    AlreadyStarted,
    /// It has ended.
    #[error("the run has ended: it is {}", .status.name())]
    Ended {
        /// How it ended.
        status: RunStatus,
    },
    /// The step is not under way, so its result comes late.
    #[error("step `{step}` is not running")]
    StepNotRunning {
        /// Which step.
        step: StepName,
    },
    /// Nobody asked for it to be cancelled.
    #[error("nobody asked to cancel the run")]
    NotCancelling,
}

impl Refusal for RunRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "RUN_NOT_FOUND",
            Self::AlreadyStarted => "RUN_EXISTS",
            Self::Ended { .. } => "RUN_ENDED",
            Self::StepNotRunning { .. } => "STEP_NOT_RUNNING",
            Self::NotCancelling => "RUN_NOT_CANCELLING",
        }
    }
}

pub(super) fn decide(state: &Run, command: RunCommand) -> Result<Vec<RunEvent>, RunRefusal> {
    if let RunCommand::Start { id, workflow, version, definition, input } = command {
        return match state.status() {
            RunStatus::Absent => Ok(vec![RunEvent::Started { id, workflow, version, definition, input }]),
            _ => Err(RunRefusal::AlreadyStarted),
        };
    }
    let (Some(id), Some(definition)) = (state.id(), state.definition().cloned()) else {
        return Err(RunRefusal::NotFound);
    };
    if state.status().is_terminal() {
        return Err(RunRefusal::Ended { status: state.status() });
    }
    let mut plan = Plan { id, definition, state: state.clone(), events: Vec::new() };
    match command {
        RunCommand::Start { .. } => {}
        RunCommand::Claim { node } => {
            let epoch = state.lease().map_or(0, |lease| lease.epoch) + 1;
            plan.happen(RunEvent::Claimed { node, epoch });
        }
        RunCommand::Advance => plan.advance(),
        RunCommand::CompleteStep { step, result, simulated } => {
            let definition = plan.running(&step)?;
            match step_output(&definition, &result) {
                Ok(output) => plan.happen(RunEvent::StepCompleted { step, output: Arc::new(output), simulated }),
                Err(error) => plan.happen(RunEvent::StepFailed { step, error: mapping_failed(&error) }),
            }
            plan.advance();
        }
        RunCommand::FailStep { step, error } => {
            plan.running(&step)?;
            plan.happen(RunEvent::StepFailed { step, error });
            plan.advance();
        }
        RunCommand::RequestCancel { reason } => {
            if state.status() != RunStatus::Cancelling {
                plan.happen(RunEvent::CancelRequested { reason });
            }
        }
        RunCommand::FinishCancel => {
            let Some(reason) = state.cancel_reason().map(str::to_owned) else {
                return Err(RunRefusal::NotCancelling);
            };
            for (step, _) in state.running() {
                plan.happen(RunEvent::StepCancelled { step: step.clone() });
            }
            plan.happen(RunEvent::Cancelled { reason });
        }
    }
    Ok(plan.events)
}

/// The events of one decision, and the state as they leave it.
struct Plan {
    id: RunId,
    definition: Arc<Definition>,
    state: Run,
    events: Vec<RunEvent>,
}

impl Plan {
    fn happen(&mut self, event: RunEvent) {
        self.state.apply(event.clone());
        self.events.push(event);
    }

    fn running(&self, step: &StepName) -> Result<Step, RunRefusal> {
        let running = self.state.steps().get(step).is_some_and(|step| step.status == StepStatus::Running);
        let definition = self.definition.step(step).filter(|_| running);
        definition.cloned().ok_or_else(|| RunRefusal::StepNotRunning { step: step.clone() })
    }

    /// Starts what can start. After a failure nothing new starts, and the run fails as soon as nothing runs.
    fn advance(&mut self) {
        if self.state.status() != RunStatus::Running {
            return;
        }
        let definition = Arc::clone(&self.definition);
        for step in &definition.steps {
            if self.state.first_failure.is_some() {
                break;
            }
            if self.is_ready(step) {
                match self.state.step_parameters(step) {
                    Ok(_) => {
                        let task = TaskId::of_step(self.id, &step.name);
                        self.happen(RunEvent::StepStarted { step: step.name.clone(), task });
                    }
                    Err(error) => {
                        self.happen(RunEvent::StepFailed { step: step.name.clone(), error: mapping_failed(&error) })
                    }
                }
            }
        }
        if self.state.running().next().is_some() {
            return;
        }
        if let Some((step, error)) = self.state.first_failure.clone() {
            self.happen(RunEvent::Failed { step: Some(step), error });
        } else if self.state.steps().values().all(|step| step.status == StepStatus::Completed) {
            match run_output(&self.definition, &self.state) {
                Ok(output) => {
                    let simulated = self.state.simulated();
                    self.happen(RunEvent::Completed { output: Arc::new(output), simulated });
                }
                Err(error) => self.happen(RunEvent::Failed { step: None, error: mapping_failed(&error) }),
            }
        }
    }

    fn is_ready(&self, step: &Step) -> bool {
        let status = |name: &StepName| self.state.steps().get(name).map(|step| step.status);
        status(&step.name) == Some(StepStatus::Pending)
            && step.needs.iter().all(|need| status(need) == Some(StepStatus::Completed))
    }
}

fn step_output(step: &Step, result: &Value) -> Result<Value, MappingError> {
    if step.output.is_empty() {
        return sized(json!({ "text": result.get("text").cloned().unwrap_or(Value::Null) }));
    }
    sized(Value::Object(evaluate_all(step.output.iter(), &[("result", Root::Value(result))])?))
}

fn run_output(definition: &Definition, state: &Run) -> Result<Value, MappingError> {
    if !definition.output.is_empty() {
        return sized(Value::Object(evaluate_all(definition.output.iter(), &state.scope())?));
    }
    let needed = |name: &StepName| definition.steps.iter().any(|step| step.needs.contains(name));
    let last = state.outputs().iter().filter(|(name, _)| !needed(name));
    sized(last.map(|(name, output)| (name.as_str().to_owned(), (**output).clone())).collect())
}

fn mapping_failed(error: &MappingError) -> AttemptError {
    AttemptError { kind: ErrorKind::InvalidInput, message: error.to_string(), retry_after: None }
}
