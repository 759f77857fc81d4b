//! The raw limit: PostgreSQL itself, inserting the same rows.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, PgPool};

use crate::report::{per_second, quantile_ms};
use crate::store::Database;

/// A table with the journal's columns and indexes and nothing else: no head, no triggers, no checks.
async fn table(pool: &PgPool) -> anyhow::Result<()> {
    sqlx::raw_sql(
        "DROP TABLE IF EXISTS raw_events;
         CREATE TABLE raw_events (LIKE journal.events INCLUDING STORAGE INCLUDING COMPRESSION);
         ALTER TABLE raw_events ADD PRIMARY KEY (position);
         CREATE UNIQUE INDEX ON raw_events (stream, category, revision);",
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Rows per second when the rows of the journal are inserted again in batches of `batch`, one commit each. The columns
/// go over the wire as arrays, as the journal sends them.
pub(crate) async fn inserts_per_second(database: &Database, batch: usize, limit: usize) -> anyhow::Result<f64> {
    table(&database.pool).await?;
    let mut reader = PgConnection::connect(&database.url).await?;
    let mut writer = PgConnection::connect(&database.url).await?;
    let (mut done, mut took, mut after) = (0, Duration::ZERO, 0_i64);
    while done < limit {
        let rows = Rows::read(&mut reader, after, batch).await?;
        let Some(last) = rows.position.last().copied() else { break };
        (after, done) = (last, done + rows.position.len());
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
    for round in 0..rounds {
        let rows = Rows::read(&mut reader, i64::try_from(round * batch)?, batch).await?;
        anyhow::ensure!(!rows.position.is_empty(), "the journal of the bench has too few events");
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
    recorded_at: Vec<i64>,
    stream: Vec<uuid::Uuid>,
    event_id: Vec<uuid::Uuid>,
    schema_version: Vec<i16>,
    codec: Vec<i16>,
    category: Vec<String>,
    event_type: Vec<String>,
    previous_hash: Vec<Vec<u8>>,
    hash: Vec<Vec<u8>>,
    metadata: Vec<Vec<u8>>,
    payload: Vec<Vec<u8>>,
}

impl Rows {
    async fn read(connection: &mut PgConnection, after: i64, limit: usize) -> anyhow::Result<Self> {
        let found = sqlx::query!(
            "SELECT position, revision, recorded_at, stream, event_id, schema_version, codec, category, event_type,
                    previous_hash, hash, metadata, payload
             FROM journal.events WHERE position > $1 ORDER BY position LIMIT $2",
            after,
            i64::try_from(limit)?
        )
        .fetch_all(connection)
        .await?;
        let mut rows = Self::default();
        for row in found {
            rows.position.push(row.position);
            rows.revision.push(row.revision);
            rows.recorded_at.push(row.recorded_at);
            rows.stream.push(row.stream);
            rows.event_id.push(row.event_id);
            rows.schema_version.push(row.schema_version);
            rows.codec.push(row.codec);
            rows.category.push(row.category);
            rows.event_type.push(row.event_type);
            rows.previous_hash.push(row.previous_hash);
            rows.hash.push(row.hash);
            rows.metadata.push(row.metadata);
            rows.payload.push(row.payload);
        }
        Ok(rows)
    }

    async fn insert(&self, connection: &mut PgConnection) -> anyhow::Result<()> {
        sqlx::query(
            "INSERT INTO raw_events (position, revision, recorded_at, stream, event_id, schema_version, codec, category,
                                     event_type, previous_hash, hash, metadata, payload)
             SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[], $5::uuid[], $6::smallint[],
                                  $7::smallint[], $8::text[], $9::text[], $10::bytea[], $11::bytea[], $12::bytea[],
                                  $13::bytea[])",
        )
        .bind(&self.position)
        .bind(&self.revision)
        .bind(&self.recorded_at)
        .bind(&self.stream)
        .bind(&self.event_id)
        .bind(&self.schema_version)
        .bind(&self.codec)
        .bind(&self.category)
        .bind(&self.event_type)
        .bind(&self.previous_hash)
        .bind(&self.hash)
        .bind(&self.metadata)
        .bind(&self.payload)
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn insert_one(self, connection: &mut PgConnection) -> anyhow::Result<()> {
        let first = |mut values: Vec<Vec<u8>>| values.pop().unwrap_or_default();
        sqlx::query(
            "INSERT INTO raw_events (position, revision, recorded_at, stream, event_id, schema_version, codec, category,
                                     event_type, previous_hash, hash, metadata, payload)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(self.position.first().copied())
        .bind(self.revision.first().copied())
        .bind(self.recorded_at.first().copied())
        .bind(self.stream.first().copied())
        .bind(self.event_id.first().copied())
        .bind(self.schema_version.first().copied())
        .bind(self.codec.first().copied())
        .bind(self.category.first().cloned())
        .bind(self.event_type.first().cloned())
        .bind(first(self.previous_hash))
        .bind(first(self.hash))
        .bind(first(self.metadata))
        .bind(first(self.payload))
        .execute(connection)
        .await?;
        Ok(())
    }
}
