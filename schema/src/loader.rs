//! Batched reads: what many entries of one answer need is asked for in one query per kind.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::{Context, Lookahead, Result};
use domain::Key;
use futures_util::future::{join, try_join_all};
use projections::{
    ActionRow, AgentRow, AgentVersionRow, ApprovalRow, AttemptRow, DecisionRow, DeliveryAttemptRow, Error, ItemRow,
    ItemWindow, LimitRow, MetricsRow, Past, PauseRow, Queries, RepeatRow, RunQualityRow, RunRow, SeatRow, SignalRow,
    SlotsRow, StallRow, StepRow, TaskRow, TemplateRow, TemplateVersionRow, WorkflowRow, WorkflowVersionRow,
};
use uuid::Uuid;

use crate::action::TrackedAction;
use crate::agent::{Agent, AgentVersion};
use crate::approval::{Approval, Decision};
use crate::batch::{Batches, Read};
use crate::failure;
use crate::flow::{Limit, Seat, Slots};
use crate::metrics::Metrics;
use crate::outcome::RunQuality;
use crate::run::{Pause, Run, Signal, Stall};
use crate::scalar::NanoUsd;
use crate::step::{Item, Step};
use crate::task::{Attempt, Task};
use crate::template::{Template, TemplateVersion};
use crate::webhook::WebhookAttempt;
use crate::workflow::{Workflow, WorkflowVersion};

/// Why a batch failed, for all fields that wait for it.
#[derive(Debug, Clone)]
pub(crate) enum Failed {
    /// It was logged once under this id, however many fields wait for it.
    Inside(Uuid),
    /// It asks for too much.
    TooMuch(&'static str, String),
    /// It took too long.
    TooSlow,
}

/// Reads rows: of the present from the read models, of the past from the journal.
struct Reader {
    source: Source,
}

enum Source {
    Now(Queries),
    Then(Arc<Past>),
}

impl Reader {
    /// The read models.
    fn queries(&self) -> &Queries {
        match &self.source {
            Source::Now(queries) => queries,
            Source::Then(past) => past.queries(),
        }
    }
}

/// Reads rows from whatever there is to read from.
macro_rules! read {
    ($reader:ident.$read:ident($($argument:expr),*)) => {
        match &$reader.source {
            Source::Now(queries) => queries.$read($($argument),*).await.map_err(logged),
            Source::Then(past) => past.$read($($argument),*).await.map_err(logged),
        }
    };
}

/// Declares a key, and how the rows behind many of them are read and sorted to their keys.
macro_rules! one {
    ($key:ident => $row:ty, $read:ident by $field:ident) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        struct $key(Uuid);

        impl Read<$key> for Reader {
            type Value = $row;
            type Failed = Failed;

            async fn read(&self, keys: Vec<$key>) -> Result<HashMap<$key, Self::Value>, Self::Failed> {
                let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
                let rows = read!(self.$read(&ids))?;
                Ok(rows.into_iter().map(|row| ($key(row.$field), row)).collect())
            }
        }
    };
}

macro_rules! many {
    ($key:ident => $row:ty, $read:ident by $($field:tt).+) => {
        groups!($key => $row, |reader, ids| read!(reader.$read(&ids)), by $($field).+);
    };
}

/// Of what nobody can ask as of a moment.
macro_rules! present {
    ($key:ident => $row:ty, $read:ident by $($field:tt).+) => {
        groups!($key => $row, |reader, ids| reader.queries().$read(&ids).await.map_err(logged), by $($field).+);
    };
}

macro_rules! groups {
    ($key:ident => $row:ty, |$reader:ident, $ids:ident| $rows:expr, by $($field:tt).+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        struct $key(Uuid);

        impl Read<$key> for Reader {
            type Value = Arc<Vec<$row>>;
            type Failed = Failed;

            async fn read(&self, keys: Vec<$key>) -> Result<HashMap<$key, Self::Value>, Self::Failed> {
                let ($reader, $ids) = (self, keys.iter().map(|key| key.0).collect::<Vec<Uuid>>());
                let mut groups: HashMap<$key, Vec<$row>> = HashMap::new();
                for row in $rows? {
                    groups.entry($key(row.$($field).+)).or_default().push(row);
                }
                Ok(groups.into_iter().map(|(key, rows)| (key, Arc::new(rows))).collect())
            }
        }
    };
}

