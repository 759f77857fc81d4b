//! What steering needs to know: how runs hang together and differ, what waits for people, and what makes runs wait.

use async_graphql::{Context, Object, Result, SimpleObject};
use commands::Commands;
use domain::RunId;
use projections::{Relation, Window};
use uuid::Uuid;

use super::filter::{HoldFilter, LimitFilter};
use super::{RunCount, RunFilter, fresh, queries};
use crate::approval::{Approval, ApprovalFilter};
use crate::as_of::{AsOf, open};
use crate::comparison::RunComparison;
use crate::compatibility::CompatibilityReport;
use crate::explanation::Explanation;
use crate::failure;
use crate::flow::{Hold, Limit};
use crate::input::key;
use crate::order::{ApprovalOrder, Cursor, HoldOrder, LimitOrder, RelatedRunOrder, by_place, placed, usual, usually};
use crate::page::{Arguments, Pages, connection, cost, limit};
use crate::relatives::{self, RelatedRun, RelatedRunFilter};
use crate::run::Run;
use crate::scalar::{Count, Position};

/// How many of the runs that a bulk command would hit are shown.
const SAMPLE: u32 = 20;

/// The runs that a bulk command with the same filter would act on.
#[derive(Debug, SimpleObject)]
pub(crate) struct BulkPreview {
    /// How many there are; bulk commands want it as `expectedCount`.
    count: Count,
    /// How many of them stand at each status.
    by_status: Vec<RunCount>,
    /// The newest of them, at most 20.
    sample: Vec<Run>,
    /// The journal's position that this reflects at least.
    position: Position,
}

/// What steering needs to know.
#[derive(Default)]
pub(super) struct Steering;

#[Object]
impl Steering {
    /// Why a run stands where it stands, straight from the journal.
    async fn explain_run(
        &self,
        context: &Context<'_>,
        id: Uuid,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Explanation> {
        if as_of.is_some() {
            open(context, None, as_of).await?;
        }
        Explanation::of_run(context, RunId::from_uuid(id)).await
    }

    /// A run and all that its steps started, and theirs, each after the one that started it unless said otherwise.
    /// Empty when there is no such run.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn run_tree(
        &self,
        context: &Context<'_>,
        id: Uuid,
        #[graphql(desc = "Only these.")] filter: Option<RelatedRunFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "RelatedRunOrder::Place")] order_by: RelatedRunOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Pages<Cursor, RelatedRun>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let view = open(context, min_position, as_of).await?;
        let page = relatives::page(context, &view, Relation::Tree, id, filter, &window, order_by, reversed).await?;
        connection(page, &window, view.position, Ok)
    }

