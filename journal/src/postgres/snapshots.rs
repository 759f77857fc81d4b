use async_trait::async_trait;
use domain::StreamId;
use sqlx::PgPool;

use crate::{AppendError, Hash, ReadError, Snapshot, Snapshots};

/// Keeps snapshots beside the journal.
#[derive(Debug, Clone)]
pub struct PostgresSnapshots {
    pool: PgPool,
}

impl PostgresSnapshots {
    /// In the database of this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Drops every snapshot; the states are folded from their events when they are wanted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget(&self) -> Result<(), sqlx::Error> {
        sqlx::raw_sql("TRUNCATE journal.snapshots").execute(&self.pool).await.map(|_| ())
    }
}

fn unreadable(error: sqlx::Error) -> ReadError {
    ReadError::Unavailable(Box::new(error))
}

#[async_trait]
impl Snapshots for PostgresSnapshots {
    async fn load(&self, stream: StreamId) -> Result<Option<Snapshot>, ReadError> {
        let row = sqlx::query!(
            "SELECT schema, revision, hash, state FROM journal.snapshots WHERE stream = $1 AND category = $2",
            stream.id,
            stream.category.name(),
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(unreadable)?;
        Ok(row.and_then(|row| {
            Some(Snapshot {
                schema: row.schema,
                revision: u64::try_from(row.revision).ok()?,
                hash: Hash(row.hash.try_into().ok()?),
                state: row.state,
            })
        }))
    }

    async fn save(&self, stream: StreamId, snapshot: Snapshot) -> Result<(), AppendError> {
        let unavailable = |error: sqlx::Error| AppendError::Unavailable(Box::new(error));
        let revision = i64::try_from(snapshot.revision).map_err(|error| AppendError::Unavailable(Box::new(error)))?;
        // It is a cache: after a loss of power it may be missing.
        let mut transaction = self.pool.begin().await.map_err(unavailable)?;
        sqlx::raw_sql("SET LOCAL synchronous_commit = off").execute(&mut *transaction).await.map_err(unavailable)?;
        sqlx::query!(
            "INSERT INTO journal.snapshots AS known (stream, category, schema, revision, hash, state)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (stream, category) DO UPDATE SET schema = excluded.schema, revision = excluded.revision,
                 hash = excluded.hash, state = excluded.state
             WHERE known.schema <> excluded.schema OR known.revision < excluded.revision",
            stream.id,
            stream.category.name(),
            snapshot.schema,
            revision,
            &snapshot.hash.0[..],
            snapshot.state,
        )
        .execute(&mut *transaction)
        .await
        .map_err(unavailable)?;
        transaction.commit().await.map_err(unavailable)
    }

    async fn streams(&self) -> Result<Vec<StreamId>, ReadError> {
        let rows = sqlx::query!("SELECT category, stream FROM journal.snapshots ORDER BY stream, category")
            .fetch_all(&self.pool)
            .await
            .map_err(unreadable)?;
        // A category that this program does not know is one that it has no use for.
        Ok(rows
            .iter()
            .filter_map(|row| Some(StreamId { category: row.category.parse().ok()?, id: row.stream }))
            .collect())
    }
}
