//! What a run decides: `control` answers people, `settle` takes in what tasks and other runs came to, `advance` lets
//! what is due take effect and starts what can start, `ending` brings a run to its end.

mod advance;
mod control;
mod ending;
mod settle;

use std::borrow::Cow;
use std::sync::Arc;

use cqrs_es::Aggregate;

use super::refusal::RunRefusal;
use super::status::{RunStatus, StepStatus};
use crate::{Definition, Run, RunCommand, RunEvent, RunId, StepName};

pub(super) fn decide(state: &Run, command: RunCommand) -> Result<Vec<RunEvent>, RunRefusal> {
    Ok(plan(state, command)?.events)
}

impl Run {
    /// Decides as [`crate::Decide::decide`] does, and tells how the events leave the run; `None` when nothing happens.
    ///
    /// # Errors
    /// The refusal, when the rules forbid the command in this state.
    pub fn decide_on(&self, command: RunCommand) -> Result<(Vec<RunEvent>, Option<Self>), RunRefusal> {
        let plan = plan(self, command)?;
        let after = match plan.state {
            Cow::Owned(after) => Some(after),
            Cow::Borrowed(_) => None,
        };
        Ok((plan.events, after))
    }
}

fn plan(state: &Run, command: RunCommand) -> Result<Plan<'_>, RunRefusal> {
    let begun = |id, definition| Plan { id, definition, state: Cow::Borrowed(state), events: Vec::new() };
    if let RunCommand::Start(start) = command {
        let fresh = match (&start.lineage, state.id()) {
            (None, known) => known.is_none(),
            // The state is the other run's, which this one takes over.
            (Some(lineage), known) => known == Some(lineage.run) && known != Some(start.id),
        };
        if !fresh {
            return Err(RunRefusal::AlreadyStarted);
        }
        if let Some(lineage) = &start.lineage {
            state.check_kept(&start.definition, &lineage.kept)?;
        }
        let mut plan = begun(start.id, Arc::clone(&start.definition));
        plan.happen(RunEvent::Started(start));
        return Ok(plan);
    }
    let (Some(id), Some(definition)) = (state.id(), state.definition().cloned()) else {
        return Err(RunRefusal::NotFound);
    };
    if state.status().is_terminal() {
        return Err(RunRefusal::Ended { status: state.status() });
    }
    let mut plan = begun(id, definition);
    match command {
        RunCommand::Start(_) => {}
        RunCommand::Claim { node } => {
            let epoch = state.lease().map_or(0, |lease| lease.epoch) + 1;
            plan.happen(RunEvent::Claimed { node, epoch });
        }
        RunCommand::Queue { slots, now } => plan.queue(slots, now),
        RunCommand::Admit => plan.admit(),
        RunCommand::Fence => plan.fence(),
        RunCommand::Advance { now } => plan.advance(now),
        RunCommand::SettleTask { task, end, now } => plan.settle_task(task, end, now)?,
        RunCommand::SettleChild { step, end, now } => plan.settle_child(step, end, now)?,
        RunCommand::FailStep { step, error, now } => {
            plan.running(&step)?;
            plan.happen(RunEvent::StepFailed { step, error });
            plan.advance(now);
        }
        RunCommand::DecideApproval { step, by, roles, approved, comment, content_hash, now } => {
            plan.decide_approval(step, by, &roles, approved, comment, content_hash, now)?;
        }
        RunCommand::Signal { signal, payload, now } => plan.signal(signal, payload, now)?,
        RunCommand::Pause(pause) => plan.pause(pause)?,
        RunCommand::Resume { by, now } => plan.resume(by, now)?,
        RunCommand::RequestCancel { reason, now, grace } => plan.request_cancel(reason, now, grace)?,
        RunCommand::ReportStall { what, now } => {
            if !state.stalled() {
                plan.happen(RunEvent::Stalled { what, at: now });
            }
        }
        RunCommand::CutOff { now } => plan.cut_off(now)?,
    }
    Ok(plan)
}

/// The events of one decision, and the state as they leave it.
struct Plan<'a> {
    id: RunId,
    definition: Arc<Definition>,
    /// Copied when the first event happens.
    state: Cow<'a, Run>,
    events: Vec<RunEvent>,
}

impl Plan<'_> {
    fn happen(&mut self, event: RunEvent) {
        self.state.to_mut().apply(event.clone());
        self.events.push(event);
    }

    /// The step must be under way.
    fn running(&self, step: &StepName) -> Result<(), RunRefusal> {
        let running = self.state.steps().get(step).is_some_and(|known| known.status == StepStatus::Running);
        if running { Ok(()) } else { Err(RunRefusal::StepNotRunning { step: step.clone() }) }
    }

    /// Whether the run is on its way to its end, so that what is cut needs no other reason.
    fn is_ending(&self) -> bool {
        self.state.first_failure.is_some() || !matches!(self.state.status(), RunStatus::Running | RunStatus::Paused)
    }

    /// Whether steps may start: the run is under way, waits for no slot, and nothing has failed.
    fn may_start(&self) -> bool {
        self.state.status() == RunStatus::Running && self.state.first_failure.is_none() && !self.state.is_queued()
    }
}
