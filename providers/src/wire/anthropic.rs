//! The wire family of Anthropic Messages.
//!
//! Source: the Anthropic API reference, "Messages" and "Streaming Messages". Counted by this family: `input_tokens` are
//! only the fresh ones, tokens read from or written to a cache stand beside them; thinking lies inside the output.
//! Figures of `message_delta` are running totals, so the last one counts; the split of cache writes by life comes only
//! with `message_start`. A streamed answer is complete with `message_stop`.

use serde_json::{Map, Value, json};

use super::stream::{count, put, thousandths, whole, word};
use super::{Answer, Draft, Fold, Progress, StreamDecoder, error, media, whole_body};
use crate::{Failure, Family, Finish, Image, Message, Opaque, Request, Tier, ToolChoice, Usage};

/// The body of a request. The family insists on a limit, so `limit` stands in when the request has none. Penalties
/// have no place in it and are left out. With `cached`, the platform keeps what comes before the conversation (tools and
/// instructions) for a few minutes, and reads it for less when the same comes again.
#[must_use]
pub fn encode(request: &Request, model: &str, limit: u32, stream: bool, cached: bool) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("max_tokens".into(), request.max_tokens.unwrap_or(limit).into());
    let system = request.system.as_deref().filter(|system| !system.is_empty());
    let system = system.map(|system| match cached {
        true => json!([{ "type": "text", "text": system, "cache_control": { "type": "ephemeral" } }]),
        false => Value::from(system),
    });
    put(&mut body, "system", system);
    body.insert("messages".into(), Value::Array(messages(request)));
    put(&mut body, "temperature", request.temperature_milli.map(thousandths));
    put(&mut body, "top_p", request.top_p_milli.map(thousandths));
    put(&mut body, "stop_sequences", (!request.stop.is_empty()).then(|| json!(request.stop)));
    if !request.tools.is_empty() {
        let tools = request
            .tools
            .iter()
            .map(|tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.parameters }));
        body.insert("tools".into(), tools.collect());
        let choice = match &request.tool_choice {
            ToolChoice::Auto => None,
            ToolChoice::Never => Some(json!({ "type": "none" })),
            ToolChoice::Required => Some(json!({ "type": "any" })),
            ToolChoice::Named(name) => Some(json!({ "type": "tool", "name": name })),
        };
        put(&mut body, "tool_choice", choice);
    }
    if let Some(output) = &request.output {
        let format = json!({ "type": "json_schema", "schema": output.schema });
        body.insert("output_config".into(), json!({ "format": format }));
    }
    if stream {
        body.insert("stream".into(), true.into());
    }
    Value::Object(body)
}

/// Prompt and turns; neighbours of the same side become one message, because results of parallel calls must be.
fn messages(request: &Request) -> Vec<Value> {
    let mut messages: Vec<(&str, Vec<Value>)> = vec![("user", user(&request.user, &request.images))];
    for turn in &request.turns {
        let (role, blocks) = match turn {
            Message::User { text, images } => ("user", user(text, images)),
            Message::Assistant { text, tool_calls, opaque } => {
                let blocks = match Opaque::of(opaque.as_ref(), Family::Anthropic) {
                    Some(Value::Array(blocks)) => blocks.clone(),
                    _ => {
                        let text = Some(json!({ "type": "text", "text": text })).filter(|_| !text.is_empty());
                        let calls = tool_calls.iter().map(|call| {
                            let input = call.parsed().ok().filter(Value::is_object).unwrap_or_else(|| json!({}));
                            json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
                        });
                        text.into_iter().chain(calls).collect()
                    }
                };
                ("assistant", blocks)
            }
            Message::ToolResult { call, content, failed, .. } => {
                let mut block = json!({ "type": "tool_result", "tool_use_id": call, "content": content });
                if let Some(block) = block.as_object_mut().filter(|_| *failed) {
                    block.insert("is_error".into(), true.into());
                }
                ("user", vec![block])
            }
        };
        match messages.last_mut() {
            Some((last, held)) if *last == role => held.extend(blocks),
            _ => messages.push((role, blocks)),
        }
    }
    let message = |(role, content): (&str, Vec<Value>)| json!({ "role": role, "content": content });
    messages.into_iter().map(message).collect()
}

