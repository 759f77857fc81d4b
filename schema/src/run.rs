//! Runs.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject};
use parking_lot::Mutex;
use projections::{PauseRow, RunRow, SignalRow, StallRow, Window};
use uuid::Uuid;

use crate::action::{ActionItemFilter, TrackedAction};
use crate::explanation::Explanation;
use crate::flow::Seat;
use crate::loader::Loaders;
use crate::node::global_id;
use crate::order::{ActionOrder, Cursor, held, some_of};
use crate::outcome::RunQuality;
use crate::page::{Arguments, Pages, connection, cost};
use crate::reflected::rests_on;
use crate::report::DocumentFormat;
use crate::scalar::{Count, DateTime, Json, NanoUsd, Position};
use crate::status::{ErrorKind, LineageKind, PauseClock, RunStatus, StepKind, StepStatus};
use crate::step::Step;
use crate::subscription::{Timeline, timeline};
use crate::words::Language;
use crate::workflow::Workflow;

/// Why something failed.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Failure {
    /// The kind of failure.
    kind: ErrorKind,
    /// What happened, for a person.
    message: String,
}

impl Failure {
    pub(crate) fn of(kind: Option<String>, message: Option<String>) -> Result<Option<Self>> {
        kind.map(|kind| Ok(Self { kind: ErrorKind::of(&kind)?, message: message.unwrap_or_default() })).transpose()
    }
}

/// One execution of one version of a workflow.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Run {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The run's own id; version 7, so ids sort by time.
    pub(crate) run_id: Uuid,
    /// The key of the workflow.
    pub(crate) workflow_key: String,
    /// The version of the workflow that the run follows, whatever becomes of the workflow later.
    version: i32,
    /// Where it stands.
    pub(crate) status: RunStatus,
    /// The input, completed with the defaults of the workflow's schema.
    input: Json,
    /// The output, once completed.
    output: Option<Json>,
    /// Whether any part of its outcome was simulated: no model was asked for it.
    simulated: bool,
    /// Why it failed.
    error: Option<Failure>,
    /// The step that failed first; null also when the run's own output could not be made.
    failed_step: Option<String>,
    /// Why somebody wanted it to stop.
    cancel_reason: Option<String>,
    /// The node that claimed it last.
    node: Option<Uuid>,
    /// How often it was claimed; more than once means that another node, or the same after a restart, took over.
    epoch: Option<Count>,
    /// Who started it, as `kind:id`: the person or trigger at the beginning of the chain of causes.
    actor: String,
    /// The same for all that follows from the request that started it.
    correlation: Uuid,
    /// Which runs go first when a limit makes them wait: higher before lower, 0 is usual, -100 to 100.
    priority: i32,
    /// When it was started.
    pub(crate) started_at: DateTime,
    /// When it ended.
    ended_at: Option<DateTime>,
    /// When it fails if it has not ended.
    deadline: Option<DateTime>,
    /// When what runs is cut, once somebody wants it to stop.
    cut_at: Option<DateTime>,
    /// That nothing new of it starts, while that lasts.
    pause: Option<Pause>,
    /// Its wait for limits before its first step; null when no limit counted it.
    queue: Option<Queue>,
    /// Where its history comes from, when it took over another run's.
    origin: Option<Origin>,
    /// What made a trigger start it, when one did.
    firing: Option<Firing>,
    /// The step of another run that started it.
    parent_step: Option<String>,
    /// How many runs stand above it; 0 when no other run started it.
    depth: i32,
    /// The position of the last event of the run itself that is reflected here.
    position: Position,
    #[graphql(skip)]
    pub(crate) parent_id: Option<Uuid>,
    /// Its steps, when they were read along; the first who asks for them takes them.
    #[graphql(skip)]
    read: Option<Arc<Mutex<Vec<Step>>>>,
}

