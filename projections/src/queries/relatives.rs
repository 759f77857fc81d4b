//! How runs hang together: which started which, and which took over whose history.
//!
//! Lists of such runs are cut in the database, so that a page costs its own rows here, however many runs hang together. Where
//! a run stands in such a list is a row of texts that compare as the values in them do, and that stays the same whatever
//! joins the list later.

use journal::Position;
use uuid::Uuid;

use super::{Page, Queries, Window};
use crate::projector::{number, position};
use crate::{Error, RelativeRow, RepeatRow};

/// How runs hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// A run and all that was started beneath it.
    Tree,
    /// A run with those whose history it goes back to, and those that took over its own.
    Lineage,
}

/// Which of the runs that hang together are wanted; the default wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RelativeFilter {
    /// Only at one of these statuses; empty means any.
    pub statuses: Vec<String>,
    /// Only of the workflow with this key.
    pub workflow_key: Option<String>,
    /// Only those that are no further away than this, in either direction.
    pub within: Option<u32>,
}

/// In which order runs come that hang together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelativeKey {
    /// By their places: in a tree each after the one that started it and before that one's later ones, in a lineage the one
    /// that it all goes back to first.
    Place,
    /// The one that started last first.
    Started,
    /// By where they stand, in the order of these statuses; of those with the same, the one that started last first.
    Status(Vec<String>),
}

impl RelativeKey {
    /// The name that statements know it by.
    fn name(&self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Started => "started",
            Self::Status(_) => "status",
        }
    }

    /// The statuses in their order.
    fn statuses(&self) -> &[String] {
        match self {
            Self::Status(statuses) => statuses,
            Self::Place | Self::Started => &[],
        }
    }

    /// The place of a run by its status; the same as in SQL.
    pub(crate) fn place_by_status(&self, status: &str, row: &RelativeRow) -> Standing {
        let known = self.statuses().iter().position(|known| known == status).map_or(0, |index| index + 1);
        vec![format!("{known:02}"), format!("{:019}", i64::MAX.saturating_sub(row.started_at)), row.run_id.to_string()]
    }
}

/// Where a run stands in a list of runs that hang together.
pub type Standing = Vec<String>;

macro_rules! relatives {
    ($self:ident, $related:literal, $direction:literal, $($arg:expr),*) => {{
        sqlx::query!(
            "WITH RECURSIVE " + $related + ", placed AS (
                SELECT f.run_id, f.distance, f.started_at, CASE $5::text WHEN 'place' THEN f.path
                    WHEN 'started' THEN ARRAY[lpad((9223372036854775807 - f.started_at)::text, 19, '0'), f.run_id::text]
                    ELSE ARRAY[lpad(coalesce(array_position($6::text[], f.status), 0)::text, 2, '0'),
                        lpad((9223372036854775807 - f.started_at)::text, 19, '0'), f.run_id::text]
                    END COLLATE \"C\" AS place
                FROM related f WHERE (cardinality($7::text[]) = 0 OR f.status = ANY($7))
                    AND ($8::text IS NULL OR f.workflow_key = $8) AND ($9::bigint IS NULL OR abs(f.distance) <= $9)
            ) SELECT run_id AS \"run_id!\", distance AS \"distance!\", started_at AS \"started_at!\", place AS \"place!\"
            FROM placed WHERE ($3::text[] IS NULL OR place > $3) AND ($4::text[] IS NULL OR place < $4)
            ORDER BY place" + $direction + " LIMIT $10",
            $($arg),*
        )
        .map(|row| {
            let relative = RelativeRow { run_id: row.run_id, distance: row.distance, started_at: row.started_at };
            (row.place, relative)
        })
        .fetch_all(&$self.pool)
        .await?
    }};
}

