use std::time::Duration;

use futures_util::StreamExt;

use crate::{Chunk, Failure, FailureKind, Platform, Reply, Request};

/// What is asked.
const QUESTION: &str = "Reply with the word: ready";
/// How many tokens the answer may have.
const LONGEST: u32 = 64;
/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much later than that a platform is given up that does not keep to it by itself.
const GRACE: Duration = Duration::from_secs(5);

/// Makes one short call, streamed, by which somebody finds out whether a platform answers, as what, how fast, and at what
/// cost. The platform charges for it. `model` is the platform's own when not given. It takes 65 s at most.
///
/// # Errors
/// What the call failed with; [`FailureKind::Timeout`] when the answer was not whole within a minute.
pub async fn trial(platform: &dyn Platform, model: Option<String>) -> Result<Reply, Failure> {
    let request = Request { model, max_tokens: Some(LONGEST), timeout: PATIENCE, ..Request::new(QUESTION) };
    within(PATIENCE + GRACE, platform, request).await
}

async fn within(limit: Duration, platform: &dyn Platform, request: Request) -> Result<Reply, Failure> {
    let late = |_| Err(Failure::timed_out(platform.key(), limit));
    tokio::time::timeout(limit, ask(platform, request)).await.unwrap_or_else(late)
}

async fn ask(platform: &dyn Platform, request: Request) -> Result<Reply, Failure> {
    let mut stream = platform.stream(request).await?;
    while let Some(item) = stream.next().await {
        if let Chunk::End(reply) = item? {
            return Ok(*reply);
        }
    }
    let what = format!("{}: the stream ended without an end", platform.key());
    Err(Failure::new(FailureKind::MalformedReply, what))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use async_trait::async_trait;
    use futures_util::stream;

    use super::*;
    use crate::{Health, ReplyStream, Simulator, State, Usage};

    /// Says something and then no more, or nothing at all; keeps to no time limit.
    struct Mute {
        ends: bool,
    }

    #[async_trait]
    impl Platform for Mute {
        fn key(&self) -> &str {
            "mute"
        }

        fn default_model(&self) -> Option<&str> {
            None
        }

        fn simulated(&self) -> bool {
            false
        }

        fn unusable(&self) -> Option<String> {
            None
        }

        async fn execute(&self, _: Request) -> Result<Reply, Failure> {
            std::future::pending().await
        }

        async fn stream(&self, _: Request) -> Result<ReplyStream, Failure> {
            let begun = stream::iter([Ok(Chunk::Text("re".to_owned()))]);
            Ok(if self.ends { begun.boxed() } else { begun.chain(stream::pending()).boxed() })
        }

        fn cost(&self, _: &str, _: &Usage) -> Option<i64> {
            None
        }

        async fn health(&self) -> Health {
            Health { state: State::Ready, detail: String::new() }
        }
    }

    #[tokio::test]
    async fn it_is_one_short_call() {
        let reply = trial(&Simulator::builder().build(), None).await.unwrap();
        assert!(reply.simulated && !reply.text.is_empty());
    }

    #[tokio::test]
    async fn who_never_ends_is_given_up() {
        let limit = Duration::from_millis(20);
        let failure = within(limit, &Mute { ends: false }, Request::new(QUESTION)).await.unwrap_err();
        assert_eq!(
            (failure.kind, &*failure.message),
            (FailureKind::Timeout, "mute gave no complete answer within 20ms")
        );
    }

    #[tokio::test]
    async fn a_stream_without_an_end_is_no_answer() {
        let failure = trial(&Mute { ends: true }, None).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::MalformedReply);
    }
}
