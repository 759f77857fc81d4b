//! Frozen values that several events share. A value that changes gets a new struct, and every event that holds it a
//! new version.
//!
//! Identifiers are 16 raw bytes, moments and durations whole microseconds, maps are lists sorted by name, JSON is
//! compact text. Text is borrowed in both directions: from the event when freezing, from the payload when thawing.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use domain::run::{PauseClock, SlotsNeed};
use domain::{
    Account, Actor, ActorKind, CostSource, ErrorKind, FinishReason, Key, NanoUsd, Reply, RetryPolicy, SlotsId,
    Timestamp, Usage,
};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

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

/// Every text through its checked constructor.
pub(super) fn all<T: FromStr<Err: ToString>>(texts: &[&str]) -> Result<Vec<T>, String> {
    texts.iter().copied().map(checked).collect()
}

/// Every text through its checked constructor; they are in order, and none stands there twice, so that a set has one encoding.
pub(super) fn sorted<T: FromStr<Err: ToString> + Ord>(texts: &[&str]) -> Result<BTreeSet<T>, String> {
    if !texts.is_sorted_by(|one, next| one < next) {
        return Err(format!("{texts:?} is no set in order"));
    }
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

/// A moment in whole microseconds since the Unix epoch.
pub(super) fn moment(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A retry policy as it was before budgets and exceptions.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RetryPolicyV1 {
    max_attempts: u32,
    first_backoff_micros: u64,
    multiplier_milli: u32,
    max_backoff_micros: u64,
}

/// When a failed attempt is followed by another.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RetryPolicyV2 {
    max_attempts: u32,
    first_backoff_micros: u64,
    multiplier_milli: u32,
    max_backoff_micros: u64,
    budget_micros: Option<u64>,
    never: Vec<ErrorKindV2>,
}

impl From<RetryPolicyV1> for RetryPolicyV2 {
    fn from(old: RetryPolicyV1) -> Self {
        Self {
            max_attempts: old.max_attempts,
            first_backoff_micros: old.first_backoff_micros,
            multiplier_milli: old.multiplier_milli,
            max_backoff_micros: old.max_backoff_micros,
            budget_micros: None,
            never: Vec::new(),
        }
    }
}

impl RetryPolicyV2 {
    pub(super) fn freeze(policy: &RetryPolicy) -> Result<Self, String> {
        let RetryPolicy { max_attempts, first_backoff, multiplier_milli, max_backoff, budget, never } = policy;
        Ok(Self {
            max_attempts: *max_attempts,
            first_backoff_micros: micros(*first_backoff)?,
            multiplier_milli: *multiplier_milli,
            max_backoff_micros: micros(*max_backoff)?,
            budget_micros: budget.map(micros).transpose()?,
            never: never.iter().copied().map(ErrorKindV2::named).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn thaw(self) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.max_attempts,
            first_backoff: Duration::from_micros(self.first_backoff_micros),
            multiplier_milli: self.multiplier_milli,
            max_backoff: Duration::from_micros(self.max_backoff_micros),
            budget: self.budget_micros.map(Duration::from_micros),
            never: self.never.into_iter().map(ErrorKindV2::thaw).collect(),
        }
    }
}

/// How an attempt could fail before there were approvals and runs within runs.
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

/// How an attempt could fail before there were budgets. It is all that a retry policy can name.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum ErrorKindV2 {
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
    Rejected,
    RunFailed,
}

impl From<ErrorKindV1> for ErrorKindV2 {
    fn from(old: ErrorKindV1) -> Self {
        match old {
            ErrorKindV1::Timeout => Self::Timeout,
            ErrorKindV1::Unreachable => Self::Unreachable,
            ErrorKindV1::RateLimited => Self::RateLimited,
            ErrorKindV1::PlatformFailure => Self::PlatformFailure,
            ErrorKindV1::MalformedReply => Self::MalformedReply,
            ErrorKindV1::Unauthorized => Self::Unauthorized,
            ErrorKindV1::InvalidRequest => Self::InvalidRequest,
            ErrorKindV1::ContextTooLong => Self::ContextTooLong,
            ErrorKindV1::ContentRefused => Self::ContentRefused,
            ErrorKindV1::UnknownPlatform => Self::UnknownPlatform,
            ErrorKindV1::InvalidInput => Self::InvalidInput,
            ErrorKindV1::Lost => Self::Lost,
            ErrorKindV1::Interrupted => Self::Interrupted,
        }
    }
}

impl ErrorKindV2 {
    /// `None` for a kind that is newer.
    pub(super) fn freeze(kind: ErrorKind) -> Option<Self> {
        Some(match kind {
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
            ErrorKind::Rejected => Self::Rejected,
            ErrorKind::RunFailed => Self::RunFailed,
            ErrorKind::BudgetExhausted | ErrorKind::TagMissing => return None,
        })
    }

    /// A kind where only those can be that were there from the beginning.
    pub(super) fn named(kind: ErrorKind) -> Result<Self, String> {
        Self::freeze(kind).ok_or_else(|| format!("`{}` cannot be named here", kind.name()))
    }

    pub(super) fn thaw(self) -> ErrorKind {
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
            Self::Rejected => ErrorKind::Rejected,
            Self::RunFailed => ErrorKind::RunFailed,
        }
    }
}

