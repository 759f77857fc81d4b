//! The answer of one task as it comes: what is being said, then what counts.

use domain::task::TaskStatus;
use domain::{Task, TaskId};
use journal::{Filter, ReadError, Subscription};

use crate::Commands;
use crate::live::{Listening, Piece};

/// The events after which nothing happens to a task.
const ENDS: [&str; 3] = ["task.completed", "task.failed", "task.cancelled"];

/// A task whose answer is told.
///
/// Invariants: the pieces of one attempt join to what it said; the last thing told is how the task ended, and after it
/// the pieces of the attempt that counts join to the recorded answer, wherever it was spoken and however it was heard.
pub struct FollowedTask {
    commands: Commands,
    task: TaskId,
    listening: Listening,
    /// Tells the task's end; `None` when everything was told.
    end: Option<Subscription>,
    /// It had ended before anybody listened.
    ended: bool,
}

/// What is told of a task's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What is said. Empty when there is nothing more to say.
    pub piece: Piece,
    /// How the task ended, with the last piece.
    pub end: Option<TaskStatus>,
}

impl FollowedTask {
    /// Follows a task's answer from its beginning; nothing when there is no such task.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn open(commands: &Commands, task: TaskId) -> Result<Option<Self>, ReadError> {
        let listening = commands.live().listen(task);
        let journal = commands.executor().journal();
        // What happens between the two reads is after the head.
        let head = journal.head().await?;
        let loaded = commands.executor().load::<Task>(task.into()).await?;
        if loaded.revision.is_none() {
            return Ok(None);
        }
        let ends = ENDS.map(str::to_owned).to_vec();
        let filter = Filter { stream: Some(task.into()), types: ends, ..Filter::default() };
        let end = Some(journal.subscribe(head, filter));
        let ended = loaded.state.status().is_terminal();
        Ok(Some(Self { commands: commands.clone(), task, listening, end, ended }))
    }

    /// Goes on after so many bytes of an attempt, which were told before, here or elsewhere: what follows on them is told
    /// next, also when the task has ended meanwhile. Everything from the beginning, when another attempt speaks or counts by
    /// now, or the recorded answer does not reach as far.
    #[must_use]
    pub fn after(mut self, attempt: u32, offset: usize) -> Self {
        self.listening.resume(attempt, offset);
        self
    }

    /// Whether the task has ended, so that nothing is waited for.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// What comes next; nothing after the end.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn next(&mut self) -> Result<Option<Output>, ReadError> {
        let Some(end) = &mut self.end else { return Ok(None) };
        while !self.ended {
            tokio::select! {
                piece = self.listening.next() => return Ok(Some(Output { piece, end: None })),
                ended = end.next() => self.ended = !ended?.events.is_empty(),
            }
        }
        let task = self.commands.executor().load::<Task>(self.task.into()).await?.state;
        self.end = None;
        let attempt = task.attempts().last().map_or(0, |attempt| attempt.number);
        let attempt = task.counting_attempt().unwrap_or(attempt);
        let piece = match task.reply() {
            Some(reply) => self.listening.rest(attempt, &reply.text),
            None => self.listening.rest(attempt, ""),
        };
        Ok(Some(Output { piece, end: Some(task.status()) }))
    }
}
