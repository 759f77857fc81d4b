//! OpenRouter: Chat Completions with many vendors behind one door. It says itself what each call was charged, and that
//! wins over any list of prices.

use std::sync::Arc;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::{Error, Http, Options, Protocol, below};
use crate::kind::{Kind, Settings, Setup, Unusable};
use crate::wire::openai_chat::{self, Dialect};
use crate::wire::{Answer, Decode};
use crate::{Failure, Model, Platform, Request};

/// OpenRouter's own service.
pub const HOME: &str = "https://openrouter.ai/api/v1";

/// The kind `openrouter`.
pub const KIND: Kind = Kind { service: Some("OPENROUTER"), rank: 50, ..Kind::over_http::<Own>("openrouter") };

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
        Ok(Arc::new(OpenRouter::new(Options { prompt_cache, ..setup.at(HOME, Some("openai/gpt-4o-mini")) })?))
    }
}

/// OpenRouter.
pub type OpenRouter = Http<Routed>;

/// Speaks OpenRouter's dialect of Chat Completions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Routed {
    /// Whether Anthropic's models are to keep instructions in their cache; they have to be asked, behind OpenRouter too. The other
    /// vendors behind it do so by themselves.
    pub cached: bool,
}

impl Http<Routed> {
    /// Prepares the platform; connects to nothing.
    ///
    /// # Errors
    /// When the options cannot work.
    pub fn new(options: Options) -> Result<Self, Error> {
        let cached = options.prompt_cache;
        Self::speaking(Routed { cached }, options)
    }
}

impl Protocol for Routed {
    fn home(&self) -> &'static str {
        HOME
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        // How OpenRouter names the program in its account of the usage.
        &[("x-title", "HishamOS")]
    }

    fn needs_key(&self, host: &str) -> Option<&'static str> {
        (host == "openrouter.ai").then_some("it has no API key: set OPENROUTER_API_KEY or api_key")
    }

    fn vendor(&self, _host: &str) -> Option<&'static str> {
        None
    }

    fn address(&self, base: &Url, _model: &str, _stream: bool) -> Url {
        below(base, &["chat", "completions"])
    }

    fn encode(&self, request: &Request, model: &str, _limit: Option<u32>, stream: bool) -> Result<Value, Failure> {
        let mut body = openai_chat::encode(request, model, Dialect::OPENROUTER, stream);
        if self.cached && model.starts_with("anthropic/") {
            openai_chat::keep_instructions(&mut body);
        }
        Ok(body)
    }

    fn decode(&self, body: &[u8]) -> Result<Answer, Failure> {
        openai_chat::decode(body, Dialect::OPENROUTER)
    }

    fn decoder(&self, limit: usize) -> Box<dyn Decode> {
        Box::new(openai_chat::decoder(Dialect::OPENROUTER, limit))
    }

    fn models(&self, list: &Value) -> Vec<Model> {
        let all = list.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let model = |entry: &Value| {
            let size = |path: &str| entry.pointer(path).and_then(Value::as_u64).and_then(|size| size.try_into().ok());
            let mut model = Model::named(entry.get("id")?.as_str()?);
            model.capabilities.max_input = size("/context_length");
            model.capabilities.max_output = size("/top_provider/max_completion_tokens");
            if let Some(parameters) = entry.get("supported_parameters").and_then(Value::as_array) {
                let takes = |name: &str| Some(parameters.iter().any(|known| known.as_str() == Some(name)));
                model.capabilities.tools = takes("tools");
                model.capabilities.schema = takes("structured_outputs");
            }
            if let Some(modalities) = entry.pointer("/architecture/input_modalities").and_then(Value::as_array) {
                model.capabilities.images = Some(modalities.iter().any(|kind| kind.as_str() == Some("image")));
            }
            Some(model)
        };
        all.iter().filter_map(model).collect()
    }
}
