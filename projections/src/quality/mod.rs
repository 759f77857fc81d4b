//! The projector of what programs, judges and people give to answers.
//!
//! Invariants: of one person only the last rating counts; of what programs have checked only the mark is here, because the
//! rest is a fact of the answer itself; nothing that anybody said in words is here.

mod fold;
mod past;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use domain::Category;
use journal::{Filter, RecordedEvent};
use sqlx::PgConnection;

use crate::projector::{ApplyError, Projector};

pub(crate) use past::{counting, counts, pairs};

/// Keeps `read_quality`.
pub(crate) struct Quality;

#[async_trait]
impl Projector for Quality {
    fn name(&self) -> &'static str {
        "quality"
    }

    fn version(&self) -> i32 {
        2
    }

    fn schema(&self) -> &'static str {
        "read_quality"
    }

    fn categories(&self) -> &'static [Category] {
        &[Category::Task]
    }

    fn apart(&self) -> bool {
        true
    }

    fn tables(&self) -> &'static str {
        include_str!("tables.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError> {
        write::write(connection, &fold::fold(events)?).await
    }

    /// Ends and verdicts alone.
    fn filter(&self) -> Filter {
        let types = ["task.completed", "task.rated", "task.judged"].map(str::to_owned).to_vec();
        Filter { types, ..Filter::categories(self.categories()) }
    }
}
