//! The platform that asks no model.
//!
//! It lets everything else be tried, tested and measured without a key or a model. Its answers are the same for the
//! same request, start with `[simulated]` and carry `simulated: true`, so that nobody takes them for an answer. Whoever asks
//! for JSON of a schema gets the least that fits it, with that text wherever there has to be one. What it does beyond that
//! (fail, hang, wait) is scripted by whoever builds it, never by words in a prompt.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kind::{Kind, Role, Settings, Setup, Unusable};
use crate::{
    Capabilities, Chunk, CostSource, Failure, Finish, Health, Platform, Reply, ReplyStream, Request, State, Usage,
};

/// The kind `simulator`.
pub const KIND: Kind = Kind { role: Role::Simulator, rank: 120, takes: &[], ..Kind::of::<Own>("simulator") };

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// How long it waits before each answer, in milliseconds.
    latency_ms: Option<u64>,
}

impl Settings for Own {
    const NAMES: &'static [&'static str] = &["latency_ms"];

    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        let latency = Duration::from_millis(self.latency_ms.unwrap_or_default());
        Ok(Arc::new(Simulator::builder().key(setup.key).latency(latency).build()))
    }
}

/// What a scripted simulator does with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers as usual.
    Answer,
    /// Answers this, behind the label.
    Say(String),
    /// Fails.
    Fail(Failure),
    /// Never answers; the request's timeout ends it.
    Hang,
}

type Script = dyn Fn(&Request, u32) -> Behaviour + Send + Sync;

/// Answers without a model, openly so.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

struct Shared {
    key: String,
    latency: Duration,
    json: bool,
    capabilities: Capabilities,
    script: Option<Box<Script>>,
    calls: AtomicU64,
    calls_by_request: Mutex<HashMap<[u8; 32], u32>>,
}

/// Configures a [`Simulator`].
pub struct SimulatorBuilder {
    key: String,
    latency: Duration,
    json: bool,
    capabilities: Capabilities,
    script: Option<Box<Script>>,
}

impl SimulatorBuilder {
    /// Goes by another key than `simulator`.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// Waits this long before each answer; zero by default.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Answers with the request itself as one JSON object, `{"simulated": true, "system": …, "user": …}`.
    #[must_use]
    pub fn echo_json(mut self) -> Self {
        self.json = true;
        self
    }

    /// Tells this of each of its models; by default, that they keep to schemas.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Asks `script` what to do with each call; it sees the request and how often this same request has come,
    /// counted from 1. Remembers every request, so it is for tests.
    #[must_use]
    pub fn script(mut self, script: impl Fn(&Request, u32) -> Behaviour + Send + Sync + 'static) -> Self {
        self.script = Some(Box::new(script));
        self
    }

    /// The simulator.
    #[must_use]
    pub fn build(self) -> Simulator {
        let Self { key, latency, json, capabilities, script } = self;
        let (calls, calls_by_request) = (AtomicU64::new(0), Mutex::default());
        Simulator { shared: Arc::new(Shared { key, latency, json, capabilities, script, calls, calls_by_request }) }
    }
}

impl Default for Simulator {
    fn default() -> Self {
        Self::builder().build()
    }
}

impl Simulator {
    /// What the text of every answer starts with, except in JSON, which says it in a field.
    pub const LABEL: &str = "[simulated]";

    /// A simulator to configure.
    #[must_use]
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder {
            key: "simulator".to_owned(),
            latency: Duration::ZERO,
            json: false,
            capabilities: Capabilities { schema: Some(true), ..Capabilities::default() },
            script: None,
        }
    }

    /// How many calls it has had, whatever became of them.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    fn behaviour(&self, request: &Request) -> Behaviour {
        let Some(script) = &self.shared.script else {
            return Behaviour::Answer;
        };
        let call = {
            let mut calls = self.shared.calls_by_request.lock().unwrap_or_else(PoisonError::into_inner);
            let call = calls.entry(request.hash()).or_insert(0);
            *call += 1;
            *call
        };
        script(request, call)
    }

    async fn answer(&self, request: Request) -> Result<Reply, Failure> {
        let started = Instant::now();
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
        let behaviour = self.behaviour(&request);
        if self.shared.latency >= request.timeout || behaviour == Behaviour::Hang {
            tokio::time::sleep(request.timeout).await;
            return Err(Failure::timed_out(&self.shared.key, request.timeout));
        }
        if !self.shared.latency.is_zero() {
            tokio::time::sleep(self.shared.latency).await;
        }
        let text = match behaviour {
            Behaviour::Fail(failure) => return Err(failure),
            Behaviour::Say(text) => format!("{} {text}", Self::LABEL),
            Behaviour::Answer | Behaviour::Hang if self.shared.json => {
                serde_json::json!({ "simulated": true, "system": request.system, "user": request.user }).to_string()
            }
            Behaviour::Answer | Behaviour::Hang => {
                let text =
                    format!("{} no model was asked; the request begins: {}", Self::LABEL, beginning(&request.user));
                match &request.output {
                    Some(output) => least(&output.schema, &text).to_string(),
                    None => text,
                }
            }
        };
        let usage = Usage {
            input: Some(words(request.system.as_deref().unwrap_or_default()) + words(&request.user)),
            output: Some(words(&text)),
            ..Usage::default()
        };
        Ok(Reply {
            text,
            finish: Finish::Stop,
            model: request.model.unwrap_or_else(|| MODEL.to_owned()),
            cost: Some(0),
            cost_source: CostSource::Free,
            first_piece: None,
            tool_calls: Vec::new(),
            opaque: None,
            limits: None,
            usage,
            duration: started.elapsed(),
            simulated: true,
            raw_usage: None,
        })
    }
}

