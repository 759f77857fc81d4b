//! What waits for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Result, SimpleObject, Subscription};
use domain::Category;
use futures_util::Stream;
use journal::{Filter, Journal, RecordedEvent};
use projections::{ApprovalRow, Past, Queries};
use uuid::Uuid;

use super::{Source, Teller, beginning, follow};
use crate::approval::{Approval, ApprovalFilter};
use crate::as_of;
use crate::failure::{self, Caller};
use crate::query::{journal, queries};
use crate::scalar::Position;

/// What changed by one event in what waits for people.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct ApprovalUpdate {
    /// The event's position; subscribe with it as `afterPosition` to go on after it.
    position: Position,
    #[graphql(skip)]
    changes: Vec<ApprovalChange>,
}

/// An approval that waits for decisions, or no longer does.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ApprovalChange {
    /// Whether decisions are waited for.
    waiting: bool,
    /// The approval as of the update's position.
    approval: Approval,
}

#[ComplexObject]
impl ApprovalUpdate {
    /// Each approval that changed; several do when a run ends or goes on.
    #[graphql(complexity = "5 * child_complexity")]
    async fn changes(&self, context: &Context<'_>) -> Result<Vec<ApprovalChange>> {
        as_of::at(context, self.position.0)?;
        Ok(self.changes.clone())
    }
}

/// Approvals.
#[derive(Default)]
pub(super) struct FollowedApprovals;

#[Subscription]
impl FollowedApprovals {
    /// Approvals as they begin to wait for decisions, get one, are put off or brought forward, and no longer wait. Ask
    /// `approvals` first for what waits already, and go on after the `position` that it gave.
    async fn approvals(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<ApprovalFilter>,
        #[graphql(desc = "Where to go on; `\"0\"` is the beginning, and the present when nothing is said.")]
        after_position: Option<Position>,
    ) -> Result<impl Stream<Item = Result<ApprovalUpdate>> + use<>> {
        let after = beginning(context, after_position).await?;
        let teller = Waiting {
            journal: Arc::clone(journal(context)?),
            queries: queries(context)?.clone(),
            filter: filter.unwrap_or_default().into(),
            correlation: Caller::of(context)?.correlation,
        };
        let source = Source::all(context, after, Filter::categories([Category::Run]))?;
        follow(context, source, teller, vec![])
    }
}

struct Waiting {
    journal: Arc<dyn Journal>,
    queries: Queries,
    filter: projections::ApprovalFilter,
    correlation: Uuid,
}

impl Waiting {
    /// What people were asked in a run as of a position, by step, as far as it is wanted.
    async fn asked(&self, run: Uuid, position: journal::Position) -> Result<BTreeMap<String, ApprovalRow>> {
        let past = Past::new(Arc::clone(&self.journal), self.queries.clone(), position);
        let rows = past.approvals_of_runs(&[run]).await;
        let rows = rows.map_err(|error| failure::internal_for(self.correlation, &error))?;
        let wanted = rows.into_iter().filter(|row| self.filter.wants(row));
        Ok(wanted.map(|row| (row.step.clone(), row)).collect())
    }
}

impl Teller for Waiting {
    type Answer = ApprovalUpdate;

    async fn tell(&mut self, events: Vec<Arc<RecordedEvent>>) -> Result<Vec<(journal::Position, ApprovalUpdate)>> {
        let mut told = Vec::new();
        for event in events {
            if !may_matter(&event) {
                continue;
            }
            let position = event.position;
            let mut now = self.asked(event.stream.id, position).await?;
            if now.is_empty() {
                continue;
            }
            let before = journal::Position::from_u64(position.as_u64().saturating_sub(1));
            let before = self.asked(event.stream.id, before).await?;
            now.retain(|step, row| {
                let was = before.get(step);
                was != Some(row) && (row.is_waiting() || was.is_some_and(ApprovalRow::is_waiting))
            });
            let changes = now.into_values().map(|row| {
                let waiting = row.is_waiting();
                Ok(ApprovalChange { waiting, approval: Approval::of(row)? })
            });
            let changes = changes.collect::<Result<Vec<_>>>()?;
            if !changes.is_empty() {
                told.push((position, ApprovalUpdate { position: position.into(), changes }));
            }
        }
        Ok(told)
    }
}

/// Whether an event of a run may change whether, how long or on whom something waits.
fn may_matter(event: &RecordedEvent) -> bool {
    matches!(
        &*event.event_type,
        "run.started"
            | "run.approval_requested"
            | "run.approval_decided"
            | "run.approval_expired"
            | "run.step_completed"
            | "run.step_failed"
            | "run.step_cancelled"
            | "run.resumed"
            | "run.cancel_requested"
            | "run.failing"
            | "run.completed"
            | "run.failed"
            | "run.cancelled"
    )
}