one!(RunById => RunRow, runs_by_ids by id);
one!(TaskById => TaskRow, tasks_by_ids by id);
one!(AgentById => AgentRow, agents_by_ids by id);
one!(TemplateById => TemplateRow, templates_by_ids by id);
one!(WorkflowById => WorkflowRow, workflows_by_ids by id);
one!(RepeatOfRun => RepeatRow, repeats_of_runs by run_id);
one!(QualityOfRun => RunQualityRow, qualities_of_runs by run_id);
one!(LimitById => LimitRow, limits_by_ids by id);
many!(StepsOfRun => StepRow, steps_of_runs by run_id);
many!(StepsAndTasksOfRun => (StepRow, Option<TaskRow>), steps_and_tasks_of_runs by 0.run_id);
many!(ApprovalsOfRun => ApprovalRow, approvals_of_runs by run_id);
many!(DecisionsOfRun => DecisionRow, decisions_of_runs by run_id);
many!(PausesOfRun => PauseRow, pauses_of_runs by run_id);
many!(SignalsOfRun => SignalRow, signals_of_runs by run_id);
many!(StallsOfRun => StallRow, stalls_of_runs by run_id);
many!(ActionsOfRun => ActionRow, actions_of_runs by run_id);
many!(RepeatsOfTask => RepeatRow, repeats_of_tasks by task_id);
many!(SeatsOfRun => SeatRow, seats_of_runs by run_id);
present!(AttemptsOfDelivery => DeliveryAttemptRow, delivery_attempts by delivery_id);
many!(AttemptsOfTask => AttemptRow, attempts_of_tasks by task_id);
many!(VersionsOfAgent => AgentVersionRow, agent_versions by agent_id);
many!(VersionsOfTemplate => TemplateVersionRow, template_versions by template_id);
many!(VersionsOfWorkflow => WorkflowVersionRow, workflow_versions by workflow_id);

/// An action item by its task and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ActionById(Uuid, i32);

impl Read<ActionById> for Reader {
    type Value = ActionRow;
    type Failed = Failed;

    async fn read(&self, keys: Vec<ActionById>) -> Result<HashMap<ActionById, Self::Value>, Self::Failed> {
        let ids: Vec<(Uuid, i32)> = keys.iter().map(|key| (key.0, key.1)).collect();
        let rows = read!(self.actions_by_ids(&ids))?;
        Ok(rows.into_iter().map(|row| (ActionById(row.task_id, row.number), row)).collect())
    }
}

/// What a run costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct CostOfRun(Uuid);

impl Read<CostOfRun> for Reader {
    type Value = i64;
    type Failed = Failed;

    async fn read(&self, keys: Vec<CostOfRun>) -> Result<HashMap<CostOfRun, Self::Value>, Self::Failed> {
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let costs = read!(self.costs_of_runs(&ids))?;
        Ok(costs.into_iter().map(|(run, cost)| (CostOfRun(run), cost)).collect())
    }
}

/// How an agent or a template has done since a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct MetricsSince {
    subject: Uuid,
    from: Option<i64>,
}

impl Read<MetricsSince> for Reader {
    type Value = MetricsRow;
    type Failed = Failed;

    async fn read(&self, keys: Vec<MetricsSince>) -> Result<HashMap<MetricsSince, Self::Value>, Self::Failed> {
        let mut windows: HashMap<Option<i64>, Vec<Uuid>> = HashMap::new();
        for MetricsSince { subject, from } in keys {
            windows.entry(from).or_default().push(subject);
        }
        let mut all = HashMap::new();
        for (from, subjects) in windows {
            let rows = read!(self.metrics(&subjects, from))?;
            all.extend(rows.into_iter().map(|row| (MetricsSince { subject: row.subject, from }, row)));
        }
        Ok(all)
    }
}

/// The slots of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SlotsOfLimit(String);

impl Read<SlotsOfLimit> for Reader {
    type Value = Arc<Vec<SlotsRow>>;
    type Failed = Failed;

    async fn read(&self, keys: Vec<SlotsOfLimit>) -> Result<HashMap<SlotsOfLimit, Self::Value>, Self::Failed> {
        let wanted: Vec<String> = keys.iter().map(|key| key.0.clone()).collect();
        let mut groups: HashMap<SlotsOfLimit, Vec<SlotsRow>> = HashMap::new();
        for row in read!(self.slots_of_limits(&wanted))? {
            groups.entry(SlotsOfLimit(row.limit_key.clone())).or_default().push(row);
        }
        Ok(groups.into_iter().map(|(key, rows)| (key, Arc::new(rows))).collect())
    }
}

/// Who has or wants one of some slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SeatsOfSlots(Uuid);

/// How many of those who have, and of those who want, are shown.
const SEATS: u32 = 100;

impl Read<SeatsOfSlots> for Reader {
    type Value = Arc<Vec<SeatRow>>;
    type Failed = Failed;

