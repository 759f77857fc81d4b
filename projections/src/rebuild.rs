//! Makes a read model again from the journal, beside the live one, and puts it in the live one's place.
//!
//! Invariants: queries never see a half-made read model and never wait for one; the position that a read model
//! reflects never goes back; an interrupted rebuild leaves the live one as it was.

use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::{Journal, Position, RecordedEvent};
use sqlx::{Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::projector::{ApplyError, BatchError, Claim, Projector, apply, now_micros, number, position};
use crate::{Error, tables};

/// How a rebuild goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rebuilding {
    /// Which read model.
    pub projector: &'static str,
    /// How many events have been applied.
    pub events: u64,
    /// The position up to which the new read model is made.
    pub position: Position,
    /// The journal's last position when the rebuild began.
    pub head: Position,
    /// How long it has taken so far.
    pub elapsed: Duration,
}

impl Rebuilding {
    /// Events applied per second so far.
    #[must_use]
    pub fn rate(&self) -> f64 {
        // `as`: a rate is for reading, and need not be exact.
        let events = self.events as f64;
        events / self.elapsed.as_secs_f64().max(1e-6)
    }
}

/// Events per transaction.
const BATCH: usize = 5000;

/// Rebuilds and switches. Reports after every batch.
pub(crate) async fn run(
    pool: &PgPool,
    journal: &dyn Journal,
    projector: &dyn Projector,
    shutdown: &CancellationToken,
    report: &mut (dyn FnMut(Rebuilding) + Send),
) -> Result<Rebuilding, Error> {
    let next = format!("{}_next", projector.schema());
    let mut connection = tables::connect(pool, &next).await?;
    let name = projector.name();
    let locked = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock(hashtextextended('hishamos rebuild ' || $1, 0)) AS "locked!""#,
        name
    );
    if !locked.fetch_one(&mut connection).await? {
        return Err(Error::RebuildRunning { projector: name });
    }
    let begun = Begun { journal, projector, shutdown };
    let built = begun.build(&mut connection, &next, report).await;
    if let Err(error) = &built {
        tracing::warn!(projector = name, error = error as &dyn std::error::Error, "the rebuild was given up");
        // What is left over would be removed by the next rebuild as well.
        let _ = discard(&mut connection, name, &next).await;
    }
    // The lock goes with the connection.
    let _ = connection.close().await;
    built
}

async fn discard(connection: &mut PgConnection, name: &str, next: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM projections.checkpoints WHERE name = $1 AND slot = 'next'", name)
        .execute(&mut *connection)
        .await?;
    tables::run_sql(connection, format!("DROP SCHEMA IF EXISTS {next} CASCADE")).await
}

struct Begun<'a> {
    journal: &'a dyn Journal,
    projector: &'a dyn Projector,
    shutdown: &'a CancellationToken,
}

