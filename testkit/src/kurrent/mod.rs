//! A protocol double of KurrentDB: a server that speaks its gRPC protocol over events in memory. It is no KurrentDB.
//!
//! It answers `ServerFeatures` and the `Streams` service (Append, BatchAppend, Read of streams and of `$all`,
//! subscriptions, filters) as the server's source says, refuses what that refuses, and goes wrong when told to
//! ([`Faults`]). What only a real server can prove is listed in docs/operate/kurrentdb.md.

mod faults;
mod net;
#[expect(clippy::result_large_err, reason = "it is tonic's own error")]
mod read;
#[expect(clippy::result_large_err, reason = "it is tonic's own error")]
mod service;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

pub use faults::{Faults, Held, ReadFault, WriteFault};
pub use store::{Limits, Store, Written};

#[allow(clippy::all, rustdoc::all, dead_code, missing_docs, unreachable_pub, reason = "generated")]
mod protocol {
    include!(concat!(env!("OUT_DIR"), "/protocol.rs"));
}

/// A running double. Dropping it cuts every connection; what was written lives on in its [`Store`].
pub struct KurrentDouble {
    address: SocketAddr,
    store: Arc<Store>,
    faults: Arc<Faults>,
    alive: CancellationToken,
    prompt: bool,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl KurrentDouble {
    /// Starts an empty one on a free port of the loopback.
    pub async fn start() -> Self {
        Self::start_over(Arc::new(Store::default())).await
    }

    /// Starts one over what an earlier one left.
    pub async fn start_over(store: Arc<Store>) -> Self {
        Self::listen(store, true, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts an empty one that acknowledges packets as late as the system likes, as a real server does. The official
    /// client waits for that acknowledgement before it sends the second half of a request, about 40 ms.
    pub async fn start_unhurried() -> Self {
        Self::listen(Arc::new(Store::default()), false, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    async fn listen(store: Arc<Store>, prompt: bool, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port of the loopback is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (faults, alive) = (Arc::new(Faults::default()), CancellationToken::new());
        let service = service::Service { store: Arc::clone(&store), faults: Arc::clone(&faults) };
        let incoming = net::incoming(listener, alive.clone(), prompt);
        let routes = Server::builder()
            .add_service(
                protocol::event_store::client::streams::streams_server::StreamsServer::new(service.clone())
                    .max_decoding_message_size(64 * 1024 * 1024)
                    .max_encoding_message_size(64 * 1024 * 1024),
            )
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
        Self { address, store, faults, alive, prompt, task: Some(task) }
    }

    /// Its connection string.
    pub fn url(&self) -> String {
        format!("kurrentdb://{}?tls=false", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was written to it.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
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
        *self = Self::listen(Arc::clone(&self.store), self.prompt, self.address).await;
    }
}

impl Drop for KurrentDouble {
    fn drop(&mut self) {
        self.alive.cancel();
    }
}
