//! A double of Cursor's Cloud Agents API, version 1, over real HTTP: agents, runs, usage, cancelling, models, and whose key it is.
//!
//! It is made from the published description (<https://cursor.com/docs/cloud-agent/api/endpoints>, as of October 2026), because no
//! account of Cursor's can be had where this is built; nothing here proves what the real one does where the description is silent.
//! No agent works: how each run goes is what the test says. Each connection serves one request.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use crate::openai::{Received, read_request, respond};

/// What somebody sees who looks at a run.
#[derive(Debug, Clone)]
pub enum Look {
    /// This status; what ends a run comes with [`RESULT`], a branch, and a pull request where one was wished for.
    Status(&'static str),
    /// That it has finished, with this as the agent's last words, or none yet.
    Finished(Option<String>),
    /// An answer of the server that tells nothing of the run.
    Fault(Fault),
}

/// A response that is none of the API's usual ones.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This response.
    Respond {
        /// The status.
        status: u16,
        /// More headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// The connection ends without an answer.
    Cut,
}

impl Fault {
    /// An error in the API's form.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = json!({ "error": { "code": code, "message": message } }).to_string();
        Self::Respond { status, headers: Vec::new(), body }
    }

    /// 429, to come again after so many seconds.
    #[must_use]
    pub fn rate_limited(seconds: &str) -> Self {
        let body = json!({ "error": { "code": "rate_limit_exceeded", "message": "Too many requests" } }).to_string();
        Self::Respond { status: 429, headers: vec![("Retry-After".to_owned(), seconds.to_owned())], body }
    }

    /// 200 with something that is no JSON.
    #[must_use]
    pub fn web_page() -> Self {
        Self::Respond { status: 200, headers: Vec::new(), body: "<html>Please sign in</html>".to_owned() }
    }
}

/// The last words of every run for which a test has none of its own.
pub const RESULT: &str = "Added a README with setup instructions.";

/// The running server; it stops when dropped.
#[derive(Debug)]
pub struct CursorServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    key: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    agents: BTreeMap<String, Agent>,
    /// How the runs of the agents go that are launched next.
    plans: VecDeque<Vec<Look>>,
    /// What the next launches get instead, and whether the agent is there all the same.
    launches: VecDeque<(Fault, bool)>,
    received: Vec<Received>,
    cancelled: Vec<String>,
}

#[derive(Debug)]
struct Agent {
    wish: Value,
    run: String,
    looks: VecDeque<Look>,
    last: &'static str,
    result: Option<String>,
}

impl CursorServer {
    /// Starts on a free port of the loopback interface and takes this key and no other. Runs of agents for which nothing is
    /// planned are seen running once, and then finished.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(key: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { key: key.to_owned(), state: Mutex::default(), changed: Notify::new() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// What to configure as base URL.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How the run of the next agent goes, look by look; the last look stays.
    pub fn plan(&self, looks: impl IntoIterator<Item = Look>) {
        self.shared.state.lock().plans.push_back(looks.into_iter().collect());
    }

    /// What the next launch gets for an answer, and whether the agent is launched all the same.
    pub fn fail_launch(&self, fault: Fault, launched: bool) {
        self.shared.state.lock().launches.push_back((fault, launched));
    }

