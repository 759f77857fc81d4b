//! How runs hang together: which started which, and which took over whose history.

use journal::Position;
use uuid::Uuid;

use super::Queries;
use crate::projector::{number, position};
use crate::{Error, RelativeRow, RepeatRow};

impl Queries {
    /// A run and all that were started beneath it, each after the one that started it and before that one's later
    /// ones; at most `limit` of them. Nothing when there is no such run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tree(&self, root: Uuid, limit: u32) -> Result<Vec<RelativeRow>, Error> {
        self.tree_by(position(i64::MAX), root, limit).await
    }

    /// The same of the runs that had started by a position.
    pub(crate) async fn tree_by(&self, until: Position, root: Uuid, limit: u32) -> Result<Vec<RelativeRow>, Error> {
        let rows = sqlx::query_as!(
            RelativeRow,
            r#"WITH RECURSIVE tree AS (
                SELECT r.id AS run_id, 0 AS distance, ARRAY[(r.started_at, r.id)] AS path
                FROM read_runs.runs r WHERE r.id = $1 AND r.started_position <= $3
                UNION ALL
                SELECT r.id, t.distance + 1, t.path || (r.started_at, r.id)
                FROM tree t JOIN read_runs.parents p ON p.parent_id = t.run_id JOIN read_runs.runs r ON r.id = p.run_id
                WHERE t.distance < 100 AND r.started_position <= $3
            ) SELECT run_id AS "run_id!", distance AS "distance!" FROM tree ORDER BY path LIMIT $2"#,
            root,
            i64::from(limit),
            number(until)
        );
        Ok(rows.fetch_all(&self.pool).await?)
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

    /// A run with those whose history it goes back to, the first one first, and those that took over its own; at most
    /// `limit` of them. Nothing when there is no such run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lineage(&self, run: Uuid, limit: u32) -> Result<Vec<RelativeRow>, Error> {
        self.lineage_by(position(i64::MAX), run, limit).await
    }

    /// The same of the runs that had started by a position. Nothing when the run itself had not; then none that took over its
    /// history had either.
    pub(crate) async fn lineage_by(&self, until: Position, run: Uuid, limit: u32) -> Result<Vec<RelativeRow>, Error> {
        let rows = sqlx::query_as!(
            RelativeRow,
            r#"WITH RECURSIVE ancestors AS (
                SELECT i.id AS run_id, 0 AS distance FROM read_runs.runs i WHERE i.id = $1 AND i.started_position <= $3
                UNION ALL
                SELECT l.source_id, a.distance - 1
                FROM ancestors a JOIN read_runs.lineages l ON l.run_id = a.run_id
            ), descendants AS (
                SELECT $1::uuid AS run_id, 0 AS distance
                UNION ALL
                SELECT l.run_id, d.distance + 1
                FROM descendants d JOIN read_runs.lineages l ON l.source_id = d.run_id
            )
            SELECT r.id AS "run_id!", f.distance AS "distance!"
            FROM (SELECT * FROM ancestors UNION SELECT * FROM descendants) AS f
            JOIN read_runs.runs r ON r.id = f.run_id WHERE r.started_position <= $3 ORDER BY f.distance, r.started_at, r.id LIMIT $2"#,
            run,
            i64::from(limit),
            number(until)
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
