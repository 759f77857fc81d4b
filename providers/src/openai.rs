//! Platforms that speak OpenAI Chat Completions over HTTP: OpenAI itself, Ollama, vLLM, llama.cpp, OpenRouter and
//! others, told apart by their base URL.
//!
//! One call is one HTTP request: nothing is retried, no redirect is followed (it could carry the key elsewhere), and
//! no more is read than the limits allow. Dropping a call closes its connection, which tells the server to stop.

use std::sync::{Arc, Once};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::BytesMut;
use futures_util::{StreamExt, stream};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, Url};

use crate::wire::openai_chat::{self, Answer, Dialect, StreamDecoder};
use crate::wire::{openai_failure, retry_after};
use crate::{Chunk, Failure, FailureKind, Health, Platform, Reply, ReplyStream, Request, Secret, State, Usage};

/// Error bodies are read no further than this.
const ERROR_BODY_LIMIT: usize = 64 * 1024;

/// How one such platform is reached.
#[derive(Debug, Clone)]
pub struct Options {
    /// The platform's key, such as `openai` or `ollama`.
    pub key: String,
    /// Where the API begins, `/v1` included: `https://api.openai.com/v1`.
    pub base_url: String,
    /// The API key; local servers need none.
    pub api_key: Option<Secret>,
    /// The model for requests that name none.
    pub model: Option<String>,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// The largest accepted answer, in bytes.
    pub max_reply_bytes: usize,
    /// A proxy for every call, as a URL. The proxies of the environment are not used.
    pub proxy: Option<String>,
    /// Certificates, as PEM, to trust besides the system's: for servers behind a company's own authority.
    pub extra_certificates: Option<Vec<u8>>,
    /// What the server's dialect is, when its host does not tell.
    pub dialect: Option<Dialect>,
}

impl Options {
    /// OpenAI's own service.
    pub const OPENAI: &str = "https://api.openai.com/v1";

    /// A platform without key or default model: connecting takes at most 10 s, an answer at most 16 MiB.
    #[must_use]
    pub fn new(key: impl Into<String>, base_url: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            base_url: base_url.into(),
            api_key: None,
            model: None,
            connect_timeout: Duration::from_secs(10),
            max_reply_bytes: 16 * 1024 * 1024,
            proxy: None,
            extra_certificates: None,
            dialect: None,
        }
    }
}

/// Why options make no platform.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The base URL is none.
    #[error(
        "`{url}` is no base URL for a platform ({why}); it must look like https://api.openai.com/v1 or \
         http://localhost:11434/v1"
    )]
    BaseUrl {
        /// What was given, without a password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The key has characters that no HTTP header can carry.
    #[error("the API key of platform `{0}` has characters that a key cannot have, such as a line break")]
    ApiKey(String),
    /// The HTTP client cannot be made: a wrong proxy or certificate, or no certificates on this system.
    #[error("the HTTP client of platform `{key}` cannot be made: {why}")]
    Client {
        /// The platform.
        key: String,
        /// The innermost reason.
        why: String,
    },
}

/// A platform that speaks OpenAI Chat Completions. Cheap to clone, all clones share their connections.
#[derive(Debug, Clone)]
pub struct OpenAi {
    options: Arc<Options>,
    client: reqwest::Client,
    completions: Url,
    models: Url,
    host: String,
    dialect: Dialect,
}

impl OpenAi {
    /// Prepares the platform; connects to nothing.
    ///
    /// # Errors
    /// When the options cannot work.
    pub fn new(options: Options) -> Result<Self, Error> {
        let base = base_url(&options.base_url)?;
        let host = base.host_str().unwrap_or_default().to_owned();
        let endpoint = |path: &str| {
            let mut url = base.clone();
            url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
            url
        };
        Ok(Self {
            client: client(&options, base.scheme() == "https")?,
            completions: endpoint("chat/completions"),
            models: endpoint("models"),
            dialect: options.dialect.unwrap_or_else(|| Dialect::of_host(&host)),
            host,
            options: Arc::new(options),
        })
    }