    /// Every request so far, in the order of arrival.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.state.lock().received.clone()
    }

    /// What the agents were asked for, by their names.
    #[must_use]
    pub fn agents(&self) -> BTreeMap<String, Value> {
        self.shared.state.lock().agents.iter().map(|(name, agent)| (name.clone(), agent.wish.clone())).collect()
    }

    /// The agents whose run was cancelled.
    #[must_use]
    pub fn cancelled(&self) -> Vec<String> {
        self.shared.state.lock().cancelled.clone()
    }

    /// Waits until so many runs were cancelled.
    pub async fn wait_cancelled(&self, count: usize) {
        self.wait(|state| state.cancelled.len() >= count).await;
    }

    /// Waits until so many looks at runs have come.
    pub async fn wait_looked(&self, count: usize) {
        let look = |received: &&Received| received.method == "GET" && received.path.contains("/runs/");
        self.wait(|state| state.received.iter().filter(look).count() >= count).await;
    }

    async fn wait(&self, reached: impl Fn(&State) -> bool) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change can fall between look and wait.
            changed.as_mut().enable();
            if reached(&self.shared.state.lock()) {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for CursorServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Owned here, so that aborting this task ends every connection.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // A client that goes away in the middle is part of the play.
            let _ = serve(socket, &shared).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut socket: TcpStream, shared: &Shared) -> io::Result<()> {
    let Some(received) = read_request(&mut socket).await? else { return Ok(()) };
    let answer = {
        let mut state = shared.state.lock();
        let answer = state.answer(&shared.key, &received);
        state.received.push(received);
        answer
    };
    shared.changed.notify_waiters();
    match answer {
        Fault::Respond { status, headers, body } => {
            respond(&mut socket, status, "application/json", &headers, &body).await
        }
        Fault::Cut => socket.shutdown().await,
    }
}

fn ok(status: u16, body: &Value) -> Fault {
    Fault::Respond { status, headers: Vec::new(), body: body.to_string() }
}

const fn is_over(status: &str) -> bool {
    matches!(status.as_bytes(), b"FINISHED" | b"ERROR" | b"CANCELLED" | b"EXPIRED")
}

impl State {
    fn answer(&mut self, key: &str, received: &Received) -> Fault {
        let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{key}:"));
        let shown = received.header("authorization").unwrap_or_default();
        if shown != format!("Bearer {key}") && shown != format!("Basic {basic}") {
            return Fault::error(401, "unauthorized", &format!("Invalid API key: {shown}"));
        }
        let path = received.path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (received.method.as_str(), parts.as_slice()) {
            ("GET", ["v1", "me"]) => ok(
                200,
                &json!({ "apiKeyName": "For tests", "userEmail": "tests@example.com", "createdAt": "2026-04-13T18:30:00.000Z" }),
            ),
            ("GET", ["v1", "models"]) => ok(200, &json!({ "items": [{ "id": "composer-2" }, { "id": "gpt-5" }] })),
            ("POST", ["v1", "agents"]) => self.launch(&received.json),
            ("GET", ["v1", "agents", agent]) => self.of(agent, |agent, name| ok(200, &agent.shown(name))),
            ("GET", ["v1", "agents", agent, "usage"]) => self.of(agent, |agent, _| ok(200, &agent.usage())),
            ("GET", ["v1", "agents", agent, "runs", run]) => self.of(agent, |agent, name| agent.look(name, run)),
            ("POST", ["v1", "agents", agent, "runs", run, "cancel"]) => {
                let answer = self.of(agent, |agent, _| agent.cancel(run));
                if matches!(answer, Fault::Respond { status: 200, .. }) {
                    self.cancelled.push((*agent).to_owned());
                }
                answer
            }
            _ => Fault::error(404, "not_found", "There is no such endpoint"),
        }
    }

    fn of(&mut self, name: &str, answer: impl FnOnce(&mut Agent, &str) -> Fault) -> Fault {
        match self.agents.get_mut(name) {
            Some(agent) => answer(agent, name),
            None => Fault::error(404, "agent_not_found", "There is no such agent"),
        }
    }

