//! The rows of a run, as the queries over the tables give them.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::Step;
use domain::workflow::Work;
use serde_json::Value;
use uuid::Uuid;

use super::{ActivityCells, PartCells, StepCells, Story};
use crate::{ApprovalRow, DecisionRow, ItemRow, ItemWindow, PauseRow, RunRow, SignalRow, StallRow, StepRow};

impl Story {
    /// The run; nothing before its start.
    pub(crate) fn run(&self) -> Option<RunRow> {
        let mut run = self.run.clone()?;
        run.simulated |= self.steps.values().any(|step| step.simulated);
        run.position = self.steps.values().map(|step| step.position).fold(run.position, i64::max);
        if let Some(pause) = self.pauses.values().find(|pause| pause.until.is_none()) {
            run.paused_by = Some(pause.paused_by.clone());
            run.pause_reason = Some(pause.reason.clone());
            run.paused_at = Some(pause.since);
            run.pause_clock = Some(pause.clock.clone());
            run.hold_id = pause.hold_id;
        }
        Some(run)
    }

    /// Its steps, pending ones included, in the order of the definition.
    pub(crate) fn steps(&self) -> Vec<StepRow> {
        let (Some(run), Some(definition)) = (&self.run, &self.definition) else { return vec![] };
        let steps = definition.steps.iter().zip(0..);
        steps.map(|(step, ordinal)| self.step(run.id, step, ordinal)).collect()
    }

    fn step(&self, run_id: Uuid, step: &Step, ordinal: i32) -> StepRow {
        let name = step.name.as_str();
        let pending = StepCells { status: "pending".to_owned(), ..StepCells::default() };
        let known = self.steps.get(name);
        let cells = known.cloned().unwrap_or(pending);
        let activity = self.activities.get(name).cloned().unwrap_or_default();
        let ActivityCells { fires_at, signal, child_id, abandoned } = activity;
        let list = self.lists.get(name);
        let count = |status: &str| {
            let of_step = self.items.iter().filter(|((of, _), _)| of == name);
            let counted = of_step.filter(|(_, part)| list.is_some() && part.status == status).count();
            i64::try_from(counted).unwrap_or(i64::MAX)
        };
        let undo = self.undos.get(name);
        let task = step.work.task();
        StepRow {
            run_id,
            name: name.to_owned(),
            ordinal,
            kind: step.work.kind().to_owned(),
            task_id: cells.task_id,
            agent_key: task.map(|task| task.agent.as_str().to_owned()),
            template_key: task.map(|task| task.template.as_str().to_owned()),
            needs: step.needs.iter().map(|need| need.as_str().to_owned()).collect(),
            definition: Arc::new(step.clone()),
            output: cells.output,
            simulated: cells.simulated,
            error_kind: cells.error.kind,
            error_message: cells.error.message,
            skip_reason: cells.skip_reason,
            deadline: cells.deadline,
            started_at: cells.started_at,
            ended_at: cells.ended_at,
            fires_at,
            signal,
            child_id,
            abandoned,
            items: list.map(|list| list.length),
            items_running: if cells.status == "running" { count("running") } else { 0 },
            items_completed: count("completed"),
            items_failed: count("failed"),
            undo_task_id: undo.and_then(|undo| undo.task_id),
            undo_status: undo.map(|undo| undo.status.clone()),
            undo_error_kind: undo.and_then(|undo| undo.error.kind.clone()),
            undo_error_message: undo.and_then(|undo| undo.error.message.clone()),
            undo_started_at: undo.and_then(|undo| undo.started_at),
            undo_ended_at: undo.and_then(|undo| undo.ended_at),
            position: known.map(|step| step.position),
            status: cells.status,
        }
    }

    /// Some elements of a step over a list, those whose turn has not come included.
    pub(crate) fn items(&self, step: &str, window: &ItemWindow) -> Vec<ItemRow> {
        let (Some(run), Some(list), Some(of)) = (&self.run, self.lists.get(step), self.steps.get(step)) else {
            return vec![];
        };
        let elements = list.elements.as_array().map(Vec::as_slice).unwrap_or_default();
        let reached = elements.iter().zip(0..).filter(|(_, item)| window.reaches(*item));
        let mut items: Vec<ItemRow> =
            reached.map(|(element, item)| self.item(run.id, step, &of.status, item, element)).collect();
        items.retain(|item| window.statuses.is_empty() || window.statuses.contains(&item.status));
        if window.reversed {
            items.reverse();
        }
        items.truncate(usize::try_from(window.limit).unwrap_or(usize::MAX));
        items
    }