impl Run {
    pub(crate) fn of(mut row: RunRow) -> Result<Self> {
        Ok(Self {
            pause: Pause::of_run(&mut row)?,
            queue: row.queued_at.map(|at| Queue { since: moment(at), admitted_at: row.admitted_at.map(moment) }),
            origin: Origin::of(&mut row)?,
            firing: row
                .trigger_id
                .map(|trigger_id| Firing { trigger_id, cause: row.trigger_cause.take().unwrap_or_default() }),
            parent_id: row.parent_id,
            parent_step: row.parent_step,
            depth: row.depth.unwrap_or(0),
            priority: row.priority,
            deadline: row.deadline.map(moment),
            cut_at: row.cut_at.map(moment),
            id: global_id(domain::Category::Run, row.id),
            run_id: row.id,
            workflow_key: row.workflow_key,
            version: row.version,
            status: RunStatus::of(&row.status)?,
            input: async_graphql::Json(row.input),
            output: row.output.map(async_graphql::Json),
            simulated: row.simulated,
            error: Failure::of(row.error_kind, row.error_message)?,
            failed_step: row.failed_step,
            cancel_reason: row.cancel_reason,
            node: row.node,
            epoch: row.epoch.map(Count::of),
            actor: row.actor,
            correlation: row.correlation,
            started_at: moment(row.started_at),
            ended_at: row.ended_at.map(moment),
            position: position(row.position),
            read: None,
        })
    }

    pub(crate) fn with(self, steps: Vec<Step>) -> Self {
        Self { read: Some(Arc::new(Mutex::new(steps))), ..self }
    }

    /// What was read along, unless somebody has taken it or there is none.
    fn take_steps(&self) -> Option<Vec<Step>> {
        let steps = std::mem::take(&mut *self.read.as_ref()?.lock());
        (!steps.is_empty()).then_some(steps)
    }
}

#[ComplexObject]
impl Run {
    /// The workflow as it is now, or was; what the run follows is its `version`.
    async fn workflow(&self, context: &Context<'_>) -> Result<Option<Workflow>> {
        Loaders::of(context)?.workflow(&self.workflow_key).await
    }

    /// Its steps, in the order of the workflow's definition; those whose turn has not come are `PENDING`.
    #[graphql(complexity = "10 * child_complexity")]
    async fn steps(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only at one of these statuses; empty means any.", default)] statuses: Vec<StepStatus>,
        #[graphql(desc = "Only of these kinds; empty means any.", default)] kinds: Vec<StepKind>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<Step>> {
        let steps = match self.take_steps() {
            Some(steps) => steps,
            None => Loaders::of(context)?.steps_as_wanted(self.run_id, context.look_ahead()).await?,
        };
        Ok(some_of(steps, reversed, |step| step.is_one_of(&statuses, &kinds)))
    }

    /// The run that started it as one of its steps.
    async fn parent(&self, context: &Context<'_>) -> Result<Option<Run>> {
        match self.parent_id {
            Some(id) => Loaders::of(context)?.run(id).await,
            None => Ok(None),
        }
    }

    /// The task that it does again, when it was started for that.
    async fn again_of(&self, context: &Context<'_>) -> Result<Option<crate::task::Task>> {
        Loaders::of(context)?.again_of(self.run_id).await
    }

    /// Its pauses, oldest first.
    #[graphql(complexity = "3 * child_complexity")]
    async fn pauses(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those that last, or only those that are over.")] lasting: Option<bool>,
        #[graphql(desc = "Only those by holds, or only those of the run by itself.")] held: Option<bool>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<Pause>> {
        let pauses = Loaders::of(context)?.pauses(self.run_id).await?;
        Ok(some_of(pauses, reversed, |pause| {
            lasting.is_none_or(|lasting| lasting == pause.until.is_none()) && held.is_none_or(|held| held == pause.held)
        }))
    }

    /// The signals that came, oldest first.
    #[graphql(complexity = "3 * child_complexity")]
    async fn signals(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only of these names; empty means any.", default)] names: Vec<String>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<Signal>> {
        let signals = Loaders::of(context)?.signals(self.run_id).await?;
        Ok(some_of(signals, reversed, |signal| names.is_empty() || names.contains(&signal.signal)))
    }

    /// Whenever it was found with nothing to wait for, which must never happen, oldest first; its owner read it again.
    #[graphql(complexity = "3 * child_complexity")]
    async fn stalls(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only with this text in what is known about it.")] text: Option<String>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<Stall>> {
        let stalls = Loaders::of(context)?.stalls(self.run_id).await?;
        Ok(some_of(stalls, reversed, |stall| text.as_ref().is_none_or(|text| stall.what.contains(text))))
    }

