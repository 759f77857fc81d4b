//! How an append becomes writes.
//!
//! KurrentDB writes to one stream at a time. An append is therefore written in parts: first the note about its command,
//! if that is to be remembered, then the streams in their order, the one that the answer speaks of last. The first part
//! carries all others, so an append is as good as recorded once its first part is: whoever finds it unfinished, this
//! process after an error or another one after a crash, writes the rest ([`super::halves`], [`super::finish`]).
//!
//! Invariants: every write has an exact place in its stream and an id made from its content, so repeating one does
//! nothing; after any error the writer looks whether it was recorded before it does anything else; a first part that was
//! not is decided upon again, because much may have happened meanwhile; what somebody else has begun in the same streams
//! is finished before; within a process appends to one stream take turns, so that only another process can come in
//! between. If one does so between two parts, what was written stays, is reported and counted: that is what KurrentDB
//! cannot promise and PostgreSQL can.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::StreamId;
use eventstore::Error;
use futures_util::future::try_join_all;
use lru::LruCache;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::connection::{Connection, Meaning, meaning};
use super::envelope::{self, Note, Part};
use super::feed::Feed;
use super::halves::Halves;
use super::locks::Locks;
use super::names::Names;
use super::options::Options;
use crate::append::Head;
use crate::prepare::{self, Prepared};
use crate::{AppendError, Appended, Expected, Position, ReadError, RecordedEvent};

/// How long a shutdown waits for a cluster that cannot be reached.
const GRACE: Duration = Duration::from_secs(10);
/// How often an append without a belief about its stream starts over because others were faster.
const TRIES: u32 = 100;

/// What only one at a time may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    Command(Uuid),
    Stream(StreamId),
}

/// Everything that the journal's parts share.
pub(super) struct Core {
    pub(super) options: Options,
    pub(super) names: Names,
    pub(super) connection: Connection,
    pub(super) feed: Feed,
    pub(super) halves: Halves,
    pub(super) locks: Locks<Key>,
    /// Where streams end, as far as this process knows; another process may have gone on.
    heads: Mutex<LruCache<StreamId, Head>>,
    /// The first answers of commands.
    pub(super) answers: Mutex<LruCache<Uuid, Appended>>,
    pub(super) stopping: CancellationToken,
    stopped: Mutex<Option<Instant>>,
}

/// What is at the place of a part.
enum Place {
    /// The part itself; the position of its last event.
    Ours(u64),
    /// Nothing yet.
    Free,
    /// Something else, or the stream is shorter than believed.
    Taken,
}

/// Why a part was not written.
enum Trouble {
    /// Its place is taken.
    Taken,
    /// It was not written, and how things stand now has to be looked at before it is tried again.
    Stale,
    Failed(AppendError),
}

/// What the parts of an append came to.
pub(super) enum Written {
    Whole(Position),
    /// Nothing of it was written, and it has to be decided upon again.
    Stale,
    /// The place of the part with this number was taken.
    Taken(usize),
}

/// How hard a write is tried.
pub(super) struct Effort {
    /// Before the next try.
    pause: Duration,
    /// Whether anything may have reached the server.
    sent: bool,
    /// Whether what was not written is decided upon again instead of being sent again.
    anew: bool,
}

impl Effort {
    /// For the first part of an append: until it is written, others may do what changes the decision.
    fn anew() -> Self {
        Self { pause: Duration::from_millis(5), sent: false, anew: true }
    }

    /// For what has to be written as it is.
    pub(super) fn steady() -> Self {
        Self { anew: false, ..Self::anew() }
    }

    /// What it means that it could not be done.
    fn judge(&self, error: AppendError) -> AppendError {
        match error {
            AppendError::Unavailable(_) if self.sent => AppendError::Unclear,
            error => error,
        }
    }
}

/// What is to be written.
struct Draft {
    parts: Vec<Part>,
    /// The answer, but for the position.
    done: Appended,
    /// Where the streams end before and after it.
    before: HashMap<StreamId, Head>,
    after: HashMap<StreamId, Head>,
}

impl Core {
    pub(super) fn new(options: Options, names: Names, connection: Connection, head: Position) -> Self {
        let feed = Feed::new(head, options.tail_events, options.tail_bytes);
        Self {
            heads: Mutex::new(LruCache::new(options.heads)),
            answers: Mutex::new(LruCache::new(options.heads)),
            feed,
            options,
            names,
            connection,
            halves: Halves::default(),
            locks: Locks::new(),
            stopping: CancellationToken::new(),
            stopped: Mutex::new(None),
        }
    }

    /// Another process' event, or one of ours once more: what is remembered of its stream is brought up to date.
    pub(super) fn absorb(&self, event: &RecordedEvent) {
        if let Some(head) = self.heads.lock().peek_mut(&event.stream)
            && head.revision < event.revision
        {
            *head = Head { revision: event.revision, hash: event.hash };
        }
    }

