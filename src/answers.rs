//! Kept answers in Redis, where all nodes share them.
//!
//! Invariants: no attempt fails or waits for long because of Redis: what it cannot give is not there, and what it cannot keep is
//! not kept. It says so in the log once, until it works again.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use engine::{Answer, AnswerKey, Answers};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult};

use crate::config::DatabaseUrl;

/// What the names of keys begin with.
const PREFIX: &str = "hishamos:answer:1:";
/// How long Redis may take.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);
/// Larger answers are not kept there, in bytes.
const LARGEST: usize = 1 << 20;

/// The place.
pub(crate) struct RedisAnswers {
    manager: ConnectionManager,
    /// Where, without what is secret.
    shown: String,
    works: AtomicBool,
}

impl RedisAnswers {
    /// Connects when it is first needed, and again whenever it has to.
    ///
    /// # Errors
    /// When the URL is none of Redis.
    pub(crate) fn new(url: &DatabaseUrl) -> anyhow::Result<Self> {
        Ok(Self { manager: manager(url)?, shown: url.masked(), works: AtomicBool::new(true) })
    }

    /// Does something with it, in time; nothing when that fails.
    async fn ask<T>(&self, what: impl Future<Output = RedisResult<T>>) -> Option<T> {
        let failed = match tokio::time::timeout(PATIENCE, what).await {
            Ok(Ok(done)) => {
                if !self.works.swap(true, Ordering::Relaxed) {
                    tracing::info!(redis = self.shown, "kept answers are in Redis again");
                }
                return Some(done);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        if self.works.swap(false, Ordering::Relaxed) {
            tracing::warn!(redis = self.shown, error = failed, "Redis does not answer, so no kept answer serves");
        }
        None
    }
}

/// Whether a URL is one of Redis.
///
/// # Errors
/// When it is not, in words without the URL.
pub(crate) fn check(url: &DatabaseUrl) -> Result<(), String> {
    client(url).map(drop).map_err(|error| error.to_string().replace(url.reveal(), &url.masked()))
}

/// A connection that is made when it is first needed, and again whenever it has to; within a runtime.
///
/// # Errors
/// When the URL is none of Redis.
pub(crate) fn manager(url: &DatabaseUrl) -> anyhow::Result<ConnectionManager> {
    let client = client(url).with_context(|| format!("cache.redis_url {} cannot be used", url.masked()))?;
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE))
        .set_number_of_retries(1);
    client.get_connection_manager_lazy(config).context("Redis cannot be used")
}

fn client(url: &DatabaseUrl) -> anyhow::Result<Client> {
    if url.reveal().starts_with("rediss:") {
        anyhow::bail!("TLS to Redis is not supported; use redis:// or unix://");
    }
    // Its own error repeats what it was given.
    Client::open(url.reveal()).map_err(|_| anyhow::anyhow!("it is no URL such as redis://:PASSWORD@HOST:6379/0"))
}

impl fmt::Debug for RedisAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAnswers({})", self.shown)
    }
}

fn name(AnswerKey(key): AnswerKey) -> String {
    key.iter().fold(PREFIX.to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

#[async_trait]
impl Answers for RedisAnswers {
    async fn get(&self, key: AnswerKey) -> Option<Answer> {
        let (mut manager, name) = (self.manager.clone(), name(key));
        let bytes: Option<Vec<u8>> =
            self.ask(async { redis::cmd("GET").arg(name).query_async(&mut manager).await }).await?;
        // What another version has kept is none of ours.
        serde_json::from_slice(&bytes?).ok()
    }

    async fn put(&self, key: AnswerKey, answer: Answer, max_age: Duration) {
        let Ok(bytes) = serde_json::to_vec(&answer) else { return };
        if bytes.len() > LARGEST {
            return;
        }
        let millis = u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX).max(1);
        let (mut manager, name) = (self.manager.clone(), name(key));
        let mut set = redis::cmd("SET");
        set.arg(name).arg(bytes).arg("PX").arg(millis);
        let _: Option<()> = self.ask(async { set.query_async(&mut manager).await }).await;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked_and_not_shown() {
        let url = |text: &str| DatabaseUrl::new(text.to_owned());
        for fine in ["redis://127.0.0.1", "redis://:s3cret@redis.example.com:6380/2"] {
            assert_eq!(check(&url(fine)), Ok(()), "{fine}");
        }
        for wrong in ["http://u:s3cret@example.com", "rediss://:s3cret@example.com", "s3cret"] {
            let said = check(&url(wrong)).unwrap_err();
            assert!(!said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn names_are_of_this_version() {
        assert_eq!(name(AnswerKey([0xab; 32])), format!("{PREFIX}{}", "ab".repeat(32)));
    }

    /// Nobody listens there.
    #[tokio::test]
    async fn nothing_waits_for_a_redis_that_is_not_there() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // It takes the connection and says nothing.
        let answers = RedisAnswers::new(&DatabaseUrl::new(format!("redis://{address}"))).unwrap();
        let begun = std::time::Instant::now();
        assert_eq!(answers.get(AnswerKey([1; 32])).await, None);
        drop(listener);
        assert_eq!(answers.get(AnswerKey([1; 32])).await, None);
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert!(!answers.works.load(Ordering::Relaxed));
    }
}
