use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::BytesMut;
use futures_util::{StreamExt, stream};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Response, Url};

use super::client::{client, content, content_type, headers, refused, unreachable};
use super::incoming::Incoming;
use super::options::base_url;
use super::{Error, Options, Protocol};
use crate::router::KeyRing;
use crate::wire::rate_limit::{self, RateLimits};
use crate::wire::{Answer, error};
use crate::{
    Capabilities, CostSource, Failure, FailureKind, Health, Model, Platform, Reply, ReplyStream, Request, State, Usage,
};

/// Lists of models are read no further than this.
const LIST_LIMIT: usize = 8 * 1024 * 1024;

/// A platform that is reached over HTTP. Cheap to clone, all clones share their connections.
#[derive(Debug, Clone)]
pub struct Http<P> {
    shared: Arc<Shared<P>>,
}

#[derive(Debug)]
struct Shared<P> {
    protocol: P,
    options: Options,
    client: reqwest::Client,
    base: Url,
    host: String,
    /// The headers of each key; one without a key when there is none.
    headers: Vec<HeaderMap>,
    ring: Mutex<KeyRing>,
}

/// What came of asking, once the headers of a success are there.
struct Asked {
    response: Response,
    limits: Option<RateLimits>,
}

impl<P: Protocol> Http<P> {
    /// Prepares the platform; connects to nothing.
    ///
    /// # Errors
    /// When the options cannot work.
    pub fn speaking(protocol: P, options: Options) -> Result<Self, Error> {
        let base = base_url(&options.base_url, protocol.version())?;
        let host = base.host_str().unwrap_or_default().to_owned();
        let keys: Vec<_> = options.keys().collect();
        let mut all = keys
            .iter()
            .map(|(secret, _)| headers(&protocol, Some(secret), &options.key))
            .collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() {
            all.push(headers(&protocol, None, &options.key)?);
        }
        let ring = Mutex::new(KeyRing::new(keys.iter().map(|(_, weight)| *weight)));
        let client = client(&options, base.scheme() == "https")?;
        Ok(Self { shared: Arc::new(Shared { protocol, options, client, base, host, headers: all, ring }) })
    }

    pub(super) fn key_name(&self) -> &str {
        &self.shared.options.key
    }

