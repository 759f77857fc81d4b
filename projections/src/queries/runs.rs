use journal::Position;
use uuid::Uuid;

use super::order::{Place, RunKey, SortKey, attach, placed};
use super::{Page, Queries, Window};
use crate::{Error, RunRow, StatusCountRow, projector};

/// Which runs are wanted; the default wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    /// Only of the workflow with this key.
    pub workflow_key: Option<String>,
    /// Only at one of these statuses; empty means any.
    pub statuses: Vec<String>,
    /// Only started by this actor, as `kind:id`.
    pub actor: Option<String>,
    /// Only started at or after this moment, in microseconds since the Unix epoch.
    pub started_from: Option<i64>,
    /// Only started before this moment, in microseconds since the Unix epoch.
    pub started_before: Option<i64>,
    /// Only with this text in the id or the workflow's key.
    pub text: Option<String>,
    /// Only those that a step of this run started.
    pub parent_id: Option<Uuid>,
    /// Only those that took over this run's history.
    pub source_id: Option<Uuid>,
    /// Only those that this trigger started.
    pub trigger_id: Option<Uuid>,
}

impl RunFilter {
    /// Whether a run is wanted; the same as the conditions in SQL.
    #[must_use]
    pub fn wants(&self, run: &RunRow) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, has: Option<&T>) -> bool {
            wanted.is_none() || wanted == has
        }
        let within = |text: &String| {
            let text = text.to_lowercase();
            run.id.to_string().contains(&text) || run.workflow_key.contains(&text)
        };
        is(self.workflow_key.as_ref(), Some(&run.workflow_key))
            && (self.statuses.is_empty() || self.statuses.contains(&run.status))
            && is(self.actor.as_ref(), Some(&run.actor))
            && self.started_from.is_none_or(|from| run.started_at >= from)
            && self.started_before.is_none_or(|before| run.started_at < before)
            && self.text.as_ref().is_none_or(within)
            && is(self.parent_id.as_ref(), run.parent_id.as_ref())
            && is(self.source_id.as_ref(), run.source_id.as_ref())
            && is(self.trigger_id.as_ref(), run.trigger_id.as_ref())
    }
}

/// Reads runs with a tail of SQL behind the columns. A step's events do not touch the run's row, so the run's
/// position is the largest among its own and its steps', and what was simulated in a step was simulated in the run.
macro_rules! runs {
    ($tail:literal $(+ $more:literal)*, $($arg:expr),*) => {
        sqlx::query_as!(
            RunRow,
            r#"SELECT r.id, r.workflow_id, r.workflow_key, r.version, r.status, r.input, r.output,
                r.simulated OR coalesce(step_simulated, false) AS "simulated!", r.error_kind, r.error_message,
                r.failed_step, r.cancel_reason, r.node, r.epoch, r.actor, r.correlation, r.priority, r.started_at,
                r.ended_at, r.deadline, r.cut_at, parent_id AS "parent_id?", parent_step AS "parent_step?",
                depth AS "depth?", source_id AS "source_id?", source_revision AS "source_revision?",
                lineage_kind AS "lineage_kind?", kept AS "kept?", overrides AS "overrides?",
                trigger_id AS "trigger_id?", cause AS "trigger_cause?", queued_at AS "queued_at?", admitted_at,
                paused_by AS "paused_by?", pause_reason AS "pause_reason?", since AS "paused_at?",
                clock AS "pause_clock?", hold_id,
                greatest(r.position, step_position) AS "position!"
            FROM read_runs.runs r CROSS JOIN LATERAL (
                SELECT max(s.position) AS step_position, bool_or(s.simulated) AS step_simulated
                FROM read_runs.steps s WHERE s.run_id = r.id
            ) AS of_steps
            LEFT JOIN read_runs.parents ON parents.run_id = r.id
            LEFT JOIN read_runs.lineages ON lineages.run_id = r.id
            LEFT JOIN read_runs.firings ON firings.run_id = r.id
            LEFT JOIN read_runs.queues ON queues.run_id = r.id
            LEFT JOIN read_runs.pauses ON pauses.run_id = r.id AND pauses.until IS NULL
            WHERE "# + $tail $(+ $more)*,
            $($arg),*
        )
    };
}

