//! Steps of runs, and what each consists of.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject, Union};
use projections::{ItemRow, ItemWindow, StepRow};
use uuid::Uuid;

use crate::agent::Agent;
use crate::approval::Approval;
use crate::definition::StepDefinition;
use crate::failure;
use crate::loader::Loaders;
use crate::node::GlobalId;
use crate::page::limit;
use crate::run::{Failure, Run, between, moment, position};
use crate::scalar::{Count, DateTime, Json, Position};
use crate::status::{StepKind, StepStatus};
use crate::task::Task;
use crate::template::Template;
use crate::words::Language;

/// One step of a run.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Step {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// Its name, unique in its run.
    pub(crate) name: String,
    #[graphql(skip)]
    definition: Arc<domain::Step>,
    /// Its place in the workflow's definition, from 0.
    ordinal: i32,
    /// What happens in it.
    kind: StepKind,
    /// Where it stands.
    status: StepStatus,
    /// The id of its task, once started, when it is a single one.
    task_id: Option<Uuid>,
    /// The key of the agent that does it, when an agent does.
    agent_key: Option<String>,
    /// The key of the template that says what is done, when an agent does it.
    template_key: Option<String>,
    /// The steps that must have completed, or been skipped, first.
    needs: Vec<String>,
    /// Its output, once completed.
    output: Option<Json>,
    /// Whether its outcome was simulated: no model was asked for it.
    simulated: bool,
    /// Why it failed.
    error: Option<Failure>,
    /// Why it was skipped.
    skip_reason: Option<String>,
    /// When it fails if it has not ended.
    deadline: Option<DateTime>,
    /// When it started.
    started_at: Option<DateTime>,
    /// When it ended.
    ended_at: Option<DateTime>,
    /// How far undoing it is, once that has started.
    undo: Option<Undo>,
    /// The position of the last event of the run that touched this step; null while it is pending.
    position: Option<Position>,
    #[graphql(skip)]
    run_id: Uuid,
    #[graphql(skip)]
    parts: Parts,
    /// Its task, when it was read along.
    #[graphql(skip)]
    read: Option<Arc<Task>>,
}

/// What the read model knows of what a step consists of.
#[derive(Debug, Clone)]
struct Parts {
    fires_at: Option<i64>,
    signal: Option<String>,
    child_id: Option<Uuid>,
    abandoned: bool,
    items: Option<ItemsActivity>,
}

impl Step {
    /// Whether it is at one of these statuses and of one of these kinds; none mean any.
    pub(crate) fn is_one_of(&self, statuses: &[StepStatus], kinds: &[StepKind]) -> bool {
        (statuses.is_empty() || statuses.contains(&self.status)) && (kinds.is_empty() || kinds.contains(&self.kind))
    }

    pub(crate) fn of(row: StepRow) -> Result<Self> {
        let undo = match row.undo_status {
            None => None,
            Some(status) => Some(Undo {
                task_id: row.undo_task_id,
                status: StepStatus::of(&status)?,
                error: Failure::of(row.undo_error_kind, row.undo_error_message)?,
                started_at: row.undo_started_at.map(moment),
                ended_at: row.undo_ended_at.map(moment),
            }),
        };
        let items = row.items.map(|total| ItemsActivity {
            total: Count::of(total.into()),
            running: Count::of(row.items_running),
            completed: Count::of(row.items_completed),
            failed: Count::of(row.items_failed),
            run_id: row.run_id,
            step: row.name.clone(),
        });
        Ok(Self {
            id: GlobalId::Step(row.run_id, row.name.clone()).into(),
            run_id: row.run_id,
            name: row.name,
            definition: row.definition,
            ordinal: row.ordinal,
            kind: StepKind::of(&row.kind)?,
            status: StepStatus::of(&row.status)?,
            task_id: row.task_id,
            agent_key: row.agent_key,
            template_key: row.template_key,
            needs: row.needs,
            output: row.output.map(async_graphql::Json),
            simulated: row.simulated,
            error: Failure::of(row.error_kind, row.error_message)?,
            skip_reason: row.skip_reason,
            deadline: row.deadline.map(moment),
            started_at: row.started_at.map(moment),
            ended_at: row.ended_at.map(moment),
            undo,
            position: row.position.map(position),
            parts: Parts {
                fires_at: row.fires_at,
                signal: row.signal,
                child_id: row.child_id,
                abandoned: row.abandoned,
                items,
            },
            read: None,
        })
    }