const MODEL: &str = "simulated";

/// The least that fits a JSON Schema, with `text` for every text. Schemas that say what a value is by `$ref` or by what it is
/// not are not followed; null stands there.
fn least(schema: &Value, text: &str) -> Value {
    let field = |name: &str| schema.get(name).unwrap_or(&Value::Null);
    let of_first = |name: &str| Some(least(field(name).as_array()?.first()?, text));
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(values) = field("enum").as_array() {
        return values.iter().find(|value| value.is_null()).or(values.first()).cloned().unwrap_or_default();
    }
    let kinds = match field("type") {
        Value::Array(kinds) => kinds.as_slice(),
        kind => std::slice::from_ref(kind),
    };
    if kinds.iter().any(|kind| kind == "null") {
        return Value::Null;
    }
    let number = || schema.get("minimum").cloned().unwrap_or_else(|| 0.into());
    match kinds.first().and_then(Value::as_str) {
        Some("object") => {
            let required = field("required").as_array().into_iter().flatten().filter_map(Value::as_str);
            let value =
                |name: &str| (name.to_owned(), field("properties").get(name).map_or(Value::Null, |of| least(of, text)));
            Value::Object(required.map(value).collect())
        }
        Some("array") => {
            let count = field("minItems").as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
            Value::Array(vec![least(field("items"), text); count.min(MOST_ITEMS)])
        }
        Some("string") => text.into(),
        Some("number" | "integer") => number(),
        Some("boolean") => false.into(),
        _ => of_first("anyOf").or_else(|| of_first("oneOf")).unwrap_or_default(),
    }
}

/// So many elements has a list at most, however many a schema wants.
const MOST_ITEMS: usize = 100;

/// There are no tokens without a model, so it counts words.
fn words(text: &str) -> u64 {
    text.split_whitespace().map(|_| 1).sum()
}

fn beginning(text: &str) -> String {
    const LIMIT: usize = 120;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut cut: String = line.chars().take(LIMIT).collect();
    if cut.len() < line.len() {
        cut.push('…');
    }
    cut
}

#[async_trait]
impl Platform for Simulator {
    fn key(&self) -> &str {
        &self.shared.key
    }

    fn default_model(&self) -> Option<&str> {
        Some(MODEL)
    }

    fn simulated(&self) -> bool {
        true
    }

    fn is_self_contained(&self) -> bool {
        // A script may do anything.
        self.shared.script.is_none()
    }

    fn unusable(&self) -> Option<String> {
        None
    }

    async fn execute(&self, request: Request) -> Result<Reply, Failure> {
        self.answer(request).await
    }

    async fn stream(&self, request: Request) -> Result<ReplyStream, Failure> {
        let reply = self.answer(request).await?;
        let mut chunks: Vec<_> = reply.text.split_inclusive(' ').map(|word| Ok(Chunk::Text(word.to_owned()))).collect();
        chunks.push(Ok(Chunk::End(Box::new(reply))));
        Ok(stream::iter(chunks).boxed())
    }

    fn capabilities(&self, _model: &str) -> Capabilities {
        self.shared.capabilities
    }

    fn cost(&self, _model: &str, _usage: &Usage) -> Option<i64> {
        Some(0)
    }

    async fn health(&self) -> Health {
        Health {
            state: State::Ready,
            detail: "answers without a model; every reply is labelled as simulated".to_owned(),
        }
    }
}
