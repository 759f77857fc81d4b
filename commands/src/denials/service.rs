use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Denial;
use super::gate::Gate;
use crate::{Commands, Surroundings};

/// How much is recorded.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many denials are recorded one by one although they come at once.
    pub burst: u32,
    /// How often one more is.
    pub every: Duration,
    /// How often those that were only counted are told.
    pub summary: Duration,
}

impl Default for Options {
    /// A hundred at once and one a second, which is at most about 90,000 small events a day; the rest once a minute.
    fn default() -> Self {
        Self { burst: 100, every: Duration::from_secs(1), summary: Duration::from_secs(60) }
    }
}

/// Takes denials in; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    gate: Arc<Mutex<Gate>>,
    queue: mpsc::Sender<Denial>,
    surroundings: Arc<dyn Surroundings>,
}

impl Handle {
    /// Notes a denial, to be recorded soon. Never waits.
    pub fn note(&self, denial: Denial) {
        let now = self.surroundings.now();
        let mut gate = self.gate.lock();
        if gate.passes(now) {
            match self.queue.try_send(denial) {
                Ok(()) => {}
                // The journal is slower than what comes in, or on its way out.
                Err(mpsc::error::TrySendError::Full(denial) | mpsc::error::TrySendError::Closed(denial)) => {
                    gate.count(denial, now);
                }
            }
        } else {
            gate.count(denial, now);
        }
    }
}

/// Records denials behind the back of whoever was refused.
pub struct Service {
    options: Options,
    commands: Commands,
    gate: Arc<Mutex<Gate>>,
    queue: mpsc::Receiver<Denial>,
}

impl Service {
    /// How many wait for the journal.
    const QUEUE: usize = 256;

    /// A service that has yet to run, and the handle that takes denials in.
    #[must_use]
    pub fn new(options: Options, commands: Commands) -> (Self, Handle) {
        let now = commands.surroundings().now();
        let gate = Arc::new(Mutex::new(Gate::new(options.burst, options.every, now)));
        let (sender, queue) = mpsc::channel(Self::QUEUE);
        let surroundings = Arc::clone(commands.surroundings());
        let handle = Handle { gate: Arc::clone(&gate), queue: sender, surroundings };
        (Self { options, commands, gate, queue }, handle)
    }

    /// Records until shutdown; what was noted by then is recorded.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut summary = tokio::time::interval(self.options.summary);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                denial = self.queue.recv() => match denial {
                    Some(denial) => self.record(denial).await,
                    None => break,
                },
                _ = summary.tick() => self.tell_rest().await,
            }
        }
        self.queue.close();
        while let Some(denial) = self.queue.recv().await {
            self.record(denial).await;
        }
        self.tell_rest().await;
    }

    async fn record(&self, denial: Denial) {
        if let Err(error) = self.commands.record_denial(denial.clone()).await {
            tracing::warn!(code = denial.code, %error, "a refusal could not be recorded; it is counted and told later");
            self.gate.lock().count(denial, self.commands.surroundings().now());
        }
    }

    async fn tell_rest(&self) {
        let more = self.gate.lock().take(self.commands.surroundings().now());
        let Some(more) = more else { return };
        if let Err(error) = self.commands.count_denials(more.clone()).await {
            let total = more.total();
            tracing::warn!(total, %error, "counted refusals could not be recorded; they are told later");
            self.gate.lock().put_back(more);
        }
    }
}
