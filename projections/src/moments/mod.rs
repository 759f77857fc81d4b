//! The projector of moments: where in the journal each second began.
//!
//! Clocks of several nodes differ, and one may be put back, so moments do not always follow positions. "As of a moment"
//! means everything before the first event that was recorded after it. Invariant: a row says where the first event of
//! its second, or of a later one, stands, so all events before it were recorded before that second.

use std::sync::Arc;

use async_trait::async_trait;
use domain::Category;
use journal::RecordedEvent;
use sqlx::PgConnection;

use crate::projector::{ApplyError, Projector, number};

/// Keeps `read_moments`.
pub(crate) struct Moments;

/// How long a second is.
pub(crate) const SECOND: i64 = 1_000_000;

#[async_trait]
impl Projector for Moments {
    fn name(&self) -> &'static str {
        "moments"
    }

    fn version(&self) -> i32 {
        1
    }

    fn schema(&self) -> &'static str {
        "read_moments"
    }

    /// All of them.
    fn categories(&self) -> &'static [Category] {
        &[]
    }

    fn apart(&self) -> bool {
        true
    }

    fn tables(&self) -> &'static str {
        include_str!("tables.sql")
    }

    fn indexes(&self) -> &'static str {
        ""
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError> {
        let latest = sqlx::query_scalar!("SELECT second FROM seconds ORDER BY second DESC LIMIT 1");
        let mut latest = latest.fetch_optional(&mut *connection).await?;
        let (mut seconds, mut positions) = (Vec::new(), Vec::new());
        for event in events {
            let second = event.recorded_at.as_micros().div_euclid(SECOND);
            if latest.is_none_or(|latest| second > latest) {
                latest = Some(second);
                seconds.push(second);
                positions.push(number(event.position));
            }
        }
        if seconds.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO seconds (second, position)
            SELECT unnest($1::bigint[]), unnest($2::bigint[])",
            &seconds,
            &positions
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
