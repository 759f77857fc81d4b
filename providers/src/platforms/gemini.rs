//! Gemini over HTTP.

use std::sync::Arc;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::{Error, Http, Options, Protocol, below};
use crate::kind::{Kind, Settings, Setup, Unusable};
use crate::wire::{Answer, Decode, gemini};
use crate::{Failure, Model, Platform, Request};

/// Google's own service.
pub const HOME: &str = "https://generativelanguage.googleapis.com/v1beta";

/// The kind `gemini`.
pub const KIND: Kind =
    Kind { service: Some("GEMINI"), rank: 40, vendor: Some("gemini"), ..Kind::over_http::<Own>("gemini") };

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {}

impl Settings for Own {
    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        Ok(Arc::new(Gemini::new(setup.at(HOME, Some("gemini-2.5-flash")))?))
    }
}

/// A platform that speaks Gemini.
pub type Gemini = Http<Generate>;

/// Speaks Gemini `generateContent` and `streamGenerateContent`.
#[derive(Debug, Clone, Copy)]
pub struct Generate;

impl Http<Generate> {
    /// Prepares the platform; connects to nothing.
    ///
    /// # Errors
    /// When the options cannot work.
    pub fn new(options: Options) -> Result<Self, Error> {
        Self::speaking(Generate, options)
    }
}

impl Protocol for Generate {
    fn home(&self) -> &'static str {
        HOME
    }

    fn version(&self) -> &'static str {
        "/v1beta"
    }

    fn credentials(&self, key: &str) -> Vec<(&'static str, String)> {
        vec![("x-goog-api-key", key.to_owned())]
    }

    fn needs_key(&self, host: &str) -> Option<&'static str> {
        (host == "generativelanguage.googleapis.com").then_some("it has no API key: set GEMINI_API_KEY or api_key")
    }

    /// Whatever stands in front of it: nobody else has models of these names.
    fn vendor(&self, _host: &str) -> Option<&'static str> {
        Some("gemini")
    }

    fn address(&self, base: &Url, model: &str, stream: bool) -> Url {
        let model = model.strip_prefix("models/").unwrap_or(model);
        let action = if stream { "streamGenerateContent" } else { "generateContent" };
        let mut url = below(base, &["models", &format!("{model}:{action}")]);
        if stream {
            url.set_query(Some("alt=sse"));
        }
        url
    }

    fn encode(&self, request: &Request, _model: &str, _limit: Option<u32>, _stream: bool) -> Result<Value, Failure> {
        Ok(gemini::encode(request))
    }

    fn decode(&self, body: &[u8]) -> Result<Answer, Failure> {
        gemini::decode(body)
    }

    fn decoder(&self, limit: usize) -> Box<dyn Decode> {
        Box::new(gemini::decoder(limit))
    }

    fn models_address(&self, base: &Url) -> Url {
        let mut url = below(base, &["models"]);
        url.set_query(Some("pageSize=1000"));
        url
    }

    fn models(&self, list: &Value) -> Vec<Model> {
        let all = list.get("models").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let model = |entry: &Value| {
            let methods = entry.get("supportedGenerationMethods").and_then(Value::as_array);
            if methods.is_some_and(|all| !all.iter().any(|method| method.as_str() == Some("generateContent"))) {
                return None;
            }
            let size = |name: &str| entry.get(name).and_then(Value::as_u64).and_then(|size| size.try_into().ok());
            let name = entry.get("name")?.as_str()?;
            let mut model = Model::named(name.strip_prefix("models/").unwrap_or(name));
            model.capabilities.max_input = size("inputTokenLimit");
            model.capabilities.max_output = size("outputTokenLimit");
            Some(model)
        };
        all.iter().filter_map(model).collect()
    }
}
