//! Which position a moment stands for, and what the journal's past needs to know of the present.

use domain::Category;
use journal::{Filter, Journal, Position};
use uuid::Uuid;

use super::{Queries, Window};
use crate::moments::SECOND;
use crate::{Error, projector};

/// How many events are read at a time on the way to a moment.
const PAGE: usize = 1000;

/// One of the catalogue's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelf {
    Workflows,
    Agents,
    Templates,
}

impl Shelf {
    pub(crate) fn category(self) -> Category {
        match self {
            Self::Workflows => Category::Workflow,
            Self::Agents => Category::Agent,
            Self::Templates => Category::Template,
        }
    }
}

impl Queries {
    /// The position as of a moment, in microseconds since the Unix epoch: everything up to it was recorded at or before
    /// that moment, and the next event after it. Exact for what the read model `moments` has reached; wait for the
    /// journal's head first.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn position_at(&self, journal: &dyn Journal, micros: i64) -> Result<Position, Error> {
        let second = sqlx::query_scalar!(
            "SELECT position FROM read_moments.seconds WHERE second <= $1 ORDER BY second DESC LIMIT 1",
            micros.div_euclid(SECOND)
        );
        let Some(first) = second.fetch_optional(&self.pool).await? else { return Ok(Position::START) };
        // What stands before the first event of a second was recorded before that second.
        let mut reached = projector::position(first.saturating_sub(1));
        loop {
            let page = journal.read_all(reached, &Filter::default(), PAGE).await?;
            for event in &page.events {
                if event.recorded_at.as_micros() > micros {
                    return Ok(reached);
                }
                reached = event.position;
            }
            if page.events.is_empty() {
                return Ok(reached);
            }
        }
    }

    /// The ids and keys of entries of the catalogue, in the list's order, or from its end backwards.
    pub(crate) async fn shelf(&self, shelf: Shelf, window: &Window<String>) -> Result<Vec<(Uuid, String)>, Error> {
        macro_rules! listed {
            ($table:literal) => {
                if window.from_end { listed!($table, "key DESC") } else { listed!($table, "key") }
            };
            ($table:literal, $order:literal) => {{
                let rows = sqlx::query!(
                    "SELECT id, key FROM read_catalog."
                        + $table
                        + " WHERE ($1::text IS NULL OR key > $1)
                        AND ($2::text IS NULL OR key < $2) ORDER BY "
                        + $order
                        + " LIMIT $3",
                    window.after.as_deref(),
                    window.before.as_deref(),
                    i64::from(window.limit)
                );
                rows.fetch_all(&self.pool).await?.into_iter().map(|row| (row.id, row.key)).collect()
            }};
        }
        Ok(match shelf {
            Shelf::Workflows => listed!("workflows"),
            Shelf::Agents => listed!("agents"),
            Shelf::Templates => listed!("templates"),
        })
    }

    /// The ids of all limits that ever were, at most `limit`.
    pub(crate) async fn limits_ever(&self, limit: usize) -> Result<Vec<Uuid>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let ids = sqlx::query_scalar!("SELECT id FROM read_flow.limits ORDER BY id LIMIT $1", limit);
        Ok(ids.fetch_all(&self.pool).await?)
    }
}
