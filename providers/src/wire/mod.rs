//! What platforms say on the wire: encoding and decoding without I/O, so that every byte sequence can be tested.
//!
//! A *family* is a format that several platforms speak. Each has a module with three parts: `encode`, which makes the
//! body of a request; `decode`, which reads a whole answer; and a [`Fold`], which says what either way of answering means.
//! [`whole_body`] and [`StreamDecoder`] drive the fold, and three things hold for all families:
//!
//! - The result never depends on where the bytes are cut.
//! - An answer that was cut is a failure and never a short answer; what had been used by then is told with it.
//! - The parts of [`Usage`] mean the same, though each family counts in its own way.
//!
//! # Why not the crate `genai`
//!
//! It speaks the same families and was tried against the recordings of `golden` (version 0.7.2, every stream whole,
//! byte by byte, and cut at 60 %). Texts, totals, cached tokens and the split of cache writes agree with ours. These
//! do not, and each is something that we promise:
//!
//! - A stream of Responses that breaks off ends like a whole one: an end event, no error, no usage. One of Anthropic
//!   that breaks off between two events just stops, without an end and without an error.
//! - OpenRouter's usage is lost, and its charge is not read: it comes in an event after the finish reason.
//! - What a model refuses is dropped, and the empty answer counts as completed (Chat Completions and Responses).
//! - Citations in a stream of Anthropic are an error, so searches of the web cannot be used.
//! - Thinking tokens of `message_delta` are dropped, and so is what a SAFETY stop of Gemini had cost by then.
//! - A reported zero and a figure that was not reported are the same; the service tier is not read.
//! - What had been used before an error is not told.
//!
//! So all families are written here, and `genai` reads nothing but those recordings, in a test (`tests/differential.rs`): where it
//! reads them otherwise than we do is written there, one by one, so that neither changes unseen.

pub mod anthropic;
mod draft;
pub mod error;
pub mod gemini;
mod media;
pub mod openai_chat;
pub mod openai_responses;
pub mod rate_limit;
pub mod retry_after;
pub mod sse;
mod stream;

pub use draft::Draft;
pub(crate) use draft::too_large;
pub(crate) use stream::nano_usd;
pub use stream::{Decode, Fold, Progress, StreamDecoder, whole_body};

use serde_json::Value;

use crate::{Finish, Opaque, ToolCall, Usage};

/// A complete answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// Why it ended there.
    pub finish: Finish,
    /// The model, when it named itself.
    pub model: Option<String>,
    /// The tools that it wants called.
    pub tool_calls: Vec<ToolCall>,
    /// Tokens.
    pub usage: Usage,
    /// What was charged, in billionths of a US dollar.
    pub cost: Option<i64>,
    /// The usage as it came.
    pub raw_usage: Option<Value>,
    /// What the platform wants back.
    pub opaque: Option<Opaque>,
}
