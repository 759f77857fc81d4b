//! What attempts have cost, rolled up.

use journal::Position;
use uuid::Uuid;

use super::Queries;
use crate::projector::number;
use crate::{Error, UsageRow};

/// How long a day is, in microseconds.
const DAY: i64 = 86_400_000_000;

/// By what usage is rolled up; everything that is not named is summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageGroups {
    /// The day in UTC on which the attempt started.
    pub day: bool,
    /// The department of the run's workflow.
    pub department: bool,
    /// The agent.
    pub agent: bool,
    /// The platform.
    pub platform: bool,
    /// The model.
    pub model: bool,
    /// The template.
    pub template: bool,
    /// The workflow.
    pub workflow: bool,
    /// Who started the run.
    pub person: bool,
}

/// Which attempts count; the default counts all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageFilter {
    /// Only those that started at or after this moment, in microseconds since the Unix epoch.
    pub from: Option<i64>,
    /// Only those that started before this moment.
    pub before: Option<i64>,
    /// Only of runs of this department's workflows.
    pub department: Option<String>,
    /// Only by the agent with this key.
    pub agent: Option<String>,
    /// Only on this platform.
    pub platform: Option<String>,
    /// Only by this model.
    pub model: Option<String>,
    /// Only with the template with this key.
    pub template: Option<String>,
    /// Only of runs of the workflow with this key.
    pub workflow: Option<String>,
    /// Only of runs that this actor started, as `kind:id`.
    pub person: Option<String>,
}

/// In which order groups of usage come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UsageKey {
    /// By their dimensions.
    #[default]
    Group,
    /// By what they cost, the dearest first.
    Cost,
    /// By how many attempts they have, the most first.
    Attempts,
    /// By their tokens in both directions, the most first.
    Tokens,
    /// By how many of their attempts failed, the most first.
    Failed,
}

impl UsageKey {
    /// The value of a group; the same as in SQL. Nothing when groups come by their dimensions alone.
    pub(crate) fn of(self, row: &UsageRow) -> Option<i64> {
        match self {
            Self::Group => None,
            Self::Cost => Some(row.cost_nano_usd),
            Self::Attempts => Some(row.attempts),
            Self::Tokens => Some(row.input_tokens + row.output_tokens),
            Self::Failed => Some(row.failed),
        }
    }

    /// The name that the statement knows it by.
    fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Cost => "cost",
            Self::Attempts => "attempts",
            Self::Tokens => "tokens",
            Self::Failed => "failed",
        }
    }
}

/// A task whose attempts have cost something, with all by which that is rolled up and that never changes.
#[derive(Debug, Clone)]
pub(crate) struct UsageOrigin {
    /// The task.
    pub(crate) task: Uuid,
    /// The department of the run's workflow.
    pub(crate) department: Option<String>,
    /// The agent's key.
    pub(crate) agent: Option<String>,
    /// The template's key.
    pub(crate) template: Option<String>,
    /// The workflow's key.
    pub(crate) workflow: Option<String>,
    /// Who started the run.
    pub(crate) person: Option<String>,
}

