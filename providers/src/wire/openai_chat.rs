//! The wire family of OpenAI Chat Completions, which Ollama, vLLM, llama.cpp, OpenRouter and many others speak too.
//!
//! Source: the OpenAI API reference, "Chat Completions". Counted by this family: cached tokens lie inside the prompt's,
//! reasoning tokens inside the answer's, which is how [`Usage`] counts. A streamed answer is complete only when
//! `[DONE]` came; anything less is a failure, because a cut answer must never pass for a short one.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::{openai_failure, sse};
use crate::{Failure, FailureKind, Finish, Request, Usage};

/// What differs among those who speak the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// What the limit of the answer is called.
    pub max_tokens: MaxTokensField,
    /// Whether `usage.cost` is what was charged, in US dollars. Only OpenRouter documents it so.
    pub reports_cost: bool,
}

/// What the limit of the answer is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxTokensField {
    /// `max_tokens`, which everyone but OpenAI's reasoning models takes.
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's reasoning models insist on.
    MaxCompletionTokens,
}

impl Dialect {
    /// The dialect spoken at a host.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        let openai = host == "api.openai.com" || host.ends_with(".api.openai.com");
        let max_tokens = if openai { MaxTokensField::MaxCompletionTokens } else { MaxTokensField::MaxTokens };
        Self { max_tokens, reports_cost: host == "openrouter.ai" }
    }
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// Why it ended there.
    pub finish: Finish,
    /// The model, when it named itself.
    pub model: Option<String>,
    /// Tokens.
    pub usage: Usage,
    /// What was charged, in billionths of a US dollar.
    pub cost: Option<i64>,
    /// The `usage` object as it came.
    pub raw_usage: Option<Value>,
}

/// The body of a request. What the request leaves open is left out, so that the platform decides.
#[must_use]
pub fn encode(request: &Request, model: &str, dialect: Dialect, stream: bool) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    let system = request.system.as_deref().filter(|system| !system.is_empty());
    let messages = system
        .map(|content| json!({ "role": "system", "content": content }))
        .into_iter()
        .chain([json!({ "role": "user", "content": request.user })])
        .collect();
    body.insert("messages".into(), Value::Array(messages));
    let mut optional = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.into(), value);
        }
    };
    let thousandths = |value: f64| Value::from(value / 1000.0);
    optional("temperature", request.temperature_milli.map(|value| thousandths(value.into())));
    let max_tokens = match dialect.max_tokens {
        MaxTokensField::MaxTokens => "max_tokens",
        MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
    };
    optional(max_tokens, request.max_tokens.map(Value::from));
    optional("top_p", request.top_p_milli.map(|value| thousandths(value.into())));
    optional("frequency_penalty", request.frequency_penalty_milli.map(|value| thousandths(value.into())));
    optional("presence_penalty", request.presence_penalty_milli.map(|value| thousandths(value.into())));
    if stream {
        body.insert("stream".into(), true.into());
        // Without it a stream reports no usage at all.
        body.insert("stream_options".into(), json!({ "include_usage": true }));
    }
    Value::Object(body)
}

/// Reads the body of a successful, unstreamed answer.
///
/// # Errors
/// `MalformedReply` when it is no complete answer; what the error says, when it is an error under a status of success.
pub fn decode(body: &[u8], dialect: Dialect) -> Result<Answer, Failure> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| malformed(format!("the answer is not the expected JSON: {error}")))?;
    if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
        return Err(openai_failure::in_reply(error));
    }
    let choice = first_choice(&value).ok_or_else(|| malformed("the answer has no choices"))?;
    let message = choice
        .get("message")
        .filter(|message| message.is_object())
        .ok_or_else(|| malformed("the answer's choice has no message"))?;
    let mut text = content(message)?;
    let mut finish = choice.get("finish_reason").and_then(Value::as_str).map(finish);
    if let Some(refusal) = refusal(message).filter(|_| text.is_empty()) {
        (text, finish) = (refusal.to_owned(), Some(Finish::ContentFilter));
    }
    Ok(Answer {
        text,
        finish: finish.unwrap_or_else(|| Finish::Other("not reported".to_owned())),
        model: model(&value),
        usage: usage(value.get("usage")),
        cost: cost(value.get("usage"), dialect),
        raw_usage: value.get("usage").filter(|usage| !usage.is_null()).cloned(),
    })
}

/// Reads an answer as it is streamed.
#[derive(Debug)]
pub struct StreamDecoder {
    events: sse::Decoder,
    dialect: Dialect,
    limit: usize,
    text: String,
    pieces: VecDeque<String>,
    finish: Option<Finish>,
    refused: bool,
    model: Option<String>,
    usage: Option<Value>,
    done: bool,
}

impl StreamDecoder {
    /// A decoder for an answer of at most `limit` bytes.
    #[must_use]
    pub fn new(dialect: Dialect, limit: usize) -> Self {
        Self {
            events: sse::Decoder::new(limit),
            dialect,
            limit,
            text: String::new(),
            pieces: VecDeque::new(),
            finish: None,
            refused: false,
            model: None,
            usage: None,
            done: false,
        }
    }

