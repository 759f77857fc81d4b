//! The projector of usage: what attempts have cost, and by what it is rolled up; and how agents and templates have done, day
//! by day.
//!
//! Invariants: an attempt counts once, on the day on which it started, whatever is learnt of it later; what is not known
//! of its cost is not zero; a task counts on the day on which it was created, with all that became of it since.

mod days;
mod fold;
mod past;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use domain::Category;
use journal::RecordedEvent;
use sqlx::PgConnection;

use crate::projector::{ApplyError, Projector};

pub(crate) use past::{Spent, Work, spent, works};

/// Keeps `read_usage`.
pub(crate) struct UsageModel;

#[async_trait]
impl Projector for UsageModel {
    fn name(&self) -> &'static str {
        "usage"
    }

    fn version(&self) -> i32 {
        4
    }

    fn schema(&self) -> &'static str {
        "read_usage"
    }

    fn categories(&self) -> &'static [Category] {
        &[Category::Run, Category::Task, Category::Agent, Category::Template]
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
}
