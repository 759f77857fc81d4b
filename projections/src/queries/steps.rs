//! Steps, and everything that happens in them.

use std::collections::{BTreeMap, HashMap};

use domain::Step;
use domain::workflow::Work;
use sqlx::types::Json;
use uuid::Uuid;

use super::order::{ApprovalKey, Place, SortKey, attach, placed};
use super::{ItemWindow, Page, Queries, Window};
use crate::{ApprovalRow, AttemptRow, DecisionRow, Error, ItemRow, PauseRow, SignalRow, StallRow, StepRow, TaskRow};

/// Which approvals are wanted; the default wants all that are open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApprovalFilter {
    /// Only those that one of these may decide on, as `anyone`, `person:NAME` or `role:NAME`; empty means any.
    pub approvers: Vec<String>,
    /// Only of the workflow with this key.
    pub workflow_key: Option<String>,
    /// Only in this run.
    pub run_id: Option<Uuid>,
}

impl ApprovalFilter {
    /// Whether an approval is wanted; the same as the conditions in SQL, whether or not it still waits.
    #[must_use]
    pub fn wants(&self, row: &ApprovalRow) -> bool {
        let Work::Approval(asked) = &row.definition.work else { return false };
        (self.approvers.is_empty() || asked.approvers.iter().any(|one| self.approvers.contains(&one.to_string())))
            && self.workflow_key.as_ref().is_none_or(|key| *key == row.workflow_key)
            && self.run_id.is_none_or(|run| run == row.run_id)
    }
}

impl ApprovalRow {
    /// Whether decisions are waited for.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.status == "running" && !self.expired && matches!(self.run_status.as_str(), "running" | "paused")
    }
}

macro_rules! tasks {
    ($tail:literal, $($arg:expr),*) => {
        sqlx::query_as!(
            TaskRow,
            r#"SELECT t.id AS "id!", t.run_id AS "run_id?", t.step AS "step?", i.item AS "item?",
                o.task_id IS NOT NULL AS "undoes!", t.template_id AS "template_id!",
                t.template_version AS "template_version!", t.agent_id AS "agent_id?",
                t.agent_version AS "agent_version?", t.assign_reason AS "assign_reason?",
                t.parameters AS "parameters!", t.status AS "status!", t.retry_at AS "retry_at?",
                t.error_kind AS "error_kind?", t.error_message AS "error_message?",
                t.cancel_reason AS "cancel_reason?", t.created_at AS "created_at!", t.start_by AS "start_by?",
                t.ended_at AS "ended_at?", t.attempts AS "attempts!", t.position AS "position!"
            FROM read_runs.tasks t
            LEFT JOIN read_runs.items i ON i.task_id = t.id AND i.run_id = t.run_id
            LEFT JOIN read_runs.undos o ON o.task_id = t.id
            WHERE "# + $tail,
            $($arg),*
        )
    };
}

macro_rules! approvals {
    ($tail:literal $(+ $more:literal)*, $($arg:expr),*) => {
        sqlx::query_as!(
            Approval,
            r#"SELECT a.run_id, r.workflow_key, r.actor, r.status AS run_status, a.step,
                p.definition AS "definition: Json<Step>", s.status, a.content, a.content_hash,
                s.started_at AS "requested_at!", a.expires_at, a.expired,
                (SELECT count(*) FROM read_runs.decisions d
                 WHERE d.run_id = a.run_id AND d.step = a.step AND d.approved) AS "agreed!"
            FROM read_runs.approvals a
            JOIN read_runs.runs r ON r.id = a.run_id
            JOIN read_runs.steps s ON s.run_id = a.run_id AND s.step = a.step
            JOIN read_runs.plans p ON p.workflow_id = r.workflow_id AND p.version = r.version AND p.step = a.step
            WHERE "# + $tail $(+ $more)*,
            $($arg),*
        )
    };
}

/// An approval as it is read.
struct Approval {
    run_id: Uuid,
    workflow_key: String,
    actor: String,
    run_status: String,
    step: String,
    definition: Json<Step>,
    status: String,
    content: serde_json::Value,
    content_hash: Vec<u8>,
    requested_at: i64,
    expires_at: Option<i64>,
    expired: bool,
    agreed: i64,
}

