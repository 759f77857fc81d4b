//! Entities and their lists, and the journal.

use async_graphql::{Context, Object, Result, SimpleObject};
use projections::{RunKey, StatusCountRow, Window};
use std::cmp::Reverse;
use uuid::Uuid;

use super::filter::{AgentFilter, RunFilter, TemplateFilter, WorkflowFilter};
use super::{correlation, fresh, head, journal, queries, reach};
use crate::agent::Agent;
use crate::as_of::{AsOf, open};
use crate::event::{EventFilter, EventPage, Wanted};
use crate::failure;
use crate::order::{CatalogOrder, Cursor, ProjectorOrder, RunCountOrder, RunOrder, by_place, placed, usual, usually};
use crate::page::{Arguments, Pages, connection, cost, limit};
use crate::projector::{Projector, ProjectorFilter};
use crate::relatives::place_of;
use crate::run::Run;
use crate::scalar::{Count, Position};
use crate::status::RunStatus;
use crate::task::Task;
use crate::template::Template;
use crate::workflow::Workflow;

/// How many runs stand at one status.
#[derive(Debug, SimpleObject)]
pub(crate) struct RunCount {
    /// The status.
    status: RunStatus,
    /// How many.
    count: Count,
}

impl RunCount {
    pub(super) fn of(row: StatusCountRow) -> Result<Self> {
        Ok(Self { status: RunStatus::of(&row.status)?, count: Count::of(row.count) })
    }
}

/// Entities, their lists, and the journal.
#[derive(Default)]
pub(super) struct Entities;

#[Object]
impl Entities {
    /// The position of the journal's last event.
    async fn journal_head(&self, context: &Context<'_>) -> Result<Position> {
        Ok(head(context).await?.into())
    }

    /// The position that all read models reflect at least.
    async fn position(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
    ) -> Result<Position> {
        Ok(fresh(context, min_position).await?.into())
    }

