//! The wire family of OpenAI Chat Completions, which Ollama, vLLM, llama.cpp, OpenRouter and many others speak too.
//!
//! Source: the OpenAI API reference, "Chat Completions". Counted by this family: cached tokens lie inside the prompt's,
//! reasoning tokens inside the answer's, which is how [`Usage`] counts. A streamed answer is complete only when
//! `[DONE]` came; anything less is a failure, because a cut answer must never pass for a short one.

use serde_json::{Map, Value, json};

use super::stream::{count, nano_usd, put, reported, thousandths, word};
use super::{Answer, Draft, Fold, Progress, StreamDecoder, error, media, whole_body};
use crate::{Failure, Family, Finish, Image, Message, Opaque, Request, Tier, ToolCall, ToolChoice, Usage};

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
    /// What nearly everybody speaks.
    pub const COMMON: Self = Self { max_tokens: MaxTokensField::MaxTokens, reports_cost: false };
    /// OpenRouter's.
    pub const OPENROUTER: Self = Self { max_tokens: MaxTokensField::MaxTokens, reports_cost: true };

    /// The dialect spoken at a host.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        if is_openai(host) {
            Self { max_tokens: MaxTokensField::MaxCompletionTokens, ..Self::COMMON }
        } else if host == "openrouter.ai" {
            Self::OPENROUTER
        } else {
            Self::COMMON
        }
    }
}

/// Whether OpenAI itself lives there.
pub(crate) fn is_openai(host: &str) -> bool {
    host == "api.openai.com" || host.ends_with(".api.openai.com")
}

/// The body of a request. What the request leaves open is left out, so that the platform decides.
#[must_use]
pub fn encode(request: &Request, model: &str, dialect: Dialect, stream: bool) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("messages".into(), Value::Array(messages(request)));
    put(&mut body, "temperature", request.temperature_milli.map(thousandths));
    let max_tokens = match dialect.max_tokens {
        MaxTokensField::MaxTokens => "max_tokens",
        MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
    };
    put(&mut body, max_tokens, request.max_tokens.map(Value::from));
    put(&mut body, "top_p", request.top_p_milli.map(thousandths));
    put(&mut body, "frequency_penalty", request.frequency_penalty_milli.map(thousandths));
    put(&mut body, "presence_penalty", request.presence_penalty_milli.map(thousandths));
    put(&mut body, "stop", (!request.stop.is_empty()).then(|| json!(request.stop)));
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            json!({ "type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters,
            } })
        });
        body.insert("tools".into(), tools.collect());
        let choice = match &request.tool_choice {
            ToolChoice::Auto => None,
            ToolChoice::Never => Some(json!("none")),
            ToolChoice::Required => Some(json!("required")),
            ToolChoice::Named(name) => Some(json!({ "type": "function", "function": { "name": name } })),
        };
        put(&mut body, "tool_choice", choice);
    }
    if let Some(output) = &request.output {
        let schema = json!({ "name": output.name, "schema": output.schema, "strict": true });
        body.insert("response_format".into(), json!({ "type": "json_schema", "json_schema": schema }));
    }
    if stream {
        body.insert("stream".into(), true.into());
        // Without it a stream reports no usage at all.
        body.insert("stream_options".into(), json!({ "include_usage": true }));
    }
    if dialect.reports_cost {
        body.insert("usage".into(), json!({ "include": true }));
    }
    Value::Object(body)
}

/// Marks the instructions of a request as what is to be kept in the platform's cache, in the words of OpenRouter, which passes the
/// mark on (its documentation, "Prompt caching"). A request without instructions stays as it is.
pub fn keep_instructions(body: &mut Value) {
    let first = body.pointer_mut("/messages/0").and_then(Value::as_object_mut);
    let Some(first) = first.filter(|first| first.get("role").and_then(Value::as_str) == Some("system")) else { return };
    if let Some(text) = first.get("content").and_then(Value::as_str) {
        let kept = json!([{ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } }]);
        first.insert("content".to_owned(), kept);
    }
}