impl Begun<'_> {
    /// How far behind the live one the new one may be when the live one is held up for the switch, in positions.
    const CLOSE: u64 = 2000;
    /// How long a reader that is behind the live one is given.
    const BEHIND: Duration = Duration::from_millis(20);

    async fn build(
        &self,
        connection: &mut PgConnection,
        next: &str,
        report: &mut (dyn FnMut(Rebuilding) + Send),
    ) -> Result<Rebuilding, Error> {
        let started = Instant::now();
        let name = self.projector.name();
        let claim = self.begin(connection, next).await?;
        let mut at = Rebuilding {
            projector: name,
            events: 0,
            position: Position::START,
            head: self.journal.head().await?,
            elapsed: Duration::ZERO,
        };
        let mut progress = |at: &mut Rebuilding, events: usize, position: Position| {
            at.events += events as u64;
            at.position = position;
            at.elapsed = started.elapsed();
            report(*at);
        };
        self.catch_up(connection, claim, &mut at, &mut progress).await?;
        tables::run_sql(connection, self.projector.indexes().to_owned()).await?;
        // Statistics, so that the first queries are planned as well as later ones.
        let analyze = analyze(connection, next).await?;
        tables::run_sql(connection, analyze).await?;
        loop {
            self.catch_up(connection, claim, &mut at, &mut progress).await?;
            if self.switch(connection, claim, next, &mut at, &mut progress).await? {
                break;
            }
        }
        at.elapsed = started.elapsed();
        tracing::info!(projector = name, events = at.events, position = at.position.as_u64(), "read model rebuilt");
        self.drop_old(connection).await;
        Ok(at)
    }

    /// Makes the empty tables and the checkpoint.
    async fn begin(&self, connection: &mut PgConnection, next: &str) -> Result<Claim, Error> {
        let mut transaction = connection.begin().await?;
        tables::make(&mut transaction, self.projector, next).await?;
        let fence = sqlx::query_scalar!(
            "INSERT INTO projections.checkpoints AS c (name, slot, position, fence, version, status, updated_at)
             VALUES ($1, 'next', 0, 1, $2, 'rebuilding', $3)
             ON CONFLICT (name, slot) DO UPDATE SET position = 0, fence = c.fence + 1, version = excluded.version,
                status = 'rebuilding', error = NULL, updated_at = excluded.updated_at
             RETURNING fence",
            self.projector.name(),
            self.projector.version(),
            now_micros()
        )
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Claim { name: self.projector.name(), slot: "next", fence })
    }

    /// Applies everything up to the end of the journal; the next page is read while one is applied.
    async fn catch_up(
        &self,
        connection: &mut PgConnection,
        claim: Claim,
        at: &mut Rebuilding,
        progress: &mut (dyn FnMut(&mut Rebuilding, usize, Position) + Send),
    ) -> Result<(), Error> {
        let filter = self.projector.filter();
        let mut page = self.journal.read_all(at.position, &filter, BATCH).await?;
        loop {
            if self.shutdown.is_cancelled() {
                return Err(Error::Interrupted { projector: self.projector.name() });
            }
            if page.position == at.position {
                return Ok(());
            }
            let applying = apply(self.projector, connection, claim, at.position, &page.events, page.position);
            let (applied, next) = tokio::join!(applying, self.journal.read_all(page.position, &filter, BATCH));
            applied.map_err(|error| self.explain(error))?;
            progress(at, page.events.len(), page.position);
            page = next?;
        }
    }

    /// Puts the new read model in the place of the live one, unless it is too far behind.
    ///
    /// Schemas are renamed, which locks no table: queries that run go on reading the old tables, and later ones find
    /// the new. The live checkpoint's row stays locked meanwhile, so that the live one cannot run ahead.
    async fn switch(
        &self,
        connection: &mut PgConnection,
        claim: Claim,
        next: &str,
        at: &mut Rebuilding,
        progress: &mut (dyn FnMut(&mut Rebuilding, usize, Position) + Send),
    ) -> Result<bool, Error> {
        let (name, schema) = (self.projector.name(), self.projector.schema());
        let mut transaction = connection.begin().await?;
        let live = sqlx::query!(
            "SELECT position, fence FROM projections.checkpoints WHERE name = $1 AND slot = 'live' FOR UPDATE",
            name
        )
        .fetch_one(&mut *transaction)
        .await?;
        let target = position(live.position);
        if target.as_u64().saturating_sub(at.position.as_u64()) > Self::CLOSE {
            transaction.rollback().await?;
            return Ok(false);
        }
        let (mut reached, mut events) = (at.position, 0);
        while reached < target {
            let page = self.journal.read_all(reached, &self.projector.filter(), BATCH).await?;
            if page.position == reached {
                // The live one has seen what this reader has not yet.
                transaction.rollback().await?;
                tokio::time::sleep(Self::BEHIND).await;
                return Ok(false);
            }
            let applied = self.projector.apply(&mut transaction, &page.events).await;
            applied.map_err(|error| self.explain_apply(error, &page.events))?;
            reached = page.position;
            events += page.events.len();
        }
        let old = old(schema);
        tables::run_sql(
            &mut transaction,
            format!(
                "DROP SCHEMA IF EXISTS {old} CASCADE; ALTER SCHEMA {schema} RENAME TO {old};
                 ALTER SCHEMA {next} RENAME TO {schema};"
            ),
        )
        .await?;
        sqlx::query!("DELETE FROM projections.checkpoints WHERE name = $1 AND slot = 'live'", name)
            .execute(&mut *transaction)
            .await?;
        let switched = sqlx::query!(
            "UPDATE projections.checkpoints SET slot = 'live', position = $1, fence = $2, status = 'running',
                updated_at = $3
             WHERE name = $4 AND slot = 'next' AND fence = $5",
            number(reached),
            live.fence + 1,
            now_micros(),
            name,
            claim.fence
        )
        .execute(&mut *transaction)
        .await?;
        if switched.rows_affected() != 1 {
            return Err(Error::Fenced { projector: name });
        }
        transaction.commit().await?;
        progress(at, events, reached);
        Ok(true)
    }

    /// Drops the old tables once nobody reads them any more. It gives way to readers instead of making them wait, well
    /// before PostgreSQL would look for a deadlock; what cannot be dropped now is dropped by the next rebuild.
    async fn drop_old(&self, connection: &mut PgConnection) {
        let old = old(self.projector.schema());
        for _ in 0..20 {
            let sql = format!("SET lock_timeout = '200ms'; DROP SCHEMA IF EXISTS {old} CASCADE; RESET lock_timeout;");
            match tables::run_sql(connection, sql).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!(
                        schema = old,
                        error = &error as &dyn std::error::Error,
                        "old tables are still read"
                    );
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        tracing::warn!(schema = old, "the old tables are still in use; the next rebuild removes them");
    }

    fn explain(&self, error: BatchError) -> Error {
        let projector = self.projector.name();
        match error {
            BatchError::Fenced => Error::Fenced { projector },
            BatchError::Poisoned { position, what, .. } => Error::Poisoned { projector, position, what },
            BatchError::Database(error) => error.into(),
        }
    }

    fn explain_apply(&self, error: ApplyError, events: &[Arc<RecordedEvent>]) -> Error {
        match error {
            ApplyError::Database(error) => error.into(),
            ApplyError::Indigestible(what) => Error::Poisoned {
                projector: self.projector.name(),
                position: events.first().map_or(Position::START, |event| event.position),
                what,
            },
        }
    }
}

fn old(schema: &str) -> String {
    format!("{schema}_old")
}

/// The statement that analyzes all tables of a schema.
async fn analyze(connection: &mut PgConnection, schema: &str) -> Result<String, sqlx::Error> {
    Ok(table_names(connection, schema).await?.iter().map(|table| format!("ANALYZE {schema}.{table};")).collect())
}

/// The tables of a schema, by name.
pub(crate) async fn table_names(connection: &mut PgConnection, schema: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT tablename::text AS "name!" FROM pg_tables WHERE schemaname = $1 ORDER BY 1"#, schema)
        .fetch_all(connection)
        .await
}