/// An attempt's error with the first list of kinds.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptErrorV1<'a> {
    kind: ErrorKindV1,
    message: &'a str,
    retry_after_micros: Option<u64>,
}

/// An attempt's error with the second list of kinds.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptErrorV2<'a> {
    pub(super) kind: ErrorKindV2,
    pub(super) message: &'a str,
    pub(super) retry_after_micros: Option<u64>,
}

impl<'a> From<AttemptErrorV1<'a>> for AttemptErrorV2<'a> {
    fn from(old: AttemptErrorV1<'a>) -> Self {
        Self { kind: old.kind.into(), message: old.message, retry_after_micros: old.retry_after_micros }
    }
}

/// What kind of cause acts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum ActorKindV1 {
    Person,
    ApiKey,
    Schedule,
    Agent,
    System,
}

/// Who caused something.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ActorV1<'a> {
    kind: ActorKindV1,
    id: &'a str,
}

impl<'a> ActorV1<'a> {
    /// Who it was in events that did not say it.
    pub(super) const UNKNOWN: Self = Self { kind: ActorKindV1::System, id: "unknown" };

    pub(super) fn freeze(actor: &'a Actor) -> Self {
        let Actor { kind, id } = actor;
        let kind = match kind {
            ActorKind::Person => ActorKindV1::Person,
            ActorKind::ApiKey => ActorKindV1::ApiKey,
            ActorKind::Schedule => ActorKindV1::Schedule,
            ActorKind::Agent => ActorKindV1::Agent,
            ActorKind::System => ActorKindV1::System,
        };
        Self { kind, id }
    }

    pub(super) fn thaw(&self) -> Actor {
        let kind = match self.kind {
            ActorKindV1::Person => ActorKind::Person,
            ActorKindV1::ApiKey => ActorKind::ApiKey,
            ActorKindV1::Schedule => ActorKind::Schedule,
            ActorKindV1::Agent => ActorKind::Agent,
            ActorKindV1::System => ActorKind::System,
        };
        Actor { kind, id: self.id.to_owned() }
    }
}

/// What a pause does to what waits for a time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum PauseClockV1 {
    Frozen,
    Running,
}

impl PauseClockV1 {
    pub(super) fn freeze(clock: PauseClock) -> Self {
        match clock {
            PauseClock::Frozen => Self::Frozen,
            PauseClock::Running => Self::Running,
        }
    }

    pub(super) fn thaw(self) -> PauseClock {
        match self {
            Self::Frozen => PauseClock::Frozen,
            Self::Running => PauseClock::Running,
        }
    }
}

/// A slot that is needed, and of which limit.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct SlotsNeedV1<'a> {
    slots: Id,
    limit: &'a str,
    #[serde(borrow)]
    partition: Option<&'a str>,
    fairness: &'a str,
}

impl<'a> SlotsNeedV1<'a> {
    pub(super) fn freeze(needs: &'a [SlotsNeed]) -> Vec<Self> {
        let freeze = |SlotsNeed { slots, limit, partition, fairness }: &'a SlotsNeed| Self {
            slots: slots.as_uuid().into_bytes(),
            limit: limit.as_str(),
            partition: partition.as_deref(),
            fairness,
        };
        needs.iter().map(freeze).collect()
    }

    pub(super) fn thaw(needs: &[Self]) -> Result<Vec<SlotsNeed>, String> {
        let thaw = |need: &Self| {
            let slots = SlotsId::from_uuid(Uuid::from_bytes(need.slots));
            let (partition, fairness) = (need.partition.map(str::to_owned), need.fairness.to_owned());
            Ok(SlotsNeed { slots, limit: checked(need.limit)?, partition, fairness })
        };
        needs.iter().map(thaw).collect()
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

/// Says when the first piece of it was there.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ReplyV2<'a> {
    text: &'a str,
    #[serde(borrow)]
    finish: FinishReasonV1<'a>,
    model: &'a str,
    usage: UsageV1,
    cost_nano_usd: Option<i64>,
    duration_micros: u64,
    first_piece_micros: Option<u64>,
    simulated: bool,
}

