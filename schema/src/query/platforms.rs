//! AI platforms and how they are doing.

use async_graphql::{Context, Object, Result};

use crate::platform::{ModelPrices, Platform, PlatformOffer, all, known, prices};

/// Platforms.
#[derive(Default)]
pub(super) struct PlatformList;

#[Object]
impl PlatformList {
    /// Every AI platform by key, and how it is doing as the node that answers sees it.
    #[graphql(complexity = "10 * child_complexity")]
    async fn platforms(&self, context: &Context<'_>) -> Result<Vec<Platform>> {
        Ok(all(&*known(context)?))
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