fn messages(request: &Request) -> Vec<Value> {
    let system = request.system.as_deref().filter(|system| !system.is_empty());
    let system = system.map(|content| json!({ "role": "system", "content": content }));
    let prompt = json!({ "role": "user", "content": user(&request.user, &request.images) });
    let turns = request.turns.iter().map(|turn| match turn {
        Message::User { text, images } => json!({ "role": "user", "content": user(text, images) }),
        Message::Assistant { text, tool_calls, opaque } => assistant(text, tool_calls, opaque.as_ref()),
        Message::ToolResult { call, content, .. } => {
            json!({ "role": "tool", "tool_call_id": call, "content": content })
        }
    });
    system.into_iter().chain([prompt]).chain(turns).collect()
}

fn user(text: &str, images: &[Image]) -> Value {
    if images.is_empty() {
        return text.into();
    }
    let pictures = images.iter().map(|image| json!({ "type": "image_url", "image_url": { "url": media::url(image) } }));
    [json!({ "type": "text", "text": text })].into_iter().chain(pictures).collect()
}

fn assistant(text: &str, calls: &[ToolCall], opaque: Option<&Opaque>) -> Value {
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    message.insert("content".into(), if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() });
    if !calls.is_empty() {
        let calls = calls.iter().map(|call| {
            json!({ "id": call.id, "type": "function",
                    "function": { "name": call.name, "arguments": call.arguments } })
        });
        message.insert("tool_calls".into(), calls.collect());
    }
    if let Some(details) = Opaque::of(opaque, Family::OpenAiChat) {
        message.insert("reasoning_details".into(), details.clone());
    }
    Value::Object(message)
}

/// Reads the body of a successful, unstreamed answer.
///
/// # Errors
/// `MalformedReply` when it is no complete answer; what the error says, when it is an error under a status of success.
pub fn decode(bytes: &[u8], dialect: Dialect) -> Result<Answer, Failure> {
    whole_body(bytes, Chat::new(dialect))
}

/// A decoder for a streamed answer of at most `limit` bytes.
#[must_use]
pub fn decoder(dialect: Dialect, limit: usize) -> StreamDecoder<Chat> {
    StreamDecoder::new(Chat::new(dialect), limit)
}

/// The fold of this family.
#[derive(Debug)]
pub struct Chat {
    dialect: Dialect,
    refused: bool,
    details: Vec<Value>,
}

impl Chat {
    fn new(dialect: Dialect) -> Self {
        Self { dialect, refused: false, details: Vec::new() }
    }

    /// Takes a message, or the part of one that a delta is.
    fn message(&mut self, message: &Value, draft: &mut Draft) -> Result<(), Failure> {
        draft.say(&content(message)?)?;
        self.refused |= refusal(message).is_some();
        if let Some(Value::Array(details)) = message.get("reasoning_details") {
            for detail in details {
                draft.grow(detail.to_string().len())?;
                self.details.push(detail.clone());
            }
        }
        let Some(Value::Array(calls)) = message.get("tool_calls") else {
            return Ok(());
        };
        for (at, part) in calls.iter().enumerate() {
            let place = part.get("index").and_then(Value::as_u64).or_else(|| u64::try_from(at).ok()).unwrap_or(0);
            let call = draft.call(place);
            if let Some(id) = word(part, "/id") {
                call.id = id;
            }
            // Only the first part names the tool; some repeat the name with every part.
            if let Some(name) = word(part, "/function/name").filter(|_| call.name.is_empty()) {
                call.name = name;
            }
            match part.pointer("/function/arguments") {
                None | Some(Value::Null) => {}
                Some(Value::String(piece)) => draft.argue(place, piece)?,
                // Some servers send an object where the family has a text.
                Some(other) => draft.argue(place, &other.to_string())?,
            }
        }
        Ok(())
    }
}

