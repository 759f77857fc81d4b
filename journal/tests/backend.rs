//! The back ends that the conformance suite runs on.

use std::any::Any;
use std::sync::Arc;

use journal::kurrent::{self, KurrentJournal};
use journal::postgres::{Options, PostgresJournal};
use journal::{Journal, MemoryJournal};
use testkit::Database;
use testkit::kurrent::KurrentDouble;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An open, empty journal, and whatever has to live as long.
pub(crate) struct Opened {
    pub(crate) journal: Arc<dyn Journal>,
    _keep: Box<dyn Any + Send>,
}

pub(crate) async fn memory() -> Opened {
    Opened { journal: Arc::new(MemoryJournal::new()), _keep: Box::new(()) }
}

pub(crate) async fn postgres() -> Opened {
    let database = Database::create().await;
    let node = Node::open(database.url()).await;
    Opened { journal: Arc::new(node.journal.clone()), _keep: Box::new((node, database)) }
}

/// With hardly any memory, so that its readers read from the database, and a writer that takes what fits in.
pub(crate) async fn postgres_small() -> Opened {
    let database = Database::create().await;
    let node = Node::open_with(database.url(), |options| {
        options.tail_events = 4;
        options.batch_events = 8;
        options.readers = 2;
        options.heads = std::num::NonZeroUsize::MIN;
    })
    .await;
    Opened { journal: Arc::new(node.journal.clone()), _keep: Box::new((node, database)) }
}

/// KurrentDB: its protocol double, or the real server that `./dev test --kurrentdb URL` names.
pub(crate) async fn kurrent() -> Opened {
    kurrent_with(|_| {}).await
}

/// With hardly any memory, so that its readers read from the server and its writer asks where streams end.
pub(crate) async fn kurrent_small() -> Opened {
    kurrent_with(|options| {
        options.tail_events = 4;
        options.in_flight = 4;
        options.heads = std::num::NonZeroUsize::MIN;
    })
    .await
}

async fn kurrent_with(change: impl FnOnce(&mut kurrent::Options)) -> Opened {
    if let Some(url) = std::env::var("HISHAMOS_TEST_KURRENTDB_URL").ok().filter(|url| !url.is_empty()) {
        let node = KurrentNode::open_with(&url, |options| {
            // A journal of its own for each test.
            options.prefix = format!("test{}", uuid::Uuid::new_v4().simple());
            change(options);
        })
        .await;
        return Opened { journal: Arc::new(node.journal.clone()), _keep: Box::new(node) };
    }
    let double = KurrentDouble::start().await;
    let node = KurrentNode::open_with(&double.url(), change).await;
    Opened { journal: Arc::new(node.journal.clone()), _keep: Box::new((node, double)) }
}

/// One process' journal over a KurrentDB.
pub(crate) struct KurrentNode {
    pub(crate) journal: KurrentJournal,
    shutdown: CancellationToken,
    service: JoinHandle<()>,
}

impl KurrentNode {
    pub(crate) async fn open(url: &str) -> Self {
        Self::open_with(url, |_| {}).await
    }

    pub(crate) async fn open_with(url: &str, change: impl FnOnce(&mut kurrent::Options)) -> Self {
        let mut options = kurrent::Options::from_url(url).unwrap();
        change(&mut options);
        let (journal, service) = KurrentJournal::open(options).await.unwrap();
        let shutdown = CancellationToken::new();
        let service = tokio::spawn(service.run(shutdown.clone()));
        Self { journal, shutdown, service }
    }

    /// Ends it as a program does.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.service.await.unwrap();
    }

    /// Ends it as a killed process does.
    pub(crate) async fn kill(self) {
        self.service.abort();
        // Nothing of it may go on beside the next one.
        let _ = self.service.await;
    }
}

/// One process' journal over a database.
pub(crate) struct Node {
    pub(crate) journal: PostgresJournal,
    shutdown: CancellationToken,
    service: JoinHandle<()>,
}

impl Node {
    pub(crate) async fn open(url: &str) -> Self {
        Self::open_with(url, |_| {}).await
    }

    pub(crate) async fn open_with(url: &str, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::from_url(url).unwrap();
        change(&mut options);
        let (journal, service) = PostgresJournal::open(options).await.unwrap();
        let shutdown = CancellationToken::new();
        let service = tokio::spawn(service.run(shutdown.clone()));
        Self { journal, shutdown, service }
    }

    /// Ends it as a program does.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.service.await.unwrap();
    }

    /// Begins to end it.
    pub(crate) fn begin_stop(&self) {
        self.shutdown.cancel();
    }

    /// Ends it as a killed process does: nothing is drained, nobody says goodbye.
    pub(crate) fn kill(self) {
        self.service.abort();
    }
}