    /// Asks and returns the response once its headers are there and tell of success.
    async fn ask(&self, request: &Request, stream: bool) -> Result<Response, Failure> {
        let model = request.model.as_deref().or(self.options.model.as_deref()).ok_or_else(|| {
            Failure::new(
                FailureKind::InvalidRequest,
                format!("no model is named: give the agent one, or platform `{}` a default", self.options.key),
            )
        })?;
        let body = openai_chat::encode(request, model, self.dialect, stream).to_string();
        let sent = self.client.post(self.completions.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let response = sent.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response).await) }
    }

    async fn call(&self, request: &Request, started: Instant) -> Result<Reply, Failure> {
        let response = self.ask(request, false).await?;
        self.read_whole(response, request, started).await
    }

    async fn read_whole(&self, response: Response, request: &Request, started: Instant) -> Result<Reply, Failure> {
        let content_type = content_type(&response);
        let body = self.body(response).await?;
        let answer = openai_chat::decode(&body, self.dialect).map_err(|failure| {
            if failure.kind == FailureKind::MalformedReply && !content_type.contains("json") {
                let beginning = openai_failure::excerpt(&String::from_utf8_lossy(&body));
                let message = format!("the answer is `{content_type}` instead of JSON and begins: {beginning}");
                Failure::new(FailureKind::MalformedReply, message)
            } else {
                failure
            }
        });
        Ok(self.reply(answer.map_err(|failure| self.named(failure))?, request, started))
    }

    async fn body(&self, mut response: Response) -> Result<BytesMut, Failure> {
        let limit = self.options.max_reply_bytes;
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) if body.len() + bytes.len() > limit => {
                    return Err(self.named(openai_chat::too_large(limit)));
                }
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                Ok(None) => return Ok(body),
                Err(error) => return Err(self.broken(&error, body.len())),
            }
        }
    }

    fn reply(&self, answer: Answer, request: &Request, started: Instant) -> Reply {
        let asked = request.model.clone().or_else(|| self.options.model.clone()).unwrap_or_default();
        Reply {
            text: answer.text,
            finish: answer.finish,
            model: answer.model.unwrap_or(asked),
            usage: answer.usage,
            cost: answer.cost,
            duration: started.elapsed(),
            simulated: false,
            raw_usage: answer.raw_usage,
        }
    }

    async fn refused(&self, mut response: Response) -> Failure {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let pause = retry_after::parse(header(RETRY_AFTER.as_str()), header("retry-after-ms"), SystemTime::now());
        let location = header("location").map(|location| location.chars().take(200).collect::<String>());
        let mut body = BytesMut::new();
        // The status already tells of the failure, so a body that breaks off is shown as far as it came.
        while let Ok(Some(bytes)) = response.chunk().await {
            body.extend_from_slice(&bytes);
            if body.len() >= ERROR_BODY_LIMIT {
                break;
            }
        }
        let mut failure = openai_failure::of_status(status, pause, &body);
        if let Some(location) = location.filter(|_| (300..400).contains(&status)) {
            failure.message = format!("status {status}: it redirects to {location}; set base_url to where it lives");
        }
        self.named(failure)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let cause = innermost(error);
        let host = &self.host;
        let what = if error.is_dns() {
            format!("the name {host} cannot be resolved: {cause}")
        } else if is_tls(error) {
            format!("TLS with {host} failed: {cause}")
        } else if error.is_connect() && error.is_timeout() {
            format!("{host} accepted no connection within {:?}", self.options.connect_timeout)
        } else if error.is_connect() {
            format!("cannot connect to {host}: {cause}")
        } else {
            format!("the connection to {host} broke before an answer: {cause}")
        };
        self.named(Failure::new(FailureKind::Unreachable, what))
    }

    fn broken(&self, error: &reqwest::Error, received: usize) -> Failure {
        let what = format!("the answer broke off after {received} bytes: {}", innermost(error));
        self.named(Failure::new(FailureKind::MalformedReply, what))
    }

    /// Says whose failure it is, and makes sure that the key is not in it.
    fn named(&self, mut failure: Failure) -> Failure {
        let message = match &self.options.api_key {
            Some(key) => key.redact(&failure.message),
            None => std::mem::take(&mut failure.message),
        };
        failure.message = format!("{}: {message}", self.options.key);
        failure
    }
}

/// An answer on its way.
struct Incoming {
    platform: OpenAi,
    request: Request,
    response: Response,
    decoder: Option<StreamDecoder>,
    received: usize,
    started: Instant,
    deadline: tokio::time::Instant,
    /// A failure to report once the text that came before it is out.
    failure: Option<Failure>,
}

impl Incoming {
    /// The next item; `None` after the last one.
    async fn next(&mut self) -> Option<Result<Chunk, Failure>> {
        loop {
            if let Some(piece) = self.decoder.as_mut()?.piece() {
                return Some(Ok(Chunk::Text(piece)));
            }
            if let Some(failure) = self.failure.take() {
                self.decoder = None;
                return Some(Err(failure));
            }
            if self.decoder.as_ref()?.done() {
                return Some(self.end());
            }
            match tokio::time::timeout_at(self.deadline, self.response.chunk()).await {
                Err(_) => {
                    self.failure = Some(Failure::timed_out(&self.platform.options.key, self.request.timeout));
                }
                Ok(Err(error)) => self.failure = Some(self.platform.broken(&error, self.received)),
                Ok(Ok(None)) => return Some(self.end()),
                Ok(Ok(Some(bytes))) => {
                    self.received += bytes.len();
                    if let Err(failure) = self.decoder.as_mut()?.push(&bytes) {
                        self.failure = Some(self.platform.named(failure));
                    }
                }
            }
        }
    }

