//! GraphQL over WebSocket (graphql-transport-ws): one subscription on a connection of its own.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long the server may take to acknowledge a connection.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a connection reads at a time; thousands of them share this process.
const BUFFER: usize = 4096;

/// One subscription.
pub(super) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects and subscribes.
    pub(super) async fn subscribe(address: &str, query: &str, variables: &Value) -> anyhow::Result<Self> {
        let mut request = format!("ws://{address}/graphql/ws").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
        let settings = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(0);
        let connecting = tokio_tungstenite::connect_async_with_config(request, Some(settings), true);
        let (socket, _) = tokio::time::timeout(PATIENCE, connecting).await.context("no connection")??;
        let mut socket = Self(socket);
        socket.say(&json!({ "type": "connection_init" })).await?;
        let said = tokio::time::timeout(PATIENCE, socket.text()).await.context("no acknowledgement")??;
        anyhow::ensure!(said.contains("connection_ack"), "the server says {said}");
        let payload = json!({ "query": query, "variables": variables });
        socket.say(&json!({ "id": "1", "type": "subscribe", "payload": payload })).await?;
        Ok(socket)
    }

    async fn say(&mut self, message: &Value) -> anyhow::Result<()> {
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    /// The next message of the server.
    pub(super) async fn text(&mut self) -> anyhow::Result<String> {
        loop {
            match self.0.next().await.context("the connection ended")?? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                // Answered by the library when it reads on.
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(frame) => bail!("the server closed the connection: {frame:?}"),
                other => bail!("not a message of the protocol: {other:?}"),
            }
        }
    }
}
