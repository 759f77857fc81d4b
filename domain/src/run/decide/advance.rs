//! Lets what is due take effect, and starts what can start.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Plan;
use crate::run::mapping::{MappingError, approval_result, evaluate_all, is_true, mapping_failed, sized};
use crate::run::state::{Activity, Asked, Decision, Kept};
use crate::run::status::{RunStatus, StepStatus};
use crate::workflow::{Approval, ForEach, Verdict, Wait, Work};
use crate::{AttemptError, ErrorKind, Expression, RunEvent, RunId, Step, StepName, TaskId, Timestamp};

/// The longest list that a step may work through.
pub(super) const MAX_ITEMS: usize = 100_000;

impl Plan<'_> {
    pub(super) fn advance(&mut self, now: Timestamp) {
        match self.state.status() {
            RunStatus::Running => {
                self.pass_time(now);
                self.start_ready(now);
                self.end_if_done(now);
            }
            RunStatus::Compensating => self.undo_next(now),
            _ => {}
        }
    }

    /// Deadlines, timers and expiries that are due, and waits that are over because what they wait for is there.
    fn pass_time(&mut self, now: Timestamp) {
        if self.state.deadline().is_some_and(|deadline| deadline <= now) {
            let error = timeout(format!("the run took longer than its workflow `{}` allows", self.definition.key));
            self.happen(RunEvent::Failing { error });
            return;
        }
        let waiting: Vec<StepName> = self
            .state
            .running()
            .filter(|(_, step)| !matches!(step.activity, Activity::Task(_)) || step.deadline.is_some())
            .map(|(name, _)| name.clone())
            .collect();
        for step in waiting {
            self.pass_step(step, now);
        }
    }

    fn pass_step(&mut self, step: StepName, now: Timestamp) {
        let Some(state) = self.state.steps().get(&step) else { return };
        let deadline = state.deadline;
        // What was there by the deadline counts, although it may be seen only after it.
        let until = deadline.map_or(now, |deadline| now.min(deadline));
        match state.activity.clone() {
            Activity::Timer { fires_at } if fires_at <= until => {
                let result = json!({ "until": moment(fires_at) });
                self.complete(step.clone(), &result, false);
            }
            Activity::Signal { signal } => {
                // The sender's clock may be ahead of this one, so only the deadline makes a signal late.
                let in_time = |kept: &&Kept| kept.signal == signal && deadline.is_none_or(|over| kept.at <= over);
                if let Some(payload) = self.state.signals.iter().find(in_time).map(|kept| Arc::clone(&kept.payload)) {
                    self.complete(step.clone(), &json!({ "payload": *payload }), false);
                }
            }
            Activity::Approval(asked) => self.pass_approval(step.clone(), &asked, until),
            Activity::Items(_) => self.settle_items(step.clone()),
            _ => {}
        }
        if deadline.is_some_and(|deadline| deadline <= now) && self.running(&step).is_ok() {
            let allowed = self.definition.step(&step).and_then(|step| step.timeout).unwrap_or_default();
            let error = timeout(format!("the step took longer than the {allowed:?} that it may take"));
            self.abandon(&step);
            self.happen(RunEvent::StepFailed { step, error });
        }
    }

    /// What people decided takes effect; otherwise time decides.
    fn pass_approval(&mut self, step: StepName, asked: &Asked, now: Timestamp) {
        let definition = Arc::clone(&self.definition);
        let Some(Work::Approval(approval)) = definition.step(&step).map(|step| &step.work) else { return };
        match decided(asked, approval) {
            Some(no) if !no.approved => {
                let comment = if no.comment.is_empty() { String::new() } else { format!(": {}", no.comment) };
                self.end_approval(step, asked, approval.on_rejection, format!("{} said no{comment}", no.by));
            }
            Some(_) => self.complete(step, &approval_result(true, asked), false),
            None if asked.expires_at.is_some_and(|at| at <= now) => {
                self.happen(RunEvent::ApprovalExpired { step: step.clone() });
                let (agreed, wanted) = (asked.decisions.len(), approval.quorum);
                let message = format!("{agreed} of {wanted} wanted approvals came in time");
                self.end_approval(step, asked, approval.on_expiry, message);
            }
            None => {}
        }
    }

    fn end_approval(&mut self, step: StepName, asked: &Asked, verdict: Verdict, message: String) {
        match verdict {
            Verdict::Fail => {
                let error = AttemptError { kind: ErrorKind::Rejected, message, retry_after: None };
                self.happen(RunEvent::StepFailed { step, error });
            }
            Verdict::Reject => self.complete(step, &approval_result(false, asked), false),
            Verdict::Approve => self.complete(step, &approval_result(true, asked), false),
        }
    }

    /// Starts every step and element that can start. What needs nothing but a decision ends at once and may let others
    /// start, so this goes on until nothing moves.
    fn start_ready(&mut self, now: Timestamp) {
        let definition = Arc::clone(&self.definition);
        loop {
            let before = self.events.len();
            for step in &definition.steps {
                if !self.may_start() {
                    return;
                }
                if self.is_ready(step) {
                    self.start(step, now);
                } else if let Work::ForEach(each) = &step.work {
                    self.start_items(&step.name, each);
                }
            }
            let ended = self
                .events
                .iter()
                .skip(before)
                .any(|event| matches!(event, RunEvent::StepCompleted { .. } | RunEvent::StepSkipped { .. }));
            if !ended {
                return;
            }
        }
    }

    fn is_ready(&self, step: &Step) -> bool {
        self.state.steps().get(&step.name).is_some_and(|state| state.status == StepStatus::Pending)
            && step.needs.iter().all(|need| self.state.is_completed(need))
    }

    fn start(&mut self, step: &Step, now: Timestamp) {
        let name = step.name.clone();
        if let Err(error) = self.try_start(step, now) {
            self.happen(RunEvent::StepFailed { step: name, error: mapping_failed(&error) });
        }
    }

    fn try_start(&mut self, step: &Step, now: Timestamp) -> Result<(), MappingError> {
        let name = step.name.clone();
        if let Some(when) = &step.when
            && !is_true(&self.evaluate(when)?)
        {
            self.happen(RunEvent::StepSkipped { step: name, reason: format!("`{when}` is not true") });
            return Ok(());
        }
        let deadline = step.timeout.map(|timeout| now.plus(timeout));
        match &step.work {
            Work::Task(_) => {
                let task = TaskId::of_step(self.id, &name);
                self.happen(RunEvent::StepStarted { step: name, task, at: now, deadline });
            }
            Work::ForEach(each) => {
                let items = self.evaluate(&each.over)?;
                let count = items.as_array().map(Vec::len).ok_or_else(|| {
                    MappingError::Unfit(format!("`{}` gives {}, but for_each needs a list", each.over, kind(&items)))
                })?;
                if count > MAX_ITEMS {
                    return Err(MappingError::Unfit(format!(
                        "`{}` gives a list of {count} elements; at most {MAX_ITEMS} are worked through",
                        each.over
                    )));
                }
                let items = Arc::new(sized(items)?);
                self.happen(RunEvent::ItemsPlanned { step: name.clone(), items, at: now, deadline });
                self.start_items(&name, each);
                self.settle_items(name);
            }
            Work::Approval(approval) => self.ask(name, approval, now, deadline)?,
            Work::Wait(wait) => self.wait(name, wait, now, deadline)?,
            Work::Signal(wait) => {
                let signal = wait.signal.clone();
                self.happen(RunEvent::SignalAwaited { step: name.clone(), signal, at: now, deadline });
                self.pass_step(name, now);
            }
            Work::Run(_) => self.start_child(name, now, deadline),
        }
        Ok(())
    }

    fn ask(
        &mut self,
        step: StepName,
        approval: &Approval,
        now: Timestamp,
        deadline: Option<Timestamp>,
    ) -> Result<(), MappingError> {
        let content = sized(Value::Object(evaluate_all(&approval.content, &self.state.scope())?))?;
        let content_hash = *blake3::hash(content.to_string().as_bytes()).as_bytes();
        let expires_at = approval.expires_after.map(|after| now.plus(after));
        let content = Arc::new(content);
        self.happen(RunEvent::ApprovalRequested { step, content, content_hash, at: now, expires_at, deadline });
        Ok(())
    }

    fn wait(
        &mut self,
        step: StepName,
        wait: &Wait,
        now: Timestamp,
        deadline: Option<Timestamp>,
    ) -> Result<(), MappingError> {
        let fires_at = match wait {
            Wait::For(duration) => now.plus(*duration),
            Wait::Until(expression) => {
                let value = self.evaluate(expression)?;
                value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).map_or_else(
                    || {
                        Err(MappingError::Unfit(format!(
                            "`{expression}` gives {value}, which is no moment in RFC 3339"
                        )))
                    },
                    |at| Ok(Timestamp::from_micros(at.as_microsecond())),
                )?
            }
        };
        self.happen(RunEvent::TimerStarted { step: step.clone(), fires_at, at: now, deadline });
        self.pass_step(step, now);
        Ok(())
    }

    /// Also a step that does not wait for its run ends only when that has begun: it may be impossible to begin it.
    fn start_child(&mut self, step: StepName, now: Timestamp, deadline: Option<Timestamp>) {
        let run = RunId::of_step(self.id, &step);
        self.happen(RunEvent::ChildStarted { step, run, at: now, deadline });
    }

    /// Starts elements as long as there is room.
    fn start_items(&mut self, step: &StepName, each: &ForEach) {
        loop {
            let Some(state) = self.state.steps().get(step).filter(|state| state.status == StepStatus::Running) else {
                return;
            };
            let Activity::Items(items) = &state.activity else { return };
            if items.running >= each.max_parallel || items.failure.is_some() {
                return;
            }
            // Elements start in order, so those that have started are exactly the first ones.
            let next = items.running + items.done;
            if usize::try_from(next).is_ok_and(|next| next >= items.states.len()) {
                return;
            }
            let task = TaskId::of_item(self.id, step, next);
            self.happen(RunEvent::ItemStarted { step: step.clone(), item: next, task });
        }
    }

    fn evaluate(&self, expression: &Expression) -> Result<Value, MappingError> {
        Ok(expression.evaluate(&self.state.scope())?)
    }
}

/// The decision that ends an approval, once it has come: a no at once, or the last yes that was wanted.
pub(super) fn decided<'a>(asked: &'a Asked, approval: &Approval) -> Option<&'a Decision> {
    let no = asked.decisions.iter().find(|decision| !decision.approved);
    no.or_else(|| asked.decisions.get(usize::try_from(approval.quorum).ok()?.checked_sub(1)?))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros()).map_or_else(|_| at.as_micros().to_string(), |at| at.to_string())
}

pub(super) fn timeout(message: String) -> AttemptError {
    AttemptError { kind: ErrorKind::Timeout, message, retry_after: None }
}
