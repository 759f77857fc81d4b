//! The one task of this process that appends.
//!
//! It takes whatever waits when it becomes free, so a lone request never waits for company and many share one
//! statement. On the fast path the batch is one statement that moves the head on only if nobody else has: as long as
//! that holds, everything that the writer remembers of streams is exact. When it does not hold, or a belief proves
//! wrong, the batch is decided again under the lock of the head.
//!
//! Invariants: a caller is told of success only after the commit, and of failure only when nothing was recorded; an
//! unclear outcome is cleared up first, by looking for the batch's hashes at its positions while nobody can append.
//! Only when the database stays away is a caller told that its outcome is unclear.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use domain::StreamId;
use lru::LruCache;
use sqlx::Connection;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::failure::{self, Meaning};
use super::feed::Feed;
use super::options::Options;
use super::plan::{Plan, Verdict, plan};
use super::rows;
use super::session::{Backend, Session, record};
use crate::append::Head;
use crate::prepare::Prepared;
use crate::{AppendError, Appended, Expected, Hash, Position, ReadError, RecordedEvent, Turn};

/// How long one try may take before the connection counts as dead.
const TRY: Duration = Duration::from_secs(30);
/// How many batches are decided under the lock after somebody else was seen to append.
const WARY: u32 = 8;
/// How long a shutdown waits for a database that cannot be reached.
const GRACE: Duration = Duration::from_secs(10);

/// An append that waits for the writer.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) prepared: Prepared,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
    pub(super) since: Instant,
    /// What it is based on, and who may be based on it.
    pub(super) turn: Option<Turn>,
    /// Its share of the memory for waiting appends.
    pub(super) _share: OwnedSemaphorePermit,
}

impl Job {
    /// The next batch is decided after all of this one have their answers, so what these say of their appends it goes by.
    fn answer(self, answer: Result<Appended, AppendError>) {
        metrics::histogram!("journal_append_seconds").record(self.since.elapsed().as_secs_f64());
        if let Some(turn) = self.turn {
            turn.settle(&answer);
        }
        if answer.as_ref().is_err_and(|error| error.conflict().is_some()) {
            metrics::counter!("journal_conflicts_total").increment(1);
        }
        // A caller that went away does not want to know.
        let _ = self.answer.send(answer);
    }
}

/// Where an accepted append stands, should its recording have happened.
struct Probe {
    /// Which append of the batch.
    index: usize,
    done: Appended,
    /// The hash of its last event; it stands for all that the append brought.
    hash: Hash,
}

/// Why a try came to nothing.
enum Trouble {
    /// Connect again and clear up.
    Broken(sqlx::Error),
    /// Nothing was recorded, and nothing would be.
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        match failure::meaning(&error) {
            Meaning::Broken => Self::Broken(error),
            Meaning::Refused | Meaning::Taken => Self::Failed(error),
        }
    }
}