/// Puts a filter's conditions and values before a tail of SQL and its own parameters, which count from `$10`.
macro_rules! filtered {
    ($select:ident $([$lead:literal])?, $filter:expr, $text:expr, $tail:literal $(+ $more:literal)* $(, $arg:expr)*) => {
        $select!(
            $([$lead])?
            "r.started_at >= coalesce($1::bigint, r.started_at)
             AND r.started_at < coalesce($2::bigint, r.started_at + 1)
             AND ($3::text IS NULL OR r.workflow_key = $3)
             AND (cardinality($4::text[]) = 0 OR r.status = ANY($4))
             AND ($5::text IS NULL OR r.actor = $5)
             AND ($6::text IS NULL OR strpos(r.id::text, $6) > 0 OR strpos(r.workflow_key, $6) > 0)
             AND ($7::uuid IS NULL OR r.id IN (SELECT p.run_id FROM read_runs.parents p WHERE p.parent_id = $7))
             AND ($8::uuid IS NULL OR r.id IN (SELECT l.run_id FROM read_runs.lineages l WHERE l.source_id = $8))
             AND ($9::uuid IS NULL OR r.id IN (SELECT f.run_id FROM read_runs.firings f WHERE f.trigger_id = $9)) "
                + $tail $(+ $more)*,
            $filter.started_from,
            $filter.started_before,
            $filter.workflow_key.as_deref(),
            &$filter.statuses,
            $filter.actor.as_deref(),
            $text,
            $filter.parent_id,
            $filter.source_id,
            $filter.trigger_id
            $(, $arg)*
        )
    };
}

macro_rules! ids {
    ($tail:literal $(+ $more:literal)*, $($arg:expr),*) => {
        sqlx::query_scalar!("SELECT r.id FROM read_runs.runs r WHERE " + $tail $(+ $more)*, $($arg),*)
    };
}

macro_rules! places {
    ($tail:literal $(+ $more:literal)*, $($arg:expr),*) => {
        sqlx::query!("SELECT r.started_at, r.id FROM read_runs.runs r WHERE " + $tail $(+ $more)*, $($arg),*)
    };
}

/// The ids of runs with what they are sorted by.
macro_rules! keyed {
    ([$key:literal] $tail:literal $(+ $more:literal)*, $($arg:expr),*) => {
        sqlx::query!(
            "SELECT r.id, " + $key + " AS \"key!\" FROM read_runs.runs r WHERE " + $tail $(+ $more)*,
            $($arg),*
        )
    };
}

/// The same with what they cost.
macro_rules! costed {
    ([$key:literal] $tail:literal $(+ $more:literal)*, $($arg:expr),*) => {
        sqlx::query!(
            "SELECT r.id, " + $key + " AS \"key!\" FROM read_runs.runs r
             JOIN read_usage.run_origins c ON c.id = r.id WHERE " + $tail $(+ $more)*,
            $($arg),*
        )
    };
}

macro_rules! counts {
    ($tail:literal $(+ $more:literal)*, $($arg:expr),*) => {
        sqlx::query_as!(
            StatusCountRow,
            r#"SELECT r.status, count(*) AS "count!" FROM read_runs.runs r WHERE "# + $tail $(+ $more)*,
            $($arg),*
        )
    };
}