    /// Takes more bytes.
    ///
    /// # Errors
    /// When the stream reports an error or makes no sense. Pieces that came before it can still be taken.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        for event in self.events.push(bytes).map_err(|error| malformed(error.to_string()))? {
            // What follows the end is not part of the answer.
            if self.done {
                break;
            }
            self.event(&event)?;
        }
        Ok(())
    }

    /// The next piece of text, never empty.
    pub fn piece(&mut self) -> Option<String> {
        self.pieces.pop_front()
    }

    /// Whether `[DONE]` came.
    #[must_use]
    pub fn done(&self) -> bool {
        self.done
    }

    /// The whole answer, once no more bytes will come.
    ///
    /// # Errors
    /// `MalformedReply` when the answer ended in the middle.
    pub fn finish(self) -> Result<Answer, Failure> {
        if !self.done {
            return Err(malformed(format!("the stream broke off after {} bytes of text", self.text.len())));
        }
        let finish = if self.refused {
            Finish::ContentFilter
        } else {
            self.finish.ok_or_else(|| malformed("the stream ended without a finish reason"))?
        };
        Ok(Answer {
            text: self.text,
            finish,
            model: self.model,
            usage: usage(self.usage.as_ref()),
            cost: cost(self.usage.as_ref(), self.dialect),
            raw_usage: self.usage,
        })
    }

    fn event(&mut self, event: &sse::Event) -> Result<(), Failure> {
        let data = event.data.trim();
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        if data.is_empty() {
            return Ok(());
        }
        let value: Value = serde_json::from_str(data)
            .map_err(|error| malformed(format!("an event of the stream is not the expected JSON: {error}")))?;
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            return Err(openai_failure::in_reply(error));
        }
        if event.name == "error" {
            return Err(openai_failure::in_reply(&value));
        }
        if self.model.is_none() {
            self.model = model(&value);
        }
        if let Some(usage) = value.get("usage").filter(|usage| !usage.is_null()) {
            // Some send running totals with every event: the last one counts, sums would count twice.
            self.usage = Some(usage.clone());
        }
        let Some(choice) = first_choice(&value) else {
            return Ok(());
        };
        if let Some(delta) = choice.get("delta").filter(|delta| delta.is_object()) {
            let mut text = content(delta)?;
            if let Some(refusal) = refusal(delta) {
                self.refused = true;
                text.push_str(refusal);
            }
            if self.text.len() + text.len() > self.limit {
                return Err(too_large(self.limit));
            }
            if !text.is_empty() {
                self.text.push_str(&text);
                self.pieces.push_back(text);
            }
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish = Some(finish(reason));
        }
        Ok(())
    }
}

/// An answer that outgrew `limit` bytes.
pub(crate) fn too_large(limit: usize) -> Failure {
    malformed(format!("the answer is larger than the {limit} bytes that are accepted"))
}

fn malformed(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::MalformedReply, message)
}

/// We never ask for more than one choice, so only the one of index 0 is ours.
fn first_choice(value: &Value) -> Option<&Value> {
    let choices = value.get("choices")?.as_array()?;
    choices.iter().find(|choice| choice.get("index").is_none_or(|index| index.as_u64().is_none_or(|index| index == 0)))
}

/// The text of a message or delta: a string, nothing at all, or a list of parts of which the text parts count.
fn content(message: &Value) -> Result<String, Failure> {
    match message.get("content") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            Ok(parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect())
        }
        Some(_) => Err(malformed("the answer's content is not text")),
    }
}

fn refusal(message: &Value) -> Option<&str> {
    message.get("refusal").and_then(Value::as_str).filter(|refusal| !refusal.is_empty())
}

fn model(value: &Value) -> Option<String> {
    value.get("model").and_then(Value::as_str).filter(|model| !model.is_empty()).map(str::to_owned)
}

fn finish(reason: &str) -> Finish {
    match reason {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "content_filter" => Finish::ContentFilter,
        other => Finish::Other(other.chars().take(64).collect()),
    }
}

fn usage(value: Option<&Value>) -> Usage {
    let count = |path: &str| value.and_then(|usage| usage.pointer(path)).and_then(Value::as_u64);
    Usage {
        input: count("/prompt_tokens"),
        // The second name is DeepSeek's.
        cached_input: count("/prompt_tokens_details/cached_tokens").or_else(|| count("/prompt_cache_hit_tokens")),
        output: count("/completion_tokens"),
        reasoning: count("/completion_tokens_details/reasoning_tokens"),
    }
}

fn cost(usage: Option<&Value>, dialect: Dialect) -> Option<i64> {
    if !dialect.reports_cost {
        return None;
    }
    let dollars = usage?.get("cost")?.as_f64()?;
    // Up to the limit every whole nano-dollar is exact in an f64, and no sane charge is above it.
    let sane = (0.0..=1e6).contains(&dollars);
    sane.then(|| (dollars * 1e9).round() as i64) // In range by the check before.
}
