//! The store, opened directly: beside a running program, or for a command of its own.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use crate::config::Config;
use crate::store::Store;

/// An opened store with a journal that can record.
pub(crate) struct Attached {
    /// The store.
    pub(crate) store: Store,
    stop: CancellationToken,
    journal: JoinSet<()>,
}

impl Attached {
    /// Opens the store of the configuration.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        let (store, service) = Store::attach(config).await?;
        let (stop, mut journal) = (CancellationToken::new(), JoinSet::new());
        journal.spawn(service.run(stop.clone()));
        Ok(Self { store, stop, journal })
    }

    /// Records what is on its way and closes everything.
    pub(crate) async fn close(mut self) -> Result<(), Failure> {
        self.stop.cancel();
        while self.journal.join_next().await.is_some() {}
        Ok(self.store.close().await?)
    }
}
