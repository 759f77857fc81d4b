//! The CLI as a client of a running server: GraphQL over HTTP, and subscriptions over WebSocket.

use std::time::Duration;

use anyhow::{Context, anyhow};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::failure::Failure;
use crate::server::PERSON;

/// How long one question may take, a wait for a read model included.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How many entries of a list are asked for at a time.
const PAGE: u32 = 200;
/// The subprotocol of GraphQL over WebSocket.
const PROTOCOL: &str = "graphql-transport-ws";

/// Speaks to one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    base: String,
    person: HeaderValue,
    http: reqwest::Client,
}

impl Client {
    /// For the server at a base URL such as `http://127.0.0.1:7410`, in the name of a person.
    pub(crate) fn new(base: &str, person: &str) -> Result<Self, Failure> {
        let base = base.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(Failure::usage(format!("`{base}` is no URL of a server, such as http://127.0.0.1:7410")));
        }
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build();
        let person = HeaderValue::from_str(person).map_err(|_| Failure::usage(format!("`{person}` is no name")))?;
        Ok(Self { base, person, http: http.context("the HTTP client cannot be made")? })
    }

    /// Asks a question or gives a command; answers the data.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Result<Value, Failure> {
        let url = format!("{}/graphql", self.base);
        let body = json!({ "query": query, "variables": variables });
        let sent = self.http.post(&url).header(PERSON, &self.person).json(&body).send().await;
        let answer = sent.with_context(|| format!("the server at {} does not answer", self.base))?;
        let status = answer.status();
        let bytes = answer.bytes().await.context("the server's answer broke off")?;
        let answer: Answer = serde_json::from_slice(&bytes)
            .with_context(|| format!("the server at {} gave no GraphQL answer (status {status})", self.base))?;
        answer.data()
    }

    /// Every entry of a list, page by page. `parameters` declares the variables that the list wants besides those of pages,
    /// `arguments` passes them on, each with a comma before it; `fields` is what is asked of each entry.
    pub(crate) async fn all(
        &self,
        name: &str,
        parameters: &str,
        arguments: &str,
        fields: &str,
        mut variables: Value,
    ) -> Result<Vec<Value>, Failure> {
        let query = format!(
            "query($first: Int, $after: String{parameters}) {{ {name}(first: $first, after: $after{arguments}) {{ \
             nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let mut set = |name: &str, value: Value| {
            if let Some(variables) = variables.as_object_mut() {
                variables.insert(name.to_owned(), value);
            }
            variables.clone()
        };
        let (mut entries, mut asked) = (Vec::new(), set("first", json!(PAGE)));
        loop {
            let mut page = self.ask(&query, asked).await?.get_mut(name).map(Value::take).unwrap_or_default();
            if let Some(Value::Array(nodes)) = page.get_mut("nodes").map(Value::take) {
                entries.extend(nodes);
            }
            if page.pointer("/pageInfo/hasNextPage") != Some(&Value::Bool(true)) {
                return Ok(entries);
            }
            asked = set("after", page.pointer_mut("/pageInfo/endCursor").map(Value::take).unwrap_or_default());
        }
    }

    /// Follows a subscription.
    pub(crate) async fn subscribe(&self, query: &str, variables: Value) -> Result<Subscription, Failure> {
        let url = format!("{}/graphql/ws", self.base.replacen("http", "ws", 1));
        let mut request = url.into_client_request().context("the server's URL cannot be used for a WebSocket")?;
        request.headers_mut().insert(PERSON, self.person.clone());
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(PROTOCOL));
        let connected = tokio_tungstenite::connect_async(request).await;
        let (socket, _) = connected.with_context(|| format!("the server at {} takes no subscription", self.base))?;
        let mut subscription = Subscription { socket };
        subscription.send(json!({ "type": "connection_init" })).await?;
        loop {
            match subscription.receive().await?.kind.as_str() {
                "connection_ack" => break,
                "ping" => subscription.send(json!({ "type": "pong" })).await?,
                other => return Err(anyhow!("the server answered `{other}` instead of taking the connection").into()),
            }
        }
        let payload = json!({ "query": query, "variables": variables });
        subscription.send(json!({ "id": "1", "type": "subscribe", "payload": payload })).await?;
        Ok(subscription)
    }
}

/// An answer in GraphQL's form.
#[derive(Debug, Deserialize)]
struct Answer {
    data: Option<Value>,
    #[serde(default)]
    errors: Vec<Value>,
}

impl Answer {
    fn data(self) -> Result<Value, Failure> {
        match self.errors.first() {
            Some(error) => Err(refusal(error)),
            None => self.data.ok_or_else(|| anyhow!("the server answered without data").into()),
        }
    }
}

/// An error as the server tells it.
fn refusal(error: &Value) -> Failure {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let message = text(error.get("message")).unwrap_or_else(|| "the server gave no reason".to_owned());
    let code = text(error.pointer("/extensions/code")).unwrap_or_else(|| "INVALID_REQUEST".to_owned());
    match text(error.pointer("/extensions/kind")).as_deref() {
        Some("INFRASTRUCTURE" | "CONFLICT") => Failure::Infrastructure(anyhow!("{message} ({code})")),
        _ => Failure::Refused { code, message },
    }
}

/// A running subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

#[derive(Debug, Deserialize)]
struct Frame {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    payload: Value,
}

impl Subscription {
    /// The next item; nothing when the subscription has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            let frame = self.receive().await?;
            match frame.kind.as_str() {
                "next" => {
                    let answer: Answer = serde_json::from_value(frame.payload).context("an item cannot be read")?;
                    return answer.data().map(Some);
                }
                "error" => {
                    let first = frame.payload.as_array().and_then(|errors| errors.first());
                    return Err(refusal(first.unwrap_or(&Value::Null)));
                }
                "complete" => return Ok(None),
                "ping" => self.send(json!({ "type": "pong" })).await?,
                _ => {}
            }
        }
    }

    async fn send(&mut self, frame: Value) -> Result<(), Failure> {
        let sent = self.socket.send(Message::text(frame.to_string())).await;
        Ok(sent.context("the connection to the server broke off")?)
    }

    async fn receive(&mut self) -> Result<Frame, Failure> {
        loop {
            let message = match self.socket.next().await {
                None => return Err(anyhow!("the server closed the connection").into()),
                Some(message) => message.context("the connection to the server broke off")?,
            };
            match message {
                Message::Text(text) => {
                    return Ok(serde_json::from_str(&text).context("the server sent what is no GraphQL message")?);
                }
                Message::Close(frame) => {
                    let why = frame.map(|frame| format!(": {}", frame.reason)).unwrap_or_default();
                    return Err(anyhow!("the server closed the connection{why}").into());
                }
                _ => {}
            }
        }
    }
}