impl Queries {
    /// Runs that hang together with one, each with where it stands in that order. Nothing when there is no such run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn relatives(
        &self,
        relation: Relation,
        run: Uuid,
        key: &RelativeKey,
        filter: &RelativeFilter,
        window: &Window<Standing>,
    ) -> Result<Page<(Standing, RelativeRow)>, Error> {
        self.relatives_by(position(i64::MAX), relation, run, key, filter, window).await
    }

    /// The same of the runs that had started by a position. Nothing when the run itself had not; then none that it started, or
    /// that took over its history, had either. Where runs stand is looked at as it is now.
    pub(crate) async fn relatives_by(
        &self,
        until: Position,
        relation: Relation,
        run: Uuid,
        key: &RelativeKey,
        filter: &RelativeFilter,
        window: &Window<Standing>,
    ) -> Result<Page<(Standing, RelativeRow)>, Error> {
        macro_rules! page {
            ($related:literal, $direction:literal) => {
                relatives!(
                    self,
                    $related,
                    $direction,
                    run,
                    number(until),
                    window.after.as_deref(),
                    window.before.as_deref(),
                    key.name(),
                    key.statuses(),
                    &filter.statuses,
                    filter.workflow_key.as_deref(),
                    filter.within.map(i64::from),
                    window.probe()
                )
            };
        }
        macro_rules! tree {
            ($direction:literal) => {
                page!(
                    "related AS (
                        SELECT r.id AS run_id, 0 AS distance, r.started_at, r.status, r.workflow_key,
                            ARRAY[lpad(r.started_at::text, 19, '0') || r.id::text] AS path
                        FROM read_runs.runs r WHERE r.id = $1 AND r.started_position <= $2
                        UNION ALL
                        SELECT r.id, t.distance + 1, r.started_at, r.status, r.workflow_key,
                            t.path || (lpad(r.started_at::text, 19, '0') || r.id::text)
                        FROM related t JOIN read_runs.parents p ON p.parent_id = t.run_id
                            JOIN read_runs.runs r ON r.id = p.run_id
                        WHERE t.distance < 100 AND r.started_position <= $2
                    )",
                    $direction
                )
            };
        }
        macro_rules! lineage {
            ($direction:literal) => {
                page!(
                    "ancestors AS (
                        SELECT i.id AS run_id, 0 AS distance FROM read_runs.runs i
                        WHERE i.id = $1 AND i.started_position <= $2
                        UNION ALL
                        SELECT l.source_id, a.distance - 1
                        FROM ancestors a JOIN read_runs.lineages l ON l.run_id = a.run_id
                    ), descendants AS (
                        SELECT $1::uuid AS run_id, 0 AS distance
                        UNION ALL
                        SELECT l.run_id, d.distance + 1
                        FROM descendants d JOIN read_runs.lineages l ON l.source_id = d.run_id
                    ), related AS (
                        SELECT r.id AS run_id, f.distance, r.started_at, r.status, r.workflow_key,
                            ARRAY[lpad((f.distance + 1000000000)::text, 10, '0'), lpad(r.started_at::text, 19, '0'),
                                r.id::text] AS path
                        FROM (SELECT * FROM ancestors UNION SELECT * FROM descendants) AS f
                        JOIN read_runs.runs r ON r.id = f.run_id WHERE r.started_position <= $2
                    )",
                    $direction
                )
            };
        }
        let rows = match (relation, window.from_end) {
            (Relation::Tree, false) => tree!(""),
            (Relation::Tree, true) => tree!(" DESC"),
            (Relation::Lineage, false) => lineage!(""),
            (Relation::Lineage, true) => lineage!(" DESC"),
        };
        Ok(Page::cut(rows, window))
    }

    /// The tasks that runs do again; a run that does none is left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn repeats_of_runs(&self, runs: &[Uuid]) -> Result<Vec<RepeatRow>, Error> {
        let rows =
            sqlx::query_as!(RepeatRow, "SELECT run_id, task_id FROM read_runs.repeats WHERE run_id = ANY($1)", runs);
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// The runs that do tasks again, by task, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn repeats_of_tasks(&self, tasks: &[Uuid]) -> Result<Vec<RepeatRow>, Error> {
        let rows = sqlx::query_as!(
            RepeatRow,
            "SELECT p.run_id, p.task_id FROM read_runs.repeats p JOIN read_runs.runs r ON r.id = p.run_id
            WHERE p.task_id = ANY($1) ORDER BY p.task_id, r.started_at, r.id",
            tasks
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
