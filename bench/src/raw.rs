//! The raw limit: PostgreSQL itself, inserting the same rows, each of them a part of an append.

use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::{Connection, PgConnection, PgPool};

use crate::report::{per_second, quantile_ms};
use crate::store::Database;

/// A table with the journal's columns and indexes and nothing else: no head, no triggers, no checks.
async fn table(pool: &PgPool) -> anyhow::Result<()> {
    sqlx::raw_sql(
        "DROP TABLE IF EXISTS raw_parts;
         CREATE TABLE raw_parts (LIKE journal.parts INCLUDING STORAGE INCLUDING COMPRESSION);
         ALTER TABLE raw_parts ADD PRIMARY KEY (position);
         CREATE UNIQUE INDEX ON raw_parts (stream, category, revision);",
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Events per second when the rows of the journal are inserted again in batches of `batch` rows, one commit each. The columns
/// go over the wire as arrays, as the journal sends them.
pub(crate) async fn inserts_per_second(database: &Database, batch: usize, limit: usize) -> anyhow::Result<f64> {
    table(&database.pool).await?;
    let mut reader = PgConnection::connect(&database.url).await?;
    let mut writer = PgConnection::connect(&database.url).await?;
    let (mut done, mut took, mut after) = (0, Duration::ZERO, 0_i64);
    while done < limit {
        let rows = Rows::read(&mut reader, after, batch).await?;
        let Some(last) = rows.position.last().copied() else { break };
        (after, done) = (last, done + rows.count()?);
        let started = Instant::now();
        rows.insert(&mut writer).await?;
        took += started.elapsed();
    }
    Ok(per_second(done, took))
}

/// The median time of a commit of so many rows of the journal, in milliseconds.
pub(crate) async fn commit_ms(database: &Database, rounds: usize, batch: usize) -> anyhow::Result<f64> {
    table(&database.pool).await?;
    let mut reader = PgConnection::connect(&database.url).await?;
    let mut writer = PgConnection::connect(&database.url).await?;
    let mut times = Vec::with_capacity(rounds);
    let mut after = 0;
    for _ in 0..rounds {
        let rows = Rows::read(&mut reader, after, batch).await?;
        after = *rows.position.last().context("the journal of the bench has too few events")?;
        let started = Instant::now();
        if batch == 1 {
            rows.insert_one(&mut writer).await?;
        } else {
            rows.insert(&mut writer).await?;
        }
        times.push(started.elapsed());
    }
    Ok(quantile_ms(&mut times, 0.5))
}

#[derive(Default)]
struct Rows {
    position: Vec<i64>,
    revision: Vec<i64>,
    events: Vec<i32>,
    recorded_at: Vec<i64>,
    stream: Vec<uuid::Uuid>,
    category: Vec<String>,
    event_types: Vec<String>,
    previous_hash: Vec<Vec<u8>>,
    hash: Vec<Vec<u8>>,
    metadata: Vec<Vec<u8>>,
    body: Vec<Vec<u8>>,
}

impl Rows {
    async fn read(connection: &mut PgConnection, after: i64, limit: usize) -> anyhow::Result<Self> {
        let found = sqlx::query!(
            "SELECT position, revision, events, recorded_at, stream, category, event_types, previous_hash, hash, metadata,
                    body
             FROM journal.parts WHERE position > $1 ORDER BY position LIMIT $2",
            after,
            i64::try_from(limit)?
        )
        .fetch_all(connection)
        .await?;
        let mut rows = Self::default();
        for row in found {
            rows.position.push(row.position);
            rows.revision.push(row.revision);
            rows.events.push(row.events);
            rows.recorded_at.push(row.recorded_at);
            rows.stream.push(row.stream);
            rows.category.push(row.category);
            rows.event_types.push(row.event_types);
            rows.previous_hash.push(row.previous_hash);
            rows.hash.push(row.hash);
            rows.metadata.push(row.metadata);
            rows.body.push(row.body);
        }
        Ok(rows)
    }

    fn count(&self) -> anyhow::Result<usize> {
        Ok(usize::try_from(self.events.iter().sum::<i32>())?)
    }

    async fn insert(&self, connection: &mut PgConnection) -> anyhow::Result<()> {
        sqlx::query(
            "INSERT INTO raw_parts (position, revision, events, recorded_at, stream, category, event_types,
                                    previous_hash, hash, metadata, body)
             SELECT unnest($1::bigint[]), unnest($2::bigint[]), unnest($3::integer[]), unnest($4::bigint[]),
                 unnest($5::uuid[]), unnest($6::text[]), unnest($7::text[]), unnest($8::bytea[]), unnest($9::bytea[]),
                 unnest($10::bytea[]), unnest($11::bytea[])",
        )
        .bind(&self.position)
        .bind(&self.revision)
        .bind(&self.events)
        .bind(&self.recorded_at)
        .bind(&self.stream)
        .bind(&self.category)
        .bind(&self.event_types)
        .bind(&self.previous_hash)
        .bind(&self.hash)
        .bind(&self.metadata)
        .bind(&self.body)
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn insert_one(self, connection: &mut PgConnection) -> anyhow::Result<()> {
        let first = |mut values: Vec<Vec<u8>>| values.pop().unwrap_or_default();
        sqlx::query(
            "INSERT INTO raw_parts (position, revision, events, recorded_at, stream, category, event_types,
                                    previous_hash, hash, metadata, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(self.position.first().copied())
        .bind(self.revision.first().copied())
        .bind(self.events.first().copied())
        .bind(self.recorded_at.first().copied())
        .bind(self.stream.first().copied())
        .bind(self.category.first().cloned())
        .bind(self.event_types.first().cloned())
        .bind(first(self.previous_hash))
        .bind(first(self.hash))
        .bind(first(self.metadata))
        .bind(first(self.body))
        .execute(connection)
        .await?;
        Ok(())
    }
}
