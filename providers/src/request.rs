use std::time::Duration;

use serde_json::{Value, json};

use crate::{Image, Message, OutputSchema, Tool, ToolChoice};

/// What a platform is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How the model is told to work; `None` or empty leaves the platform's own default.
    pub system: Option<String>,
    /// The prompt.
    pub user: String,
    /// What is shown with the prompt.
    pub images: Vec<Image>,
    /// What was said since the prompt, oldest first: answers, results of tools, further questions.
    pub turns: Vec<Message>,
    /// The tools that the model may call.
    pub tools: Vec<Tool>,
    /// Whether it is to call them.
    pub tool_choice: ToolChoice,
    /// The form that the answer must have; `None` for free text.
    pub output: Option<OutputSchema>,
    /// Texts at which the answer ends; they are not part of it.
    pub stop: Vec<String>,
    /// The model; `None` takes the platform's default.
    pub model: Option<String>,
    /// Sampling temperature in thousandths, 0 to 2000.
    pub temperature_milli: Option<u16>,
    /// The longest answer, in tokens.
    pub max_tokens: Option<u32>,
    /// Nucleus sampling in thousandths, 1 to 1000.
    pub top_p_milli: Option<u16>,
    /// Penalty for frequent tokens in thousandths, -2000 to 2000.
    pub frequency_penalty_milli: Option<i16>,
    /// Penalty for present tokens in thousandths, -2000 to 2000.
    pub presence_penalty_milli: Option<i16>,
    /// How long the whole call may take, waiting in a queue included. Not part of the [`hash`](Self::hash): it does
    /// not change what is asked.
    pub timeout: Duration,
    /// Names this asking among all others. Who asks once more with the same token wants what the first asking has begun, if
    /// the platform still has it, and not the work done twice. Most platforms know nothing of it. Not part of the
    /// [`hash`](Self::hash).
    pub token: Option<[u8; 16]>,
}

impl Request {
    /// A request that leaves everything else to the platform, with two minutes to answer.
    #[must_use]
    pub fn new(user: impl Into<String>) -> Self {
        Self {
            system: None,
            user: user.into(),
            images: Vec::new(),
            turns: Vec::new(),
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            output: None,
            stop: Vec::new(),
            model: None,
            temperature_milli: None,
            max_tokens: None,
            top_p_milli: None,
            frequency_penalty_milli: None,
            presence_penalty_milli: None,
            timeout: Duration::from_secs(120),
            token: None,
        }
    }

    /// BLAKE3 over what is asked. Equal requests have equal hashes, and no two different requests share an encoding:
    /// every field has a presence byte and a length. The encoding is frozen, because the journal keeps these hashes;
    /// what came later is appended, and only where it is used.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("hishamos 2026 hash of a platform request");
        put(&mut hasher, self.system.as_deref().map(str::as_bytes));
        put(&mut hasher, Some(self.user.as_bytes()));
        put(&mut hasher, self.model.as_deref().map(str::as_bytes));
        put(&mut hasher, self.temperature_milli.map(u16::to_le_bytes).as_ref().map(<[u8; 2]>::as_slice));
        put(&mut hasher, self.max_tokens.map(u32::to_le_bytes).as_ref().map(<[u8; 4]>::as_slice));
        put(&mut hasher, self.top_p_milli.map(u16::to_le_bytes).as_ref().map(<[u8; 2]>::as_slice));
        put(&mut hasher, self.frequency_penalty_milli.map(i16::to_le_bytes).as_ref().map(<[u8; 2]>::as_slice));
        put(&mut hasher, self.presence_penalty_milli.map(i16::to_le_bytes).as_ref().map(<[u8; 2]>::as_slice));
        if let Some(extension) = self.extension() {
            put(&mut hasher, Some(canonical(&extension).as_bytes()));
        }
        *hasher.finalize().as_bytes()
    }

    /// What a request of plain text does not have.
    fn extension(&self) -> Option<Value> {
        let Self { images, turns, tools, tool_choice, output, stop, .. } = self;
        let plain = images.is_empty() && turns.is_empty() && tools.is_empty() && stop.is_empty();
        if plain && output.is_none() && *tool_choice == ToolChoice::Auto {
            return None;
        }
        let tools = tools.iter().map(|Tool { name, description, parameters }| json!([name, description, parameters]));
        let choice = match tool_choice {
            ToolChoice::Auto => Value::Null,
            ToolChoice::Never => json!(0),
            ToolChoice::Required => json!(1),
            ToolChoice::Named(name) => json!(name),
        };
        Some(json!({
            "images": images.iter().map(image).collect::<Vec<_>>(),
            "turns": turns.iter().map(turn).collect::<Vec<_>>(),
            "tools": tools.collect::<Vec<_>>(),
            "choice": choice,
            "output": output.as_ref().map(|OutputSchema { name, schema }| json!([name, schema])),
            "stop": stop,
        }))
    }
}

fn image(image: &Image) -> Value {
    match image {
        Image::Bytes { media_type, data } => json!([media_type, blake3::hash(data).to_hex().as_str()]),
        Image::Url(url) => json!([url]),
    }
}

