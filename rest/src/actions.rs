//! Action items: what people have to do because runs asked for it.

use actix_web::http::StatusCode;
use actix_web::web::{self, Path, ServiceConfig};
use commands::ChangeAction;
use domain::action::{ActionState as State, day_of};
use domain::{ActionId, TaskId};
use journal::Position;
use projections::{ActionFilter, ActionKey, ActionRow};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::as_of::{day, opened};
use crate::problem::{Details, only};
use crate::run::{moment, text};
use crate::{Answer, Call, Cursor, Json, Params, Problem, page};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/action-items").route(web::get().to(list)).default_service(only("GET")));
    let item = web::resource("/action-items/{id}").route(web::get().to(show)).route(web::patch().to(change));
    config.service(item.default_service(only("GET, PATCH")));
}

/// How far an action item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActionState {
    /// Nobody has begun.
    Open,
    /// Somebody is at it.
    InProgress,
    /// It is done.
    Done,
    /// It will not be done.
    Dismissed,
}

impl ActionState {
    fn domain(self) -> State {
        match self {
            Self::Open => State::Open,
            Self::InProgress => State::InProgress,
            Self::Done => State::Done,
            Self::Dismissed => State::Dismissed,
        }
    }
}

/// In which order action items come.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActionOrder {
    /// The one that came to be last first.
    #[default]
    Opened,
    /// The one that was changed last first.
    Changed,
    /// The one that is due soonest first; those without a date come last.
    Due,
    /// The most pressing one first.
    Priority,
}

/// Something that somebody has to do because a run asked for it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActionFace {
    /// Its id: the task that asked for it first, and its number there.
    id: String,
    /// The run that asked for it.
    run: Uuid,
    /// The key of that run's workflow.
    workflow: String,
    /// The steps that ask for it.
    steps: Vec<String>,
    /// What has to be done.
    what: String,
    /// How pressing it is: `high`, `medium` or `low`; null when that was not said.
    priority: Option<String>,
    /// How far it is: `open`, `in_progress`, `done` or `dismissed`.
    state: String,
    /// Who does it.
    owner: Option<String>,
    /// Until when: a date as `2026-12-31`, or what a model wrote in the place of one.
    due: Option<String>,
    /// Whether it should have been done before today, in UTC, and is neither done nor dismissed.
    overdue: bool,
    /// What there is to say about it.
    note: Option<String>,
    /// When the run ended.
    #[schema(format = DateTime)]
    opened_at: Option<String>,
    /// When it was changed last.
    #[schema(format = DateTime)]
    changed_at: Option<String>,
    /// Who changed it last, as `kind:id`; null when nobody has.
    changed_by: Option<String>,
}

impl ActionFace {
    fn of(row: ActionRow, today: i64) -> Self {
        let id = ActionId { task: TaskId::from_uuid(row.task_id), number: row.number.unsigned_abs() };
        let settled = State::of(&row.state).is_some_and(State::is_settled);
        let day = row.due.as_deref().and_then(day_of);
        Self {
            id: id.to_string(),
            run: row.run_id,
            workflow: row.workflow_key,
            steps: row.steps,
            what: row.what,
            priority: row.priority,
            state: row.state,
            owner: row.owner,
            overdue: !settled && day.is_some_and(|day| day < today),
            due: row.due,
            note: row.note,
            opened_at: moment(row.opened_at),
            changed_at: moment(row.changed_at),
            changed_by: row.changed_by,
        }
    }
}

/// A page of action items.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActionPage {
    /// The items of this page.
    items: Vec<ActionFace>,
    /// Pass it as `after` for the next page; null when this is the last one.
    next: Option<String>,
}

/// A change was recorded, and the read model does not show it yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActionAccepted {
    /// The item.
    id: String,
    /// Where the change stands in the journal; ask for the item with it as `minPosition`.
    position: String,
}

/// Which action items are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListActions {
    /// Only in one of these states, separated by commas: `open`, `in_progress`, `done`, `dismissed`.
    state: Option<String>,
    /// Only of this owner, whatever the case.
    owner: Option<String>,
    /// Only those whose owner has the name of who asks; not together with `owner`.
    #[serde(default)]
    #[param(required = false)]
    mine: bool,
    /// Only those that should have been done before today, in UTC, and are neither done nor dismissed; with `asOf`, before the
    /// day then.
    #[serde(default)]
    #[param(required = false)]
    overdue: bool,
    /// Only of this run.
    run: Option<Uuid>,
    /// Only of runs of the workflow with this key.
    workflow: Option<String>,
    /// Only with this text in what has to be done or in the note, whatever the case.
    text: Option<String>,
    /// In which order.
    #[serde(default)]
    #[param(inline, required = false)]
    order: ActionOrder,
    /// In the opposite order.
    #[serde(default)]
    #[param(required = false)]
    reversed: bool,
    /// How many, 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
    /// The position that the answer has to reflect.
    min_position: Option<u64>,
    /// As they were at a position of the journal, or at a moment in RFC 3339.
    as_of: Option<String>,
}

