//! How agents and templates have done.

use actix_web::http::StatusCode;
use actix_web::web::{self, Path, ServiceConfig};
use projections::{MetricsKey, MetricsOf, MetricsRow, Past};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::as_of::{day, opened};
use crate::problem::{Details, only};
use crate::run::moment;
use crate::{Answer, Call, Params, Problem};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/metrics/{of}").route(web::get().to(list)).default_service(only("GET")));
}

/// Whose metrics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Of {
    /// Those of agents.
    Agents,
    /// Those of templates.
    Templates,
}

/// Which tasks count: those that were created within the window. Days are those of UTC; today is one of them.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
pub(crate) enum Window {
    /// The last seven days.
    #[serde(rename = "7d")]
    Days7,
    /// The last thirty days.
    #[serde(rename = "30d")]
    Days30,
    /// The last ninety days.
    #[serde(rename = "90d")]
    Days90,
    /// All there ever were.
    #[default]
    #[serde(rename = "all")]
    Overall,
}

/// In which order they come. What is not known comes last.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Who had the most tasks first.
    #[default]
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
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetricsFace {
    /// The key of the agent or template.
    key: String,
    /// Tasks, ended or not.
    total: i64,
    /// Tasks that completed.
    completed: i64,
    /// Tasks that failed for good.
    failed: i64,
    /// Tasks that were cancelled.
    cancelled: i64,
    /// Completed among completed and failed, 0 to 1; null before the first end.
    success_rate: Option<f64>,
    /// The average mark, 1 to 10, of the tasks that have one: by people, else by a judge, else by what a program can decide.
    average_quality: Option<f64>,
    /// How many tasks have such a mark.
    rated: i64,
    /// How long completed tasks took from their creation, in milliseconds, on average.
    average_elapsed_ms: Option<f64>,
    /// The average duration of successful attempts, in milliseconds.
    average_duration_ms: Option<f64>,
    /// The average known cost of successful attempts, in billionths of a US dollar.
    average_cost_nano_usd: Option<f64>,
    /// Attempts that asked no model.
    simulated: i64,
    /// The sum of all known costs, in billionths of a US dollar.
    total_cost_nano_usd: i64,
    /// Attempts whose cost is not known, such as lost ones.
    attempts_of_unknown_cost: i64,
    /// All prompt tokens that were reported.
    input_tokens: i64,
    /// All answer tokens that were reported.
    output_tokens: i64,
    /// When its last task was created.
    #[schema(format = DateTime)]
    last_task_at: Option<String>,
}

impl From<MetricsRow> for MetricsFace {
    fn from(row: MetricsRow) -> Self {
        Self {
            key: row.key,
            total: row.total,
            completed: row.completed,
            failed: row.failed,
            cancelled: row.cancelled,
            success_rate: row.success_rate,
            average_quality: row.average_quality,
            rated: row.rated,
            average_elapsed_ms: row.average_elapsed_ms,
            average_duration_ms: row.average_duration_ms,
            average_cost_nano_usd: row.average_cost_nano_usd,
            simulated: row.simulated,
            total_cost_nano_usd: row.total_cost_nano_usd,
            attempts_of_unknown_cost: row.attempts_of_unknown_cost,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            last_task_at: row.last_task_at.and_then(moment),
        }
    }
}

/// The metrics of several agents or templates.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetricsList {
    /// One entry for each that had tasks in the window.
    items: Vec<MetricsFace>,
    /// Whether there are more, which were left out.
    has_more: bool,
}

/// Which metrics are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListMetrics {
    /// Which tasks count.
    #[serde(default)]
    #[param(inline, required = false)]
    window: Window,
    /// In which order.
    #[serde(default)]
    #[param(inline, required = false)]
    order: Order,
    /// How many at most, 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The position that the answer has to reflect.
    min_position: Option<u64>,
    /// What was true then: a position, or a moment in RFC 3339. The windows end on the day of that moment.
    as_of: Option<String>,
}

/// Lists how agents or templates have done. Those that had no tasks in the window are left out.
#[utoipa::path(
    get, path = "/api/v1/metrics/{of}", tag = "metrics",
    params(("of" = Of, Path, description = "Whose."), ListMetrics),
    responses(
        (status = 200, description = "The metrics.", body = MetricsList),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(call: Call, of: Path<Of>, params: Params<ListMetrics>) -> Result<Answer, Problem> {
    let (of, Params(params)) = (of.into_inner(), params);
    let limit = params.limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(Problem::invalid("`limit` must be 1 to 200"));
    }
    let of = match of {
        Of::Agents => MetricsOf::Agents,
        Of::Templates => MetricsOf::Templates,
    };
    let key = match params.order {
        Order::Tasks => MetricsKey::Tasks,
        Order::SuccessRate => MetricsKey::SuccessRate,
        Order::Quality => MetricsKey::Quality,
        Order::Cost => MetricsKey::Cost,
        Order::Duration => MetricsKey::Duration,
    };
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let failed = |error: projections::Error| Problem::query(call.correlation, &error);
            let past = opened(&call, params.as_of.as_deref()).await?;
            let reached = call.fresh_of("usage", params.min_position).await?;
            let position = past.as_ref().map_or(reached, Past::position);
            let today = day(&call, past.as_ref()).await?;
            let from = match params.window {
                Window::Days7 => Some(today - 6),
                Window::Days30 => Some(today - 29),
                Window::Days90 => Some(today - 89),
                Window::Overall => None,
            };
            let rows = match &past {
                Some(past) => past.metrics_of_all(of, from, key, limit + 1).await,
                None => call.api.queries().metrics_of_all(of, from, key, limit + 1).await,
            };
            let mut rows = rows.map_err(failed)?;
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            let has_more = rows.len() > most;
            rows.truncate(most);
            let list = MetricsList { items: rows.into_iter().map(MetricsFace::from).collect(), has_more };
            Ok(Answer::json(&call, StatusCode::OK, &list)?.at(position))
        })
        .await
}
