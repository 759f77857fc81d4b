//! The answer of a task as it comes.

use async_graphql::{Context, InputObject, Result, SimpleObject, Subscription};
use commands::{Commands, FollowedTask, Output};
use domain::TaskId;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use uuid::Uuid;

use crate::failure::{self, Caller};
use crate::scalar::Count;
use crate::status::TaskStatus;

/// A piece of a task's answer.
#[derive(Debug, SimpleObject)]
pub(crate) struct TaskOutput {
    /// The attempt that says it, from 1; 0 when none was begun.
    attempt: i32,
    /// Where it stands in the text of the attempt, in bytes of UTF-8. It follows on the piece before, or begins anew at 0.
    offset: Count,
    /// The text; may be empty at the beginning of an attempt, and at the end.
    text: String,
    /// How the task ended, with the last piece; then the pieces of this attempt join to the recorded answer.
    end: Option<TaskStatus>,
}

impl TaskOutput {
    fn of(output: Output) -> Result<Self> {
        let Output { piece, end } = output;
        Ok(Self {
            attempt: i32::try_from(piece.attempt).unwrap_or(i32::MAX),
            offset: Count(piece.offset as u64),
            text: piece.text,
            end: end.map(|status| TaskStatus::of(status.name())).transpose()?,
        })
    }
}

/// Up to where the pieces of a task's answer had come: the end of the last one that was told.
#[derive(Debug, Clone, Copy, InputObject)]
pub(crate) struct OutputPlace {
    /// The `attempt` of the piece.
    attempt: i32,
    /// Its `offset` and the bytes of its text together. What follows on that is told next, also when the task has ended
    /// meanwhile. Should that be no more where the text goes on, because another attempt speaks or counts by now, the next
    /// piece begins anew at 0.
    offset: Count,
}

impl OutputPlace {
    fn told(self) -> Result<(u32, usize)> {
        let attempt = u32::try_from(self.attempt).ok();
        let place = attempt.zip(usize::try_from(self.offset.0).ok());
        place.ok_or_else(|| failure::invalid("`after` is no place in an answer; give the end of a piece that was told"))
    }
}

/// Outputs of tasks.
#[derive(Default)]
pub(super) struct FollowedOutputs;

#[Subscription]
impl FollowedOutputs {
    /// The answer of a task while it is being given, on whichever node that happens: first everything that the running
    /// attempt has said, then what it adds. What is said faster than it can be told is told together. The pieces are no
    /// events, so there is no position: whoever comes back says up to where the pieces had come. Ends when the task has
    /// ended.
    async fn task_output(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which task.")] task_id: Uuid,
        #[graphql(desc = "Only what follows on this.")] after: Option<OutputPlace>,
    ) -> Result<impl Stream<Item = Result<TaskOutput>> + use<>> {
        let correlation = Caller::of(context)?.correlation;
        let failed = move |error: journal::ReadError| failure::read(correlation, &error);
        let commands = context.data::<Commands>()?;
        let Some(followed) = FollowedTask::open(commands, TaskId::from_uuid(task_id)).await.map_err(failed)? else {
            return Err(failure::refused("TASK_NOT_FOUND", format!("there is no task {task_id}")));
        };
        let followed = match after {
            Some(place) => {
                let (attempt, offset) = place.told()?;
                followed.after(attempt, offset)
            }
            None => followed,
        };
        Ok(try_unfold(followed, move |mut followed| async move {
            let Some(output) = followed.next().await.map_err(failed)? else { return Ok(None) };
            Ok(Some((TaskOutput::of(output)?, followed)))
        }))
    }
}