impl Fold for Chat {
    fn account(&self, value: &Value, draft: &mut Draft) {
        if draft.model.is_none() {
            draft.model = word(value, "/model");
        }
        if let Some(usage) = value.get("usage").filter(|usage| !usage.is_null()) {
            // Some send running totals with every event: the last one counts, sums would count twice.
            if self.dialect.reports_cost {
                draft.cost = usage.get("cost").and_then(Value::as_f64).and_then(nano_usd).or(draft.cost);
            }
            draft.usage = Some(usage.clone());
        }
        draft.tier = word(value, "/service_tier").as_deref().and_then(Tier::named).or(draft.tier);
    }

    fn whole(&mut self, value: &Value, draft: &mut Draft) -> Result<(), Failure> {
        let choice = first_choice(value).ok_or_else(|| Failure::malformed("the answer has no choices"))?;
        let message = choice
            .get("message")
            .filter(|message| message.is_object())
            .ok_or_else(|| Failure::malformed("the answer's choice has no message"))?;
        let unknown = || Finish::Other("not reported".to_owned());
        draft.finish = Some(choice.get("finish_reason").and_then(Value::as_str).map_or_else(unknown, finish));
        self.message(message, draft)?;
        // A refusal stands where the text would be; beside a text it is a remark.
        self.refused &= draft.text().is_empty();
        if self.refused { draft.say(refusal(message).unwrap_or_default()) } else { Ok(()) }
    }

    fn event(&mut self, name: &str, value: Value, draft: &mut Draft) -> Result<Progress, Failure> {
        self.account(&value, draft);
        if let Some(reported) = reported(&value) {
            return Err(error::in_reply(reported));
        }
        if name == "error" {
            return Err(error::in_reply(&value));
        }
        let Some(choice) = first_choice(&value) else {
            return Ok(Progress::More);
        };
        if let Some(delta) = choice.get("delta").filter(|delta| delta.is_object()) {
            self.message(delta, draft)?;
            draft.say(refusal(delta).unwrap_or_default())?;
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            draft.finish = Some(finish(reason));
        }
        Ok(Progress::More)
    }

    fn sentinel(&mut self) -> Progress {
        Progress::Done
    }

    fn close(&mut self, draft: &mut Draft) -> Result<(), Failure> {
        if self.refused {
            draft.finish = Some(Finish::ContentFilter);
        } else if draft.has_calls() && draft.finish == Some(Finish::Stop) {
            // Several servers say `stop` although they want tools called.
            draft.finish = Some(Finish::tool_calls());
        }
        if !self.details.is_empty() {
            let parts = Value::Array(std::mem::take(&mut self.details));
            draft.opaque = Some(Opaque { family: Family::OpenAiChat, parts });
        }
        Ok(())
    }

    fn usage(&self, raw: &Value) -> Usage {
        usage(raw)
    }
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
        Some(_) => Err(Failure::malformed("the answer's content is not text")),
    }
}

fn refusal(message: &Value) -> Option<&str> {
    message.get("refusal").and_then(Value::as_str).filter(|refusal| !refusal.is_empty())
}

fn finish(reason: &str) -> Finish {
    match reason {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "content_filter" => Finish::ContentFilter,
        // The second is what it was called before tools.
        "tool_calls" | "function_call" => Finish::tool_calls(),
        other => Finish::other(other),
    }
}

/// What this family's account of the usage means.
#[must_use]
pub fn usage(raw: &Value) -> Usage {
    let count = |path: &str| count(raw, path);
    Usage {
        input: count("/prompt_tokens"),
        // The second name is DeepSeek's.
        cached_input: count("/prompt_tokens_details/cached_tokens").or_else(|| count("/prompt_cache_hit_tokens")),
        cache_write_other: count("/prompt_tokens_details/cache_write_tokens"),
        audio_input: count("/prompt_tokens_details/audio_tokens"),
        image_input: count("/prompt_tokens_details/image_tokens"),
        output: count("/completion_tokens"),
        reasoning: count("/completion_tokens_details/reasoning_tokens"),
        audio_output: count("/completion_tokens_details/audio_tokens"),
        image_output: count("/completion_tokens_details/image_tokens"),
        web_searches: count("/server_tool_use/web_search_requests"),
        ..Usage::default()
    }
}
