//! Keeps one read model up with the journal.
//!
//! Invariants: one connection holds the projector's lock and writes its batches, so both end together; an idle runner
//! sends no statements; an event that cannot be digested stops this projector only, and is never skipped.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use journal::{Batch, Journal, Members, Position, ReadError};
use metrics::{counter, gauge, histogram};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::progress::{Progress, Standing};
use crate::projector::{BatchError, Claim, Projector, apply, move_checkpoint};
use crate::{Error, Options, rebuild, tables};

/// One projector at work in this process.
pub(crate) struct Runner {
    pub(crate) pool: PgPool,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) projector: Arc<dyn Projector>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) options: Options,
    /// Where there are other nodes: who of them is alive.
    pub(crate) members: Option<Members>,
    /// Held by the one of this process that writes much and is not urgent.
    pub(crate) turns: Arc<Mutex<()>>,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("it was asked to stop")]
    Stopped,
    #[error("another process took it over, or a rebuild switched the tables")]
    Fenced,
    #[error("its tables were made by version {0}, which is newer than this program's")]
    Newer(i32),
    #[error("the event at position {position} cannot be applied: {what}")]
    Poisoned { position: Position, what: String },
    #[error(transparent)]
    Failed(Error),
}

impl From<sqlx::Error> for Ended {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ReadError> for Ended {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Closed => Self::Stopped,
            ReadError::Damaged { position, what } => Self::Poisoned { position, what },
            error @ ReadError::Unavailable(_) => Self::Failed(error.into()),
        }
    }
}

impl From<BatchError> for Ended {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Fenced => Self::Fenced,
            BatchError::Poisoned { position, what, .. } => Self::Poisoned { position, what },
            BatchError::Database(error) => error.into(),
        }
    }
}

impl Runner {
    /// How long a failed runner waits before it tries again, at first and at most.
    const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
    /// How often a program that is too old looks whether it may run after all.
    const OUTDATED: Duration = Duration::from_secs(60);
    /// A batch with so many events means that there is much to do: after it, those gather so many times as long that answer
    /// only questions that name them. They also take so many pages at once.
    const BUSY: usize = 500;
    const LONGER: u32 = 10;
    const PAGES: usize = 3;
    /// After so long without events, the position is written down even if no rows changed.
    const QUIET: Duration = Duration::from_secs(1);

