use std::any::Any;
use std::sync::Arc;

use domain::{Decide, StreamId};
use lru::LruCache;
use parking_lot::Mutex;

use crate::together::own;
use crate::{
    Append, AppendError, Appended, Context, Expected, Hash, Journal, Position, ReadError, Snapshot, Snapshots,
    StreamAppend,
};

/// An aggregate as of a revision.
#[derive(Debug)]
pub struct Loaded<A> {
    /// The folded state; the default when the stream does not exist.
    pub state: Arc<A>,
    /// The revision of the last folded event; `None` when the stream does not exist.
    pub revision: Option<u64>,
}

impl<A> Clone for Loaded<A> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), revision: self.revision }
    }
}

impl<A: Default> Default for Loaded<A> {
    /// A stream that does not exist.
    fn default() -> Self {
        Self { state: Arc::default(), revision: None }
    }
}

impl<A> Loaded<A> {
    /// What an append based on this state expects of the stream.
    #[must_use]
    pub fn expected(&self) -> Expected {
        self.revision.map_or(Expected::NoStream, Expected::Exact)
    }
}

/// A cached aggregate of any type.
trait Cached: Send + Sync {
    fn revision(&self) -> Option<u64>;
    fn as_any(&self) -> &dyn Any;
}

impl<A: Send + Sync + 'static> Cached for Loaded<A> {
    fn revision(&self) -> Option<u64> {
        self.revision
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What a command came to.
#[derive(Debug, Clone)]
pub struct Done<A> {
    /// The state after it.
    pub state: Arc<A>,
    /// The stream's revision after it; `None` when there is still no stream.
    pub revision: Option<u64>,
    /// The journal's position that contains it.
    pub position: Position,
    /// Whether the command had been decided before, and this is that first answer.
    pub repeated: bool,
    /// Whether anything was recorded now; otherwise the wish was true already, or this is a repetition.
    pub changed: bool,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R> {
    /// The rules say no.
    #[error("{0}")]
    Refused(R),
    /// Others were faster too many times in a row.
    #[error("too many others changed {0} at the same time; try again")]
    Contended(StreamId),
    /// The journal failed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Carries out commands on aggregates: load through a cache, decide, append; on conflict reload and decide again.
#[derive(Clone)]
pub struct Executor {
    journal: Arc<dyn Journal>,
    snapshots: Option<Arc<dyn Snapshots>>,
    cache: Arc<Mutex<LruCache<StreamId, Arc<dyn Cached>>>>,
    only_at: Option<u64>,
}

/// Up to and including which event a stream is folded.
#[derive(Clone, Copy)]
enum Until {
    /// The one at this revision.
    Revision(u64),
    /// The last one at or before this position of the journal.
    Position(Position),
}

impl Until {
    /// The last revision that may be wanted.
    fn revision(self) -> u64 {
        match self {
            Self::Revision(revision) => revision,
            Self::Position(_) => u64::MAX,
        }
    }
}

impl Executor {
    /// How many aggregates are kept folded in memory.
    const CACHED: std::num::NonZeroUsize = std::num::NonZeroUsize::new(4096).expect("4096 is not zero");
    /// How often a conflict is answered by deciding again.
    const TRIES: usize = 8;
    /// How many events of a stream are read at a time.
    pub(crate) const PAGE: usize = 1000;
    /// After how many events that had to be folded a snapshot is kept.
    const SNAPSHOT_AFTER: u32 = 5_000;
    /// How many streams may stand behind one another, each taking over the next.
    const MAX_ORIGINS: usize = 32;

    /// Over a journal.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal, snapshots: None, cache: Arc::new(Mutex::new(LruCache::new(Self::CACHED))), only_at: None }
    }

    /// The same executor, with the same cache, for a caller who decided upon what an aggregate was at `revision`: a
    /// command on an aggregate that is at another one is a conflict, and nothing is recorded.
    #[must_use]
    pub fn only_at(&self, revision: u64) -> Self {
        Self { only_at: Some(revision), ..self.clone() }
    }

    /// Whether the caller may decide upon an aggregate at this revision.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] after [`only_at`](Self::only_at) with another one.
    pub fn check_revision(&self, stream: StreamId, actual: Option<u64>) -> Result<(), AppendError> {
        match self.only_at {
            Some(only) if actual != Some(only) => {
                Err(AppendError::Conflict { stream, expected: Expected::Exact(only), actual })
            }
            _ => Ok(()),
        }
    }

    /// Keeps snapshots of streams that are long, and begins with them.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: Arc<dyn Snapshots>) -> Self {
        self.snapshots = Some(snapshots);
        self
    }

    /// The journal below.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// An aggregate as of now: the cached state plus whatever was recorded since.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn load<A: Decide>(&self, stream: StreamId) -> Result<Loaded<A>, ReadError> {
        let known = self.cached::<A>(stream).unwrap_or(Loaded { state: Arc::default(), revision: None });
        let loaded = self.catch_up(stream, known).await?;
        self.keep(stream, &loaded);
        Ok(loaded)
    }

    /// An aggregate as of whenever this process last saw it; loaded when it never did. Good enough for decisions,
    /// because the expected revision catches what is stale.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn load_cached<A: Decide>(&self, stream: StreamId) -> Result<Loaded<A>, ReadError> {
        match self.cached(stream) {
            Some(known) => Ok(known),
            None => self.load(stream).await,
        }
    }

    /// Decides `command` on the aggregate and records what follows.
    ///
    /// # Errors
    /// The refusal of the rules, endless contention, or the journal's failure.
    pub async fn execute<A>(
        &self,
        stream: StreamId,
        command: A::Command,
        context: Context,
        remember: bool,
    ) -> Result<Done<A>, ExecuteError<A::Error>>
    where
        A: Decide,
        A::Command: Clone,
    {
        if remember && let Some(first) = self.journal.find_command(context.command).await? {
            return self.first_answer(stream, first).await;
        }
        let mut loaded = self.load_cached::<A>(stream).await?;
        let mut fresh = false;
        for _ in 0..Self::TRIES {
            if let Err(moved) = self.check_revision(stream, loaded.revision) {
                if fresh {
                    return Err(moved.into());
                }
                loaded = self.load(stream).await?;
                fresh = true;
                continue;
            }
            let events = match loaded.state.decide(command.clone()) {
                Ok(events) => events,
                // A refusal may be due to a stale cache: only a fresh state has the last word.
                Err(_) if !fresh => {
                    loaded = self.load(stream).await?;
                    fresh = true;
                    continue;
                }
                Err(refusal) => return Err(ExecuteError::Refused(refusal)),
            };
            if events.is_empty() {
                if !fresh {
                    loaded = self.load(stream).await?;
                    fresh = true;
                    continue;
                }
                let position = self.journal.head().await?;
                return Ok(Done {
                    state: loaded.state,
                    revision: loaded.revision,
                    position,
                    repeated: false,
                    changed: false,
                });
            }
            let append = Append {
                streams: vec![StreamAppend {
                    stream,
                    expected: loaded.expected(),
                    events: events.iter().cloned().map(Into::into).collect(),
                }],
                context: Context { subject: context.subject.or(loaded.state.subject()), ..context.clone() },
                remember,
            };
            match self.journal.append(append).await {
                Ok(done) if done.repeated => return self.first_answer(stream, done).await,
                Ok(done) => {
                    let mut state = (*loaded.state).clone();
                    events.into_iter().for_each(|event| state.apply(event));
                    let after =
                        Loaded { state: Arc::new(state), revision: done.heads.last().map(|(_, revision)| *revision) };
                    self.keep(stream, &after);
                    return Ok(Done {
                        state: after.state,
                        revision: after.revision,
                        position: done.position,
                        repeated: false,
                        changed: true,
                    });
                }
                Err(AppendError::Conflict { .. }) => {
                    loaded = self.load(stream).await?;
                    fresh = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(ExecuteError::Contended(stream))
    }

    /// Keeps a state that the caller has recorded, unless a newer one is there.
    pub fn remember<A: Decide>(&self, stream: StreamId, loaded: &Loaded<A>) {
        self.keep(stream, loaded);
    }

    /// Drops a cached state that is older than `revision`, because somebody else has recorded it.
    pub fn forget(&self, stream: StreamId, revision: u64) {
        let mut cache = self.cache.lock();
        if cache.peek(&stream).is_some_and(|known| known.revision() < Some(revision)) {
            cache.pop(&stream);
        }
    }

    /// Drops every cached state; they are folded from their events when they are wanted.
    pub fn forget_all(&self) {
        self.cache.lock().clear();
    }

    async fn first_answer<A: Decide>(
        &self,
        stream: StreamId,
        first: Appended,
    ) -> Result<Done<A>, ExecuteError<A::Error>> {
        let loaded = self.load::<A>(stream).await?;
        let revision = first.heads.last().map(|(_, revision)| *revision);
        Ok(Done { state: loaded.state, revision, position: first.position, repeated: true, changed: false })
    }

    /// An aggregate as it was after the event at `revision`, or after its last event when it has fewer. It is folded
    /// anew, from the first event on, and not kept.
    ///
    /// # Errors
    /// When the journal cannot be read, or the stream holds another aggregate's events.
    pub async fn load_at<A: Decide>(&self, stream: StreamId, revision: u64) -> Result<Loaded<A>, ReadError> {
        let executor = Self { snapshots: None, ..self.clone() };
        executor.fold(stream, Loaded::default(), Until::Revision(revision), 0).await
    }

    /// An aggregate as it was when the journal ended with the event at `position`; the default when there was none yet. It
    /// is folded anew, from the first event on, and not kept.
    ///
    /// # Errors
    /// When the journal cannot be read, or the stream holds another aggregate's events.
    pub async fn load_as_of<A: Decide>(&self, stream: StreamId, position: Position) -> Result<Loaded<A>, ReadError> {
        let executor = Self { snapshots: None, ..self.clone() };
        executor.fold(stream, Loaded::default(), Until::Position(position), 0).await
    }

    /// Folds whatever was recorded after `from`. A stream that takes over another one is folded, from nothing, on top
    /// of that one's state as of then.
    ///
    /// # Errors
    /// When the journal cannot be read, the stream holds another aggregate's events, or what it takes over is not
    /// there.
    pub async fn catch_up<A: Decide>(&self, stream: StreamId, from: Loaded<A>) -> Result<Loaded<A>, ReadError> {
        self.fold(stream, from, Until::Revision(u64::MAX), 0).await
    }

    /// Folds what comes after `from` up to and including `until`; `depth` streams have been taken over on the way here.
    async fn fold<A: Decide>(
        &self,
        stream: StreamId,
        from: Loaded<A>,
        until: Until,
        depth: usize,
    ) -> Result<Loaded<A>, ReadError> {
        let Loaded { mut state, mut revision } = from;
        let mut look = revision.is_none();
        let mut folded = 0_u32;
        let mut last = Hash::ZERO;
        'pages: loop {
            let next = revision.map_or(0, |revision| revision + 1);
            let Some(more) = until.revision().checked_sub(next) else { break };
            let limit = usize::try_from(more).unwrap_or(usize::MAX).saturating_add(1).min(Self::PAGE);
            let page = self.journal.read_stream(stream, next, limit).await?;
            let full = page.len() == limit;
            for recorded in page {
                if matches!(until, Until::Position(position) if recorded.position > position) {
                    break 'pages;
                }
                let damaged = |what: String| ReadError::Damaged { position: recorded.position, what };
                let own = own::<A>(&recorded)?;
                if recorded.revision == 0
                    && let Some((other, last)) = A::origin(&own)
                {
                    if depth == Self::MAX_ORIGINS {
                        let most = Self::MAX_ORIGINS;
                        return Err(damaged(format!("more than {most} streams take over one another, up to {other}")));
                    }
                    let before =
                        Box::pin(self.fold::<A>(other, Loaded::default(), Until::Revision(last), depth + 1)).await?;
                    if before.revision != Some(last) {
                        return Err(damaged(format!(
                            "it takes over {other} up to revision {last}, which is not there"
                        )));
                    }
                    state = before.state;
                }
                Arc::make_mut(&mut state).apply(own);
                revision = Some(recorded.revision);
                last = recorded.hash;
                folded += 1;
            }
            if !full {
                break;
            }
            // Only a stream that goes on after its first page can have a snapshot, so others cost no question.
            if std::mem::take(&mut look)
                && let Some(snapshot) = self.snapshot::<A>(stream, until.revision()).await
                && snapshot.revision > revision
            {
                Loaded { state, revision } = snapshot;
                folded = 0;
            }
        }
        let loaded = Loaded { state, revision };
        if folded >= Self::SNAPSHOT_AFTER {
            self.save(stream, &loaded, last).await;
        }
        Ok(loaded)
    }

    /// The snapshot of a stream, when there is one that can be used and that is not after `until`.
    async fn snapshot<A: Decide>(&self, stream: StreamId, until: u64) -> Option<Loaded<A>> {
        let snapshots = self.snapshots.as_ref()?;
        let found = async {
            let Some(snapshot) = snapshots.load(stream).await?.filter(|snapshot| snapshot.revision <= until) else {
                return Ok(None);
            };
            Ok(snapshot.is_usable(self, stream).await?.then_some(snapshot))
        };
        let snapshot = match found.await {
            Ok(snapshot) => snapshot?,
            Err(error) => {
                let error: ReadError = error;
                tracing::warn!(%stream, %error, "a snapshot cannot be read; the state is folded from the first event");
                return None;
            }
        };
        match serde_json::from_slice(&snapshot.state) {
            Ok(state) => Some(Loaded { state: Arc::new(state), revision: Some(snapshot.revision) }),
            Err(error) => {
                tracing::warn!(%stream, %error, "a snapshot makes no sense; the state is folded from the first event");
                None
            }
        }
    }

    /// Keeps a snapshot of what took long to fold. Without it the next one folds again.
    async fn save<A: Decide>(&self, stream: StreamId, loaded: &Loaded<A>, last: Hash) {
        let (Some(snapshots), Some(revision)) = (&self.snapshots, loaded.revision) else { return };
        // What is personal lies nowhere but in the journal, sealed.
        if loaded.state.subject().is_some() {
            return;
        }
        let state = match serde_json::to_vec(&*loaded.state) {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(%stream, %error, "a state cannot be written as a snapshot");
                return;
            }
        };
        let snapshot = Snapshot::new(revision, last, state);
        if let Err(error) = snapshots.save(stream, snapshot).await {
            tracing::warn!(%stream, %error, "a snapshot could not be kept");
        }
    }

    fn cached<A: Decide>(&self, stream: StreamId) -> Option<Loaded<A>> {
        let known = self.cache.lock().get(&stream).cloned()?;
        known.as_any().downcast_ref::<Loaded<A>>().cloned()
    }

    /// Keeps a state, unless a newer one is there.
    fn keep<A: Decide>(&self, stream: StreamId, loaded: &Loaded<A>) {
        let mut cache = self.cache.lock();
        let newer = cache.peek(&stream).map(|known| known.revision());
        if loaded.revision.is_some() && newer.is_none_or(|newer| newer < loaded.revision) {
            cache.put(stream, Arc::new(loaded.clone()));
        }
    }
}
