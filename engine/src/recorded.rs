//! Answers that a run has recorded, and that serve again in the runs that were forked off it.
//!
//! Invariants: an answer serves only to the task of the same step and element, for a request that is the same to the letter, at the
//! same platform and model; only in forks, because who retries or reruns wants other answers; never where a run is about
//! somebody, whose answers are erased with the person's key. That it served is recorded with what it saves.

use std::sync::Arc;

use domain::run::{LineageKind, Place};
use domain::task::Kept;
use domain::{Event, FinishReason, Key, Reply, Run, RunId, TaskEvent, TaskId, Timestamp};
use journal::{Executor, ReadError, RecordedEvent};

use crate::cache;

/// A run that was forked off a fork, and so on, is followed no further than this.
const FARTHEST: usize = 32;
/// A task has no more events than this; of one that has, the first are looked at.
const EVENTS: usize = 1000;

/// What is asked, and where.
pub(crate) struct Asked<'a> {
    pub(crate) platform: &'a Key,
    pub(crate) model: Option<&'a str>,
    pub(crate) request_hash: &'a [u8; 32],
}

/// The answer that serves for a task of a fork, which costs nothing; with what it saves.
pub(crate) async fn answer(
    executor: &Executor,
    run: &Run,
    place: &Place,
    asked: Asked<'_>,
) -> Result<Option<(Reply, Kept)>, ReadError> {
    if run.subject().is_some() {
        return Ok(None);
    }
    let mut origin = run.lineage().filter(|lineage| lineage.kind == LineageKind::Fork).map(|lineage| lineage.run);
    for _ in 0..FARTHEST {
        let Some(id) = origin else { break };
        let Some(task) = task_of(id, place) else { break };
        let events = executor.journal().read_stream(task.into(), 0, EVENTS).await?;
        if !events.is_empty() {
            return Ok(found(&events, &asked));
        }
        // That run had taken the step over from yet another.
        origin = executor.load_cached::<Run>(id.into()).await?.state.lineage().map(|lineage| lineage.run);
    }
    Ok(None)
}

fn task_of(run: RunId, place: &Place) -> Option<TaskId> {
    match place {
        Place::Step(step) => Some(TaskId::of_step(run, step)),
        Place::Item(step, item) => Some(TaskId::of_item(run, step, *item)),
        // What is undone is undone anew.
        Place::Undo(_) => None,
    }
}

/// The last whole answer to what is asked.
fn found(events: &[Arc<RecordedEvent>], asked: &Asked<'_>) -> Option<(Reply, Kept)> {
    let mut same: Option<(u32, Timestamp, Option<Kept>)> = None;
    let mut answer = None;
    for recorded in events {
        match recorded.event() {
            Ok(Event::Task(TaskEvent::AttemptStarted { attempt, platform, model, request_hash, kept, .. })) => {
                let is_same =
                    platform == asked.platform && model.as_deref() == asked.model && request_hash == asked.request_hash;
                same = is_same.then_some((*attempt, recorded.recorded_at, *kept));
            }
            Ok(Event::Task(TaskEvent::AttemptSucceeded { attempt, reply })) => {
                if let Some((number, at, kept)) = same
                    && number == *attempt
                    && reply.finish == FinishReason::Stop
                {
                    // What served there already saves what it had cost at first.
                    let kept = kept.unwrap_or(Kept { at, usage: reply.usage, cost: reply.cost });
                    answer = Some(cache::served((**reply).clone(), kept));
                }
            }
            _ => {}
        }
    }
    answer
}