    fn model<'a>(&'a self, request: &'a Request) -> Result<&'a str, Failure> {
        request.model.as_deref().or(self.shared.options.model.as_deref()).ok_or_else(|| {
            let platform = self.key_name();
            let what = format!("no model is named: give the agent one, or platform `{platform}` a default");
            Failure::new(FailureKind::InvalidRequest, what)
        })
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, KeyRing> {
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks and returns the response once its headers are there and tell of success.
    async fn ask(&self, request: &Request, stream: bool) -> Result<Asked, Failure> {
        let Shared { protocol, client, base, .. } = &*self.shared;
        let model = self.model(request)?;
        let limit = self.capabilities(model).max_output;
        let body = protocol.encode(request, model, limit, stream).map_err(|failure| self.named(failure))?.to_string();
        let key = self.ring().pick(model, Instant::now());
        let headers = self.shared.headers.get(key).cloned().unwrap_or_default();
        let url = protocol.address(base, model, stream);
        let sent = client.post(url).headers(headers).header(CONTENT_TYPE, "application/json").body(body);
        let response = sent.send().await.map_err(|error| self.unreachable(&error))?;
        let limits = limits(&response);
        if response.status().is_success() {
            return Ok(Asked { response, limits });
        }
        let mut failure = self.refused(response).await;
        failure.limits = limits.map(Box::new);
        let mut ring = self.ring();
        ring.settle(key, model, &failure, Instant::now());
        failure.spare_key = self.shared.headers.len() > 1 && ring.has_ready(model, Instant::now());
        drop(ring);
        Err(failure)
    }

    async fn call(&self, request: &Request, started: Instant) -> Result<Reply, Failure> {
        let asked = self.ask(request, false).await?;
        self.read_whole(asked, request, started).await
    }

    async fn read_whole(&self, asked: Asked, request: &Request, started: Instant) -> Result<Reply, Failure> {
        let Asked { response, limits } = asked;
        let content_type = content_type(&response);
        let body = self.body(response, self.shared.options.max_reply_bytes).await?;
        let answer = self.shared.protocol.decode(&body).map_err(|failure| {
            let mut failure = if failure.kind == FailureKind::MalformedReply && !content_type.contains("json") {
                let beginning = error::excerpt(&String::from_utf8_lossy(&body));
                let message = format!("the answer is `{content_type}` instead of JSON and begins: {beginning}");
                Failure { message, ..failure }
            } else {
                failure
            };
            failure.limits = limits.map(Box::new);
            self.price(&mut failure, request);
            self.named(failure)
        });
        let mut reply = self.reply(answer?, request, started);
        reply.limits = limits;
        Ok(reply)
    }

    async fn body(&self, response: Response, limit: usize) -> Result<BytesMut, Failure> {
        content(response, limit).await.map_err(|failure| self.named(failure))
    }

    pub(super) fn reply(&self, answer: Answer, request: &Request, started: Instant) -> Reply {
        let model = answer.model.unwrap_or_else(|| self.model(request).unwrap_or_default().to_owned());
        let (cost, cost_source) = match answer.cost {
            Some(cost) => (Some(cost), CostSource::Reported),
            None => self.quote(&model, &answer.usage),
        };
        Reply {
            text: answer.text,
            finish: answer.finish,
            model,
            usage: answer.usage,
            cost,
            cost_source,
            duration: started.elapsed(),
            first_piece: None,
            simulated: false,
            raw_usage: answer.raw_usage,
            tool_calls: answer.tool_calls,
            opaque: answer.opaque,
            limits: None,
        }
    }

    /// Adds what was used by a call that failed costs, as far as it can be told.
    pub(super) fn price(&self, failure: &mut Failure, request: &Request) {
        if let Some(consumed) = failure.consumed.as_mut().filter(|consumed| consumed.cost.is_none()) {
            let model = consumed.model.as_deref().or_else(|| self.model(request).ok()).unwrap_or_default();
            let (cost, source) = self.quote(model, &consumed.usage);
            (consumed.cost, consumed.cost_source) = (cost, source);
        }
    }

    fn quote(&self, model: &str, usage: &Usage) -> (Option<i64>, CostSource) {
        let Shared { protocol, options, host, .. } = &*self.shared;
        let unpriced = (None, CostSource::Unpriced);
        let (Some(prices), Some(vendor)) = (&options.prices, protocol.vendor(host)) else {
            return unpriced;
        };
        match prices.quote(vendor, model, usage, jiff::Timestamp::now()) {
            Ok(quote) => (Some(quote.nano_usd), CostSource::Listed { version: quote.version }),
            Err(why) => {
                tracing::debug!(platform = options.key, model, %why, "the call has no price");
                unpriced
            }
        }
    }

    async fn refused(&self, response: Response) -> Failure {
        self.named(refused(response).await.0)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let Shared { host, options, .. } = &*self.shared;
        self.named(unreachable(error, host, options.connect_timeout))
    }

    /// Says whose failure it is, and makes sure that no key is in it.
    pub(super) fn named(&self, mut failure: Failure) -> Failure {
        let keys = self.shared.options.keys();
        let message = keys.fold(std::mem::take(&mut failure.message), |message, (key, _)| key.redact(&message));
        failure.message = format!("{}: {message}", self.key_name());
        failure
    }

    /// Asks for something that costs nothing.
    async fn get(&self, url: Url) -> Result<Response, Failure> {
        let headers = self.shared.headers.first().cloned().unwrap_or_default();
        let asked = self.shared.client.get(url).headers(headers).timeout(Duration::from_secs(5));
        let response = asked.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response).await) }
    }
}

fn limits(response: &Response) -> Option<RateLimits> {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    rate_limit::parse(header, SystemTime::now())
}