    async fn read(&self, keys: Vec<SeatsOfSlots>) -> Result<HashMap<SeatsOfSlots, Self::Value>, Self::Failed> {
        let wanted: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let mut groups: HashMap<SeatsOfSlots, Vec<SeatRow>> = HashMap::new();
        for row in read!(self.seats_of_slots(&wanted, SEATS))? {
            groups.entry(SeatsOfSlots(row.slots_id)).or_default().push(row);
        }
        Ok(groups.into_iter().map(|(key, rows)| (key, Arc::new(rows))).collect())
    }
}

/// Part of the elements of a step's list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ItemsOfStep {
    step: (Uuid, String),
    window: ItemWindow,
}

impl Read<ItemsOfStep> for Reader {
    type Value = Arc<Vec<ItemRow>>;
    type Failed = Failed;

    async fn read(&self, keys: Vec<ItemsOfStep>) -> Result<HashMap<ItemsOfStep, Self::Value>, Self::Failed> {
        let mut parts: HashMap<ItemWindow, Vec<(Uuid, String)>> = HashMap::new();
        for ItemsOfStep { step, window } in keys {
            parts.entry(window).or_default().push(step);
        }
        let mut groups: HashMap<ItemsOfStep, Vec<ItemRow>> = HashMap::new();
        for (window, steps) in parts {
            for row in read!(self.items_of_steps(&steps, &window))? {
                let key = ItemsOfStep { step: (row.run_id, row.step.clone()), window: window.clone() };
                groups.entry(key).or_default().push(row);
            }
        }
        Ok(groups.into_iter().map(|(key, rows)| (key, Arc::new(rows))).collect())
    }
}

/// What all that is read afterwards reflects at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Reflected;

impl Read<Reflected> for Reader {
    type Value = journal::Position;
    type Failed = Failed;

    async fn read(&self, _: Vec<Reflected>) -> Result<HashMap<Reflected, Self::Value>, Self::Failed> {
        let position = match &self.source {
            Source::Now(queries) => queries.position().await.map_err(logged)?,
            Source::Then(past) => past.position(),
        };
        Ok([(Reflected, position)].into())
    }
}

fn logged(error: Error) -> Failed {
    if error.is_timeout() {
        return Failed::TooSlow;
    }
    if let Error::TooMuchPast { .. } = &error {
        return Failed::TooMuch(error.code(), error.to_string());
    }
    let id = Uuid::now_v7();
    tracing::error!(correlation = %id, error = &error as &dyn std::error::Error, "a read model could not be read");
    Failed::Inside(id)
}

/// The batched reads of the whole schema. Nothing is cached: each answer reads the rows anew. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Loaders {
    batches: Arc<Batches<Reader>>,
}

impl Loaders {
    pub(crate) fn new(queries: Queries) -> Self {
        Self::over(Source::Now(queries))
    }

    pub(crate) fn of_past(past: Arc<Past>) -> Self {
        Self::over(Source::Then(past))
    }

    fn over(source: Source) -> Self {
        Self { batches: Arc::new(Batches::new(Reader { source })) }
    }

    /// Those of the moment that the question is about.
    pub(crate) fn of(context: &Context<'_>) -> Result<Self> {
        match crate::as_of::above(context) {
            Some(loaders) => Ok(loaders),
            None => Ok(context.data::<Self>()?.clone()),
        }
    }

    /// The past, when they are of the past.
    pub(crate) fn past(&self) -> Option<&Arc<Past>> {
        match &self.batches.reader().source {
            Source::Now(_) => None,
            Source::Then(past) => Some(past),
        }
    }

    async fn one<K>(&self, key: K) -> Result<Option<<Reader as Read<K>>::Value>>
    where
        K: Send + Hash + Eq + Clone + 'static,
        Reader: Read<K, Failed = Failed>,
    {
        let read = self.batches.one(key).await.unwrap_or_else(|| {
            let id = Uuid::now_v7();
            tracing::error!(correlation = %id, "the task that reads for many has panicked");
            Err(Failed::Inside(id))
        });
        read.map_err(|failed| match failed {
            Failed::Inside(id) => failure::opaque(id),
            Failed::TooMuch(code, message) => failure::refused(code, message),
            Failed::TooSlow => failure::too_slow(),
        })
    }

    pub(crate) async fn run(&self, id: Uuid) -> Result<Option<Run>> {
        self.one(RunById(id)).await?.map(Run::of).transpose()
    }

