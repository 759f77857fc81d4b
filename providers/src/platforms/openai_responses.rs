//! OpenAI Responses over HTTP: OpenAI itself, and those who copy it.

use std::sync::Arc;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::{Error, Http, Options, Protocol, below};
use crate::kind::{Kind, Settings, Setup, Unusable};
use crate::openai::HOME;
use crate::wire::openai_chat::is_openai;
use crate::wire::{Answer, Decode, openai_responses};
use crate::{Failure, Platform, Request};

/// The kind `openai-responses`.
pub const KIND: Kind =
    Kind { service: Some("OPENAI"), rank: 20, vendor: Some("openai"), ..Kind::over_http::<Own>("openai-responses") };

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {}

impl Settings for Own {
    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        Ok(Arc::new(OpenAiResponses::new(setup.at(HOME, Some("gpt-4o-mini")))?))
    }
}

/// A platform that speaks OpenAI Responses.
pub type OpenAiResponses = Http<Responses>;

/// Speaks OpenAI Responses.
#[derive(Debug, Clone, Copy)]
pub struct Responses;

impl Http<Responses> {
    /// Prepares the platform; connects to nothing.
    ///
    /// # Errors
    /// When the options cannot work.
    pub fn new(options: Options) -> Result<Self, Error> {
        Self::speaking(Responses, options)
    }
}

impl Protocol for Responses {
    fn home(&self) -> &'static str {
        HOME
    }

    fn needs_key(&self, host: &str) -> Option<&'static str> {
        is_openai(host).then_some("it has no API key: set OPENAI_API_KEY or api_key")
    }

    /// Not at the addresses of regions, where OpenAI adds to its prices.
    fn vendor(&self, host: &str) -> Option<&'static str> {
        (host == "api.openai.com").then_some("openai")
    }

    fn address(&self, base: &Url, _model: &str, _stream: bool) -> Url {
        below(base, &["responses"])
    }

    fn encode(&self, request: &Request, model: &str, _limit: Option<u32>, stream: bool) -> Result<Value, Failure> {
        openai_responses::encode(request, model, stream)
    }

    fn decode(&self, body: &[u8]) -> Result<Answer, Failure> {
        openai_responses::decode(body)
    }

    fn decoder(&self, limit: usize) -> Box<dyn Decode> {
        Box::new(openai_responses::decoder(limit))
    }
}
