use async_trait::async_trait;
use sqlx::PgPool;

use crate::{AppendError, Checkpoint, Checkpoints, Position, ReadError};

/// Keeps checkpoints beside the journal.
#[derive(Debug, Clone)]
pub struct PostgresCheckpoints {
    pool: PgPool,
}

impl PostgresCheckpoints {
    /// In the database of this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Forgets every checkpoint: whoever kept one begins anew, as after the journal was moved.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget(&self) -> Result<(), sqlx::Error> {
        sqlx::raw_sql("DELETE FROM journal.checkpoints").execute(&self.pool).await.map(|_| ())
    }
}

#[async_trait]
impl Checkpoints for PostgresCheckpoints {
    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, ReadError> {
        let row = sqlx::query!("SELECT position, state FROM journal.checkpoints WHERE name = $1", name)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| ReadError::Unavailable(Box::new(error)))?;
        Ok(row.map(|row| Checkpoint {
            position: Position::from_u64(u64::try_from(row.position).unwrap_or(0)),
            state: row.state,
        }))
    }

    async fn save(&self, name: &str, checkpoint: Checkpoint) -> Result<(), AppendError> {
        let position =
            i64::try_from(checkpoint.position.as_u64()).map_err(|error| AppendError::Unavailable(Box::new(error)))?;
        sqlx::query!(
            "INSERT INTO journal.checkpoints AS known (name, position, state) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET position = excluded.position, state = excluded.state
             WHERE known.position <= excluded.position",
            name,
            position,
            checkpoint.state,
        )
        .execute(&self.pool)
        .await
        .map_err(|error| AppendError::Unavailable(Box::new(error)))?;
        Ok(())
    }
}
