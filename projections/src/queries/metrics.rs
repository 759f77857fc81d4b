//! How agents and templates have done, as the read model `usage` has it.

use std::cmp::Ordering;

use journal::Position;
use uuid::Uuid;

use super::Queries;
use crate::projector::number;
use crate::rows::MetricsSums;
use crate::{Error, MetricsRow};

/// How long a day is, in microseconds.
const DAY: i64 = 86_400_000_000;

/// Whose metrics are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsOf {
    /// Those of agents.
    Agents,
    /// Those of templates.
    Templates,
}

impl MetricsOf {
    /// What the table of names calls them.
    fn kind(self) -> &'static str {
        match self {
            Self::Agents => "agent",
            Self::Templates => "template",
        }
    }
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
    /// The value as a fraction, the same as in SQL; nothing when it is not known.
    fn of(self, sums: &MetricsSums) -> Option<(i64, i64)> {
        let share = |part: i64, whole: i64| (whole != 0).then_some((part, whole));
        match self {
            Self::Tasks => Some((sums.total, 1)),
            Self::SuccessRate => share(sums.completed, sums.completed + sums.failed),
            Self::Quality => share(sums.quality, sums.rated),
            Self::Cost => Some((sums.cost, 1)),
            Self::Duration => share(sums.duration_ms, sums.answers),
        }
    }

    /// How two come, of which each has a key and an id besides; the same as in SQL.
    pub(crate) fn order(self, one: (&MetricsSums, &str, Uuid), other: (&MetricsSums, &str, Uuid)) -> Ordering {
        let greatest_first = match (self.of(one.0), self.of(other.0)) {
            (Some((part, whole)), Some((other, of))) => {
                (i128::from(other) * i128::from(whole)).cmp(&(i128::from(part) * i128::from(of)))
            }
            (known, other) => other.is_some().cmp(&known.is_some()),
        };
        greatest_first.then_with(|| (one.1, one.2).cmp(&(other.1, other.2)))
    }

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
            r#"SELECT d.subject AS "subject!", coalesce(max(n.key COLLATE "C"), '') AS "key!", sum(d.tasks)::bigint AS "total!",
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
        Ok(metrics!(
            self,
            "n.kind = $1 AND d.day >= $2 GROUP BY d.subject
             ORDER BY CASE $3::text WHEN 'tasks' THEN sum(d.tasks) WHEN 'cost' THEN sum(d.cost_nano_usd)
                WHEN 'success_rate' THEN sum(d.completed) / nullif(sum(d.completed + d.failed), 0)
                WHEN 'quality' THEN sum(d.quality) / nullif(sum(d.rated), 0)
                ELSE sum(d.duration_ms) / nullif(sum(d.answers), 0) END DESC NULLS LAST, 2, d.subject LIMIT $4",
            of.kind(),
            from.unwrap_or(i64::MIN),
            key.name(),
            i64::from(limit)
        ))
    }

    /// Tasks that may have been there at a position and that were created on or after a day; at most `limit`.
    pub(crate) async fn tasks_since(
        &self,
        position: Position,
        from: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Uuid>, Error> {
        let ids = sqlx::query_scalar!(
            "SELECT t.id FROM read_usage.task_origins t LEFT JOIN read_runs.runs r ON r.id = t.run_id
            WHERE t.created_at >= $1 AND (r.started_position IS NULL OR r.started_position <= $2) LIMIT $3",
            from.map_or(i64::MIN, |day| day.saturating_mul(DAY)),
            number(position),
            i64::try_from(limit).unwrap_or(i64::MAX)
        );
        Ok(ids.fetch_all(&self.pool).await?)
    }

    /// The keys of all agents or of all templates among these, by id.
    pub(crate) async fn names_of(&self, of: MetricsOf, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>, Error> {
        let rows =
            sqlx::query!("SELECT id, key FROM read_usage.names WHERE id = ANY($1) AND kind = $2", ids, of.kind());
        Ok(rows.map(|row| (row.id, row.key)).fetch_all(&self.pool).await?)
    }

    /// The keys of agents and templates, by id; those that were never registered are left out.
    pub(crate) async fn names(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>, Error> {
        let rows = sqlx::query!("SELECT id, key FROM read_usage.names WHERE id = ANY($1)", ids);
        Ok(rows.map(|row| (row.id, row.key)).fetch_all(&self.pool).await?)
    }
}
