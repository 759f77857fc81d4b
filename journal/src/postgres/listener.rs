//! Hearing what other processes record.
//!
//! Each process holds a shared advisory lock on the connection on which it listens, so the locks count the listeners;
//! the count is kept in the head row, where every append sees it for free, and is taken anew by whoever comes or
//! goes. It may be too high after a crash, which costs a notification nobody hears; whoever joins, or joins again
//! after its connection broke, tells the others where the journal ends, so nobody is left behind by a count that was
//! too low meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Acquire, PgConnection};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::failure;
use super::feed::Feed;
use super::rows;
use super::session::{CHANNEL, notice, read_notice};
use crate::{Position, ReadError};

/// The class of the advisory locks that count listeners: "hish" in ASCII.
const CLASS: i32 = 0x6869_7368;
/// How often the connection is tried while there are other processes: a dead one would go unnoticed for hours.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// How long any answer may take.
const ANSWER: Duration = Duration::from_secs(10);

pub(super) struct Listener {
    pub(super) options: PgConnectOptions,
    pub(super) feed: Arc<Feed>,
    pub(super) node: Uuid,
}

impl Listener {
    /// Listens until the shutdown, over as many connections as it takes.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let mut pause = Duration::from_millis(50);
        loop {
            let begun = tokio::time::Instant::now();
            let result = self.listen(&shutdown).await;
            self.feed.listening.store(false, Ordering::Relaxed);
            let Err(error) = result else { return };
            tracing::warn!(%error, "lost the connection that listens for other processes' events; connecting again");
            if begun.elapsed() > ANSWER {
                pause = Duration::from_millis(50);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    async fn listen(&self, shutdown: &CancellationToken) -> Result<(), ReadError> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(ANSWER)
            .connect_lazy_with(self.options.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.ignore_pool_close_event(true);
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        in_time(self.join(&mut listener)).await?;
        let mut heartbeat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
        loop {
            let others = self.feed.listeners.load(Ordering::Relaxed) > 1;
            tokio::select! {
                heard = listener.try_recv() => {
                    let mut heard = heard?.ok_or_else(broken)?;
                    let mut until = Position::START;
                    loop {
                        until = until.max(self.position_of(heard.payload()));
                        let Some(next) = listener.next_buffered() else { break };
                        heard = next;
                    }
                    self.catch_up(until).await?;
                }
                _ = heartbeat.tick(), if others => {
                    in_time(async {
                        let head = rows::head(listener.acquire().await?).await?;
                        self.catch_up(head).await
                    }).await?;
                }
                () = shutdown.cancelled() => {
                    // Failing to say goodbye only leaves the count too high.
                    let _ = in_time(self.leave(&mut listener)).await;
                    return Ok(());
                }
            }
        }
    }

    /// Up to where others have recorded, given what they say.
    fn position_of(&self, text: &str) -> Position {
        match read_notice(text) {
            Some((node, _)) if node == self.node => Position::START,
            Some((_, position)) => {
                self.feed.listeners.fetch_max(2, Ordering::Relaxed);
                position
            }
            None => Position::START,
        }
    }

    async fn catch_up(&self, until: Position) -> Result<(), ReadError> {
        if until <= self.feed.head() {
            return Ok(());
        }
        self.feed.read(|mut connection| async move { self.feed.catch_up(&mut connection, until).await }).await
    }

    async fn join(&self, listener: &mut PgListener) -> Result<(), ReadError> {
        let connection = listener.acquire().await?;
        sqlx::query_scalar!("SELECT pg_advisory_lock_shared($1, 0)::text", CLASS).fetch_one(&mut *connection).await?;
        let head = self.count(connection).await?;
        self.feed.listening.store(true, Ordering::Relaxed);
        self.catch_up(head).await
    }

    async fn leave(&self, listener: &mut PgListener) -> Result<(), ReadError> {
        let connection = listener.acquire().await?;
        sqlx::query_scalar!("SELECT pg_advisory_unlock_shared($1, 0)", CLASS).fetch_one(&mut *connection).await?;
        self.count(connection).await?;
        Ok(())
    }

    /// Counts the listeners while nobody can append, and tells them where the journal ends.
    async fn count(&self, connection: &mut PgConnection) -> Result<Position, ReadError> {
        let mut transaction = connection.begin().await?;
        let head = rows::lock_head(&mut transaction).await?;
        let listeners = sqlx::query_scalar!(
            r#"UPDATE journal.head SET listeners = (
                SELECT count(*) FROM pg_locks
                WHERE locktype = 'advisory' AND classid::bigint = $1 AND objid = 0 AND objsubid = 2 AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            ) WHERE single RETURNING listeners"#,
            i64::from(CLASS)
        )
        .fetch_one(&mut *transaction)
        .await?;
        if listeners > 1 {
            sqlx::query_scalar!("SELECT pg_notify($1, $2)::text", CHANNEL, notice(self.node, head))
                .fetch_one(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        self.feed.listeners.store(listeners, Ordering::Relaxed);
        Ok(head)
    }
}

fn broken() -> ReadError {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into()).into()
}

async fn in_time<T>(work: impl Future<Output = Result<T, ReadError>>) -> Result<T, ReadError> {
    tokio::time::timeout(ANSWER, work).await.unwrap_or_else(|_| Err(failure::timed_out().into()))
}
