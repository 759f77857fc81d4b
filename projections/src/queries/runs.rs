use uuid::Uuid;

use super::{Page, Queries, Window};
use crate::{AgentMetricsRow, AttemptRow, Error, RunRow, StatusCountRow, StepRow, TaskRow};

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
}

/// Reads runs with a tail of SQL behind the columns. A step's events do not touch the run's row, so the run's
/// position is the largest among its own and its steps', and what was simulated in a step was simulated in the run.
macro_rules! runs {
    ($tail:literal $(+ $more:literal)*, $($arg:expr),*) => {
        sqlx::query_as!(
            RunRow,
            r#"SELECT id, workflow_id, workflow_key, version, status, input, output,
                simulated OR coalesce(step_simulated, false) AS "simulated!", error_kind, error_message, failed_step,
                cancel_reason, node, epoch, actor, correlation, started_at, ended_at,
                greatest(position, step_position) AS "position!"
            FROM read_runs.runs CROSS JOIN LATERAL (
                SELECT max(s.position) AS step_position, bool_or(s.simulated) AS step_simulated
                FROM read_runs.steps s WHERE s.run_id = runs.id
            ) AS of_steps WHERE "# + $tail $(+ $more)*,
            $($arg),*
        )
    };
}

macro_rules! tasks {
    ($tail:literal, $($arg:expr),*) => {
        sqlx::query_as!(
            TaskRow,
            r#"SELECT t.id, t.run_id, t.step, t.template_id, t.template_version, t.agent_id, t.agent_version,
                t.assign_reason, t.parameters, t.status, t.retry_at, t.error_kind, t.error_message, t.cancel_reason,
                t.created_at, t.ended_at, t.attempts, t.position
            FROM "# + $tail,
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
        macro_rules! filtered {
            ($order:literal) => {
                runs!(
                    "(started_at, id) < ($1::bigint, $2::uuid) AND (started_at, id) > ($3::bigint, $4::uuid)
                     AND started_at >= coalesce($5::bigint, started_at)
                     AND started_at < coalesce($6::bigint, started_at + 1)
                     AND ($7::text IS NULL OR workflow_key = $7)
                     AND (cardinality($8::text[]) = 0 OR status = ANY($8))
                     AND ($9::text IS NULL OR actor = $9)
                     AND ($10::text IS NULL OR strpos(id::text, $10) > 0 OR strpos(workflow_key, $10) > 0)
                     ORDER BY "
                        + $order
                        + " LIMIT $11",
                    upper,
                    upper_id,
                    lower,
                    lower_id,
                    filter.started_from,
                    filter.started_before,
                    filter.workflow_key.as_deref(),
                    &filter.statuses,
                    filter.actor.as_deref(),
                    text.as_deref(),
                    window.probe()
                )
            };
        }
        let rows = if window.from_end {
            filtered!("started_at, id").fetch_all(&self.pool).await?
        } else {
            filtered!("started_at DESC, id DESC").fetch_all(&self.pool).await?
        };
        Ok(Page::cut(rows, window))
    }

    /// One run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, id: Uuid) -> Result<Option<RunRow>, Error> {
        Ok(runs!("id = $1", id).fetch_optional(&self.pool).await?)
    }

    /// Runs by their ids, in no particular order; unknown ids are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_by_ids(&self, ids: &[Uuid]) -> Result<Vec<RunRow>, Error> {
        Ok(runs!("id = ANY($1)", ids).fetch_all(&self.pool).await?)
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

    /// The steps of runs, pending ones included, by run and by their order in the definition.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn steps_of_runs(&self, runs: &[Uuid]) -> Result<Vec<StepRow>, Error> {
        let rows = sqlx::query_as!(
            StepRow,
            r#"SELECT r.id AS run_id, p.step AS name, p.title, p.ordinal, coalesce(s.status, 'pending') AS "status!",
                s.task_id AS "task_id?", p.agent_key, p.template_key, p.needs, s.output AS "output?",
                coalesce(s.simulated, false) AS "simulated!", s.error_kind AS "error_kind?",
                s.error_message AS "error_message?", s.started_at AS "started_at?", s.ended_at AS "ended_at?",
                s.position AS "position?"
            FROM read_runs.runs r
            JOIN read_runs.plans p ON p.workflow_id = r.workflow_id AND p.version = r.version
            LEFT JOIN read_runs.steps s ON s.run_id = r.id AND s.step = p.step
            WHERE r.id = ANY($1) ORDER BY r.id, p.ordinal"#,
            runs
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Tasks by their ids, in no particular order; unknown ids are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tasks_by_ids(&self, ids: &[Uuid]) -> Result<Vec<TaskRow>, Error> {
        Ok(tasks!("read_runs.tasks t WHERE t.id = ANY($1)", ids).fetch_all(&self.pool).await?)
    }

    /// The tasks of runs' steps, by run and in the order of their creation.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tasks_of_runs(&self, runs: &[Uuid]) -> Result<Vec<TaskRow>, Error> {
        let rows = tasks!(
            "read_runs.steps s JOIN read_runs.tasks t ON t.id = s.task_id
             WHERE s.run_id = ANY($1) ORDER BY s.run_id, t.created_at, t.id",
            runs
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// The attempts of tasks, by task and number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attempts_of_tasks(&self, tasks: &[Uuid]) -> Result<Vec<AttemptRow>, Error> {
        let rows = sqlx::query_as!(
            AttemptRow,
            "SELECT task_id, number, platform, model, answered_by, status, error_kind, error_message, finish_reason,
                text, simulated, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, cost_nano_usd,
                duration_ms, request_hash, started_at, ended_at, late
            FROM read_runs.attempts WHERE task_id = ANY($1) ORDER BY task_id, number",
            tasks
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// How agents have done; an agent without tasks is left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agent_metrics(&self, agents: &[Uuid]) -> Result<Vec<AgentMetricsRow>, Error> {
        let rows = sqlx::query_as!(
            AgentMetricsRow,
            r#"WITH of_tasks AS (
                SELECT agent_id, count(*) AS total, count(*) FILTER (WHERE status = 'completed') AS completed,
                    count(*) FILTER (WHERE status = 'failed') AS failed, max(created_at) AS last_task_at
                FROM read_runs.tasks WHERE agent_id = ANY($1) GROUP BY agent_id
            ), of_attempts AS (
                SELECT t.agent_id, avg(a.duration_ms) FILTER (WHERE a.status = 'succeeded') AS duration,
                    avg(a.cost_nano_usd) FILTER (WHERE a.status = 'succeeded') AS cost,
                    sum(a.cost_nano_usd) AS total_cost,
                    count(*) FILTER (WHERE a.cost_nano_usd IS NULL AND a.status <> 'running') AS unknown_cost,
                    sum(a.input_tokens) AS input_tokens, sum(a.output_tokens) AS output_tokens
                FROM read_runs.tasks t JOIN read_runs.attempts a ON a.task_id = t.id
                WHERE t.agent_id = ANY($1) GROUP BY t.agent_id
            )
            SELECT t.agent_id AS "agent_id!", t.total AS "total!", t.completed AS "completed!", t.failed AS "failed!",
                t.completed::float8 / nullif(t.completed + t.failed, 0)::float8 AS success_rate,
                a.duration::float8 AS average_duration_ms, a.cost::float8 AS average_cost_nano_usd,
                coalesce(a.total_cost, 0)::bigint AS "total_cost_nano_usd!",
                coalesce(a.unknown_cost, 0) AS "attempts_of_unknown_cost!",
                coalesce(a.input_tokens, 0)::bigint AS "input_tokens!",
                coalesce(a.output_tokens, 0)::bigint AS "output_tokens!", t.last_task_at
            FROM of_tasks t LEFT JOIN of_attempts a USING (agent_id)"#,
            agents
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