fn user(text: &str, images: &[Image]) -> Vec<Value> {
    let pictures = images.iter().map(|image| {
        let source = match image {
            Image::Bytes { media_type, data } => {
                json!({ "type": "base64", "media_type": media_type, "data": media::base64(data) })
            }
            Image::Url(url) => json!({ "type": "url", "url": url }),
        };
        json!({ "type": "image", "source": source })
    });
    pictures.chain([json!({ "type": "text", "text": text })]).collect()
}

/// Reads the body of a successful, unstreamed answer.
///
/// # Errors
/// `MalformedReply` when it is no complete answer; what the error says, when it is an error under a status of success.
pub fn decode(bytes: &[u8]) -> Result<Answer, Failure> {
    whole_body(bytes, Messages::default())
}

/// A decoder for a streamed answer of at most `limit` bytes.
#[must_use]
pub fn decoder(limit: usize) -> StreamDecoder<Messages> {
    StreamDecoder::new(Messages::default(), limit)
}

/// The fold of this family.
#[derive(Debug, Default)]
pub struct Messages {
    blocks: Vec<(u64, Value)>,
    /// The arguments of tool calls of the platform's own tools, by block; ours are kept in the draft.
    inputs: Vec<(u64, String)>,
}

impl Messages {
    fn start(&mut self, index: u64, block: &Value, draft: &mut Draft) -> Result<(), Failure> {
        draft.grow(block.to_string().len())?;
        match block.get("type").and_then(Value::as_str) {
            Some("text") => draft.say(block.get("text").and_then(Value::as_str).unwrap_or_default())?,
            Some("tool_use") => {
                let call = draft.call(index);
                call.id = word(block, "/id").unwrap_or_default();
                call.name = word(block, "/name").unwrap_or_default();
                // At the start of a stream it is an empty object, and the arguments follow.
                if let Some(input) = block.get("input").filter(|input| input.as_object().is_some_and(|o| !o.is_empty()))
                {
                    draft.argue(index, &input.to_string())?;
                }
            }
            _ => {}
        }
        self.blocks.push((index, block.clone()));
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: &Value, draft: &mut Draft) -> Result<(), Failure> {
        let Some((_, block)) = self.blocks.iter_mut().find(|(known, _)| *known == index) else {
            return Err(Failure::malformed(format!("block {index} of the answer was never begun")));
        };
        let part = |name: &str| delta.get(name).and_then(Value::as_str).unwrap_or_default();
        match delta.get("type").and_then(Value::as_str) {
            Some("text_delta") => {
                append(block, "text", part("text"));
                draft.say(part("text"))?;
            }
            Some("input_json_delta") => {
                let piece = part("partial_json");
                if block.get("type").and_then(Value::as_str) == Some("tool_use") {
                    draft.argue(index, piece)?;
                } else {
                    draft.grow(piece.len())?;
                }
                match self.inputs.iter_mut().find(|(known, _)| *known == index) {
                    Some((_, input)) => input.push_str(piece),
                    None => self.inputs.push((index, piece.to_owned())),
                }
            }
            Some("thinking_delta") => {
                draft.grow(part("thinking").len())?;
                append(block, "thinking", part("thinking"));
            }
            Some("signature_delta") => {
                draft.grow(part("signature").len())?;
                append(block, "signature", part("signature"));
            }
            Some("citations_delta") => {
                if let (Some(citation), Some(block)) = (delta.get("citation"), block.as_object_mut()) {
                    draft.grow(citation.to_string().len())?;
                    if let Value::Array(citations) = block.entry("citations").or_insert_with(|| json!([])) {
                        citations.push(citation.clone());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn append(block: &mut Value, name: &str, piece: &str) {
    if let Some(block) = block.as_object_mut() {
        match block.get_mut(name) {
            Some(Value::String(text)) => text.push_str(piece),
            _ => drop(block.insert(name.to_owned(), piece.into())),
        }
    }
}

impl Fold for Messages {
    fn account(&self, message: &Value, draft: &mut Draft) {
        draft.model = word(message, "/model").or(draft.model.take());
        draft.account(message.get("usage"));
    }

    fn whole(&mut self, message: &Value, draft: &mut Draft) -> Result<(), Failure> {
        let blocks = message.get("content").and_then(Value::as_array);
        let blocks = blocks.ok_or_else(|| Failure::malformed("the answer has no content"))?;
        draft.finish = message.get("stop_reason").and_then(Value::as_str).map(finish);
        (0_u64..).zip(blocks).try_for_each(|(index, block)| self.start(index, block, draft))
    }

    fn event(&mut self, name: &str, value: Value, draft: &mut Draft) -> Result<Progress, Failure> {
        let kind = word(&value, "/type").unwrap_or_else(|| name.to_owned());
        let index = count(&value, "/index").unwrap_or(0);
        match kind.as_str() {
            "message_start" => self.account(value.get("message").unwrap_or(&Value::Null), draft),
            "content_block_start" => {
                self.start(index, value.get("content_block").unwrap_or(&Value::Null), draft)?;
            }
            "content_block_delta" => self.delta(index, value.get("delta").unwrap_or(&Value::Null), draft)?,
            "message_delta" => {
                self.account(&value, draft);
                if let Some(reason) = value.pointer("/delta/stop_reason").and_then(Value::as_str) {
                    draft.finish = Some(finish(reason));
                }
            }
            "message_stop" => return Ok(Progress::Done),
            "error" => {
                self.account(&value, draft);
                return Err(error::in_reply(value.get("error").unwrap_or(&value)));
            }
            _ => {}
        }
        Ok(Progress::More)
    }

    fn close(&mut self, draft: &mut Draft) -> Result<(), Failure> {
        for (index, input) in std::mem::take(&mut self.inputs) {
            if let Some((_, Value::Object(block))) = self.blocks.iter_mut().find(|(known, _)| *known == index) {
                // Arguments that a limit cut are no JSON; the block keeps its empty ones, the call shows the text.
                if let Ok(input) = serde_json::from_str::<Value>(&input) {
                    block.insert("input".into(), input);
                }
            }
        }
        let parts: Vec<Value> = std::mem::take(&mut self.blocks).into_iter().map(|(_, block)| block).collect();
        // Plain texts and calls can be said again in our own words; thoughts and what the platform's own tools did
        // cannot.
        let plain = |part: &Value| matches!(part.get("type").and_then(Value::as_str), Some("text" | "tool_use"));
        if !parts.iter().all(plain) {
            draft.opaque = Some(Opaque { family: Family::Anthropic, parts: Value::Array(parts) });
        }
        Ok(())
    }

    fn usage(&self, raw: &Value) -> Usage {
        usage(raw)
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        "end_turn" | "stop_sequence" => Finish::Stop,
        // The second: the answer is cut because the context is full.
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::tool_calls(),
        "refusal" => Finish::ContentFilter,
        other => Finish::other(other),
    }
}

/// The tier; keeping to one place and the fast mode cost more, whatever the tier.
fn tier(raw: &Value) -> Option<Tier> {
    let said = |name: &str| raw.get(name).and_then(Value::as_str);
    let anywhere = said("inference_geo").is_none_or(|place| matches!(place, "" | "global" | "not_available"));
    let usual = said("speed").is_none_or(|speed| matches!(speed, "" | "standard"));
    if anywhere && usual { said("service_tier").and_then(Tier::named) } else { Some(Tier::Other) }
}

/// What this family's account of the usage means.
#[must_use]
pub fn usage(raw: &Value) -> Usage {
    let count = |path: &str| count(raw, path);
    let (read, written) = (count("/cache_read_input_tokens"), count("/cache_creation_input_tokens"));
    let (short, long) =
        (count("/cache_creation/ephemeral_5m_input_tokens"), count("/cache_creation/ephemeral_1h_input_tokens"));
    // The split can be older than the total, or missing; what it does not explain is still paid for.
    let split = short.unwrap_or(0).saturating_add(long.unwrap_or(0));
    let other = written.map(|written| written.saturating_sub(split)).filter(|other| *other > 0 || split == 0);
    let written = written.map(|written| written.max(split)).or((split > 0).then_some(split));
    Usage {
        input: whole(count("/input_tokens"), [read, written]),
        cached_input: read,
        cache_write_5m: short,
        cache_write_1h: long,
        cache_write_other: other,
        output: count("/output_tokens"),
        reasoning: count("/output_tokens_details/thinking_tokens"),
        web_searches: count("/server_tool_use/web_search_requests"),
        tier: tier(raw),
        ..Usage::default()
    }
}