    /// Runs until asked to stop.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let name = self.progress.name;
        let mut backoff = Self::BACKOFF.0;
        while !shutdown.is_cancelled() {
            let before = self.progress.standing();
            let ended = self.session(&shutdown).await;
            let pause = match &ended {
                Ended::Stopped => {
                    self.progress.set(Standing::Elsewhere);
                    // A closed journal ends the session before the program itself is asked to stop.
                    shutdown.cancelled().await;
                    return;
                }
                Ended::Fenced => {
                    tracing::info!(projector = name, "projector starts over: {ended}");
                    self.progress.set(Standing::Elsewhere);
                    Duration::ZERO
                }
                Ended::Newer(_) => {
                    tracing::error!(projector = name, "projector does not run: {ended}");
                    self.progress.set(Standing::Elsewhere);
                    Self::OUTDATED
                }
                Ended::Poisoned { position, what } => {
                    tracing::error!(projector = name, position = position.as_u64(), "projector stopped: {ended}");
                    self.progress.set(Standing::Poisoned { position: *position, what: what.clone() });
                    gauge!("hishamos_projection_poisoned", "projector" => name).set(1.0);
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = self.progress.resume.notified() => {}
                    }
                    self.progress.set(Standing::Elsewhere);
                    Duration::ZERO
                }
                Ended::Failed(error) => {
                    // Having got anywhere is success enough to try again soon.
                    if self.progress.standing() != before {
                        backoff = Self::BACKOFF.0;
                    }
                    let error: &dyn std::error::Error = error;
                    tracing::warn!(projector = name, error, "projector lost its database or journal; trying again");
                    let pause = backoff;
                    backoff = (backoff * 2).min(Self::BACKOFF.1);
                    pause
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn session(&self, shutdown: &CancellationToken) -> Ended {
        let opened = tokio::select! {
            () = shutdown.cancelled() => return Ended::Stopped,
            opened = self.open(shutdown) => opened,
        };
        let (mut connection, claim, from) = match opened {
            Ok(opened) => opened,
            Err(ended) => return ended,
        };
        gauge!("hishamos_projection_poisoned", "projector" => self.progress.name).set(0.0);
        self.progress.reach(from);
        let Err(ended) = self.follow(&mut connection, claim, from, shutdown).await;
        if let Ended::Poisoned { .. } = &ended
            && let Err(error) = tables::mark_poisoned(&mut connection, claim, &ended.to_string()).await
        {
            return error.into();
        }
        // The lock goes with the connection; a connection that cannot be closed is gone already.
        let _ = connection.close().await;
        ended
    }

    /// Gets the lock and the checkpoint, and makes the tables anew when they are of an older version.
    async fn open(&self, shutdown: &CancellationToken) -> Result<(PgConnection, Claim, Position), Ended> {
        let projector = &*self.projector;
        tables::ensure(&self.pool, projector).await?;
        let members = self.members.as_ref();
        let mut connection = match members {
            Some(members) => tables::connect_of(&self.pool, projector.schema(), members.me()).await?,
            None => tables::connect(&self.pool, projector.schema()).await?,
        };
        tables::lock(&mut connection, projector.name(), members).await?;
        loop {
            let owned = tables::take(&mut connection, projector.name()).await?;
            if owned.version > projector.version() {
                return Err(Ended::Newer(owned.version));
            }
            if owned.version == projector.version() {
                return Ok((connection, owned.claim, owned.position));
            }
            tracing::info!(
                projector = projector.name(),
                from = owned.version,
                to = projector.version(),
                "the read model is of an older version and is made again; until then it stands still"
            );
            rebuild::run(&self.pool, &*self.journal, projector, shutdown, &mut |_| {}).await.map_err(|error| {
                if matches!(error, Error::Interrupted { .. }) { Ended::Stopped } else { Ended::Failed(error) }
            })?;
        }
    }

    /// Applies what comes until something ends it.
    ///
    /// After a batch, the next is left to gather for a while, unless somebody waits or there is more at hand already. What
    /// answers only questions that name it gathers longer and more when there is much: the more of a task's life is in one
    /// batch, the fewer rows are written twice.
    async fn follow(
        &self,
        connection: &mut PgConnection,
        claim: Claim,
        from: Position,
        shutdown: &CancellationToken,
    ) -> Result<std::convert::Infallible, Ended> {
        let apart = self.projector.apart();
        let pages = if apart { Self::PAGES } else { 1 };
        let mut subscription = self.journal.subscribe(from, self.projector.filter()).with_batch(self.options.batch);
        let mut waiting = self.progress.waiting();
        let mut due = Instant::now();
        // What the checkpoint's row says, and what the rows reflect: events for others move only the second.
        let (mut written, mut reached) = (from, from);
        loop {
            if *waiting.borrow_and_update() == 0 && Instant::now() < due {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep_until(due) => continue,
                    _ = waiting.changed() => continue,
                }
            }
            self.heartbeat(reached, reached);
            let mut batch = tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.write_down(connection, claim, &mut written, reached).await?;
                    return Err(Ended::Stopped);
                }
                next = subscription.next() => next?,
                () = tokio::time::sleep(Self::QUIET), if reached > written => {
                    self.write_down(connection, claim, &mut written, reached).await?;
                    continue;
                }
            };
            for _ in 1..pages {
                if batch.caught_up {
                    break;
                }
                // What fails here fails again in the next round, when all before it is written.
                let Ok(more) = subscription.next().await else { break };
                batch.events.extend(more.events);
                (batch.position, batch.caught_up) = (more.position, more.caught_up);
            }
            self.heartbeat(reached, batch.position);
            let busy = apart && batch.events.len() >= Self::BUSY;
            let linger = if busy { self.options.linger * Self::LONGER } else { self.options.linger };
            if batch.events.is_empty() {
                if batch.position.as_u64() - written.as_u64() >= self.options.unwritten {
                    self.write_down(connection, claim, &mut written, batch.position).await?;
                }
            } else {
                let turn = if busy { turn(&self.turns, &mut waiting, shutdown, linger).await } else { None };
                self.apply(connection, claim, written, &batch).await?;
                drop(turn);
                written = batch.position;
            }
            reached = batch.position;
            self.progress.reach(reached);
            due = Instant::now() + if batch.caught_up { linger } else { Duration::ZERO };
        }
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        claim: Claim,
        written: Position,
        batch: &Batch,
    ) -> Result<(), Ended> {
        let started = Instant::now();
        let applied = apply(&*self.projector, connection, claim, written, &batch.events, batch.position).await;
        if let Err(BatchError::Poisoned { applied, .. }) = &applied {
            self.progress.reach(*applied);
        }
        applied?;
        let name = self.progress.name;
        // `as`: the rounding of a float does not matter in a metric.
        histogram!("hishamos_projection_batch_events", "projector" => name).record(batch.events.len() as f64);
        histogram!("hishamos_projection_batch_seconds", "projector" => name).record(started.elapsed().as_secs_f64());
        counter!("hishamos_projection_events_total", "projector" => name).increment(batch.events.len() as u64);
        Ok(())
    }

    /// Moves the checkpoint over events that are not for this projector.
    async fn write_down(
        &self,
        connection: &mut PgConnection,
        claim: Claim,
        written: &mut Position,
        reached: Position,
    ) -> Result<(), Ended> {
        if reached > *written {
            move_checkpoint(connection, claim, *written, reached).await?;
            *written = reached;
        }
        Ok(())
    }

    fn heartbeat(&self, reached: Position, known: Position) {
        let name = self.progress.name;
        let behind = known.as_u64().saturating_sub(reached.as_u64());
        // `as`: the rounding of a float does not matter in a metric.
        gauge!("hishamos_projection_lag_positions", "projector" => name).set(behind as f64);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        gauge!("hishamos_projection_heartbeat_seconds", "projector" => name).set(now.as_secs_f64());
    }
}

