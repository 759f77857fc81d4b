//! What people ask of a run.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Plan;
use super::advance::decided;
use crate::run::event::{Pause, SlotsNeed};
use crate::run::refusal::RunRefusal;
use crate::run::state::Activity;
use crate::run::status::{RunStatus, StepStatus};
use crate::workflow::{Approval, Approver, Work};
use crate::{Actor, ActorKind, RunEvent, StepName, Timestamp};

/// How many signals are kept for steps that may want them later.
const MAX_SIGNALS: usize = 1000;

impl Plan<'_> {
    pub(super) fn queue(&mut self, slots: Vec<SlotsNeed>, now: Timestamp) {
        if self.state.queue().is_none() && !slots.is_empty() {
            self.happen(RunEvent::Queued { slots, at: now });
        }
    }

    pub(super) fn admit(&mut self) {
        if self.state.is_queued() {
            self.happen(RunEvent::Admitted);
        }
    }

    /// Nothing changes but the revision.
    pub(super) fn fence(&mut self) {
        if self.state.is_queued()
            && let Some(queue) = self.state.queue().cloned()
        {
            self.happen(RunEvent::Queued { slots: queue.slots, at: queue.at });
        }
    }

    pub(super) fn pause(&mut self, pause: Pause) -> Result<(), RunRefusal> {
        match self.state.status() {
            RunStatus::Running => self.happen(RunEvent::Paused(pause)),
            RunStatus::Paused => {}
            status => return Err(RunRefusal::Ending { status, wish: "paused" }),
        }
        Ok(())
    }

    pub(super) fn resume(&mut self, by: Actor, now: Timestamp) -> Result<(), RunRefusal> {
        match self.state.status() {
            RunStatus::Paused => {
                self.happen(RunEvent::Resumed { by, at: now });
                Ok(())
            }
            status => Err(RunRefusal::NotPaused { status }),
        }
    }

    pub(super) fn request_cancel(&mut self, reason: String, now: Timestamp, grace: Duration) -> Result<(), RunRefusal> {
        match self.state.status() {
            RunStatus::Running | RunStatus::Paused => {
                self.happen(RunEvent::CancelRequested { reason, at: now, grace });
            }
            RunStatus::Cancelling => {}
            status => return Err(RunRefusal::Ending { status, wish: "cancelled" }),
        }
        Ok(())
    }

    pub(super) fn signal(&mut self, signal: StepName, payload: Arc<Value>, now: Timestamp) -> Result<(), RunRefusal> {
        let count = self.state.signals.len();
        // Signals that nobody wants never keep out one that a step waits for.
        let waits = |activity: &Activity| matches!(activity, Activity::Signal { signal: wanted } if *wanted == signal);
        let waiting = self.state.running().filter(|(_, step)| waits(&step.activity)).count();
        let there = self.state.signals.iter().filter(|kept| kept.signal == signal).count();
        if count >= MAX_SIGNALS && there >= waiting {
            return Err(RunRefusal::TooManySignals { count });
        }
        self.happen(RunEvent::SignalReceived { signal, payload, at: now });
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one command, taken apart once")]
    pub(super) fn decide_approval(
        &mut self,
        step: StepName,
        by: Actor,
        roles: &[String],
        approved: bool,
        comment: String,
        content_hash: Option<[u8; 32]>,
        now: Timestamp,
    ) -> Result<(), RunRefusal> {
        let definition = self.definition.step(&step);
        let Some(known) = definition else { return Err(RunRefusal::StepUnknown { step }) };
        let no = |step, why: &str| Err(RunRefusal::NoApproval { step, why: why.to_owned() });
        let Work::Approval(approval) = &known.work else { return no(step, "it is no approval") };
        let status = self.state.status();
        if !matches!(status, RunStatus::Running | RunStatus::Paused) {
            return Err(RunRefusal::Ending { status, wish: "decided on" });
        }
        let Some(state) = self.state.steps().get(&step) else { return no(step, "its turn has not come") };
        let asked = match (state.status, &state.activity) {
            (StepStatus::Running, Activity::Approval(asked)) => asked,
            (StepStatus::Pending, _) => return no(step, "its turn has not come"),
            (status, _) => return no(step, &format!("it is {}", status.name())),
        };
        let person = by.to_string();
        if !may_decide(approval, &by, roles) {
            let approvers: Vec<String> = approval.approvers.iter().map(ToString::to_string).collect();
            return Err(RunRefusal::NotApprover { by: person, step, approvers: approvers.join(", ") });
        }
        if !approval.own_run && self.state.by() == Some(&by) {
            return Err(RunRefusal::OwnRun { by: person, step });
        }
        if asked.decisions.iter().any(|decision| decision.by == by) {
            return Err(RunRefusal::AlreadyDecided { by: person, step });
        }
        // The decision, or the end of its time, may be there and wait to take effect, as in a run that is paused.
        if decided(asked, approval).is_some() {
            return no(step, "it has been decided");
        }
        let over = [asked.expires_at, state.deadline].into_iter().flatten().min();
        if over.is_some_and(|over| over.plus(self.state.frozen_for(now)) <= now) {
            return no(step, "its time is over");
        }
        let content_hash = match content_hash {
            Some(seen) if seen != asked.content_hash => return Err(RunRefusal::ContentChanged { step }),
            _ => asked.content_hash,
        };
        self.happen(RunEvent::ApprovalDecided { step, by, approved, comment, content_hash, at: now });
        Ok(())
    }
}

/// Agents, schedules and HishamOS itself never decide.
fn may_decide(approval: &Approval, by: &Actor, roles: &[String]) -> bool {
    let accountable = matches!(by.kind, ActorKind::Person | ActorKind::ApiKey);
    accountable
        && approval.approvers.iter().any(|approver| match approver {
            Approver::Anyone => true,
            Approver::Person(name) => by.kind == ActorKind::Person && *name == by.id,
            Approver::Role(name) => roles.contains(name),
        })
}