    /// How far the projectors are, by name unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn projectors(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<ProjectorFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "ProjectorOrder::Name")] order_by: ProjectorOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
    ) -> Result<Pages<Cursor, Projector>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let position = head(context).await?;
        let filter = filter.unwrap_or_default();
        let mut projectors = Projector::all(context, position).await?;
        projectors.retain(|projector| filter.wants(projector));
        let page = Projector::page(projectors, &window, order_by, reversed)?;
        connection(page, &window, position, Ok)
    }

    /// One run.
    async fn run(
        &self,
        context: &Context<'_>,
        id: Uuid,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Option<Run>> {
        open(context, min_position, as_of).await?.loaders.run_as_wanted(id, context.look_ahead()).await
    }

    /// Runs, newest first unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    pub(super) async fn runs(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<RunFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "RunOrder::Started")] order_by: RunOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Pages<Cursor, Run>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let view = open(context, min_position, as_of).await?;
        let filter = filter.unwrap_or_default().into();
        let failed = |error: projections::Error| failure::query(context, &error);
        let page = match order_by.key() {
            None => {
                let asked = usual(&window)?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.runs(&filter, &asked).await,
                    None => queries(context)?.runs(&filter, &asked).await,
                };
                usually(page.map_err(failed)?, reversed, |row| (row.started_at, row.id))?
            }
            Some(key) => {
                let asked = placed(&window, order_by.name())?.turned(reversed);
                if key == RunKey::Cost && view.past().is_none() {
                    // What runs cost is known to a read model of its own.
                    reach(context, "usage", Some(view.position.into())).await?;
                }
                let page = match view.past() {
                    Some(past) => past.runs_by(key, &filter, &asked).await,
                    None => queries(context)?.runs_by(key, &filter, &asked).await,
                };
                by_place(page.map_err(failed)?, reversed, order_by.name())?
            }
        };
        connection(page, &window, view.position, |(cursor, row)| Ok((cursor, Run::of(row)?)))
    }

    /// How many runs stand at each status; a status without runs is left out.
    async fn run_counts(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Count only these runs.")] filter: Option<RunFilter>,
        #[graphql(desc = "In which order.", default_with = "RunCountOrder::Status")] order_by: RunCountOrder,
        #[graphql(desc = "In the opposite order.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Vec<RunCount>> {
        let rows = match (open(context, min_position, as_of).await?.past(), filter) {
            (Some(past), Some(filter)) => past.count_runs(&filter.into()).await,
            (Some(past), None) => past.runs_by_status().await,
            (None, Some(filter)) => queries(context)?.count_runs(&filter.into()).await,
            (None, None) => queries(context)?.runs_by_status().await,
        };
        let rows = rows.map_err(|error| failure::query(context, &error))?;
        let mut counts = rows.into_iter().map(RunCount::of).collect::<Result<Vec<_>>>()?;
        counts.sort_by_key(|count| {
            let most = (order_by == RunCountOrder::Count).then_some(Reverse(count.count.0));
            (most, place_of(count.status))
        });
        if reversed {
            counts.reverse();
        }
        Ok(counts)
    }

    /// One task.
    async fn task(
        &self,
        context: &Context<'_>,
        id: Uuid,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Option<Task>> {
        open(context, min_position, as_of).await?.loaders.task(id).await
    }

    /// One workflow.
    async fn workflow(
        &self,
        context: &Context<'_>,
        key: String,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Option<Workflow>> {
        open(context, min_position, as_of).await?.loaders.workflow(&key).await
    }

    /// Workflows, by key unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    pub(super) async fn workflows(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<WorkflowFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "CatalogOrder::Key")] order_by: CatalogOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Pages<Cursor, Workflow>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let view = open(context, min_position, as_of).await?;
        let filter = filter.unwrap_or_default().into();
        let failed = |error: projections::Error| failure::query(context, &error);
        let page = match order_by.key() {
            None => {
                let asked = usual(&window)?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.workflows(&filter, &asked).await,
                    None => queries(context)?.workflows(&filter, &asked).await,
                };
                usually(page.map_err(failed)?, reversed, |row| row.key.clone())?
            }
            Some(key) => {
                let asked = placed(&window, order_by.name())?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.workflows_by(key, &filter, &asked).await,
                    None => queries(context)?.workflows_by(key, &filter, &asked).await,
                };
                by_place(page.map_err(failed)?, reversed, order_by.name())?
            }
        };
        connection(page, &window, view.position, |(cursor, row)| Ok((cursor, Workflow::of(row)?)))
    }

    /// One agent.
    async fn agent(
        &self,
        context: &Context<'_>,
        key: String,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Option<Agent>> {
        open(context, min_position, as_of).await?.loaders.agent(&key).await
    }

    /// Agents, by key unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    pub(super) async fn agents(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<AgentFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "CatalogOrder::Key")] order_by: CatalogOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Pages<Cursor, Agent>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let view = open(context, min_position, as_of).await?;
        let filter = filter.unwrap_or_default().into();
        let failed = |error: projections::Error| failure::query(context, &error);
        let page = match order_by.key() {
            None => {
                let asked = usual(&window)?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.agents(&filter, &asked).await,
                    None => queries(context)?.agents(&filter, &asked).await,
                };
                usually(page.map_err(failed)?, reversed, |row| row.key.clone())?
            }
            Some(key) => {
                let asked = placed(&window, order_by.name())?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.agents_by(key, &filter, &asked).await,
                    None => queries(context)?.agents_by(key, &filter, &asked).await,
                };
                by_place(page.map_err(failed)?, reversed, order_by.name())?
            }
        };
        connection(page, &window, view.position, |(cursor, row)| Ok((cursor, Agent::from(row))))
    }

    /// One template.
    async fn template(
        &self,
        context: &Context<'_>,
        key: String,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Option<Template>> {
        open(context, min_position, as_of).await?.loaders.template(&key).await
    }

    /// Templates, by key unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    pub(super) async fn templates(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<TemplateFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "CatalogOrder::Key")] order_by: CatalogOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Pages<Cursor, Template>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let view = open(context, min_position, as_of).await?;
        let filter = filter.unwrap_or_default().into();
        let failed = |error: projections::Error| failure::query(context, &error);
        let page = match order_by.key() {
            None => {
                let asked = usual(&window)?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.templates(&filter, &asked).await,
                    None => queries(context)?.templates(&filter, &asked).await,
                };
                usually(page.map_err(failed)?, reversed, |row| row.key.clone())?
            }
            Some(key) => {
                let asked = placed(&window, order_by.name())?.turned(reversed);
                let page = match view.past() {
                    Some(past) => past.templates_by(key, &filter, &asked).await,
                    None => queries(context)?.templates_by(key, &filter, &asked).await,
                };
                by_place(page.map_err(failed)?, reversed, order_by.name())?
            }
        };
        connection(page, &window, view.position, |(cursor, row)| Ok((cursor, Template::from(row))))
    }

    /// The recorded events, for audit, straight from the journal: in its order, after a position, or the newest first, before
    /// one. Pages go by positions, which are never skipped, instead of cursors.
    #[graphql(complexity = "cost(first, None, child_complexity)")]
    async fn journal(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only what comes after this: where to go on, or the beginning when nothing is said.")]
        after: Option<Position>,
        #[graphql(
            desc = "Only what comes before this: when reversed, where to go on, or the end when nothing is said."
        )]
        before: Option<Position>,
        #[graphql(desc = "Only these.")] filter: Option<EventFilter>,
        #[graphql(desc = "At most so many, 1 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "The newest first.", default)] reversed: bool,
    ) -> Result<EventPage> {
        let limit = limit("first", first)?.max(1);
        let bounds = (after.map(|after| after.0), before.map(|before| before.0));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let page = Wanted::of(filter)?.page(&**journal(context)?, bounds, reversed, limit).await;
        Ok(page.map_err(|error| failure::read(correlation(context), &error))?.into())
    }
}
