//! Cursor's cloud agents, which work on a repository in Cursor's cloud, over the Cloud Agents API, version 1
//! (<https://cursor.com/docs/cloud-agent/api/endpoints>, a public beta): launched with one request, looked at until their run has
//! ended, and told to stop when nobody waits for them any more.
//!
//! Invariants: one call launches one agent at most, and a call with the token of an earlier one follows the agent which that one has
//! launched, as long as that agent has not failed; an answer that nobody waits for any more is cancelled by the API's own word; a look
//! that fails is no failure of the agent until many have failed in a row; what Cursor does not tell of tokens and cost is unknown,
//! never nothing. The key goes to the base URL and nowhere else.

mod api;
mod read;
mod session;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use settings::KIND;

use self::api::Api;
use self::session::{Session, agent_name};
use crate::{ExternalAgent, Failure, FailureKind, Health, Model, Reply, Request, State, Work, http, program};

/// Where the API begins.
pub const HOME: &str = "https://api.cursor.com";

/// How Cursor is reached, and what its agents work on.
#[derive(Debug, Clone)]
pub struct Options {
    /// The key, the address, the model and so on; further keys and prices are not used, because an agent belongs to the key that
    /// launched it, and nobody knows what it costs.
    pub http: http::Options,
    /// What agents work on; they work on nothing when not given, and only think.
    pub repository: Option<Repository>,
    /// How long after the launch is looked for the first time.
    pub first_look: Duration,
    /// Between looks passes more and more time, but no more than this.
    pub longest_pause: Duration,
    /// So many looks that fail in a row end the call.
    pub failed_looks: u32,
}

/// What agents work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its URL, at any source control provider that is connected to Cursor.
    pub url: String,
    /// The branch or commit that they begin with; the usual branch when not given.
    pub starting_ref: Option<String>,
    /// Whether Cursor opens a pull request when one has ended.
    pub pull_request: bool,
    /// Whether they push to the branch that they began with instead of one of their own.
    pub same_branch: bool,
}

impl Options {
    /// Agents without a repository, looked at after 3 seconds and at least every 20; 20 looks that fail in a row end a call.
    #[must_use]
    pub const fn new(http: http::Options) -> Self {
        Self {
            http,
            repository: None,
            first_look: Duration::from_secs(3),
            longest_pause: Duration::from_secs(20),
            failed_looks: 20,
        }
    }
}

/// The agents. All clones share their sessions, which end with the last of them.
#[derive(Debug, Clone)]
pub struct Cursor {
    options: Arc<Options>,
    api: Arc<Api>,
    sessions: Arc<Mutex<JoinSet<()>>>,
}

impl Cursor {
    /// Prepares it; connects to nothing.
    ///
    /// # Errors
    /// When the options cannot work.
    pub fn new(options: Options) -> Result<Self, http::Error> {
        let api = Arc::new(Api::new(&options.http)?);
        Ok(Self { options: Arc::new(options), api, sessions: Arc::default() })
    }

    /// Lets a session work by itself; whoever waits hears of its end.
    fn begin(&self, session: Session) -> oneshot::Receiver<Result<Reply, Failure>> {
        let (ended, end) = oneshot::channel();
        let mut sessions = self.sessions.lock();
        while sessions.try_join_next().is_some() {}
        sessions.spawn(async move {
            // Nobody may be left to hear it.
            let _ = ended.send(session.run().await);
        });
        end
    }

    fn session(&self, request: &Request) -> Result<Session, Failure> {
        let Options { http, .. } = &*self.options;
        // The pictures go beside the text.
        let text = program::as_one_text(&http.key, &Request { images: Vec::new(), ..request.clone() })?;
        Ok(Session {
            api: Arc::clone(&self.api),
            options: Arc::clone(&self.options),
            model: request.model.clone().or_else(|| http.model.clone()),
            prompt: read::prompt(&http.key, &text, &request.images)?,
            names: agent_name(request),
            wants_json: request.output.is_some(),
            timeout: request.timeout,
            given_up: CancellationToken::new(),
            known: Mutex::default(),
        })
    }
}

#[async_trait]
impl ExternalAgent for Cursor {
    fn key(&self) -> &str {
        &self.options.http.key
    }

    fn default_model(&self) -> Option<&str> {
        self.options.http.model.as_deref()
    }

    fn unusable(&self) -> Option<String> {
        let missing = self.options.http.api_key.is_none();
        missing.then(|| "no API key: set CURSOR_API_KEY, or api_key of the platform".to_owned())
    }

    fn account(&self) -> String {
        self.options.http.account()
    }

    fn takes_images(&self) -> bool {
        true
    }

    async fn start(&self, job: Request) -> Result<Work, Failure> {
        if let Some(why) = self.unusable() {
            return Err(Failure::new(FailureKind::Unauthorized, format!("{}: {why}", self.key())));
        }
        let session = self.session(&job)?;
        let gone = Failure::new(FailureKind::PlatformFailure, format!("{}: its session was ended", self.key()));
        // Whoever drops the work gives up; the session then has the time to tell Cursor so.
        let waiting = session.given_up.clone().drop_guard();
        let end = self.begin(session);
        Ok(Work::silent(async move {
            let end = end.await.unwrap_or(Err(gone));
            drop(waiting);
            end
        }))
    }

    async fn models(&self) -> Result<Vec<Model>, Failure> {
        Ok(read::models(&self.api.get(&["v1", "models"]).await?))
    }

    async fn health(&self) -> Health {
        let unusable = |detail: String| Health { state: State::Unusable, detail };
        if let Some(detail) = self.unusable() {
            return unusable(detail);
        }
        match self.api.get(&["v1", "me"]).await {
            Ok(me) => Health { state: State::Ready, detail: read::whose(&me) },
            Err(refusal) => unusable(refusal.failure.message),
        }
    }

    fn can_be_probed(&self) -> bool {
        self.unusable().is_none()
    }

    async fn probe(&self) -> Result<(), Failure> {
        Ok(self.api.get(&["v1", "me"]).await.map(drop)?)
    }
}
