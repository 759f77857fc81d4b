//! Frozen values that several events share. A value that changes gets a new struct, and every event that holds it a
//! new version.
//!
//! Identifiers are 16 raw bytes, moments and durations whole microseconds, maps are lists sorted by name, JSON is
//! compact text. Text is borrowed in both directions: from the event when freezing, from the payload when thawing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use domain::{
    AttemptError, Definition, ErrorKind, Expression, FinishReason, Key, NanoUsd, Reply, RetryPolicy, Step, StepName,
    Usage,
};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An identifier's raw bytes.
pub(super) type Id = [u8; 16];

/// What the JSON parser is willing to follow; nothing deeper is written, because it could not be read back.
const MAX_JSON_DEPTH: u8 = 127;

/// JSON as compact text.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct JsonV1<'a>(#[serde(borrow)] Cow<'a, str>);

impl JsonV1<'_> {
    pub(super) fn freeze(value: &Value) -> Result<Self, String> {
        if !fits(value, MAX_JSON_DEPTH) {
            return Err(format!("JSON is nested deeper than {MAX_JSON_DEPTH} levels"));
        }
        serde_json::to_string(value).map(|text| Self(text.into())).map_err(|error| error.to_string())
    }

    pub(super) fn thaw(&self) -> Result<Value, String> {
        serde_json::from_str(&self.0).map_err(|error| format!("not JSON: {error}"))
    }
}

/// Whether the value has at most `depth` levels of arrays and objects.
fn fits(value: &Value, depth: u8) -> bool {
    match value {
        Value::Array(values) => depth > 0 && values.iter().all(|value| fits(value, depth - 1)),
        Value::Object(values) => depth > 0 && values.values().all(|value| fits(value, depth - 1)),
        _ => true,
    }
}

/// Whole microseconds; what is finer is dropped.
pub(super) fn micros(duration: Duration) -> Result<u64, String> {
    u64::try_from(duration.as_micros()).map_err(|_| format!("{duration:?} is longer than can be kept"))
}

/// Text through its checked constructor.
pub(super) fn checked<T: FromStr<Err: ToString>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn all<T: FromStr<Err: ToString>>(texts: &[&str]) -> Result<Vec<T>, String> {
    texts.iter().copied().map(checked).collect()
}

/// Borrows every text.
pub(super) fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// Owns every text.
pub(super) fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// One name of a mapping and its expression.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct MappingV1<'a> {
    name: &'a str,
    expression: &'a str,
}

impl<'a> MappingV1<'a> {
    fn freeze(mapping: &'a BTreeMap<StepName, Expression>) -> Vec<Self> {
        mapping.iter().map(|(name, expression)| Self { name: name.as_str(), expression: expression.as_str() }).collect()
    }

    fn thaw(mapping: &[Self]) -> Result<BTreeMap<StepName, Expression>, String> {
        if !mapping.is_sorted_by(|one, next| one.name < next.name) {
            return Err("the names of a mapping are not in order".to_owned());
        }
        mapping.iter().map(|entry| Ok((checked(entry.name)?, Expression::trusted(entry.expression)))).collect()
    }
}

/// When a failed attempt is followed by another.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RetryPolicyV1 {
    max_attempts: u32,
    first_backoff_micros: u64,
    multiplier_milli: u32,
    max_backoff_micros: u64,
}

impl RetryPolicyV1 {
    pub(super) fn freeze(policy: &RetryPolicy) -> Result<Self, String> {
        let RetryPolicy { max_attempts, first_backoff, multiplier_milli, max_backoff } = *policy;
        let (first_backoff_micros, max_backoff_micros) = (micros(first_backoff)?, micros(max_backoff)?);
        Ok(Self { max_attempts, first_backoff_micros, multiplier_milli, max_backoff_micros })
    }

    pub(super) fn thaw(&self) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.max_attempts,
            first_backoff: Duration::from_micros(self.first_backoff_micros),
            multiplier_milli: self.multiplier_milli,
            max_backoff: Duration::from_micros(self.max_backoff_micros),
        }
    }
}