    fn launch(&mut self, wish: &Value) -> Fault {
        let fault = self.launches.pop_front();
        if let Some((fault, false)) = fault {
            return fault;
        }
        if wish.pointer("/prompt/text").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Fault::error(400, "validation_error", "prompt.text is required");
        }
        let number = self.agents.len() + 1;
        let given = wish.get("agentId").and_then(Value::as_str).map(str::to_owned);
        let name = given.unwrap_or_else(|| format!("bc-00000000-0000-4000-8000-{number:012}"));
        if self.agents.contains_key(&name) {
            return Fault::error(409, "agent_id_conflict", "An agent of this ID exists");
        }
        let usual = || vec![Look::Status("RUNNING"), Look::Status("FINISHED")];
        let looks = self.plans.pop_front().unwrap_or_else(usual).into();
        let run = format!("run-00000000-0000-4000-8000-{number:012}");
        let agent = Agent { wish: wish.clone(), run, looks, last: "CREATING", result: None };
        let answer = ok(200, &json!({ "agent": agent.shown(&name), "run": agent.run(&name) }));
        self.agents.insert(name, agent);
        fault.map_or(answer, |(fault, _)| fault)
    }
}

impl Agent {
    fn shown(&self, name: &str) -> Value {
        json!({
            "id": name, "name": "An agent", "status": if is_over(self.last) { "IDLE" } else { "ACTIVE" },
            "env": { "type": "cloud" }, "repos": self.wish.get("repos"), "url": format!("https://cursor.com/agents/{name}"),
            "createdAt": "2026-04-13T18:30:00.000Z", "updatedAt": "2026-04-13T18:30:00.000Z", "latestRunId": self.run,
        })
    }

    fn run(&self, name: &str) -> Value {
        let mut run = json!({
            "id": self.run, "agentId": name, "status": self.last,
            "createdAt": "2026-04-13T18:30:00.000Z", "updatedAt": "2026-04-13T18:45:00.000Z",
        });
        let fields = run.as_object_mut().expect("it is an object");
        if is_over(self.last) {
            fields.insert("durationMs".to_owned(), json!(12_357));
            if let Some(result) = &self.result {
                fields.insert("result".to_owned(), json!(result));
            }
            if self.wish.get("repos").is_some() {
                let pull = self.wish.get("autoCreatePR").and_then(Value::as_bool).unwrap_or(false);
                let mut branch =
                    json!({ "repoUrl": "github.com/your-org/your-repo", "branch": "cursor/add-readme-a1b2" });
                if let Some(branch) = branch.as_object_mut().filter(|_| pull) {
                    branch.insert("prUrl".to_owned(), json!("https://github.com/your-org/your-repo/pull/123"));
                }
                fields.insert("git".to_owned(), json!({ "branches": [branch] }));
            }
        }
        run
    }

    fn look(&mut self, name: &str, run: &str) -> Fault {
        if run != self.run {
            return Fault::error(404, "run_not_found", "There is no such run");
        }
        if self.last != "CANCELLED" {
            let next = if self.looks.len() > 1 { self.looks.pop_front() } else { self.looks.front().cloned() };
            match next {
                None => {}
                Some(Look::Fault(fault)) => return fault,
                Some(Look::Status(status)) => {
                    (self.last, self.result) = (status, is_over(status).then(|| RESULT.to_owned()))
                }
                Some(Look::Finished(result)) => (self.last, self.result) = ("FINISHED", result),
            }
        }
        ok(200, &self.run(name))
    }

    fn cancel(&mut self, run: &str) -> Fault {
        if run != self.run || is_over(self.last) {
            return Fault::error(409, "run_not_cancellable", "The run has ended");
        }
        (self.last, self.result) = ("CANCELLED", None);
        ok(200, &json!({ "id": self.run }))
    }

    fn usage(&self) -> Value {
        let counts = |known: u64| {
            json!({
                "inputTokens": 6160 * known, "outputTokens": 1660 * known, "cacheWriteTokens": 11_100 * known,
                "cacheReadTokens": 21_300 * known, "totalTokens": 40_220 * known,
            })
        };
        let mut run = json!({ "id": self.run, "usage": counts(u64::from(is_over(self.last))) });
        if let Some(run) = run.as_object_mut().filter(|_| is_over(self.last)) {
            run.insert("usageUuid".to_owned(), json!("00000000-0000-0000-0000-000000000001"));
        }
        json!({ "totalUsage": counts(u64::from(is_over(self.last))), "runs": [run] })
    }
}
