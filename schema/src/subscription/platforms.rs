//! How the platforms are doing, told whenever it changes.

use async_graphql::{Context, Result, Subscription};
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};

use crate::platform::{HealthPlace, PlatformHealthUpdate, known, update};

/// Health of platforms.
#[derive(Default)]
pub(super) struct FollowedPlatforms;

#[Subscription]
impl FollowedPlatforms {
    /// How every platform is doing as the node that answers sees it: first as it is, then whenever it changes. These are
    /// states and no events, so they have no position in the journal, and whoever reads slowly is told the newest one. Each
    /// has a `place`: whoever comes back with it as `after` is told nothing that was told before, and at once how it is by
    /// now when anything has changed meanwhile; also when another node answers, or the same after a restart, because that one
    /// has a view of its own.
    async fn platform_health(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The `place` of the last state that was told; only what differs from that is told.")]
        after: Option<String>,
    ) -> Result<impl Stream<Item = PlatformHealthUpdate> + use<>> {
        let platforms = known(context)?;
        let told = after.as_deref().map(HealthPlace::parse).transpose()?;
        // Asked for before the first state is taken, so that nothing changes unseen.
        let changes = platforms.changes();
        Ok(unfold((platforms, changes, told), |(platforms, mut changes, told)| async move {
            loop {
                let place = HealthPlace::of(&*platforms);
                if told != Some(place) {
                    let state = update(&*platforms, place);
                    return Some((state, (platforms, changes, Some(place))));
                }
                changes.next().await?;
            }
        }))
    }
}
