//! Anthropic Messages over HTTP.

use std::sync::Arc;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::{Error, Http, Options, Protocol, below};
use crate::kind::{Kind, Settings, Setup, Unusable};
use crate::wire::{Answer, Decode, anthropic};
use crate::{Failure, Platform, Request};

/// Anthropic's own service.
pub const HOME: &str = "https://api.anthropic.com/v1";

/// The kind `anthropic`.
pub const KIND: Kind =
    Kind { service: Some("ANTHROPIC"), rank: 30, vendor: Some("anthropic"), ..Kind::over_http::<Own>("anthropic") };

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// Whether instructions are kept in the platform's cache; they are when not given.
    prompt_cache: Option<bool>,
}

impl Settings for Own {
    const NAMES: &'static [&'static str] = &["prompt_cache"];

    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        let prompt_cache = self.prompt_cache.unwrap_or(true);
        Ok(Arc::new(Anthropic::new(Options { prompt_cache, ..setup.at(HOME, Some("claude-haiku-4-5")) })?))
    }
}

/// The length of an answer when neither the request nor a list of models says any. Every model of Anthropic can
/// answer at this length.
const ANSWER_LIMIT: u32 = 4096;

/// A platform that speaks Anthropic Messages.
pub type Anthropic = Http<Messages>;

/// Speaks Anthropic Messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct Messages {
    /// Whether the platform is to keep instructions in its cache, which costs a quarter more the first time and nine tenths less
    /// each further time within five minutes. What is shorter than a model's least (1024 tokens and more) it does not keep, nor charge for.
    pub cached: bool,
}

impl Http<Messages> {
    /// Prepares the platform; connects to nothing.
    ///
    /// # Errors
    /// When the options cannot work.
    pub fn new(options: Options) -> Result<Self, Error> {
        let cached = options.prompt_cache;
        Self::speaking(Messages { cached }, options)
    }
}

impl Protocol for Messages {
    fn home(&self) -> &'static str {
        HOME
    }

    fn version(&self) -> &'static str {
        "/v1"
    }

    fn credentials(&self, key: &str) -> Vec<(&'static str, String)> {
        vec![("x-api-key", key.to_owned())]
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", "2023-06-01")]
    }

    fn needs_key(&self, host: &str) -> Option<&'static str> {
        (host == "api.anthropic.com").then_some("it has no API key: set ANTHROPIC_API_KEY or api_key")
    }

    /// Whatever stands in front of it: nobody else has models of these names.
    fn vendor(&self, _host: &str) -> Option<&'static str> {
        Some("anthropic")
    }

    fn address(&self, base: &Url, _model: &str, _stream: bool) -> Url {
        below(base, &["messages"])
    }

    fn encode(&self, request: &Request, model: &str, limit: Option<u32>, stream: bool) -> Result<Value, Failure> {
        // An answer that may become very long has to be streamed, so an unstreamed one gets less.
        let limit = limit.map_or(ANSWER_LIMIT, |limit| if stream { limit } else { limit.min(8192) });
        Ok(anthropic::encode(request, model, limit, stream, self.cached))
    }

    fn writes_cache(&self) -> bool {
        self.cached
    }

    fn decode(&self, body: &[u8]) -> Result<Answer, Failure> {
        anthropic::decode(body)
    }

    fn decoder(&self, limit: usize) -> Box<dyn Decode> {
        Box::new(anthropic::decoder(limit))
    }
}