/// Says how its cost came about.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ReplyV3<'a> {
    text: &'a str,
    #[serde(borrow)]
    finish: FinishReasonV1<'a>,
    model: &'a str,
    usage: UsageV1,
    cost_nano_usd: Option<i64>,
    duration_micros: u64,
    first_piece_micros: Option<u64>,
    simulated: bool,
    #[serde(borrow)]
    account: Option<AccountV1<'a>>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AccountV1<'a> {
    #[serde(borrow)]
    source: CostSourceV1<'a>,
    #[serde(borrow)]
    usage: Option<JsonV1<'a>>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
enum CostSourceV1<'a> {
    Unpriced,
    Reported,
    Listed(&'a str),
    Free,
}

impl<'a> AccountV1<'a> {
    pub(super) fn freeze(account: &'a Account) -> Result<Self, String> {
        Ok(Self {
            source: match &account.source {
                CostSource::Unpriced => CostSourceV1::Unpriced,
                CostSource::Reported => CostSourceV1::Reported,
                CostSource::Listed(version) => CostSourceV1::Listed(version),
                CostSource::Free => CostSourceV1::Free,
            },
            usage: account.usage.as_ref().map(JsonV1::freeze).transpose()?,
        })
    }

    pub(super) fn thaw(self) -> Result<Account, String> {
        Ok(Account {
            source: match self.source {
                CostSourceV1::Unpriced => CostSource::Unpriced,
                CostSourceV1::Reported => CostSource::Reported,
                CostSourceV1::Listed(version) => CostSource::Listed(version.to_owned()),
                CostSourceV1::Free => CostSource::Free,
            },
            usage: self.usage.as_ref().map(JsonV1::thaw).transpose()?,
        })
    }
}

impl UsageV1 {
    pub(super) fn freeze(usage: &Usage) -> Self {
        let Usage { input_tokens, cached_input_tokens, output_tokens, reasoning_tokens } = *usage;
        Self { input_tokens, cached_input_tokens, output_tokens, reasoning_tokens }
    }

    pub(super) fn thaw(self) -> Usage {
        let Self { input_tokens, cached_input_tokens, output_tokens, reasoning_tokens } = self;
        Usage { input_tokens, cached_input_tokens, output_tokens, reasoning_tokens }
    }
}

impl<'a> From<ReplyV1<'a>> for ReplyV2<'a> {
    fn from(old: ReplyV1<'a>) -> Self {
        Self {
            text: old.text,
            finish: old.finish,
            model: old.model,
            usage: old.usage,
            cost_nano_usd: old.cost_nano_usd,
            duration_micros: old.duration_micros,
            first_piece_micros: None,
            simulated: old.simulated,
        }
    }
}

impl<'a> From<ReplyV2<'a>> for ReplyV3<'a> {
    fn from(old: ReplyV2<'a>) -> Self {
        Self {
            text: old.text,
            finish: old.finish,
            model: old.model,
            usage: old.usage,
            cost_nano_usd: old.cost_nano_usd,
            duration_micros: old.duration_micros,
            first_piece_micros: old.first_piece_micros,
            simulated: old.simulated,
            account: None,
        }
    }
}

impl<'a> ReplyV3<'a> {
    pub(super) fn freeze(reply: &'a Reply) -> Result<Self, String> {
        let Reply { text, finish, model, usage, cost, duration, first_piece, simulated, account } = reply;
        Ok(Self {
            text,
            finish: match finish {
                FinishReason::Stop => FinishReasonV1::Stop,
                FinishReason::Length => FinishReasonV1::Length,
                FinishReason::ContentFilter => FinishReasonV1::ContentFilter,
                FinishReason::Other(words) => FinishReasonV1::Other(words),
            },
            model,
            usage: UsageV1::freeze(usage),
            cost_nano_usd: cost.map(|cost| cost.0),
            duration_micros: micros(*duration)?,
            first_piece_micros: first_piece.map(micros).transpose()?,
            simulated: *simulated,
            account: account.as_deref().map(AccountV1::freeze).transpose()?,
        })
    }

    pub(super) fn thaw(self) -> Result<Reply, String> {
        Ok(Reply {
            text: self.text.to_owned(),
            finish: match self.finish {
                FinishReasonV1::Stop => FinishReason::Stop,
                FinishReasonV1::Length => FinishReason::Length,
                FinishReasonV1::ContentFilter => FinishReason::ContentFilter,
                FinishReasonV1::Other(words) => FinishReason::Other(words.to_owned()),
            },
            model: self.model.to_owned(),
            usage: self.usage.thaw(),
            cost: self.cost_nano_usd.map(NanoUsd),
            duration: Duration::from_micros(self.duration_micros),
            first_piece: self.first_piece_micros.map(Duration::from_micros),
            simulated: self.simulated,
            account: self.account.map(AccountV1::thaw).transpose()?.map(Box::new),
        })
    }
}

/// Keys of other entries of the catalogue.
pub(super) fn keys(texts: &[&str]) -> Result<Vec<Key>, String> {
    all(texts)
}