    /// The slots of limits that it and its tasks have or wait for, the one that was asked for first first.
    #[graphql(complexity = "3 * child_complexity")]
    async fn seats(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those that are waited for, or only those that are held.")] waiting: Option<bool>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<Seat>> {
        let seats = Loaders::of(context)?.seats_of_run(self.run_id).await?;
        Ok(some_of(seats, reversed, |seat| seat.is_one_of(waiting)))
    }

    /// What somebody has to do because it asked for it, the most pressing first unless said otherwise; empty until it has
    /// ended.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn action_items(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<ActionItemFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "ActionOrder::Priority")] order_by: ActionOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
    ) -> Result<Pages<Cursor, TrackedAction>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let filter = filter.unwrap_or_default().into_filter(context).await?;
        let loaders = Loaders::of(context)?;
        let position = loaders.position().await?;
        let mut rows = loaders.actions(self.run_id).await?;
        rows.retain(|row| filter.wants(row));
        let key = order_by.key().unwrap_or_default();
        let page = held(rows, &window, reversed, order_by.name(), |row| key.place(row))?;
        connection(page, &window, position, |(cursor, row)| Ok((cursor, TrackedAction::of(row)?)))
    }

    /// One step by its name.
    async fn step(&self, context: &Context<'_>, name: String) -> Result<Option<Step>> {
        Ok(Loaders::of(context)?.steps(self.run_id).await?.into_iter().find(|step| step.name == name))
    }

    /// Everything that happened to it and to its tasks, in order or the newest first, straight from the journal; as of the past,
    /// up to then.
    #[graphql(complexity = "cost(first, None, child_complexity)")]
    async fn timeline(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only what comes after this.")] after: Option<Position>,
        #[graphql(desc = "Only what comes before this.")] before: Option<Position>,
        #[graphql(desc = "At most so many, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Only of these types, such as `run.started`; empty means any.", default)] types: Vec<String>,
        #[graphql(desc = "The newest first.", default)] reversed: bool,
    ) -> Result<Timeline> {
        let limit = usize::try_from(crate::page::limit("first", first)?).unwrap_or(usize::MAX);
        let bounds = (after.map(|after| after.0), before.map(|before| before.0));
        timeline(context, domain::RunId::from_uuid(self.run_id), bounds, reversed, limit, &types).await
    }

    /// What its own tasks are known to have cost so far, as the read model `usage` has it, which may be behind by
    /// moments unless the question has a `minPosition`; null when it has not met the run yet. What nobody knows the cost of is not in it.
    async fn cost(&self, context: &Context<'_>) -> Result<Option<NanoUsd>> {
        rests_on(context, "usage").await?;
        Loaders::of(context)?.cost_of_run(self.run_id).await
    }

    /// How good its tasks' answers are by the marks that count, as the read model `quality` has it, which may be behind by
    /// moments unless the question has a `minPosition`; null while nobody says anything about any of them. It changes when somebody rates an answer later.
    async fn quality(&self, context: &Context<'_>) -> Result<Option<RunQuality>> {
        rests_on(context, "quality").await?;
        Loaders::of(context)?.quality_of_run(self.run_id).await
    }

    /// What it came to, over all its steps, as a document that can be taken away.
    #[graphql(complexity = "20")]
    async fn document(
        &self,
        context: &Context<'_>,
        #[graphql(default)] format: DocumentFormat,
        #[graphql(desc = "Of the document's own words; when nothing is said, the one that most of it is written in.")]
        language: Option<Language>,
    ) -> Result<String> {
        rests_on(context, "quality").await?;
        let report = Loaders::of(context)?.report(self.run_id).await?;
        let report = report.ok_or_else(|| crate::failure::refused("RUN_NOT_FOUND", "the run is not there any more"))?;
        let report = report.with_outcomes(crate::report::outcomes(context, self.run_id).await?);
        crate::report::write(context, report, format, language).await
    }

    /// From start to end in milliseconds; null while it is under way.
    async fn duration_ms(&self) -> Option<Count> {
        between(self.started_at, self.ended_at)
    }

    /// Why the run stands where it stands, straight from the journal.
    #[graphql(complexity = "10 + child_complexity")]
    async fn explain(&self, context: &Context<'_>) -> Result<Explanation> {
        Explanation::of_run(context, domain::RunId::from_uuid(self.run_id)).await
    }
}

