//! The HTTP server: GraphQL, REST, health, metrics and two small pages.
//!
//! Invariants: until access control exists it listens on loopback only, and answers only to its own names, so that no
//! page of another origin can reach it; every request has a correlation id; what was accepted before shutdown is
//! answered. Workers only move bytes: GraphQL runs on the runtime that the server was bound on, because connections to
//! the database belong to that runtime and must outlive the workers.

mod denials;
mod documents;
mod error;
mod events;
mod explorer;
pub(crate) mod files;
mod graphql;
mod guard;
pub(crate) mod health;
mod hooks;
pub(crate) mod metrics;
mod reply;
mod socket;
#[cfg(test)]
mod tests;
mod trace;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use commands::Commands;
use domain::Actor;
use metrics_exporter_prometheus::PrometheusHandle;
use schema::Schema;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use documents::Documents;
pub(crate) use error::Error;

/// The header in which a request says in whose name it comes, as long as there is no access control.
pub(crate) const PERSON: &str = "x-hishamos-person";
/// How long a client may take to send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// How the server behaves.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where it listens: a loopback address; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// Who acts when nobody says otherwise, as long as there is no access control.
    pub(crate) actor: Actor,
    /// How many threads move bytes, at least 1.
    pub(crate) workers: usize,
    /// The largest request body and WebSocket message, in bytes.
    pub(crate) max_body: usize,
    /// How many WebSocket connections and event streams there may be at once.
    pub(crate) max_sockets: usize,
    /// How many operations one WebSocket connection may have under way.
    pub(crate) max_operations: usize,
    /// How long one request may take.
    pub(crate) timeout: Duration,
    /// How often a quiet WebSocket connection is pinged; after two pings without a sign of life it is given up.
    pub(crate) keepalive: Duration,
    /// How long a client may take to read what it is sent, and to begin a WebSocket session.
    pub(crate) patience: Duration,
    /// How long accepted requests may take to finish when the server stops.
    pub(crate) drain: Duration,
    /// How much one caller may ask of the REST API; without it, as much as they like.
    pub(crate) rate: Option<rest::Rate>,
}

impl Options {
    /// For a local operator, with generous limits.
    pub(crate) fn new(listen: SocketAddr, actor: Actor) -> Self {
        Self {
            listen,
            actor,
            workers: 2,
            max_body: 2 * 1024 * 1024,
            max_sockets: 256,
            max_operations: 64,
            timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(15),
            patience: Duration::from_secs(10),
            drain: Duration::from_secs(10),
            rate: None,
        }
    }
}

/// What the server shows to the world.
pub(crate) struct Parts {
    /// GraphQL.
    pub(crate) schema: Schema,
    /// The documents that requests may name.
    pub(crate) documents: Documents,
    /// What both APIs stand on.
    pub(crate) house: schema::Parts,
    /// Whoever finds templates and reads requests, for REST.
    pub(crate) errands: Arc<dyn rest::Errands>,
    /// What has to hold for the program to be ready.
    pub(crate) checks: Vec<health::Check>,
    /// The recorder's handle; without one, `/metrics` says that there are none.
    pub(crate) metrics: Option<PrometheusHandle>,
    /// How what is posted for triggers is taken; without it, it is not.
    pub(crate) hooks: Option<Hooks>,
    /// Who records what is refused; without it, nobody does.
    pub(crate) denials: Option<commands::denials::Handle>,
}

/// What is posted for triggers.
pub(crate) struct Hooks {
    /// Who records what is posted.
    pub(crate) commands: Commands,
    /// How what is posted for triggers is checked.
    pub(crate) hooks: crate::webhooks::Hooks,
}

/// What all workers share.
pub(crate) struct State {
    options: Options,
    schema: Schema,
    documents: Documents,
    api: rest::Api,
    checks: Vec<health::Check>,
    metrics: Option<PrometheusHandle>,
    hooks: Option<Hooks>,
    denials: Option<commands::denials::Handle>,
    /// The values of `Host` that mean this server.
    hosts: Vec<String>,
    /// Where everything but moving bytes happens.
    runtime: Handle,
    /// What has to finish before the server has stopped.
    tracker: TaskTracker,
    /// One permit per WebSocket connection.
    sockets: Arc<Semaphore>,
    /// Cancelled when the server stops.
    closing: CancellationToken,
}

/// A server that has its port and does not answer yet.
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<State>,
}

