//! A database, a journal, and projectors over both.

use std::sync::Arc;
use std::time::Duration;

use journal::{Journal, Members, MemoryJournal, Position};
use projections::{Handle, Options, Queries, Service, compare};
use testkit::Database;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::history::History;

/// Long enough for a busy machine; nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) journal: Arc<dyn Journal>,
}

/// Projectors at work; they stop when dropped, as a killed process does.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self { database: Database::create().await, journal: Arc::new(MemoryJournal::new()) }
    }

    pub(crate) fn history(&self, seed: u64) -> History {
        History::new(Arc::clone(&self.journal), seed)
    }

    pub(crate) async fn start(&self, options: Options) -> Running {
        self.start_over(Arc::clone(&self.journal), options).await
    }

    pub(crate) async fn start_over(&self, journal: Arc<dyn Journal>, options: Options) -> Running {
        Self::run(Service::open(self.database.pool().clone(), journal, options).await.unwrap())
    }

    /// One of several nodes.
    pub(crate) async fn start_among(&self, members: &Members) -> Running {
        let (pool, journal) = (self.database.pool().clone(), Arc::clone(&self.journal));
        Self::run(Service::open(pool, journal, Options::default()).await.unwrap().among(members))
    }

    fn run(service: Service) -> Running {
        let handle = service.handle();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(service.run(shutdown.clone()));
        Running { handle, shutdown, task }
    }

    /// Every read model is what the journal says.
    pub(crate) async fn assert_equal(&self) {
        for name in projections::names() {
            let comparison = compare(self.database.pool(), &*self.journal, name).await.unwrap();
            assert!(comparison.is_equal(), "{comparison:#?}");
        }
    }
}

impl Running {
    pub(crate) fn queries(&self) -> &Queries {
        self.handle.queries()
    }

    pub(crate) async fn wait_for(&self, position: Position) {
        self.queries().wait_for(position, PATIENCE).await.unwrap();
    }

    /// Stops in good order.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        (&mut self.task).await.unwrap();
    }

    /// Stops wherever it is.
    pub(crate) async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
