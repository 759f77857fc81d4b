//! The projector of action items.
//!
//! Invariants: an item is there from the end of the run on that asked for it, and never twice; what a task said after that
//! end does not count; a run that asks for no outputs leaves nothing here, not even for a moment; of an item only what
//! people make of it changes, and how it was before that stays.

mod fold;
mod past;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use domain::Category;
use journal::RecordedEvent;
use sqlx::PgConnection;

use crate::projector::{ApplyError, Projector};
use crate::text::Shared;

pub(crate) use past::{change, urgency};

/// Keeps `read_actions`.
#[derive(Default)]
pub(crate) struct Actions {
    vectors: Shared,
}

#[async_trait]
impl Projector for Actions {
    fn name(&self) -> &'static str {
        "actions"
    }

    fn version(&self) -> i32 {
        3
    }

    fn schema(&self) -> &'static str {
        "read_actions"
    }

    fn categories(&self) -> &'static [Category] {
        &[Category::Run, Category::Task, Category::Action]
    }

    fn tables(&self) -> &'static str {
        include_str!("tables.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError> {
        write::write(connection, &fold::fold(events)?, &self.vectors).await
    }
}
