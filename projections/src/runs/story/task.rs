//! All rows of one task in memory.

use std::sync::Arc;

use journal::RecordedEvent;
use uuid::Uuid;

use super::value;
use crate::projector::ApplyError;
use crate::runs::change::{AttemptChange, TaskChange};
use crate::runs::fold;
use crate::{AttemptRow, TaskRow};

/// One task and its attempts.
#[derive(Debug, Clone)]
pub(crate) struct TaskStory {
    /// The task; its item, and whether it undoes a step, are told by its run.
    pub(crate) task: TaskRow,
    /// Its attempts, by number.
    pub(crate) attempts: Vec<AttemptRow>,
}

impl TaskStory {
    /// Tells the story of one task from all events of its stream; nothing before its creation.
    pub(crate) fn tell(events: &[Arc<RecordedEvent>]) -> Result<Option<Self>, ApplyError> {
        let fold = fold::fold(events)?;
        let Some((id, change)) = fold.tasks.iter().next() else { return Ok(None) };
        let Some(task) = task_row(*id, change)? else { return Ok(None) };
        let mut attempts: Vec<_> =
            fold.attempts.iter().filter_map(|((task, number), change)| attempt_row(*task, *number, change)).collect();
        if let Some(at) = fold.cut.get(id) {
            for attempt in attempts.iter_mut().filter(|attempt| attempt.status == "running") {
                "cancelled".clone_into(&mut attempt.status);
                attempt.ended_at = Some(*at);
            }
        }
        Ok(Some(Self { task, attempts }))
    }
}

fn task_row(id: Uuid, change: &TaskChange<'_>) -> Result<Option<TaskRow>, ApplyError> {
    let Some(born) = &change.born else { return Ok(None) };
    Ok(Some(TaskRow {
        id,
        run_id: born.run_id,
        step: born.step.map(str::to_owned),
        item: None,
        undoes: false,
        template_id: born.template_id,
        template_version: born.template_version,
        agent_id: change.agent_id,
        agent_version: change.agent_version,
        assign_reason: change.assign_reason.as_deref().map(str::to_owned),
        parameters: value(&born.parameters)?,
        status: change.status.unwrap_or_default().to_owned(),
        retry_at: change.retry_moved.unwrap_or(change.retry_at),
        error_kind: change.error.kind.map(str::to_owned),
        error_message: change.error.message.as_deref().map(str::to_owned),
        cancel_reason: change.cancel_reason.as_deref().map(str::to_owned),
        created_at: born.created_at,
        start_by: change.start_moved.unwrap_or(born.start_by),
        ended_at: change.ended_at,
        attempts: change.attempts,
        position: change.position,
    }))
}

fn attempt_row(task_id: Uuid, number: i32, change: &AttemptChange<'_>) -> Option<AttemptRow> {
    let born = change.born.as_ref()?;
    let answer = change.answer.as_ref();
    Some(AttemptRow {
        task_id,
        number,
        platform: born.platform.to_owned(),
        model: born.model.as_deref().map(str::to_owned),
        answered_by: answer.map(|answer| answer.answered_by.clone().into_owned()),
        status: change.status.unwrap_or_default().to_owned(),
        error_kind: change.error.kind.map(str::to_owned),
        error_message: change.error.message.as_deref().map(str::to_owned),
        finish_reason: answer.map(|answer| answer.finish_reason.clone().into_owned()),
        text: answer.map(|answer| answer.text.clone().into_owned()),
        simulated: answer.is_some_and(|answer| answer.simulated),
        input_tokens: change.spent.input_tokens,
        cached_input_tokens: change.spent.cached_input_tokens,
        output_tokens: change.spent.output_tokens,
        reasoning_tokens: change.spent.reasoning_tokens,
        cost_nano_usd: change.spent.cost_nano_usd,
        cost_source: change.spent.cost_source.map(str::to_owned),
        price_list: change.spent.price_list.as_deref().map(str::to_owned),
        duration_ms: answer.map(|answer| answer.duration_ms),
        first_piece_ms: answer.and_then(|answer| answer.first_piece_ms),
        request_hash: born.request_hash.to_vec(),
        kept_at: born.kept_at,
        saved_nano_usd: born.saved_nano_usd,
        started_at: born.started_at,
        ended_at: change.ended_at,
        late: change.late,
    })
}
