//! One prompt, put to one process, over one connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use agent_client_protocol::schema::ProtocolVersion;
use agent_client_protocol::v1::ConnectionTo;
use agent_client_protocol::v1::schema::{
    AuthenticateRequest, CancelNotification, ContentBlock, ContentChunk, Cost, Implementation, InitializeRequest,
    InitializeResponse, NewSessionRequest, PromptRequest, PromptResponse, RequestPermissionRequest,
    RequestPermissionResponse, SessionId, SessionNotification, SessionUpdate, SetSessionModeRequest, StopReason,
    TextContent, Usage as Told,
};
use agent_client_protocol::{Agent, ByteStreams, Client, ErrorCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};
use tokio_util::sync::CancellationToken;

use super::Options;
use crate::program::{self, Running};
use crate::wire::nano_usd;
use crate::{Consumed, CostSource, Failure, FailureKind, Finish, Reply, Usage};

/// How long an agent that was told to stop may take to say that it has.
const GRACE: Duration = Duration::from_secs(2);
/// How long one that is done may take to end by itself. Some never do.
const LEAVE: Duration = Duration::from_millis(300);
/// Of what an agent says about a failure, so much is told.
const WORDS: usize = 400;

/// What is to be done.
pub(super) struct Session {
    pub(super) options: Arc<Options>,
    pub(super) arguments: Vec<String>,
    pub(super) prompt: String,
    /// What the model is called, as far as it was said.
    pub(super) model: String,
    pub(super) timeout: Duration,
    /// Nobody waits for the answer any more.
    pub(super) given_up: CancellationToken,
}

/// What the agent has said so far.
#[derive(Default)]
struct Heard {
    text: String,
    /// Something else came since the last text, or another message began.
    apart: bool,
    message: Option<String>,
    first: Option<Duration>,
    cost: Option<Cost>,
}

impl Session {
    /// Puts the prompt, hands the text on as it comes, and answers when the turn is over and the process has ended.
    pub(super) async fn run(self, pieces: UnboundedSender<String>) -> Result<Reply, Failure> {
        let started = Instant::now();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let running = self.start()?;
        let (said, hearing) = (Arc::clone(&heard), Arc::clone(&heard));
        let tell = move |chunk: &ContentChunk| {
            if let Some(piece) = said.lock().hear(chunk, started) {
                // Whoever listened may have gone.
                let _ = pieces.send(piece);
            }
        };
        let update = move |update: &SessionUpdate| match update {
            SessionUpdate::AgentMessageChunk(chunk) => tell(chunk),
            SessionUpdate::UsageUpdate(usage) => {
                let mut heard = hearing.lock();
                heard.cost = usage.cost.clone().or(heard.cost.take());
            }
            _ => hearing.lock().apart = true,
        };
        let ended = self.connect(running, update, |connection| self.turn(connection, started)).await;
        let heard = std::mem::take(&mut *heard.lock());
        match ended {
            Ok((answered, took)) => self.reply(answered, heard, took),
            Err(failure) => Err(self.with_consumed(failure, &heard, None)),
        }
    }

    /// Only says hello, which costs nothing: what the agent calls itself.
    pub(super) async fn greet(self) -> Result<String, Failure> {
        let late = Failure::timed_out(&self.options.key, self.timeout);
        let hello = async |connection: ConnectionTo<Agent>| {
            let answered = tokio::time::timeout(self.timeout, self.hello(&connection)).await;
            answered.unwrap_or(Err(late))
        };
        let agent = self.connect(self.start()?, |_| (), hello).await?;
        let named = |info: Implementation| format!("{} {}", info.title.unwrap_or(info.name), info.version);
        Ok(cut(&agent.agent_info.map_or_else(|| "an agent without a name".to_owned(), named)))
    }

    fn start(&self) -> Result<Running, Failure> {
        let Options { key, program, directory, environment, .. } = &*self.options;
        program::start(key, program, &self.arguments, directory, environment)
    }

    fn failure(&self, kind: FailureKind, what: &str) -> Failure {
        Failure::new(kind, format!("{}: {what}", self.options.key))
    }

