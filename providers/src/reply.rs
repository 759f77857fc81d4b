use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;

use crate::Failure;

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
    /// From asking to the last byte.
    pub duration: Duration,
    /// Whether no model was asked at all; whoever shows the text must show this too.
    pub simulated: bool,
    /// The platform's own account of the usage, word for word, as evidence.
    pub raw_usage: Option<serde_json::Value>,
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

/// Tokens as the platform reported them; `None` means not reported, which is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input: Option<u64>,
    /// Of these, read from the platform's cache.
    pub cached_input: Option<u64>,
    /// Tokens of the answer, reasoning included.
    pub output: Option<u64>,
    /// Of these, spent on reasoning.
    pub reasoning: Option<u64>,
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
