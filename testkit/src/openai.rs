//! A server that speaks OpenAI Chat Completions over real HTTP and misbehaves on demand.
//!
//! It writes its bytes itself instead of through an HTTP library, because most of what it is for (a cut in the middle
//! of a chunk, a body that trickles) is what a library prevents. Each connection serves one request. Requests take
//! their [`Behaviour`] from the script in the order of their arrival, and the default once the script is used up.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

/// The model that answers.
pub const MODEL: &str = "test-model";

/// What the server does with one request for a completion.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Answers, streamed word by word when the request asks for a stream.
    Reply {
        /// The text.
        text: String,
        /// The `usage` object; `Null` sends none.
        usage: Value,
        /// The finish reason.
        finish: String,
    },
    /// Answers with these pieces of text, whether or not a stream was asked for.
    Stream {
        /// The pieces.
        chunks: Vec<String>,
        /// The `usage` object; `Null` sends none.
        usage: Value,
    },
    /// Answers with these pieces of text, one in each interval.
    Slowly {
        /// The pieces.
        chunks: Vec<String>,
        /// The interval.
        pause: Duration,
    },
    /// Sends this response.
    Respond {
        /// The status.
        status: u16,
        /// The content type.
        content_type: String,
        /// More headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// What this says of the request.
    Of(fn(&Received) -> Behaviour),
    /// Waits, then does the other.
    After(Duration, Box<Behaviour>),
    /// Reads the request and never answers. That the client gave up shows in [`OpenAiServer::abandoned`].
    Hang,
    /// Closes the connection without a byte of an answer.
    CutBeforeHeaders,
    /// Promises a whole answer and closes the connection in the middle of it.
    CutBody,
    /// Streams this many pieces, then closes the connection.
    CutStream(usize),
    /// Streams this many pieces and ends the response properly, but without the end of the answer.
    EndStreamEarly(usize),
    /// Streams this many pieces, then an error.
    FailStream(usize),
    /// Sends the headers, then one byte of the body in each interval.
    Trickle(Duration),
}

impl Behaviour {
    /// A good answer with usage.
    #[must_use]
    pub fn reply(text: impl Into<String>) -> Self {
        let usage = json!({ "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 });
        Self::Reply { text: text.into(), usage, finish: "stop".to_owned() }
    }

    /// A response of this status with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::Respond { status, content_type: "application/json".into(), headers: Vec::new(), body: body.to_string() }
    }

    /// An error as OpenAI words it.
    #[must_use]
    pub fn error(status: u16, kind: &str, code: Option<&str>, message: &str) -> Self {
        Self::json(status, &json!({ "error": { "message": message, "type": kind, "param": null, "code": code } }))
    }

    /// 429, with the value of `Retry-After` if there is to be one.
    #[must_use]
    pub fn rate_limited(retry_after: Option<&str>) -> Self {
        let error = Self::error(429, "requests", Some("rate_limit_exceeded"), "Rate limit reached");
        match retry_after {
            Some(value) => error.with_header("Retry-After", value),
            None => error,
        }
    }

    /// 500.
    #[must_use]
    pub fn server_error() -> Self {
        Self::error(500, "server_error", None, "The server had an error while processing your request")
    }

    /// 401, repeating the key like some servers do.
    #[must_use]
    pub fn unauthorized(key: &str) -> Self {
        let message = format!("Incorrect API key provided: {key}.");
        Self::error(401, "invalid_request_error", Some("invalid_api_key"), &message)
    }

    /// 400 because the prompt is too long.
    #[must_use]
    pub fn context_too_long() -> Self {
        let message =
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.";
        Self::error(400, "invalid_request_error", Some("context_length_exceeded"), message)
    }

    /// 400 because of the content.
    #[must_use]
    pub fn content_refused() -> Self {
        let message = "Your request was rejected as a result of our safety system.";
        Self::error(400, "invalid_request_error", Some("content_policy_violation"), message)
    }

    /// 404 because the model is unknown.
    #[must_use]
    pub fn unknown_model() -> Self {
        Self::error(404, "invalid_request_error", Some("model_not_found"), "The model `nope` does not exist")
    }

    /// 200 with half of a JSON text.
    #[must_use]
    pub fn malformed() -> Self {
        Self::respond(200, "application/json", r#"{"id":"chatcmpl-1","choices":[{"index":0,"mess"#)
    }

    /// 200 with a web page, as captive portals send it.
    #[must_use]
    pub fn web_page() -> Self {
        Self::respond(200, "text/html", "<html><body>Please sign in</body></html>")
    }

    /// 200 with an answer that has no choices.
    #[must_use]
    pub fn no_choices() -> Self {
        Self::json(200, &json!({ "id": "chatcmpl-1", "object": "chat.completion", "model": MODEL, "choices": [] }))
    }

    /// This response, with a body of any kind.
    #[must_use]
    pub fn respond(status: u16, content_type: &str, body: &str) -> Self {
        Self::Respond { status, content_type: content_type.into(), headers: Vec::new(), body: body.into() }
    }

    /// The same after a wait.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self::After(wait, Box::new(self))
    }

    /// The same with one more header; changes only what sends a fixed response.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Respond { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body; `Null` when it is no JSON.
    pub json: Value,
}

impl Received {
    /// The value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The running server; it stops when dropped.
#[derive(Debug)]
pub struct OpenAiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    script: VecDeque<Behaviour>,
    default: Behaviour,
    received: Vec<Received>,
    abandoned: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenAiServer {
    /// Starts on a free port of the loopback interface. What comes after the script gets a good answer.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(script: impl IntoIterator<Item = Behaviour>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = State {
            script: script.into_iter().collect(),
            default: Behaviour::reply("Hello from the test server."),
            received: Vec::new(),
            abandoned: 0,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// What to configure as base URL.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Adds to the script.
    pub fn push(&self, behaviour: Behaviour) {
        self.shared.state().script.push_back(behaviour);
    }

    /// Changes what happens when the script is used up.
    pub fn set_default(&self, behaviour: Behaviour) {
        self.shared.state().default = behaviour;
    }

    /// Every request so far, in the order of arrival.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.state().received.clone()
    }