    /// Speaks with a process for as long as `talk` takes, and sees to it that it ends.
    async fn connect<T>(
        &self,
        running: Running,
        update: impl Fn(&SessionUpdate) + Send + Sync + 'static,
        talk: impl AsyncFnOnce(ConnectionTo<Agent>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Running { mut child, group, stdin, stdout, stderr } = running;
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(self.failure(FailureKind::Unreachable, "it has no streams to speak over"));
        };
        let most = self.options.max_output_bytes;
        let transport = ByteStreams::new(stdin.compat_write(), Capped { from: stdout, left: most, most }.compat());
        let permissions = self.options.permissions.clone();
        let conversation = async {
            let said = Client
                .v1()
                .name("hishamos")
                .on_receive_notification(
                    async move |told: SessionNotification, _| {
                        update(&told.update);
                        Ok(())
                    },
                    agent_client_protocol::on_receive_notification!(),
                )
                .on_receive_request(
                    async move |asked: RequestPermissionRequest, responder, _| {
                        responder.respond(RequestPermissionResponse::new(permissions.decide(&asked)))
                    },
                    agent_client_protocol::on_receive_request!(),
                )
                .connect_with(transport, async |connection| Ok(talk(connection).await))
                .await;
            // Its input is closed, by which it knows that it is no longer needed.
            let status = tokio::time::timeout(LEAVE, child.wait()).await;
            group.end();
            (said, status)
        };
        let ((said, status), complaint) = tokio::join!(conversation, program::last_words(stderr));
        let failure = match said {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => failure,
            Err(error) => self.refused(&error),
        };
        // What it complained about says more than that it is gone.
        let status = status.ok().and_then(Result::ok).filter(|status| !status.success());
        match (status, complaint.trim()) {
            (Some(status), complaint) if failure.kind == FailureKind::PlatformFailure => {
                let complaint = if complaint.is_empty() { "without a word" } else { complaint };
                Err(self.failure(failure.kind, &format!("it ended with {status}: {complaint}")))
            }
            _ => Err(failure),
        }
    }

    async fn hello(&self, connection: &ConnectionTo<Agent>) -> Result<InitializeResponse, Failure> {
        let us = Implementation::new("hishamos", env!("CARGO_PKG_VERSION"));
        let hello = InitializeRequest::new(ProtocolVersion::V1).client_info(us);
        // Another version of the protocol is refused below. Whatever is wrong here is wrong with the agent, and not with what it
        // is to be asked.
        connection.send_request(hello).block_task().await.map_err(|error| match self.refused(&error) {
            failure if failure.kind == FailureKind::InvalidRequest => {
                self.failure(FailureKind::PlatformFailure, &cut(&told(&error)))
            }
            failure => failure,
        })
    }

    async fn begin(&self, connection: &ConnectionTo<Agent>) -> Result<SessionId, Failure> {
        self.hello(connection).await?;
        if let Some(method) = &self.options.login {
            let asked = connection.send_request(AuthenticateRequest::new(method.clone())).block_task().await;
            asked.map_err(|error| {
                let what = format!("it could not log itself in by `{method}`: {}", cut(&told(&error)));
                self.failure(FailureKind::Unauthorized, &what)
            })?;
        }
        let new = NewSessionRequest::new(self.options.directory.clone());
        let session = connection.send_request(new).block_task().await.map_err(|error| self.refused(&error))?;
        if let Some(mode) = &self.options.mode {
            let modes = session.modes.map(|modes| modes.available_modes).unwrap_or_default();
            if !modes.iter().any(|known| known.id.to_string() == *mode) {
                let known: Vec<String> = modes.iter().map(|known| format!("`{}`", known.id)).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let what = format!("it has no mode `{mode}`; it has {known}");
                return Err(self.failure(FailureKind::InvalidRequest, &cut(&what)));
            }
            let set = SetSessionModeRequest::new(session.session_id.clone(), mode.clone());
            connection.send_request(set).block_task().await.map_err(|error| self.refused(&error))?;
        }
        Ok(session.session_id)
    }

