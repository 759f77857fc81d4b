//! The journal in KurrentDB, for those who outgrow one PostgreSQL.
//!
//! Every stream of the journal is a stream of KurrentDB, and a position is a place in its `$all`: ordered, never dense.
//! Each process sends its appends over one session ([`connection`], [`writer`]), keeps the newest events in memory for
//! its readers ([`feed`]), fed by one subscription ([`listener`]), and finishes appends to several streams that it
//! finds half-written ([`halves`]). docs/operate/kurrentdb.md says what this back end promises and what it cannot.

mod connect;
mod connection;
mod diagnosis;
mod envelope;
mod feed;
mod finish;
mod halves;
mod import;
mod listener;
mod locks;
mod names;
mod options;
mod read;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{CommandId, StreamId};
use eventstore::Error;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::chain::Entry;
use crate::prepare::{self, Prepared};
use crate::subscription::Follow;
use crate::{Append, AppendError, Appended, Filter, Journal, Page, Position, ReadError, RecordedEvent, Subscription};
use connection::{Connection, Meaning, meaning};
use envelope::{Message, Part};
use names::Names;
use writer::Core;

pub use import::Importer;
pub use options::{OpenError, Options, is_prefix};

/// How old a half-written append is before somebody other than its writer finishes it.
const ABANDONED: Duration = Duration::from_secs(20);
/// How long the end waits for the subscription to bring what was recorded.
const FAREWELL: Duration = Duration::from_secs(3);

/// The journal's handle; cheap to clone. It records only while its [`Service`] runs.
#[derive(Clone)]
pub struct KurrentJournal {
    queue: mpsc::Sender<Job>,
    /// Memory for appends that wait or are on their way, in KiB.
    share: Arc<Semaphore>,
    share_kib: u32,
    core: Arc<Core>,
    identity: Uuid,
}

/// An append that waits.
struct Job {
    prepared: Prepared,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
    since: Instant,
    /// Its share of the memory.
    _share: tokio::sync::OwnedSemaphorePermit,
}

/// The journal's own work; the program runs it from start to end.
pub struct Service {
    jobs: mpsc::Receiver<Job>,
    core: Arc<Core>,
}

impl KurrentJournal {
    /// Opens the journal, after finishing what a crash may have left half-written.
    ///
    /// # Errors
    /// When the cluster cannot be reached, or holds what cannot be read.
    pub async fn open(options: Options) -> Result<(Self, Service), OpenError> {
        let names = Names::new(&options.prefix).ok_or_else(|| OpenError::Prefix(options.prefix.clone()))?;
        let (connection, head) = connected(&options, &names).await?;
        let identity = identity(&connection, &names).await?;
        let (queue, jobs) = mpsc::channel(options.queue.max(1));
        let share_kib = options.queue_kib.max(1);
        let core = Arc::new(Core::new(options, names, connection, head));
        core.recover().await?;
        let journal = Self {
            queue,
            share: Arc::new(Semaphore::new(usize::try_from(share_kib).unwrap_or(Semaphore::MAX_PERMITS))),
            share_kib,
            core: Arc::clone(&core),
            identity,
        };
        Ok((journal, Service { jobs, core }))
    }

    /// The journal's own id, given to it when it was first opened.
    #[must_use]
    pub fn identity(&self) -> Uuid {
        self.identity
    }
}

