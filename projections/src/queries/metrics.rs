//! How agents and templates have done, as the read model `usage` has it.

use uuid::Uuid;

use super::Queries;
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
    ($tail:literal, $($arg:expr),*) => {
        sqlx::query_as!(
            MetricsRow,
            r#"SELECT d.subject AS "subject!", coalesce(max(n.key), '') AS "key!", sum(d.tasks)::bigint AS "total!",
                sum(d.completed)::bigint AS "completed!", sum(d.failed)::bigint AS "failed!",
                sum(d.cancelled)::bigint AS "cancelled!",
                (sum(d.completed) / nullif(sum(d.completed + d.failed), 0))::float8 AS success_rate,
                (sum(d.quality) / nullif(sum(d.rated), 0) / 100)::float8 AS average_quality, sum(d.rated)::bigint AS "rated!",
                (sum(d.elapsed) / nullif(sum(d.completed), 0) / 1000)::float8 AS average_elapsed_ms,
                (sum(d.duration_ms) / nullif(sum(d.answers), 0))::float8 AS average_duration_ms,
                (sum(d.answer_cost_nano_usd) / nullif(sum(d.priced_answers), 0))::float8 AS average_cost_nano_usd,
                sum(d.simulated)::bigint AS "simulated!", sum(d.cost_nano_usd)::bigint AS "total_cost_nano_usd!",
                sum(d.unknown_costs)::bigint AS "attempts_of_unknown_cost!",
                sum(d.input_tokens)::bigint AS "input_tokens!", sum(d.output_tokens)::bigint AS "output_tokens!",
                max(d.last_at) AS last_task_at
            FROM read_usage.performance_days d LEFT JOIN read_usage.names n ON n.id = d.subject WHERE "# + $tail,
            $($arg),*
        )
    };
}

impl Queries {
    /// How agents or templates have done in the tasks that were created on or after a day (counted from 1970-01-01), in
    /// all tasks when none is given; one without tasks is left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn metrics(&self, subjects: &[Uuid], from: Option<i64>) -> Result<Vec<MetricsRow>, Error> {
        let from = from.unwrap_or(i64::MIN);
        let rows = metrics!("d.subject = ANY($1) AND d.day >= $2 GROUP BY d.subject", subjects, from);
        Ok(rows.fetch_all(&self.pool).await?)
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
        let rows = metrics!(
            "n.kind = $1 AND d.day >= $2 GROUP BY d.subject
             ORDER BY CASE $3::text WHEN 'tasks' THEN sum(d.tasks) WHEN 'cost' THEN sum(d.cost_nano_usd)
                WHEN 'success_rate' THEN sum(d.completed) / nullif(sum(d.completed + d.failed), 0)
                WHEN 'quality' THEN sum(d.quality) / nullif(sum(d.rated), 0)
                ELSE sum(d.duration_ms) / nullif(sum(d.answers), 0) END DESC NULLS LAST, 2, d.subject LIMIT $4",
            kind,
            from.unwrap_or(i64::MIN),
            key.name(),
            i64::from(limit)
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
