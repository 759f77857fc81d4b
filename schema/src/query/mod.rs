//! Questions. All but those that name the journal are answered by the read models.
//!
//! Every such question takes `minPosition`: the answer then reflects at least that position, or is refused as stale
//! after [`Limits::wait`].

mod actions;
mod budgets;
mod choosing;
mod entities;
mod filter;
mod insight;
mod nodes;
mod platforms;
mod searches;
mod steering;
mod triggers;
mod webhooks;
mod work;

use std::sync::Arc;

use async_graphql::{Context, MergedObject, Result};
use journal::Journal;
use projections::Queries;
use uuid::Uuid;

use crate::Limits;
use crate::failure::{self, Caller};
use crate::reflected;
use crate::scalar::Position;

pub(crate) use entities::RunCount;
pub(crate) use filter::RunFilter;
pub(crate) use searches::{SaveSearchInput, SavedSearch};

/// What can be asked of HishamOS. Wherever `minPosition` is given, the answer reflects at least that position: give it
/// the position that a mutation answered with to see its effect.
#[derive(Default, MergedObject)]
pub struct Query(
    entities::Entities,
    nodes::Nodes,
    steering::Steering,
    triggers::Triggers,
    budgets::Budgets,
    insight::Insight,
    webhooks::Webhooks,
    work::Work,
    searches::Searches,
    platforms::PlatformList,
    choosing::Choosing,
    actions::Actions,
);

pub(crate) fn journal<'a>(context: &Context<'a>) -> Result<&'a Arc<dyn Journal>> {
    context.data::<Arc<dyn Journal>>()
}

pub(crate) fn queries<'a>(context: &Context<'a>) -> Result<&'a Queries> {
    context.data::<Queries>()
}

pub(crate) fn correlation(context: &Context<'_>) -> Uuid {
    Caller::of(context).map_or(Uuid::nil(), |caller| caller.correlation)
}

/// The position of the journal's last event: what is read from the journal afterwards reflects at least that.
pub(crate) async fn head(context: &Context<'_>) -> Result<journal::Position> {
    let head = journal(context)?.head().await;
    head.map_err(|error| failure::read(correlation(context), &error))
}

/// Waits for what the caller wants to see; answers with what all read models reflect at least.
pub(crate) async fn fresh(context: &Context<'_>, wanted: Option<Position>) -> Result<journal::Position> {
    if let Some(wanted) = wanted {
        wait_for(context, wanted.0).await?;
    }
    let position = reflected::together(context).await?;
    let position = wanted.map_or(position, |wanted| position.max(wanted.0));
    reflected::tell(context, position);
    Ok(position)
}

/// Waits until all read models reflect a position; those that answer for themselves when they are needed.
pub(crate) async fn wait_for(context: &Context<'_>, position: journal::Position) -> Result<()> {
    reflected::wants(context, position);
    queries(context)?
        .wait_for(position, context.data::<Limits>()?.wait)
        .await
        .map_err(|error| failure::query(context, &error))
}

/// The same for one read model that answers for itself.
pub(crate) async fn reach(context: &Context<'_>, name: &str, wanted: Option<Position>) -> Result<journal::Position> {
    if let Some(wanted) = wanted {
        wait_for_one(context, name, wanted.0).await?;
    }
    let position = queries(context)?.position_of(name).await.map_err(|error| failure::query(context, &error))?;
    reflected::tell(context, position);
    Ok(position)
}

/// Waits until a read model that answers for itself reflects a position.
pub(crate) async fn wait_for_one(context: &Context<'_>, name: &str, wanted: journal::Position) -> Result<()> {
    let waited = queries(context)?.wait_for_one(name, wanted, context.data::<Limits>()?.wait).await;
    waited.map_err(|error| failure::query(context, &error))
}
