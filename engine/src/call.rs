//! Calling a platform for an attempt, and putting its answer into the domain's words.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use commands::live::{LiveOutputs, Speech};
use domain::task::Consumed;
use domain::{
    Account, AttemptError, CostSource, ErrorKind, FinishReason, MAX_VALUE_BYTES, NanoUsd, Reply, TaskId, Usage,
};
use futures_util::{FutureExt, StreamExt};
use providers::redaction::Vault;
use providers::{Chunk, Failure, FailureKind, Finish, Platform, Request};

use crate::cache::Keeping;
use crate::guard;
use crate::traffic::Permit;

/// What is to be sent for an attempt.
pub(crate) struct Call {
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) request: Request,
    pub(crate) timeout: Duration,
    pub(crate) permit: Permit,
    /// What was masked in the request, and is put back into the answer.
    pub(crate) vault: Vault,
    /// How its answer is kept.
    pub(crate) keeping: Option<Keeping>,
    /// The kept answer that serves instead of the call.
    pub(crate) served: Option<Reply>,
}

/// What became of an attempt.
pub(crate) struct Settled {
    pub(crate) task: TaskId,
    pub(crate) attempt: u32,
    pub(crate) outcome: Result<Reply, AttemptError>,
    /// What a failed attempt had used, as far as the platform has told.
    pub(crate) consumed: Option<Consumed>,
    /// Whose word it is that there is such an attempt.
    pub(crate) grounds: Grounds,
}

/// Whose word it is that there is the attempt that a call is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grounds {
    /// The journal's.
    Recorded,
    /// The driver's, who is about to record it; it had to begin again so many times before.
    Foreseen(u64),
}

impl Call {
    /// Whether nothing outside of this process is asked, see [`Platform::is_self_contained`].
    pub(crate) fn is_self_contained(&self) -> bool {
        self.served.is_some() || (self.keeping.is_none() && self.platform.is_self_contained())
    }

    /// Makes the call; never longer than the attempt may take. An adapter that panics fails like any other platform.
    pub(crate) async fn make(self, task: TaskId, attempt: u32, grounds: Grounds, live: &LiveOutputs) -> Settled {
        // Who waits for a platform's turn has nothing to say yet, but may be listened to.
        let speech = self.platform.speaks().then(|| live.speak(task, attempt));
        let (outcome, consumed) = AssertUnwindSafe(self.ask(speech)).catch_unwind().await.unwrap_or_else(|_| {
            let message = "the platform's adapter failed; the program's log has the reason".to_owned();
            (Err(AttemptError { kind: ErrorKind::PlatformFailure, message, retry_after: None }), None)
        });
        Settled { task, attempt, outcome, consumed, grounds }
    }

    async fn ask(self, speech: Option<Speech>) -> (Result<Reply, AttemptError>, Option<Consumed>) {
        let Self { platform, request, timeout, mut permit, vault, keeping, served } = self;
        if let Some(reply) = served {
            return (Ok(reply), None);
        }
        permit.turn(timeout).await;
        let answered =
            tokio::time::timeout(timeout, answer(&*platform, request, speech, &vault)).await.unwrap_or_else(|_| {
                let message = format!("platform `{}` did not answer within {timeout:?}", platform.key());
                Err(Failure::new(FailureKind::Timeout, message))
            });
        let tokens = match &answered {
            Ok(reply) => reply.usage.total(),
            Err(failure) => failure.consumed.as_ref().and_then(|consumed| consumed.usage.total()),
        };
        permit.settle(answered.as_ref().map(|reply| reply.limits), tokens);
        let answered = answered.map(|reply| providers::Reply { text: guard::unmask(&vault, reply.text), ..reply });
        let (outcome, consumed) = match answered {
            Ok(reply) if reply.text.len() > MAX_VALUE_BYTES => {
                let message = format!("the answer has {} bytes; at most {MAX_VALUE_BYTES} are kept", reply.text.len());
                let kind = ErrorKind::MalformedReply;
                (Err(AttemptError { kind, message, retry_after: None }), Some(Consumed::from(&to_domain(reply))))
            }
            Ok(reply) => (Ok(to_domain(reply)), None),
            Err(failure) => {
                let Failure { kind, message, retry_after, consumed, .. } = failure;
                let error = AttemptError { kind: error_kind(kind), message, retry_after };
                (Err(error), consumed.map(|consumed| used(*consumed)))
            }
        };
        if let (Some(keeping), Ok(reply)) = (&keeping, &outcome) {
            keeping.keep(reply).await;
        }
        metrics::counter!("hishamos_attempts_total", "platform" => platform.key().to_owned(),
            "outcome" => outcome.as_ref().map_or_else(|error| error.kind.name(), |_| "succeeded"))
        .increment(1);
        (outcome, consumed)
    }
}