/// Those that answer only questions that name them write one after the other when there is much: all at once, they would leave
/// no processor to the runs. Without a turn goes ahead who is waited for, is asked to stop, or has waited for so long that it
/// may be somebody else's database that hangs.
async fn turn<'a>(
    turns: &'a Mutex<()>,
    waiting: &mut watch::Receiver<usize>,
    shutdown: &CancellationToken,
    longest: Duration,
) -> Option<MutexGuard<'a, ()>> {
    tokio::select! {
        biased;
        _ = waiting.wait_for(|waiting| *waiting > 0) => None,
        turn = turns.lock() => Some(turn),
        () = shutdown.cancelled() => None,
        () = tokio::time::sleep(longest) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(250);

    #[tokio::test(start_paused = true)]
    async fn turns_are_taken_one_after_the_other() {
        let (turns, shutdown, waiters) = (Mutex::new(()), CancellationToken::new(), watch::Sender::new(0));
        let mut waiting = waiters.subscribe();
        let first = turn(&turns, &mut waiting, &shutdown, LONGEST).await;
        assert!(first.is_some());
        let next = turn(&turns, &mut waiting, &shutdown, LONGEST);
        tokio::pin!(next);
        assert!(tokio::time::timeout(LONGEST / 2, &mut next).await.is_err());
        drop(first);
        assert!(next.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_nor_while_somebody_waits_nor_at_the_end() {
        let (turns, shutdown, waiters) = (Mutex::new(()), CancellationToken::new(), watch::Sender::new(0));
        let mut waiting = waiters.subscribe();
        let _held = turns.lock().await;
        let before = Instant::now();
        assert!(turn(&turns, &mut waiting, &shutdown, LONGEST).await.is_none());
        assert_eq!(before.elapsed(), LONGEST);
        let before = Instant::now();
        let (urgent, _) = tokio::join!(turn(&turns, &mut waiting, &shutdown, LONGEST), async { waiters.send(1) });
        assert!(urgent.is_none() && before.elapsed().is_zero());
        waiters.send_replace(0);
        shutdown.cancel();
        assert!(turn(&turns, &mut waiting, &shutdown, LONGEST).await.is_none());
        assert!(before.elapsed().is_zero());
    }
}