    /// Records an append.
    pub(super) async fn append(&self, mut prepared: Prepared, since: Instant) -> Result<Appended, AppendError> {
        let remembered = prepared.remembered();
        let streams: Vec<StreamId> = prepared.streams.iter().map(|part| part.stream).collect();
        let keys = streams.iter().copied().map(Key::Stream).chain(remembered.map(Key::Command)).collect();
        let _held = self.locks.lock(keys).await;
        if let Some(first) = remembered.and_then(|command| self.answers.lock().get(&command).cloned()) {
            return Ok(first.again());
        }
        let until = since + self.options.patience;
        // What somebody began in these streams and did not finish comes first.
        let mut fresh = self.finish_touching(&streams, until).await;
        let (mut effort, mut earlier) = (Effort::anew(), None);
        let (mut next_note, mut tries) = (0, 0);
        while tries < TRIES {
            let heads = self.heads(&prepared, fresh, until).await.map_err(|error| effort.judge(error))?;
            let draft = match self.begun(earlier.take(), until).await.map_err(|error| effort.judge(error))? {
                // It had arrived after all.
                Some(draft) => draft,
                None => {
                    if let Err(refusal) = check(&prepared, &heads) {
                        if let Some(first) = self.first(remembered, until).await? {
                            return Ok(first);
                        }
                        // What is remembered may be old; and what is new may be half of something.
                        if fresh && !self.finish_touching(&streams, until).await {
                            return Err(refusal);
                        }
                        (fresh, tries) = (true, tries + 1);
                        continue;
                    }
                    self.draft(&mut prepared, heads, next_note)?
                }
            };
            fresh = true;
            match self.write_all(&draft.parts, 0, until, &mut effort).await? {
                Written::Whole(position) => return Ok(self.recorded(draft, position, remembered)),
                // As long as the cluster is waited for, this counts as one try.
                Written::Stale => {
                    earlier = Some(draft);
                    continue;
                }
                Written::Taken(0) if remembered.is_some() => {
                    if let Some(first) = self.first(remembered, until).await? {
                        return Ok(first);
                    }
                    next_note = self.notes(remembered, until).await?;
                }
                Written::Taken(index) => {
                    self.forget(&streams);
                    // The note alone is nothing: the append is not begun until its first stream is written.
                    if index > usize::from(remembered.is_some()) {
                        return self.go_on(prepared, draft.before, index, next_note, until).await;
                    }
                    if remembered.is_some() {
                        next_note = self.notes(remembered, until).await?;
                    }
                }
            }
            tries += 1;
        }
        let error = "others changed the same stream at the same time, again and again";
        Err(AppendError::Unavailable(error.into()))
    }

    /// The writes that were tried before, if the first of them is there.
    async fn begun(&self, earlier: Option<Draft>, until: Instant) -> Result<Option<Draft>, AppendError> {
        let Some(draft) = earlier else { return Ok(None) };
        let Some(first) = draft.parts.first() else { return Ok(None) };
        let place = self.patiently(until, || self.look(first)).await?;
        Ok(matches!(place, Place::Ours(_)).then_some(draft))
    }

    /// Somebody came in between two parts. If the append has nothing against it, what is left is made anew for the
    /// place that is free now; otherwise it stays half-written.
    async fn go_on(
        &self,
        mut prepared: Prepared,
        mut known: HashMap<StreamId, Head>,
        mut index: usize,
        next_note: u64,
        until: Instant,
    ) -> Result<Appended, AppendError> {
        let first = usize::from(prepared.remember);
        loop {
            let Some((stream, expected)) = prepared.streams.get(index - first).map(|part| (part.stream, part.expected))
            else {
                return Err(AppendError::Unclear);
            };
            match self.head_of(stream, until).await? {
                Some(head) => known.insert(stream, head),
                None => known.remove(&stream),
            };
            if let Err(conflict) = prepare::check(stream, expected, known.get(&stream).copied()) {
                metrics::counter!("journal_torn_appends_total").increment(1);
                tracing::warn!(
                    command = %prepared.command, %stream, parts_written = index,
                    "another process came in between the parts of an append; what was written of it stays"
                );
                return Err(conflict);
            }
            let draft = self.draft(&mut prepared, known.clone(), next_note)?;
            match self.write_all(&draft.parts, index, until, &mut Effort::steady()).await? {
                Written::Whole(position) => return Ok(self.recorded(draft, position, prepared.remembered())),
                Written::Taken(at) => index = at,
                Written::Stale => {}
            }
        }
    }