/// One step of a definition.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct StepV1<'a> {
    name: &'a str,
    title: &'a str,
    agent: &'a str,
    template: &'a str,
    #[serde(borrow)]
    input: Vec<MappingV1<'a>>,
    #[serde(borrow)]
    output: Vec<MappingV1<'a>>,
    #[serde(borrow)]
    needs: Vec<&'a str>,
    retry: RetryPolicyV1,
    attempt_timeout_micros: u64,
}

impl<'a> StepV1<'a> {
    fn freeze(step: &'a Step) -> Result<Self, String> {
        let Step { name, title, agent, template, input, output, needs, retry, attempt_timeout } = step;
        Ok(Self {
            name: name.as_str(),
            title,
            agent: agent.as_str(),
            template: template.as_str(),
            input: MappingV1::freeze(input),
            output: MappingV1::freeze(output),
            needs: needs.iter().map(StepName::as_str).collect(),
            retry: RetryPolicyV1::freeze(retry)?,
            attempt_timeout_micros: micros(*attempt_timeout)?,
        })
    }

    fn thaw(self) -> Result<Step, String> {
        Ok(Step {
            name: checked(self.name)?,
            title: self.title.to_owned(),
            agent: checked(self.agent)?,
            template: checked(self.template)?,
            input: MappingV1::thaw(&self.input)?,
            output: MappingV1::thaw(&self.output)?,
            needs: all(&self.needs)?,
            retry: self.retry.thaw(),
            attempt_timeout: Duration::from_micros(self.attempt_timeout_micros),
        })
    }
}

/// One version of a workflow.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DefinitionV1<'a> {
    key: &'a str,
    name: &'a str,
    description: &'a str,
    department: &'a str,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    #[serde(borrow)]
    input_schema: JsonV1<'a>,
    #[serde(borrow)]
    steps: Vec<StepV1<'a>>,
    #[serde(borrow)]
    output: Vec<MappingV1<'a>>,
}

impl<'a> DefinitionV1<'a> {
    pub(super) fn freeze(definition: &'a Definition) -> Result<Self, String> {
        let Definition { key, name, description, department, tags, input_schema, steps, output } = definition;
        Ok(Self {
            key: key.as_str(),
            name,
            description,
            department,
            tags: borrowed(tags),
            input_schema: JsonV1::freeze(input_schema)?,
            steps: steps.iter().map(StepV1::freeze).collect::<Result<_, _>>()?,
            output: MappingV1::freeze(output),
        })
    }

    pub(super) fn thaw(self) -> Result<Definition, String> {
        Ok(Definition {
            key: checked(self.key)?,
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            department: self.department.to_owned(),
            tags: owned(self.tags),
            input_schema: self.input_schema.thaw()?,
            steps: self.steps.into_iter().map(StepV1::thaw).collect::<Result<_, _>>()?,
            output: MappingV1::thaw(&self.output)?,
        })
    }
}

/// How an attempt can fail. New kinds are added at the end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum ErrorKindV1 {
    Timeout,
    Unreachable,
    RateLimited,
    PlatformFailure,
    MalformedReply,
    Unauthorized,
    InvalidRequest,
    ContextTooLong,
    ContentRefused,
    UnknownPlatform,
    InvalidInput,
    Lost,
    Interrupted,
}

impl ErrorKindV1 {
    fn freeze(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Unreachable => Self::Unreachable,
            ErrorKind::RateLimited => Self::RateLimited,
            ErrorKind::PlatformFailure => Self::PlatformFailure,
            ErrorKind::MalformedReply => Self::MalformedReply,
            ErrorKind::Unauthorized => Self::Unauthorized,
            ErrorKind::InvalidRequest => Self::InvalidRequest,
            ErrorKind::ContextTooLong => Self::ContextTooLong,
            ErrorKind::ContentRefused => Self::ContentRefused,
            ErrorKind::UnknownPlatform => Self::UnknownPlatform,
            ErrorKind::InvalidInput => Self::InvalidInput,
            ErrorKind::Lost => Self::Lost,
            ErrorKind::Interrupted => Self::Interrupted,
        }
    }

    fn thaw(self) -> ErrorKind {
        match self {
            Self::Timeout => ErrorKind::Timeout,
            Self::Unreachable => ErrorKind::Unreachable,
            Self::RateLimited => ErrorKind::RateLimited,
            Self::PlatformFailure => ErrorKind::PlatformFailure,
            Self::MalformedReply => ErrorKind::MalformedReply,
            Self::Unauthorized => ErrorKind::Unauthorized,
            Self::InvalidRequest => ErrorKind::InvalidRequest,
            Self::ContextTooLong => ErrorKind::ContextTooLong,
            Self::ContentRefused => ErrorKind::ContentRefused,
            Self::UnknownPlatform => ErrorKind::UnknownPlatform,
            Self::InvalidInput => ErrorKind::InvalidInput,
            Self::Lost => ErrorKind::Lost,
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }
}