/// The whole answer; what is said meanwhile is told to whoever listens, with what was masked put back.
async fn answer(
    platform: &dyn Platform,
    request: Request,
    speech: Option<Speech>,
    vault: &Vault,
) -> Result<providers::Reply, Failure> {
    let Some(speech) = speech else { return platform.execute(request).await };
    let mut pieces = platform.stream(request).await?;
    let json = vault.for_json();
    let mut unmasking = guard::Unmasking::new(vault, &json);
    while let Some(chunk) = pieces.next().await {
        let (text, reply) = match chunk? {
            Chunk::Text(text) => (unmasking.push(text), None),
            Chunk::End(reply) => (unmasking.finish(), Some(*reply)),
        };
        if !text.is_empty() {
            speech.say(&text);
        }
        if let Some(reply) = reply {
            return Ok(reply);
        }
    }
    let message = format!("{}: the answer broke off without an end", platform.key());
    Err(Failure::new(FailureKind::MalformedReply, message))
}

fn to_domain(reply: providers::Reply) -> Reply {
    Reply {
        text: reply.text,
        finish: match reply.finish {
            Finish::Stop => FinishReason::Stop,
            Finish::Length => FinishReason::Length,
            Finish::ContentFilter => FinishReason::ContentFilter,
            Finish::Other(other) => FinishReason::Other(other),
        },
        model: reply.model,
        usage: usage(&reply.usage),
        cost: reply.cost.map(NanoUsd),
        duration: kept(reply.duration),
        first_piece: reply.first_piece.map(kept),
        simulated: reply.simulated,
        account: Some(account(reply.cost_source, reply.raw_usage)),
    }
}

fn used(consumed: providers::Consumed) -> Consumed {
    Consumed {
        usage: usage(&consumed.usage),
        cost: consumed.cost.map(NanoUsd),
        account: Some(account(consumed.cost_source, consumed.raw_usage)),
    }
}

fn account(from: providers::CostSource, usage: Option<serde_json::Value>) -> Box<Account> {
    Box::new(Account::new(cost_source(from), usage))
}

/// Where a cost comes from, in the words of events.
#[must_use]
pub fn cost_source(source: providers::CostSource) -> CostSource {
    match source {
        providers::CostSource::Unpriced => CostSource::Unpriced,
        providers::CostSource::Reported => CostSource::Reported,
        providers::CostSource::Listed { version } => CostSource::Listed(version),
        providers::CostSource::Free => CostSource::Free,
    }
}

/// Events keep microseconds, and what was recorded must equal what is read back.
fn kept(duration: Duration) -> Duration {
    Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

fn usage(usage: &providers::Usage) -> Usage {
    Usage {
        input_tokens: usage.input,
        cached_input_tokens: usage.cached_input,
        output_tokens: usage.output,
        reasoning_tokens: usage.reasoning,
    }
}

/// What a recorded failure says about the platform; `None` for what was decided on this side.
pub(crate) const fn failure_kind(kind: ErrorKind) -> Option<FailureKind> {
    Some(match kind {
        ErrorKind::Timeout => FailureKind::Timeout,
        ErrorKind::Unreachable => FailureKind::Unreachable,
        ErrorKind::RateLimited => FailureKind::RateLimited,
        ErrorKind::PlatformFailure => FailureKind::PlatformFailure,
        ErrorKind::MalformedReply => FailureKind::MalformedReply,
        ErrorKind::Unauthorized => FailureKind::Unauthorized,
        ErrorKind::InvalidRequest => FailureKind::InvalidRequest,
        ErrorKind::ContextTooLong => FailureKind::ContextTooLong,
        ErrorKind::ContentRefused => FailureKind::ContentRefused,
        ErrorKind::UnknownPlatform
        | ErrorKind::InvalidInput
        | ErrorKind::Lost
        | ErrorKind::Interrupted
        | ErrorKind::Rejected
        | ErrorKind::RunFailed
        | ErrorKind::BudgetExhausted
        | ErrorKind::TagMissing => return None,
    })
}

pub(crate) const fn error_kind(kind: FailureKind) -> ErrorKind {
    match kind {
        FailureKind::Timeout => ErrorKind::Timeout,
        FailureKind::Unreachable => ErrorKind::Unreachable,
        FailureKind::RateLimited => ErrorKind::RateLimited,
        FailureKind::PlatformFailure => ErrorKind::PlatformFailure,
        FailureKind::MalformedReply => ErrorKind::MalformedReply,
        FailureKind::Unauthorized => ErrorKind::Unauthorized,
        FailureKind::InvalidRequest => ErrorKind::InvalidRequest,
        FailureKind::ContextTooLong => ErrorKind::ContextTooLong,
        FailureKind::ContentRefused => ErrorKind::ContentRefused,
    }
}
