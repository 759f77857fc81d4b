//! SIGINT and SIGTERM: the first asks for an orderly end, the second for an end at once.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for both signals from its making on.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over from their default, which would end the program at once.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Does the orderly end, unless another signal asks for an end at once.
    pub(crate) async fn unless_repeated<T>(&mut self, orderly: impl Future<Output = T>) -> T {
        tokio::select! {
            done = orderly => done,
            () = self.next() => {
                tracing::warn!("ending at once; what was under way is resumed at the next start");
                // The private PostgreSQL shuts down by itself when we are gone, and what was committed is kept.
                std::process::exit(130)
            }
        }
    }
}
