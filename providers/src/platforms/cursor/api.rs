use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use crate::http::client::{client, content, refused, unreachable};
use crate::http::{self, base_url, below};
use crate::{Failure, Secret, wire};

/// What looks and other small requests may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks one thing at a time; nothing is repeated here.
#[derive(Debug)]
pub(super) struct Api {
    key: String,
    client: reqwest::Client,
    base: Url,
    host: String,
    secret: Option<Secret>,
    authorization: Option<HeaderValue>,
    connect_timeout: Duration,
    largest: usize,
}

/// Why there is nothing.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) failure: Failure,
    /// Cursor's own word for it, such as `agent_id_conflict`.
    pub(super) code: Option<String>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        refusal.failure
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, code: None }
    }
}

impl Api {
    pub(super) fn new(options: &http::Options) -> Result<Self, http::Error> {
        let base = base_url(&options.base_url, "")?;
        let secret = options.api_key.clone();
        let authorization = secret.as_ref().map(|secret| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", secret.reveal()))
                .map_err(|_| http::Error::ApiKey(options.key.clone()))?;
            value.set_sensitive(true);
            Ok(value)
        });
        Ok(Self {
            key: options.key.clone(),
            client: client(options, base.scheme() == "https")?,
            host: base.host_str().unwrap_or_default().to_owned(),
            base,
            secret,
            authorization: authorization.transpose()?,
            connect_timeout: options.connect_timeout,
            largest: options.max_reply_bytes,
        })
    }

    pub(super) async fn get(&self, path: &[&str]) -> Result<Value, Refusal> {
        self.ask(Method::GET, below(&self.base, path), None).await
    }

    /// What a run has used.
    pub(super) async fn usage(&self, agent: &str, run: &str) -> Result<Value, Refusal> {
        let mut url = below(&self.base, &["v1", "agents", agent, "usage"]);
        url.query_pairs_mut().append_pair("runId", run);
        self.ask(Method::GET, url, None).await
    }

    pub(super) async fn post(&self, path: &[&str], body: Option<Value>) -> Result<Value, Refusal> {
        self.ask(Method::POST, below(&self.base, path), body).await
    }

    async fn ask(&self, method: Method, url: Url, body: Option<Value>) -> Result<Value, Refusal> {
        let mut asked = self.client.request(method, url).timeout(PATIENCE);
        if let Some(authorization) = &self.authorization {
            asked = asked.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(body) = body {
            asked = asked.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = asked.send().await.map_err(|error| {
            let failure = unreachable(&error, &self.host, self.connect_timeout);
            self.named(failure)
        })?;
        if !response.status().is_success() {
            let (failure, body) = refused(response).await;
            let said: Option<Value> = serde_json::from_slice(&body).ok();
            let code = said.as_ref().and_then(|said| said.pointer("/error/code").or_else(|| said.get("code")));
            return Err(Refusal {
                code: code.and_then(Value::as_str).map(str::to_owned),
                failure: self.named(failure),
            });
        }
        let body = content(response, self.largest).await.map_err(|failure| self.named(failure))?;
        let read = serde_json::from_slice(&body).map_err(|error| {
            let beginning = wire::error::excerpt(&String::from_utf8_lossy(&body));
            self.named(Failure::malformed(format!("the answer is no JSON ({error}) and begins: {beginning}")))
        });
        Ok(read?)
    }

    /// Says whose failure it is, and makes sure that the key is not in it.
    pub(super) fn named(&self, mut failure: Failure) -> Failure {
        if let Some(secret) = &self.secret {
            failure.message = secret.redact(&failure.message);
        }
        failure.message = format!("{}: {}", self.key, failure.message);
        failure
    }
}