    fn end(&mut self) -> Result<Chunk, Failure> {
        let answer = match self.decoder.take() {
            Some(decoder) => decoder.finish(),
            None => Err(Failure::new(FailureKind::MalformedReply, "the stream is over")),
        };
        let answer = answer.map_err(|failure| self.platform.named(failure))?;
        Ok(Chunk::End(Box::new(self.platform.reply(answer, &self.request, self.started))))
    }
}

#[async_trait]
impl Platform for OpenAi {
    fn key(&self) -> &str {
        &self.options.key
    }

    fn default_model(&self) -> Option<&str> {
        self.options.model.as_deref()
    }

    fn simulated(&self) -> bool {
        false
    }

    fn unusable(&self) -> Option<String> {
        (self.options.api_key.is_none() && self.host == "api.openai.com")
            .then(|| "it has no API key: set OPENAI_API_KEY or api_key".to_owned())
    }

    async fn execute(&self, request: Request) -> Result<Reply, Failure> {
        let started = Instant::now();
        match tokio::time::timeout(request.timeout, self.call(&request, started)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::timed_out(&self.options.key, request.timeout)),
        }
    }

    async fn stream(&self, request: Request) -> Result<ReplyStream, Failure> {
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + request.timeout;
        let late = |_| Failure::timed_out(&self.options.key, request.timeout);
        let response = tokio::time::timeout_at(deadline, self.ask(&request, true)).await.map_err(late)??;
        if !content_type(&response).contains("event-stream") {
            // It does not stream, or is no such platform at all; the whole body tells.
            let whole = self.read_whole(response, &request, started);
            let reply = tokio::time::timeout_at(deadline, whole).await.map_err(late)??;
            let text = Some(reply.text.clone()).filter(|text| !text.is_empty());
            let chunks = text.map(Chunk::Text).into_iter().chain([Chunk::End(Box::new(reply))]).map(Ok);
            return Ok(stream::iter(chunks.collect::<Vec<_>>()).boxed());
        }
        let decoder = Some(StreamDecoder::new(self.dialect, self.options.max_reply_bytes));
        let platform = self.clone();
        let incoming = Incoming { platform, request, response, decoder, received: 0, started, deadline, failure: None };
        Ok(stream::unfold(incoming, async |mut incoming| Some((incoming.next().await?, incoming))).boxed())
    }

    fn cost(&self, _model: &str, _usage: &Usage) -> Option<i64> {
        None
    }

    async fn health(&self) -> Health {
        let limit = Duration::from_secs(5);
        let (state, detail) = match self.client.get(self.models.clone()).timeout(limit).send().await {
            Err(error) => (State::Unusable, self.unreachable(&error).message),
            Ok(response) if response.status().is_success() => (State::Ready, format!("{} answers", self.host)),
            // Not every server lists its models; it answers, though.
            Ok(response) if matches!(response.status().as_u16(), 404 | 405) => {
                (State::Ready, format!("{} answers but lists no models", self.host))
            }
            Ok(response) => (State::Unusable, self.refused(response).await.message),
        };
        Health { state, detail }
    }
}

fn base_url(text: &str) -> Result<Url, Error> {
    let mut url =
        Url::parse(text.trim()).map_err(|error| Error::BaseUrl { url: "…".to_owned(), why: error.to_string() })?;
    let secret = !url.username().is_empty() || url.password().is_some();
    // Neither setter fails for a URL with a host, and others are refused below.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    let why = if !matches!(url.scheme(), "http" | "https") {
        "it is neither http nor https"
    } else if secret {
        "it holds a user name or password; use api_key"
    } else if url.query().is_some() || url.fragment().is_some() {
        "it has a query or fragment"
    } else {
        return Ok(url);
    };
    Err(Error::BaseUrl { url: url.to_string(), why: why.to_owned() })
}

fn client(options: &Options, tls: bool) -> Result<reqwest::Client, Error> {
    static PROVIDER: Once = Once::new();
    // reqwest asks rustls for the process's crypto provider. When another part has installed one already, it serves
    // just as well, so the error means nothing.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let failed = |error: reqwest::Error| Error::Client { key: options.key.clone(), why: innermost(&error) };
    let mut headers = HeaderMap::new();
    if let Some(key) = &options.api_key {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", key.reveal()))
            .map_err(|_| Error::ApiKey(options.key.clone()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("HishamOS/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy();
    if let Some(proxy) = &options.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(failed)?);
    }
    if let Some(pem) = &options.extra_certificates {
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem).map_err(failed)?);
    } else if !tls && options.proxy.is_none() {
        // Plain HTTP must also work on a system that has no certificates at all.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(failed)
}

fn content_type(response: &Response) -> String {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or("unknown").to_ascii_lowercase()
}

fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
        // An I/O error hides the error that it carries behind that error's own source.
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        }
    })
}

fn innermost(error: &reqwest::Error) -> String {
    openai_failure::excerpt(&chain(error).last().map(ToString::to_string).unwrap_or_default())
}

fn is_tls(error: &reqwest::Error) -> bool {
    chain(error).any(|error| error.is::<rustls::Error>())
}
