//! GraphQL over WebSocket: the graphql-transport-ws protocol
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>), with its close codes.
//!
//! Operations run on the program's runtime and hand their messages over one at a time, so a client that does not read
//! slows only itself, and is given up when its patience is used up. When the server stops, every connection is closed
//! with 1001; a client goes on by subscribing after the last position that it saw.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session};
use async_graphql::{Request, Response};
use futures_util::StreamExt;
use schema::Caller;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::Instrument;

use super::metrics::Underway;
use super::reply::refuse;
use super::{State, denials, graphql, metrics, trace};

const PROTOCOL: &str = "graphql-transport-ws";

/// How many messages of all operations of a connection wait for the client.
const OUTBOX: usize = 16;
/// For how many times its patience the reason of a close waits for a client that does not read.
const LAST_PATIENCE: u32 = 12;
/// How many bytes the reason in a close frame may have.
const CLOSE_REASON: usize = 123;

/// `GET /graphql/ws`.
pub(super) async fn upgrade(request: HttpRequest, body: Payload, state: Data<State>) -> HttpResponse {
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).filter_map(|value| value.to_str().ok());
    if !offered.flat_map(|value| value.split(',')).any(|protocol| protocol.trim() == PROTOCOL) {
        let message = "this is a WebSocket with subprotocol graphql-transport-ws; offer it in Sec-WebSocket-Protocol";
        return refuse(StatusCode::BAD_REQUEST, "SUBPROTOCOL_REFUSED", message);
    }
    if state.closing.is_cancelled() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "SHUTTING_DOWN", "the server is shutting down");
    }
    let Ok(permit) = std::sync::Arc::clone(&state.sockets).try_acquire_owned() else {
        let message = format!("there are {} WebSocket connections already; close one", state.options.max_sockets);
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", &message);
    };
    let correlation = trace::correlation(&request);
    let caller = match graphql::caller(&request, &state, correlation) {
        Ok(caller) => caller,
        Err(message) => return refuse(StatusCode::BAD_REQUEST, "ARGUMENT_INVALID", message),
    };
    let (response, session, messages) = match actix_ws::handle_with_protocols(&request, body, &[PROTOCOL]) {
        Ok(parts) => parts,
        Err(error) => return error.error_response(),
    };
    let limit = state.options.max_body;
    let messages = messages.max_frame_size(limit).aggregate_continuations().max_continuation_size(limit);
    let span = tracing::info_span!("socket", %correlation);
    let counted = Underway::connection();
    let tracker = state.tracker.clone();
    let patience = state.options.patience;
    let connection = async move {
        let reason = Connection::new(state, session.clone(), caller).run(messages).await;
        tracing::debug!(code = reason.as_ref().map(|reason| u16::from(reason.code)), "socket closed");
        // The client may be gone; then there is nobody to tell.
        let _ = tokio::time::timeout(patience * LAST_PATIENCE, session.close(reason)).await;
        drop((permit, counted));
    };
    // The worker drives the connection until it ends; the tracker lets shutdown wait for it.
    actix_web::rt::spawn(tracker.track_future(connection.instrument(span)));
    response
}

/// What a client may say.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ClientMessage {
    ConnectionInit,
    Subscribe { id: String, payload: Box<Request> },
    Complete { id: String },
    Ping { payload: Option<Value> },
    Pong,
}

/// What the server says.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ServerMessage<'a> {
    ConnectionAck,
    Next {
        id: &'a str,
        payload: &'a Response,
    },
    Error {
        id: &'a str,
        payload: &'a [async_graphql::ServerError],
    },
    Complete {
        id: &'a str,
    },
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Value>,
    },
}

/// A message of an operation, on its way to the client.
struct Outgoing {
    id: String,
    /// Tells operations apart that used the same id one after the other.
    operation: u64,
    text: String,
    /// How far the operation is with it, when it is a subscription.
    position: Option<schema::Reached>,
    /// Whether the operation ends with it.
    last: bool,
}

struct Operation {
    number: u64,
    task: AbortHandle,
    /// How far what the client was sent reaches.
    told: Option<schema::Reached>,
}

struct Connection {
    state: Data<State>,
    session: Session,
    caller: Caller,
    acknowledged: bool,
    operations: HashMap<String, Operation>,
    started: u64,
    outbox: mpsc::Sender<Outgoing>,
    inbox: Option<mpsc::Receiver<Outgoing>>,
    heard: Instant,
}

