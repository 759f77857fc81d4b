//! An agent that is a program on this machine and speaks the Agent Client Protocol over its standard streams (JSON-RPC 2.0,
//! version 1 of <https://agentclientprotocol.com>), by the protocol's own crate.
//!
//! Invariants: nothing but the configured program is started, with the configured arguments and never through a shell; it sees no
//! environment but what is configured; each call has a process and a session of its own; what it asks to be allowed is denied
//! unless the configuration names it, and we offer it neither files nor terminals; an answer that nobody waits for any more is
//! cancelled by the protocol's own word, and the process with whatever it started is ended at most two seconds later; what it does
//! not tell of its cost is unknown, never nothing.

mod permission;
mod session;
mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use permission::{Permissions, UnknownAction};
pub use settings::KIND;

use self::session::Session;
use crate::program::{self, MODEL};
use crate::{ExternalAgent, Failure, FailureKind, Health, Request, State, Work};

/// How long an agent may take to say hello.
const HELLO: Duration = Duration::from_secs(20);

/// What is started, and how it is spoken with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The platform's key.
    pub key: String,
    /// The program, with its whole path.
    pub program: PathBuf,
    /// Its arguments; `{model}` in one of them is the model.
    pub arguments: Vec<String>,
    /// Where it works.
    pub directory: PathBuf,
    /// Its environment, all of it.
    pub environment: BTreeMap<String, String>,
    /// The model for requests that name none.
    pub model: Option<String>,
    /// The method by which it is told to log itself in; it is not told when not given.
    pub login: Option<String>,
    /// The mode that its sessions are put into; its own usual one when not given.
    pub mode: Option<String>,
    /// What it may do when it asks.
    pub permissions: Permissions,
    /// How much it may write to us in one session, its accounts of what it does included.
    pub max_output_bytes: usize,
}

impl Options {
    /// 64 MiB of output at most; no environment, and nothing that it asks for is allowed.
    #[must_use]
    pub fn new(key: impl Into<String>, program: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Self {
        Self {
            key: key.into(),
            program: program.into(),
            arguments: Vec::new(),
            directory: directory.into(),
            environment: BTreeMap::new(),
            model: None,
            login: None,
            mode: None,
            permissions: Permissions::default(),
            max_output_bytes: 64 << 20,
        }
    }
}

/// Options that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program has no whole path, so which one it is would depend on the environment.
    #[error("the program `{}` has no whole path", .0.display())]
    Relative(PathBuf),
    /// The protocol wants a whole path for the place of work.
    #[error("the directory `{}` has no whole path", .0.display())]
    RelativeDirectory(PathBuf),
    /// An argument with something in braces that means nothing.
    #[error("the argument `{0}` has `{{…}}` other than {{model}}; the prompt comes over the protocol")]
    Placeholder(String),
}

/// The agent. All clones share their sessions, which end with the last of them.
#[derive(Debug, Clone)]
pub struct AcpAgent {
    options: Arc<Options>,
    sessions: Arc<Mutex<JoinSet<()>>>,
}

impl AcpAgent {
    /// Prepares it; starts nothing.
    ///
    /// # Errors
    /// When the options cannot work.
    pub fn new(options: Options) -> Result<Self, Error> {
        if let Some(program) = program::relative(&options.program) {
            return Err(Error::Relative(program));
        }
        if let Some(directory) = program::relative(&options.directory) {
            return Err(Error::RelativeDirectory(directory));
        }
        if let Some(argument) = program::unknown_placeholder(&options.arguments, &[MODEL]) {
            return Err(Error::Placeholder(argument.to_owned()));
        }
        Ok(Self { options: Arc::new(options), sessions: Arc::default() })
    }

    fn session(&self, request: &Request) -> Result<Session, Failure> {
        let Options { key, program, arguments, model, .. } = &*self.options;
        let prompt = program::as_one_text(key, request)?;
        let asked = program::model(key, request, model.as_deref(), arguments)?;
        Ok(Session {
            arguments: arguments.iter().map(|argument| argument.replace(MODEL, asked.unwrap_or_default())).collect(),
            options: Arc::clone(&self.options),
            prompt,
            model: program::called(asked, program),
            timeout: request.timeout,
            given_up: CancellationToken::new(),
        })
    }
}

#[async_trait]
impl ExternalAgent for AcpAgent {
    fn key(&self) -> &str {
        &self.options.key
    }

    fn default_model(&self) -> Option<&str> {
        self.options.model.as_deref()
    }

    fn unusable(&self) -> Option<String> {
        program::missing(&self.options.program, &self.options.directory)
    }

    fn can_be_followed(&self) -> bool {
        true
    }

    async fn start(&self, job: Request) -> Result<Work, Failure> {
        let session = self.session(&job)?;
        let gone = Failure::new(FailureKind::PlatformFailure, format!("{}: its session was ended", self.options.key));
        // Whoever drops the work gives up; the session then has the time to say so to the agent.
        let waiting = session.given_up.clone().drop_guard();
        let (pieces, texts) = mpsc::unbounded_channel();
        let (ended, end) = oneshot::channel();
        let mut sessions = self.sessions.lock();
        while sessions.try_join_next().is_some() {}
        sessions.spawn(async move {
            // Nobody may be left to hear it.
            let _ = ended.send(session.run(pieces).await);
        });
        drop(sessions);
        let says = stream::unfold(texts, async |mut texts: mpsc::UnboundedReceiver<String>| {
            Some((texts.recv().await?, texts))
        });
        Ok(Work::new(says, async move {
            let end = end.await.unwrap_or(Err(gone));
            drop(waiting);
            end
        }))
    }

    async fn health(&self) -> Health {
        let unusable = |detail: String| Health { state: State::Unusable, detail };
        if let Some(detail) = self.unusable() {
            return unusable(detail);
        }
        let model = self.options.model.clone();
        let hello = Request { model, timeout: HELLO, ..Request::new("") };
        let greeted = match self.session(&hello) {
            Ok(session) => session.greet().await,
            Err(failure) => Err(failure),
        };
        match greeted {
            Ok(name) => Health { state: State::Ready, detail: name },
            Err(failure) => unusable(failure.message),
        }
    }
}
