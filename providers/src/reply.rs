use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};

use crate::wire::rate_limit::RateLimits;
use crate::{Failure, Message, Opaque, ToolCall, Usage};

/// What a platform answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The answer.
    pub text: String,
    /// Why it ended there.
    pub finish: Finish,
    /// The model that answered, as the platform names it.
    pub model: String,
    /// Tokens.
    pub usage: Usage,
    /// What it cost in billionths of a US dollar; `None` means unknown, which is not free.
    pub cost: Option<i64>,
    /// Where the cost comes from.
    pub cost_source: CostSource,
    /// From asking to the last byte.
    pub duration: Duration,
    /// From asking to the first piece of text, when it was streamed.
    pub first_piece: Option<Duration>,
    /// Whether no model was asked at all; whoever shows the text must show this too.
    pub simulated: bool,
    /// The platform's own account of the usage, word for word, as evidence.
    pub raw_usage: Option<serde_json::Value>,
    /// The tools that the model wants called.
    pub tool_calls: Vec<ToolCall>,
    /// What the platform wants back with the next request of the same conversation.
    pub opaque: Option<Opaque>,
    /// What the platform said about its limits.
    pub limits: Option<RateLimits>,
}

impl Reply {
    /// The reply as a message of the conversation, for the next request.
    #[must_use]
    pub fn message(&self) -> Message {
        Message::Assistant { text: self.text.clone(), tool_calls: self.tool_calls.clone(), opaque: self.opaque.clone() }
    }

    /// The reply as a stream, of one that was there at once.
    pub(crate) fn in_one_piece(self) -> ReplyStream {
        let text = (!self.text.is_empty()).then(|| Ok(Chunk::Text(self.text.clone())));
        stream::iter(text.into_iter().chain([Ok(Chunk::End(Box::new(self)))])).boxed()
    }
}

/// Where a cost comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CostSource {
    /// Nobody knows it.
    #[default]
    Unpriced,
    /// The platform said what it charged.
    Reported,
    /// It was computed from a list of prices.
    Listed {
        /// Which list, such as `2026-11-25`.
        version: String,
    },
    /// Nobody is paid.
    Free,
}

impl CostSource {
    /// Where a cost comes from that only the platform itself can tell.
    pub(crate) fn of_reported(cost: Option<i64>) -> Self {
        if cost.is_some() { Self::Reported } else { Self::Unpriced }
    }
}

/// Why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// It had said what it wanted to say.
    Stop,
    /// It reached the token limit; the text is cut.
    Length,
    /// The platform's content filter cut it, or the model declined to answer.
    ContentFilter,
    /// Something that the platform names in its own words.
    Other(String),
}

impl Finish {
    const TOOL_CALLS: &str = "tool_calls";

    /// It waits for the results of tools. The word is the same whichever platform answered.
    #[must_use]
    pub fn tool_calls() -> Self {
        Self::Other(Self::TOOL_CALLS.to_owned())
    }

    /// The stable name, or the platform's own word.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
            Self::Other(word) => word,
        }
    }

    /// Whether it waits for the results of tools.
    #[must_use]
    pub fn is_tool_calls(&self) -> bool {
        matches!(self, Self::Other(word) if word == Self::TOOL_CALLS)
    }

    /// A platform's word that means nothing to anybody else.
    pub(crate) fn other(word: &str) -> Self {
        Self::Other(word.chars().take(64).collect())
    }
}

/// One item of an answer that arrives in pieces.
#[derive(Debug, Clone, PartialEq)]
pub enum Chunk {
    /// More text; never empty.
    Text(String),
    /// The end: the whole reply, whose text is all the pieces joined.
    End(Box<Reply>),
}

/// An answer as it arrives; see [`Platform::stream`](crate::Platform::stream) for what it promises.
pub type ReplyStream = Pin<Box<dyn Stream<Item = Result<Chunk, Failure>> + Send>>;