    /// The whole of one turn, cancelled when the time is up or nobody waits any more.
    async fn turn(
        &self,
        connection: ConnectionTo<Agent>,
        started: Instant,
    ) -> Result<(PromptResponse, Duration), Failure> {
        let deadline = started + self.timeout;
        let enough = async {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => Failure::timed_out(&self.options.key, self.timeout),
                () = self.given_up.cancelled() => self.failure(FailureKind::Timeout, "nobody waits for it any more"),
            }
        };
        tokio::pin!(enough);
        let session = tokio::select! {
            begun = self.begin(&connection) => begun?,
            failure = &mut enough => return Err(failure),
        };
        let prompt = vec![ContentBlock::Text(TextContent::new(self.prompt.clone()))];
        let answer = connection.send_request(PromptRequest::new(session.clone(), prompt)).block_task();
        tokio::pin!(answer);
        tokio::select! {
            answered = &mut answer => match answered {
                Ok(answered) => Ok((answered, started.elapsed())),
                Err(error) => Err(self.refused(&error)),
            },
            failure = &mut enough => {
                if connection.send_notification(CancelNotification::new(session)).is_ok() {
                    // It stops whatever it is doing and says so; if not, it is ended.
                    let _ = tokio::time::timeout(GRACE, answer).await;
                }
                Err(failure)
            }
        }
    }

    /// What the agent answered instead of doing what it was asked, or that it has gone.
    fn refused(&self, error: &agent_client_protocol::Error) -> Failure {
        let kind = match error.code {
            ErrorCode::AUTH_REQUIRED => FailureKind::Unauthorized,
            ErrorCode::INVALID_PARAMS | ErrorCode::INVALID_REQUEST | ErrorCode::METHOD_NOT_FOUND => {
                FailureKind::InvalidRequest
            }
            _ => FailureKind::PlatformFailure,
        };
        let wants = if kind == FailureKind::Unauthorized { "; log it in first, or say by which method" } else { "" };
        self.failure(kind, &format!("{}{wants}", cut(&told(error))))
    }

    fn reply(&self, answered: PromptResponse, heard: Heard, took: Duration) -> Result<Reply, Failure> {
        let finish = match answered.stop_reason {
            StopReason::EndTurn => Finish::Stop,
            StopReason::MaxTokens => Finish::Length,
            StopReason::Refusal => Finish::ContentFilter,
            StopReason::MaxTurnRequests => Finish::other("max_turn_requests"),
            other => {
                let what = format!("it ended its turn with {other:?}, which nobody had asked for");
                let failure = self.failure(FailureKind::PlatformFailure, &what);
                return Err(self.with_consumed(failure, &heard, answered.usage.as_ref()));
            }
        };
        let cost = dollars(heard.cost.as_ref());
        let raw_usage = heard.account(answered.usage.as_ref());
        Ok(Reply {
            text: heard.text,
            finish,
            model: self.model.clone(),
            usage: answered.usage.as_ref().map(usage).unwrap_or_default(),
            cost,
            cost_source: CostSource::of_reported(cost),
            duration: took,
            first_piece: heard.first,
            simulated: false,
            raw_usage,
            tool_calls: Vec::new(),
            opaque: None,
            limits: None,
        })
    }

    fn with_consumed(&self, failure: Failure, heard: &Heard, answered: Option<&Told>) -> Failure {
        if heard.text.is_empty() && heard.cost.is_none() && answered.is_none() {
            return failure;
        }
        let cost = dollars(heard.cost.as_ref());
        failure.with_consumed(Consumed {
            usage: answered.map(usage).unwrap_or_default(),
            raw_usage: heard.account(answered),
            text_bytes: heard.text.len(),
            model: Some(self.model.clone()),
            cost,
            cost_source: CostSource::of_reported(cost),
        })
    }
}

impl Heard {
    /// What the agent has told of what it used, word for word.
    fn account(&self, answered: Option<&Told>) -> Option<Value> {
        let told = answered.is_some() || self.cost.is_some();
        told.then(|| json!({ "usage": answered, "cost": self.cost }))
    }

