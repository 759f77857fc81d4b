//! The journal in PostgreSQL, the default back end.
//!
//! One row, `journal.head`, says where the journal ends, and every append moves it on: so positions have no gaps and
//! follow the order of commits, whatever the number of processes, and a reader never has to wait for a gap to fill.
//! Each process has one writer ([`writer`]), keeps the newest events in memory for its readers ([`feed`]), and hears
//! of the events of other processes ([`listener`]). Which processes there are is known by [`members`]. While nothing
//! happens, nothing is asked of the database.

mod checkpoints;
mod failure;
mod feed;
mod import;
mod listener;
mod members;
mod migrate;
mod options;
mod parts;
mod plan;
mod presence;
mod rows;
mod session;
mod snapshots;
mod waiting;
mod writer;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use domain::{CommandId, StreamId};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::chain::Entry;
use crate::{
    Append, AppendError, Appended, Filter, Journal, Page, Position, ReadError, RecordedEvent, Several, Subscription,
    Turn, prepare,
};
use feed::Feed;
use listener::Listener;
use writer::{Job, Writer};

pub use checkpoints::PostgresCheckpoints;
pub use import::Importer;
pub use members::Membership;
pub use migrate::{MIGRATOR, migrate};
pub use options::{OpenError, Options};
pub use snapshots::PostgresSnapshots;

/// The journal's handle; cheap to clone. It records only while its [`Service`] runs.
#[derive(Clone)]
pub struct PostgresJournal {
    queue: mpsc::Sender<Job>,
    /// Memory for waiting appends, in KiB.
    share: Arc<Semaphore>,
    share_kib: u32,
    feed: Arc<Feed>,
}

/// The journal's own work; the program runs it from start to end.
pub struct Service {
    writer: Writer,
    listener: Listener,
    shutdown: CancellationToken,
    feed: Arc<Feed>,
    pool: PgPool,
}

impl PostgresJournal {
    /// Opens the journal of a migrated database.
    ///
    /// # Errors
    /// When the database cannot be reached, holds no journal, or one that does not end where it says.
    pub async fn open(options: Options) -> Result<(Self, Service), OpenError> {
        let pool = PgPoolOptions::new()
            .max_connections(options.readers.max(1))
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.settings("reader"))
            .await?;
        let head = end_of(&pool).await?;
        let feed = Arc::new(Feed::new(pool.clone(), head, options.tail_events, options.tail_bytes));
        let (queue, jobs) = mpsc::channel(options.queue.max(1));
        let node = Uuid::new_v4();
        let shutdown = CancellationToken::new();
        let share_kib = options.queue_kib.max(1);
        let journal = Self {
            queue,
            share: Arc::new(Semaphore::new(usize::try_from(share_kib).unwrap_or(Semaphore::MAX_PERMITS))),
            share_kib,
            feed: Arc::clone(&feed),
        };
        let listener = Listener { options: options.settings("listener"), feed: Arc::clone(&feed), node };
        let writer = Writer::new(jobs, options, Arc::clone(&feed), node, shutdown.clone());
        Ok((journal, Service { writer, listener, shutdown, feed, pool }))
    }
}

impl Service {
    /// Works until `shutdown`, then records what had been handed in before, says goodbye to the other processes and
    /// ends every subscription.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { writer, listener, shutdown: writers, feed, pool } = self;
        let written = CancellationToken::new();
        let write = async {
            writer.run().await;
            // Only now: whoever still appends has to be counted among those that notify.
            written.cancel();
        };
        let stop = async {
            shutdown.cancelled().await;
            writers.cancel();
        };
        tokio::join!(write, listener.run(written.clone()), stop);
        feed.close();
        pool.close().await;
    }
}

