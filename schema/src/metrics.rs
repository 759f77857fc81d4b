//! How agents and templates have done.

use async_graphql::{Context, Enum, Result, SimpleObject};
use projections::{MetricsKey, MetricsOf as Of, MetricsRow};

use crate::Limits;
use crate::as_of::day;
use crate::failure;
use crate::loader::Loaders;
use crate::query::{fresh, queries};
use crate::run::moment;
use crate::scalar::{Count, DateTime, NanoUsd, Position};

/// Which tasks metrics count: those that were created within the window, with all that became of them since. Days are those
/// of UTC; today is one of them, and as of the past the day of that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum)]
pub(crate) enum MetricsWindow {
    /// Of the last seven days.
    #[graphql(name = "DAYS_7")]
    Days7,
    /// Of the last thirty days.
    #[graphql(name = "DAYS_30")]
    Days30,
    /// Of the last ninety days.
    #[graphql(name = "DAYS_90")]
    Days90,
    /// All there ever were.
    #[default]
    Overall,
}

impl MetricsWindow {
    /// The first day of the window, counted from 1970-01-01.
    pub(crate) async fn from(self, context: &Context<'_>) -> Result<Option<i64>> {
        let days = match self {
            Self::Days7 => 7,
            Self::Days30 => 30,
            Self::Days90 => 90,
            Self::Overall => return Ok(None),
        };
        Ok(Some(day(context).await?.saturating_sub(days - 1)))
    }
}

/// Whose metrics are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Of")]
pub(crate) enum MetricsOf {
    /// Those of agents.
    Agents,
    /// Those of templates.
    Templates,
}

/// In which order metrics are compared. What is not known comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "MetricsKey")]
pub(crate) enum MetricsOrder {
    /// Who had the most tasks first.
    Tasks,
    /// Of whose tasks the greatest share completed first.
    SuccessRate,
    /// Whose answers are best first.
    Quality,
    /// Who spent most first.
    Cost,
    /// Whose answers took longest first.
    Duration,
}

/// How an agent or a template has done in the tasks of a window. Averages are over what is known.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Metrics {
    /// Tasks, ended or not.
    total: Count,
    /// Tasks that completed.
    completed: Count,
    /// Tasks that failed for good.
    failed: Count,
    /// Tasks that were cancelled.
    cancelled: Count,
    /// Completed among completed and failed, 0 to 1; null before the first end.
    success_rate: Option<f64>,
    /// The average mark, 1 to 10, of the tasks that have one: by people, else by a judge, else by what a program can decide;
    /// null when none has.
    average_quality: Option<f64>,
    /// How many tasks have such a mark.
    rated: Count,
    /// How long completed tasks took from their creation, waiting included, in milliseconds, on average.
    average_elapsed_ms: Option<f64>,
    /// The average duration of successful attempts, in milliseconds.
    average_duration_ms: Option<f64>,
    /// The average known cost of successful attempts, in billionths of a US dollar.
    average_cost_nano_usd: Option<f64>,
    /// Attempts that asked no model.
    simulated: Count,
    /// The sum of all known costs.
    total_cost: NanoUsd,
    /// Attempts whose cost is not known, such as lost ones.
    attempts_of_unknown_cost: Count,
    /// All prompt tokens that were reported.
    input_tokens: Count,
    /// All answer tokens that were reported.
    output_tokens: Count,
    /// When its last task was created.
    last_task_at: Option<DateTime>,
}

impl From<MetricsRow> for Metrics {
    fn from(row: MetricsRow) -> Self {
        Self {
            total: Count::of(row.total),
            completed: Count::of(row.completed),
            failed: Count::of(row.failed),
            cancelled: Count::of(row.cancelled),
            success_rate: row.success_rate,
            average_quality: row.average_quality,
            rated: Count::of(row.rated),
            average_elapsed_ms: row.average_elapsed_ms,
            average_duration_ms: row.average_duration_ms,
            average_cost_nano_usd: row.average_cost_nano_usd,
            simulated: Count::of(row.simulated),
            total_cost: NanoUsd(row.total_cost_nano_usd),
            attempts_of_unknown_cost: Count::of(row.attempts_of_unknown_cost),
            input_tokens: Count::of(row.input_tokens),
            output_tokens: Count::of(row.output_tokens),
            last_task_at: row.last_task_at.map(moment),
        }
    }
}

/// The metrics of one agent or template, beside those of others.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct MetricsEntry {
    /// The key of the agent or template.
    key: String,
    /// How it has done.
    metrics: Metrics,
}

impl From<MetricsRow> for MetricsEntry {
    fn from(row: MetricsRow) -> Self {
        Self { key: row.key.clone(), metrics: row.into() }
    }
}

/// The metrics of several agents or templates.
#[derive(Debug, SimpleObject)]
pub(crate) struct MetricsReport {
    /// One entry for each that had tasks in the window.
    pub(crate) entries: Vec<MetricsEntry>,
    /// Whether there are more, which were left out.
    pub(crate) has_more: bool,
    /// The journal's position that this reflects at least.
    pub(crate) position: Position,
}

/// The metrics of one agent or template. Their read model answers for itself, so it is waited for until it reflects what the
/// others do.
pub(crate) async fn of_one(
    context: &Context<'_>,
    subject: uuid::Uuid,
    window: MetricsWindow,
) -> Result<Option<Metrics>> {
    let loaders = Loaders::of(context)?;
    if loaders.past().is_none() {
        let (queries, wait) = (queries(context)?, context.data::<Limits>()?.wait);
        let failed = |error: projections::Error| failure::query(context, &error);
        let position = fresh(context, None).await?;
        queries.wait_for_one("usage", position, wait).await.map_err(failed)?;
    }
    loaders.metrics(subject, window.from(context).await?).await
}