/// Why a connection ends: what the client is told, if it can be told anything.
type End = Option<CloseReason>;

fn close(code: u16, reason: impl Into<String>) -> End {
    Some(CloseReason { code: CloseCode::from(code), description: Some(reason.into()) })
}

impl Connection {
    fn new(state: Data<State>, session: Session, caller: Caller) -> Self {
        let (outbox, inbox) = mpsc::channel(OUTBOX);
        Self {
            state,
            session,
            caller,
            acknowledged: false,
            operations: HashMap::new(),
            started: 0,
            outbox,
            inbox: Some(inbox),
            heard: Instant::now(),
        }
    }

    /// Talks until one side has enough.
    async fn run(mut self, mut messages: AggregatedMessageStream) -> End {
        let mut inbox = self.inbox.take()?;
        let closing = self.state.closing.clone();
        let keepalive = self.state.options.keepalive;
        let mut pulse = tokio::time::interval_at(tokio::time::Instant::now() + keepalive, keepalive);
        let init = tokio::time::sleep(self.state.options.patience);
        tokio::pin!(init);
        loop {
            let step = tokio::select! {
                biased;
                () = closing.cancelled() => {
                    Err(close(1001, "the server is shutting down; subscribe again after the last position you saw"))
                }
                () = &mut init, if !self.acknowledged => Err(close(4408, "Connection initialisation timeout")),
                message = messages.recv() => self.hear(message).await,
                Some(outgoing) = inbox.recv() => self.tell(outgoing).await,
                _ = pulse.tick() => self.check_pulse(keepalive).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn hear(&mut self, message: Option<Result<AggregatedMessage, ProtocolError>>) -> Result<(), End> {
        self.heard = Instant::now();
        match message {
            None => Err(None),
            Some(Err(ProtocolError::Overflow)) => {
                denials::message(&self.state, &self.caller, "BODY_TOO_LARGE");
                Err(close(1009, "the message is too large"))
            }
            Some(Err(error)) => Err(close(1002, error.to_string())),
            Some(Ok(AggregatedMessage::Text(text))) => self.understand(text.as_bytes()).await,
            Some(Ok(AggregatedMessage::Binary(_))) => Err(close(4400, "messages are JSON text")),
            Some(Ok(AggregatedMessage::Ping(bytes))) => {
                let mut session = self.session.clone();
                self.patiently(async move { session.pong(&bytes).await }).await
            }
            Some(Ok(AggregatedMessage::Pong(_))) => Ok(()),
            Some(Ok(AggregatedMessage::Close(reason))) => Err(reason),
        }
    }

    async fn understand(&mut self, bytes: &[u8]) -> Result<(), End> {
        let message =
            serde_json::from_slice(bytes).map_err(|error| close(4400, format!("Invalid message: {error}")))?;
        match message {
            ClientMessage::ConnectionInit if self.acknowledged => Err(close(4429, "Too many initialisation requests")),
            ClientMessage::ConnectionInit => {
                self.acknowledged = true;
                self.say(&ServerMessage::ConnectionAck).await
            }
            ClientMessage::Ping { payload } => self.say(&ServerMessage::Pong { payload }).await,
            ClientMessage::Pong => Ok(()),
            ClientMessage::Complete { id } => {
                if let Some(operation) = self.operations.remove(&id) {
                    operation.task.abort();
                }
                Ok(())
            }
            ClientMessage::Subscribe { .. } if !self.acknowledged => Err(close(4401, "Unauthorized")),
            ClientMessage::Subscribe { id, .. } if self.operations.contains_key(&id) => {
                Err(close(4409, format!("Subscriber for {id} already exists")))
            }
            ClientMessage::Subscribe { id, payload } => self.start(id, *payload).await,
        }
    }

    async fn start(&mut self, id: String, mut request: Request) -> Result<(), End> {
        if self.operations.len() >= self.state.options.max_operations {
            let message = format!("one connection may have {} operations under way", self.state.options.max_operations);
            let error = async_graphql::ServerError::new(message, None);
            return self.say(&ServerMessage::Error { id: &id, payload: &[error] }).await;
        }
        if let Err(refusal) = self.state.documents.resolve(&mut request) {
            let error = async_graphql::ServerError::new(refusal.message, None);
            let mut response = Response::from_errors(vec![error]);
            schema::label_as(&mut response, refusal.code);
            if refusal.status.is_client_error() {
                denials::message(&self.state, &self.caller, refusal.code);
            }
            return self.say(&ServerMessage::Error { id: &id, payload: &response.errors }).await;
        }
        self.started += 1;
        let number = self.started;
        let kind = graphql::word(graphql::kind(&mut request));
        let noted = denials::Operation::of(&self.caller, &mut request);
        let state = Data::clone(&self.state);
        let (request, progress) = self.caller.clone().follows(request);
        let mut responses = self.state.schema.execute_stream(request);
        let outbox = self.outbox.clone();
        let name = id.clone();
        let counted = Underway::operation();
        let work = async move {
            let mut failed = false;
            let mut first = true;
            while let Some(mut response) = responses.next().await {
                schema::label(&mut response);
                noted.answered(&state, &response);
                failed |= response.is_err();
                // What never began ends with `error`; what failed on the way is a `next` with errors in it.
                let refused = first && graphql::is_request_error(&response);
                first = false;
                let text = write(&if refused {
                    ServerMessage::Error { id: &name, payload: &response.errors }
                } else {
                    ServerMessage::Next { id: &name, payload: &response }
                });
                let position = progress.position();
                let outgoing = Outgoing { id: name.clone(), operation: number, text, position, last: refused };
                if outbox.send(outgoing).await.is_err() || refused {
                    metrics::operation(kind, failed);
                    return;
                }
            }
            metrics::operation(kind, failed);
            let text = write(&ServerMessage::Complete { id: &name });
            // Nobody listens any more when the connection has just ended.
            let _ = outbox.send(Outgoing { id: name, operation: number, text, position: None, last: true }).await;
            drop(counted);
        };
        let task = self.state.tracker.spawn_on(work.in_current_span(), &self.state.runtime).abort_handle();
        self.operations.insert(id, Operation { number, task, told: None });
        Ok(())
    }

    /// Passes a message of an operation on, unless the client has given the operation up.
    async fn tell(&mut self, outgoing: Outgoing) -> Result<(), End> {
        if self.operations.get(&outgoing.id).is_none_or(|operation| operation.number != outgoing.operation) {
            return Ok(());
        }
        if outgoing.last {
            self.operations.remove(&outgoing.id);
        }
        self.send(outgoing.text).await?;
        if let Some(operation) = self.operations.get_mut(&outgoing.id)
            && outgoing.position.is_some()
        {
            operation.told = outgoing.position;
        }
        Ok(())
    }

    /// What a client is told that reads too slowly: after which position each of its subscriptions goes on, as far as
    /// there is room in a close frame. What is left out, the client has seen itself.
    fn too_slow(&self) -> End {
        let mut reason = "the client reads too slowly".to_owned();
        let mut told: Vec<_> = self.operations.iter().filter_map(|(id, of)| Some((id, of.told?))).collect();
        told.sort();
        let alone = told.len() == 1;
        for (id, position) in told {
            let part = if alone {
                format!("; subscribe again after position {position}")
            } else {
                format!("; {id}: subscribe again after position {position}")
            };
            if reason.len() + part.len() > CLOSE_REASON {
                break;
            }
            reason.push_str(&part);
        }
        close(1008, reason)
    }

    async fn check_pulse(&mut self, keepalive: Duration) -> Result<(), End> {
        if self.heard.elapsed() > keepalive * 5 / 2 {
            // Whoever has not been heard for so long will not hear us either.
            return Err(close(1011, "no sign of life"));
        }
        let mut session = self.session.clone();
        self.patiently(async move { session.ping(b"").await }).await
    }

    async fn say(&mut self, message: &ServerMessage<'_>) -> Result<(), End> {
        self.send(write(message)).await
    }

    async fn send(&mut self, text: String) -> Result<(), End> {
        let mut session = self.session.clone();
        self.patiently(async move { session.text(text).await }).await
    }

    /// Sends as long as the client takes to read, within limits and until shutdown.
    async fn patiently(&self, sending: impl Future<Output = Result<(), actix_ws::Closed>>) -> Result<(), End> {
        match tokio::time::timeout(self.state.options.patience, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => Err(self.too_slow()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.operations.values().for_each(|operation| operation.task.abort());
    }
}

/// A message as JSON. Writing these types cannot fail; should it ever, the client is told so in the same protocol.
fn write(message: &ServerMessage<'_>) -> String {
    serde_json::to_string(message).unwrap_or_else(|error| {
        tracing::error!(%error, "a message could not be written");
        r#"{"type":"ping"}"#.to_owned()
    })
}
