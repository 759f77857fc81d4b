use bytes::Bytes;
use serde_json::Value;

use crate::{Failure, FailureKind};

/// Something that was said after the prompt of a [`Request`](crate::Request).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The person, or whoever asks.
    User {
        /// What is said.
        text: String,
        /// What is shown with it.
        images: Vec<Image>,
    },
    /// The model. [`Reply::message`](crate::Reply::message) makes this of a reply.
    Assistant {
        /// What it said.
        text: String,
        /// The tools that it called.
        tool_calls: Vec<ToolCall>,
        /// What its platform wants back unchanged.
        opaque: Option<Opaque>,
    },
    /// What a tool answered.
    ToolResult {
        /// The [`ToolCall::id`] that is answered.
        call: String,
        /// The tool's name.
        name: String,
        /// Its answer.
        content: String,
        /// Whether the tool failed.
        failed: bool,
    },
}

impl Message {
    /// A person's words without images.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { text: text.into(), images: Vec::new() }
    }

    /// The answer of a tool that did its work.
    #[must_use]
    pub fn tool_result(call: &ToolCall, content: impl Into<String>) -> Self {
        Self::ToolResult { call: call.id.clone(), name: call.name.clone(), content: content.into(), failed: false }
    }
}

/// A picture for the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// The picture itself.
    Bytes {
        /// Such as `image/png`.
        media_type: String,
        /// The file's bytes.
        data: Bytes,
    },
    /// Where the platform can fetch it. Not every platform fetches.
    Url(String),
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name: letters, digits, `_` and `-`.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// The JSON Schema of its arguments, an object.
    pub parameters: Value,
}

/// Whether tools are to be called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// As the model likes.
    #[default]
    Auto,
    /// None, though they are described.
    Never,
    /// At least one.
    Required,
    /// The one of this name.
    Named(String),
}

/// The form that the answer must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSchema {
    /// What the form is called: letters, digits, `_` and `-`.
    pub name: String,
    /// Its JSON Schema.
    pub schema: Value,
}

/// A tool that the model wants called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// What its result must name. Where a platform gives none, one is made.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as the model wrote them: JSON, if it wrote them well and was not cut.
    pub arguments: String,
}

impl ToolCall {
    /// The arguments, read.
    ///
    /// # Errors
    /// `MalformedReply` when they are no JSON.
    pub fn parsed(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.arguments).map_err(|error| {
            Failure::new(FailureKind::MalformedReply, format!("the arguments for `{}` are no JSON: {error}", self.name))
        })
    }
}

/// What a platform wants back unchanged with the next request, such as signed or encrypted thoughts. It means something
/// only to the wire family that made it, and every other leaves it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque {
    /// The family.
    pub family: Family,
    /// The parts, as they came.
    pub parts: Value,
}

/// The wire families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI Chat Completions.
    OpenAiChat,
    /// OpenAI Responses.
    OpenAiResponses,
    /// Anthropic Messages.
    Anthropic,
    /// Gemini generateContent.
    Gemini,
}

impl Family {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::OpenAiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }
}

impl Opaque {
    /// The parts, if they are of this family.
    pub(crate) fn of(opaque: Option<&Self>, family: Family) -> Option<&Value> {
        opaque.filter(|opaque| opaque.family == family).map(|opaque| &opaque.parts)
    }
}
