//! What a platform answers, in the domain's own words.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Money in billionths of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

/// Tokens as the platform reported them; `None` means not reported, which is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input_tokens: Option<u64>,
    /// Of these, read from the platform's cache.
    pub cached_input_tokens: Option<u64>,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: Option<u64>,
    /// Of these, spent on reasoning.
    pub reasoning_tokens: Option<u64>,
}

/// Why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FinishReason {
    /// It had said what it wanted to say.
    Stop,
    /// It reached the token limit; the text is cut.
    Length,
    /// The platform's content filter cut it.
    ContentFilter,
    /// Something that the platform names in its own words.
    Other(String),
}

/// The outcome of one successful attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The answer.
    pub text: String,
    /// Why it ended there.
    pub finish: FinishReason,
    /// The model that answered, as the platform names it.
    pub model: String,
    /// Tokens.
    pub usage: Usage,
    /// What it cost; `None` means unknown, which is not free.
    pub cost: Option<NanoUsd>,
    /// From sending to the last byte.
    pub duration: Duration,
    /// From sending to the first piece of text; `None` when the answer did not come in pieces.
    pub first_piece: Option<Duration>,
    /// Whether no model was asked at all; whoever shows the text must show this too.
    pub simulated: bool,
    /// How its cost came about; `None` of what was recorded before that was kept.
    #[serde(default)]
    pub account: Option<Box<Account>>,
}

/// How what an attempt cost came about, as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Where the cost comes from.
    pub source: CostSource,
    /// The platform's own account of the usage, word for word; `None` when there was none, or it was larger than
    /// [`Account::MAX_BYTES`].
    pub usage: Option<Value>,
}

impl Account {
    /// A larger account of the usage is not kept; those of all known platforms have a few hundred bytes.
    pub const MAX_BYTES: usize = 16 * 1024;
    /// Nor one of more levels of lists and objects.
    const MAX_DEPTH: u8 = 32;

    /// An account whose usage is left out when it is larger than anybody's should be.
    #[must_use]
    pub fn new(source: CostSource, usage: Option<Value>) -> Self {
        let fits = |usage: &Value| is_flat(usage, Self::MAX_DEPTH) && usage.to_string().len() <= Self::MAX_BYTES;
        Self { source, usage: usage.filter(fits) }
    }
}

fn is_flat(value: &Value, depth: u8) -> bool {
    match value {
        Value::Array(values) => depth > 0 && values.iter().all(|value| is_flat(value, depth - 1)),
        Value::Object(values) => depth > 0 && values.values().all(|value| is_flat(value, depth - 1)),
        _ => true,
    }
}

/// Where a cost comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostSource {
    /// Nobody knows it.
    Unpriced,
    /// The platform said what it charged.
    Reported,
    /// It was computed from the list of prices of this name.
    Listed(String),
    /// Nobody is paid.
    Free,
}

impl CostSource {
    /// The stable snake_case name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unpriced => "unpriced",
            Self::Reported => "reported",
            Self::Listed(_) => "listed",
            Self::Free => "free",
        }
    }
}

/// How an attempt can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// No answer in time.
    Timeout,
    /// The platform could not be reached, or the connection broke.
    Unreachable,
    /// The platform asks for a pause.
    RateLimited,
    /// The platform failed on its side.
    PlatformFailure,
    /// The answer could not be understood, or ended in the middle.
    MalformedReply,
    /// The credentials were refused or are missing.
    Unauthorized,
    /// The platform says that the request is wrong.
    InvalidRequest,
    /// Prompt and answer do not fit the model's context.
    ContextTooLong,
    /// The platform refuses the content.
    ContentRefused,
    /// Nothing of that name is configured.
    UnknownPlatform,
    /// The prompt could not be made: a parameter is missing or a template is wrong.
    InvalidInput,
    /// The process died between sending and recording; whether the platform was paid is unknown.
    Lost,
    /// HishamOS was stopped while the platform was being called; such an attempt does not count against the policy.
    Interrupted,
    /// Those who were asked said no, or nobody said yes in time.
    Rejected,
    /// The workflow that ran as a step failed or was cancelled.
    RunFailed,
    /// What the call may cost is not left in a budget.
    BudgetExhausted,
    /// No platform that the agent may use has the tags that are demanded, such as that of a region.
    TagMissing,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 17] = [
        Self::Timeout,
        Self::Unreachable,
        Self::RateLimited,
        Self::PlatformFailure,
        Self::MalformedReply,
        Self::Unauthorized,
        Self::InvalidRequest,
        Self::ContextTooLong,
        Self::ContentRefused,
        Self::UnknownPlatform,
        Self::InvalidInput,
        Self::Lost,
        Self::Interrupted,
        Self::Rejected,
        Self::RunFailed,
        Self::BudgetExhausted,
        Self::TagMissing,
    ];

    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Self::Timeout
                | Self::Unreachable
                | Self::RateLimited
                | Self::PlatformFailure
                | Self::MalformedReply
                | Self::Lost
                | Self::Interrupted
        )
    }

    /// Whether the platform may have done something that has to be paid for, although nobody was told.
    #[must_use]
    pub const fn may_have_cost(self) -> bool {
        matches!(self, Self::Timeout | Self::MalformedReply | Self::Lost | Self::Interrupted | Self::InvalidInput)
    }

    /// Whether another platform may do what this one could not.
    #[must_use]
    pub const fn may_pass_elsewhere(self) -> bool {
        matches!(
            self,
            Self::Timeout
                | Self::Unreachable
                | Self::RateLimited
                | Self::PlatformFailure
                | Self::MalformedReply
                | Self::Unauthorized
                | Self::ContextTooLong
                | Self::ContentRefused
        )
    }

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
            Self::UnknownPlatform => "unknown_platform",
            Self::InvalidInput => "invalid_input",
            Self::Lost => "lost",
            Self::Interrupted => "interrupted",
            Self::Rejected => "rejected",
            Self::RunFailed => "run_failed",
            Self::BudgetExhausted => "budget_exhausted",
            Self::TagMissing => "tag_missing",
        }
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptError {
    /// The kind, which decides about retries.
    pub kind: ErrorKind,
    /// What happened, for a person; never holds a secret.
    pub message: String,
    /// How long the platform asks to wait.
    pub retry_after: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Account, CostSource};

    #[test]
    fn an_account_is_kept_unless_it_is_larger_than_any() {
        let kept = |usage: Value| Account::new(CostSource::Reported, Some(usage)).usage.is_some();
        assert!(kept(json!({ "input_tokens": 7, "details": { "cached": [1, 2] } })));
        assert!(kept(json!("x".repeat(Account::MAX_BYTES - 2))));
        assert!(!kept(json!("x".repeat(Account::MAX_BYTES - 1))));
        let deep = |levels: u8| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(kept(deep(32)) && !kept(deep(33)));
    }
}