/// Where the journal ends, proved by its last event.
async fn end_of(pool: &PgPool) -> Result<Position, OpenError> {
    let mut transaction = pool.begin().await?;
    let missing =
        |error: &sqlx::Error| error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("42P01"));
    // Nobody appends between the two looks.
    let head = match rows::lock_head(&mut transaction).await {
        Err(error) if missing(&error) => return Err(OpenError::NotMigrated),
        Err(sqlx::Error::RowNotFound) => return Err(OpenError::NotMigrated),
        head => head?,
    };
    let last = match rows::last(&mut transaction).await {
        // A journal of an older version.
        Err(error) if missing(&error) => return Err(OpenError::NotMigrated),
        last => last?,
    };
    transaction.rollback().await?;
    if head == last { Ok(head) } else { Err(OpenError::HeadMismatch { head, last }) }
}

impl PostgresJournal {
    /// Hands an append to the one who writes; from then on its place among all others is fixed.
    async fn put(&self, append: Append, mut turn: Option<Turn>) -> Result<Appended, AppendError> {
        let since = Instant::now();
        let prepared = prepare::prepare(append)?;
        let kib = u32::try_from(prepared.bytes / 1024 + 1).unwrap_or(u32::MAX).min(self.share_kib);
        let share = Arc::clone(&self.share).acquire_many_owned(kib).await.map_err(|_| AppendError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let held = turn.as_mut().and_then(Turn::take_held);
        let job = Job { prepared, answer, since, turn, _share: share };
        self.queue.send(job).await.map_err(|_| AppendError::Closed)?;
        drop(held);
        answered.await.unwrap_or(Err(AppendError::Unclear))
    }
}

#[async_trait]
impl Journal for PostgresJournal {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.put(append, None).await
    }

    async fn append_in_turn(&self, append: Append, turn: Turn) -> Result<Appended, AppendError> {
        self.put(append, Some(turn)).await
    }

    fn takes_ahead(&self) -> bool {
        true
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        self.feed.read(|mut connection| async move { rows::stream(&mut connection, stream, from, limit).await }).await
    }

    async fn read_streams(
        &self,
        streams: &[StreamId],
        until: Position,
        limit: usize,
    ) -> Result<Option<Vec<Arc<RecordedEvent>>>, ReadError> {
        self.feed
            .read(|mut connection| async move { rows::streams(&mut connection, streams, until, limit).await })
            .await
    }

    async fn read_each(&self, wanted: &[(StreamId, u64)], each: usize) -> Result<Several, ReadError> {
        self.feed.read(|mut connection| async move { rows::each(&mut connection, wanted, each).await }).await
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        let mut until = self.feed.head();
        if after >= until {
            until = self.head().await?;
        } else if let Some(page) = self.feed.page(after, filter, limit) {
            return Ok(page);
        }
        self.feed
            .read(|mut connection| async move { rows::page(&mut connection, after, until, filter, limit).await })
            .await
    }

    async fn read_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.feed
            .read(|mut connection| async move {
                let head = rows::head(&mut connection).await?.as_u64();
                // Everything up to the head is before the position after it.
                let end = before.map_or(u64::MAX, Position::as_u64).min(head.saturating_add(1));
                rows::page_back(&mut connection, Position::from_u64(end), filter, limit).await
            })
            .await
    }

    async fn read_entries(&self, after: Position, limit: usize) -> Result<Vec<Entry>, ReadError> {
        self.feed.read(|mut connection| async move { Ok(rows::entries(&mut connection, after, limit).await?) }).await
    }

    fn subscribe(&self, after: Position, filter: Filter) -> Subscription {
        let source: Arc<dyn crate::subscription::Follow> = Arc::clone(&self.feed) as _;
        Subscription::new(source, after, filter)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.feed.read(|mut connection| async move { Ok(rows::head(&mut connection).await?) }).await
    }

    fn seen(&self) -> Position {
        self.feed.head()
    }

    fn gapless(&self) -> bool {
        true
    }

    async fn find_command(&self, command: CommandId) -> Result<Option<Appended>, ReadError> {
        let command = command.as_uuid();
        let mut found = self
            .feed
            .read(|mut connection| async move { Ok(rows::commands(&mut connection, &[command]).await?) })
            .await?;
        Ok(found.remove(&command))
    }
}
