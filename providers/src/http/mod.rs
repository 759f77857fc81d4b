//! What all platforms that are reached over HTTP have in common.
//!
//! One call is one HTTP request: nothing is retried, no redirect is followed (it could carry the key elsewhere), and
//! no more is read than the limits allow. Dropping a call closes its connection, which tells the server to stop. What
//! differs among platforms is a [`Protocol`]: where to ask, how to show the key, what to say and how to read the
//! answer. So a new platform of this kind is one file.

pub(crate) mod client;
mod incoming;
mod options;
mod platform;

use std::fmt::Debug;

use reqwest::Url;
use serde_json::Value;

use crate::wire::{Answer, Decode};
use crate::{Failure, Model, Request};

pub(crate) use options::base_url;
pub use options::{ApiKey, Error, Options};
pub use platform::Http;

/// What a platform speaks.
pub trait Protocol: Debug + Clone + Send + Sync + 'static {
    /// Where the platform itself lives, version included, such as `https://api.openai.com/v1`.
    fn home(&self) -> &'static str;

    /// The end that every base URL must have, such as `/v1`; it is added where it is missing. Empty when servers
    /// differ.
    fn version(&self) -> &'static str {
        ""
    }

    /// The headers that show a key.
    fn credentials(&self, key: &str) -> Vec<(&'static str, String)> {
        vec![("authorization", format!("Bearer {key}"))]
    }

    /// The headers of every request.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Why the platform needs a key, when it lives at `host`; `None` when it may work without.
    fn needs_key(&self, host: &str) -> Option<&'static str>;

    /// Whose prices apply at `host`; `None` when nobody knows what is charged.
    fn vendor(&self, host: &str) -> Option<&'static str>;

    /// Where to ask.
    fn address(&self, base: &Url, model: &str, stream: bool) -> Url;

    /// What to say. `answer_limit` is how long an answer of this model can be, if known.
    ///
    /// # Errors
    /// `InvalidRequest` for what the platform has no words for.
    fn encode(&self, request: &Request, model: &str, answer_limit: Option<u32>, stream: bool)
    -> Result<Value, Failure>;

    /// Whether a prompt may be charged for as one that is written to the platform's cache.
    fn writes_cache(&self) -> bool {
        false
    }

    /// Reads a whole answer.
    ///
    /// # Errors
    /// When it is none.
    fn decode(&self, body: &[u8]) -> Result<Answer, Failure>;

    /// Reads a streamed answer of at most `limit` bytes.
    fn decoder(&self, limit: usize) -> Box<dyn Decode>;

    /// Where the models are listed.
    fn models_address(&self, base: &Url) -> Url {
        below(base, &["models"])
    }

    /// Reads the list of models.
    fn models(&self, list: &Value) -> Vec<Model> {
        let all = list.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter_map(|model| Some(Model::named(model.get("id")?.as_str()?))).collect()
    }
}

/// The address of something below a base URL.
#[must_use]
pub fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    // Only a URL that cannot have a path refuses, and a base URL is never one.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}
