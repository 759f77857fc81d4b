//! What kinds of platforms there are, and how one of each is made from what an administrator says.
//!
//! Invariant: a kind describes itself in the file that implements it, as a [`Kind`]: what it is called, which settings it takes,
//! how one is opened. The rest of the program knows kinds from [`KINDS`] alone, so a new one is its file and its line there.

use std::error::Error;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    Platform, acp, anthropic, command, cursor, gemini, http, local_model, ollama, openai, openai_responses, openrouter,
    simulator,
};

/// Every kind, in the order in which their platforms are asked when nobody says otherwise.
pub const KINDS: &[&Kind] = &[
    &openai::KIND,
    &openai_responses::KIND,
    &anthropic::KIND,
    &gemini::KIND,
    &openrouter::KIND,
    &ollama::KIND,
    &command::KIND,
    &acp::KIND,
    &cursor::KIND,
    &local_model::KIND,
    &simulator::KIND,
];

/// What the configuration calls them.
pub const NAMES: &[&str] = &{
    let mut names = [""; KINDS.len()];
    let mut place = 0;
    #[expect(clippy::indexing_slicing, reason = "both are as long as the list, and the compiler tries it")]
    while place < names.len() {
        names[place] = KINDS[place].name;
        place += 1;
    }
    names
};

/// The shared settings of what is reached over HTTP.
pub const OVER_HTTP: &[&str] =
    &["base_url", "api_key", "stored_key", "more_keys", "model", "proxy", "certificates", "stream"];

/// A kind of platform.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What the configuration calls it.
    pub name: &'static str,
    /// What the usual variables of its service begin with, such as `ANTHROPIC` of `ANTHROPIC_API_KEY`. They make a platform of
    /// the first kind that names them, and is called like that.
    pub service: Option<&'static str>,
    /// Whom its platforms work for.
    pub role: Role,
    /// The shared settings that it takes; tags and limits are for all.
    pub takes: &'static [&'static str],
    /// The settings of its own.
    pub own: &'static [&'static str],
    /// Reads the settings of its own, from a table with nothing else in it.
    pub read: fn(Map<String, Value>) -> Own,
}

/// The settings of its own that a kind has, or which of them is wrong, and how.
pub type Own = Result<Arc<dyn Opens>, String>;

/// Whom platforms of a kind work for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Whoever wants a model.
    Model,
    /// Those who name it: it is an agent by itself.
    Agent,
    /// Whoever wants no model; it stands in for none.
    Simulator,
}

impl Kind {
    /// A kind of model with these settings of its own, which is reached over HTTP and whose service has no usual variables.
    #[must_use]
    pub const fn over_http<S: Settings>(name: &'static str) -> Self {
        Self { takes: OVER_HTTP, ..Self::of::<S>(name) }
    }

    /// A kind of model with these settings of its own and the model's name.
    #[must_use]
    pub const fn of<S: Settings>(name: &'static str) -> Self {
        Self { name, service: None, role: Role::Model, takes: &["model"], own: S::NAMES, read: read::<S> }
    }
}

/// The settings of its own that a kind has, as the configuration has them.
///
/// Unknown settings are for `Deserialize` to refuse (`deny_unknown_fields`); what `Serialize` writes is shown to people, so secrets
/// in it are [`Secret`](crate::Secret)s.
pub trait Settings: Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Their names.
    const NAMES: &'static [&'static str] = &[];

    /// What is wrong with them, told of the platform whose table is `at`, such as `platforms.coder`.
    fn fault(&self, at: &str) -> Option<String> {
        let _ = at;
        None
    }

    /// Makes a platform; connects to nothing.
    ///
    /// # Errors
    /// When the settings cannot work.
    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable>;
}

/// Why a platform cannot be made.
pub type Unusable = Box<dyn Error + Send + Sync>;

/// Settings of a kind that is known by its name alone.
pub trait Opens: Debug + Send + Sync {
    /// See [`Settings::fault`].
    fn fault(&self, at: &str) -> Option<String>;

    /// The settings as they are shown, those that were not given left out.
    fn shown(&self) -> Map<String, Value>;

    /// See [`Settings::open`].
    ///
    /// # Errors
    /// When the settings cannot work.
    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable>;
}

impl<S: Settings> Opens for S {
    fn fault(&self, at: &str) -> Option<String> {
        Settings::fault(self, at)
    }

    fn shown(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(mut shown)) => {
                shown.retain(|_, value| !value.is_null());
                shown
            }
            _ => Map::new(),
        }
    }

    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        Settings::open(self, setup)
    }
}

fn read<S: Settings>(own: Map<String, Value>) -> Own {
    let read = serde_path_to_error::deserialize::<_, S>(Value::Object(own));
    read.map(|settings| Arc::new(settings) as Arc<dyn Opens>).map_err(|error| {
        let (path, what) = (error.path().to_string(), error.inner().to_string());
        if path == "." { what } else { format!("{path}: {what}") }
    })
}

/// What a platform is made from besides the settings of its kind.
pub struct Setup<'a> {
    /// Its key.
    pub key: &'a str,
    /// The model for requests that name none.
    pub model: Option<String>,
    /// Where its API begins, when that was said.
    pub base_url: Option<String>,
    /// How it is reached over HTTP; key, model and base URL are filled in by [`at`](Self::at).
    pub http: http::Options,
    /// Where the program keeps its own things.
    pub data_dir: &'a Path,
    /// The variables of the program's environment, for what is started in it.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Setup<'_> {
    /// How it is reached over HTTP: at its service's `home` unless another place was said. `usual` is the model for when nobody
    /// names one, where the service itself is asked; a cheap one that is good enough for the starter catalogue.
    #[must_use]
    pub fn at(self, home: &str, usual: Option<&str>) -> http::Options {
        let base_url = self.base_url.unwrap_or_else(|| home.to_owned());
        let own = base_url.trim_end_matches('/') == home;
        let model = self.model.or_else(|| usual.filter(|_| own).map(str::to_owned));
        http::Options { key: self.key.to_owned(), base_url, model, ..self.http }
    }
}
