//! What is seen over many runs: usage, and what is found by its words.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};
use projections::Past;

use super::{fresh, queries, reach};
use crate::as_of::{AsOf, open};
use crate::calibration::{Calibration, CalibrationReport};
use crate::failure;
use crate::metrics::{MetricsEntry, MetricsOf, MetricsOrder, MetricsReport, MetricsWindow};
use crate::order::UsageOrder;
use crate::page::limit;
use crate::scalar::{DateTime, Position};
use crate::search::{SearchHit, SearchKind, SearchResult};
use crate::usage::{UsageDimension, UsageFilter, UsageGroup, UsageReport, groups};

/// How many groups of usage are shown at most.
const MAX_GROUPS: u32 = 2000;
/// How long what is looked for may be, in characters.
const LONGEST_SEARCH: usize = 500;

/// From what a sum over everything is answered, and which position it reflects. The read model of such sums answers for itself;
/// of the past it says which tasks there are.
async fn sums(
    context: &Context<'_>,
    model: &str,
    wanted: Option<Position>,
    as_of: Option<AsOf>,
) -> Result<(journal::Position, Option<Arc<Past>>)> {
    if as_of.is_none() {
        return Ok((reach(context, model, wanted).await?, None));
    }
    let view = open(context, wanted, as_of).await?;
    reach(context, model, Some(view.position.into())).await?;
    Ok((view.position, view.past().cloned()))
}

/// Insight.
#[derive(Default)]
pub(super) struct Insight;

#[Object]
impl Insight {
    /// What attempts have cost, rolled up by any of day, department, agent, platform, model, template, workflow and
    /// person. An attempt counts on the day on which it started. At most 2,000 groups.
    #[expect(clippy::too_many_arguments, reason = "what a question for sums consists of")]
    #[graphql(complexity = "50 * child_complexity")]
    async fn usage(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "What is told apart; nothing gives one group of everything.", default)] by: Vec<
            UsageDimension,
        >,
        #[graphql(desc = "Only these.")] filter: Option<UsageFilter>,
        #[graphql(desc = "In which order.", default)] order: UsageOrder,
        #[graphql(desc = "In the opposite order.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<UsageReport> {
        let filter = filter.unwrap_or_default().into();
        let failed = |error: projections::Error| failure::query(context, &error);
        let (by, key, probe) = (groups(&by), order.key(), MAX_GROUPS + 1);
        let (position, mut rows, total) = match sums(context, "usage", min_position, as_of).await? {
            (position, Some(past)) => {
                let told = past.usage_and_total(by, &filter, key, reversed, probe).await.map_err(failed)?;
                (position, told.0, told.1)
            }
            (position, None) => {
                let queries = queries(context)?;
                let rows = queries.usage(by, &filter, key, reversed, probe).await.map_err(failed)?;
                let total = queries.usage(groups(&[]), &filter, UsageOrder::Group.key(), false, 1).await;
                (position, rows, total.map_err(failed)?.pop())
            }
        };
        let most = usize::try_from(MAX_GROUPS).unwrap_or(usize::MAX);
        let has_more = rows.len() > most;
        rows.truncate(most);
        Ok(UsageReport {
            groups: rows.into_iter().map(UsageGroup::of).collect::<Result<_>>()?,
            has_more,
            total: total.map(UsageGroup::of).transpose()?,
            position: position.into(),
        })
    }

    /// How agents or templates have done, beside each other. A task counts on the day on which it was created. Those that had
    /// no tasks in the window are left out.
    #[expect(clippy::too_many_arguments, reason = "what a question for sums consists of")]
    #[graphql(complexity = "50 + 20 * child_complexity")]
    async fn metrics(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Whose.")] of: MetricsOf,
        #[graphql(desc = "Which tasks count.", default)] window: MetricsWindow,
        #[graphql(desc = "In which order.", default_with = "MetricsOrder::Tasks")] order_by: MetricsOrder,
        #[graphql(desc = "At most so many, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<MetricsReport> {
        let limit = limit("first", first)?;
        let (position, past) = sums(context, "usage", min_position, as_of).await?;
        let (from, probe) = (window.from(context).await?, limit.saturating_add(1));
        let rows = match past {
            Some(past) => past.metrics_of_all(of.into(), from, order_by.into(), probe).await,
            None => queries(context)?.metrics_of_all(of.into(), from, order_by.into(), probe).await,
        };
        let mut rows = rows.map_err(|error| failure::query(context, &error))?;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > most;
        rows.truncate(most);
        let entries = rows.into_iter().map(MetricsEntry::from).collect();
        Ok(MetricsReport { entries, has_more, position: position.into() })
    }

    /// How judges agree with people, over the tasks that both have said something about.
    #[graphql(complexity = "50 * child_complexity")]
    async fn judge_calibration(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only what was judged at this moment or later.")] since: Option<DateTime>,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<CalibrationReport> {
        let (position, past) = sums(context, "quality", min_position, as_of).await?;
        let since = since.map(|since| since.0.as_micros());
        let rows = match past {
            Some(past) => past.calibration(since).await,
            None => queries(context)?.calibration(since).await,
        };
        let rows = rows.map_err(|error| failure::query(context, &error))?;
        let (all, models): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.model.is_none());
        Ok(CalibrationReport {
            all: all.into_iter().next().map(Calibration::from),
            models: models.into_iter().map(Calibration::from).collect(),
            position: position.into(),
        })
    }

    /// Finds workflows, agents, templates, runs, tasks, their outputs and action items by their words, in English and in Arabic; the
    /// rules of both languages say which forms of a word are the same. `"exact phrase"`, `or` and `-without` mean what
    /// they mean in web searches.
    #[graphql(complexity = "crate::page::cost(first, None, child_complexity)")]
    pub(super) async fn search(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The words, at most 500 characters.")] words: String,
        #[graphql(desc = "Only these kinds; empty means all.", default)] kinds: Vec<SearchKind>,
        #[graphql(desc = "At most so many, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
    ) -> Result<SearchResult> {
        let limit = limit("first", first)?;
        if words.chars().count() > LONGEST_SEARCH {
            return Err(failure::invalid(format!("`words` may have {LONGEST_SEARCH} characters at most")));
        }
        let position = reach(context, "search", min_position).await?;
        // What was found is shown as it is in the other read models.
        fresh(context, min_position).await?;
        let kinds: Vec<String> = kinds.into_iter().map(|kind| kind.name().to_owned()).collect();
        let rows = queries(context)?.search(&words, &kinds, limit.saturating_add(1)).await;
        let mut rows = rows.map_err(|error| failure::query(context, &error))?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let hits = rows.into_iter().map(SearchHit::of).collect::<Result<_>>()?;
        Ok(SearchResult { hits, has_more, position: position.into() })
    }
}
