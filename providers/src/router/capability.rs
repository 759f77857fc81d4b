use crate::{Capabilities, Message, Request, ToolChoice};

/// What a request needs of whoever answers it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Tools can be called.
    pub tools: bool,
    /// The answer can be held to a JSON Schema.
    pub schema: bool,
    /// Pictures are understood.
    pub images: bool,
    /// About how many tokens go in.
    pub input_tokens: u64,
    /// At most how many come out; 0 when nothing is said.
    pub output_tokens: u64,
    /// Tags that the target must carry, such as `eu` for data that must stay there.
    pub tags: Vec<String>,
}

impl Needs {
    /// What a request needs by itself; tags come from whoever knows about data.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let mut bytes = request.user.len() + request.system.as_deref().map_or(0, str::len);
        let mut images = request.images.len();
        for turn in &request.turns {
            match turn {
                Message::User { text, images: more } => {
                    bytes += text.len();
                    images += more.len();
                }
                Message::Assistant { text, tool_calls, .. } => {
                    bytes += text.len() + tool_calls.iter().map(|call| call.arguments.len()).sum::<usize>();
                }
                Message::ToolResult { content, .. } => bytes += content.len(),
            }
        }
        bytes +=
            request.tools.iter().map(|tool| tool.description.len() + tool.parameters.to_string().len()).sum::<usize>();
        Self {
            tools: !request.tools.is_empty() && request.tool_choice != ToolChoice::Never,
            schema: request.output.is_some(),
            images: images > 0,
            // Four bytes a token in English, fewer elsewhere; only what surely does not fit is to be ruled out.
            input_tokens: u64::try_from(bytes / 4).unwrap_or(u64::MAX),
            output_tokens: request.max_tokens.map_or(0, u64::from),
            tags: Vec::new(),
        }
    }

    /// Why somebody of these capabilities and tags cannot do it. What is not known is not held against anybody.
    #[must_use]
    pub fn lacking(&self, capabilities: &Capabilities, tags: &[String]) -> Option<Lack> {
        let cannot = |needed: bool, can: Option<bool>| needed && can == Some(false);
        if cannot(self.tools, capabilities.tools) {
            return Some(Lack::Tools);
        }
        if cannot(self.schema, capabilities.schema) {
            return Some(Lack::Schema);
        }
        if cannot(self.images, capabilities.images) {
            return Some(Lack::Images);
        }
        if let Some(limit) = capabilities.max_input.map(u64::from).filter(|limit| self.input_tokens > *limit) {
            return Some(Lack::Context { needed: self.input_tokens, limit });
        }
        if let Some(limit) = capabilities.max_output.map(u64::from).filter(|limit| self.output_tokens > *limit) {
            return Some(Lack::Output { needed: self.output_tokens, limit });
        }
        self.tags.iter().find(|tag| !tags.contains(tag)).map(|tag| Lack::Tag(tag.clone()))
    }
}

/// Why a target is out of the question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// No tools.
    #[error("it cannot call tools")]
    Tools,
    /// No structured output.
    #[error("it cannot be held to a JSON Schema")]
    Schema,
    /// No pictures.
    #[error("it understands no pictures")]
    Images,
    /// Too short a context.
    #[error("about {needed} tokens do not fit its context of {limit}")]
    Context {
        /// About how many there are.
        needed: u64,
        /// How many fit.
        limit: u64,
    },
    /// Too short an answer.
    #[error("its answers have at most {limit} tokens, not {needed}")]
    Output {
        /// How many are wanted.
        needed: u64,
        /// How many there can be.
        limit: u64,
    },
    /// A tag is missing, such as that of a region.
    #[error("it is not tagged `{0}`")]
    Tag(String),
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::{Lack, Needs};
    use crate::{Capabilities, Image, OutputSchema, Request, Tool};

    #[test]
    fn what_is_known_to_be_missing_rules_out() {
        let tool = Tool { name: "t".into(), description: String::new(), parameters: json!({}) };
        let schema = OutputSchema { name: "o".into(), schema: json!({}) };
        let picture = Image::Bytes { media_type: "image/png".into(), data: Bytes::new() };
        let no = Capabilities {
            tools: Some(false),
            schema: Some(false),
            images: Some(false),
            max_input: Some(100),
            max_output: Some(50),
        };
        let base = Request::new("x");
        let cases = [
            (Request { tools: vec![tool], ..base.clone() }, Lack::Tools),
            (Request { output: Some(schema), ..base.clone() }, Lack::Schema),
            (Request { images: vec![picture], ..base.clone() }, Lack::Images),
            (Request::new("x".repeat(500)), Lack::Context { needed: 125, limit: 100 }),
            (Request { max_tokens: Some(51), ..base.clone() }, Lack::Output { needed: 51, limit: 50 }),
        ];
        for (request, lack) in cases {
            assert_eq!(Needs::of(&request).lacking(&no, &[]), Some(lack));
            assert_eq!(Needs::of(&request).lacking(&Capabilities::default(), &[]), None, "unknown is no refusal");
        }
        let needs = Needs { tags: vec!["eu".into()], ..Needs::of(&base) };
        assert_eq!(needs.lacking(&Capabilities::default(), &["us".into()]), Some(Lack::Tag("eu".into())));
        assert_eq!(needs.lacking(&Capabilities::default(), &["us".into(), "eu".into()]), None);
    }
}
