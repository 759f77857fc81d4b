//! What the platforms' errors mean, whatever the family: their bodies differ little, and gateways mix them.
//!
//! Status codes alone do not tell: too long a prompt, a refused content and a wrong parameter all come as 400, an
//! empty account as 429. The body's `code`, `type` (OpenAI, Anthropic) and `status` (Google) decide first, known
//! phrases of those without codes second, the status last.

use std::time::Duration;

use serde_json::Value;

use crate::{Failure, FailureKind};

/// How much of a platform's own words a message keeps, in characters.
const EXCERPT: usize = 300;

/// The meaning of an answer whose status is not a success.
#[must_use]
pub fn of_status(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(body);
    let value: Option<Value> = serde_json::from_str(&text).ok();
    // Google wraps the errors of a stream into a list.
    let value = value.map(|value| value.get(0).cloned().unwrap_or(value));
    let error = value.as_ref().map(|value| value.get("error").filter(|error| !error.is_null()).unwrap_or(value));
    let said = error.and_then(said).unwrap_or_else(|| excerpt(&text));
    let kind = error.and_then(|error| by_error(status, error, &said)).or_else(|| by_phrase(status, &said));
    let kind = kind.unwrap_or_else(|| by_status(status));
    let retry_after = retry_after.or_else(|| error.and_then(pause));
    let message =
        if said.is_empty() { format!("status {status} without a reason") } else { format!("status {status}: {said}") };
    let message = if status == 404 && value.is_none() {
        format!("{message} (is the base URL right, with its version such as /v1?)")
    } else {
        message
    };
    Failure::new(kind, message).after(retry_after)
}

/// The meaning of an error object that came within an answer that had begun as a success.
#[must_use]
pub fn in_reply(error: &Value) -> Failure {
    let said = said(error).unwrap_or_else(|| excerpt(&error.to_string()));
    let status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status = status.filter(|status| (400..600).contains(status)).unwrap_or(500);
    let kind = by_error(status, error, &said).unwrap_or_else(|| by_status(status));
    Failure::new(kind, format!("the answer is an error: {said}")).after(pause(error))
}

/// Code before phrase, except that a code for any wrong request says less than a phrase.
fn by_error(status: u16, error: &Value, said: &str) -> Option<FailureKind> {
    match by_code(error) {
        None | Some(FailureKind::InvalidRequest) => by_phrase(status, said).or_else(|| by_code(error)),
        kind => kind,
    }
}

/// The pause that Google asks for within the error (google.rpc.RetryInfo).
fn pause(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
    // Also refuses NaN; a day is the longest pause that is believed.
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds.min(86_400.0)).ok())?
}

/// One line of at most [`EXCERPT`] characters, without control characters.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut line = String::new();
    let mut length = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        for c in word.chars() {
            if length >= EXCERPT {
                line.push('…');
                return line;
            }
            line.push(c);
            length += 1;
        }
    }
    line
}

fn said(error: &Value) -> Option<String> {
    let text = match error {
        Value::String(text) => text.as_str(),
        // The last is what FastAPI sends.
        _ => ["message", "detail"].iter().find_map(|name| error.get(name).and_then(Value::as_str))?,
    };
    Some(excerpt(text)).filter(|text| !text.is_empty())
}

fn by_code(error: &Value) -> Option<FailureKind> {
    // OpenRouter's word for content that a moderator stopped, under a status of 403.
    if error.pointer("/metadata/flagged_input").is_some() {
        return Some(FailureKind::ContentRefused);
    }
    ["code", "type", "status"].iter().filter_map(|name| error.get(name)?.as_str()).find_map(|code| match code {
        // The second is llama.cpp's.
        "context_length_exceeded" | "exceed_context_size_error" => Some(FailureKind::ContextTooLong),
        "content_filter" | "content_policy_violation" | "moderation_blocked" | "ResponsibleAIPolicyViolation" => {
            Some(FailureKind::ContentRefused)
        }
        // Waiting does not fill an account.
        "insufficient_quota" | "billing_not_active" | "billing_hard_limit_reached" => Some(FailureKind::Unauthorized),
        "invalid_api_key" | "authentication_error" | "permission_error" | "billing_error" => {
            Some(FailureKind::Unauthorized)
        }
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => Some(FailureKind::Unauthorized),
        "rate_limit_exceeded" | "rate_limit_error" | "overloaded_error" | "RESOURCE_EXHAUSTED" => {
            Some(FailureKind::RateLimited)
        }
        "model_not_found"
        | "invalid_model"
        | "not_found_error"
        | "invalid_request_error"
        | "NOT_FOUND"
        | "INVALID_ARGUMENT"
        | "FAILED_PRECONDITION" => Some(FailureKind::InvalidRequest),
        "request_too_large" => Some(FailureKind::ContextTooLong),
        "server_error" | "internal_error" | "api_error" | "INTERNAL" | "UNAVAILABLE" => {
            Some(FailureKind::PlatformFailure)
        }
        "timeout_error" | "DEADLINE_EXCEEDED" => Some(FailureKind::Timeout),
        _ => None,
    })
}

fn by_phrase(status: u16, said: &str) -> Option<FailureKind> {
    if !matches!(status, 400 | 413 | 422 | 500) {
        return None;
    }
    let said = said.to_ascii_lowercase();
    // Google's word for a wrong key is that of any wrong argument.
    if said.contains("api key not valid") || said.contains("credit balance is too low") {
        return Some(FailureKind::Unauthorized);
    }
    // vLLM and OpenAI; llama.cpp; TGI; Ollama; the rest is Anthropic's and Google's.
    let too_long = [
        "maximum context length",
        "exceeds the available context size",
        "must have less than",
        "exceeds the context",
        "context length exceeded",
        "prompt is too long",
        "exceeds maximum context",
        "exceeds the maximum number of tokens",
        "exceed context limit",
    ];
    too_long.iter().any(|phrase| said.contains(phrase)).then_some(FailureKind::ContextTooLong)
}

const fn by_status(status: u16) -> FailureKind {
    match status {
        401..=403 | 407 => FailureKind::Unauthorized,
        408 => FailureKind::Timeout,
        429 => FailureKind::RateLimited,
        500.. => FailureKind::PlatformFailure,
        _ => FailureKind::InvalidRequest,
    }
}
