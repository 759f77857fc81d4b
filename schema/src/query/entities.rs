//! Entities and their lists, and the journal.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use projections::{CheckpointRow, RunKey, StatusCountRow, Window};
use uuid::Uuid;

use super::filter::{AgentFilter, RunFilter, TemplateFilter, WorkflowFilter};
use super::{correlation, fresh, journal, queries, reach};
use crate::agent::Agent;
use crate::as_of::{AsOf, open};
use crate::event::{EventFilter, EventPage, Wanted};
use crate::failure;
use crate::node::GlobalId;
use crate::order::{CatalogOrder, Cursor, RunOrder, by_place, placed, usual, usually};
use crate::page::{Arguments, Pages, connection, cost, limit};
use crate::run::{Run, moment, position};
use crate::scalar::{Count, DateTime, Position};
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

/// How far a projector is, as it was last written down; a quiet one may be ahead of it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Projector {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The projector's name.
    name: String,
    /// `live`, or `next` for a read model that is being rebuilt.
    slot: String,
    /// The position that its rows reflect.
    position: Position,
    /// The projector's version that built the rows.
    version: i32,
    /// `running`, `rebuilding` or `poisoned`.
    status: String,
    /// What stopped it.
    error: Option<String>,
    /// When this was written down.
    updated_at: DateTime,
    /// How many positions of the journal it has not looked at yet, as far as this node knows; null for a read model that
    /// is being rebuilt.
    lag: Option<Count>,
}

impl Projector {
    fn of(row: CheckpointRow, lag: Option<u64>) -> Self {
        Self {
            id: GlobalId::Projector(row.name.clone(), row.slot.clone()).into(),
            lag: lag.map(Count),
            name: row.name,
            slot: row.slot,
            position: position(row.position),
            version: row.version,
            status: row.status,
            error: row.error,
            updated_at: moment(row.updated_at),
        }
    }

    /// All of them, by name.
    pub(super) async fn all(context: &Context<'_>) -> Result<Vec<Self>> {
        let failed = |error: projections::Error| failure::query(context, &error);
        let head = journal(context)?.head().await.map_err(|error| failure::read(correlation(context), &error))?;
        let queries = queries(context)?;
        let mut projectors = Vec::new();
        for row in queries.checkpoints().await.map_err(failed)? {
            let lag = match row.slot.as_str() {
                "live" => {
                    let reached = queries.position_of(&row.name).await.map_err(failed)?;
                    Some(head.as_u64().saturating_sub(reached.as_u64()))
                }
                _ => None,
            };
            projectors.push(Self::of(row, lag));
        }
        Ok(projectors)
    }

    /// Whether it has this name and slot.
    pub(super) fn is(&self, name: &str, slot: &str) -> bool {
        self.name == name && self.slot == slot
    }
}

/// Entities, their lists, and the journal.
#[derive(Default)]
pub(super) struct Entities;

#[Object]
impl Entities {
    /// The position of the journal's last event.
    async fn journal_head(&self, context: &Context<'_>) -> Result<Position> {
        let head = journal(context)?.head().await;
        Ok(head.map_err(|error| failure::read(correlation(context), &error))?.into())
    }

    /// The position that all read models reflect at least.
    async fn position(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
    ) -> Result<Position> {
        Ok(fresh(context, min_position).await?.into())
    }

    /// How far every projector is.
    async fn projectors(&self, context: &Context<'_>) -> Result<Vec<Projector>> {
        Projector::all(context).await
    }

    /// One run.
    async fn run(
        &self,
        context: &Context<'_>,
        id: Uuid,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Option<Run>> {
        open(context, min_position, as_of).await?.loaders.run(id).await
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
                if key == RunKey::Cost {
                    if view.past().is_some() {
                        return Err(failure::now_only("orderBy: COST"));
                    }
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
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
    ) -> Result<Vec<RunCount>> {
        fresh(context, min_position).await?;
        let rows = queries(context)?.runs_by_status().await.map_err(|error| failure::query(context, &error))?;
        rows.into_iter().map(RunCount::of).collect()
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

    /// The recorded events after a position, for audit: straight from the journal.
    #[graphql(complexity = "cost(first, None, child_complexity)")]
    async fn journal(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Where to go on; the beginning when nothing is said.")] after: Option<Position>,
        #[graphql(desc = "Only these.")] filter: Option<EventFilter>,
        #[graphql(desc = "At most so many, 1 to 200; 50 when nothing is said.")] first: Option<i32>,
    ) -> Result<EventPage> {
        let limit = limit("first", first)?.max(1);
        let after = after.map_or(journal::Position::START, |after| after.0);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let page = Wanted::of(filter)?.read(&**journal(context)?, after, limit).await;
        Ok(page.map_err(|error| failure::read(correlation(context), &error))?.into())
    }
}
