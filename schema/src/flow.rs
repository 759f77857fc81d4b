//! What makes runs and tasks wait: limits, their slots, and holds.

use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject};
use domain::Category;
use projections::{HoldRow, LimitRow, SeatRow, SlotsRow};
use uuid::Uuid;

use crate::loader::Loaders;
use crate::node::{GlobalId, global_id};
use crate::order::some_of;
use crate::run::{Run, moment, position};
use crate::scalar::{Count, DateTime, Position};
use crate::status::{LimitScope, PauseClock};

/// How many runs of a workflow, or attempts of an agent or on a platform, there may be.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Limit {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The limit's own id; it follows from the key.
    limit_id: Uuid,
    /// The key.
    key: String,
    /// What it is for.
    description: String,
    /// What it counts.
    scope: LimitScope,
    /// The key of the workflow, agent or platform.
    scope_key: String,
    /// Counts for each value of this expression over `input` apart.
    by: Option<String>,
    /// How many at the same time.
    max_running: Option<Count>,
    /// How many starts within a time.
    rate: Option<Rate>,
    /// Among whom it is fair, an expression over `input`.
    fairness: Option<String>,
    /// Who set it last, as `kind:id`.
    set_by: String,
    /// When it was set last.
    set_at: DateTime,
    /// When it was taken away.
    removed_at: Option<DateTime>,
    /// Why it was taken away.
    removed_reason: Option<String>,
    /// The position of its last event that is reflected here.
    position: Position,
}

/// So many starts within so much time, counted over a sliding window.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Rate {
    /// How many starts.
    starts: Count,
    /// Within how many milliseconds.
    per_ms: Count,
}

impl Limit {
    pub(crate) fn of(row: LimitRow) -> Result<Self> {
        let rate = row.rate_starts.zip(row.rate_micros);
        Ok(Self {
            id: global_id(Category::Limit, row.id),
            limit_id: row.id,
            key: row.key,
            description: row.description,
            scope: LimitScope::of(&row.scope_kind)?,
            scope_key: row.scope_key,
            by: row.partition_by,
            max_running: row.max_running.map(Count::of),
            rate: rate.map(|(starts, micros)| Rate { starts: Count::of(starts), per_ms: Count::of(micros / 1000) }),
            fairness: row.fairness,
            set_by: row.set_by,
            set_at: moment(row.set_at),
            removed_at: row.removed_at.map(moment),
            removed_reason: row.removed_reason,
            position: position(row.position),
        })
    }
}

#[ComplexObject]
impl Limit {
    /// The slots that somebody has or waits for, one entry for each value that it counts apart, by these.
    #[graphql(complexity = "10 * child_complexity")]
    async fn slots(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those of this value.")] partition: Option<String>,
        #[graphql(desc = "Only those that somebody waits for, or only those that nobody does.")] waiting: Option<bool>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<Slots>> {
        let slots = Loaders::of(context)?.slots(self.key.clone()).await?;
        Ok(some_of(slots, reversed, |slots| {
            partition.as_ref().is_none_or(|partition| slots.partition.as_ref() == Some(partition))
                && waiting.is_none_or(|waiting| waiting == (slots.waiting.0 > 0))
        }))
    }
}

/// The slots of a limit, or of one value that it counts apart, as far as somebody has or wants them.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Slots {
    /// The id of the slots.
    slots_id: Uuid,
    /// The value that the limit counts apart.
    partition: Option<String>,
    /// How many have one.
    running: Count,
    /// How many wait.
    waiting: Count,
}

impl From<SlotsRow> for Slots {
    fn from(row: SlotsRow) -> Self {
        Self {
            slots_id: row.slots_id,
            partition: row.partition,
            running: Count::of(row.running),
            waiting: Count::of(row.waiting),
        }
    }
}

#[ComplexObject]
impl Slots {
    /// Who has one, in the order in which they got it; at most the first 100.
    #[graphql(complexity = "20 * child_complexity")]
    async fn holders(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those of this run.")] run: Option<Uuid>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<Seat>> {
        let seats = Loaders::of(context)?.seats(self.slots_id).await?;
        Ok(some_of(seats, reversed, |seat| seat.is_one_of(Some(false)) && run.is_none_or(|run| run == seat.run_id)))
    }

    /// Who waits, oldest first, which is not always the order in which they are served; at most the first 100.
    #[graphql(complexity = "20 * child_complexity")]
    async fn queue(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those of this run.")] run: Option<Uuid>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<Seat>> {
        let seats = Loaders::of(context)?.seats(self.slots_id).await?;
        Ok(some_of(seats, reversed, |seat| seat.is_one_of(Some(true)) && run.is_none_or(|run| run == seat.run_id)))
    }
}

/// Somebody who has a slot of a limit, or waits for one.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Seat {
    /// The key of the limit.
    limit: String,
    /// The value that the limit counts apart.
    partition: Option<String>,
    /// The id of the run.
    run_id: Uuid,
    /// The id of its task, when the slot is for an attempt.
    task_id: Option<Uuid>,
    /// Higher before lower.
    priority: i32,
    /// Among whom the limit is fair; empty when it makes no difference.
    fairness: String,
    /// Since when it is wanted.
    requested_at: DateTime,
    /// Since when it is held; null while waiting.
    granted_at: Option<DateTime>,
}

impl From<SeatRow> for Seat {
    fn from(row: SeatRow) -> Self {
        Self {
            limit: row.limit_key,
            partition: row.partition,
            run_id: row.run_id,
            task_id: row.task_id,
            priority: row.priority,
            fairness: row.fairness,
            requested_at: moment(row.requested_at),
            granted_at: row.granted_at.map(moment),
        }
    }
}

impl Seat {
    /// Whether it is waited for, or held; nothing means either.
    pub(crate) fn is_one_of(&self, waiting: Option<bool>) -> bool {
        waiting.is_none_or(|waiting| waiting == self.granted_at.is_none())
    }

    /// Whether it is for an attempt of this task.
    pub(crate) fn is_of_task(&self, task: Uuid) -> bool {
        self.task_id == Some(task)
    }
}

#[ComplexObject]
impl Seat {
    /// The run.
    async fn run(&self, context: &Context<'_>) -> Result<Option<Run>> {
        Loaders::of(context)?.run(self.run_id).await
    }
}

/// A time during which everything, or every run of a workflow, was paused.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Hold {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The id of the hold: there is one for each workflow, and one for everything.
    hold_id: Uuid,
    /// The key of the workflow whose runs are paused; null when all runs are.
    workflow_key: Option<String>,
    /// Who placed it, as `kind:id`.
    placed_by: String,
    /// Why.
    reason: String,
    /// When it was placed.
    placed_at: DateTime,
    /// What happens to what waits for a time.
    clock: PauseClock,
    /// Who lifted it, as `kind:id`.
    lifted_by: Option<String>,
    /// When it was lifted; null while it is in force.
    lifted_at: Option<DateTime>,
    /// The position of the last event that is reflected here.
    position: Position,
}

impl Hold {
    pub(crate) fn of(row: HoldRow) -> Result<Self> {
        Ok(Self {
            id: GlobalId::Hold(row.hold_id, row.number).into(),
            hold_id: row.hold_id,
            workflow_key: row.workflow_key,
            placed_by: row.placed_by,
            reason: row.reason,
            placed_at: moment(row.placed_at),
            clock: PauseClock::of(&row.clock)?,
            lifted_by: row.lifted_by,
            lifted_at: row.lifted_at.map(moment),
            position: position(row.position),
        })
    }
}
