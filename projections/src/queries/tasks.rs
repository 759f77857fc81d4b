//! Lists of tasks and of attempts, whatever runs they belong to.

use journal::Position;
use uuid::Uuid;

use super::order::{AttemptKey, Place, SortKey, TaskKey, attach, of_attempt, of_task, placed};
use super::{Page, Queries, Window};
use crate::{AttemptRow, Error, TaskRow, projector};

/// Which tasks are wanted; the default wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskFilter {
    /// Only those that were created in this run.
    pub run_id: Option<Uuid>,
    /// Only at one of these statuses; empty means any.
    pub statuses: Vec<String>,
    /// Only those that this agent has.
    pub agent_id: Option<Uuid>,
    /// Only with this template.
    pub template_id: Option<Uuid>,
    /// Only created at or after this moment, in microseconds since the Unix epoch.
    pub created_from: Option<i64>,
    /// Only created before this moment.
    pub created_before: Option<i64>,
}

/// Which attempts are wanted; the default wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttemptFilter {
    /// Only of this task.
    pub task_id: Option<Uuid>,
    /// Only on this platform.
    pub platform: Option<String>,
    /// Only those that this model answered, or that it was asked in when nothing was answered.
    pub model: Option<String>,
    /// Only at one of these statuses; empty means any.
    pub statuses: Vec<String>,
    /// Only started at or after this moment, in microseconds since the Unix epoch.
    pub started_from: Option<i64>,
    /// Only started before this moment.
    pub started_before: Option<i64>,
}

impl AttemptFilter {
    /// Whether an attempt is wanted by what may change of it; the same as the conditions in SQL.
    pub(crate) fn wants(&self, row: &AttemptRow) -> bool {
        let model = row.answered_by.as_ref().or(row.model.as_ref());
        (self.statuses.is_empty() || self.statuses.contains(&row.status))
            && self.model.as_ref().is_none_or(|wanted| model == Some(wanted))
    }
}