    /// With its task, read along.
    pub(crate) fn with(self, task: Option<Task>) -> Self {
        Self { read: task.map(Arc::new), ..self }
    }
}

#[ComplexObject]
impl Step {
    /// The title that people read.
    async fn title(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.definition.title)
    }

    /// The step as its author wrote it.
    async fn definition(&self) -> StepDefinition {
        StepDefinition::from(domain::Step::clone(&self.definition))
    }

    /// Its task, once started, when it is a single one.
    async fn task(&self, context: &Context<'_>) -> Result<Option<Arc<Task>>> {
        match (&self.read, self.task_id) {
            (Some(task), _) => Ok(Some(Arc::clone(task))),
            (None, Some(id)) => Ok(Loaders::of(context)?.task(id).await?.map(Arc::new)),
            (None, None) => Ok(None),
        }
    }

    /// What it consists of, once started.
    async fn activity(&self, context: &Context<'_>) -> Result<Option<StepActivity>> {
        let parts = &self.parts;
        Ok(match self.kind {
            StepKind::Task => self.task_id.map(|task_id| StepActivity::Task(TaskActivity { task_id })),
            StepKind::ForEach => parts.items.clone().map(StepActivity::Items),
            StepKind::Approval => {
                let asked = Loaders::of(context)?.approvals(self.run_id).await?;
                asked.into_iter().find(|approval| approval.step == self.name).map(StepActivity::Approval)
            }
            StepKind::Wait => parts.fires_at.map(|at| StepActivity::Timer(TimerActivity { fires_at: moment(at) })),
            StepKind::Signal => parts.signal.clone().map(|signal| StepActivity::Signal(SignalActivity { signal })),
            StepKind::Run => {
                parts.child_id.map(|run_id| StepActivity::Child(ChildActivity { run_id, abandoned: parts.abandoned }))
            }
        })
    }

    /// The agent that the workflow names, as it is now; null when it lets the best one be chosen. The one that worked,
    /// and its version, are in the task.
    async fn agent(&self, context: &Context<'_>) -> Result<Option<Agent>> {
        match &self.agent_key {
            Some(key) => Loaders::of(context)?.agent(key).await,
            None => Ok(None),
        }
    }

    /// The template that says what is done, as it is now; the version that was used is in the task.
    async fn template(&self, context: &Context<'_>) -> Result<Option<Template>> {
        match &self.template_key {
            Some(key) => Loaders::of(context)?.template(key).await,
            None => Ok(None),
        }
    }

    /// From start to end in milliseconds; null while it is pending or under way.
    async fn duration_ms(&self) -> Option<Count> {
        between(self.started_at?, self.ended_at)
    }
}

/// What a step that has started consists of.
#[derive(Debug, Clone, Union)]
#[expect(clippy::large_enum_variant, reason = "the members of a union are objects; each lives for one answer")]
pub(crate) enum StepActivity {
    /// One task.
    Task(TaskActivity),
    /// A task for each element of a list.
    Items(ItemsActivity),
    /// People are asked.
    Approval(Approval),
    /// It waits for its time.
    Timer(TimerActivity),
    /// It waits for a signal.
    Signal(SignalActivity),
    /// Another run.
    Child(ChildActivity),
}

/// A step that is one task.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct TaskActivity {
    /// The task's id.
    task_id: Uuid,
}

#[ComplexObject]
impl TaskActivity {
    /// The task.
    async fn task(&self, context: &Context<'_>) -> Result<Option<Task>> {
        Loaders::of(context)?.task(self.task_id).await
    }
}