    /// A run with those whose history it goes back to, the first one first unless said otherwise, and those that took over its
    /// own. Empty when there is no such run.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn run_lineage(
        &self,
        context: &Context<'_>,
        id: Uuid,
        #[graphql(desc = "Only these.")] filter: Option<RelatedRunFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "RelatedRunOrder::Place")] order_by: RelatedRunOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Pages<Cursor, RelatedRun>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let view = open(context, min_position, as_of).await?;
        let page = relatives::page(context, &view, Relation::Lineage, id, filter, &window, order_by, reversed).await?;
        connection(page, &window, view.position, Ok)
    }

    /// Two runs beside each other: steps, outputs, times, costs and tokens. Null when there is no such run.
    #[graphql(complexity = "20 * child_complexity")]
    async fn compare_runs(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "One run.")] a: Uuid,
        #[graphql(desc = "The other run.")] b: Uuid,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Option<RunComparison>> {
        let compared = match open(context, min_position, as_of).await?.past() {
            Some(past) => past.compare_runs(a, b).await,
            None => queries(context)?.compare_runs(a, b).await,
        };
        let compared = compared.map_err(|error| failure::query(context, &error))?;
        compared.map(RunComparison::of).transpose()
    }

    /// What would differ if runs had followed another version of their workflow: those that are under way, and a sample
    /// of those that have ended, the newest first. Runs that are under way stay on the version that they began with.
    #[graphql(complexity = "20 * child_complexity")]
    async fn check_compatibility(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The workflow's key.")] workflow: String,
        #[graphql(desc = "The version to play them on.")] version: u32,
        #[graphql(desc = "At most so many runs that are under way, 0 to 200; 50 when nothing is said.")] open: Option<
            i32,
        >,
        #[graphql(desc = "At most so many runs that have ended, 0 to 200; 50 when nothing is said.")] ended: Option<
            i32,
        >,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
    ) -> Result<CompatibilityReport> {
        let workflow = key(&workflow)?;
        let (open, ended) = (limit("open", open)?, limit("ended", ended)?);
        fresh(context, min_position).await?;
        let of = |statuses: &[&str]| projections::RunFilter {
            workflow_key: Some(workflow.to_string()),
            statuses: statuses.iter().map(|status| (*status).to_owned()).collect(),
            ..projections::RunFilter::default()
        };
        let under_way = of(&["running", "paused", "cancelling", "failing", "compensating"]);
        let over = of(&["completed", "failed", "cancelled"]);
        let failed = |error: projections::Error| failure::query(context, &error);
        let counts = queries(context)?.count_runs(&under_way).await.map_err(failed)?;
        let mut runs = Vec::new();
        for (filter, most) in [(under_way, open), (over, ended)] {
            let page = queries(context)?.runs(&filter, &Window::first(most)).await.map_err(failed)?;
            runs.extend(page.rows.into_iter().map(|row| RunId::from_uuid(row.id)));
        }
        let commands = context.data::<Commands>()?;
        let found = Box::pin(commands.check_compatibility(&workflow, version, &runs)).await;
        let found = found.map_err(|error| failure::command(context, error))?;
        CompatibilityReport::of(counts.iter().map(|row| row.count).sum(), found)
    }

    /// Approvals that wait for decisions, the one that was asked longest ago first unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    pub(super) async fn approvals(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<ApprovalFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "ApprovalOrder::Requested")] order_by: ApprovalOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Pages<Cursor, Approval>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let view = open(context, min_position, as_of).await?;
        let filter = filter.unwrap_or_default().into();
        let failed = |error: projections::Error| failure::query(context, &error);
        let page = match order_by.key() {
            None => {
                let asked = usual(&window)?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.open_approvals(&filter, &asked).await,
                    None => queries(context)?.open_approvals(&filter, &asked).await,
                };
                usually(page.map_err(failed)?, reversed, |row| (row.requested_at, row.run_id, row.step.clone()))?
            }
            Some(key) => {
                let asked = placed(&window, order_by.name())?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.open_approvals_by(key, &filter, &asked).await,
                    None => queries(context)?.open_approvals_by(key, &filter, &asked).await,
                };
                by_place(page.map_err(failed)?, reversed, order_by.name())?
            }
        };
        connection(page, &window, view.position, |(cursor, row)| Ok((cursor, Approval::of(row)?)))
    }

    /// One limit, also when it was taken away.
    async fn limit(
        &self,
        context: &Context<'_>,
        key: String,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Option<Limit>> {
        open(context, min_position, as_of).await?.loaders.limit(&key).await
    }

    /// Limits in force, by key unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn limits(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<LimitFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "LimitOrder::Key")] order_by: LimitOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Pages<Cursor, Limit>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let view = open(context, min_position, as_of).await?;
        let filter = filter.unwrap_or_default().into();
        let failed = |error: projections::Error| failure::query(context, &error);
        let page = match order_by {
            LimitOrder::Key => {
                let asked = usual(&window)?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.limits(&filter, &asked).await,
                    None => queries(context)?.limits(&filter, &asked).await,
                };
                usually(page.map_err(failed)?, reversed, |row| row.key.clone())?
            }
            LimitOrder::Set => {
                let asked = placed(&window, "set")?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.limits_by_time(&filter, &asked).await,
                    None => queries(context)?.limits_by_time(&filter, &asked).await,
                };
                by_place(page.map_err(failed)?, reversed, "set")?
            }
        };
        connection(page, &window, view.position, |(cursor, row)| Ok((cursor, Limit::of(row)?)))
    }

    /// Times during which everything or a workflow was held, the one that was placed last first unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn holds(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<HoldFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "HoldOrder::Placed")] order_by: HoldOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Pages<Cursor, Hold>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let view = open(context, min_position, as_of).await?;
        let filter = filter.unwrap_or_default().into();
        let failed = |error: projections::Error| failure::query(context, &error);
        let page = match order_by.key() {
            None => {
                let asked = usual(&window)?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.holds(&filter, &asked).await,
                    None => queries(context)?.holds(&filter, &asked).await,
                };
                usually(page.map_err(failed)?, reversed, |row| (row.placed_at, row.hold_id, row.number))?
            }
            Some(key) => {
                let asked = placed(&window, order_by.name())?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.holds_by(key, &filter, &asked).await,
                    None => queries(context)?.holds_by(key, &filter, &asked).await,
                };
                by_place(page.map_err(failed)?, reversed, order_by.name())?
            }
        };
        connection(page, &window, view.position, |(cursor, row)| Ok((cursor, Hold::of(row)?)))
    }

    /// Which runs a bulk command with this filter would act on.
    #[graphql(complexity = "20 * child_complexity")]
    async fn preview_bulk(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which runs, as for `runs`; an empty filter means all.")] filter: RunFilter,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
    ) -> Result<BulkPreview> {
        let position = fresh(context, min_position).await?;
        let filter = filter.into();
        let failed = |error: projections::Error| failure::query(context, &error);
        let counts = queries(context)?.count_runs(&filter).await.map_err(failed)?;
        let page = queries(context)?.runs(&filter, &Window::first(SAMPLE)).await.map_err(failed)?;
        Ok(BulkPreview {
            count: Count::of(counts.iter().map(|row| row.count).sum()),
            by_status: counts.into_iter().map(RunCount::of).collect::<Result<_>>()?,
            sample: page.rows.into_iter().map(Run::of).collect::<Result<_>>()?,
            position: position.into(),
        })
    }
}