    /// How many requests were given up by the client while the server hung or waited.
    #[must_use]
    pub fn abandoned(&self) -> usize {
        self.shared.state().abandoned
    }

    /// Waits until at least `count` requests have arrived.
    pub async fn wait_received(&self, count: usize) {
        self.wait(|state| state.received.len() >= count).await;
    }

    /// Waits until at least `count` requests were given up.
    pub async fn wait_abandoned(&self, count: usize) {
        self.wait(|state| state.abandoned >= count).await;
    }

    async fn wait(&self, reached: impl Fn(&State) -> bool) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change can fall between look and wait.
            changed.as_mut().enable();
            if reached(&self.shared.state()) {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for OpenAiServer {
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
    socket.set_nodelay(true)?;
    let Some(received) = read_request(&mut socket).await? else {
        return Ok(());
    };
    let streamed = received.json.get("stream").and_then(Value::as_bool).unwrap_or(false);
    // Whatever is asked for by POST is an answer of a model: other platforms call it otherwise.
    let completion = received.method == "POST";
    let models = received.path.ends_with("/models");
    let behaviour = {
        let mut state = shared.state();
        let chosen = match (completion, models) {
            (true, _) => state.script.pop_front().unwrap_or_else(|| state.default.clone()),
            (_, true) => {
                Behaviour::json(200, &json!({ "object": "list", "data": [{ "id": MODEL, "object": "model" }] }))
            }
            _ => Behaviour::respond(404, "text/plain", "404 page not found"),
        };
        let chosen = if let Behaviour::Of(choose) = chosen { choose(&received) } else { chosen };
        state.received.push(received);
        chosen
    };
    shared.changed.notify_waiters();
    play(&mut socket, shared, behaviour, streamed).await
}

async fn play(socket: &mut TcpStream, shared: &Shared, mut behaviour: Behaviour, streamed: bool) -> io::Result<()> {
    while let Behaviour::After(wait, next) = behaviour {
        if tokio::time::timeout(wait, hung_up(socket, shared)).await.is_ok() {
            return Ok(());
        }
        behaviour = *next;
    }
    let words = |text: &str| text.split_inclusive(' ').map(str::to_owned).collect::<Vec<_>>();
    let six = |count| words("one two three four five six").into_iter().take(count).collect::<Vec<_>>();
    match behaviour {
        Behaviour::After(..) | Behaviour::Of(_) | Behaviour::CutBeforeHeaders => Ok(()),
        Behaviour::Hang => {
            hung_up(socket, shared).await;
            Ok(())
        }
        Behaviour::Reply { text, usage, finish } if streamed => {
            stream(socket, &words(&text), Duration::ZERO, &usage, Some(&finish)).await?;
            socket.write_all(&chunk("data: [DONE]\n\n")).await?;
            socket.write_all(b"0\r\n\r\n").await
        }
        Behaviour::Reply { text, usage, finish } => {
            let body = completion(&text, &usage, &finish);
            respond(socket, 200, "application/json", &[], &body).await
        }
        Behaviour::Stream { chunks, usage } => {
            stream(socket, &chunks, Duration::ZERO, &usage, Some("stop")).await?;
            socket.write_all(&chunk("data: [DONE]\n\n")).await?;
            socket.write_all(b"0\r\n\r\n").await
        }
        Behaviour::Slowly { chunks, pause } => {
            stream(socket, &chunks, pause, &Value::Null, Some("stop")).await?;
            socket.write_all(&chunk("data: [DONE]\n\n")).await?;
            socket.write_all(b"0\r\n\r\n").await
        }
        Behaviour::Respond { status, content_type, headers, body } => {
            respond(socket, status, &content_type, &headers, &body).await
        }
        Behaviour::CutBody => {
            let body = completion("a good answer", &Value::Null, "stop");
            let (sent, _) = body.split_at(body.len() / 2);
            socket.write_all(head(200, "application/json", &[], Some(body.len())).as_bytes()).await?;
            socket.write_all(sent.as_bytes()).await
        }
        Behaviour::CutStream(count) => stream(socket, &six(count), Duration::ZERO, &Value::Null, None).await,
        Behaviour::EndStreamEarly(count) => {
            stream(socket, &six(count), Duration::ZERO, &Value::Null, None).await?;
            socket.write_all(b"0\r\n\r\n").await
        }
        Behaviour::FailStream(count) => {
            stream(socket, &six(count), Duration::ZERO, &Value::Null, None).await?;
            let error =
                json!({ "error": { "message": "The server had an error", "type": "server_error", "code": null } });
            socket.write_all(&chunk(&format!("data: {error}\n\n"))).await?;
            socket.write_all(b"0\r\n\r\n").await
        }
        Behaviour::Trickle(interval) => {
            let body = completion("a slow answer", &Value::Null, "stop");
            socket.write_all(head(200, "application/json", &[], Some(body.len())).as_bytes()).await?;
            for byte in body.as_bytes() {
                if tokio::time::timeout(interval, hung_up(socket, shared)).await.is_ok() {
                    return Ok(());
                }
                socket.write_all(&[*byte]).await?;
            }
            Ok(())
        }
    }
}

/// Waits until the client closes its side.
async fn hung_up(socket: &mut TcpStream, shared: &Shared) {
    let mut buffer = [0; 64];
    while matches!(socket.read(&mut buffer).await, Ok(count) if count > 0) {}
    shared.state().abandoned += 1;
    shared.changed.notify_waiters();
}

async fn stream(
    socket: &mut TcpStream,
    pieces: &[String],
    pause: Duration,
    usage: &Value,
    finish: Option<&str>,
) -> io::Result<()> {
    socket.write_all(head(200, "text/event-stream; charset=utf-8", &[], None).as_bytes()).await?;
    let event = |choices: Value, usage: &Value| {
        let mut event = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL,
            "choices": choices,
        });
        set_usage(&mut event, usage);
        chunk(&format!("data: {event}\n\n"))
    };
    let delta = |delta: Value, finish: Option<&str>| json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]);
    socket.write_all(&event(delta(json!({ "role": "assistant", "content": "" }), None), &Value::Null)).await?;
    for piece in pieces {
        socket.write_all(&event(delta(json!({ "content": piece }), None), &Value::Null)).await?;
        socket.flush().await?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    if finish.is_some() {
        socket.write_all(&event(delta(json!({}), finish), &Value::Null)).await?;
    }
    if !usage.is_null() {
        socket.write_all(&event(json!([]), usage)).await?;
    }
    Ok(())
}

