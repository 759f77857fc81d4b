//! The wire family of OpenAI Responses.
//!
//! Source: the OpenAI API reference, "Responses" and "Streaming events". Counted by this family: cached tokens and
//! those written to a cache lie inside the input, reasoning inside the output. A streamed answer is complete with
//! `response.completed` or `response.incomplete`. The output of these last events may be empty although there was one
//! (nothing is stored, because we ask for that), so what counts is what the events before them said.

use serde_json::{Map, Value, json};

use super::stream::{count, put, thousandths, unsupported, word};
use super::{Answer, Draft, Fold, Progress, StreamDecoder, error, media, whole_body};
use crate::{Failure, Family, Finish, Image, Message, Opaque, Request, Tier, ToolChoice, Usage};

/// The body of a request. Penalties have no place in this family and are left out.
///
/// # Errors
/// When the request has stop sequences, for which the family has no words.
pub fn encode(request: &Request, model: &str, stream: bool) -> Result<Value, Failure> {
    if !request.stop.is_empty() {
        return Err(unsupported("OpenAI Responses", "stop sequences; use Chat Completions for them"));
    }
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    put(&mut body, "instructions", request.system.as_deref().filter(|system| !system.is_empty()).map(Value::from));
    body.insert("input".into(), Value::Array(input(request)));
    // Nothing is kept at the platform: what the conversation needs, we send.
    body.insert("store".into(), false.into());
    if reasons(model) {
        body.insert("include".into(), json!(["reasoning.encrypted_content"]));
    }
    put(&mut body, "temperature", request.temperature_milli.map(thousandths));
    put(&mut body, "top_p", request.top_p_milli.map(thousandths));
    put(&mut body, "max_output_tokens", request.max_tokens.map(Value::from));
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            json!({ "type": "function", "name": tool.name, "description": tool.description,
                    "parameters": tool.parameters, "strict": false })
        });
        body.insert("tools".into(), tools.collect());
        let choice = match &request.tool_choice {
            ToolChoice::Auto => None,
            ToolChoice::Never => Some(json!("none")),
            ToolChoice::Required => Some(json!("required")),
            ToolChoice::Named(name) => Some(json!({ "type": "function", "name": name })),
        };
        put(&mut body, "tool_choice", choice);
    }
    if let Some(output) = &request.output {
        let format = json!({ "type": "json_schema", "name": output.name, "schema": output.schema, "strict": true });
        body.insert("text".into(), json!({ "format": format }));
    }
    if stream {
        body.insert("stream".into(), true.into());
    }
    Ok(Value::Object(body))
}

/// Whether a model of OpenAI thinks before it speaks. Only such a model may be asked for its thoughts, encrypted;
/// others refuse the question.
fn reasons(model: &str) -> bool {
    let series_o = model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let series_gpt = model.strip_prefix("gpt-").and_then(|rest| rest.chars().next()?.to_digit(10));
    series_o || (series_gpt.is_some_and(|major| major >= 5) && !model.contains("-chat"))
}

fn input(request: &Request) -> Vec<Value> {
    let mut items = vec![user(&request.user, &request.images)];
    for turn in &request.turns {
        match turn {
            Message::User { text, images } => items.push(user(text, images)),
            Message::Assistant { text, tool_calls, opaque } => {
                if let Some(Value::Array(parts)) = Opaque::of(opaque.as_ref(), Family::OpenAiResponses) {
                    items.extend(parts.iter().cloned());
                    continue;
                }
                if !text.is_empty() {
                    let content = json!([{ "type": "output_text", "text": text }]);
                    items.push(json!({ "type": "message", "role": "assistant", "content": content }));
                }
                items.extend(tool_calls.iter().map(|call| {
                    json!({ "type": "function_call", "call_id": call.id, "name": call.name,
                            "arguments": call.arguments })
                }));
            }
            Message::ToolResult { call, content, .. } => {
                items.push(json!({ "type": "function_call_output", "call_id": call, "output": content }));
            }
        }
    }
    items
}

fn user(text: &str, images: &[Image]) -> Value {
    let pictures = images.iter().map(|image| json!({ "type": "input_image", "image_url": media::url(image) }));
    let content: Value = [json!({ "type": "input_text", "text": text })].into_iter().chain(pictures).collect();
    json!({ "role": "user", "content": content })
}

/// Reads the body of a successful, unstreamed answer.
///
/// # Errors
/// `MalformedReply` when it is no complete answer; what the error says, when the answer reports one.
pub fn decode(bytes: &[u8]) -> Result<Answer, Failure> {
    whole_body(bytes, Responses::default())
}

/// A decoder for a streamed answer of at most `limit` bytes.
#[must_use]
pub fn decoder(limit: usize) -> StreamDecoder<Responses> {
    StreamDecoder::new(Responses::default(), limit)
}

/// The fold of this family.
#[derive(Debug, Default)]
pub struct Responses {
    refused: bool,
    /// Whether the model ended by itself.
    ended: bool,
    /// Where text has come piece by piece, so that the whole item must not say it again.
    said: Vec<u64>,
    items: Vec<(u64, Value)>,
}