    /// A run for what is asked of it: its steps are read at the same time, when they are wanted.
    pub(crate) async fn run_as_wanted(&self, id: Uuid, asked: Lookahead<'_>) -> Result<Option<Run>> {
        let steps = asked.field("steps");
        if !steps.exists() {
            return self.run(id).await;
        }
        let (run, steps) = join(self.run(id), self.steps_as_wanted(id, steps)).await;
        // Who asks for steps that could not be read is told there.
        Ok(run?.map(|run| match steps {
            Ok(steps) => run.with(steps),
            Err(_) => run,
        }))
    }

    /// What a run came to.
    pub(crate) async fn report(&self, run: Uuid) -> Result<Option<output::Report>> {
        let Some(run) = self.one(RunById(run)).await? else { return Ok(None) };
        let workflow = self.one(WorkflowById(run.workflow_id)).await?;
        let steps = rows(self.one(StepsOfRun(run.id)).await?).collect();
        Ok(Some(projections::report(run, steps, workflow)))
    }

    pub(crate) async fn cost_of_run(&self, run: Uuid) -> Result<Option<NanoUsd>> {
        Ok(self.one(CostOfRun(run)).await?.map(NanoUsd))
    }

    pub(crate) async fn quality_of_run(&self, run: Uuid) -> Result<Option<RunQuality>> {
        Ok(self.one(QualityOfRun(run)).await?.map(RunQuality::from))
    }

    pub(crate) async fn steps(&self, run: Uuid) -> Result<Vec<Step>> {
        rows(self.one(StepsOfRun(run)).await?).map(Step::of).collect()
    }

    /// The steps; when their tasks are asked for, with those that they are known to have, so that nobody has to ask for these
    /// one by one.
    pub(crate) async fn steps_as_wanted(&self, run: Uuid, asked: Lookahead<'_>) -> Result<Vec<Step>> {
        if !asked.field("task").exists() {
            return self.steps(run).await;
        }
        let of = |(step, task): (StepRow, Option<TaskRow>)| Ok(Step::of(step)?.with(task.map(Task::of).transpose()?));
        rows(self.one(StepsAndTasksOfRun(run)).await?).map(of).collect()
    }

    pub(crate) async fn items(&self, run: Uuid, step: String, window: ItemWindow) -> Result<Vec<Item>> {
        rows(self.one(ItemsOfStep { step: (run, step), window }).await?).map(Item::of).collect()
    }

    /// What all that is read afterwards reflects at least; of the past, exactly.
    pub(crate) async fn position(&self) -> Result<journal::Position> {
        Ok(self.one(Reflected).await?.unwrap_or(journal::Position::START))
    }

    /// The task that a run does again.
    pub(crate) async fn again_of(&self, run: Uuid) -> Result<Option<Task>> {
        match self.one(RepeatOfRun(run)).await? {
            Some(repeat) => self.task(repeat.task_id).await,
            None => Ok(None),
        }
    }

    /// The runs that do a task again.
    pub(crate) async fn repetitions(&self, task: Uuid) -> Result<Vec<RunRow>> {
        let repeats = rows(self.one(RepeatsOfTask(task)).await?);
        let runs = try_join_all(repeats.map(|repeat| self.one(RunById(repeat.run_id)))).await?;
        Ok(runs.into_iter().flatten().collect())
    }

    pub(crate) async fn action(&self, task: Uuid, number: i32) -> Result<Option<TrackedAction>> {
        self.one(ActionById(task, number)).await?.map(TrackedAction::of).transpose()
    }

    pub(crate) async fn actions(&self, run: Uuid) -> Result<Vec<ActionRow>> {
        Ok(rows(self.one(ActionsOfRun(run)).await?).collect())
    }

    pub(crate) async fn approvals(&self, run: Uuid) -> Result<Vec<Approval>> {
        rows(self.one(ApprovalsOfRun(run)).await?).map(Approval::of).collect()
    }

    pub(crate) async fn decisions(&self, run: Uuid, step: &str) -> Result<Vec<Decision>> {
        let decisions = rows(self.one(DecisionsOfRun(run)).await?);
        Ok(decisions.filter(|row| row.step == step).map(Decision::from).collect())
    }

    pub(crate) async fn pauses(&self, run: Uuid) -> Result<Vec<Pause>> {
        rows(self.one(PausesOfRun(run)).await?).map(Pause::of).collect()
    }

    pub(crate) async fn signals(&self, run: Uuid) -> Result<Vec<Signal>> {
        Ok(rows(self.one(SignalsOfRun(run)).await?).map(Signal::from).collect())
    }

    pub(crate) async fn stalls(&self, run: Uuid) -> Result<Vec<Stall>> {
        Ok(rows(self.one(StallsOfRun(run)).await?).map(Stall::from).collect())
    }

