//! Runs that hang together: those that steps of others started, and those that took over the history of others.
//!
//! Such a list is read as a whole, because only the whole says where each run stands in it; pages are cut from that.

use std::cmp::Reverse;
use std::collections::HashMap;

use async_graphql::resolver_utils::EnumType;
use async_graphql::{InputObject, Result, SimpleObject};
use futures_util::future::try_join_all;
use projections::{RelativeRow, Window};
use uuid::Uuid;

use crate::loader::Loaders;
use crate::order::{Cursor, RelatedRunOrder, Sorted, held};
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

impl RelatedRunFilter {
    fn wants(&self, related: &RelatedRun) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&related.run.status))
            && self.workflow.as_ref().is_none_or(|workflow| *workflow == related.run.workflow_key)
            && self.within.is_none_or(|within| related.distance.unsigned_abs() <= within)
    }
}

/// How runs hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// Each was started by a step of another.
    Tree,
    /// Each took over the history of another.
    Lineage,
}

/// Where a run stands among others, as a key that stays the same whatever joins them later: the runs on the way to it from
/// the root of a tree, or its distance in a lineage; each with when it started.
type Place = Vec<(i64, Uuid)>;

/// A page of runs that hang together.
pub(crate) async fn page(
    loaders: &Loaders,
    relation: Relation,
    rows: Vec<RelativeRow>,
    filter: &RelatedRunFilter,
    window: &Window<Cursor>,
    order: RelatedRunOrder,
    reversed: bool,
) -> Result<Sorted<RelatedRun>> {
    let runs = try_join_all(rows.iter().map(|row| loaders.run(row.run_id))).await?;
    let found = rows
        .into_iter()
        .zip(runs)
        .filter_map(|(row, run)| Some(RelatedRun { run_id: row.run_id, distance: row.distance, run: run? }));
    let mut related: Vec<RelatedRun> = found.collect();
    let places = places(relation, &related);
    related.retain(|related| filter.wants(related));
    let started = |related: &RelatedRun| (Reverse(related.run.started_at.0.as_micros()), related.run_id);
    match order {
        RelatedRunOrder::Place => {
            held(related, window, reversed, "place", |related| places.get(&related.run_id).cloned().unwrap_or_default())
        }
        RelatedRunOrder::Started => held(related, window, reversed, "started", started),
        RelatedRunOrder::Status => {
            held(related, window, reversed, "status", |related| (place_of(related.run.status), started(related)))
        }
    }
}

fn places(relation: Relation, related: &[RelatedRun]) -> HashMap<Uuid, Place> {
    let mut places: HashMap<Uuid, Place> = HashMap::with_capacity(related.len());
    for RelatedRun { run_id, distance, run } in related {
        let own = (run.started_at.0.as_micros(), *run_id);
        let place = match relation {
            Relation::Lineage => vec![(i64::from(*distance), Uuid::nil()), own],
            // Each comes after the one that started it.
            Relation::Tree => {
                let above = run.parent_id.and_then(|parent| places.get(&parent)).cloned().unwrap_or_default();
                above.into_iter().chain([own]).collect()
            }
        };
        places.insert(*run_id, place);
    }
    places
}

/// The place of a status in the order of the statuses of runs.
pub(crate) fn place_of(status: RunStatus) -> Option<usize> {
    RunStatus::items().iter().position(|known| known.value == status)
}
