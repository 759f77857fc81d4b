//! The wire family of Gemini `generateContent` and `streamGenerateContent`.
//!
//! Source: the Gemini API reference, "Generating content", and "Thought signatures". Counted by this family: cached
//! tokens lie inside the prompt's; thoughts stand beside the candidate's tokens, and what the platform's own tools put
//! in stands beside the prompt's. A stream has no last event. It is complete when a candidate has said why it ended
//! and the connection was closed in order; usage may still follow the reason.

use serde_json::{Map, Value, json};

use super::stream::{count, put, reported, thousandths, whole, word};
use super::{Answer, Draft, Fold, Progress, StreamDecoder, error, media, whole_body};
use crate::{Failure, FailureKind, Family, Finish, Image, Message, Opaque, Request, Tier, ToolChoice, Usage};

/// What begins the ids of calls to which the platform gave none.
const MADE_ID: &str = "gemini-call-";

/// The body of a request; the model and whether to stream are said by the address.
#[must_use]
pub fn encode(request: &Request) -> Value {
    let mut body = Map::new();
    let system = request.system.as_deref().filter(|system| !system.is_empty());
    put(&mut body, "systemInstruction", system.map(|text| json!({ "parts": [{ "text": text }] })));
    body.insert("contents".into(), Value::Array(contents(request)));
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            json!({ "name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters })
        });
        body.insert("tools".into(), json!([{ "functionDeclarations": tools.collect::<Value>() }]));
        let choice = match &request.tool_choice {
            ToolChoice::Auto => None,
            ToolChoice::Never => Some(json!({ "mode": "NONE" })),
            ToolChoice::Required => Some(json!({ "mode": "ANY" })),
            ToolChoice::Named(name) => Some(json!({ "mode": "ANY", "allowedFunctionNames": [name] })),
        };
        put(&mut body, "toolConfig", choice.map(|choice| json!({ "functionCallingConfig": choice })));
    }
    let mut settings = Map::new();
    put(&mut settings, "temperature", request.temperature_milli.map(thousandths));
    put(&mut settings, "topP", request.top_p_milli.map(thousandths));
    put(&mut settings, "maxOutputTokens", request.max_tokens.map(Value::from));
    put(&mut settings, "frequencyPenalty", request.frequency_penalty_milli.map(thousandths));
    put(&mut settings, "presencePenalty", request.presence_penalty_milli.map(thousandths));
    put(&mut settings, "stopSequences", (!request.stop.is_empty()).then(|| json!(request.stop)));
    if let Some(output) = &request.output {
        settings.insert("responseMimeType".into(), "application/json".into());
        settings.insert("responseJsonSchema".into(), output.schema.clone());
    }
    put(&mut body, "generationConfig", (!settings.is_empty()).then_some(Value::Object(settings)));
    Value::Object(body)
}

fn contents(request: &Request) -> Vec<Value> {
    let mut contents: Vec<(&str, Vec<Value>)> = vec![("user", user(&request.user, &request.images))];
    for turn in &request.turns {
        let (role, parts) = match turn {
            Message::User { text, images } => ("user", user(text, images)),
            Message::Assistant { text, tool_calls, opaque } => {
                let parts = match Opaque::of(opaque.as_ref(), Family::Gemini) {
                    Some(Value::Array(parts)) => parts.clone(),
                    _ => {
                        let text = Some(json!({ "text": text })).filter(|_| !text.is_empty());
                        let calls = tool_calls.iter().map(|call| {
                            let arguments = call.parsed().ok().filter(Value::is_object).unwrap_or_else(|| json!({}));
                            let mut function = json!({ "name": call.name, "args": arguments });
                            identify(&mut function, &call.id);
                            json!({ "functionCall": function })
                        });
                        text.into_iter().chain(calls).collect()
                    }
                };
                ("model", parts)
            }
            Message::ToolResult { call, name, content, failed } => {
                let said = serde_json::from_str(content).unwrap_or_else(|_| Value::from(content.as_str()));
                let answer = if *failed { json!({ "error": said }) } else { json!({ "result": said }) };
                let mut function = json!({ "name": name, "response": answer });
                identify(&mut function, call);
                ("user", vec![json!({ "functionResponse": function })])
            }
        };
        match contents.last_mut() {
            Some((last, held)) if *last == role => held.extend(parts),
            _ => contents.push((role, parts)),
        }
    }
    contents.into_iter().map(|(role, parts)| json!({ "role": role, "parts": parts })).collect()
}

/// Ids that we made mean nothing to the platform.
fn identify(function: &mut Value, id: &str) {
    if let Some(function) = function.as_object_mut().filter(|_| !id.is_empty() && !id.starts_with(MADE_ID)) {
        function.insert("id".into(), id.into());
    }
}

fn user(text: &str, images: &[Image]) -> Vec<Value> {
    let pictures = images.iter().map(|image| match image {
        Image::Bytes { media_type, data } => {
            json!({ "inlineData": { "mimeType": media_type, "data": media::base64(data) } })
        }
        Image::Url(url) => json!({ "fileData": { "fileUri": url } }),
    });
    pictures.chain([json!({ "text": text })]).collect()
}

/// Reads the body of a successful, unstreamed answer.
///
/// # Errors
/// `MalformedReply` when it is no complete answer; `ContentRefused` when the prompt was blocked.
pub fn decode(bytes: &[u8]) -> Result<Answer, Failure> {
    whole_body(bytes, Content::default())
}

/// A decoder for a streamed answer of at most `limit` bytes.
#[must_use]
pub fn decoder(limit: usize) -> StreamDecoder<Content> {
    StreamDecoder::new(Content::default(), limit)
}