    pub(crate) async fn seats_of_run(&self, run: Uuid) -> Result<Vec<Seat>> {
        Ok(rows(self.one(SeatsOfRun(run)).await?).map(Seat::from).collect())
    }

    pub(crate) async fn limit(&self, key: &str) -> Result<Option<Limit>> {
        match id_of(key, domain::LimitId::from_key) {
            Some(id) => self.limit_by_id(id.as_uuid()).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn limit_by_id(&self, id: Uuid) -> Result<Option<Limit>> {
        self.one(LimitById(id)).await?.map(Limit::of).transpose()
    }

    pub(crate) async fn slots(&self, limit: String) -> Result<Vec<Slots>> {
        Ok(rows(self.one(SlotsOfLimit(limit)).await?).map(Slots::from).collect())
    }

    pub(crate) async fn seats(&self, slots: Uuid) -> Result<Vec<Seat>> {
        Ok(rows(self.one(SeatsOfSlots(slots)).await?).map(Seat::from).collect())
    }

    pub(crate) async fn task(&self, id: Uuid) -> Result<Option<Task>> {
        self.one(TaskById(id)).await?.map(Task::of).transpose()
    }

    pub(crate) async fn attempts(&self, task: Uuid) -> Result<Vec<Attempt>> {
        rows(self.one(AttemptsOfTask(task)).await?).map(Attempt::of).collect()
    }

    pub(crate) async fn delivery_attempts(&self, delivery: Uuid) -> Result<Vec<WebhookAttempt>> {
        Ok(rows(self.one(AttemptsOfDelivery(delivery)).await?).map(WebhookAttempt::from).collect())
    }

    pub(crate) async fn agent(&self, key: &str) -> Result<Option<Agent>> {
        match id_of(key, domain::AgentId::from_key) {
            Some(id) => self.agent_by_id(id.as_uuid()).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn agent_by_id(&self, id: Uuid) -> Result<Option<Agent>> {
        Ok(self.one(AgentById(id)).await?.map(Agent::from))
    }

    pub(crate) async fn agent_versions(&self, agent: Uuid) -> Result<Vec<AgentVersion>> {
        Ok(rows(self.one(VersionsOfAgent(agent)).await?).map(AgentVersion::from).collect())
    }

    /// How an agent or a template has done since a day.
    pub(crate) async fn metrics(&self, subject: Uuid, from: Option<i64>) -> Result<Option<Metrics>> {
        Ok(self.one(MetricsSince { subject, from }).await?.map(Metrics::from))
    }

    pub(crate) async fn template(&self, key: &str) -> Result<Option<Template>> {
        match id_of(key, domain::TemplateId::from_key) {
            Some(id) => self.template_by_id(id.as_uuid()).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn template_by_id(&self, id: Uuid) -> Result<Option<Template>> {
        Ok(self.one(TemplateById(id)).await?.map(Template::from))
    }

    pub(crate) async fn template_versions(&self, template: Uuid) -> Result<Vec<TemplateVersion>> {
        Ok(rows(self.one(VersionsOfTemplate(template)).await?).map(TemplateVersion::from).collect())
    }

    pub(crate) async fn workflow(&self, key: &str) -> Result<Option<Workflow>> {
        match id_of(key, domain::WorkflowId::from_key) {
            Some(id) => self.workflow_by_id(id.as_uuid()).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn workflow_by_id(&self, id: Uuid) -> Result<Option<Workflow>> {
        self.one(WorkflowById(id)).await?.map(Workflow::of).transpose()
    }

    /// The versions of a workflow as they are in the read model.
    pub(crate) async fn workflow_definitions(&self, workflow: Uuid) -> Result<Vec<WorkflowVersionRow>> {
        Ok(rows(self.one(VersionsOfWorkflow(workflow)).await?).collect())
    }

    pub(crate) async fn workflow_versions(&self, workflow: Uuid) -> Result<Vec<WorkflowVersion>> {
        Ok(rows(self.one(VersionsOfWorkflow(workflow)).await?).map(WorkflowVersion::from).collect())
    }
}

/// The id that belongs to a key; nothing when the text is no key, because then nothing can be registered under it.
fn id_of<T>(key: &str, of: impl Fn(&Key) -> T) -> Option<T> {
    key.parse().ok().map(|key| of(&key))
}

fn rows<R: Clone>(rows: Option<Arc<Vec<R>>>) -> impl Iterator<Item = R> {
    rows.map(Arc::unwrap_or_clone).unwrap_or_default().into_iter()
}