impl Responses {
    /// Takes a whole item of the output.
    fn item(&mut self, place: u64, item: &Value, draft: &mut Draft) -> Result<(), Failure> {
        match item.get("type").and_then(Value::as_str) {
            Some("message") => {
                let parts = item.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let fresh = !self.said.contains(&place);
                for part in parts {
                    let refusal = part.get("refusal").and_then(Value::as_str);
                    self.refused |= refusal.is_some();
                    if fresh {
                        draft.say(part.get("text").and_then(Value::as_str).or(refusal).unwrap_or_default())?;
                    }
                }
            }
            Some("function_call") => {
                let call = draft.call(place);
                call.id = word(item, "/call_id").unwrap_or_default();
                call.name = word(item, "/name").unwrap_or_default();
                let whole = item.get("arguments").and_then(Value::as_str).unwrap_or_default();
                // The whole replaces the parts, which may not all have been sent.
                let held = std::mem::take(&mut call.arguments).len();
                draft.grow(whole.len().saturating_sub(held))?;
                draft.call(place).arguments.push_str(whole);
            }
            // Reasoning and what the platform's own tools did: only to be sent back.
            _ => {}
        }
        draft.grow(item.to_string().len())?;
        self.items.retain(|(known, _)| *known != place);
        self.items.push((place, item.clone()));
        Ok(())
    }

    /// Takes the response as it stands at its end.
    fn end(&mut self, response: &Value, draft: &mut Draft) -> Result<(), Failure> {
        self.account(response, draft);
        if let Some(error) = response.get("error").filter(|error| !error.is_null()) {
            return Err(error::in_reply(error));
        }
        let reason = response.pointer("/incomplete_details/reason").and_then(Value::as_str);
        match response.get("status").and_then(Value::as_str) {
            Some("completed") => self.ended = true,
            Some("incomplete") => {
                draft.finish = Some(match reason {
                    Some("max_output_tokens" | "max_tokens") => Finish::Length,
                    Some("content_filter") => Finish::ContentFilter,
                    Some(other) => Finish::other(other),
                    None => Finish::Other("incomplete".to_owned()),
                });
            }
            Some("failed") => {
                return Err(error::in_reply(&json!("the platform says that it failed, without a reason")));
            }
            other => return Err(Failure::malformed(format!("the answer's status is {}", other.unwrap_or("missing")))),
        }
        Ok(())
    }
}

impl Fold for Responses {
    fn account(&self, response: &Value, draft: &mut Draft) {
        draft.model = word(response, "/model").or(draft.model.take());
        if let Some(usage) = response.get("usage").filter(|usage| !usage.is_null()) {
            draft.usage = Some(usage.clone());
        }
        draft.tier = word(response, "/service_tier").as_deref().and_then(Tier::named).or(draft.tier);
    }

    fn whole(&mut self, response: &Value, draft: &mut Draft) -> Result<(), Failure> {
        let items = response.get("output").and_then(Value::as_array);
        let items = items.ok_or_else(|| Failure::malformed("the answer has no output"))?;
        (0_u64..).zip(items).try_for_each(|(index, item)| self.item(index, item, draft))?;
        self.end(response, draft)
    }

    fn event(&mut self, name: &str, value: Value, draft: &mut Draft) -> Result<Progress, Failure> {
        let kind = word(&value, "/type").unwrap_or_else(|| name.to_owned());
        let place = count(&value, "/output_index").unwrap_or(0);
        let delta = value.get("delta").and_then(Value::as_str).unwrap_or_default();
        let response = value.get("response").unwrap_or(&Value::Null);
        match kind.as_str() {
            "response.created" | "response.in_progress" | "response.queued" => self.account(response, draft),
            "response.output_text.delta" | "response.refusal.delta" => {
                self.refused |= kind == "response.refusal.delta";
                if !self.said.contains(&place) {
                    self.said.push(place);
                }
                draft.say(delta)?;
            }
            "response.function_call_arguments.delta" => draft.argue(place, delta)?,
            // Should the answer be cut within a call, this is all that names it.
            "response.output_item.added" => {
                let item = value.get("item").unwrap_or(&Value::Null);
                if item.get("type").and_then(Value::as_str) == Some("function_call") {
                    let call = draft.call(place);
                    call.id = word(item, "/call_id").unwrap_or_default();
                    call.name = word(item, "/name").unwrap_or_default();
                }
            }
            "response.output_item.done" => {
                if let Some(item) = value.get("item") {
                    self.item(place, item, draft)?;
                }
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.end(response, draft)?;
                return Ok(Progress::Done);
            }
            "error" => {
                self.account(&value, draft);
                return Err(error::in_reply(value.get("error").unwrap_or(&value)));
            }
            _ => {
                if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
                    return Err(error::in_reply(error));
                }
            }
        }
        Ok(Progress::More)
    }

    fn close(&mut self, draft: &mut Draft) -> Result<(), Failure> {
        if self.refused {
            draft.finish = Some(Finish::ContentFilter);
        } else if self.ended {
            draft.finish = Some(if draft.has_calls() { Finish::tool_calls() } else { Finish::Stop });
        }
        self.items.sort_by_key(|(place, _)| *place);
        let parts: Vec<Value> = std::mem::take(&mut self.items).into_iter().map(|(_, item)| item).collect();
        // Without thoughts there is nothing that our own words would not say.
        if parts.iter().any(|part| part.get("type").and_then(Value::as_str) == Some("reasoning")) {
            draft.opaque = Some(Opaque { family: Family::OpenAiResponses, parts: Value::Array(parts) });
        }
        Ok(())
    }

    fn usage(&self, raw: &Value) -> Usage {
        usage(raw)
    }
}

/// What this family's account of the usage means.
#[must_use]
pub fn usage(raw: &Value) -> Usage {
    let count = |path: &str| count(raw, path);
    Usage {
        input: count("/input_tokens"),
        cached_input: count("/input_tokens_details/cached_tokens"),
        cache_write_other: count("/input_tokens_details/cache_write_tokens"),
        audio_input: count("/input_tokens_details/audio_tokens"),
        image_input: count("/input_tokens_details/image_tokens"),
        output: count("/output_tokens"),
        reasoning: count("/output_tokens_details/reasoning_tokens"),
        audio_output: count("/output_tokens_details/audio_tokens"),
        image_output: count("/output_tokens_details/image_tokens"),
        ..Usage::default()
    }
}