impl Server {
    /// Takes the port. Must be called within the runtime that the rest of the program runs on.
    ///
    /// # Errors
    /// [`Error::NotLoopback`], [`Error::PortTaken`] or [`Error::Bind`].
    pub(crate) fn bind(options: Options, parts: Parts) -> Result<Self, Error> {
        let asked = options.listen;
        if !asked.ip().is_loopback() {
            return Err(Error::NotLoopback { address: asked });
        }
        let listener = TcpListener::bind(asked).map_err(|error| Error::of_bind(asked, error))?;
        let address = listener.local_addr().map_err(|error| Error::of_bind(asked, error))?;
        let (tracker, closing) = (TaskTracker::new(), CancellationToken::new());
        let schema::Parts { journal, commands, queries, .. } = parts.house;
        let api = rest::Parts {
            journal,
            commands,
            queries,
            errands: parts.errands,
            correlation: trace::correlation,
            tracker: tracker.clone(),
            closing: closing.clone(),
        };
        let limits = rest::Options {
            max_body: options.max_body,
            max_streams: options.max_sockets,
            rate: options.rate,
            ..rest::Options::new(options.actor.clone())
        };
        let state = State {
            schema: parts.schema,
            documents: parts.documents,
            api: rest::Api::new(api, limits),
            checks: parts.checks,
            metrics: parts.metrics,
            hooks: parts.hooks,
            denials: parts.denials,
            hosts: guard::hosts(address),
            runtime: Handle::current(),
            tracker,
            sockets: Arc::new(Semaphore::new(options.max_sockets)),
            closing,
            options,
        };
        Ok(Self { listener, address, state: Arc::new(state) })
    }

    /// Where it listens, with the real port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until shutdown, then stops accepting, tells WebSocket clients to come back later, and finishes what was
    /// accepted.
    ///
    /// # Errors
    /// [`Error::Serve`] when it could not start or ended by itself.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { listener, address, state } = self;
        let shared = Arc::clone(&state);
        let server = HttpServer::new(move || app(Arc::clone(&shared)))
            .workers(state.options.workers.max(1))
            .client_request_timeout(HEAD_PATIENCE)
            .shutdown_timeout(state.options.drain.as_secs().max(1))
            .disable_signals()
            .listen(listener)
            .map_err(Error::Serve)?
            .run();
        let handle = server.handle();
        tracing::info!(%address, "server listens");
        let mut server = std::pin::pin!(server);
        let mut upkeep = tokio::time::interval(metrics::UPKEEP);
        loop {
            tokio::select! {
                ended = &mut server => {
                    ended.map_err(Error::Serve)?;
                    return Err(Error::Ended);
                }
                _ = upkeep.tick(), if state.metrics.is_some() => {
                    state.metrics.iter().for_each(PrometheusHandle::run_upkeep);
                }
                () = shutdown.cancelled() => break,
            }
        }
        state.closing.cancel();
        state.tracker.close();
        let (stopped, ()) = tokio::join!(server, handle.stop(true));
        if tokio::time::timeout(state.options.drain, state.tracker.wait()).await.is_err() {
            tracing::warn!(unfinished = state.tracker.len(), "server stops although requests are unfinished");
        }
        tracing::info!(%address, "server has stopped");
        stopped.map_err(Error::Serve)
    }
}

/// The routes, for one worker.
fn app(
    state: Arc<State>,
) -> App<
    impl actix_web::dev::ServiceFactory<
        actix_web::dev::ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse<impl actix_web::body::MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let api = state.api.clone();
    App::new()
        .app_data(web::PayloadConfig::new(state.options.max_body))
        .app_data(web::Data::from(state))
        .service(
            web::resource("/graphql")
                .route(web::get().to(graphql::get))
                .route(web::post().to(graphql::post))
                .default_service(web::to(|| reply::method_not_allowed("GET, POST"))),
        )
        .service(only_get("/graphql/ws", web::get().to(socket::upgrade)))
        .service(
            web::resource("/hooks/{trigger}")
                .route(web::post().to(hooks::post))
                .default_service(web::to(|| reply::method_not_allowed("POST"))),
        )
        .service(only_get("/health/live", web::get().to(health::live)))
        .service(only_get("/health/ready", web::get().to(health::ready)))
        .service(only_get("/metrics", web::get().to(metrics::show)))
        .service(only_get("/", web::get().to(explorer::index)))
        .service(only_get("/explorer.js", web::get().to(explorer::script)))
        .service(only_get("/style.css", web::get().to(explorer::style)))
        .configure(rest::configure(api))
        .default_service(web::to(reply::not_found))
        .wrap(from_fn(guard::check))
        .wrap(from_fn(trace::trace))
}

fn only_get(path: &str, route: actix_web::Route) -> actix_web::Resource {
    web::resource(path).route(route).default_service(web::to(|| reply::method_not_allowed("GET")))
}
