//! What running tasks are saying right now.
//!
//! The pieces of an answer are no events: they are kept only as long as somebody speaks or listens, and what counts is
//! the whole answer, which the journal records. A listener is told everything that was said from the beginning of the
//! attempt on, however late they come and however slowly they read; pieces that wait become one.
//!
//! An attempt speaks in one process. Other processes may [`LiveOutputs::hear`] it from there; which tasks somebody waits
//! for here while they speak elsewhere, [`LiveOutputs::wanted`] tells.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use domain::{MAX_VALUE_BYTES, TaskId};
use parking_lot::Mutex;
use tokio::sync::watch;

/// What the tasks of this process are saying, and what is known of others; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LiveOutputs {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    tasks: Mutex<HashMap<TaskId, Channel>>,
    /// Changes whenever somebody begins to listen to what is not spoken here.
    wanted: watch::Sender<u64>,
}

#[derive(Debug)]
struct Channel {
    said: watch::Sender<Said>,
    /// How many attempts speak here; more than one only while the next has begun and the last is not yet gone.
    speakers: usize,
}

/// What an attempt has said so far.
#[derive(Debug, Default)]
struct Said {
    attempt: u32,
    text: String,
}

impl LiveOutputs {
    /// An attempt that is about to speak.
    #[must_use]
    pub fn speak(&self, task: TaskId, attempt: u32) -> Speech {
        let mut tasks = self.inner.tasks.lock();
        let channel = tasks.entry(task).or_insert_with(Channel::new);
        channel.speakers += 1;
        channel.said.send_modify(|said| *said = Said { attempt, text: String::new() });
        Speech { outputs: self.clone(), task, attempt, said: channel.said.clone() }
    }

    /// Somebody who wants to be told what a task says.
    #[must_use]
    pub fn listen(&self, task: TaskId) -> Listening {
        let mut tasks = self.inner.tasks.lock();
        let channel = tasks.entry(task).or_insert_with(Channel::new);
        let receiver = channel.said.subscribe();
        let elsewhere = channel.speakers == 0;
        drop(tasks);
        if elsewhere {
            self.inner.wanted.send_modify(|count| *count = count.wrapping_add(1));
        }
        Listening { outputs: self.clone(), task, receiver: Some(receiver), attempt: 0, offset: 0 }
    }

    /// The tasks that somebody listens to and that do not speak here, each with what is known: attempt and bytes.
    #[must_use]
    pub fn wanted(&self) -> Vec<(TaskId, u32, usize)> {
        let tasks = self.inner.tasks.lock();
        let wanted = tasks.iter().filter(|(_, channel)| channel.speakers == 0 && channel.said.receiver_count() > 0);
        let known = wanted.map(|(task, channel)| {
            let said = channel.said.borrow();
            (*task, said.attempt, said.text.len())
        });
        known.collect()
    }

    /// Changes whenever [`Self::wanted`] may have grown.
    #[must_use]
    pub fn watch_wanted(&self) -> watch::Receiver<u64> {
        self.inner.wanted.subscribe()
    }

    /// What a task that speaks here has said after so many bytes of an attempt, at most `most` bytes of it; from the
    /// beginning when another attempt speaks by now. `None` when it does not speak here.
    #[must_use]
    pub fn spoken(&self, task: TaskId, attempt: u32, offset: usize, most: usize) -> Option<Piece> {
        let tasks = self.inner.tasks.lock();
        let channel = tasks.get(&task).filter(|channel| channel.speakers > 0)?;
        let said = channel.said.borrow();
        let offset = if said.attempt == attempt { offset } else { 0 };
        let rest = said.text.get(offset..)?;
        let end = rest.floor_char_boundary(most);
        Some(Piece { attempt: said.attempt, offset, text: rest.get(..end)?.to_owned() })
    }

    /// What a task has said in another process. What is known already, nobody waits for, or does not follow on what is
    /// known, is left out.
    pub fn hear(&self, task: TaskId, piece: &Piece) {
        let tasks = self.inner.tasks.lock();
        let Some(channel) = tasks.get(&task).filter(|channel| channel.speakers == 0) else { return };
        channel.said.send_if_modified(|said| {
            if piece.attempt > said.attempt && piece.offset == 0 {
                *said = Said { attempt: piece.attempt, text: piece.text.clone() };
                return true;
            }
            let Some(known) = said.text.len().checked_sub(piece.offset) else { return false };
            match piece.text.get(known..) {
                Some(new) if said.attempt == piece.attempt && !new.is_empty() => {
                    said.text.push_str(new);
                    true
                }
                _ => false,
            }
        });
    }