pub(super) struct Writer {
    queue: mpsc::Receiver<Job>,
    options: Options,
    feed: Arc<Feed>,
    node: Uuid,
    session: Option<Session>,
    /// The server process of the newest connection, also when that broke.
    backend: Option<Backend>,
    /// Where the journal ended when the writer last looked; what it remembers of streams is of then.
    known: Position,
    heads: LruCache<StreamId, Head>,
    /// How many more batches go under the lock.
    wary: u32,
    /// What was sent without hearing of its outcome.
    unclear: Vec<Probe>,
    /// Taken from the queue, but not into a batch.
    waiting: VecDeque<Job>,
    shutdown: CancellationToken,
    /// Since when the database has been missed during the shutdown.
    stopping: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        queue: mpsc::Receiver<Job>,
        options: Options,
        feed: Arc<Feed>,
        node: Uuid,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            queue,
            heads: LruCache::sparse(options.heads),
            options,
            known: feed.head(),
            feed,
            node,
            session: None,
            backend: None,
            wary: 0,
            unclear: Vec::new(),
            waiting: VecDeque::new(),
            shutdown,
            stopping: None,
        }
    }

    /// Appends until the shutdown, then what was handed in before it.
    pub(super) async fn run(mut self) {
        while let Some(job) = self.next().await {
            let batch = self.gather(job);
            self.commit(batch).await;
        }
        if let Some(session) = self.session {
            session.close().await;
        }
    }

    async fn next(&mut self) -> Option<Job> {
        if let Some(job) = self.waiting.pop_front() {
            return Some(job);
        }
        if !self.shutdown.is_cancelled() {
            tokio::select! {
                job = self.queue.recv() => return job,
                () = self.shutdown.cancelled() => {}
            }
        }
        self.queue.close();
        self.queue.recv().await
    }

    fn gather(&mut self, first: Job) -> Vec<Job> {
        let (mut events, mut bytes) = (first.prepared.count, first.prepared.bytes);
        let mut batch = vec![first];
        while let Some(job) = self.waiting.pop_front().or_else(|| self.queue.try_recv().ok()) {
            events += job.prepared.count;
            bytes += job.prepared.bytes;
            if events > self.options.batch_events || bytes > self.options.batch_bytes {
                self.waiting.push_front(job);
                break;
            }
            batch.push(job);
        }
        metrics::histogram!("journal_batch_requests").record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        batch
    }

    /// Answers every append of the batch, however long it takes to know the answer.
    async fn commit(&mut self, mut batch: Vec<Job>) {
        let mut pause = Duration::ZERO;
        loop {
            let tried = tokio::time::timeout(TRY, self.attempt(&mut batch)).await;
            let error = match tried.unwrap_or_else(|_| Err(Trouble::Broken(failure::timed_out()))) {
                Ok(()) => return,
                Err(Trouble::Failed(error)) if self.unclear.is_empty() => {
                    tracing::error!(%error, appends = batch.len(), "the journal's database refused a batch");
                    self.session = None;
                    let error = Arc::new(error);
                    batch.into_iter().for_each(|job| job.answer(Err(failure::unavailable(&error))));
                    return;
                }
                Err(Trouble::Broken(error) | Trouble::Failed(error)) => Arc::new(error),
            };
            tracing::warn!(%error, appends = batch.len(), "the journal's database cannot be reached; trying again");
            self.session = None;
            while let Ok(job) = self.queue.try_recv() {
                self.waiting.push_back(job);
            }
            self.give_up(&error, &mut batch);
            if batch.is_empty() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).clamp(Duration::from_millis(25), Duration::from_secs(1));
        }
    }

    /// Answers those who have waited too long for the database to be back.
    fn give_up(&mut self, error: &Arc<sqlx::Error>, batch: &mut Vec<Job>) {
        let mut patience = self.options.patience;
        if self.shutdown.is_cancelled() {
            let since = self.stopping.get_or_insert_with(Instant::now).elapsed();
            patience = if since < GRACE { patience } else { Duration::ZERO };
        }
        let expire = |job: Job| {
            if job.since.elapsed() < patience {
                return Some(job);
            }
            job.answer(Err(failure::unavailable(error)));
            None
        };
        self.waiting = std::mem::take(&mut self.waiting).into_iter().filter_map(expire).collect();
        if self.unclear.is_empty() {
            *batch = std::mem::take(batch).into_iter().filter_map(expire).collect();
        } else if batch.iter().all(|job| job.since.elapsed() >= patience) {
            tracing::error!(appends = self.unclear.len(), "the outcome of appends stays unclear");
            let unclear: HashSet<usize> = std::mem::take(&mut self.unclear).iter().map(|probe| probe.index).collect();
            for (index, job) in std::mem::take(batch).into_iter().enumerate() {
                let error = if unclear.contains(&index) { AppendError::Unclear } else { failure::unavailable(error) };
                job.answer(Err(error));
            }
        }
    }

    async fn attempt(&mut self, batch: &mut Vec<Job>) -> Result<(), Trouble> {
        if self.session.is_none() {
            let options = self.options.settings("writer");
            // Whoever connects may be turned away for many reasons that pass; patience decides.
            let session = Session::open(&options, self.backend.as_ref()).await.map_err(Trouble::Broken)?;
            self.backend = Some(session.backend.clone());
            self.session = Some(session);
        }
        if self.unclear.is_empty() && self.wary == 0 && self.fast(batch).await? {
            return Ok(());
        }
        self.under_lock(batch).await
    }

    fn connection(&mut self) -> Result<&mut sqlx::PgConnection, Trouble> {
        let session = self.session.as_mut().ok_or_else(|| Trouble::Broken(failure::timed_out()))?;
        Ok(&mut session.connection)
    }

    /// One statement, believing that nobody else appends. Whether that went well; if not, nothing was recorded.
    async fn fast(&mut self, batch: &mut Vec<Job>) -> Result<bool, Trouble> {
        self.absorb();
        // A stream that is expected to be new is believed to be: the unique index knows better if it is not.
        let missing = self.unknown_streams(batch, |expected| expected != Expected::NoStream);
        let found = rows::heads(self.connection()?, &missing).await?;
        let mut plan = self.plan(batch, &found, &HashMap::new());
        if plan.events.is_empty() {
            if rows::head(self.connection()?).await? != self.known {
                return Ok(false);
            }
        } else {
            self.unclear = probes(&plan);
            let (position, node, counted) = (self.known, self.node, self.counted());
            let moved = match record(self.connection()?, position, &plan.events, &plan.parts, node, counted).await {
                Ok(moved) => moved,
                Err(error) => {
                    if !failure::unclear(&error) {
                        self.unclear.clear();
                    }
                    return if failure::meaning(&error) == Meaning::Taken { Ok(false) } else { Err(error.into()) };
                }
            };
            self.unclear.clear();
            let Some(listeners) = moved else {
                self.wary = WARY;
                return Ok(false);
            };
            self.recorded(&mut plan, listeners);
        }
        self.answer_fast(batch, plan).await?;
        Ok(true)
    }

    /// Answers a batch that was decided without looking for remembered commands: what was refused may be the
    /// repetition of something recorded long ago. Those are answered last and stay in the batch until then, so that
    /// only they are tried again if looking fails.
    async fn answer_fast(&mut self, batch: &mut Vec<Job>, mut plan: Plan) -> Result<(), Trouble> {
        let (mut doubtful, mut refusals) = (Vec::new(), Vec::new());
        for (job, verdict) in std::mem::take(batch).into_iter().zip(std::mem::take(&mut plan.verdicts)) {
            match verdict {
                Verdict::Refused(refusal) if job.prepared.remember => {
                    doubtful.push(job);
                    refusals.push(refusal);
                }
                verdict => job.answer(verdict.into()),
            }
        }
        if doubtful.is_empty() {
            return Ok(());
        }
        *batch = doubtful;
        let commands: Vec<Uuid> = batch.iter().filter_map(|job| job.prepared.remembered()).collect();
        let found = rows::commands(self.connection()?, &commands).await?;
        for (job, refusal) in std::mem::take(batch).into_iter().zip(refusals) {
            let first = found.get(&job.prepared.command.as_uuid()).cloned();
            job.answer(first.ok_or(refusal));
        }
        Ok(())
    }

    /// Decides and records while nobody else can append.
    async fn under_lock(&mut self, batch: &mut Vec<Job>) -> Result<(), Trouble> {
        // Whatever goes wrong below leaves a transaction open: then the connection is given up.
        let mut session = self.session.take().ok_or_else(|| Trouble::Broken(failure::timed_out()))?;
        self.in_transaction(&mut session, batch).await?;
        self.session = Some(session);
        self.wary = self.wary.saturating_sub(1);
        Ok(())
    }

    async fn in_transaction(&mut self, session: &mut Session, batch: &mut Vec<Job>) -> Result<(), Trouble> {
        let connection = &mut session.connection;
        // Most of what others recorded is fetched before they have to wait for us.
        let head = rows::head(connection).await?;
        self.feed.catch_up(connection, head).await.map_err(read_trouble)?;
        let mut transaction = connection.begin().await?;
        let head = rows::lock_head(&mut transaction).await?;
        self.feed.catch_up(&mut transaction, head).await.map_err(read_trouble)?;
        self.absorb();
        self.clear_up(&mut transaction, batch).await?;
        let remembered: Vec<Uuid> = batch.iter().filter_map(|job| job.prepared.remembered()).collect();
        let commands = rows::commands(&mut transaction, &remembered).await?;
        let missing = self.unknown_streams(batch, |_| true);
        let found = rows::heads(&mut transaction, &missing).await?;
        let mut plan = self.plan(batch, &found, &commands);
        if plan.events.is_empty() {
            transaction.rollback().await?;
        } else {
            let recorded = record(&mut transaction, head, &plan.events, &plan.parts, self.node, self.counted()).await?;
            let listeners = recorded.ok_or_else(|| Trouble::Failed(sqlx::Error::RowNotFound))?;
            self.unclear = probes(&plan);
            match transaction.commit().await {
                Ok(()) => self.unclear.clear(),
                Err(error) => {
                    if !failure::unclear(&error) {
                        self.unclear.clear();
                    }
                    return Err(error.into());
                }
            }
            self.recorded(&mut plan, listeners);
        }
        answer(batch, plan);
        Ok(())
    }

    /// Finds out what became of a batch whose outcome is unclear, and answers the appends that were recorded. The
    /// head is locked and the connection that sent them is dead, so what is not there will never be.
    async fn clear_up(&mut self, connection: &mut sqlx::PgConnection, batch: &mut Vec<Job>) -> Result<(), Trouble> {
        if self.unclear.is_empty() {
            return Ok(());
        }
        let positions: Vec<Position> = self.unclear.iter().map(|probe| probe.done.position).collect();
        let hashes = rows::hashes(connection, &positions).await?;
        let mut recorded: HashMap<usize, Appended> = HashMap::new();
        for probe in std::mem::take(&mut self.unclear) {
            if hashes.get(&probe.done.position).is_some_and(|hash| *hash == probe.hash.0) {
                recorded.insert(probe.index, probe.done);
            }
        }
        tracing::info!(appends = batch.len(), recorded = recorded.len(), "cleared up the outcome of a batch");
        let mut open = Vec::new();
        for (index, job) in std::mem::take(batch).into_iter().enumerate() {
            match recorded.remove(&index) {
                Some(done) => job.answer(Ok(done)),
                None => open.push(job),
            }
        }
        *batch = open;
        Ok(())
    }

    fn plan(&mut self, batch: &mut [Job], found: &HashMap<StreamId, Head>, commands: &HashMap<Uuid, Appended>) -> Plan {
        let heads = &mut self.heads;
        plan(batch, self.known, |stream| heads.get(stream).or_else(|| found.get(stream)).copied(), commands)
    }

    fn unknown_streams(&self, batch: &[Job], asked: impl Fn(Expected) -> bool) -> Vec<StreamId> {
        let parts = batch.iter().flat_map(|job| &job.prepared.streams);
        let mut unknown: Vec<StreamId> = parts
            .filter(|part| asked(part.expected) && !self.heads.contains(&part.stream))
            .map(|part| part.stream)
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    /// Takes in what others have recorded, as far as the feed knows of it.
    fn absorb(&mut self) {
        let head = self.feed.head();
        if head <= self.known {
            return;
        }
        match self.feed.since(self.known) {
            Some(events) => {
                for event in events {
                    self.known = self.known.max(event.position);
                    // Only what is remembered is brought up to date: others' streams are rarely ours.
                    if let Some(known) = self.heads.peek_mut(&event.stream) {
                        *known = Head { revision: event.revision, hash: event.hash };
                    }
                }
            }
            None => {
                self.heads.clear();
                self.known = head;
            }
        }
    }

    fn counted(&self) -> i32 {
        i32::from(self.feed.listening.load(Ordering::Relaxed))
    }

    /// The plan is now history.
    fn recorded(&mut self, plan: &mut Plan, listeners: i32) {
        metrics::histogram!("journal_batch_events").record(u32::try_from(plan.events.len()).unwrap_or(u32::MAX));
        self.feed.listeners.store(listeners, Ordering::Relaxed);
        for (stream, head) in plan.heads.drain() {
            self.heads.put(stream, head);
        }
        let events: &[Arc<RecordedEvent>] = &plan.events;
        self.known = events.last().map_or(self.known, |event| event.position);
        self.feed.publish(events);
    }
}

fn probes(plan: &Plan) -> Vec<Probe> {
    let Some(first) = plan.events.first().map(|event| event.position.as_u64()) else { return Vec::new() };
    let accepted = plan.verdicts.iter().enumerate().filter_map(|(index, verdict)| match verdict {
        Verdict::Accepted(done) => {
            // Positions have no gaps.
            let last = usize::try_from(done.position.as_u64().checked_sub(first)?).ok()?;
            Some(Probe { index, hash: plan.events.get(last)?.hash, done: done.clone() })
        }
        _ => None,
    });
    accepted.collect()
}

fn answer(batch: &mut Vec<Job>, plan: Plan) {
    for (job, verdict) in std::mem::take(batch).into_iter().zip(plan.verdicts) {
        job.answer(verdict.into());
    }
}

fn read_trouble(error: ReadError) -> Trouble {
    match error {
        ReadError::Unavailable(error) => match error.downcast::<sqlx::Error>() {
            Ok(error) => Trouble::from(*error),
            Err(error) => Trouble::Failed(sqlx::Error::Decode(error)),
        },
        other => Trouble::Failed(sqlx::Error::Decode(Box::new(other))),
    }
}