/// Why an attempt failed.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptErrorV1<'a> {
    kind: ErrorKindV1,
    message: &'a str,
    retry_after_micros: Option<u64>,
}

impl<'a> AttemptErrorV1<'a> {
    pub(super) fn freeze(error: &'a AttemptError) -> Result<Self, String> {
        let AttemptError { kind, message, retry_after } = error;
        let retry_after_micros = retry_after.map(micros).transpose()?;
        Ok(Self { kind: ErrorKindV1::freeze(*kind), message, retry_after_micros })
    }

    pub(super) fn thaw(&self) -> AttemptError {
        AttemptError {
            kind: self.kind.thaw(),
            message: self.message.to_owned(),
            retry_after: self.retry_after_micros.map(Duration::from_micros),
        }
    }
}

/// Why the model stopped. New reasons are added at the end.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) enum FinishReasonV1<'a> {
    Stop,
    Length,
    ContentFilter,
    Other(&'a str),
}

/// Tokens as the platform reported them.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct UsageV1 {
    input_tokens: Option<u64>,
    cached_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

/// The outcome of one successful attempt.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ReplyV1<'a> {
    text: &'a str,
    #[serde(borrow)]
    finish: FinishReasonV1<'a>,
    model: &'a str,
    usage: UsageV1,
    cost_nano_usd: Option<i64>,
    duration_micros: u64,
    simulated: bool,
}

impl<'a> ReplyV1<'a> {
    pub(super) fn freeze(reply: &'a Reply) -> Result<Self, String> {
        let Reply { text, finish, model, usage, cost, duration, simulated } = reply;
        let Usage { input_tokens, cached_input_tokens, output_tokens, reasoning_tokens } = *usage;
        Ok(Self {
            text,
            finish: match finish {
                FinishReason::Stop => FinishReasonV1::Stop,
                FinishReason::Length => FinishReasonV1::Length,
                FinishReason::ContentFilter => FinishReasonV1::ContentFilter,
                FinishReason::Other(words) => FinishReasonV1::Other(words),
            },
            model,
            usage: UsageV1 { input_tokens, cached_input_tokens, output_tokens, reasoning_tokens },
            cost_nano_usd: cost.map(|cost| cost.0),
            duration_micros: micros(*duration)?,
            simulated: *simulated,
        })
    }

    pub(super) fn thaw(self) -> Reply {
        let UsageV1 { input_tokens, cached_input_tokens, output_tokens, reasoning_tokens } = self.usage;
        Reply {
            text: self.text.to_owned(),
            finish: match self.finish {
                FinishReasonV1::Stop => FinishReason::Stop,
                FinishReasonV1::Length => FinishReason::Length,
                FinishReasonV1::ContentFilter => FinishReason::ContentFilter,
                FinishReasonV1::Other(words) => FinishReason::Other(words.to_owned()),
            },
            model: self.model.to_owned(),
            usage: Usage { input_tokens, cached_input_tokens, output_tokens, reasoning_tokens },
            cost: self.cost_nano_usd.map(NanoUsd),
            duration: Duration::from_micros(self.duration_micros),
            simulated: self.simulated,
        }
    }
}

/// Keys of other entries of the catalogue.
pub(super) fn keys(texts: &[&str]) -> Result<Vec<Key>, String> {
    all(texts)
}
