//! Going on before what was decided is recorded, where nobody could ever tell the difference.
//!
//! An answer that needs nothing outside of this process (a kept one, one that the origin of a fork has recorded, the
//! simulator's) is given before its attempt is recorded: a call that nobody will ever know of is as if it had never been made. So a
//! run does not wait for a commit before each such step. Every step is an append of its own all the same; each names the one
//! before it, which may be under way, and the journal records as many in one commit as there are by then.
//!
//! Invariants: an attempt is recorded before any platform is called that is not self-contained; whatever else is done, be it
//! reading, waiting, parking or ending, is done after all that is under way is recorded; of appends under way none is recorded
//! whose predecessor is not. When one is not recorded the driver begins again with what the journal says, and with those answers
//! alone whose attempts it knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use domain::{EventId, RunId, StreamId, TaskId};
use futures_util::FutureExt;
use journal::{Append, AppendError, Appended, Expected, Loaded, StreamAppend, Ticket, Turn};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use super::{Driver, End, Stop};
use crate::call::{Grounds, Settled};
use crate::stage::Stage;

/// How many appends of one run are under way at most.
const MOST: usize = 64;
/// How many runs of a node go on early at once. Each may have [`MOST`] appends waiting for the journal, so this bounds how much
/// waits there; beyond it, runs share their commits.
pub(crate) const AT_ONCE: usize = 128;

/// A call that is under way.
pub(super) struct Open {
    pub(super) attempt: u32,
    pub(super) grounds: Grounds,
    pub(super) abort: AbortHandle,
}

/// What became of an append.
type Answer = Result<Appended, AppendError>;

#[derive(Default)]
pub(super) struct Early {
    /// Appends that are under way, oldest first.
    sent: VecDeque<Sent>,
    /// What they still have to do. It is done whatever their driver waits for, because others may wait behind them.
    tasks: JoinSet<()>,
    newest: Option<Ticket>,
    /// The right to go on early, as long as anything is under way.
    right: Option<OwnedSemaphorePermit>,
    /// The last event that was recorded before them.
    cause: Option<EventId>,
    /// How often the driver had to begin again.
    restarts: u64,
    /// Attempts that were recorded as running when it did so last; `None` until the journal has been read since.
    known: Option<BTreeSet<(TaskId, u32)>>,
}

struct Sent {
    answer: oneshot::Receiver<Answer>,
    /// What came back from platforms and is recorded by it.
    settled: Vec<Settled>,
    /// Its last event.
    last: EventId,
}

impl Early {
    /// Whether anything is under way.
    pub(super) fn is_under_way(&self) -> bool {
        !self.sent.is_empty()
    }

    /// Nothing is under way any more.
    fn is_over(&mut self) {
        (self.newest, self.right) = (None, None);
    }

    /// What a call has to go by whose attempt is not recorded yet.
    fn grounds(&self) -> Grounds {
        Grounds::Foreseen(self.restarts)
    }

    /// Whether there is the attempt that an answer is for.
    fn knows(&self, task: TaskId, attempt: u32, grounds: Grounds) -> bool {
        match grounds {
            Grounds::Recorded => true,
            Grounds::Foreseen(restarts) if restarts == self.restarts => true,
            Grounds::Foreseen(_) => self.known.as_ref().is_some_and(|known| known.contains(&(task, attempt))),
        }
    }

    /// How an append is handed in that comes after what is under way.
    fn turn(&self, run: RunId) -> Turn {
        match &self.newest {
            Some(ticket) => Turn::new().based_on(run.into(), ticket.clone()),
            None => Turn::new(),
        }
    }
}

impl Driver {
    /// Whether the driver may go on as if a stage were recorded.
    pub(super) fn may_go_on_early(&mut self, stage: &Stage) -> bool {
        let may = self.owned
            && self.early.sent.len() < MOST
            && stage.asks_nobody()
            // What is personal is sealed first, which takes its time.
            && self.run.state.subject().is_none()
            && self.journal().takes_ahead();
        if may && self.early.right.is_none() {
            self.early.right = Arc::clone(&self.shared.early).try_acquire_owned().ok();
        }
        may && self.early.right.is_some()
    }

    /// Hands an append in, and goes on as if it were recorded.
    pub(super) async fn go_on_early(&mut self, append: Append, stage: Stage) -> Result<(), Stop> {
        let (foreseen, last) = (foreseen(&append), last_event(&append));
        if !self.early.is_under_way() {
            self.early.cause = self.thread.cause;
        }
        self.send(append, last);
        // It has its place from here on, or has been answered already.
        self.take_answers().await?;
        self.thread.cause = Some(last);
        self.adopt(stage, &foreseen, self.early.grounds());
        // Whoever writes begins with it.
        tokio::task::yield_now().await;
        self.take_answers().await
    }

    /// Hands an append in after those that are under way, and waits until all of them are recorded.
    pub(super) async fn hand_in_behind(&mut self, append: Append) -> Result<Answer, Stop> {
        let last = last_event(&append);
        // What it records stays with the driver until it is recorded.
        let settled = std::mem::take(&mut self.pending);
        self.send(append, last);
        self.pending = settled;
        loop {
            let answer = self.next_answer().await;
            if self.early.sent.len() == 1 {
                self.early.sent.clear();
                self.early.is_over();
                return Ok(answer);
            }
            self.heed(answer).await?;
        }
    }

