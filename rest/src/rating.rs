//! How good the answers of tasks are, and what people give them.

use actix_web::http::StatusCode;
use actix_web::web::{self, Path, ServiceConfig};
use commands::RateTask;
use domain::task::{QualityPart, TaskStatus};
use domain::{Task, TaskId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::problem::{Details, only};
use crate::run::moment;
use crate::{Answer, Call, Json, Params, Problem};

pub(crate) fn routes(config: &mut ServiceConfig) {
    let ratings = web::resource("/tasks/{id}/ratings").route(web::get().to(show)).route(web::post().to(rate));
    config
        .service(ratings.default_service(only("GET, POST")))
        .service(web::resource("/runs/{id}/quality").route(web::get().to(of_run)).default_service(only("GET")));
}

/// How good the answer of a task is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskQuality {
    /// Which task.
    task: Uuid,
    /// The mark that counts, 1 to 10: the median of what people give, or else of the judge's samples, or else the share of
    /// the checks that hold; null when nobody has said anything.
    quality: Option<f64>,
    /// Who gives that mark: `people`, `judge` or `checks`.
    source: Option<&'static str>,
    /// What each source gives, the one that counts least first.
    parts: Vec<Part>,
    /// What people give: the last rating of each.
    ratings: Vec<Rating>,
    /// The average of what people give.
    average: Option<f64>,
}

/// What one source gives.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part {
    /// `checks`, `judge` or `people`.
    source: &'static str,
    /// The mark, 1 to 10; the median when there are several.
    score: f64,
    /// How many marks it is made of; for checks, how many checks.
    count: u32,
    /// How far the marks lie apart; 0 for checks.
    spread: f64,
}

/// What somebody gives.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rating {
    /// Who, as `kind:id`.
    by: String,
    /// The mark, 1 to 10.
    rating: f64,
    /// In their words.
    comment: String,
    /// When.
    #[schema(format = DateTime)]
    at: Option<String>,
}

/// How good the answers of a run are together.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunQuality {
    /// Which run.
    run: Uuid,
    /// The average of the marks that count, one of each task that has any, 1 to 10; null while nobody has said anything.
    quality: Option<f64>,
    /// How many tasks' marks come from whom.
    sources: Sources,
}

/// How many tasks' marks come from whom.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sources {
    /// From people.
    people: u32,
    /// From a judge, because nobody has rated them.
    judge: u32,
    /// From checks, because nobody has rated or judged them.
    checks: u32,
}

impl RunQuality {
    fn of(run: Uuid, found: Option<output::RunQuality>) -> Self {
        let output::Sources { people, judge, checks } = found.map(|found| found.sources).unwrap_or_default();
        let quality = found.map(|found| mark(found.score.hundredths()));
        Self { run, quality, sources: Sources { people, judge, checks } }
    }
}

/// What position an answer has to reflect.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowQuality {
    /// The position that the answer has to reflect.
    min_position: Option<u64>,
}

/// A rating.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RatingBody {
    /// The mark, a whole number.
    #[schema(minimum = 1, maximum = 10)]
    rating: i64,
    /// In your words.
    #[serde(default)]
    comment: String,
}

fn mark(hundredths: u16) -> f64 {
    f64::from(hundredths) / 100.0
}

impl TaskQuality {
    fn of(id: Uuid, task: &Task) -> Self {
        let standing = task.standing();
        let counting = standing.as_ref().and_then(|standing| standing.counting());
        let part = |part: &QualityPart| Part {
            source: part.source.name(),
            score: mark(part.mark.hundredths()),
            count: part.count,
            spread: mark(part.spread),
        };
        let ratings: Vec<Rating> = task
            .ratings()
            .iter()
            .map(|rating| Rating {
                by: rating.by.to_string(),
                rating: mark(rating.mark.hundredths()),
                comment: rating.comment.clone(),
                at: moment(rating.at.as_micros()),
            })
            .collect();
        let (mut sum, mut count) = (0.0, 0.0);
        for rating in &ratings {
            sum += rating.rating;
            count += 1.0;
        }
        Self {
            task: id,
            quality: counting.map(|part| mark(part.mark.hundredths())),
            source: counting.map(|part| part.source.name()),
            parts: standing.iter().flat_map(|standing| standing.parts()).map(part).collect(),
            average: (count > 0.0).then(|| sum / count),
            ratings,
        }
    }
}

async fn shown(call: &Call, id: Uuid) -> Result<Answer, Problem> {
    let task = call.api.commands().ended_task(TaskId::from_uuid(id)).await.map_err(|error| call.refused(error))?;
    if task.status() == TaskStatus::Absent {
        return Err(Problem::no_task(id));
    }
    Answer::json(call, StatusCode::OK, &TaskQuality::of(id, &task))
}

/// Shows how good the answer of a task is: by checks, by a judge and by people.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}/ratings", tag = "runs",
    params(("id" = Uuid, Path, description = "Which task.")),
    responses(
        (status = 200, description = "How good its answer is.", body = TaskQuality),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(call: Call, id: Path<Uuid>) -> Result<Answer, Problem> {
    let (id, within) = (id.into_inner(), call.clone());
    call.api.run(call.correlation, async move { shown(&within, id).await }).await
}

/// Rates the answer of a completed task. Your last rating counts; the earlier ones stay in the history.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/ratings", tag = "runs", request_body = RatingBody,
    params(("id" = Uuid, Path, description = "Which task."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 200, description = "How good its answer is now.", body = TaskQuality),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn rate(call: Call, id: Path<Uuid>, body: Json<RatingBody>) -> Result<Answer, Problem> {
    let (id, within) = (id.into_inner(), call.clone());
    let Json { value, bytes } = body;
    let RatingBody { rating, comment } = value;
    call.api
        .run(call.correlation, async move {
            let request = within.begin(&bytes).await?;
            let rate = RateTask { task: TaskId::from_uuid(id), mark: rating, comment };
            let done = within.commands().rate_task(request.clone(), rate).await;
            let done = done.map_err(|error| within.refused(error))?;
            if done.repeated {
                within.same(&request).await?;
            }
            Ok(shown(&within, id).await?.at(done.position).replayed(done.repeated))
        })
        .await
}

/// Shows how good the answers of a run are together, by people, else by a judge, else by checks. It changes when somebody
/// rates an answer later.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/quality", tag = "runs",
    params(("id" = Uuid, Path, description = "Which run."), ShowQuality),
    responses(
        (status = 200, description = "How good its answers are.", body = RunQuality),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn of_run(call: Call, id: Path<Uuid>, params: Params<ShowQuality>) -> Result<Answer, Problem> {
    let (id, Params(params)) = (id.into_inner(), params);
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let failed = |error: projections::Error| Problem::query(call.correlation, &error);
            let (queries, position) = (call.api.queries(), call.fresh_of("quality", params.min_position).await?);
            if queries.run(id).await.map_err(failed)?.is_none() {
                return Err(Problem::no_run(id));
            }
            let found = queries.qualities_of_runs(&[id]).await.map_err(failed)?.pop();
            let quality = RunQuality::of(id, found.map(|row| row.quality));
            Ok(Answer::json(&call, StatusCode::OK, &quality)?.at(position))
        })
        .await
}
