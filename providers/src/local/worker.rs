//! The thread that owns the model.
//!
//! The model lives on this thread only, so that generations never interleave. A panic inside the model's arithmetic
//! costs the answer at hand and the loaded model, which is loaded again for the next request; it never costs the
//! thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::{error, info};

use super::model::Model;
use super::{Options, generate};
use crate::{CostSource, Failure, FailureKind, Reply, Request};

/// A request in the queue.
pub(super) struct Job {
    pub(super) request: Request,
    /// When it was asked, before it waited.
    pub(super) started: Instant,
    /// Unbounded, so that a slow reader never holds up the next request; at most the answer's tokens pile up.
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) cancelled: Arc<AtomicBool>,
}

/// What becomes of it.
pub(super) enum Event {
    /// A piece of the answer, never empty.
    Text(String),
    /// The outcome; nothing follows.
    End(Result<Box<Reply>, Failure>),
}

/// What the thread is at.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// Nothing was needed yet.
    Idle,
    /// Loading the model.
    Loading,
    /// Loaded, and what was.
    Ready(String),
    /// The model could not be loaded, and why. The next request tries again.
    Failed(String),
}

/// The queue to the thread, which ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
    phase: Arc<Mutex<Phase>>,
}

impl Worker {
    pub(super) fn start(options: Options, name: Arc<str>) -> std::io::Result<Self> {
        let (jobs, incoming) = mpsc::channel(options.queue.max(1));
        let phase = Arc::new(Mutex::new(if options.preload { Phase::Loading } else { Phase::Idle }));
        let thread = Thread { options, name, phase: Arc::clone(&phase), model: None };
        std::thread::Builder::new().name("local-model".to_owned()).spawn(move || thread.run(incoming))?;
        Ok(Self { jobs, phase })
    }

    /// Waits for a place in the queue.
    pub(super) async fn submit(&self, job: Job) -> Result<(), Failure> {
        let ended = |_| Failure::new(FailureKind::PlatformFailure, "the thread of the local model has ended");
        self.jobs.send(job).await.map_err(ended)
    }

    pub(super) fn phase(&self) -> Phase {
        lock(&self.phase).clone()
    }
}

fn lock(phase: &Mutex<Phase>) -> MutexGuard<'_, Phase> {
    phase.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Thread {
    options: Options,
    name: Arc<str>,
    phase: Arc<Mutex<Phase>>,
    model: Option<Model>,
}

impl Thread {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        if self.options.preload {
            // What went wrong is in the phase, and in the answer to the first request.
            let _ = self.load();
        }
        while let Some(job) = jobs.blocking_recv() {
            // Cancelled while it waited: its turn costs nothing.
            if job.cancelled.load(Ordering::Relaxed) {
                continue;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| self.serve(&job))).unwrap_or_else(|_| {
                self.model = None;
                *lock(&self.phase) = Phase::Idle;
                error!(model = &*self.name, "the local model panicked and will be loaded again");
                Err(Failure::new(FailureKind::PlatformFailure, "the model's arithmetic failed; see the log"))
            });
            let outcome = outcome.map(Box::new).map_err(|mut failure| {
                failure.message = format!("{}: {}", self.options.key, failure.message);
                failure
            });
            // Nobody listens any more when the request was cancelled.
            let _ = job.events.send(Event::End(outcome));
        }
    }

    fn serve(&mut self, job: &Job) -> Result<Reply, Failure> {
        if self.model.is_none() {
            self.load()?;
        }
        if let Some(what) = beyond(&job.request) {
            let message = format!("the local model cannot handle {what}; use another platform for it");
            return Err(Failure::new(FailureKind::InvalidRequest, message));
        }
        let Some(model) = self.model.as_mut() else {
            return Err(Failure::new(FailureKind::PlatformFailure, "no model is loaded"));
        };
        let limit = job.request.max_tokens.unwrap_or(self.options.max_tokens);
        let cancelled = || job.cancelled.load(Ordering::Relaxed);
        let answer = generate::run(model, &job.request, limit, &cancelled, &mut |text| {
            let _ = job.events.send(Event::Text(text));
        })?;
        Ok(Reply {
            text: answer.text,
            finish: answer.finish,
            model: self.name.as_ref().to_owned(),
            usage: answer.usage,
            cost: Some(0),
            cost_source: CostSource::Free,
            first_piece: None,
            tool_calls: Vec::new(),
            opaque: None,
            limits: None,
            duration: job.started.elapsed(),
            simulated: false,
            raw_usage: None,
        })
    }

    fn load(&mut self) -> Result<(), Failure> {
        *lock(&self.phase) = Phase::Loading;
        let path = self.options.path.display();
        info!(model = &*self.name, %path, "loading the local model");
        let started = Instant::now();
        match catch_unwind(|| Model::load(&self.options.path, self.options.context)) {
            Ok(Ok(model)) => {
                let detail = format!("{} ({}, context of {} tokens)", self.name, model.architecture, model.context);
                info!(model = &*self.name, duration_ms = started.elapsed().as_millis(), "loaded {detail}");
                *lock(&self.phase) = Phase::Ready(detail);
                self.model = Some(model);
                Ok(())
            }
            failed => {
                let why = match failed {
                    Ok(Err(error)) => error,
                    _ => "its contents make no sense".to_owned(),
                };
                let why = format!("the model file {path} cannot be used: {why}");
                error!(model = &*self.name, "{why}");
                *lock(&self.phase) = Phase::Failed(why.clone());
                Err(Failure::new(FailureKind::PlatformFailure, why))
            }
        }
    }
}

/// What a request has that only larger models understand.
fn beyond(request: &Request) -> Option<&'static str> {
    if !request.turns.is_empty() {
        Some("a conversation of several turns")
    } else if !request.tools.is_empty() {
        Some("tools")
    } else if request.output.is_some() {
        Some("a schema for its answer")
    } else if !request.images.is_empty() {
        Some("pictures")
    } else if !request.stop.is_empty() {
        Some("stop sequences")
    } else {
        None
    }
}