impl Queries {
    /// Tasks, the greatest by the key first, each with its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tasks(
        &self,
        key: TaskKey,
        filter: &TaskFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, TaskRow)>, Error> {
        let asked = window.turned(true);
        macro_rules! page {
            ($key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                sqlx::query!(
                    "SELECT t.id, " + $key + " AS \"key!\" FROM read_runs.tasks t
                    WHERE ($1::uuid IS NULL OR t.run_id = $1)
                        AND (cardinality($2::text[]) = 0 OR t.status = ANY($2))
                        AND ($3::uuid IS NULL OR t.agent_id = $3) AND ($4::uuid IS NULL OR t.template_id = $4)
                        AND t.created_at >= $5 AND t.created_at < $6
                        AND (" + $key + ", t.id) > ($7::" + $type + ", $8::uuid)
                        AND (" + $key + ", t.id) < ($9::" + $type + ", $10::uuid)
                    ORDER BY " + $key + $desc + ", t.id" + $desc + " LIMIT $11",
                    filter.run_id,
                    &filter.statuses,
                    filter.agent_id,
                    filter.template_id,
                    filter.created_from.unwrap_or(i64::MIN),
                    filter.created_before.unwrap_or(i64::MAX),
                    $lower.0,
                    $lower.1,
                    $upper.0,
                    $upper.1,
                    asked.probe()
                )
                .map(|row| (SortKey::from(row.key), row.id))
                .fetch_all(&self.pool)
                .await?
            };
        }
        let (least, most) = (Uuid::nil(), Uuid::max());
        let found = match key {
            TaskKey::Created => placed!(asked, least, most, page, number "t.created_at"),
            TaskKey::Ended => placed!(asked, least, most, page, number "coalesce(t.ended_at, -1)"),
            TaskKey::Duration => placed!(asked, least, most, page, number "coalesce(t.ended_at - t.created_at, -1)"),
        };
        let found = Page::cut(found, &asked).turned(true);
        let ids: Vec<Uuid> = found.rows.iter().map(|(_, id)| *id).collect();
        Ok(attach(found, self.tasks_by_ids(&ids).await?, of_task))
    }

    /// The places of tasks that may have been there at a position, the newest first; the filter's status and agent are
    /// left out, because both may have been others. Those of runs that had not started yet are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn tasks_created_by(
        &self,
        position: Position,
        filter: &TaskFilter,
        window: &Window<Place>,
    ) -> Result<Vec<Place>, Error> {
        let asked = window.turned(true);
        macro_rules! page {
            ($key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                sqlx::query!(
                    "SELECT t.id, "
                        + $key
                        + " AS \"key!\" FROM read_runs.tasks t
                    LEFT JOIN read_runs.runs r ON r.id = t.run_id
                    WHERE ($1::uuid IS NULL OR t.run_id = $1) AND ($2::uuid IS NULL OR t.template_id = $2)
                        AND t.created_at >= $3 AND t.created_at < $4
                        AND (r.started_position IS NULL OR r.started_position <= $5)
                        AND ("
                        + $key
                        + ", t.id) > ($6::"
                        + $type
                        + ", $7::uuid)
                        AND ("
                        + $key
                        + ", t.id) < ($8::"
                        + $type
                        + ", $9::uuid)
                    ORDER BY "
                        + $key
                        + $desc
                        + ", t.id"
                        + $desc
                        + " LIMIT $10",
                    filter.run_id,
                    filter.template_id,
                    filter.created_from.unwrap_or(i64::MIN),
                    filter.created_before.unwrap_or(i64::MAX),
                    projector::number(position),
                    $lower.0,
                    $lower.1,
                    $upper.0,
                    $upper.1,
                    i64::from(window.limit)
                )
                .map(|row| (SortKey::from(row.key), row.id))
                .fetch_all(&self.pool)
                .await?
            };
        }
        Ok(placed!(asked, Uuid::nil(), Uuid::max(), page, number "t.created_at"))
    }

    /// Attempts, the greatest by the key first, each with its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attempts(
        &self,
        key: AttemptKey,
        filter: &AttemptFilter,
        window: &Window<Place<(Uuid, i32)>>,
    ) -> Result<Page<(Place<(Uuid, i32)>, AttemptRow)>, Error> {
        let asked = window.turned(true);
        macro_rules! page {
            ($key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                sqlx::query!(
                    "SELECT a.task_id, a.number, "
                        + $key
                        + " AS \"key!\" FROM read_runs.attempts a
                    WHERE ($1::uuid IS NULL OR a.task_id = $1) AND ($2::text IS NULL OR a.platform = $2)
                        AND ($3::text IS NULL OR coalesce(a.answered_by, a.model) = $3)
                        AND (cardinality($4::text[]) = 0 OR a.status = ANY($4))
                        AND a.started_at >= $5 AND a.started_at < $6
                        AND ("
                        + $key
                        + ", a.task_id, a.number) > ($7::"
                        + $type
                        + ", $8::uuid, $9::integer)
                        AND ("
                        + $key
                        + ", a.task_id, a.number) < ($10::"
                        + $type
                        + ", $11::uuid, $12::integer)
                    ORDER BY "
                        + $key
                        + $desc
                        + ", a.task_id"
                        + $desc
                        + ", a.number"
                        + $desc
                        + " LIMIT $13",
                    filter.task_id,
                    filter.platform.as_deref(),
                    filter.model.as_deref(),
                    &filter.statuses,
                    filter.started_from.unwrap_or(i64::MIN),
                    filter.started_before.unwrap_or(i64::MAX),
                    $lower.0,
                    $lower.1.0,
                    $lower.1.1,
                    $upper.0,
                    $upper.1.0,
                    $upper.1.1,
                    asked.probe()
                )
                .map(|row| (SortKey::from(row.key), (row.task_id, row.number)))
                .fetch_all(&self.pool)
                .await?
            };
        }
        let (least, most) = ((Uuid::nil(), 0), (Uuid::max(), i32::MAX));
        let found = match key {
            AttemptKey::Started => placed!(asked, least, most, page, number "a.started_at"),
            AttemptKey::Cost => placed!(asked, least, most, page, number "coalesce(a.cost_nano_usd, -1)"),
            AttemptKey::Duration => placed!(asked, least, most, page, number "coalesce(a.duration_ms, -1)"),
        };
        let found = Page::cut(found, &asked).turned(true);
        let mut tasks: Vec<Uuid> = found.rows.iter().map(|(_, (task, _))| *task).collect();
        tasks.dedup();
        Ok(attach(found, self.attempts_of_tasks(&tasks).await?, of_attempt))
    }

    /// The places of attempts that may have been there at a position, the newest first; the filter's status and model are
    /// left out, because both may have been others. Those of runs that had not started yet are left out.
    pub(crate) async fn attempts_started_by(
        &self,
        position: Position,
        filter: &AttemptFilter,
        window: &Window<Place<(Uuid, i32)>>,
    ) -> Result<Vec<Place<(Uuid, i32)>>, Error> {
        let asked = window.turned(true);
        macro_rules! page {
            ($key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                sqlx::query!(
                    "SELECT a.task_id, a.number, "
                        + $key
                        + " AS \"key!\" FROM read_runs.attempts a
                    JOIN read_runs.tasks t ON t.id = a.task_id LEFT JOIN read_runs.runs r ON r.id = t.run_id
                    WHERE ($1::uuid IS NULL OR a.task_id = $1) AND ($2::text IS NULL OR a.platform = $2)
                        AND a.started_at >= $3 AND a.started_at < $4
                        AND (r.started_position IS NULL OR r.started_position <= $5)
                        AND ("
                        + $key
                        + ", a.task_id, a.number) > ($6::"
                        + $type
                        + ", $7::uuid, $8::integer)
                        AND ("
                        + $key
                        + ", a.task_id, a.number) < ($9::"
                        + $type
                        + ", $10::uuid, $11::integer)
                    ORDER BY "
                        + $key
                        + $desc
                        + ", a.task_id"
                        + $desc
                        + ", a.number"
                        + $desc
                        + " LIMIT $12",
                    filter.task_id,
                    filter.platform.as_deref(),
                    filter.started_from.unwrap_or(i64::MIN),
                    filter.started_before.unwrap_or(i64::MAX),
                    projector::number(position),
                    $lower.0,
                    $lower.1.0,
                    $lower.1.1,
                    $upper.0,
                    $upper.1.0,
                    $upper.1.1,
                    i64::from(window.limit)
                )
                .map(|row| (SortKey::from(row.key), (row.task_id, row.number)))
                .fetch_all(&self.pool)
                .await?
            };
        }
        let (least, most) = ((Uuid::nil(), 0), (Uuid::max(), i32::MAX));
        Ok(placed!(asked, least, most, page, number "a.started_at"))
    }
}
