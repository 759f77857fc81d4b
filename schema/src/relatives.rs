//! Runs that hang together: those that steps of others started, and those that took over the history of others.

use std::collections::HashMap;

use async_graphql::resolver_utils::EnumType;
use async_graphql::{Context, InputObject, Result, SimpleObject};
use projections::{Page, Relation, RelativeFilter, RelativeRow, RunRow, Window};
use uuid::Uuid;

use crate::as_of::View;
use crate::failure;
use crate::order::{Cursor, RelatedRunOrder, Sorted, by_key, keyed};
use crate::query::queries;
use crate::run::Run;
use crate::status::RunStatus;

/// A run among those that it hangs together with.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RelatedRun {
    /// The run's id.
    run_id: Uuid,
    /// How far away it is. In a tree: how many runs stand between it and the root, and one. In a lineage: negative for
    /// runs whose history was taken over, positive for those that took over.
    distance: i32,
    /// The run.
    run: Run,
}

/// Which of the runs that hang together are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct RelatedRunFilter {
    /// Only at one of these statuses; empty means any.
    #[graphql(default)]
    statuses: Vec<RunStatus>,
    /// Only of the workflow with this key.
    workflow: Option<String>,
    /// Only those that are no further away than this, in either direction.
    within: Option<u32>,
}

impl From<RelatedRunFilter> for RelativeFilter {
    fn from(filter: RelatedRunFilter) -> Self {
        Self {
            statuses: filter.statuses.into_iter().map(|status| status.name().to_owned()).collect(),
            workflow_key: filter.workflow,
            within: filter.within,
        }
    }
}

/// A page of runs that hang together. Only the runs of the page are read.
#[expect(clippy::too_many_arguments, reason = "what a question for such runs consists of")]
pub(crate) async fn page(
    context: &Context<'_>,
    view: &View,
    relation: Relation,
    run: Uuid,
    filter: Option<RelatedRunFilter>,
    window: &Window<Cursor>,
    order: RelatedRunOrder,
    reversed: bool,
) -> Result<Sorted<RelatedRun>> {
    let (key, filter) = (order.key(), filter.unwrap_or_default().into());
    let asked = keyed(window, order.name())?.turned(reversed);
    let found = match view.past() {
        Some(past) => past.relatives(relation, run, &key, &filter, &asked).await,
        None => queries(context)?.relatives(relation, run, &key, &filter, &asked).await,
    };
    let found = found.map_err(|error| failure::query(context, &error))?;
    let ids: Vec<Uuid> = found.rows.iter().map(|(_, row)| row.run_id).collect();
    let runs = match view.past() {
        Some(past) => past.runs_by_ids(&ids).await,
        None => queries(context)?.runs_by_ids(&ids).await,
    };
    let runs = runs.map_err(|error| failure::query(context, &error))?;
    let mut runs: HashMap<Uuid, RunRow> = runs.into_iter().map(|run| (run.id, run)).collect();
    let mut rows = Vec::with_capacity(found.rows.len());
    for (standing, RelativeRow { run_id, distance, .. }) in found.rows {
        if let Some(run) = runs.remove(&run_id) {
            rows.push((standing, RelatedRun { run_id, distance, run: Run::of(run)? }));
        }
    }
    by_key(Page { rows, has_more: found.has_more }, reversed, order.name())
}

/// The place of a status in the order of the statuses of runs.
pub(crate) fn place_of(status: RunStatus) -> Option<usize> {
    RunStatus::items().iter().position(|known| known.value == status)
}