#[async_trait]
impl<P: Protocol> Platform for Http<P> {
    fn key(&self) -> &str {
        self.key_name()
    }

    fn default_model(&self) -> Option<&str> {
        self.shared.options.model.as_deref()
    }

    fn simulated(&self) -> bool {
        false
    }

    fn unusable(&self) -> Option<String> {
        let Shared { protocol, options, host, .. } = &*self.shared;
        protocol.needs_key(host).filter(|_| options.keys().next().is_none()).map(str::to_owned)
    }

    fn account(&self) -> String {
        self.shared.options.account()
    }

    fn speaks(&self) -> bool {
        self.shared.options.stream
    }

    async fn execute(&self, request: Request) -> Result<Reply, Failure> {
        let started = Instant::now();
        match tokio::time::timeout(request.timeout, self.call(&request, started)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::timed_out(self.key_name(), request.timeout)),
        }
    }

    async fn stream(&self, request: Request) -> Result<ReplyStream, Failure> {
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + request.timeout;
        let late = |_| Failure::timed_out(self.key_name(), request.timeout);
        let asked = tokio::time::timeout_at(deadline, self.ask(&request, true)).await.map_err(late)??;
        if !content_type(&asked.response).contains("event-stream") {
            // It does not stream, or is no such platform at all; the whole body tells.
            let whole = self.read_whole(asked, &request, started);
            return Ok(tokio::time::timeout_at(deadline, whole).await.map_err(late)??.in_one_piece());
        }
        let decoder = Some(self.shared.protocol.decoder(self.shared.options.max_reply_bytes));
        let Asked { response, limits } = asked;
        let (platform, received, first, failure) = (self.clone(), 0, None, None);
        let incoming = Incoming {
            platform,
            request,
            response,
            decoder,
            limits,
            started,
            deadline,
            received,
            ended: false,
            first,
            failure,
        };
        Ok(stream::unfold(incoming, async |mut incoming| Some((incoming.next().await?, incoming))).boxed())
    }

    fn cost(&self, model: &str, usage: &Usage) -> Option<i64> {
        self.quote(model, usage).0
    }

    fn writes_cache(&self) -> bool {
        self.shared.protocol.writes_cache()
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        let Shared { protocol, options, host, .. } = &*self.shared;
        let known = options.prices.as_ref().zip(protocol.vendor(host));
        known.and_then(|(prices, vendor)| prices.capabilities(vendor, model)).unwrap_or_default()
    }

    async fn models(&self) -> Result<Vec<Model>, Failure> {
        let response = self.get(self.shared.protocol.models_address(&self.shared.base)).await?;
        let body = self.body(response, LIST_LIMIT).await?;
        let list = serde_json::from_slice(&body)
            .map_err(|error| self.named(Failure::malformed(format!("the list of models is no JSON: {error}"))))?;
        Ok(self.shared.protocol.models(&list))
    }

    async fn health(&self) -> Health {
        let Shared { protocol, base, host, .. } = &*self.shared;
        let headers = self.shared.headers.first().cloned().unwrap_or_default();
        let asked = self.shared.client.get(protocol.models_address(base)).headers(headers);
        let (state, detail) = match asked.timeout(Duration::from_secs(5)).send().await {
            Err(error) => (State::Unusable, self.unreachable(&error).message),
            Ok(response) if response.status().is_success() => (State::Ready, format!("{host} answers")),
            // Not every server lists its models; it answers, though.
            Ok(response) if matches!(response.status().as_u16(), 404 | 405) => {
                (State::Ready, format!("{host} answers but lists no models"))
            }
            Ok(response) => (State::Unusable, self.refused(response).await.message),
        };
        Health { state, detail }
    }

    fn can_be_probed(&self) -> bool {
        self.unusable().is_none()
    }

    async fn probe(&self) -> Result<(), Failure> {
        match self.get(self.shared.protocol.models_address(&self.shared.base)).await {
            Ok(_) => Ok(()),
            // Not every server lists its models; it answers, though.
            Err(failure) if failure.kind == FailureKind::InvalidRequest => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}
