//! The store, opened directly: beside a running program, or for a command of its own.

use std::sync::Arc;

use commands::Commands;
use commands::denials::Denial;
use domain::Actor;
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

    /// Records that the rules refused what was asked here, unless something else came of it. The caller goes on either way.
    pub(crate) async fn note<T>(&self, config: &Config, action: &str, outcome: &Result<T, Failure>) {
        let Err(Failure::Refused { code, .. }) = outcome else { return };
        let (by, action) = (Actor::person(&config.person), format!("hishamos {action}"));
        let denial = Denial { by, correlation: None, action, on: None, code: code.clone(), from: None };
        let commands = Commands::new(Arc::clone(&self.store.journal));
        if let Err(error) = commands.record_denial(denial).await {
            tracing::warn!(%error, "the refusal could not be recorded");
        }
    }

    /// Records what is on its way and closes everything.
    pub(crate) async fn close(mut self) -> Result<(), Failure> {
        self.stop.cancel();
        while self.journal.join_next().await.is_some() {}
        Ok(self.store.close().await?)
    }
}