/// The fold of this family.
#[derive(Debug, Default)]
pub struct Content {
    parts: Vec<Value>,
    calls: u64,
}

impl Content {
    /// Takes what a response says: the whole one, or one of those that make a stream.
    fn response(&mut self, value: &Value, draft: &mut Draft) -> Result<(), Failure> {
        if let Some(reason) = value.pointer("/promptFeedback/blockReason").and_then(Value::as_str) {
            return Err(Failure::new(FailureKind::ContentRefused, format!("the prompt was blocked: {reason}")));
        }
        let Some(candidate) = value.get("candidates").and_then(Value::as_array).and_then(|all| all.first()) else {
            return Ok(());
        };
        let parts = candidate.pointer("/content/parts").and_then(Value::as_array).map(Vec::as_slice);
        for part in parts.unwrap_or_default() {
            draft.grow(part.to_string().len())?;
            self.part(part, draft)?;
        }
        if let Some(reason) = candidate.get("finishReason").and_then(Value::as_str) {
            draft.finish = Some(finish(reason));
        }
        Ok(())
    }

    fn part(&mut self, part: &Value, draft: &mut Draft) -> Result<(), Failure> {
        let thought = part.get("thought").and_then(Value::as_bool).unwrap_or(false);
        if let Some(text) = part.get("text").and_then(Value::as_str).filter(|_| !thought) {
            draft.say(text)?;
        }
        if let Some(function) = part.get("functionCall") {
            let place = self.calls;
            self.calls += 1;
            let arguments = function.get("args").filter(|arguments| !arguments.is_null());
            draft.argue(place, &arguments.map(Value::to_string).unwrap_or_default())?;
            let call = draft.call(place);
            call.id = word(function, "/id").unwrap_or_else(|| format!("{MADE_ID}{place}"));
            call.name = word(function, "/name").unwrap_or_default();
        }
        // Neighbouring pieces of text are one part, unless a signature belongs to one of them.
        let plain = |part: &Value| part.as_object().is_some_and(|part| part.len() == 1 && part.contains_key("text"));
        match self.parts.last_mut() {
            Some(last) if plain(last) && plain(part) => {
                if let (Some(Value::String(held)), Some(more)) =
                    (last.get_mut("text"), part.get("text").and_then(Value::as_str))
                {
                    held.push_str(more);
                }
            }
            _ => self.parts.push(part.clone()),
        }
        Ok(())
    }
}

impl Fold for Content {
    fn account(&self, value: &Value, draft: &mut Draft) {
        draft.model = word(value, "/modelVersion").or(draft.model.take());
        // Running totals, of which each event tells some: the last of each counts.
        draft.account(value.get("usageMetadata"));
    }

    fn whole(&mut self, value: &Value, draft: &mut Draft) -> Result<(), Failure> {
        self.response(value, draft)
    }

    fn event(&mut self, _name: &str, value: Value, draft: &mut Draft) -> Result<Progress, Failure> {
        self.account(&value, draft);
        if let Some(reported) = reported(&value) {
            return Err(error::in_reply(reported));
        }
        self.response(&value, draft)?;
        Ok(Progress::More)
    }

    fn whole_at_end(&self, draft: &Draft) -> bool {
        draft.finish.is_some()
    }

    fn close(&mut self, draft: &mut Draft) -> Result<(), Failure> {
        if draft.has_calls() && draft.finish == Some(Finish::Stop) {
            draft.finish = Some(Finish::tool_calls());
        }
        let parts = std::mem::take(&mut self.parts);
        let plain = |part: &Value| {
            part.get("thoughtSignature").is_none() && (part.get("text").is_some() || part.get("functionCall").is_some())
        };
        if !parts.iter().all(plain) {
            draft.opaque = Some(Opaque { family: Family::Gemini, parts: Value::Array(parts) });
        }
        Ok(())
    }

    fn usage(&self, raw: &Value) -> Usage {
        usage(raw)
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        "STOP" => Finish::Stop,
        // Gemini itself says STOP for calls, too; some who speak its format do not.
        "FUNCTION_CALL" => Finish::tool_calls(),
        "MAX_TOKENS" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "LANGUAGE" => Finish::ContentFilter,
        other => Finish::other(other),
    }
}

/// What this family's account of the usage means.
#[must_use]
pub fn usage(raw: &Value) -> Usage {
    let (visible, thoughts) = (count(raw, "/candidatesTokenCount"), count(raw, "/thoughtsTokenCount"));
    let (prompt, tools) = (count(raw, "/promptTokenCount"), count(raw, "/toolUsePromptTokenCount"));
    // A modality that is missing from a list that is there was not used; without the list nothing is known.
    let of = |list: &str, modality: &str| {
        let entries = raw.get(list)?.as_array()?;
        let of_it = entries.iter().filter(|entry| entry.get("modality").and_then(Value::as_str) == Some(modality));
        Some(of_it.filter_map(|entry| count(entry, "/tokenCount")).fold(0, u64::saturating_add))
    };
    Usage {
        input: whole(prompt, [tools]),
        cached_input: count(raw, "/cachedContentTokenCount"),
        tool_input: tools,
        audio_input: of("promptTokensDetails", "AUDIO"),
        image_input: of("promptTokensDetails", "IMAGE"),
        cached_audio_input: of("cacheTokensDetails", "AUDIO"),
        // A cut answer may have nothing but thoughts.
        output: whole(visible, [thoughts]).or(thoughts),
        reasoning: thoughts,
        audio_output: of("candidatesTokensDetails", "AUDIO"),
        image_output: of("candidatesTokensDetails", "IMAGE"),
        tier: ["serviceTier", "trafficType"].iter().find_map(|name| Tier::named(raw.get(name)?.as_str()?)),
        ..Usage::default()
    }
}
