//! The projector of limits, of who has or wants their slots, and of holds.
//!
//! Invariants: `seats` has a row for everybody who has a slot or waits for one now, and for nobody else; `slots` has one for
//! each place where anybody ever wanted one.

mod fold;
mod past;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use domain::Category;
use journal::RecordedEvent;
use sqlx::PgConnection;

use crate::projector::{ApplyError, Projector};

pub(crate) use past::{holds, limits, seats};

/// Keeps `read_flow`.
pub(crate) struct Flow;

#[async_trait]
impl Projector for Flow {
    fn name(&self) -> &'static str {
        "flow"
    }

    fn version(&self) -> i32 {
        2
    }

    fn schema(&self) -> &'static str {
        "read_flow"
    }

    fn categories(&self) -> &'static [Category] {
        &[Category::Limit, Category::Slots, Category::Hold]
    }

    fn tables(&self) -> &'static str {
        include_str!("tables.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError> {
        let fold = fold::fold(events)?;
        write::write(connection, &fold).await
    }
}