    fn item(&self, run_id: Uuid, step: &str, step_status: &str, item: i32, element: &Value) -> ItemRow {
        let pending = || PartCells { status: "pending".to_owned(), ..PartCells::default() };
        let mut part = self.items.get(&(step.to_owned(), item)).cloned().unwrap_or_else(pending);
        if part.status == "running" && step_status != "running" {
            "cancelled".clone_into(&mut part.status);
        }
        ItemRow {
            run_id,
            step: step.to_owned(),
            item,
            element: element.clone(),
            status: part.status,
            task_id: part.task_id,
            result: part.result,
            simulated: part.simulated,
            error_kind: part.error.kind,
            error_message: part.error.message,
            started_at: part.started_at,
            ended_at: part.ended_at,
        }
    }

    /// Everything that people were asked, in the order in which it was asked.
    pub(crate) fn approvals(&self) -> Vec<ApprovalRow> {
        let (Some(run), Some(definition)) = (&self.run, &self.definition) else { return vec![] };
        let asked = self.approvals.iter().filter_map(|(step, approval)| {
            let definition = definition.steps.iter().find(|known| known.name.as_str() == step)?;
            let cells = self.steps.get(step)?;
            let agreed = self.decisions.values().filter(|decision| decision.step == *step && decision.approved);
            matches!(definition.work, Work::Approval(_)).then_some(())?;
            Some(ApprovalRow {
                run_id: run.id,
                workflow_key: run.workflow_key.clone(),
                actor: run.actor.clone(),
                run_status: run.status.clone(),
                step: step.clone(),
                definition: definition.clone(),
                status: cells.status.clone(),
                content: approval.content.clone(),
                content_hash: approval.content_hash.clone(),
                requested_at: cells.started_at?,
                expires_at: approval.expires_at,
                expired: approval.expired,
                agreed: i64::try_from(agreed.count()).unwrap_or(i64::MAX),
            })
        });
        let mut rows: Vec<_> = asked.collect();
        rows.sort_by(|one, other| (one.requested_at, &one.step).cmp(&(other.requested_at, &other.step)));
        rows
    }

    /// What people decided, in the order in which they did.
    pub(crate) fn decisions(&self) -> Vec<DecisionRow> {
        let mut rows: Vec<_> = self.decisions.iter().collect();
        rows.sort_by_key(|((_, number), decision)| (decision.at, *number));
        rows.into_iter().map(|(_, decision)| decision.clone()).collect()
    }

    /// Every pause, in order.
    pub(crate) fn pauses(&self) -> Vec<PauseRow> {
        self.pauses.values().cloned().collect()
    }

    /// Every signal that it received, in order.
    pub(crate) fn signals(&self) -> Vec<SignalRow> {
        self.signals.values().cloned().collect()
    }

    /// Whenever it was found with nothing to wait for, in order.
    pub(crate) fn stalls(&self) -> Vec<StallRow> {
        self.stalls.values().cloned().collect()
    }

    /// The tasks that answer for it: those of its steps and of the elements of their lists.
    pub(crate) fn answers(&self) -> BTreeSet<Uuid> {
        let of_steps = self.steps.values().filter_map(|step| step.task_id);
        of_steps.chain(self.items.values().filter_map(|part| part.task_id)).collect()
    }

    /// All its tasks, each with its step: those that answer for it, and those that undo a step.
    pub(crate) fn work(&self) -> Vec<(String, Uuid)> {
        let of_steps = self.steps.iter().filter_map(|(step, cells)| Some((step.clone(), cells.task_id?)));
        let of_items = self.items.iter().filter_map(|((step, _), part)| Some((step.clone(), part.task_id?)));
        let of_undos = self.undos.iter().filter_map(|(step, part)| Some((step.clone(), part.task_id?)));
        of_steps.chain(of_items).chain(of_undos).collect()
    }

    /// The element of a list that a task is for.
    pub(crate) fn item_of(&self, task: Uuid) -> Option<i32> {
        self.items.iter().find(|(_, part)| part.task_id == Some(task)).map(|((_, item), _)| *item)
    }

    /// Whether a task undoes one of its steps.
    pub(crate) fn is_undone_by(&self, task: Uuid) -> bool {
        self.undos.values().any(|part| part.task_id == Some(task))
    }
}
