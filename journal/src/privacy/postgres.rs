use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use domain::SubjectId;
use parking_lot::Mutex;
use sqlx::PgPool;
use uuid::Uuid;

use super::{KnownSubject, MasterKey, Purpose, SubjectKey, Subjects, SubjectsError};

/// Keeps the list of subjects in PostgreSQL, their keys wrapped under the master key, which is read from its file when it is
/// needed first.
#[derive(Clone)]
pub struct PostgresSubjects {
    pool: PgPool,
    file: PathBuf,
    master: Arc<Mutex<Option<MasterKey>>>,
}

impl PostgresSubjects {
    /// In the database of this pool, under the master key of this file.
    #[must_use]
    pub fn new(pool: PgPool, file: impl Into<PathBuf>) -> Self {
        Self { pool, file: file.into(), master: Arc::default() }
    }

    fn master(&self) -> Result<MasterKey, SubjectsError> {
        let mut known = self.master.lock();
        if let Some(master) = &*known {
            return Ok(master.clone());
        }
        let master = MasterKey::of_file(Purpose::PRIVACY, &self.file)?;
        *known = Some(master.clone());
        Ok(master)
    }
}

fn unavailable(error: sqlx::Error) -> SubjectsError {
    SubjectsError::Unavailable(Box::new(error))
}

#[async_trait]
impl Subjects for PostgresSubjects {
    async fn of(&self, name: &str) -> Result<SubjectId, SubjectsError> {
        if let Some(known) = self.find(name).await? {
            return Ok(known);
        }
        let subject = SubjectId::from_uuid(Uuid::new_v4());
        let wrapped = self.master()?.wrap(subject, &rand::random())?;
        sqlx::query!(
            "INSERT INTO privacy.subjects (id, name, key) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
            subject.as_uuid(),
            name,
            wrapped,
        )
        .execute(&self.pool)
        .await
        .map_err(unavailable)?;
        // Whoever was first.
        self.find(name).await?.ok_or_else(|| unavailable(sqlx::Error::RowNotFound))
    }

    async fn find(&self, name: &str) -> Result<Option<SubjectId>, SubjectsError> {
        let id = sqlx::query_scalar!("SELECT id FROM privacy.subjects WHERE name = $1", name)
            .fetch_optional(&self.pool)
            .await
            .map_err(unavailable)?;
        Ok(id.map(SubjectId::from_uuid))
    }

    async fn key(&self, subject: SubjectId) -> Result<Option<SubjectKey>, SubjectsError> {
        let wrapped = sqlx::query_scalar!("SELECT key FROM privacy.subjects WHERE id = $1", subject.as_uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(unavailable)?
            .flatten();
        let Some(wrapped) = wrapped else { return Ok(None) };
        let bytes = self.master()?.unwrap(subject, &wrapped).ok_or(SubjectsError::OtherMaster(subject))?;
        SubjectKey::new(subject, &bytes).map(Some).map_err(|_| SubjectsError::OtherMaster(subject))
    }

    async fn destroy(&self, subject: SubjectId) -> Result<(), SubjectsError> {
        sqlx::query!(
            "UPDATE privacy.subjects SET key = NULL, name = NULL, erased_at = coalesce(erased_at, now()) WHERE id = $1",
            subject.as_uuid(),
        )
        .execute(&self.pool)
        .await
        .map_err(unavailable)?;
        // The old row would lie about until somebody cleans up.
        sqlx::raw_sql("VACUUM privacy.subjects").execute(&self.pool).await.map_err(unavailable)?;
        Ok(())
    }

    async fn list(&self) -> Result<Vec<KnownSubject>, SubjectsError> {
        let rows = sqlx::query!("SELECT id, name FROM privacy.subjects ORDER BY name NULLS LAST, id")
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        Ok(rows.into_iter().map(|row| KnownSubject { id: SubjectId::from_uuid(row.id), name: row.name }).collect())
    }
}
