//! What attempts have cost, rolled up.

use super::Queries;
use crate::Error;

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

/// What some attempts have cost. A dimension that is not told apart, or that they have none of, is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The day, counted from 1970-01-01.
    pub day: Option<i64>,
    /// The department.
    pub department: Option<String>,
    /// The agent's key.
    pub agent: Option<String>,
    /// The platform.
    pub platform: Option<String>,
    /// The model; empty where it is the platform's default and nothing was answered.
    pub model: Option<String>,
    /// The template's key.
    pub template: Option<String>,
    /// The workflow's key.
    pub workflow: Option<String>,
    /// Who started the runs, as `kind:id`.
    pub person: Option<String>,
    /// How many attempts.
    pub attempts: i64,
    /// How many of them succeeded.
    pub succeeded: i64,
    /// How many of them failed, or were lost.
    pub failed: i64,
    /// How many of them asked no model.
    pub simulated: i64,
    /// Of how many tasks they are.
    pub tasks: i64,
    /// The sum of all known costs, in billionths of a US dollar.
    pub cost_nano_usd: i64,
    /// How many have ended with a cost that is not known.
    pub unknown_costs: i64,
    /// All prompt tokens that were reported, cached ones included.
    pub input_tokens: i64,
    /// Of these, read from platforms' caches.
    pub cached_input_tokens: i64,
    /// All answer tokens that were reported, reasoning included.
    pub output_tokens: i64,
    /// Of these, spent on reasoning.
    pub reasoning_tokens: i64,
    /// How many were answered with a kept answer instead of a call.
    pub kept: i64,
    /// The sum of what is known to have been saved by that, in billionths of a US dollar.
    pub saved_nano_usd: i64,
    /// How many of them saved what nobody knows.
    pub unknown_savings: i64,
}

impl Queries {
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
                SELECT CASE WHEN $1 THEN a.started_at / $20 END AS day, CASE WHEN $2 THEN r.department END AS department,
                    CASE WHEN $3 THEN agent.key END AS agent, CASE WHEN $4 THEN a.platform END AS platform,
                    CASE WHEN $5 THEN a.model END AS model, CASE WHEN $6 THEN template.key END AS template,
                    CASE WHEN $7 THEN r.workflow_key END AS workflow, CASE WHEN $8 THEN r.person END AS person,
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
