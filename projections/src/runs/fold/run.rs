//! What happens to runs and their steps.

use domain::run::{Pause, RunStatus, Start, StepStatus};
use domain::{Actor, RunEvent, StepName, TaskId, Timestamp};
use journal::RecordedEvent;
use uuid::Uuid;

use super::{Fold, clamp, counter, json, micros};
use crate::projector::{ApplyError, number, storable};
use crate::runs::change::{Failure, RunBirth, RunChange};
use crate::runs::rare::{self, Activity, Approval, Decision, List, Signal, Stall};

impl<'a> Fold<'a> {
    pub(super) fn run(&mut self, recorded: &'a RecordedEvent, event: &'a RunEvent) -> Result<(), ApplyError> {
        if self.step_event(recorded, event)? {
            return Ok(());
        }
        self.part_event(recorded, event)?;
        let id = recorded.stream.id;
        let at = recorded.recorded_at.as_micros();
        if let RunEvent::Started(start) = event {
            self.start(recorded, start)?;
        }
        let change = self.runs.entry(id).or_default();
        change.position = number(recorded.position);
        if event.is_terminal() {
            change.ended_at = Some(at);
        }
        match event {
            RunEvent::Claimed { node, epoch } => {
                change.node = Some(node.as_uuid());
                change.epoch = Some(clamp(*epoch));
            }
            RunEvent::Queued { at, .. } => {
                self.rare.queued.insert(id, at.as_micros());
            }
            RunEvent::Admitted => {
                self.rare.admitted.insert(id, at);
            }
            RunEvent::Paused(pause) => {
                stand(change, RunStatus::Paused);
                self.rare.pauses.insert((id, clamp(recorded.revision)), paused(pause));
            }
            RunEvent::Resumed { by, at } => {
                stand(change, RunStatus::Running);
                self.rare.resumed.insert(id, (at.as_micros(), named(by)));
            }
            RunEvent::CancelRequested { reason, at, grace } => {
                stand(change, RunStatus::Cancelling);
                change.cancel_reason = Some(storable(reason));
                change.cut_at = Some(at.plus(*grace).as_micros());
                self.rare.unpaused.insert(id, at.as_micros());
            }
            RunEvent::Failing { error } => {
                stand(change, RunStatus::Failing);
                change.error = Failure::from(error);
            }
            RunEvent::Stalled { what, at } => self.rare.stalls.push(Stall {
                run: id,
                number: clamp(recorded.revision),
                what: storable(what),
                at: at.as_micros(),
            }),
            RunEvent::CompensationStarted { .. } => stand(change, RunStatus::Compensating),
            RunEvent::Completed { output, simulated } => {
                stand(change, RunStatus::Completed);
                change.output = Some(json(output)?);
                change.simulated |= simulated;
            }
            RunEvent::Failed { step, error } => {
                stand(change, RunStatus::Failed);
                change.failed_step = step.as_ref().map(StepName::as_str);
                change.error = Failure::from(error);
            }
            RunEvent::Cancelled { reason } => {
                stand(change, RunStatus::Cancelled);
                change.cancel_reason = Some(storable(reason));
            }
            RunEvent::SignalReceived { signal, payload, at } => self.rare.signals.push(Signal {
                run: id,
                number: clamp(recorded.revision),
                signal: signal.as_str(),
                payload: json(payload)?,
                at: at.as_micros(),
            }),
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, recorded: &'a RecordedEvent, start: &'a Start) -> Result<(), ApplyError> {
        let id = recorded.stream.id;
        let version = counter(start.version)?;
        self.plans.insert((start.workflow.as_uuid(), version), &*start.definition);
        let change = self.runs.entry(id).or_default();
        stand(change, RunStatus::Running);
        change.born = Some(RunBirth {
            workflow_id: start.workflow.as_uuid(),
            workflow_key: start.definition.key.as_str(),
            version,
            input: json(&start.input)?,
            actor: named(&start.by),
            correlation: recorded.metadata.correlation,
            priority: start.priority,
            deadline: micros(start.deadline),
            started_at: recorded.recorded_at.as_micros(),
            position: number(recorded.position),
        });
        if let Some(parent) = &start.parent {
            self.rare.parents.push(rare::Parent {
                run: id,
                parent: parent.run.as_uuid(),
                step: parent.step.as_str(),
                depth: counter(parent.depth)?,
            });
        }
        if let Some(lineage) = &start.lineage {
            self.rare.lineages.push(rare::Lineage {
                run: id,
                source: lineage.run.as_uuid(),
                revision: clamp(lineage.revision),
                kind: lineage.kind.name(),
                kept: lineage.kept.iter().map(StepName::as_str).collect(),
                overrides: serde_json::to_string(&lineage.overrides)
                    .map_err(|error| ApplyError::Indigestible(error.to_string()))?,
                position: number(recorded.position),
            });
        }
        if let Some(firing) = &start.trigger {
            let (trigger, cause) = (firing.trigger.as_uuid(), storable(&firing.cause));
            self.rare.firings.push(rare::Firing { run: id, trigger, cause });
        }
        self.rare.repeats.extend(start.again.as_ref().map(|again| (id, again.task.as_uuid())));
        Ok(())
    }

    /// What changes where a step stands, and nothing of the run's own row; false for all other events.
    fn step_event(&mut self, recorded: &'a RecordedEvent, event: &'a RunEvent) -> Result<bool, ApplyError> {
        let id = recorded.stream.id;
        let at = recorded.recorded_at.as_micros();
        let position = number(recorded.position);
        let (step, deadline) = match event {
            RunEvent::StepCompleted { step, output, simulated } => {
                let change = self.step(id, step, StepStatus::Completed, position);
                change.output = Some(json(output)?);
                change.simulated |= simulated;
                change.ended_at = Some(at);
                return Ok(true);
            }
            RunEvent::StepFailed { step, error } => {
                let change = self.step(id, step, StepStatus::Failed, position);
                change.error = Failure::from(error);
                change.ended_at = Some(at);
                return Ok(true);
            }
            RunEvent::StepCancelled { step } => {
                self.step(id, step, StepStatus::Cancelled, position).ended_at = Some(at);
                return Ok(true);
            }
            RunEvent::StepSkipped { step, reason } => {
                let change = self.step(id, step, StepStatus::Skipped, position);
                change.skip_reason = Some(storable(reason));
                change.ended_at = Some(at);
                return Ok(true);
            }
            RunEvent::StepStarted { step, task, deadline, .. } => {
                self.step(id, step, StepStatus::Running, position).task_id = Some(task.as_uuid());
                (step, deadline)
            }
            RunEvent::ItemsPlanned { step, items, deadline, .. } => {
                let length = items.as_array().map_or(0, Vec::len);
                let length = i32::try_from(length).unwrap_or(i32::MAX);
                self.rare.lists.insert((id, step.as_str()), List { elements: json(items)?, length });
                (step, deadline)
            }
            RunEvent::ApprovalRequested { step, content, content_hash, expires_at, deadline, .. } => {
                let approval = Approval { content: json(content)?, content_hash, expires_at: micros(*expires_at) };
                self.rare.approvals.insert((id, step.as_str()), approval);
                (step, deadline)
            }
            RunEvent::TimerStarted { step, fires_at, deadline, .. } => {
                self.activity(id, step).fires_at = Some(fires_at.as_micros());
                (step, deadline)
            }
            RunEvent::SignalAwaited { step, signal, deadline, .. } => {
                self.activity(id, step).signal = Some(signal.as_str());
                (step, deadline)
            }
            RunEvent::ChildStarted { step, run, deadline, .. } => {
                self.activity(id, step).child = Some(run.as_uuid());
                (step, deadline)
            }
            _ => return Ok(false),
        };
        let change = self.step(id, step, StepStatus::Running, position);
        change.started_at = Some(at);
        change.deadline = micros(*deadline);
        Ok(true)
    }

    /// What happens within a step, beside its own row: to elements, approvals, other runs and what undoes it.
    fn part_event(&mut self, recorded: &'a RecordedEvent, event: &'a RunEvent) -> Result<(), ApplyError> {
        let id = recorded.stream.id;
        let at = recorded.recorded_at.as_micros();
        let rare = &mut self.rare;
        match event {
            RunEvent::ItemStarted { step, item, task } => {
                rare.items.entry((id, step.as_str(), counter(*item)?)).or_default().begin(task.as_uuid(), at);
            }
            RunEvent::ItemCompleted { step, item, result, simulated } => {
                let part = rare.items.entry((id, step.as_str(), counter(*item)?)).or_default();
                part.end("completed", at).result = Some(json(result)?);
                part.simulated |= simulated;
            }
            RunEvent::ItemFailed { step, item, error } => {
                let part = rare.items.entry((id, step.as_str(), counter(*item)?)).or_default();
                part.fail(Failure::from(error), at);
            }
            RunEvent::ApprovalDecided { step, by, approved, comment, content_hash, at } => {
                rare.decisions.push(Decision {
                    run: id,
                    step: step.as_str(),
                    number: clamp(recorded.revision),
                    by: named(by),
                    approved: *approved,
                    comment: storable(comment),
                    content_hash,
                    at: at.as_micros(),
                });
            }
            RunEvent::ApprovalExpired { step } => rare.expired.push((id, step.as_str())),
            RunEvent::ChildAbandoned { step, .. } => rare.abandoned.push((id, step.as_str())),
            RunEvent::CompensationStarted { step, task, .. } => {
                rare.undos.entry((id, step.as_str())).or_default().begin(TaskId::as_uuid(*task), at);
            }
            RunEvent::CompensationCompleted { step, simulated } => {
                let part = rare.undos.entry((id, step.as_str())).or_default();
                part.end("completed", at);
                part.simulated |= simulated;
            }
            RunEvent::CompensationFailed { step, error } => {
                rare.undos.entry((id, step.as_str())).or_default().fail(Failure::from(error), at);
            }
            _ => {}
        }
        Ok(())
    }

    fn activity(&mut self, run: Uuid, step: &'a StepName) -> &mut Activity<'a> {
        self.rare.activities.entry((run, step.as_str())).or_default()
    }
}

fn stand(change: &mut RunChange<'_>, status: RunStatus) {
    change.status = Some(status.name());
}

fn paused(pause: &Pause) -> rare::Pause<'_> {
    rare::Pause {
        by: named(&pause.by),
        reason: storable(&pause.reason),
        since: Timestamp::as_micros(pause.at),
        clock: pause.clock.name(),
        hold: pause.hold.map(domain::HoldId::as_uuid),
    }
}

fn named(actor: &Actor) -> String {
    storable(&actor.to_string()).into_owned()
}
