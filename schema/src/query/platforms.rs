//! AI platforms and how they are doing.

use async_graphql::{Context, Object, Result};

use crate::platform::{Platform, all, known};

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
}