    /// What is new, with an empty line before it where another message begins.
    fn hear(&mut self, chunk: &ContentChunk, started: Instant) -> Option<String> {
        let ContentBlock::Text(TextContent { text, .. }) = &chunk.content else { return None };
        if text.is_empty() {
            return None;
        }
        let message = chunk.message_id.as_ref().map(ToString::to_string);
        let another = message.is_some() && self.message.is_some() && message != self.message;
        let apart = (self.apart || another) && !self.text.is_empty();
        let gap = match (apart, self.text.ends_with("\n\n"), self.text.ends_with('\n')) {
            (false, ..) | (_, true, _) => "",
            (_, _, true) => "\n",
            _ => "\n\n",
        };
        self.apart = false;
        self.message = message.or(self.message.take());
        self.first.get_or_insert_with(|| started.elapsed());
        let piece = format!("{gap}{text}");
        self.text.push_str(&piece);
        Some(piece)
    }
}

/// What an agent says of what is wrong.
fn told(error: &agent_client_protocol::Error) -> String {
    match error.data.as_ref().and_then(|data| data.as_str().or_else(|| data.get("details")?.as_str())) {
        Some(data) => format!("{}: {data}", error.message),
        None => error.message.clone(),
    }
}

/// What it says it has cost, where that is in dollars.
fn dollars(cost: Option<&Cost>) -> Option<i64> {
    cost.filter(|cost| cost.currency == "USD").and_then(|cost| nano_usd(cost.amount))
}

/// Some agents count what was read from a cache, and reasoning, beside input and output, and some within; the sum tells.
fn usage(told: &Told) -> Usage {
    let (read, written, thought) = (told.cached_read_tokens, told.cached_write_tokens, told.thought_tokens);
    let more = [read, written].into_iter().flatten().fold(told.input_tokens, u64::saturating_add);
    let out = told.output_tokens.saturating_add(thought.unwrap_or_default());
    let beside = more.saturating_add(out) == told.total_tokens;
    Usage {
        input: Some(if beside { more } else { told.input_tokens }),
        cached_input: read,
        cache_write_other: written,
        output: Some(if beside { out } else { told.output_tokens }),
        reasoning: thought,
        ..Usage::default()
    }
}

fn cut(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(WORDS).collect()
}

/// Bytes up to a limit, beyond which reading fails: no line and no conversation is longer.
struct Capped<R> {
    from: R,
    left: usize,
    most: usize,
}

impl<R: AsyncRead + Unpin> AsyncRead for Capped<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(std::io::Error::other(format!("it wrote more than {} bytes", self.most))));
        }
        let before = into.filled().len();
        let read = Pin::new(&mut self.from).poll_read(context, into);
        let got = into.filled().len().saturating_sub(before);
        self.left = self.left.saturating_sub(got);
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(total: u64, input: u64, output: u64) -> Told {
        Told::new(total, input, output)
    }

    #[test]
    fn tokens_beside_the_totals_and_within_them_are_told_apart() {
        let beside = usage(&counted(1_130, 100, 20).cached_read_tokens(1_000).thought_tokens(10));
        assert_eq!((beside.input, beside.cached_input), (Some(1_100), Some(1_000)));
        assert_eq!((beside.output, beside.reasoning), (Some(30), Some(10)));
        let within = usage(&counted(1_120, 1_100, 20).cached_read_tokens(1_000).thought_tokens(10));
        assert_eq!((within.input, within.output), (Some(1_100), Some(20)));
        let plain = usage(&counted(3, 2, 1));
        assert_eq!((plain.input, plain.cached_input, plain.output, plain.reasoning), (Some(2), None, Some(1), None));
    }

    #[test]
    fn messages_are_kept_apart_and_their_pieces_together() {
        let mut heard = Heard::default();
        let piece = |text: &str| ContentChunk::new(ContentBlock::Text(TextContent::new(text)));
        let now = Instant::now();
        for text in ["I look ", "around."] {
            heard.hear(&piece(text), now);
        }
        heard.apart = true;
        assert_eq!(heard.hear(&piece("Done.\n"), now).as_deref(), Some("\n\nDone.\n"));
        heard.hear(&piece("One").message_id("a"), now);
        heard.hear(&piece(" two").message_id("a"), now);
        heard.hear(&piece("three").message_id("b"), now);
        assert_eq!(heard.text, "I look around.\n\nDone.\nOne two\n\nthree");
    }
}