impl Queries {
    /// Runs, newest first, by `(started_at, id)`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs(&self, filter: &RunFilter, window: &Window<(i64, Uuid)>) -> Result<Page<RunRow>, Error> {
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        // The list is descending: `after` bounds it from above, `before` from below.
        let (upper, upper_id) = window.after.unwrap_or((i64::MAX, Uuid::max()));
        let (lower, lower_id) = window.before.unwrap_or((i64::MIN, Uuid::nil()));
        macro_rules! page {
            ($order:literal) => {
                filtered!(
                    runs,
                    filter,
                    text.as_deref(),
                    "AND (r.started_at, r.id) < ($10::bigint, $11::uuid) AND (r.started_at, r.id) > ($12::bigint, $13::uuid)
                     ORDER BY "
                        + $order
                        + " LIMIT $14",
                    upper,
                    upper_id,
                    lower,
                    lower_id,
                    window.probe()
                )
            };
        }
        let rows = if window.from_end {
            page!("r.started_at, r.id").fetch_all(&self.pool).await?
        } else {
            page!("r.started_at DESC, r.id DESC").fetch_all(&self.pool).await?
        };
        Ok(Page::cut(rows, window))
    }

    /// Runs in another order than by their start, each with its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_by(
        &self,
        key: RunKey,
        filter: &RunFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, RunRow)>, Error> {
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        let asked = window.turned(key.descends());
        macro_rules! statement {
            ($select:ident, $key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                filtered!(
                    $select[$key],
                    filter,
                    text.as_deref(),
                    "AND ("
                        + $key
                        + ", r.id) > ($10::"
                        + $type
                        + ", $11::uuid)
                     AND ("
                        + $key
                        + ", r.id) < ($12::"
                        + $type
                        + ", $13::uuid)
                     ORDER BY "
                        + $key
                        + $desc
                        + ", r.id"
                        + $desc
                        + " LIMIT $14",
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
        macro_rules! page {
            ($key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                statement!(keyed, $key, $type, $desc, $lower, $upper)
            };
        }
        macro_rules! costs {
            ($key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                statement!(costed, $key, $type, $desc, $lower, $upper)
            };
        }
        let (least, most) = (Uuid::nil(), Uuid::max());
        let found = match key {
            RunKey::Ended => placed!(asked, least, most, page, number "coalesce(r.ended_at, -1)"),
            RunKey::Duration => placed!(asked, least, most, page, number "coalesce(r.ended_at - r.started_at, -1)"),
            RunKey::Cost => placed!(asked, least, most, costs, number "c.cost_nano_usd"),
            RunKey::Workflow => placed!(asked, least, most, page, text "r.workflow_key COLLATE \"C\""),
        };
        let found = Page::cut(found, &asked).turned(key.descends());
        let ids: Vec<Uuid> = found.rows.iter().map(|(_, id)| *id).collect();
        Ok(attach(found, self.runs_by_ids(&ids).await?, |row| row.id))
    }

    /// What the tasks of runs are known to have cost, by run, in billionths of a US dollar, as the read model `usage`
    /// has it; a run that it has not met is left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn costs_of_runs(&self, runs: &[Uuid]) -> Result<Vec<(Uuid, i64)>, Error> {
        let rows = sqlx::query!("SELECT id, cost_nano_usd FROM read_usage.run_origins WHERE id = ANY($1)", runs);
        Ok(rows.map(|row| (row.id, row.cost_nano_usd)).fetch_all(&self.pool).await?)
    }

    /// The ids of the runs that a filter hits, oldest first, at most `limit` of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_ids(&self, filter: &RunFilter, limit: u32) -> Result<Vec<Uuid>, Error> {
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        let tail = filtered!(ids, filter, text.as_deref(), "ORDER BY r.started_at, r.id LIMIT $10", i64::from(limit));
        Ok(tail.fetch_all(&self.pool).await?)
    }

    /// The places in the list of the runs that had started by a position, in the list's order, or from its end
    /// backwards; whatever their status.
    pub(crate) async fn runs_started_by(
        &self,
        position: Position,
        filter: &RunFilter,
        window: &Window<(i64, Uuid)>,
    ) -> Result<Vec<(i64, Uuid)>, Error> {
        let filter = &RunFilter { statuses: vec![], ..filter.clone() };
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        let (upper, upper_id) = window.after.unwrap_or((i64::MAX, Uuid::max()));
        let (lower, lower_id) = window.before.unwrap_or((i64::MIN, Uuid::nil()));
        macro_rules! page {
            ($order:literal) => {
                filtered!(
                    places,
                    filter,
                    text.as_deref(),
                    "AND (r.started_at, r.id) < ($10::bigint, $11::uuid) AND (r.started_at, r.id) > ($12::bigint, $13::uuid)
                     AND r.started_position <= $14 ORDER BY "
                        + $order
                        + " LIMIT $15",
                    upper,
                    upper_id,
                    lower,
                    lower_id,
                    projector::number(position),
                    i64::from(window.limit)
                )
                .fetch_all(&self.pool)
                .await?
                .into_iter()
                .map(|row| (row.started_at, row.id))
                .collect()
            };
        }
        Ok(if window.from_end { page!("r.started_at, r.id") } else { page!("r.started_at DESC, r.id DESC") })
    }

    /// How many of the runs that a filter hits stand at each status; a status without runs is left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_runs(&self, filter: &RunFilter) -> Result<Vec<StatusCountRow>, Error> {
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        let rows = filtered!(counts, filter, text.as_deref(), "GROUP BY r.status ORDER BY r.status");
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// One run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, id: Uuid) -> Result<Option<RunRow>, Error> {
        Ok(runs!("r.id = $1", id).fetch_optional(&self.pool).await?)
    }

    /// Runs by their ids, in no particular order; unknown ids are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_by_ids(&self, ids: &[Uuid]) -> Result<Vec<RunRow>, Error> {
        Ok(runs!("r.id = ANY($1)", ids).fetch_all(&self.pool).await?)
    }

    /// How many runs stand at each status; a status without runs is left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_by_status(&self) -> Result<Vec<StatusCountRow>, Error> {
        let rows = sqlx::query_as!(
            StatusCountRow,
            r#"SELECT status, count(*) AS "count!" FROM read_runs.runs GROUP BY status ORDER BY status"#
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
