//! AI platforms and how they are doing.

use async_graphql::{Context, Object, Result};
use projections::Window;

use super::head;
use crate::order::{Cursor, PlatformOrder};
use crate::page::{Arguments, Pages, connection, cost};
use crate::platform::{ModelPrices, Platform, PlatformFilter, PlatformOffer, all, known, prices};

/// Platforms.
#[derive(Default)]
pub(super) struct PlatformList;

#[Object]
impl PlatformList {
    /// AI platforms, by key unless said otherwise, and how they are doing as the node that answers sees it. That is no event, so
    /// `position` says only where the journal ended when it was asked.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn platforms(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<PlatformFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "PlatformOrder::Key")] order_by: PlatformOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
    ) -> Result<Pages<Cursor, Platform>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let position = head(context).await?;
        let filter = filter.unwrap_or_default();
        let mut platforms = all(&*known(context)?);
        platforms.retain(|platform| filter.wants(platform));
        let page = Platform::page(platforms, &window, order_by, reversed)?;
        connection(page, &window, position, Ok)
    }

    /// One AI platform; null when there is none.
    async fn platform(&self, context: &Context<'_>, key: String) -> Result<Option<Platform>> {
        Ok(all(&*known(context)?).into_iter().find(|platform| platform.is(&key)))
    }

    /// The models that an AI platform offers: it is asked for its list, which costs nothing. Null when there is no such platform.
    #[graphql(complexity = "50 + 100 * child_complexity")]
    async fn platform_models(&self, context: &Context<'_>, key: String) -> Result<Option<PlatformOffer>> {
        Ok(known(context)?.offered(&key).await.map(PlatformOffer::of))
    }

    /// What models cost today, by the lists of prices that this node has. `named` is a part of `VENDOR/MODEL`, such as
    /// `anthropic/` or `gpt-4o`.
    #[graphql(complexity = "50 + 100 * child_complexity")]
    async fn model_prices(&self, context: &Context<'_>, named: String) -> Result<ModelPrices> {
        Ok(prices(&*known(context)?, &named))
    }
}
