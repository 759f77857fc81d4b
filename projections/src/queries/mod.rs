//! Typed questions to the read models.
//!
//! Invariants: nothing here writes; lists are sorted by a unique key, so that pages neither skip nor repeat a row
//! that stays; whoever asks [`Queries::position`] first gets rows that reflect at least that position.

mod catalog;
mod comparison;
mod flow;
mod page;
mod relatives;
mod runs;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use journal::Position;
use sqlx::PgPool;

use crate::progress::Progress;
use crate::{CheckpointRow, Error};

pub use catalog::CatalogFilter;
pub use comparison::{Effort, RunComparison, RunSide, StepComparison, StepSide};
pub use page::{Page, Window};
pub use runs::RunFilter;
pub use steps::ApprovalFilter;

/// Asks the read models. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queries {
    pool: PgPool,
    progress: Arc<[Arc<Progress>]>,
}

impl Queries {
    /// Over a database whose projectors run in other processes. Where this process runs them, take
    /// [`crate::Handle::queries`]: it knows their progress from memory.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let progress = crate::projectors().into_iter().map(|projector| Arc::new(Progress::new(projector.name())));
        Self { pool, progress: progress.collect() }
    }

    pub(crate) fn with_progress(pool: PgPool, progress: Arc<[Arc<Progress>]>) -> Self {
        Self { pool, progress }
    }

    /// The position that all read models reflect at least. Ask before reading rows: what is read afterwards is as
    /// new or newer.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn position(&self) -> Result<Position, Error> {
        let mut least: Option<Position> = None;
        for progress in &*self.progress {
            let position = progress.position(&self.pool).await?;
            least = Some(least.map_or(position, |least| least.min(position)));
        }
        Ok(least.unwrap_or(Position::START))
    }

    /// Waits until every read model reflects `position`; the projectors of this process hurry because of it.
    ///
    /// # Errors
    /// [`Error::Stale`] when it takes longer than `timeout`; [`Error::Poisoned`] when it can never come; or the
    /// database's failure.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<(), Error> {
        let waits = self.progress.iter().map(|progress| progress.wait(&self.pool, position, timeout));
        futures_util::future::try_join_all(waits).await.map(|_| ())
    }

    /// How far every projector is, as last written down: an idle or quiet projector may be ahead of its row.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn checkpoints(&self) -> Result<Vec<CheckpointRow>, Error> {
        let rows = sqlx::query_as!(
            CheckpointRow,
            "SELECT name, slot, position, fence, version, status, error, updated_at
             FROM projections.checkpoints ORDER BY name, slot"
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }
}