/// A step that works through a list.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct ItemsActivity {
    /// How many elements there are.
    total: Count,
    /// How many are under way.
    running: Count,
    /// How many have completed.
    completed: Count,
    /// How many have failed.
    failed: Count,
    #[graphql(skip)]
    run_id: Uuid,
    #[graphql(skip)]
    step: String,
}

#[ComplexObject]
impl ItemsActivity {
    /// The elements in their order, or the last one first; those whose turn has not come included.
    #[graphql(complexity = "crate::page::cost(first, None, child_complexity)")]
    async fn items(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The index of the first one that is looked at; the beginning when nothing is said.")]
        from: Option<i32>,
        #[graphql(desc = "At most so many, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Only at one of these statuses; empty means any.", default)] statuses: Vec<StepStatus>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<Item>> {
        let from = from.map(u32::try_from).transpose();
        let window = ItemWindow {
            from: from.map_err(|_| failure::invalid("`from` must be 0 or more"))?,
            limit: limit("first", first)?,
            reversed,
            statuses: statuses.into_iter().map(|status| status.name().to_owned()).collect(),
        };
        Loaders::of(context)?.items(self.run_id, self.step.clone(), window).await
    }
}

/// One element of a list, and what became of it.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Item {
    /// Its place in the list, from 0.
    index: i32,
    /// The element.
    element: Json,
    /// Where it stands.
    status: StepStatus,
    /// The id of its task, once started.
    task_id: Option<Uuid>,
    /// The task's result, once completed: `{"text": …, "json": …}`.
    result: Option<Json>,
    /// Whether no model was asked.
    simulated: bool,
    /// Why it failed.
    error: Option<Failure>,
    /// When its task was created.
    started_at: Option<DateTime>,
    /// When it ended.
    ended_at: Option<DateTime>,
}

impl Item {
    pub(crate) fn of(row: ItemRow) -> Result<Self> {
        Ok(Self {
            index: row.item,
            element: async_graphql::Json(row.element),
            status: StepStatus::of(&row.status)?,
            task_id: row.task_id,
            result: row.result.map(async_graphql::Json),
            simulated: row.simulated,
            error: Failure::of(row.error_kind, row.error_message)?,
            started_at: row.started_at.map(moment),
            ended_at: row.ended_at.map(moment),
        })
    }
}

#[ComplexObject]
impl Item {
    /// Its task, once started.
    async fn task(&self, context: &Context<'_>) -> Result<Option<Task>> {
        match self.task_id {
            Some(id) => Loaders::of(context)?.task(id).await,
            None => Ok(None),
        }
    }
}

/// A step that waits for its time.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct TimerActivity {
    /// When it goes on.
    fires_at: DateTime,
}

/// A step that waits for a signal.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct SignalActivity {
    /// The signal's name.
    signal: String,
}

/// A step that started another run.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct ChildActivity {
    /// The id of the other run.
    run_id: Uuid,
    /// Whether that run was left alone: it goes on, and nobody waits for it.
    abandoned: bool,
}

#[ComplexObject]
impl ChildActivity {
    /// The other run.
    async fn run(&self, context: &Context<'_>) -> Result<Option<Run>> {
        Loaders::of(context)?.run(self.run_id).await
    }
}

/// How far undoing a step is.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Undo {
    /// The id of the task that undoes it.
    task_id: Option<Uuid>,
    /// `RUNNING`, `COMPLETED` or `FAILED`.
    status: StepStatus,
    /// Why it failed; other steps are undone all the same.
    error: Option<Failure>,
    /// When it started.
    started_at: Option<DateTime>,
    /// When it ended.
    ended_at: Option<DateTime>,
}

#[ComplexObject]
impl Undo {
    /// The task that undoes the step.
    async fn task(&self, context: &Context<'_>) -> Result<Option<Task>> {
        match self.task_id {
            Some(id) => Loaders::of(context)?.task(id).await,
            None => Ok(None),
        }
    }
}