impl Queries {
    /// Tasks that may have had wanted attempts at a position; at most `limit`. Which model answered is not looked at, because
    /// that may have changed.
    pub(crate) async fn usage_origins(
        &self,
        position: Position,
        filter: &UsageFilter,
        limit: usize,
    ) -> Result<Vec<UsageOrigin>, Error> {
        let rows = sqlx::query_as!(
            UsageOrigin,
            r#"SELECT t.id AS task, r.department AS "department?", agent.key AS "agent?", template.key AS "template?",
                r.workflow_key AS "workflow?", r.person AS "person?"
            FROM read_usage.task_origins t
            LEFT JOIN read_usage.run_origins r ON r.id = t.run_id
            LEFT JOIN read_usage.names agent ON agent.id = t.agent_id
            LEFT JOIN read_usage.names template ON template.id = t.template_id
            LEFT JOIN read_runs.runs s ON s.id = t.run_id
            WHERE (s.started_position IS NULL OR s.started_position <= $1)
                AND ($2::text IS NULL OR r.department = $2) AND ($3::text IS NULL OR agent.key = $3)
                AND ($4::text IS NULL OR template.key = $4) AND ($5::text IS NULL OR r.workflow_key = $5)
                AND ($6::text IS NULL OR r.person = $6)
                AND EXISTS (SELECT FROM read_usage.costs a WHERE a.task_id = t.id
                    AND a.started_at >= $7 AND a.started_at < $8 AND ($9::text IS NULL OR a.platform = $9))
            LIMIT $10"#,
            number(position),
            filter.department.as_deref(),
            filter.agent.as_deref(),
            filter.template.as_deref(),
            filter.workflow.as_deref(),
            filter.person.as_deref(),
            filter.from.unwrap_or(i64::MIN),
            filter.before.unwrap_or(i64::MAX),
            filter.platform.as_deref(),
            i64::try_from(limit).unwrap_or(i64::MAX)
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// What attempts have cost, rolled up: at most `limit` groups; groups with the same value come by their dimensions.
    /// `reversed` turns the order by value around, and groups by their dimensions too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn usage(
        &self,
        groups: UsageGroups,
        filter: &UsageFilter,
        key: UsageKey,
        reversed: bool,
        limit: u32,
    ) -> Result<Vec<UsageRow>, Error> {
        macro_rules! rolled_up { ($desc:literal) => { sqlx::query_as!(
            UsageRow,
            r#"SELECT * FROM (
                SELECT CASE WHEN $1 THEN a.started_at / $20 END AS day, CASE WHEN $2 THEN r.department COLLATE "C" END AS department,
                    CASE WHEN $3 THEN agent.key COLLATE "C" END AS agent, CASE WHEN $4 THEN a.platform COLLATE "C" END AS platform,
                    CASE WHEN $5 THEN a.model COLLATE "C" END AS model, CASE WHEN $6 THEN template.key COLLATE "C" END AS template,
                    CASE WHEN $7 THEN r.workflow_key COLLATE "C" END AS workflow, CASE WHEN $8 THEN r.person COLLATE "C" END AS person,
                    count(*) AS "attempts!", count(*) FILTER (WHERE a.status = 'succeeded') AS "succeeded!",
                    count(*) FILTER (WHERE a.status IN ('failed', 'lost')) AS "failed!",
                    count(*) FILTER (WHERE a.simulated) AS "simulated!", count(DISTINCT a.task_id) AS "tasks!",
                    coalesce(sum(a.cost_nano_usd), 0)::bigint AS "cost_nano_usd!",
                    count(*) FILTER (WHERE a.cost_nano_usd IS NULL AND a.status <> 'running') AS "unknown_costs!",
                    coalesce(sum(a.input_tokens), 0)::bigint AS "input_tokens!",
                    coalesce(sum(a.cached_input_tokens), 0)::bigint AS "cached_input_tokens!",
                    coalesce(sum(a.output_tokens), 0)::bigint AS "output_tokens!",
                    coalesce(sum(a.reasoning_tokens), 0)::bigint AS "reasoning_tokens!",
                    count(*) FILTER (WHERE a.kept AND a.status = 'succeeded') AS "kept!",
                    coalesce(sum(a.saved_nano_usd) FILTER (WHERE a.status = 'succeeded'), 0)::bigint
                        AS "saved_nano_usd!",
                    count(*) FILTER (WHERE a.kept AND a.status = 'succeeded' AND a.saved_nano_usd IS NULL)
                        AS "unknown_savings!"
                FROM read_usage.costs a
                JOIN read_usage.task_origins t ON t.id = a.task_id
                LEFT JOIN read_usage.run_origins r ON r.id = t.run_id
                LEFT JOIN read_usage.names agent ON agent.id = t.agent_id
                LEFT JOIN read_usage.names template ON template.id = t.template_id
                WHERE a.started_at >= $9 AND a.started_at < $10
                    AND ($11::text IS NULL OR r.department = $11) AND ($12::text IS NULL OR agent.key = $12)
                    AND ($13::text IS NULL OR a.platform = $13) AND ($14::text IS NULL OR a.model = $14)
                    AND ($15::text IS NULL OR template.key = $15) AND ($16::text IS NULL OR r.workflow_key = $16)
                    AND ($17::text IS NULL OR r.person = $17)
                GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
            ) AS u ORDER BY $21 * CASE $18::text WHEN 'cost' THEN u."cost_nano_usd!" WHEN 'attempts' THEN u."attempts!"
                WHEN 'tokens' THEN u."input_tokens!" + u."output_tokens!" WHEN 'failed' THEN u."failed!" END DESC, 1"#
                + $desc + ", 2" + $desc + ", 3" + $desc + ", 4" + $desc + ", 5" + $desc + ", 6" + $desc + ", 7" + $desc
                + ", 8" + $desc + " LIMIT $19",
            groups.day,
            groups.department,
            groups.agent,
            groups.platform,
            groups.model,
            groups.template,
            groups.workflow,
            groups.person,
            filter.from.unwrap_or(i64::MIN),
            filter.before.unwrap_or(i64::MAX),
            filter.department.as_deref(),
            filter.agent.as_deref(),
            filter.platform.as_deref(),
            filter.model.as_deref(),
            filter.template.as_deref(),
            filter.workflow.as_deref(),
            filter.person.as_deref(),
            key.name(),
            i64::from(limit),
            DAY,
            if reversed { -1_i64 } else { 1 }
        )
        .fetch_all(&self.pool)
        .await? } }
        Ok(if reversed && key == UsageKey::Group { rolled_up!(" DESC") } else { rolled_up!("") })
    }
}
