//! How the platforms are doing, told whenever it changes.

use async_graphql::{Context, Result, Subscription};
use futures_util::{Stream, StreamExt, stream};

use crate::platform::{PlatformHealthUpdate, known, update};

/// Health of platforms.
#[derive(Default)]
pub(super) struct FollowedPlatforms;

#[Subscription]
impl FollowedPlatforms {
    /// How every platform is doing as the node that answers sees it: first as it is, then whenever it changes. These are
    /// states and no events, so they have no position: whoever reads slowly or comes back is told the newest state, and
    /// those in between are left out.
    async fn platform_health(&self, context: &Context<'_>) -> Result<impl Stream<Item = PlatformHealthUpdate> + use<>> {
        let platforms = known(context)?;
        // Asked for before the first state is taken, so that nothing changes unseen.
        let changes = platforms.changes();
        let first = stream::once(std::future::ready(()));
        Ok(first.chain(changes).map(move |()| update(&*platforms)))
    }
}
