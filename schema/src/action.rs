//! Action items: what somebody has to do because a run asked for it.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Result, SimpleObject};
use domain::action::{ActionState as State, day_of};
use domain::task::Priority;
use domain::{ActionId, StreamId, TaskId};
use projections::{ActionFilter, ActionRow};
use uuid::Uuid;

use crate::as_of::day;
use crate::failure::{self, Caller};
use crate::loader::Loaders;
use crate::node::GlobalId;
use crate::outcome::ActionPriority;
use crate::run::{Run, moment, position};
use crate::scalar::{DateTime, Position};
use crate::task::Task;

/// How far an action item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "State")]
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

/// Something that somebody has to do because a run asked for it. It is tracked from the end of the run on.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct TrackedAction {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// Its own id: the task that asked for it first, and its number there.
    action_id: String,
    /// The name of its stream, once somebody has changed it.
    stream: String,
    /// The id of the task that asked for it first.
    task_id: Uuid,
    /// The id of the run that asked for it.
    run_id: Uuid,
    /// The key of that run's workflow.
    workflow_key: String,
    /// The steps that ask for it.
    steps: Vec<String>,
    /// What has to be done.
    what: String,
    /// How pressing it is; null when that was not said.
    priority: Option<ActionPriority>,
    /// How far it is.
    state: ActionState,
    /// Who does it.
    owner: Option<String>,
    /// Until when: a date as `2026-12-31`, or what a model wrote in the place of one.
    due: Option<String>,
    /// What there is to say about it.
    note: Option<String>,
    /// When the run ended.
    opened_at: DateTime,
    /// When it was changed last.
    changed_at: DateTime,
    /// Who changed it last, as `kind:id`; null when nobody has.
    changed_by: Option<String>,
    /// The position of its last event that is reflected here.
    position: Position,
}

impl TrackedAction {
    pub(crate) fn of(row: ActionRow) -> Result<Self> {
        let id = named(row.task_id, row.number)?;
        let state = State::of(&row.state).ok_or_else(|| failure::unreadable("state of an action item", &row.state))?;
        let known = |name: &String| Priority::ALL.into_iter().find(|priority| priority.name() == name);
        Ok(Self {
            id: GlobalId::Action(id).into(),
            action_id: id.to_string(),
            stream: StreamId::from(id).to_string(),
            task_id: row.task_id,
            run_id: row.run_id,
            workflow_key: row.workflow_key,
            steps: row.steps,
            what: row.what,
            priority: row.priority.as_ref().and_then(known).map(ActionPriority::from),
            state: state.into(),
            owner: row.owner,
            due: row.due,
            note: row.note,
            opened_at: moment(row.opened_at),
            changed_at: moment(row.changed_at),
            changed_by: row.changed_by,
            position: position(row.position),
        })
    }

    /// The global id of the action item that a task asked for under this number.
    pub(crate) fn global_id(task: Uuid, number: i32) -> Result<ID> {
        Ok(GlobalId::Action(named(task, number)?).into())
    }
}

fn named(task: Uuid, number: i32) -> Result<ActionId> {
    let number = u32::try_from(number).map_err(|_| failure::unreadable("number", &number.to_string()))?;
    Ok(ActionId { task: TaskId::from_uuid(task), number })
}

#[ComplexObject]
impl TrackedAction {
    /// Whether it should have been done before today, in UTC, and is neither done nor dismissed; as of the past, before the
    /// day then.
    async fn overdue(&self, context: &Context<'_>) -> Result<bool> {
        let settled = State::from(self.state).is_settled();
        let today = day(context).await?;
        Ok(!settled && self.due.as_deref().and_then(day_of).is_some_and(|day| day < today))
    }

    /// The run that asked for it.
    async fn run(&self, context: &Context<'_>) -> Result<Option<Run>> {
        Loaders::of(context)?.run(self.run_id).await
    }

    /// The task that asked for it first.
    async fn task(&self, context: &Context<'_>) -> Result<Option<Task>> {
        Loaders::of(context)?.task(self.task_id).await
    }
}

/// Which action items are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct ActionItemFilter {
    /// Only in one of these states; empty means any.
    #[graphql(default)]
    states: Vec<ActionState>,
    /// Only of this owner, whatever the case.
    owner: Option<String>,
    /// Only those whose owner has the name of who asks; together with `owner` it is refused.
    #[graphql(default)]
    mine: bool,
    /// Only those that should have been done before today, in UTC, and are neither done nor dismissed; as of the past,
    /// before the day then.
    #[graphql(default)]
    overdue: bool,
    /// Only of this run.
    run_id: Option<Uuid>,
    /// Only of runs of the workflow with this key.
    workflow: Option<String>,
    /// Only with this text in what has to be done or in the note, whatever the case.
    text: Option<String>,
}

impl ActionItemFilter {
    pub(crate) async fn into_filter(self, context: &Context<'_>) -> Result<ActionFilter> {
        let owner = match (self.mine, self.owner) {
            (true, Some(_)) => return Err(failure::invalid("give either `mine` or `owner`, not both")),
            (true, None) => Some(Caller::of(context)?.actor.id.clone()),
            (false, owner) => owner,
        };
        Ok(ActionFilter {
            states: self.states.into_iter().map(|state| State::from(state).name().to_owned()).collect(),
            owner,
            run_id: self.run_id,
            workflow_key: self.workflow,
            overdue_on: if self.overdue { Some(day(context).await?) } else { None },
            text: self.text,
        })
    }
}
