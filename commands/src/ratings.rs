//! What people say about answers.

use domain::task::{PersonRating, Purpose, Score};
use domain::{Event, Run, StreamId, Task, TaskCommand, TaskEvent, TaskId, Timestamp};
use journal::ReadError;

use crate::{Commands, Error, Outcome, Refused, Request};

/// A rating of a completed task's answer.
#[derive(Debug, Clone)]
pub struct RateTask {
    /// Which task.
    pub task: TaskId,
    /// The mark, 1 to 10.
    pub mark: i64,
    /// In the words of who rates; may be empty.
    pub comment: String,
}

impl Commands {
    /// The longest comment on a rating, in bytes.
    pub const MAX_RATING_COMMENT: usize = 4000;
    /// How many events of a stream are read at a time.
    const RATED_PAGE: usize = 500;

    /// Rates the answer of a completed task. Of one actor the last rating counts; the earlier ones stay in the history.
    ///
    /// # Errors
    /// `TASK_RATING_INVALID`, `TASK_NOT_FOUND`, `TASK_NOT_COMPLETED`.
    pub async fn rate_task(&self, request: Request, rate: RateTask) -> Result<Outcome, Error> {
        let RateTask { task, mark, comment } = rate;
        let whole = u16::try_from(mark).ok().and_then(|mark| mark.checked_mul(100));
        let mark = whole.and_then(Score::of_hundredths).ok_or(Refused::RatingInvalid { mark })?;
        let comment = comment.trim().to_owned();
        if comment.len() > Self::MAX_RATING_COMMENT {
            let (length, max) = (comment.len(), Self::MAX_RATING_COMMENT);
            return Err(Refused::RatingCommentTooLong { length, max }.into());
        }
        let rating = PersonRating { by: request.actor.clone(), mark, comment, at: self.surroundings.now() };
        let completed_at = self.completed_at(task).await?.unwrap_or(rating.at);
        self.on_answer(request, task, TaskCommand::Rate { rating, completed_at }).await
    }

    /// A command on a task that has ended, sealed as what else is recorded of its run.
    pub(crate) async fn on_answer(
        &self,
        request: Request,
        task: TaskId,
        command: TaskCommand,
    ) -> Result<Outcome, Error> {
        let stream = StreamId::from(task);
        let (mut context, remember) = self.context(&request);
        let run = self.executor.load_cached::<Task>(stream).await?.state.order().and_then(|order| order.run);
        if let Some(run) = run {
            context.subject = self.executor.load_cached::<Run>(run.into()).await?.state.subject();
        }
        let done = self.executor.execute::<Task>(stream, command, context, remember).await?;
        Ok(Outcome::of(stream, &done))
    }

    /// When a task completed; nothing when it has not.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn completed_at(&self, task: TaskId) -> Result<Option<Timestamp>, ReadError> {
        let mut next = 0;
        loop {
            let page = self.executor.journal().read_stream(task.into(), next, Self::RATED_PAGE).await?;
            let completed =
                page.iter().find(|recorded| matches!(recorded.event(), Ok(Event::Task(TaskEvent::Completed { .. }))));
            if let Some(completed) = completed {
                return Ok(Some(completed.recorded_at));
            }
            if page.len() < Self::RATED_PAGE {
                return Ok(None);
            }
            next = next.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
        }
    }

    /// What an attempt of a task was for; nothing when there is no such attempt.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn attempt_purpose(&self, task: TaskId, attempt: u32) -> Result<Option<Purpose>, Error> {
        let purpose =
            |task: &Task| task.attempts().iter().find(|known| known.number == attempt).map(|attempt| attempt.purpose);
        if let Some(purpose) = purpose(&self.executor.load_cached::<Task>(task.into()).await?.state) {
            return Ok(Some(purpose));
        }
        Ok(purpose(&self.executor.load::<Task>(task.into()).await?.state))
    }
}
