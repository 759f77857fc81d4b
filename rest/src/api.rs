//! What the API stands on, and where its work runs.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use commands::Commands;
use domain::Actor;
use journal::Journal;
use projections::Queries;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

use crate::limiter::{Limiter, Rate};
use crate::{Errands, Problem};

/// How the API behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who acts when nobody says otherwise, as long as there is no access control.
    pub actor: Actor,
    /// How long an answer may wait for the position that the caller wants to see.
    pub freshness: Duration,
    /// The largest body of a request, in bytes.
    pub max_body: usize,
    /// How many streams of progress there may be at once.
    pub max_streams: usize,
    /// How much one caller may ask; `None` sets no limit.
    pub rate: Option<Rate>,
}

impl Options {
    /// For a local operator, with generous limits: 10 s for a position, 2 MiB, 256 streams, 6000 requests a minute.
    #[must_use]
    pub fn new(actor: Actor) -> Self {
        Self {
            actor,
            freshness: Duration::from_secs(10),
            max_body: 2 * 1024 * 1024,
            max_streams: 256,
            rate: Some(Rate { requests: 6000, window: Duration::from_secs(60) }),
        }
    }
}

/// What the API stands on.
pub struct Parts {
    /// The facts.
    pub journal: Arc<dyn Journal>,
    /// The write side.
    pub commands: Commands,
    /// The read models.
    pub queries: Queries,
    /// Whoever finds templates and reads requests.
    pub errands: Arc<dyn Errands>,
    /// Under which id the server knows a request.
    pub correlation: fn(&HttpRequest) -> Uuid,
    /// What has to finish before the server has stopped.
    pub tracker: TaskTracker,
    /// Cancelled when the server stops.
    pub closing: CancellationToken,
}

/// The API; cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    parts: Parts,
    options: Options,
    runtime: Handle,
    limiter: Option<Limiter>,
    streams: Arc<Semaphore>,
}

impl Api {
    /// Must be called within the runtime that the rest of the program runs on.
    #[must_use]
    pub fn new(parts: Parts, options: Options) -> Self {
        let limiter = options.rate.map(Limiter::new);
        let streams = Arc::new(Semaphore::new(options.max_streams));
        Self(Arc::new(Inner { parts, options, runtime: Handle::current(), limiter, streams }))
    }

    /// Does work on the runtime that the database's connections belong to. What was begun is finished, whatever becomes
    /// of the connection to the client.
    ///
    /// # Errors
    /// The work's own problem, or an internal one when it ended abnormally.
    pub async fn run<T: Send + 'static>(
        &self,
        correlation: Uuid,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let running = self.0.parts.tracker.spawn_on(work.in_current_span(), &self.0.runtime);
        running.await.unwrap_or_else(|error| Err(Problem::internal(correlation, &error)))
    }

    /// Begins work that goes on after the answer has begun.
    pub(crate) fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.parts.tracker.spawn_on(work.in_current_span(), &self.0.runtime);
    }

    /// The facts.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.0.parts.journal
    }

    /// The write side.
    #[must_use]
    pub fn commands(&self) -> &Commands {
        &self.0.parts.commands
    }

    /// The read models.
    #[must_use]
    pub fn queries(&self) -> &Queries {
        &self.0.parts.queries
    }

    /// Whoever finds templates and reads requests.
    pub(crate) fn errands(&self) -> &Arc<dyn Errands> {
        &self.0.parts.errands
    }

    /// How the API behaves.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn correlation(&self, request: &HttpRequest) -> Uuid {
        (self.0.parts.correlation)(request)
    }

    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.0.parts.closing
    }

    pub(crate) fn limiter(&self) -> Option<&Limiter> {
        self.0.limiter.as_ref()
    }

    pub(crate) fn streams(&self) -> &Arc<Semaphore> {
        &self.0.streams
    }
}