/// Lists action items, the one that came to be last first unless said otherwise.
#[utoipa::path(
    get, path = "/api/v1/action-items", tag = "action items", params(ListActions),
    responses(
        (status = 200, description = "A page of action items.", body = ActionPage),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(call: Call, params: Params<ListActions>) -> Result<Answer, Problem> {
    let Params(params) = params;
    let states = params.state.unwrap_or_default();
    let states = states.split(',').filter(|state| !state.is_empty()).map(|name| {
        let unknown = || Problem::invalid("`state` must be some of `open`, `in_progress`, `done` and `dismissed`");
        State::of(name).map(|state| state.name().to_owned()).ok_or_else(unknown)
    });
    let owner = match (params.mine, text("owner", params.owner)?) {
        (true, Some(_)) => return Err(Problem::invalid("give either `mine` or `owner`, not both")),
        (true, None) => Some(call.actor.id.clone()),
        (false, owner) => owner,
    };
    let mut filter = ActionFilter {
        states: states.collect::<Result<_, _>>()?,
        owner,
        run_id: params.run,
        workflow_key: text("workflow", params.workflow)?,
        overdue_on: None,
        text: text("text", params.text)?,
    };
    let key = match params.order {
        ActionOrder::Opened => ActionKey::Opened,
        ActionOrder::Changed => ActionKey::Changed,
        ActionOrder::Due => ActionKey::Due,
        ActionOrder::Priority => ActionKey::Priority,
    };
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let cursor = Cursor { limit: params.limit, after: params.after.as_deref(), reversed: params.reversed };
            let window = cursor.window()?;
            let mut position = call.fresh(params.min_position).await?;
            let past = opened(&call, params.as_of.as_deref()).await?;
            let today = day(&call, past.as_ref()).await?;
            filter.overdue_on = params.overdue.then_some(today);
            let found = match &past {
                Some(past) => {
                    position = past.position();
                    past.actions(key, &filter, &window).await
                }
                None => call.api.queries().actions(key, &filter, &window).await,
            };
            let found = found.map_err(|error| Problem::query(call.correlation, &error))?;
            page(&call, cursor, found, position, |(place, row)| (place, ActionFace::of(row, today)))
        })
        .await
}

/// What position an answer has to reflect.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowAction {
    /// The position that the answer has to reflect.
    min_position: Option<u64>,
    /// As it was at a position of the journal, or at a moment in RFC 3339.
    as_of: Option<String>,
}

/// Shows an action item.
#[utoipa::path(
    get, path = "/api/v1/action-items/{id}", tag = "action items",
    params(("id" = String, Path, description = "Which one."), ShowAction),
    responses(
        (status = 200, description = "The action item.", body = ActionFace),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(call: Call, id: Path<String>, params: Params<ShowAction>) -> Result<Answer, Problem> {
    let (id, Params(params)) = (action(&id)?, params);
    let within = call.clone();
    let ShowAction { min_position, as_of } = params;
    call.api.run(call.correlation, async move { shown(&within, id, min_position, as_of.as_deref()).await }).await
}

async fn shown(call: &Call, id: ActionId, wanted: Option<u64>, as_of: Option<&str>) -> Result<Answer, Problem> {
    let mut position: Position = call.fresh(wanted).await?;
    let past = opened(call, as_of).await?;
    let ids = [(id.task.as_uuid(), i32::try_from(id.number).unwrap_or(i32::MAX))];
    let rows = match &past {
        Some(past) => {
            position = past.position();
            past.actions_by_ids(&ids).await
        }
        None => call.api.queries().actions_by_ids(&ids).await,
    };
    let row = rows.map_err(|error| Problem::query(call.correlation, &error))?.pop().ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "ACTION_NOT_FOUND", format!("there is no action item {id}"))
    })?;
    let today = day(call, past.as_ref()).await?;
    Ok(Answer::json(call, StatusCode::OK, &ActionFace::of(row, today))?.at(position))
}

/// A change of an action item; what is not given stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangeActionBody {
    /// How far it is.
    state: Option<ActionState>,
    /// Who does it, in at most 200 characters; null says that nobody does.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false)]
    owner: Option<Option<String>>,
    /// The date by which it has to be done, such as `2026-12-31`; null says that there is none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false)]
    due: Option<Option<String>>,
    /// What there is to say about it, in at most 4,000 characters; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false)]
    note: Option<Option<String>>,
}

/// Tells null from what is not there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// Changes what is true of an action item; what is not given stays.
#[utoipa::path(
    patch, path = "/api/v1/action-items/{id}", tag = "action items", request_body = ChangeActionBody,
    params(("id" = String, Path, description = "Which one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 200, description = "The action item.", body = ActionFace),
        (status = 202, description = "It is done and will show in a moment.", body = ActionAccepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn change(call: Call, id: Path<String>, body: Json<ChangeActionBody>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let id = action(&id)?;
    let ChangeActionBody { state, owner, due, note } = value;
    let change = ChangeAction { id, state: state.map(ActionState::domain), owner, due, note };
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let request = call.begin(&bytes).await?;
            let done = call.commands().change_action(request.clone(), change).await;
            let done = done.map_err(|error| call.refused(error))?;
            if done.repeated {
                call.same(&request).await?;
            }
            let answer = match shown(&call, id, Some(done.position.as_u64()), None).await {
                Err(problem) if problem.is_stale() => {
                    let accepted = ActionAccepted { id: id.to_string(), position: done.position.to_string() };
                    Answer::json(&call, StatusCode::ACCEPTED, &accepted)?.at(done.position)
                }
                answer => answer?,
            };
            Ok(answer.replayed(done.repeated))
        })
        .await
}

fn action(text: &str) -> Result<ActionId, Problem> {
    text.parse().map_err(|error: domain::InvalidActionId| Problem::invalid(format!("`id`: {error}")))
}
