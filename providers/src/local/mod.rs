//! The platform that runs an open-weights model in this process.
//!
//! A GGUF file is everything: weights, tokenizer and chat template. One thread of its own loads the model (when first
//! needed, or at once) and generates one answer after the other; who asks meanwhile waits in a bounded queue, which
//! counts against the request's timeout. Equal requests get equal answers, because sampling is seeded by the
//! request's hash. Nobody is paid for its answers, so they cost 0, not an unknown amount.

mod generate;
mod model;
mod prompt;
mod tokens;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

pub use model::ARCHITECTURES;
use worker::{Event, Job, Phase, Worker};

use crate::{Chunk, Failure, FailureKind, Health, Platform, Reply, ReplyStream, Request, State, Usage};

/// How the model is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The platform's key.
    pub key: String,
    /// The GGUF file.
    pub path: PathBuf,
    /// What the model is called; by default the file's name without its ending.
    pub model: Option<String>,
    /// The longest prompt and answer together, in tokens; never more than the model itself can.
    pub context: Option<usize>,
    /// The longest answer for requests that set no limit, in tokens.
    pub max_tokens: u32,
    /// How many requests may wait for their turn; further ones wait outside the queue.
    pub queue: usize,
    /// Whether to load the model at once, in the background, instead of when it is first needed.
    pub preload: bool,
}

impl Options {
    /// Answers of at most 256 tokens, 32 waiting requests, loaded when first needed.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            key: "local".to_owned(),
            path: path.into(),
            model: None,
            context: None,
            max_tokens: 256,
            queue: 32,
            preload: false,
        }
    }
}

/// Why there is no local model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there or cannot be read.
    #[error("the model file {path} of platform `{key}` cannot be read")]
    File {
        /// The platform.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No thread can be had.
    #[error("the thread of the local model cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Runs a model in this process. Cheap to clone; the model is unloaded when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Local {
    options: Arc<Options>,
    model: Arc<str>,
    worker: Worker,
}

impl Local {
    /// Starts the thread; whether the file holds a usable model shows when it is loaded.
    ///
    /// # Errors
    /// When the file cannot be opened, or no thread can be had.
    pub fn new(options: Options) -> Result<Self, Error> {
        let (key, path) = (options.key.clone(), options.path.clone());
        std::fs::File::open(&options.path).map_err(|source| Error::File { key, path, source })?;
        let stem = || options.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let model: Arc<str> = options.model.clone().unwrap_or_else(stem).into();
        let worker = Worker::start(options.clone(), Arc::clone(&model)).map_err(Error::Thread)?;
        Ok(Self { options: Arc::new(options), model, worker })
    }

    async fn enqueue(&self, request: Request, started: Instant) -> Result<Incoming, Failure> {
        if let Some(asked) = request.model.as_deref().filter(|asked| *asked != &*self.model) {
            let runs = format!("{}: it runs the model `{}`, not `{asked}`", self.options.key, self.model);
            return Err(Failure::new(FailureKind::InvalidRequest, runs));
        }
        let (events, incoming) = mpsc::unbounded_channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let job = Job { request, started, events, cancelled: Arc::clone(&cancelled) };
        self.worker.submit(job).await?;
        Ok(Incoming { events: incoming, cancelled })
    }
}

/// An answer on its way. Dropping it stops the generation at the next token.
struct Incoming {
    events: mpsc::UnboundedReceiver<Event>,
    cancelled: Arc<AtomicBool>,
}

impl Incoming {
    async fn next(&mut self) -> Event {
        let gone = || Failure::new(FailureKind::PlatformFailure, "the thread of the local model has ended");
        self.events.recv().await.unwrap_or_else(|| Event::End(Err(gone())))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Platform for Local {
    fn key(&self) -> &str {
        &self.options.key
    }

    fn default_model(&self) -> Option<&str> {
        Some(&self.model)
    }

    fn simulated(&self) -> bool {
        false
    }

    fn unusable(&self) -> Option<String> {
        match self.worker.phase() {
            Phase::Failed(why) => Some(why),
            Phase::Idle | Phase::Loading | Phase::Ready(_) => None,
        }
    }

    fn speaks(&self) -> bool {
        true
    }

    async fn execute(&self, request: Request) -> Result<Reply, Failure> {
        let limit = request.timeout;
        let answer = async {
            let mut incoming = self.enqueue(request, Instant::now()).await?;
            loop {
                if let Event::End(outcome) = incoming.next().await {
                    return outcome.map(|reply| *reply);
                }
            }
        };
        let late = |_| Failure::timed_out(&self.options.key, limit);
        tokio::time::timeout(limit, answer).await.map_err(late)?
    }

    async fn stream(&self, request: Request) -> Result<ReplyStream, Failure> {
        let (key, limit) = (self.options.key.clone(), request.timeout);
        let deadline = tokio::time::Instant::now() + limit;
        let queued = tokio::time::timeout_at(deadline, self.enqueue(request, Instant::now())).await;
        let incoming = queued.map_err(|_| Failure::timed_out(&key, limit))??;
        let chunks = stream::unfold(Some(incoming), move |incoming| {
            let key = key.clone();
            async move {
                let mut incoming = incoming?;
                Some(match tokio::time::timeout_at(deadline, incoming.next()).await {
                    Err(_) => (Err(Failure::timed_out(&key, limit)), None),
                    Ok(Event::Text(text)) => (Ok(Chunk::Text(text)), Some(incoming)),
                    Ok(Event::End(outcome)) => (outcome.map(Chunk::End), None),
                })
            }
        });
        Ok(chunks.boxed())
    }

    fn cost(&self, _model: &str, _usage: &Usage) -> Option<i64> {
        Some(0)
    }

    async fn health(&self) -> Health {
        let (state, detail) = match self.worker.phase() {
            Phase::Idle => (State::Ready, format!("{} is loaded when first needed", self.model)),
            Phase::Loading => (State::Starting, format!("loading {}", self.model)),
            Phase::Ready(detail) => (State::Ready, detail),
            Phase::Failed(why) => (State::Unusable, why),
        };
        Health { state, detail }
    }
}
