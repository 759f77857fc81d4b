//! Calling a platform for an attempt, and putting its answer into the domain's words.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use domain::{AttemptError, ErrorKind, FinishReason, MAX_VALUE_BYTES, NanoUsd, Reply, TaskId, Usage};
use futures_util::FutureExt;
use providers::{FailureKind, Finish, Platform, Request};

/// What is to be sent for an attempt.
pub(crate) struct Call {
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) request: Request,
    pub(crate) timeout: Duration,
}

/// What became of an attempt.
pub(crate) struct Settled {
    pub(crate) task: TaskId,
    pub(crate) attempt: u32,
    pub(crate) outcome: Result<Reply, AttemptError>,
}

impl Call {
    /// Makes the call; never longer than the attempt may take. An adapter that panics fails like any other platform.
    pub(crate) async fn make(self, task: TaskId, attempt: u32) -> Settled {
        match AssertUnwindSafe(self.ask(task, attempt)).catch_unwind().await {
            Ok(settled) => settled,
            Err(_) => {
                let message = "the platform's adapter failed; the program's log has the reason".to_owned();
                let error = AttemptError { kind: ErrorKind::PlatformFailure, message, retry_after: None };
                Settled { task, attempt, outcome: Err(error) }
            }
        }
    }

    async fn ask(self, task: TaskId, attempt: u32) -> Settled {
        let Self { platform, request, timeout } = self;
        let outcome = match tokio::time::timeout(timeout, platform.execute(request)).await {
            Ok(Ok(reply)) if reply.text.len() > MAX_VALUE_BYTES => Err(AttemptError {
                kind: ErrorKind::MalformedReply,
                message: format!("the answer has {} bytes; at most {MAX_VALUE_BYTES} are kept", reply.text.len()),
                retry_after: None,
            }),
            Ok(Ok(reply)) => Ok(to_domain(reply)),
            Ok(Err(failure)) => Err(AttemptError {
                kind: error_kind(failure.kind),
                message: failure.message,
                retry_after: failure.retry_after,
            }),
            Err(_) => Err(AttemptError {
                kind: ErrorKind::Timeout,
                message: format!("platform `{}` did not answer within {timeout:?}", platform.key()),
                retry_after: None,
            }),
        };
        metrics::counter!("hishamos_attempts_total", "platform" => platform.key().to_owned(),
            "outcome" => outcome.as_ref().map_or_else(|error| error.kind.name(), |_| "succeeded"))
        .increment(1);
        Settled { task, attempt, outcome }
    }
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
        usage: Usage {
            input_tokens: reply.usage.input,
            cached_input_tokens: reply.usage.cached_input,
            output_tokens: reply.usage.output,
            reasoning_tokens: reply.usage.reasoning,
        },
        cost: reply.cost.map(NanoUsd),
        // Events keep microseconds, and what was recorded must equal what is read back.
        duration: Duration::from_micros(u64::try_from(reply.duration.as_micros()).unwrap_or(u64::MAX)),
        simulated: reply.simulated,
    }
}

fn error_kind(kind: FailureKind) -> ErrorKind {
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