/// The way to the cluster and where its journal ends, once it has answered; if it does not, the error says what is wrong with each node.
async fn connected(options: &Options, names: &Names) -> Result<(Connection, Position), OpenError> {
    options.connect.check_certificates()?;
    let connection = Connection::new(options.connect.settings.clone(), options.request);
    match read::head(&connection, names).await {
        Ok(head) => Ok((connection, head)),
        Err(source @ ReadError::Unavailable(_)) => match diagnosis::diagnose(&options.connect).await {
            Some(why) => Err(OpenError::Unusable { why, source }),
            None => Err(source.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// The journal's own id; a new journal gets one.
async fn identity(connection: &Connection, names: &Names) -> Result<Uuid, ReadError> {
    let name = names.identity();
    let proposal = Uuid::new_v4();
    let message = Message {
        id: proposal,
        event_type: "hishamos.journal".to_owned(),
        metadata: Bytes::new(),
        payload: Bytes::copy_from_slice(proposal.as_bytes()),
    };
    let part = Part { name: name.clone(), next: 0, messages: vec![message] };
    for attempt in 0.. {
        let first = connection.read(&name, 0, 1).await.map_err(unavailable)?.into_iter().next();
        if let Some(first) = first {
            return Uuid::from_slice(&first.data)
                .map_err(|error| ReadError::Damaged { position: Position::START, what: format!("{name}: {error}") });
        }
        // Somebody else may be opening it at the same time; whatever the answer, the next look tells.
        if let Err(failed) = connection.append(&part).await
            && (attempt == 3 || meaning(&failed.error) == Meaning::Refused)
        {
            return Err(unavailable(failed.error));
        }
    }
    Err(ReadError::Closed)
}

fn unavailable(error: Error) -> ReadError {
    ReadError::Unavailable(Box::new(error))
}

impl Core {
    /// Looks for appends that somebody began and did not finish, and finishes them.
    async fn recover(&self) -> Result<(), ReadError> {
        let until = Instant::now() + self.options.patience;
        let whole = self.connection.read_back(&self.names.whole(), 1).await.map_err(unavailable)?;
        let mut from = whole.first().and_then(|event| event.data.as_ref().try_into().ok()).map(u64::from_le_bytes);
        let prefixes = [self.names.events(), self.names.commands()];
        loop {
            let slice = match self.connection.read_all(from, &prefixes, 1000).await {
                Err(error) if meaning(&error) == Meaning::NoPlace => {
                    // After a restore, positions may be others: then everything is looked through.
                    tracing::warn!("the note on how far appends are whole does not fit; looking through all of them");
                    from = None;
                    continue;
                }
                slice => slice.map_err(unavailable)?,
            };
            let last = slice.events.last().map(|event| event.position.commit);
            for event in &slice.events {
                self.halves.observe(event.id, event.stream_id(), event.position.commit, envelope::rest(event));
            }
            if !slice.more || last == from {
                break;
            }
            from = last;
        }
        let halves = self.halves.older(Duration::ZERO);
        if !self.finish_halves(halves, until).await {
            return Err(ReadError::Unavailable("a half-written append could not be finished".into()));
        }
        // What was just finished is part of the journal that is opened.
        let head = read::head(&self.connection, &self.names).await?;
        self.feed.recorded(head);
        Ok(())
    }

    /// Notes how far every append is whole, so that the next start need not look further back.
    async fn note_whole(&self, noted: &mut u64) {
        let whole = self.halves.oldest().unwrap_or_else(|| self.feed.seen().head.as_u64());
        if whole <= *noted {
            return;
        }
        let name = self.names.whole();
        let noting = async {
            let last = self.connection.read_back(&name, 1).await?;
            let next = last.first().map_or(0, |event| event.revision + 1);
            let message = Message {
                id: Uuid::new_v4(),
                event_type: "hishamos.whole".to_owned(),
                metadata: Bytes::new(),
                payload: Bytes::copy_from_slice(&whole.to_le_bytes()),
            };
            let part = Part { name: name.clone(), next, messages: vec![message] };
            self.connection.append(&part).await.map(drop).map_err(|failed| failed.error)
        };
        match noting.await {
            Ok(()) => *noted = whole,
            // Another process noted something; ours only saves time.
            Err(error) => tracing::debug!(%error, "how far appends are whole could not be noted"),
        }
    }
}

impl Service {
    /// Works until `shutdown`, then records what had been handed in before and ends every subscription.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { jobs, core } = self;
        let stop = CancellationToken::new();
        let work = async {
            write(Arc::clone(&core), jobs, &shutdown).await;
            // Whoever follows gets everything that was recorded.
            let _ = tokio::time::timeout(FAREWELL, core.feed.caught_up()).await;
            stop.cancel();
        };
        tokio::join!(work, listener::run(Arc::clone(&core), stop.clone()));
        core.feed.close();
    }
}

/// Writes what is handed in, many appends at a time.
async fn write(core: Arc<Core>, mut jobs: mpsc::Receiver<Job>, shutdown: &CancellationToken) {
    /// How often the progress of whole appends is noted.
    const NOTE: Duration = Duration::from_secs(60);
    let flights = Arc::new(Semaphore::new(core.options.in_flight.max(1)));
    let mut writing = JoinSet::new();
    let mut watch = tokio::time::interval(core.options.watch);
    watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut noted, mut last_note) = (0, Instant::now());
    loop {
        tokio::select! {
            job = jobs.recv() => {
                let Some(job) = job else { break };
                let Ok(flight) = Arc::clone(&flights).acquire_owned().await else { break };
                let core = Arc::clone(&core);
                writing.spawn(async move {
                    let Job { prepared, answer, since, _share } = job;
                    let done = Box::pin(core.append(prepared, since)).await;
                    metrics::histogram!("journal_append_seconds").record(since.elapsed().as_secs_f64());
                    if done.as_ref().is_err_and(|error| error.conflict().is_some()) {
                        metrics::counter!("journal_conflicts_total").increment(1);
                    }
                    // A caller that went away does not want to know.
                    let _ = answer.send(done);
                    drop(flight);
                });
            }
            Some(_) = writing.join_next() => {}
            _ = watch.tick() => {
                let halves = core.halves.older(ABANDONED);
                if !halves.is_empty() {
                    core.finish_halves(halves, Instant::now() + core.options.request).await;
                }
                if last_note.elapsed() >= NOTE {
                    core.note_whole(&mut noted).await;
                    last_note = Instant::now();
                }
            }
            () = shutdown.cancelled(), if !core.stopping.is_cancelled() => {
                core.stopping.cancel();
                jobs.close();
            }
        }
    }
    while writing.join_next().await.is_some() {}
    // Only what the subscription has brought is known to be whole.
    let _ = tokio::time::timeout(FAREWELL, core.feed.caught_up()).await;
    let _ = tokio::time::timeout(core.options.request, core.note_whole(&mut noted)).await;
}

#[async_trait]
impl Journal for KurrentJournal {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let since = Instant::now();
        let prepared = prepare::prepare(append)?;
        let kib = u32::try_from(prepared.bytes / 1024 + 1).unwrap_or(u32::MAX).min(self.share_kib);
        let share = Arc::clone(&self.share).acquire_many_owned(kib).await.map_err(|_| AppendError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let job = Job { prepared, answer, since, _share: share };
        self.queue.send(job).await.map_err(|_| AppendError::Closed)?;
        answered.await.unwrap_or(Err(AppendError::Unclear))
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let name = self.core.names.stream(stream);
        let events = self.core.connection.read(&name, from, limit).await.map_err(unavailable)?;
        events.into_iter().map(|event| envelope::recorded(&self.core.names, event).map(Arc::new)).collect()
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        if after < self.core.feed.seen().head
            && let Some(page) = self.core.feed.page(after, filter, limit)
        {
            return Ok(page);
        }
        let mut until = self.core.feed.seen().recorded;
        if after >= until {
            until = self.head().await?;
        }
        self.core.page(after, until, filter, limit).await
    }

    async fn read_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.core.page_back(before, filter, limit).await
    }

    async fn read_entries(&self, after: Position, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let prefixes = [self.core.names.events()];
        let slice = self.core.after(after, &prefixes, limit).await?;
        Ok(slice.events.into_iter().map(|event| envelope::entry(&self.core.names, event)).collect())
    }

    fn subscribe(&self, after: Position, filter: Filter) -> Subscription {
        let source: Arc<dyn Follow> = Arc::clone(&self.core) as _;
        Subscription::new(source, after, filter)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        read::head(&self.core.connection, &self.core.names).await
    }

    fn seen(&self) -> Position {
        self.core.feed.seen().recorded
    }

    fn gapless(&self) -> bool {
        false
    }

    async fn find_command(&self, command: CommandId) -> Result<Option<Appended>, ReadError> {
        let until = Instant::now() + self.core.options.request;
        self.core.find(command.as_uuid(), until).await.map_err(|error| match error {
            AppendError::Unavailable(error) => ReadError::Unavailable(error),
            other => ReadError::Unavailable(Box::new(other)),
        })
    }
}