pub(crate) async fn respond(
    socket: &mut TcpStream,
    status: u16,
    content_type: &str,
    headers: &[(String, String)],
    body: &str,
) -> io::Result<()> {
    socket.write_all(head(status, content_type, headers, Some(body.len())).as_bytes()).await?;
    socket.write_all(body.as_bytes()).await?;
    socket.shutdown().await
}

fn completion(text: &str, usage: &Value, finish: &str) -> String {
    let mut body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": MODEL,
        "choices": [{
            "index": 0, "message": { "role": "assistant", "content": text, "refusal": null },
            "logprobs": null, "finish_reason": finish,
        }],
    });
    set_usage(&mut body, usage);
    body.to_string()
}

/// `Null` stands for no usage at all.
fn set_usage(body: &mut Value, usage: &Value) {
    if let Some(body) = body.as_object_mut().filter(|_| !usage.is_null()) {
        body.insert("usage".to_owned(), usage.clone());
    }
}

/// The head of a response; without a length the body comes in chunks.
fn head(status: u16, content_type: &str, headers: &[(String, String)], length: Option<usize>) -> String {
    let framing = match length {
        Some(length) => format!("Content-Length: {length}"),
        None => "Transfer-Encoding: chunked".to_owned(),
    };
    let mut head =
        format!("HTTP/1.1 {status} Status\r\nContent-Type: {content_type}\r\n{framing}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head + "\r\n"
}

fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

/// Reads one request; `None` when the client closed before it was whole.
pub(crate) async fn read_request(socket: &mut TcpStream) -> io::Result<Option<Received>> {
    let mut buffer = Vec::new();
    let (head, rest) = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            break (String::from_utf8_lossy(&buffer).into_owned(), rest);
        }
        if socket.read_buf(&mut buffer).await? == 0 {
            return Ok(None);
        }
    };
    let mut lines = head.lines();
    let mut start = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let method = start.next().unwrap_or_default();
    let path = start.next().unwrap_or_default();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = rest;
    while body.len() < length.unwrap_or(0) {
        if socket.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Some(Received { method, path, headers, json }))
}
