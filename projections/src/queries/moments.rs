//! Which position a moment stands for, and what the journal's past needs to know of the present.

use domain::Category;
use journal::{Filter, Journal, Position};
use uuid::Uuid;

use super::{ApprovalFilter, Queries, Window};
use crate::moments::SECOND;
use crate::{Error, StatusCountRow, projector};

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
        let ids = sqlx::query_scalar!("SELECT id FROM read_flow.limits ORDER BY id LIMIT $1", most(limit));
        Ok(ids.fetch_all(&self.pool).await?)
    }

    /// Where slots of these limits are given, or ever were; at most `limit`.
    pub(crate) async fn slots_ever(&self, limits: &[String], limit: usize) -> Result<Vec<Uuid>, Error> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM read_flow.slots WHERE limit_key = ANY($1) ORDER BY id LIMIT $2",
            limits,
            most(limit)
        );
        Ok(ids.fetch_all(&self.pool).await?)
    }

    /// The holds that were ever placed, all or that of a workflow; at most `limit`.
    pub(crate) async fn holds_ever(&self, workflow: Option<&str>, limit: usize) -> Result<Vec<Uuid>, Error> {
        let ids = sqlx::query_scalar!(
            "SELECT DISTINCT hold_id FROM read_flow.holds WHERE ($1::text IS NULL OR workflow_key = $1)
            ORDER BY hold_id LIMIT $2",
            workflow,
            most(limit)
        );
        Ok(ids.fetch_all(&self.pool).await?)
    }

    /// Which of these runs had started by a position.
    pub(crate) async fn runs_there_by(&self, position: Position, runs: &[Uuid]) -> Result<Vec<Uuid>, Error> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM read_runs.runs WHERE id = ANY($1) AND started_position <= $2",
            runs,
            projector::number(position)
        );
        Ok(ids.fetch_all(&self.pool).await?)
    }

    /// The runs that had started by a position: how many of those to which nothing happened since stand at each status, and
    /// which ones have changed, at most `limit` of them. Of one moment, so no run is counted twice or never.
    pub(crate) async fn runs_since(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<(Vec<StatusCountRow>, Vec<Uuid>), Error> {
        let rows = sqlx::query!(
            r#"WITH changed AS (
                SELECT id FROM read_runs.runs WHERE started_position <= $1 AND position > $1 LIMIT $2
            )
            SELECT status AS "status?", count(*) AS "count!", NULL::uuid[] AS "changed?"
            FROM read_runs.runs WHERE started_position <= $1 AND position <= $1 GROUP BY status
            UNION ALL SELECT NULL, count(*), array_agg(id) FROM changed"#,
            projector::number(position),
            most(limit)
        );
        let (mut unchanged, mut changed) = (Vec::new(), Vec::new());
        for row in rows.fetch_all(&self.pool).await? {
            match row.status {
                Some(status) => unchanged.push(StatusCountRow { status, count: row.count }),
                None => changed.extend(row.changed.into_iter().flatten()),
            }
        }
        Ok((unchanged, changed))
    }

    /// The runs in which people may have been asked for a decision at a position; at most `limit`. What was over by then, and
    /// has not changed since, is left out.
    pub(crate) async fn runs_that_asked(
        &self,
        position: Position,
        filter: &ApprovalFilter,
        limit: usize,
    ) -> Result<Vec<Uuid>, Error> {
        let ids = sqlx::query_scalar!(
            "SELECT DISTINCT a.run_id FROM read_runs.approvals a
            JOIN read_runs.runs r ON r.id = a.run_id
            JOIN read_runs.steps s ON s.run_id = a.run_id AND s.step = a.step
            WHERE r.started_position <= $1 AND (s.status = 'running' OR s.position > $1)
                AND (r.status IN ('running', 'paused') OR r.position > $1)
                AND ($2::text IS NULL OR r.workflow_key = $2) AND ($3::uuid IS NULL OR r.id = $3) LIMIT $4",
            projector::number(position),
            filter.workflow_key.as_deref(),
            filter.run_id,
            most(limit)
        );
        Ok(ids.fetch_all(&self.pool).await?)
    }

    /// The tasks of runs that may have been there at a position; at most `limit`.
    pub(crate) async fn tasks_in(&self, position: Position, runs: &[Uuid], limit: usize) -> Result<Vec<Uuid>, Error> {
        let ids = sqlx::query_scalar!(
            "SELECT t.id FROM read_runs.tasks t JOIN read_runs.runs r ON r.id = t.run_id
            WHERE t.run_id = ANY($1) AND r.started_position <= $2 LIMIT $3",
            runs,
            projector::number(position),
            most(limit)
        );
        Ok(ids.fetch_all(&self.pool).await?)
    }

    /// The tasks of agents and templates that may have been there at a position, recorded at or after a moment; at most
    /// `limit`. An agent that has a task keeps it.
    pub(crate) async fn tasks_for(
        &self,
        position: Position,
        subjects: &[Uuid],
        since: i64,
        limit: usize,
    ) -> Result<Vec<Uuid>, Error> {
        let ids = sqlx::query_scalar!(
            "SELECT t.id FROM read_runs.tasks t LEFT JOIN read_runs.runs r ON r.id = t.run_id
            WHERE (t.agent_id = ANY($1) OR t.template_id = ANY($1)) AND t.created_at >= $2
                AND (r.started_position IS NULL OR r.started_position <= $3) LIMIT $4",
            subjects,
            since,
            projector::number(position),
            most(limit)
        );
        Ok(ids.fetch_all(&self.pool).await?)
    }
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
