//! OpenAI Chat Completions over HTTP: OpenAI itself, Ollama, vLLM, llama.cpp and others, told apart by their base URL.

use std::sync::Arc;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::http::{ApiKey, Error, Options};
use crate::http::{Http, Protocol, below};
use crate::kind::{Kind, Settings, Setup, Unusable};
use crate::wire::openai_chat::{self, Dialect, is_openai};
use crate::wire::{Answer, Decode};
use crate::{Failure, Platform, Request};

/// OpenAI's own service.
pub const HOME: &str = "https://api.openai.com/v1";

/// The kind `openai`.
pub const KIND: Kind =
    Kind { service: Some("OPENAI"), rank: 10, vendor: Some("openai"), ..Kind::over_http::<Own>("openai") };

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {}

impl Settings for Own {
    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        Ok(Arc::new(OpenAi::new(setup.at(HOME, Some("gpt-4o-mini")))?))
    }
}

/// A platform that speaks OpenAI Chat Completions.
pub type OpenAi = Http<Chat>;

/// Speaks OpenAI Chat Completions.
#[derive(Debug, Clone, Copy)]
pub struct Chat {
    dialect: Dialect,
}

impl Chat {
    /// In this dialect.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect }
    }
}

impl Http<Chat> {
    /// Prepares the platform, in the dialect of its host; connects to nothing.
    ///
    /// # Errors
    /// When the options cannot work.
    pub fn new(options: Options) -> Result<Self, Error> {
        let host = Url::parse(options.base_url.trim()).ok().and_then(|url| url.host_str().map(str::to_owned));
        Self::speaking(Chat::new(Dialect::of_host(&host.unwrap_or_default())), options)
    }
}

impl Protocol for Chat {
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
        below(base, &["chat", "completions"])
    }

    fn encode(&self, request: &Request, model: &str, _limit: Option<u32>, stream: bool) -> Result<Value, Failure> {
        Ok(openai_chat::encode(request, model, self.dialect, stream))
    }

    fn decode(&self, body: &[u8]) -> Result<Answer, Failure> {
        openai_chat::decode(body, self.dialect)
    }

    fn decoder(&self, limit: usize) -> Box<dyn Decode> {
        Box::new(openai_chat::decoder(self.dialect, limit))
    }
}
