//! How agents and templates have done, as the read model `usage` has it.

use uuid::Uuid;

use super::Queries;
use crate::rows::MetricsSums;
use crate::{Error, MetricsRow};

/// Whose metrics are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsOf {
    /// Those of agents.
    Agents,
    /// Those of templates.
    Templates,
}

/// By what metrics are compared; of what is not known it comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetricsKey {
    /// How many tasks, the most first.
    #[default]
    Tasks,
    /// How many of them completed, the greatest share first.
    SuccessRate,
    /// How good, the best first.
    Quality,
    /// What was spent, the dearest first.
    Cost,
    /// How long answers took, the slowest first.
    Duration,
}

impl MetricsKey {
    /// The name that the statement knows it by.
    fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::SuccessRate => "success_rate",
            Self::Quality => "quality",
            Self::Cost => "cost",
            Self::Duration => "duration",
        }
    }
}

macro_rules! metrics {
    ($self:ident, $tail:literal, $($arg:expr),*) => {{
        let rows = sqlx::query!(
            r#"SELECT d.subject AS "subject!", coalesce(max(n.key), '') AS "key!", sum(d.tasks)::bigint AS "total!",
                sum(d.completed)::bigint AS "completed!", sum(d.failed)::bigint AS "failed!",
                sum(d.cancelled)::bigint AS "cancelled!", sum(d.elapsed)::bigint AS "elapsed!",
                sum(d.quality)::bigint AS "quality!", sum(d.rated)::bigint AS "rated!", sum(d.answers)::bigint AS "answers!",
                sum(d.duration_ms)::bigint AS "duration_ms!", sum(d.answer_cost_nano_usd)::bigint AS "answer_cost!",
                sum(d.priced_answers)::bigint AS "priced_answers!", sum(d.simulated)::bigint AS "simulated!",
                sum(d.cost_nano_usd)::bigint AS "cost!", sum(d.unknown_costs)::bigint AS "unknown_costs!",
                sum(d.input_tokens)::bigint AS "input_tokens!", sum(d.output_tokens)::bigint AS "output_tokens!",
                max(d.last_at) AS last_at
            FROM read_usage.performance_days d LEFT JOIN read_usage.names n ON n.id = d.subject WHERE "# + $tail,
            $($arg),*
        )
        .fetch_all(&$self.pool)
        .await?;
        rows.into_iter().map(|row| {
            let sums = MetricsSums {
                total: row.total,
                completed: row.completed,
                failed: row.failed,
                cancelled: row.cancelled,
                elapsed: row.elapsed,
                quality: row.quality,
                rated: row.rated,
                answers: row.answers,
                duration_ms: row.duration_ms,
                answer_cost: row.answer_cost,
                priced_answers: row.priced_answers,
                simulated: row.simulated,
                cost: row.cost,
                unknown_costs: row.unknown_costs,
                input_tokens: row.input_tokens,
                output_tokens: row.output_tokens,
                last_task_at: row.last_at,
            };
            sums.of(row.subject, row.key)
        })
        .collect()
    }};
}

impl Queries {
    /// How agents or templates have done in the tasks that were created on or after a day (counted from 1970-01-01), in
    /// all tasks when none is given; one without tasks is left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn metrics(&self, subjects: &[Uuid], from: Option<i64>) -> Result<Vec<MetricsRow>, Error> {
        let from = from.unwrap_or(i64::MIN);
        Ok(metrics!(self, "d.subject = ANY($1) AND d.day >= $2 GROUP BY d.subject", subjects, from))
    }

    /// The same of all agents or of all templates that had tasks, in an order; at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn metrics_of_all(
        &self,
        of: MetricsOf,
        from: Option<i64>,
        key: MetricsKey,
        limit: u32,
    ) -> Result<Vec<MetricsRow>, Error> {
        let kind = match of {
            MetricsOf::Agents => "agent",
            MetricsOf::Templates => "template",
        };
        Ok(metrics!(
            self,
            "n.kind = $1 AND d.day >= $2 GROUP BY d.subject
             ORDER BY CASE $3::text WHEN 'tasks' THEN sum(d.tasks) WHEN 'cost' THEN sum(d.cost_nano_usd)
                WHEN 'success_rate' THEN sum(d.completed) / nullif(sum(d.completed + d.failed), 0)
                WHEN 'quality' THEN sum(d.quality) / nullif(sum(d.rated), 0)
                ELSE sum(d.duration_ms) / nullif(sum(d.answers), 0) END DESC NULLS LAST, 2, d.subject LIMIT $4",
            kind,
            from.unwrap_or(i64::MIN),
            key.name(),
            i64::from(limit)
        ))
    }

    /// The keys of agents and templates, by id; those that were never registered are left out.
    pub(crate) async fn names(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>, Error> {
        let rows = sqlx::query!("SELECT id, key FROM read_usage.names WHERE id = ANY($1)", ids);
        Ok(rows.map(|row| (row.id, row.key)).fetch_all(&self.pool).await?)
    }
}
