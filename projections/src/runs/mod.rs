//! The projector of runs, steps, tasks and attempts.
//!
//! Invariants: a batch is folded in memory first, so that each row is written once per batch however many events
//! touch it; a task whose whole life lies in one batch is a single insert; an ordinary run, of tasks that complete,
//! touches none of the tables for what is rare.

mod change;
mod fold;
mod rare;
mod story;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use domain::Category;
use journal::RecordedEvent;
use sqlx::PgConnection;

use crate::projector::{ApplyError, Projector};

pub(crate) use story::{Story, TaskStory};

/// Keeps `read_runs`.
pub(crate) struct Runs;

#[async_trait]
impl Projector for Runs {
    fn name(&self) -> &'static str {
        "runs"
    }

    fn version(&self) -> i32 {
        10
    }

    fn schema(&self) -> &'static str {
        "read_runs"
    }

    fn categories(&self) -> &'static [Category] {
        &[Category::Run, Category::Task]
    }

    fn tables(&self) -> &'static str {
        include_str!("tables.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError> {
        let Some(rounds) = fold::rounds(events)? else {
            return write::write(connection, fold::fold(events)?).await;
        };
        for round in &rounds {
            write::write(connection, fold::fold(round)?).await?;
        }
        Ok(())
    }
}
