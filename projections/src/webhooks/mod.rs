//! The projector of deliveries: what webhooks were told, and what came of each attempt.
//!
//! Invariant: a delivery that waits belongs to a webhook that is neither disabled nor deleted.

mod fold;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use domain::Category;
use journal::RecordedEvent;
use sqlx::PgConnection;

use crate::projector::{ApplyError, Projector};

/// Keeps `read_webhooks`.
pub(crate) struct Webhooks;

#[async_trait]
impl Projector for Webhooks {
    fn name(&self) -> &'static str {
        "webhooks"
    }

    fn version(&self) -> i32 {
        2
    }

    fn schema(&self) -> &'static str {
        "read_webhooks"
    }

    fn categories(&self) -> &'static [Category] {
        &[Category::Webhook, Category::Delivery]
    }

    fn tables(&self) -> &'static str {
        include_str!("tables.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError> {
        for part in fold::fold(events)? {
            write::write(connection, &part).await?;
        }
        Ok(())
    }
}