    fn leave(&self, task: TaskId, speaker: bool) {
        if let Entry::Occupied(mut entry) = self.inner.tasks.lock().entry(task) {
            if speaker {
                let channel = entry.get_mut();
                channel.speakers = channel.speakers.saturating_sub(1);
            }
            let channel = entry.get();
            if channel.speakers == 0 && channel.said.receiver_count() == 0 {
                entry.remove();
            }
        }
    }
}

impl Channel {
    fn new() -> Self {
        Self { said: watch::Sender::default(), speakers: 0 }
    }
}

/// An attempt that speaks until this is dropped.
#[derive(Debug)]
pub struct Speech {
    outputs: LiveOutputs,
    task: TaskId,
    attempt: u32,
    said: watch::Sender<Said>,
}

impl Speech {
    /// Says more. What goes beyond the largest value that is kept is not told: such an answer fails.
    pub fn say(&self, text: &str) {
        self.said.send_if_modified(|said| {
            let tell = said.attempt == self.attempt && said.text.len().saturating_add(text.len()) <= MAX_VALUE_BYTES;
            if tell {
                said.text.push_str(text);
            }
            tell
        });
    }
}

impl Drop for Speech {
    fn drop(&mut self) {
        self.outputs.leave(self.task, true);
    }
}

/// What an attempt says next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which attempt of the task; counts from 1.
    pub attempt: u32,
    /// Where the piece stands in the text of the attempt, in bytes of UTF-8. What follows on what was told before begins
    /// where that ended; 0 begins anew.
    pub offset: usize,
    /// The text; never empty, except at the beginning of an attempt.
    pub text: String,
}

/// Somebody who listens until this is dropped.
#[derive(Debug)]
pub struct Listening {
    outputs: LiveOutputs,
    task: TaskId,
    /// There until it is dropped.
    receiver: Option<watch::Receiver<Said>>,
    attempt: u32,
    offset: usize,
}

impl Listening {
    /// Goes on after so many bytes of an attempt, which were told to the same listener before.
    pub fn resume(&mut self, attempt: u32, offset: usize) {
        (self.attempt, self.offset) = (attempt, offset);
    }

    /// What was said since this was last asked; waits for it. Losing the future loses nothing.
    pub async fn next(&mut self) -> Piece {
        loop {
            if let Some(piece) = self.take() {
                return piece;
            }
            let changed = match &mut self.receiver {
                Some(receiver) => receiver.changed().await.is_ok(),
                None => false,
            };
            // The channel lives as long as somebody listens.
            if !changed {
                std::future::pending::<()>().await;
            }
        }
    }

    fn take(&mut self) -> Option<Piece> {
        let said = self.receiver.as_mut()?.borrow_and_update();
        if said.attempt > self.attempt {
            (self.attempt, self.offset) = (said.attempt, 0);
        } else if said.attempt < self.attempt || said.text.len() <= self.offset {
            return None;
        }
        let text = said.text.get(self.offset..)?.to_owned();
        let piece = Piece { attempt: said.attempt, offset: self.offset, text };
        self.offset = said.text.len();
        Some(piece)
    }

