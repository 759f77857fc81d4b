use domain::Category;
use journal::{Filter, Position, ReadError};
use tokio_util::sync::CancellationToken;

use crate::Commands;

impl Commands {
    /// Keeps the cached workflows, agents and templates true while other nodes change them: whatever the journal
    /// brings that this process has not decided itself drops the cached state. Runs until shutdown.
    pub async fn follow_library(&self, after: Position, shutdown: CancellationToken) {
        let library = [Category::Workflow, Category::Agent, Category::Template];
        let mut subscription = self.executor.journal().subscribe(after, Filter::categories(library));
        loop {
            let batch = tokio::select! {
                () = shutdown.cancelled() => return,
                batch = subscription.next() => batch,
            };
            match batch {
                Ok(batch) => batch.events.iter().for_each(|event| self.executor.forget(event.stream, event.revision)),
                Err(ReadError::Closed) => return,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "library follower waits for the journal");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }
}
