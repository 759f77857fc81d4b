//! GraphQL over HTTP/1.1, one connection for each client, as cheap as it can be for the machine that is measured.

use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One client.
pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    /// Ends with the client.
    _driver: tokio::task::JoinSet<()>,
}

impl Client {
    /// Connects to `address`, such as `127.0.0.1:7410`.
    pub(super) async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = tokio::task::JoinSet::new();
        driver.spawn(async move {
            // That it broke is seen by whoever waits for an answer.
            let _ = connection.await;
        });
        Ok(Self { sender, host: address.to_owned(), _driver: driver })
    }

    /// Posts a request and reads the whole answer, whatever it says.
    pub(super) async fn post(&mut self, body: Bytes) -> anyhow::Result<Bytes> {
        let request = Request::post("/graphql")
            .header("host", &self.host)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(Full::new(body))?;
        let answer = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let status = response.status();
            anyhow::Ok((status, response.into_body().collect().await?.to_bytes()))
        };
        let (status, bytes) = tokio::time::timeout(PATIENCE, answer).await.context("an answer did not come")??;
        if !status.is_success() {
            bail!("status {status}: {}", String::from_utf8_lossy(&bytes));
        }
        Ok(bytes)
    }

    /// Asks and answers the data; errors are errors.
    pub(super) async fn ask(&mut self, query: &str, variables: Value) -> anyhow::Result<Value> {
        let answer = self.post(body(query, &variables)).await?;
        let mut answer: Value = serde_json::from_slice(&answer)?;
        if answer.get("errors").is_some() {
            bail!("{answer}");
        }
        Ok(answer.get_mut("data").map(Value::take).unwrap_or_default())
    }
}

/// A request as it is sent.
pub(super) fn body(query: &str, variables: &Value) -> Bytes {
    Bytes::from(json!({ "query": query, "variables": variables }).to_string())
}
