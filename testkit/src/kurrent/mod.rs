//! A protocol double of KurrentDB: a server that speaks its gRPC protocol over events in memory. It is no KurrentDB.
//!
//! It answers `ServerFeatures`, `Gossip` and the `Streams` service (Append, BatchAppend, Read of streams and of `$all`,
//! subscriptions, filters) as the server's source says, refuses what that refuses, and goes wrong when told to
//! ([`Faults`]). It asks for a login and speaks TLS when told to ([`Security`]), and several can stand for a cluster
//! ([`KurrentCluster`]). What only a real server can prove is listed in docs/operate/kurrentdb.md.

#[expect(clippy::result_large_err, reason = "it is tonic's own error")]
mod cluster;
mod faults;
mod guard;
mod net;
#[expect(clippy::result_large_err, reason = "it is tonic's own error")]
mod read;
mod security;
#[expect(clippy::result_large_err, reason = "it is tonic's own error")]
mod service;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Server, ServerTlsConfig};

use cluster::{Membership, Place};

pub use cluster::KurrentCluster;
pub use faults::{Faults, Held, ReadFault, WriteFault};
pub use security::{Authority, Identity, Security};
pub use store::{Limits, Store, Written};

#[allow(clippy::all, rustdoc::all, dead_code, missing_docs, unreachable_pub, reason = "generated")]
mod protocol {
    include!(concat!(env!("OUT_DIR"), "/protocol.rs"));
}

/// How a double is to be.
#[derive(Debug, Clone)]
struct Setup {
    store: Arc<Store>,
    /// Whether it acknowledges packets at once.
    prompt: bool,
    security: Security,
    address: SocketAddr,
}

impl Setup {
    fn over(store: Arc<Store>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { store, prompt: true, security: Security::default(), address }
    }
}

/// A running double. Dropping it cuts every connection; what was written lives on in its [`Store`].
pub struct KurrentDouble {
    setup: Setup,
    place: Place,
    faults: Arc<Faults>,
    alive: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl KurrentDouble {
    /// Starts an empty one on a free port of the loopback.
    pub async fn start() -> Self {
        Self::start_over(Arc::new(Store::default())).await
    }

    /// Starts one over what an earlier one left.
    pub async fn start_over(store: Arc<Store>) -> Self {
        Self::listen(Setup::over(store), None).await
    }

    /// Starts an empty one that acknowledges packets as late as the system likes, as a real server does. The official
    /// client waits for that acknowledgement before it sends the second half of a request, about 40 ms.
    pub async fn start_unhurried() -> Self {
        Self::listen(Setup { prompt: false, ..Setup::over(Arc::new(Store::default())) }, None).await
    }

    /// Starts an empty one that lets in only who should be.
    pub async fn start_secured(security: Security) -> Self {
        Self::listen(Setup { security, ..Setup::over(Arc::new(Store::default())) }, None).await
    }

    /// Listens, as one more node of a cluster, or as the only one of its own.
    async fn listen(setup: Setup, membership: Option<Arc<Membership>>) -> Self {
        let listener = TcpListener::bind(setup.address).await.expect("a port of the loopback is free");
        let address = listener.local_addr().expect("a listener has an address");
        let place = membership.unwrap_or_default().join(address);
        Self::serve(listener, Setup { address, ..setup }, place)
    }

    fn serve(listener: TcpListener, setup: Setup, place: Place) -> Self {
        let (faults, alive) = (Arc::new(Faults::default()), CancellationToken::new());
        let service =
            service::Service { store: Arc::clone(&setup.store), faults: Arc::clone(&faults), place: place.clone() };
        let guard = |anonymous| guard::Guard::new(&setup.security, place.clone(), anonymous);
        let incoming = net::incoming(listener, alive.clone(), setup.prompt);
        let mut server = Server::builder();
        if let Some(identity) = &setup.security.identity {
            // Only the first call of the process counts.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let identity = tonic::transport::Identity::from_pem(&identity.certificate, &identity.key);
            let mut tls = ServerTlsConfig::new().identity(identity);
            if let Some(authority) = &setup.security.clients {
                tls = tls.client_ca_root(tonic::transport::Certificate::from_pem(authority));
            }
            server = server.tls_config(tls).expect("the certificate and its key are in order");
        }
        let streams = protocol::event_store::client::streams::streams_server::StreamsServer::new(service.clone())
            .max_decoding_message_size(64 * 1024 * 1024)
            .max_encoding_message_size(64 * 1024 * 1024);
        let gossip = protocol::event_store::client::gossip::gossip_server::GossipServer::new(service.clone());
        let routes = server
            .add_service(InterceptedService::new(streams, guard(false)))
            .add_service(InterceptedService::new(gossip, guard(true)))
            .add_service(
                protocol::event_store::client::server_features::server_features_server::ServerFeaturesServer::new(
                    service,
                ),
            );
        let stop = alive.clone();
        let task = tokio::spawn(async move {
            // It ends when the double is dropped; connections end by themselves then.
            let serving = routes.serve_with_incoming(incoming);
            tokio::select! {
                ended = serving => ended.expect("the double serves until it is stopped"),
                () = stop.cancelled() => {}
            }
        });
        Self { setup, place, faults, alive, task: Some(task) }
    }

    fn is_secured(&self) -> bool {
        self.setup.security.identity.is_some()
    }

    /// Its connection string.
    pub fn url(&self) -> String {
        format!("kurrentdb://{}?tls={}", self.setup.address, self.is_secured())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.setup.address
    }

    /// What was written to it.
    pub fn store(&self) -> &Arc<Store> {
        &self.setup.store
    }

    /// What is to go wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Cuts every connection and stops listening, as a machine that lost its power does.
    pub async fn kill(&mut self) {
        self.alive.cancel();
        if let Some(task) = self.task.take() {
            // It was asked to end.
            let _ = task.await;
        }
    }

    /// Listens again where it listened before, over the same events.
    pub async fn restart(&mut self) {
        self.kill().await;
        let listener = TcpListener::bind(self.setup.address).await.expect("nobody else took its port");
        *self = Self::serve(listener, self.setup.clone(), self.place.clone());
    }
}

impl Drop for KurrentDouble {
    fn drop(&mut self) {
        self.alive.cancel();
    }
}