fn turn(message: &Message) -> Value {
    match message {
        Message::User { text, images } => json!(["user", text, images.iter().map(image).collect::<Vec<_>>()]),
        Message::Assistant { text, tool_calls, opaque } => {
            let calls = tool_calls.iter().map(|call| json!([call.id, call.name, call.arguments])).collect::<Vec<_>>();
            let opaque = opaque.as_ref().map(|opaque| json!([opaque.family.name(), opaque.parts]));
            json!(["assistant", text, calls, opaque])
        }
        Message::ToolResult { call, name, content, failed } => json!(["tool", call, name, content, failed]),
    }
}

/// JSON with the keys of every object in order, because equal values must have equal texts.
fn canonical(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| name.as_str());
            let fields = fields.into_iter();
            let fields = fields.map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        scalar => scalar.to_string(),
    }
}

fn put(hasher: &mut blake3::Hasher, field: Option<&[u8]>) {
    match field {
        None => {
            hasher.update(&[0]);
        }
        Some(bytes) => {
            hasher.update(&[1]);
            // A usize has at most 64 bits on every supported machine.
            hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use bytes::Bytes;
    use serde_json::json;

    use super::Request;
    use crate::{Family, Image, Message, Opaque, OutputSchema, Tool, ToolCall, ToolChoice};

    #[test]
    fn every_field_but_timeout_and_token_changes_the_hash() {
        let base = Request::new("ab");
        let variants = [
            base.clone(),
            Request { system: Some(String::new()), ..base.clone() },
            Request { system: Some("a".into()), user: "b".into(), ..base.clone() },
            Request { user: "abc".into(), ..base.clone() },
            Request { model: Some("m".into()), ..base.clone() },
            Request { temperature_milli: Some(0), ..base.clone() },
            Request { max_tokens: Some(0), ..base.clone() },
            Request { top_p_milli: Some(0), ..base.clone() },
            Request { frequency_penalty_milli: Some(0), ..base.clone() },
            Request { presence_penalty_milli: Some(0), ..base.clone() },
            Request { images: vec![Image::Url("a".into())], ..base.clone() },
            Request { images: vec![picture(b"a")], ..base.clone() },
            Request { images: vec![picture(b"b")], ..base.clone() },
            Request { turns: vec![Message::user("a")], ..base.clone() },
            Request { turns: vec![assistant(None, None)], ..base.clone() },
            Request { turns: vec![assistant(Some(call()), None)], ..base.clone() },
            Request { turns: vec![assistant(None, Some(Family::Gemini))], ..base.clone() },
            Request { turns: vec![assistant(None, Some(Family::Anthropic))], ..base.clone() },
            Request { turns: vec![Message::tool_result(&call(), "a")], ..base.clone() },
            Request { tools: vec![tool()], ..base.clone() },
            Request { tool_choice: ToolChoice::Never, ..base.clone() },
            Request { tool_choice: ToolChoice::Required, ..base.clone() },
            Request { tool_choice: ToolChoice::Named("1".into()), ..base.clone() },
            Request { output: Some(OutputSchema { name: "a".into(), schema: json!({}) }), ..base.clone() },
            Request { stop: vec!["a".into()], ..base.clone() },
            Request { stop: vec!["a".into(), String::new()], ..base.clone() },
        ];
        let hashes: HashSet<_> = variants.iter().map(Request::hash).collect();
        assert_eq!(hashes.len(), variants.len());
        assert_eq!(Request { timeout: Duration::ZERO, token: Some([1; 16]), ..base.clone() }.hash(), base.hash());
    }

    fn picture(data: &'static [u8]) -> Image {
        Image::Bytes { media_type: "image/png".into(), data: Bytes::from_static(data) }
    }

    fn call() -> ToolCall {
        ToolCall { id: "1".into(), name: "t".into(), arguments: "{}".into() }
    }

    fn tool() -> Tool {
        Tool { name: "t".into(), description: String::new(), parameters: json!({ "a": 1, "b": 2 }) }
    }

    fn assistant(call: Option<ToolCall>, family: Option<Family>) -> Message {
        let opaque = family.map(|family| Opaque { family, parts: json!([1]) });
        Message::Assistant { text: "a".into(), tool_calls: call.into_iter().collect(), opaque }
    }

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let other = Tool { parameters: json!({ "b": 2, "a": 1 }), ..tool() };
        let [one, two] = [tool(), other].map(|tool| Request { tools: vec![tool], ..Request::new("x") });
        assert_eq!(one, two);
        assert_eq!(one.hash(), two.hash());
    }

    #[test]
    fn the_encoding_is_frozen() {
        let request = Request {
            system: Some("be brief".into()),
            model: Some("m".into()),
            temperature_milli: Some(200),
            max_tokens: Some(64),
            frequency_penalty_milli: Some(-1),
            ..Request::new("hello")
        };
        let hex: String = request.hash().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "65575b7e333a0b822f88b08fc286c85836810e05539aee3151083c84556d1bb9");
    }
}
