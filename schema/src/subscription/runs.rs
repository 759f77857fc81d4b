//! Runs as they change.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Result, SimpleObject, Subscription};
use domain::{Category, RunId};
use futures_util::Stream;
use journal::{Filter, Journal, RecordedEvent};
use projections::{Past, Queries};
use uuid::Uuid;

use super::events::Followed;
use super::{Source, Teller, beginning, follow};
use crate::as_of;
use crate::failure::{self, Caller};
use crate::query::{RunFilter, journal, queries};
use crate::run::Run;
use crate::scalar::Position;

/// A run after something happened to it or to one of its tasks.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct RunUpdate {
    /// The position of the last event that is reflected; subscribe with it as `afterPosition` to go on after it.
    position: Position,
    #[graphql(skip)]
    run_id: Uuid,
}

#[ComplexObject]
impl RunUpdate {
    /// The run as of that position, and so is everything beneath.
    #[graphql(complexity = "10 + child_complexity")]
    async fn run(&self, context: &Context<'_>) -> Result<Option<Run>> {
        as_of::at(context, self.position.0)?.run(self.run_id).await
    }
}

/// A run of a list after something happened to it.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct ListUpdate {
    /// The position of the run's last event that is reflected; subscribe with it as `afterPosition` to go on after it.
    position: Position,
    /// The id of the run.
    run_id: Uuid,
    /// Whether it is in the list now; otherwise it has just left it.
    listed: bool,
}

#[ComplexObject]
impl ListUpdate {
    /// The run as of that position, and so is everything beneath.
    #[graphql(complexity = "10 + child_complexity")]
    async fn run(&self, context: &Context<'_>) -> Result<Option<Run>> {
        as_of::at(context, self.position.0)?.run(self.run_id).await
    }
}

/// Runs.
#[derive(Default)]
pub(super) struct FollowedRuns;

#[Subscription]
impl FollowedRuns {
    /// A run as it changes: as it is when nothing is said of a position, then after whatever happens to it or its
    /// tasks. What happens faster than it can be told is told together. Ends when the run has ended.
    async fn run(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which run.")] run_id: Uuid,
        #[graphql(desc = "Only what comes after this.")] after_position: Option<Position>,
    ) -> Result<impl Stream<Item = Result<RunUpdate>> + use<>> {
        let correlation = Caller::of(context)?.correlation;
        let failed = |error: journal::ReadError| failure::read(correlation, &error);
        let journal = &**journal(context)?;
        let head = beginning(context, None).await?;
        let Some(followed) = Followed::of(journal, RunId::from_uuid(run_id)).await.map_err(failed)? else {
            return Err(failure::refused("RUN_NOT_FOUND", format!("there is no run {run_id}")));
        };
        let (after, first) = match after_position {
            Some(Position(position)) => (position, vec![]),
            None => (head, vec![(head, RunUpdate { position: head.into(), run_id })]),
        };
        let over = followed.ended.is_some_and(|ended| ended <= after);
        let source = Source::Run(Box::new(followed.from(journal, head, after).await.map_err(failed)?));
        follow(context, source, OneRun { followed, run_id, correlation, over }, first)
    }

    /// Runs of a list as they change: each that is in the list when something happens to it, and each that leaves it.
    /// What happens to one run faster than it can be told is told together.
    async fn runs(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<RunFilter>,
        #[graphql(desc = "Where to go on; `\"0\"` is the beginning, and the present when nothing is said.")]
        after_position: Option<Position>,
    ) -> Result<impl Stream<Item = Result<ListUpdate>> + use<>> {
        let after = beginning(context, after_position).await?;
        let teller = List {
            journal: Arc::clone(journal(context)?),
            queries: queries(context)?.clone(),
            filter: filter.unwrap_or_default().into(),
            correlation: Caller::of(context)?.correlation,
        };
        let source = Source::all(context, after, Filter::categories([Category::Run]))?;
        follow(context, source, teller, vec![])
    }
}

struct OneRun {
    followed: Followed,
    run_id: Uuid,
    correlation: Uuid,
    over: bool,
}

impl Teller for OneRun {
    type Answer = RunUpdate;

    async fn tell(&mut self, events: Vec<Arc<RecordedEvent>>) -> Result<Vec<(journal::Position, RunUpdate)>> {
        let mut last = None;
        for event in events {
            let told = self.followed.item(event);
            if let Some(item) = told.map_err(|error| failure::internal_for(self.correlation, &error))? {
                last = Some(item.position);
                self.over |= item.terminal;
            }
        }
        Ok(last.map(|position| (position.0, RunUpdate { position, run_id: self.run_id })).into_iter().collect())
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

struct List {
    journal: Arc<dyn Journal>,
    queries: Queries,
    filter: projections::RunFilter,
    correlation: Uuid,
}

impl List {
    /// Whether a run was in the list as of a position.
    async fn listed(&self, run: Uuid, position: journal::Position) -> Result<bool> {
        let past = Past::new(Arc::clone(&self.journal), self.queries.clone(), position);
        let runs = past.runs_by_ids(&[run]).await;
        let runs = runs.map_err(|error| failure::internal_for(self.correlation, &error))?;
        Ok(runs.first().is_some_and(|run| self.filter.wants(run)))
    }
}

impl Teller for List {
    type Answer = ListUpdate;

    async fn tell(&mut self, events: Vec<Arc<RecordedEvent>>) -> Result<Vec<(journal::Position, ListUpdate)>> {
        // The first and the last event of each run.
        let mut spans: BTreeMap<Uuid, (journal::Position, journal::Position)> = BTreeMap::new();
        for event in events {
            let span = spans.entry(event.stream.id).or_insert((event.position, event.position));
            span.1 = event.position;
        }
        let mut told = Vec::new();
        for (run_id, (first, position)) in spans {
            let listed = self.listed(run_id, position).await?;
            let before = journal::Position::from_u64(first.as_u64().saturating_sub(1));
            if listed || self.listed(run_id, before).await? {
                told.push((position, ListUpdate { position: position.into(), run_id, listed }));
            }
        }
        told.sort_by_key(|(position, _)| *position);
        Ok(told)
    }
}
