//! What few runs have.

use super::{ActivityCells, ApprovalCells, ErrorCells, ListCells, PartCells, Story, learn, value};
use crate::projector::ApplyError;
use crate::runs::rare::{Part, Rare};
use crate::{DecisionRow, PauseRow, SignalRow, StallRow};

impl Story {
    pub(super) fn origins(&mut self, rare: &Rare<'_>) -> Result<(), ApplyError> {
        let Some(run) = &mut self.run else { return Ok(()) };
        for parent in &rare.parents {
            run.parent_id = Some(parent.parent);
            run.parent_step = Some(parent.step.to_owned());
            run.depth = Some(parent.depth);
        }
        for lineage in &rare.lineages {
            run.source_id = Some(lineage.source);
            run.source_revision = Some(lineage.revision);
            run.lineage_kind = Some(lineage.kind.to_owned());
            run.kept = Some(lineage.kept.iter().map(|step| (*step).to_owned()).collect());
            run.overrides = Some(value(&lineage.overrides)?);
        }
        for firing in &rare.firings {
            run.trigger_id = Some(firing.trigger);
            run.trigger_cause = Some(firing.cause.clone().into_owned());
        }
        learn(&mut run.queued_at, rare.queued.values().next().copied());
        if run.queued_at.is_some() {
            learn(&mut run.admitted_at, rare.admitted.values().next().copied());
        }
        Ok(())
    }

    /// What a run keeps of another run's steps.
    pub(super) fn keep_steps(&mut self, rare: &Rare<'_>, source: Option<&Self>) {
        let Some(source) = source else { return };
        for lineage in &rare.lineages {
            for step in &lineage.kept {
                let step = *step;
                if let Some(cells) = source.steps.get(step) {
                    let mut cells = cells.clone();
                    cells.position = lineage.position;
                    self.steps.insert(step.to_owned(), cells);
                }
                if let Some(cells) = source.activities.get(step) {
                    self.activities.insert(step.to_owned(), cells.clone());
                }
                if let Some(cells) = source.approvals.get(step) {
                    self.approvals.insert(step.to_owned(), cells.clone());
                }
                if let Some(cells) = source.lists.get(step) {
                    self.lists.insert(step.to_owned(), cells.clone());
                }
                for (key, cells) in source.items.iter().filter(|((of, _), _)| of == step) {
                    self.items.insert(key.clone(), cells.clone());
                }
                for (key, decision) in source.decisions.iter().filter(|((of, _), _)| of == step) {
                    self.decisions.insert(key.clone(), DecisionRow { run_id: lineage.run, ..decision.clone() });
                }
            }
        }
    }

    pub(super) fn parts(&mut self, rare: &Rare<'_>) -> Result<(), ApplyError> {
        for ((_, step), activity) in &rare.activities {
            let cells = ActivityCells {
                fires_at: activity.fires_at,
                signal: activity.signal.map(str::to_owned),
                child_id: activity.child,
                abandoned: false,
            };
            self.activities.insert((*step).to_owned(), cells);
        }
        for (_, step) in &rare.abandoned {
            if let Some(cells) = self.activities.get_mut(*step) {
                cells.abandoned = true;
            }
        }
        for ((_, step), approval) in &rare.approvals {
            let cells = ApprovalCells {
                content: value(&approval.content)?,
                content_hash: approval.content_hash.to_vec(),
                expires_at: approval.expires_at,
                expired: false,
            };
            self.approvals.insert((*step).to_owned(), cells);
        }
        for (_, step) in &rare.expired {
            if let Some(cells) = self.approvals.get_mut(*step) {
                cells.expired = true;
            }
        }
        for decision in &rare.decisions {
            let row = DecisionRow {
                run_id: decision.run,
                step: decision.step.to_owned(),
                decided_by: decision.by.clone(),
                approved: decision.approved,
                comment: decision.comment.clone().into_owned(),
                content_hash: decision.content_hash.to_vec(),
                at: decision.at,
            };
            self.decisions.insert((decision.step.to_owned(), decision.number), row);
        }
        for ((_, step), list) in &rare.lists {
            let cells = ListCells { elements: value(&list.elements)?, length: list.length };
            self.lists.insert((*step).to_owned(), cells);
        }
        for ((_, step, item), part) in &rare.items {
            change_part(self.items.entry(((*step).to_owned(), *item)).or_default(), part)?;
        }
        for ((_, step), part) in &rare.undos {
            change_part(self.undos.entry((*step).to_owned()).or_default(), part)?;
        }
        for signal in &rare.signals {
            let row = SignalRow {
                run_id: signal.run,
                signal: signal.signal.to_owned(),
                payload: value(&signal.payload)?,
                at: signal.at,
            };
            self.signals.insert(signal.number, row);
        }
        for stall in &rare.stalls {
            let row = StallRow { run_id: stall.run, what: stall.what.clone().into_owned(), at: stall.at };
            self.stalls.insert(stall.number, row);
        }
        Ok(())
    }

    /// Pauses, and what a clock that stood still means for everything that waits for a time.
    pub(super) fn pause(&mut self, rare: &Rare<'_>) {
        for ((run, number), pause) in &rare.pauses {
            let row = PauseRow {
                run_id: *run,
                paused_by: pause.by.clone(),
                reason: pause.reason.clone().into_owned(),
                since: pause.since,
                clock: pause.clock.to_owned(),
                hold_id: pause.hold,
                until: None,
                resumed_by: None,
            };
            self.pauses.insert(*number, row);
        }
        for at in rare.unpaused.values() {
            for pause in self.pauses.values_mut().filter(|pause| pause.until.is_none()) {
                pause.until = Some(*at);
            }
        }
        for (at, by) in rare.resumed.values() {
            self.resume(*at, by);
        }
    }

    fn resume(&mut self, at: i64, by: &str) {
        let Some(pause) = self.pauses.values_mut().find(|pause| pause.until.is_none()) else { return };
        pause.until = Some(at);
        pause.resumed_by = Some(by.to_owned());
        if pause.clock != "frozen" {
            return;
        }
        let longer = (at - pause.since).max(0);
        let later = |moment: &mut Option<i64>| *moment = moment.map(|moment| moment + longer);
        if let Some(run) = &mut self.run {
            later(&mut run.deadline);
        }
        for (step, cells) in self.steps.iter_mut().filter(|(_, cells)| cells.status == "running") {
            later(&mut cells.deadline);
            if let Some(activity) = self.activities.get_mut(step) {
                later(&mut activity.fires_at);
            }
            if let Some(approval) = self.approvals.get_mut(step) {
                later(&mut approval.expires_at);
            }
        }
    }
}

fn change_part(cells: &mut PartCells, part: &Part<'_>) -> Result<(), ApplyError> {
    part.status.clone_into(&mut cells.status);
    learn(&mut cells.task_id, part.task);
    cells.result = part.result.as_deref().map(value).transpose()?;
    cells.simulated = part.simulated;
    cells.error = ErrorCells::from(&part.error);
    learn(&mut cells.started_at, part.started_at);
    cells.ended_at = part.ended_at;
    Ok(())
}
