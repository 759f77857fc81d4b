//! Typed questions to the read models.
//!
//! Invariants: nothing here writes; lists are sorted by a unique key, so that pages neither skip nor repeat a row
//! that stays; whoever asks [`Queries::position`] first gets rows that reflect at least that position.

mod actions;
mod catalog;
mod comparison;
mod flow;
mod metrics;
mod moments;
mod order;
mod page;
mod plans;
mod quality;
mod relatives;
mod runs;
mod search;
mod shelves;
mod steps;
mod tasks;
mod usage;
mod versions;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use journal::Position;
use sqlx::PgPool;

use crate::progress::Progress;
use crate::{CheckpointRow, Error};

pub use actions::ActionFilter;
pub use catalog::CatalogFilter;
pub use comparison::{Effort, RunComparison, RunSide, StepComparison, StepSide};
pub use flow::{HoldFilter, LimitFilter};
pub use metrics::{MetricsKey, MetricsOf};
pub(crate) use moments::Shelf;
pub use order::{
    ActionKey, ApprovalKey, AttemptKey, CatalogKey, DeliveryKey, HoldKey, Place, RunKey, SortKey, TaskKey, sorted,
};
pub use page::{ItemWindow, Page, Window};
pub use quality::{Calibration, RunQualityRow};
pub(crate) use quality::{Pair, calibrations};
pub use relatives::{Relation, RelativeFilter, RelativeKey, Standing};
pub use runs::RunFilter;
pub use search::FoundRow;
pub use steps::ApprovalFilter;
pub use tasks::{AttemptFilter, TaskFilter};
pub(crate) use usage::UsageOrigin;
pub use usage::{UsageFilter, UsageGroups, UsageKey};
pub use versions::{DefinitionDiff, FieldDiff, StepChange, StepDiff};
pub use webhooks::DeliveryFilter;

/// Asks the read models. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queries {
    pool: PgPool,
    progress: Arc<[Arc<Progress>]>,
    plans: plans::Plans,
}

impl Queries {
    /// Over a database whose projectors run in other processes. Where this process runs them, take
    /// [`crate::Handle::queries`]: it knows their progress from memory.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let progress = crate::projectors().into_iter().map(|projector| Arc::new(Progress::new(&*projector)));
        Self::with_progress(pool, progress.collect())
    }

    pub(crate) fn with_progress(pool: PgPool, progress: Arc<[Arc<Progress>]>) -> Self {
        Self { pool, progress, plans: plans::Plans::default() }
    }

    /// The position that all read models reflect at least, save those that answer for themselves. Ask before reading
    /// rows: what is read afterwards is as new or newer. Asks the database once, and only where another process runs one of
    /// them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn position(&self) -> Result<Position, Error> {
        let together = self.progress.iter().map(Arc::as_ref).filter(|progress| !progress.apart);
        crate::progress::least(&self.pool, together).await
    }

    /// Waits until every read model reflects `position`, save those that answer for themselves; the projectors of this
    /// process hurry because of it.
    ///
    /// # Errors
    /// [`Error::Stale`] when it takes longer than `timeout`; [`Error::Poisoned`] when it can never come; or the
    /// database's failure.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<(), Error> {
        let together = self.progress.iter().filter(|progress| !progress.apart);
        let waits = together.map(|progress| progress.wait(&self.pool, position, timeout));
        futures_util::future::try_join_all(waits).await.map(|_| ())
    }

    /// The position that one read model reflects at least.
    ///
    /// # Errors
    /// When there is none of that name, or the database fails.
    pub async fn position_of(&self, name: &str) -> Result<Position, Error> {
        self.one(name)?.position(&self.pool).await
    }

    /// Waits until one read model reflects `position`.
    ///
    /// # Errors
    /// When there is none of that name; else as [`Self::wait_for`].
    pub async fn wait_for_one(&self, name: &str, position: Position, timeout: Duration) -> Result<(), Error> {
        self.one(name)?.wait(&self.pool, position, timeout).await
    }

    fn one(&self, name: &str) -> Result<&Progress, Error> {
        let found = self.progress.iter().find(|progress| progress.name == name);
        found.map(Arc::as_ref).ok_or_else(|| Error::Unknown { name: name.to_owned(), known: crate::names() })
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
