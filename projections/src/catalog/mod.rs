//! The projector of workflows, agents and templates.
//!
//! Invariant: a batch is folded in memory first; per table one statement brings new versions and one brings changes
//! of state.

mod fold;
mod past;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use domain::Category;
use journal::RecordedEvent;
use sqlx::PgConnection;

use crate::projector::{ApplyError, Projector};

pub(crate) use past::Entries;

/// Keeps `read_catalog`.
pub(crate) struct Catalog;

#[async_trait]
impl Projector for Catalog {
    fn name(&self) -> &'static str {
        "catalog"
    }

    fn version(&self) -> i32 {
        3
    }

    fn schema(&self) -> &'static str {
        "read_catalog"
    }

    fn categories(&self) -> &'static [Category] {
        &[Category::Workflow, Category::Agent, Category::Template]
    }

    fn tables(&self) -> &'static str {
        include_str!("tables.sql")
    }

    fn indexes(&self) -> &'static str {
        // The primary keys and the unique keys are all that a catalogue needs.
        ""
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError> {
        let fold = fold::fold(events)?;
        write::write(connection, &fold).await
    }
}
