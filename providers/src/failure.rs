use std::time::Duration;

use serde_json::Value;

use crate::wire::rate_limit::RateLimits;
use crate::{CostSource, Usage};

/// Why a call gave no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The kind, which decides about retries.
    pub kind: FailureKind,
    /// What happened, to what, for a person; one line, never a secret.
    pub message: String,
    /// How long the platform asks to wait before the next call.
    pub retry_after: Option<Duration>,
    /// What the platform had done by then, when an answer had begun: it has to be paid for all the same.
    pub consumed: Option<Box<Consumed>>,
    /// What the platform said about its limits.
    pub limits: Option<Box<RateLimits>>,
    /// Whether it is about one key, and the platform has another that may be used now.
    pub spare_key: bool,
}

/// What was used by a call that gave no reply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consumed {
    /// What the platform reported before it broke off; it may be less than what it will charge.
    pub usage: Usage,
    /// The platform's own account, word for word.
    pub raw_usage: Option<Value>,
    /// How much text had come, in bytes.
    pub text_bytes: usize,
    /// The model that answered, when it had named itself.
    pub model: Option<String>,
    /// What that costs in billionths of a US dollar; `None` means unknown, which is not free.
    pub cost: Option<i64>,
    /// Where the cost comes from.
    pub cost_source: CostSource,
}

/// The ways a call can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No answer in time.
    Timeout,
    /// The platform could not be reached (name, connection, TLS), or the connection broke before an answer.
    Unreachable,
    /// The platform asks for a pause.
    RateLimited,
    /// The platform failed on its side.
    PlatformFailure,
    /// The answer could not be understood, was too large, or ended in the middle.
    MalformedReply,
    /// The credentials were refused or are missing, or the account has nothing left to spend.
    Unauthorized,
    /// The platform says that the request is wrong, or does not know the model.
    InvalidRequest,
    /// Prompt and answer do not fit the model's context.
    ContextTooLong,
    /// The platform refuses the content.
    ContentRefused,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Timeout,
        Self::Unreachable,
        Self::RateLimited,
        Self::PlatformFailure,
        Self::MalformedReply,
        Self::Unauthorized,
        Self::InvalidRequest,
        Self::ContextTooLong,
        Self::ContentRefused,
    ];

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::RateLimited => "rate_limited",
            Self::PlatformFailure => "platform_failure",
            Self::MalformedReply => "malformed_reply",
            Self::Unauthorized => "unauthorized",
            Self::InvalidRequest => "invalid_request",
            Self::ContextTooLong => "context_too_long",
            Self::ContentRefused => "content_refused",
        }
    }
}

impl Failure {
    /// A failure after which the platform names no pause.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, consumed: None, limits: None, spare_key: false }
    }

    /// The same with the pause that the platform asks for.
    #[must_use]
    pub fn after(mut self, pause: Option<Duration>) -> Self {
        self.retry_after = pause;
        self
    }

    /// The same with what had been used.
    #[must_use]
    pub(crate) fn with_consumed(mut self, consumed: Consumed) -> Self {
        self.consumed = Some(Box::new(consumed));
        self
    }

    /// An answer that makes no sense.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(FailureKind::MalformedReply, message)
    }

    /// No answer within `limit`.
    pub(crate) fn timed_out(platform: &str, limit: Duration) -> Self {
        Self::new(FailureKind::Timeout, format!("{platform} gave no complete answer within {limit:?}"))
    }
}