    /// What is left to tell when the whole text of an attempt is known: the rest, when what was told is how it begins,
    /// or all of it. What was told before this process knew of it is taken for how the same attempt begins, as far as it
    /// reaches.
    #[must_use]
    pub fn rest(&self, attempt: u32, whole: &str) -> Piece {
        let known = |receiver: &watch::Receiver<Said>| {
            let said = receiver.borrow();
            let told = said.text.get(..self.offset).filter(|_| said.attempt == attempt);
            told.map(|told| whole.starts_with(told))
        };
        let follows = self.attempt == attempt
            && self.receiver.as_ref().and_then(known).unwrap_or_else(|| whole.is_char_boundary(self.offset));
        let offset = if follows { self.offset } else { 0 };
        Piece { attempt, offset, text: whole.get(offset..).unwrap_or_default().to_owned() }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.receiver = None;
        self.outputs.leave(self.task, false);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use uuid::Uuid;

    use super::*;

    fn task() -> TaskId {
        TaskId::from_uuid(Uuid::nil())
    }

    fn piece(attempt: u32, offset: usize, text: &str) -> Piece {
        Piece { attempt, offset, text: text.to_owned() }
    }

    #[tokio::test]
    async fn whoever_comes_late_or_reads_slowly_is_told_everything_once() {
        let outputs = LiveOutputs::default();
        let mut early = outputs.listen(task());
        assert!(early.next().now_or_never().is_none());
        let speech = outputs.speak(task(), 1);
        assert_eq!(early.next().await, piece(1, 0, ""));
        speech.say("one ");
        speech.say("two ");
        assert_eq!(early.next().await, piece(1, 0, "one two "));
        let mut late = outputs.listen(task());
        assert_eq!(late.next().await, piece(1, 0, "one two "));
        speech.say("three");
        assert_eq!(early.next().await, piece(1, 8, "three"));
        assert_eq!(late.next().await, piece(1, 8, "three"));
        assert_eq!(late.rest(1, "one two three four"), piece(1, 13, " four"));
        assert_eq!(late.rest(1, "another"), piece(1, 0, "another"));
        assert_eq!(late.rest(2, "one two three"), piece(2, 0, "one two three"));
        // Told elsewhere, and never known here.
        let mut elsewhere = LiveOutputs::default().listen(task());
        elsewhere.resume(1, 8);
        assert_eq!(elsewhere.rest(1, "one two three"), piece(1, 8, "three"));
        assert_eq!(elsewhere.rest(1, "one two "), piece(1, 8, ""));
        assert_eq!(elsewhere.rest(1, "one two"), piece(1, 0, "one two"), "it is shorter than what was told");
        assert_eq!(elsewhere.rest(1, "one twoé"), piece(1, 0, "one twoé"), "nothing ended within a character");
        assert_eq!(elsewhere.rest(2, "one two three"), piece(2, 0, "one two three"), "it is another attempt's");
        // Whoever was told before goes on, also where less is known yet.
        let mut again = outputs.listen(task());
        again.resume(1, 8);
        assert_eq!(again.next().await, piece(1, 8, "three"));
        assert!(again.next().now_or_never().is_none());
        again.resume(1, 20);
        assert!(again.next().now_or_never().is_none());
        // The next attempt begins anew, and what the last still says is of no interest.
        let second = outputs.speak(task(), 2);
        speech.say("late");
        second.say("uno");
        assert_eq!(early.next().await, piece(2, 0, "uno"));
        assert_eq!(again.next().await, piece(2, 0, "uno"));
        again.resume(3, 1);
        assert!(again.next().now_or_never().is_none());
        assert!(early.next().now_or_never().is_none());
    }

    #[tokio::test]
    async fn what_is_said_elsewhere_is_heard_in_order_and_once() {
        let (here, there) = (LiveOutputs::default(), LiveOutputs::default());
        let changes = here.watch_wanted();
        let mut listening = here.listen(task());
        assert!(changes.has_changed().unwrap_or_default());
        assert_eq!(here.wanted(), [(task(), 0, 0)]);
        assert_eq!(there.spoken(task(), 0, 0, 100), None);
        let speech = there.speak(task(), 1);
        speech.say("über Wien");
        // A piece never ends within a character.
        let first = there.spoken(task(), 0, 0, 1).unwrap_or_else(|| piece(9, 9, ""));
        assert_eq!(first, piece(1, 0, ""));
        let first = there.spoken(task(), 1, 0, 4).unwrap_or(first);
        assert_eq!(first, piece(1, 0, "übe"));
        here.hear(task(), &piece(1, 3, "lost"));
        here.hear(task(), &first);
        here.hear(task(), &first);
        assert_eq!(here.wanted(), [(task(), 1, 4)]);
        here.hear(task(), &piece(1, 2, "ber Wien"));
        assert_eq!(listening.next().await, piece(1, 0, "über Wien"));
        here.hear(task(), &piece(2, 0, "again"));
        here.hear(task(), &piece(1, 10, "too late"));
        assert_eq!(listening.next().await, piece(2, 0, "again"));
    }

    #[test]
    fn nothing_is_kept_when_nobody_speaks_or_listens() {
        let outputs = LiveOutputs::default();
        let speech = outputs.speak(task(), 1);
        let listening = outputs.listen(task());
        assert_eq!(outputs.wanted(), []);
        drop(speech);
        assert_eq!(outputs.inner.tasks.lock().len(), 1);
        drop(listening);
        assert_eq!(outputs.inner.tasks.lock().len(), 0);
        drop(outputs.speak(task(), 1));
        assert_eq!(outputs.inner.tasks.lock().len(), 0);
        outputs.hear(task(), &piece(1, 0, "to nobody"));
        assert_eq!(outputs.inner.tasks.lock().len(), 0);
    }
}
