use std::io;
use std::net::SocketAddr;

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Others could reach it, and there is no access control yet.
    #[error(
        "the server must not listen on {address}: there is no access control yet, so only this machine may reach it; \
         choose 127.0.0.1:{} or [::1]:{}, and reach it from elsewhere through an SSH tunnel",
        .address.port(),
        .address.port()
    )]
    NotLoopback {
        /// What was asked for.
        address: SocketAddr,
    },
    /// Another program listens there.
    #[error(
        "port {} is taken by another program; choose another with --port or HISHAMOS_PORT, or 0 for any free one",
        .address.port()
    )]
    PortTaken {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("the server cannot listen on {address}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// It failed while starting, running or stopping.
    #[error("the server failed")]
    Serve(#[source] io::Error),
    /// Nobody told it to stop.
    #[error("the server ended by itself")]
    Ended,
}

impl Error {
    pub(super) fn of_bind(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortTaken { address },
            _ => Self::Bind { address, source },
        }
    }
}