    fn recorded(&self, draft: Draft, position: Position, remembered: Option<Uuid>) -> Appended {
        let Draft { parts, mut done, after: heads, .. } = draft;
        done.position = position;
        if let [_, .., last] = parts.as_slice()
            && let Some(last) = last.last()
        {
            self.halves.settle(last, position.as_u64());
        }
        let mut known = self.heads.lock();
        for (stream, _) in &done.heads {
            // Somebody may have gone on behind it, and the subscription may have told so already.
            if let Some(head) = heads.get(stream)
                && known.peek(stream).is_none_or(|known| known.revision < head.revision)
            {
                known.put(*stream, *head);
            }
        }
        drop(known);
        if let Some(command) = remembered {
            self.answers.lock().put(command, done.clone());
        }
        self.feed.recorded(done.position);
        done
    }

    fn forget(&self, streams: &[StreamId]) {
        let mut heads = self.heads.lock();
        streams.iter().for_each(|stream| {
            heads.pop(stream);
        });
    }

    /// The ends of the streams of an append; those without events are missing. Unless it has to be sure, a stream that
    /// is expected to be new is believed to be.
    async fn heads(
        &self,
        prepared: &Prepared,
        fresh: bool,
        until: Instant,
    ) -> Result<HashMap<StreamId, Head>, AppendError> {
        let (mut heads, mut unknown) = (HashMap::new(), Vec::new());
        {
            let mut known = self.heads.lock();
            for part in &prepared.streams {
                match known.get(&part.stream).filter(|_| !fresh) {
                    Some(head) => {
                        heads.insert(part.stream, *head);
                    }
                    None if !fresh && part.expected == Expected::NoStream => {}
                    None => unknown.push(part.stream),
                }
            }
        }
        let asked = unknown.into_iter().map(|stream| async move {
            Ok::<_, AppendError>(self.head_of(stream, until).await?.map(|head| (stream, head)))
        });
        heads.extend(try_join_all(asked).await?.into_iter().flatten());
        Ok(heads)
    }

    async fn head_of(&self, stream: StreamId, until: Instant) -> Result<Option<Head>, AppendError> {
        let name = self.names.stream(stream);
        let last = self.patiently(until, || self.connection.read_back(&name, 1)).await?;
        let Some(last) = last.into_iter().next() else { return Ok(None) };
        let event = envelope::recorded(&self.names, last).map_err(unavailable)?;
        Ok(Some(Head { revision: event.revision, hash: event.hash }))
    }

    /// The writes of an append to streams that end so, and its answer but for the position.
    fn draft(
        &self,
        prepared: &mut Prepared,
        before: HashMap<StreamId, Head>,
        next_note: u64,
    ) -> Result<Draft, AppendError> {
        let mut after = before.clone();
        let mut events = Vec::with_capacity(prepared.count);
        let done = prepared.stamp(Position::START, &mut after, &mut events);
        let remembered = prepared.remembered();
        let last = events.last().map(|event| event.hash);
        let mut parts: Vec<Part> = Vec::with_capacity(prepared.streams.len() + 1);
        let mut firsts: Vec<Arc<RecordedEvent>> = Vec::new();
        for event in events {
            let message = envelope::message(&event, remembered.is_some() && Some(event.hash) == last, &[])
                .map_err(AppendError::Invalid)?;
            let name = self.names.stream(event.stream);
            match parts.last_mut().filter(|part| part.name == name) {
                Some(part) => part.messages.push(message),
                None => {
                    let next = before.get(&event.stream).map_or(0, |head| head.revision + 1);
                    parts.push(Part { name, next, messages: vec![message] });
                    firsts.push(event);
                }
            }
        }
        if let (Some(command), Some(hash), Some((stream, revision))) = (remembered, last, done.heads.last()) {
            let note = Note {
                stream: self.names.stream(*stream),
                revision: *revision,
                id: envelope::store_id(&hash.0),
                rest: parts.clone(),
            };
            let name = self.names.command(command);
            parts.insert(0, envelope::note(name, next_note, &note).map_err(AppendError::Invalid)?);
        } else if let [first, rest @ ..] = parts.as_mut_slice()
            && let (false, Some(event), Some(message)) = (rest.is_empty(), firsts.first(), first.messages.first_mut())
        {
            *message = envelope::message(event, false, rest).map_err(AppendError::Invalid)?;
        }
        Ok(Draft { parts, done, before, after })
    }