/// That nothing new of a run starts.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Pause {
    /// Who paused it, as `kind:id`.
    by: String,
    /// Why.
    reason: String,
    /// Since when.
    since: DateTime,
    /// What happens to what waits for a time.
    clock: PauseClock,
    /// Whether it is paused because everything, or its workflow, is held.
    held: bool,
    /// Until when; null while it lasts.
    until: Option<DateTime>,
    /// Who resumed it, as `kind:id`; null also when the run was cancelled while it was paused.
    resumed_by: Option<String>,
}

impl Pause {
    fn of_run(row: &mut RunRow) -> Result<Option<Self>> {
        let (Some(by), Some(since)) = (row.paused_by.take(), row.paused_at) else { return Ok(None) };
        Ok(Some(Self {
            by,
            reason: row.pause_reason.take().unwrap_or_default(),
            since: moment(since),
            clock: PauseClock::of(row.pause_clock.as_deref().unwrap_or_default())?,
            held: row.hold_id.is_some(),
            until: None,
            resumed_by: None,
        }))
    }

    pub(crate) fn of(row: PauseRow) -> Result<Self> {
        Ok(Self {
            by: row.paused_by,
            reason: row.reason,
            since: moment(row.since),
            clock: PauseClock::of(&row.clock)?,
            held: row.hold_id.is_some(),
            until: row.until.map(moment),
            resumed_by: row.resumed_by,
        })
    }
}

/// A run's wait for limits before its first step.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Queue {
    /// Since when.
    since: DateTime,
    /// When it had all the slots that it needs; null while it waits.
    admitted_at: Option<DateTime>,
}

/// Where a run's history comes from: everything that had happened in another run up to and including one event.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Origin {
    /// The id of the other run.
    run_id: Uuid,
    /// The revision of the last event that is taken over.
    revision: Count,
    /// Why.
    kind: LineageKind,
    /// The steps that are taken over as they were.
    kept: Vec<String>,
    /// The agents, templates and models that are used instead of what the workflow and the agents name.
    overrides: Option<Json>,
}

impl Origin {
    fn of(row: &mut RunRow) -> Result<Option<Self>> {
        let (Some(run_id), Some(kind)) = (row.source_id, row.lineage_kind.take()) else { return Ok(None) };
        Ok(Some(Self {
            run_id,
            revision: Count::of(row.source_revision.unwrap_or(0)),
            kind: LineageKind::of(&kind)?,
            kept: row.kept.take().unwrap_or_default(),
            overrides: row.overrides.take().map(async_graphql::Json),
        }))
    }
}

#[ComplexObject]
impl Origin {
    /// The other run.
    async fn run(&self, context: &Context<'_>) -> Result<Option<Run>> {
        Loaders::of(context)?.run(self.run_id).await
    }
}

/// What made a trigger start a run.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Firing {
    /// The id of the trigger.
    trigger_id: Uuid,
    /// What fired it: the tick of a schedule in RFC 3339, an event's id, or a caller's key.
    cause: String,
}

/// A signal that a run received, whether or not a step waits for it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Signal {
    /// Its name.
    signal: String,
    /// What it carries.
    payload: Json,
    /// When it came.
    received_at: DateTime,
}

impl From<SignalRow> for Signal {
    fn from(row: SignalRow) -> Self {
        Self { signal: row.signal, payload: async_graphql::Json(row.payload), received_at: moment(row.at) }
    }
}

/// That a run was found with nothing to wait for.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Stall {
    /// What is known about it.
    what: String,
    /// When it was found.
    found_at: DateTime,
}

impl From<StallRow> for Stall {
    fn from(row: StallRow) -> Self {
        Self { what: row.what, found_at: moment(row.at) }
    }
}

/// From a column that holds microseconds.
pub(crate) fn moment(micros: i64) -> DateTime {
    DateTime(domain::Timestamp::from_micros(micros))
}

/// From a column that holds a position.
pub(crate) fn position(number: i64) -> Position {
    Position(journal::Position::from_u64(u64::try_from(number).unwrap_or(0)))
}

/// Whole milliseconds from one moment to another.
pub(crate) fn between(start: DateTime, end: Option<DateTime>) -> Option<Count> {
    end.map(|end| Count(u64::try_from(end.0.since(start.0).as_millis()).unwrap_or(u64::MAX)))
}