    /// Waits until everything that is under way is recorded.
    pub(super) async fn confirm(&mut self) -> Result<(), Stop> {
        while self.early.is_under_way() {
            let answer = self.next_answer().await;
            self.heed(answer).await?;
        }
        Ok(())
    }

    /// After a restart: what was not recorded has never been.
    pub(super) fn forget_unrecorded(&mut self) {
        if self.early.known.is_some() || self.early.restarts == 0 {
            return;
        }
        let running =
            |(id, slot): (&TaskId, &crate::stage::Slot)| Some((*id, slot.task.state.running_attempt()?.number));
        self.early.known = Some(self.tasks.iter().filter_map(running).collect());
        let early = &self.early;
        self.pending.retain(|settled| early.knows(settled.task, settled.attempt, settled.grounds));
        self.aborts.retain(|task, open| {
            let known = early.knows(*task, open.attempt, open.grounds);
            if !known {
                open.abort.abort();
            }
            known
        });
    }

    /// Whether a call was made for an attempt that there is.
    pub(super) fn counts(&self, settled: &Settled) -> bool {
        self.early.knows(settled.task, settled.attempt, settled.grounds)
    }

    fn send(&mut self, append: Append, last: EventId) {
        let turn = self.early.turn(self.id);
        self.early.newest = Some(turn.ticket());
        let journal = Arc::clone(self.journal());
        let (tell, answer) = oneshot::channel();
        let mut sending = async move {
            // A driver that is gone does not want to know.
            let _ = tell.send(journal.append_in_turn(append, turn).await);
        }
        .boxed();
        // From the first step on it has its place, unless it has to wait for one.
        if sending.as_mut().now_or_never().is_none() {
            self.early.tasks.spawn(sending);
        }
        self.early.sent.push_back(Sent { answer, settled: std::mem::take(&mut self.pending), last });
    }

    /// The answer to the oldest append that is under way.
    async fn next_answer(&mut self) -> Answer {
        let answer = match self.early.sent.front_mut() {
            Some(sent) => (&mut sent.answer).await.unwrap_or(Err(AppendError::Unclear)),
            None => Err(AppendError::Unclear),
        };
        while self.early.tasks.try_join_next().is_some() {}
        answer
    }

    /// Heeds those answers that are there.
    async fn take_answers(&mut self) -> Result<(), Stop> {
        while let Some(sent) = self.early.sent.front_mut() {
            let Ok(answer) = sent.answer.try_recv() else { break };
            self.heed(answer).await?;
        }
        while self.early.tasks.try_join_next().is_some() {}
        Ok(())
    }

    /// Heeds the answer to the oldest append that is under way.
    async fn heed(&mut self, answer: Answer) -> Result<(), Stop> {
        let sent = self.early.sent.pop_front();
        match answer {
            Ok(_) => {
                self.early.cause = sent.map(|sent| sent.last);
                if self.early.sent.is_empty() {
                    self.early.is_over();
                }
                Ok(())
            }
            Err(error) => {
                self.pending.extend(sent.into_iter().flat_map(|sent| sent.settled));
                Err(self.begin_again(error).await)
            }
        }
    }

    /// Something was not recorded, and so nothing after it. What is known of the run is read again before anything is decided.
    async fn begin_again(&mut self, error: AppendError) -> Stop {
        // None of these was recorded; but one whose outcome is unclear may yet be, until it is answered.
        while let Some(sent) = self.early.sent.pop_front() {
            let _ = sent.answer.await;
            self.pending.extend(sent.settled);
        }
        while self.early.tasks.try_join_next().is_some() {}
        self.pending.append(&mut self.done);
        self.early.is_over();
        self.early.restarts += 1;
        self.early.known = None;
        self.thread.cause = self.early.cause;
        (self.run, self.tasks) = (Loaded::default(), BTreeMap::new());
        (self.unread, self.look_around) = (true, true);
        tracing::debug!(run.id = %self.id, error = &error as &dyn std::error::Error, "a run begins again where it is recorded");
        match error {
            AppendError::Conflict { .. } | AppendError::Unfounded { .. } => Stop::BeginAgain,
            AppendError::Invalid(what) => Stop::Unrecordable(what),
            AppendError::Closed => Stop::Ended(End::Stopped),
            error => Stop::Unavailable(Box::new(error)),
        }
    }
}

/// The id that the last event of an append will have.
pub(super) fn last_event(append: &Append) -> EventId {
    let events: usize = append.streams.iter().map(|stream| stream.events.len()).sum();
    let last = u32::try_from(events.saturating_sub(1)).unwrap_or(u32::MAX);
    journal::event_id(append.context.command, last)
}

/// The revisions that an append will leave, should it be recorded.
fn foreseen(append: &Append) -> Vec<(StreamId, u64)> {
    let head = |part: &StreamAppend| {
        let further = u64::try_from(part.events.len()).ok()?.checked_sub(1)?;
        let first = match part.expected {
            Expected::NoStream => 0,
            Expected::Exact(revision) => revision.checked_add(1)?,
            // Whatever is decided upon these meets a conflict.
            Expected::Any | Expected::Exists => return None,
        };
        Some((part.stream, first.checked_add(further)?))
    };
    append.streams.iter().filter_map(head).collect()
}