    /// Writes the parts from the one with number `from` on; `effort` is that for the very first.
    pub(super) async fn write_all(
        &self,
        parts: &[Part],
        from: usize,
        until: Instant,
        effort: &mut Effort,
    ) -> Result<Written, AppendError> {
        let mut position = 0;
        for (index, part) in parts.iter().enumerate().skip(from) {
            let mut steady = Effort::steady();
            match self.write(part, until, if index == 0 { &mut *effort } else { &mut steady }).await {
                Ok(at) => position = at,
                Err(Trouble::Taken) => return Ok(Written::Taken(index)),
                Err(Trouble::Stale) => return Ok(Written::Stale),
                Err(Trouble::Failed(error)) if index == 0 => return Err(error),
                Err(Trouble::Failed(error)) => {
                    // It is begun, so it will be finished, only not now.
                    tracing::warn!(%error, stream = part.name, "an append is half-written and will be finished later");
                    return Err(AppendError::Unclear);
                }
            }
        }
        Ok(Written::Whole(Position::from_u64(position)))
    }

    /// Writes a part, however often that has to be tried; answers the position of its last event.
    async fn write(&self, part: &Part, until: Instant, effort: &mut Effort) -> Result<u64, Trouble> {
        loop {
            let error = match self.connection.append(part).await {
                Ok(Some(position)) => return Ok(position),
                Ok(None) => None,
                Err(failed) => {
                    effort.sent |= failed.sent;
                    tracing::debug!(error = %failed.error, stream = part.name, "a write failed; looking what became of it");
                    Some(failed.error)
                }
            };
            match self.look(part).await {
                Ok(Place::Ours(position)) => return Ok(position),
                Ok(Place::Taken) => return Err(Trouble::Taken),
                Ok(Place::Free) => {
                    if let Some(error) = error.as_ref().filter(|error| meaning(error) == Meaning::Refused) {
                        return Err(Trouble::Failed(refused(error, part)));
                    }
                }
                Err(error) => tracing::debug!(%error, "the cluster cannot be asked"),
            }
            if Instant::now() >= self.deadline(until) {
                let error = error.map_or_else(|| "the server did not say where it put an event".into(), Into::into);
                return Err(Trouble::Failed(effort.judge(AppendError::Unavailable(error))));
            }
            tokio::time::sleep(effort.pause).await;
            effort.pause = (effort.pause * 2).min(Duration::from_secs(1));
            if effort.anew {
                return Err(Trouble::Stale);
            }
        }
    }

    /// Looks what is at the place of a part.
    async fn look(&self, part: &Part) -> Result<Place, Error> {
        let from = part.next.saturating_sub(1);
        let count = part.messages.len() + usize::from(part.next > 0);
        let found = self.connection.read(&part.name, from, count).await?;
        let mut there = found.iter().filter(|event| event.revision >= part.next);
        let expected = part.next == 0 || found.first().is_some_and(|event| event.revision == from);
        let Some(first) = there.next() else {
            return Ok(if expected { Place::Free } else { Place::Taken });
        };
        let ours = part.messages.first().is_some_and(|message| message.id == first.id);
        let last = there.last().unwrap_or(first);
        Ok(if ours && part.last() == Some(last.id) { Place::Ours(last.position.commit) } else { Place::Taken })
    }

    /// A shutdown does not wait for ever.
    pub(super) fn deadline(&self, until: Instant) -> Instant {
        if self.stopping.is_cancelled() {
            let since = *self.stopped.lock().get_or_insert_with(Instant::now);
            return until.min(since + GRACE);
        }
        until
    }

    pub(super) async fn patiently<T, F>(&self, until: Instant, ask: impl Fn() -> F + Send) -> Result<T, AppendError>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) if meaning(&error) == Meaning::Refused || Instant::now() >= self.deadline(until) => {
                    return Err(AppendError::Unavailable(Box::new(error)));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Writes parts that were made elsewhere, such as by an import.
    pub(super) async fn place(&self, part: &Part) -> Result<Option<Position>, AppendError> {
        match self.write(part, Instant::now() + self.options.patience, &mut Effort::steady()).await {
            Ok(position) => Ok(Some(Position::from_u64(position))),
            Err(Trouble::Taken | Trouble::Stale) => Ok(None),
            Err(Trouble::Failed(error)) => Err(error),
        }
    }
}

fn check(prepared: &Prepared, heads: &HashMap<StreamId, Head>) -> Result<(), AppendError> {
    prepared
        .streams
        .iter()
        .try_for_each(|part| prepare::check(part.stream, part.expected, heads.get(&part.stream).copied()))
}

pub(super) fn unavailable(error: ReadError) -> AppendError {
    AppendError::Unavailable(Box::new(error))
}

fn refused(error: &Error, part: &Part) -> AppendError {
    let text = error.to_string();
    if text.contains("AppendSizeExceeded") || text.contains("EventSizeExceeded") {
        return AppendError::Invalid(format!(
            "it sends {} bytes to stream {}, more than the KurrentDB server takes (its settings MaxAppendSize and \
             MaxAppendEventSize)",
            part.bytes(),
            part.name
        ));
    }
    AppendError::Unavailable(text.into())
}