impl From<Approval> for ApprovalRow {
    fn from(row: Approval) -> Self {
        Self {
            run_id: row.run_id,
            workflow_key: row.workflow_key,
            actor: row.actor,
            run_status: row.run_status,
            step: row.step,
            definition: row.definition.0,
            status: row.status,
            content: row.content,
            content_hash: row.content_hash,
            requested_at: row.requested_at,
            expires_at: row.expires_at,
            expired: row.expired,
            agreed: row.agreed,
        }
    }
}

impl Queries {
    /// The steps of runs, pending ones included, by run and by their order in the definition.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn steps_of_runs(&self, runs: &[Uuid]) -> Result<Vec<StepRow>, Error> {
        Ok(self.read_steps(runs, false).await?.into_iter().map(|(step, _)| step).collect())
    }

    /// The same, and the task of each step that has a single one; step and task are of the same moment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn steps_and_tasks_of_runs(&self, runs: &[Uuid]) -> Result<Vec<(StepRow, Option<TaskRow>)>, Error> {
        self.read_steps(runs, true).await
    }

    async fn read_steps(&self, runs: &[Uuid], tasks: bool) -> Result<Vec<(StepRow, Option<TaskRow>)>, Error> {
        let rows = sqlx::query!(
            r#"SELECT r.id AS run_id, r.workflow_id, r.version, s.step AS "step?", s.status AS "status?",
                s.task_id AS "task_id?", s.output AS "output?", s.simulated AS "simulated?",
                s.error_kind AS "error_kind?", s.error_message AS "error_message?", s.skip_reason AS "skip_reason?",
                s.deadline AS "deadline?", s.started_at AS "started_at?", s.ended_at AS "ended_at?",
                a.fires_at AS "fires_at?", a.signal AS "signal?", a.child_id AS "child_id?",
                a.abandoned AS "abandoned?", l.length AS "items?", i.running AS "items_running?",
                i.completed AS "items_completed?", i.failed AS "items_failed?", o.task_id AS "undo_task_id?",
                o.status AS "undo_status?", o.error_kind AS "undo_error_kind?",
                o.error_message AS "undo_error_message?", o.started_at AS "undo_started_at?",
                o.ended_at AS "undo_ended_at?", s.position AS "position?", t.id AS "id?", t.run_id AS "task_run_id?",
                t.step AS "task_step?", t.template_id AS "template_id?", t.template_version AS "template_version?",
                t.agent_id AS "agent_id?", t.agent_version AS "agent_version?", t.assign_reason AS "assign_reason?",
                t.parameters AS "parameters?", t.status AS "task_status?", t.retry_at AS "retry_at?",
                t.error_kind AS "task_error_kind?", t.error_message AS "task_error_message?",
                t.cancel_reason AS "cancel_reason?", t.created_at AS "created_at?", t.start_by AS "start_by?",
                t.ended_at AS "task_ended_at?", t.attempts AS "attempts?", t.position AS "task_position?"
            FROM read_runs.runs r
            LEFT JOIN read_runs.steps s ON s.run_id = r.id
            LEFT JOIN read_runs.activities a ON a.run_id = s.run_id AND a.step = s.step
            LEFT JOIN read_runs.undos o ON o.run_id = s.run_id AND o.step = s.step
            LEFT JOIN read_runs.lists l ON l.run_id = s.run_id AND l.step = s.step
            LEFT JOIN LATERAL (
                SELECT count(*) FILTER (WHERE i.status = 'running' AND s.status = 'running') AS running,
                    count(*) FILTER (WHERE i.status = 'completed') AS completed,
                    count(*) FILTER (WHERE i.status = 'failed') AS failed
                FROM read_runs.items i WHERE i.run_id = l.run_id AND i.step = l.step
            ) AS i ON l.run_id IS NOT NULL
            LEFT JOIN read_runs.tasks t ON $2 AND t.id = s.task_id
            WHERE r.id = ANY($1)"#,
            runs,
            tasks
        );
        let mut versions = BTreeMap::new();
        let mut reached: HashMap<(Uuid, String), _> = HashMap::new();
        for mut row in rows.fetch_all(&self.pool).await? {
            versions.insert(row.run_id, (row.workflow_id, row.version));
            if let Some(step) = row.step.take() {
                reached.insert((row.run_id, step), row);
            }
        }
        let plans = self.plans(versions.values().copied()).await?;
        let mut steps = Vec::new();
        for (run_id, version) in versions {
            for planned in plans.get(&version).into_iter().flat_map(|plan| plan.iter()) {
                let pending = planned.pending(run_id);
                let Some(row) = reached.remove(&(run_id, planned.step.clone())) else {
                    steps.push((pending, None));
                    continue;
                };
                // The single task of a step is for no element of a list, and undoes nothing.
                let task = row.id.zip(row.template_id).map(|(id, template_id)| TaskRow {
                    id,
                    run_id: row.task_run_id,
                    step: row.task_step,
                    item: None,
                    undoes: false,
                    template_id,
                    template_version: row.template_version.unwrap_or_default(),
                    agent_id: row.agent_id,
                    agent_version: row.agent_version,
                    assign_reason: row.assign_reason,
                    parameters: row.parameters.unwrap_or_default(),
                    status: row.task_status.unwrap_or_default(),
                    retry_at: row.retry_at,
                    error_kind: row.task_error_kind,
                    error_message: row.task_error_message,
                    cancel_reason: row.cancel_reason,
                    created_at: row.created_at.unwrap_or_default(),
                    start_by: row.start_by,
                    ended_at: row.task_ended_at,
                    attempts: row.attempts.unwrap_or_default(),
                    position: row.task_position.unwrap_or_default(),
                });
                let step = StepRow {
                    status: row.status.unwrap_or(pending.status),
                    task_id: row.task_id,
                    output: row.output,
                    simulated: row.simulated.unwrap_or(false),
                    error_kind: row.error_kind,
                    error_message: row.error_message,
                    skip_reason: row.skip_reason,
                    deadline: row.deadline,
                    started_at: row.started_at,
                    ended_at: row.ended_at,
                    fires_at: row.fires_at,
                    signal: row.signal,
                    child_id: row.child_id,
                    abandoned: row.abandoned.unwrap_or(false),
                    items: row.items,
                    items_running: row.items_running.unwrap_or(0),
                    items_completed: row.items_completed.unwrap_or(0),
                    items_failed: row.items_failed.unwrap_or(0),
                    undo_task_id: row.undo_task_id,
                    undo_status: row.undo_status,
                    undo_error_kind: row.undo_error_kind,
                    undo_error_message: row.undo_error_message,
                    undo_started_at: row.undo_started_at,
                    undo_ended_at: row.undo_ended_at,
                    position: row.position,
                    ..pending
                };
                steps.push((step, task));
            }
        }
        Ok(steps)
    }

    /// Tasks by their ids, in no particular order; unknown ids are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tasks_by_ids(&self, ids: &[Uuid]) -> Result<Vec<TaskRow>, Error> {
        Ok(tasks!("t.id = ANY($1)", ids).fetch_all(&self.pool).await?)
    }

    /// The tasks of runs, those that undo steps included, by the run that they were created in and in the order of
    /// their creation. Tasks of steps that were taken over from other runs are there too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tasks_of_runs(&self, runs: &[Uuid]) -> Result<Vec<TaskRow>, Error> {
        let rows = tasks!(
            "t.id IN (
                SELECT s.task_id FROM read_runs.steps s WHERE s.run_id = ANY($1)
                UNION ALL SELECT s.task_id FROM read_runs.items s WHERE s.run_id = ANY($1)
                UNION ALL SELECT s.task_id FROM read_runs.undos s WHERE s.run_id = ANY($1)
             ) ORDER BY t.run_id, t.created_at, t.id",
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
                cost_source, price_list, duration_ms, first_piece_ms, request_hash, kept_at, saved_nano_usd, started_at, ended_at, late
            FROM read_runs.attempts WHERE task_id = ANY($1) ORDER BY task_id, number",
            tasks
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// The elements of steps over lists, those whose turn has not come included, by run and step, and in the order that is
    /// wanted; the window is cut of each step by itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn items_of_steps(&self, steps: &[(Uuid, String)], window: &ItemWindow) -> Result<Vec<ItemRow>, Error> {
        let runs: Vec<Uuid> = steps.iter().map(|(run, _)| *run).collect();
        let names: Vec<String> = steps.iter().map(|(_, step)| step.clone()).collect();
        let statuses = (!window.statuses.is_empty()).then_some(window.statuses.as_slice());
        let rows = sqlx::query_as!(
            ItemRow,
            r#"SELECT u.run_id AS "run_id!", u.step AS "step!", e.item AS "item!", e.element AS "element!",
                e.status AS "status!", e.task_id AS "task_id?", e.result AS "result?", e.simulated AS "simulated!",
                e.error_kind AS "error_kind?", e.error_message AS "error_message?", e.started_at AS "started_at?",
                e.ended_at AS "ended_at?"
            FROM unnest($1::uuid[], $2::text[]) AS u (run_id, step) CROSS JOIN LATERAL (
                SELECT * FROM (
                    SELECT (p.place - 1)::integer AS item, p.element,
                        CASE WHEN i.status = 'running' AND s.status <> 'running' THEN 'cancelled'
                            ELSE coalesce(i.status, 'pending') END AS status,
                        i.task_id, i.result, coalesce(i.simulated, false) AS simulated, i.error_kind, i.error_message,
                        i.started_at, i.ended_at
                    FROM read_runs.lists l JOIN read_runs.steps s ON s.run_id = l.run_id AND s.step = l.step
                    CROSS JOIN LATERAL json_array_elements(
                        CASE json_typeof(l.elements) WHEN 'array' THEN l.elements ELSE '[]'::json END
                    ) WITH ORDINALITY AS p (element, place)
                    LEFT JOIN read_runs.items i ON i.run_id = l.run_id AND i.step = l.step AND i.item = p.place - 1
                    WHERE l.run_id = u.run_id AND l.step = u.step
                ) AS shown
                WHERE ($3::bigint IS NULL OR CASE WHEN $5 THEN item <= $3 ELSE item >= $3 END)
                    AND ($6::text[] IS NULL OR status = ANY($6))
                ORDER BY CASE WHEN $5::boolean THEN -item ELSE item END LIMIT $4
            ) AS e ORDER BY u.run_id, u.step, CASE WHEN $5 THEN -e.item ELSE e.item END"#,
            &runs,
            &names,
            window.from.map(i64::from),
            i64::from(window.limit),
            window.reversed,
            statuses as _
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Approvals that wait for decisions, the one that was asked longest ago first, by `(requested_at, run, step)`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_approvals(
        &self,
        filter: &ApprovalFilter,
        window: &Window<(i64, Uuid, String)>,
    ) -> Result<Page<ApprovalRow>, Error> {
        let (lower, lower_id, lower_step) = window.after.clone().unwrap_or((i64::MIN, Uuid::nil(), String::new()));
        let (upper, upper_id, upper_step) = window.before.clone().unwrap_or((i64::MAX, Uuid::max(), String::new()));
        macro_rules! page {
            ($order:literal) => {
                approvals!(
                    "s.status = 'running' AND NOT a.expired AND r.status IN ('running', 'paused')
                     AND (cardinality($1::text[]) = 0 OR p.approvers && $1)
                     AND ($2::text IS NULL OR r.workflow_key = $2)
                     AND ($3::uuid IS NULL OR r.id = $3)
                     AND (s.started_at, a.run_id, a.step COLLATE \"C\") > ($4::bigint, $5::uuid, $6::text)
                     AND (s.started_at, a.run_id, a.step COLLATE \"C\") < ($7::bigint, $8::uuid, $9::text)
                     ORDER BY "
                        + $order
                        + " LIMIT $10",
                    &filter.approvers,
                    filter.workflow_key.as_deref(),
                    filter.run_id,
                    lower,
                    lower_id,
                    lower_step,
                    upper,
                    upper_id,
                    upper_step,
                    window.probe()
                )
            };
        }
        let rows = if window.from_end {
            page!("s.started_at DESC, a.run_id DESC, a.step COLLATE \"C\" DESC").fetch_all(&self.pool).await?
        } else {
            page!("s.started_at, a.run_id, a.step COLLATE \"C\"").fetch_all(&self.pool).await?
        };
        Ok(Page::cut(rows.into_iter().map(ApprovalRow::from).collect(), window))
    }

    /// Approvals that wait for decisions in another order than by when they were asked, each with its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_approvals_by(
        &self,
        key: ApprovalKey,
        filter: &ApprovalFilter,
        window: &Window<Place<(Uuid, String)>>,
    ) -> Result<Page<(Place<(Uuid, String)>, ApprovalRow)>, Error> {
        macro_rules! page {
            ($key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                sqlx::query!(
                    "SELECT " + $key + " AS \"key!\", a.run_id, a.step
                    FROM read_runs.approvals a
                    JOIN read_runs.runs r ON r.id = a.run_id
                    JOIN read_runs.steps s ON s.run_id = a.run_id AND s.step = a.step
                    JOIN read_runs.plans p ON p.workflow_id = r.workflow_id AND p.version = r.version AND p.step = a.step
                    WHERE s.status = 'running' AND NOT a.expired AND r.status IN ('running', 'paused')
                        AND (cardinality($1::text[]) = 0 OR p.approvers && $1)
                        AND ($2::text IS NULL OR r.workflow_key = $2) AND ($3::uuid IS NULL OR r.id = $3)
                        AND (" + $key + ", a.run_id, a.step COLLATE \"C\") > ($4::" + $type + ", $5::uuid, $6::text)
                        AND (" + $key + ", a.run_id, a.step COLLATE \"C\") < ($7::" + $type + ", $8::uuid, $9::text)
                    ORDER BY " + $key + $desc + ", a.run_id" + $desc + ", a.step COLLATE \"C\"" + $desc + " LIMIT $10",
                    &filter.approvers,
                    filter.workflow_key.as_deref(),
                    filter.run_id,
                    $lower.0,
                    $lower.1.0,
                    $lower.1.1,
                    $upper.0,
                    $upper.1.0,
                    $upper.1.1,
                    window.probe()
                )
                .map(|row| (SortKey::from(row.key), (row.run_id, row.step)))
                .fetch_all(&self.pool)
                .await?
            };
        }
        let (least, most) = ((Uuid::nil(), String::new()), (Uuid::max(), String::new()));
        let found = match key {
            ApprovalKey::Expires => {
                placed!(window, least, most, page, number "coalesce(a.expires_at, 9223372036854775806)")
            }
            ApprovalKey::Workflow => placed!(window, least, most, page, text "r.workflow_key COLLATE \"C\""),
        };
        let found = Page::cut(found, window);
        let (runs, steps): (Vec<Uuid>, Vec<String>) = found.rows.iter().map(|(_, place)| place.clone()).unzip();
        let rows = approvals!("(a.run_id, a.step) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))", &runs, &steps);
        let rows = rows.fetch_all(&self.pool).await?.into_iter().map(ApprovalRow::from).collect();
        Ok(attach(found, rows, |row| (row.run_id, row.step.clone())))
    }

    /// Everything that people were asked in runs, by run and in the order in which it was asked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn approvals_of_runs(&self, runs: &[Uuid]) -> Result<Vec<ApprovalRow>, Error> {
        let rows = approvals!("a.run_id = ANY($1) ORDER BY a.run_id, s.started_at, a.step", runs);
        Ok(rows.fetch_all(&self.pool).await?.into_iter().map(ApprovalRow::from).collect())
    }

    /// What people decided in runs, by run and in the order in which they did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn decisions_of_runs(&self, runs: &[Uuid]) -> Result<Vec<DecisionRow>, Error> {
        let rows = sqlx::query_as!(
            DecisionRow,
            "SELECT run_id, step, decided_by, approved, comment, content_hash, at
            FROM read_runs.decisions WHERE run_id = ANY($1) ORDER BY run_id, at, number",
            runs
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Every pause of runs, by run and in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pauses_of_runs(&self, runs: &[Uuid]) -> Result<Vec<PauseRow>, Error> {
        let rows = sqlx::query_as!(
            PauseRow,
            "SELECT run_id, paused_by, pause_reason AS reason, since, clock, hold_id, until, resumed_by
            FROM read_runs.pauses WHERE run_id = ANY($1) ORDER BY run_id, number",
            runs
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Every signal that runs received, by run and in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signals_of_runs(&self, runs: &[Uuid]) -> Result<Vec<SignalRow>, Error> {
        let rows = sqlx::query_as!(
            SignalRow,
            "SELECT run_id, signal, payload, at FROM read_runs.signals WHERE run_id = ANY($1) ORDER BY run_id, number",
            runs
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Whenever runs were found with nothing to wait for, by run and in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stalls_of_runs(&self, runs: &[Uuid]) -> Result<Vec<StallRow>, Error> {
        let rows = sqlx::query_as!(
            StallRow,
            "SELECT run_id, what, at FROM read_runs.stalls WHERE run_id = ANY($1) ORDER BY run_id, number",
            runs
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
