//! Answers that were given before and serve again to exactly the same request.
//!
//! Invariants: an answer serves only in the tenant and the department that it was given to, at the same platform and model, and
//! never when the run is about somebody, whose answers lie in the journal alone. What is kept is an answer as a whole: none that
//! was cut or refused. That one served is recorded with what it saves.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::task::Kept;
use domain::{FinishReason, Key, NanoUsd, Reply, Run, Timestamp, Usage};
use lru::LruCache;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// What is between the parts of a key.
const CONTEXT: &str = "hishamos 2026 key of a kept answer";
/// What an entry takes besides its text, roughly.
const OVERHEAD: usize = 512;

/// Whether answers are kept, and whether kept ones serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheMode {
    /// Neither.
    #[default]
    Off,
    /// Both.
    On,
    /// Kept ones serve, and no more are kept.
    ReadOnly,
    /// They are kept, and none serves.
    WriteOnly,
}

/// What holds for an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CachePolicy {
    /// Whether answers are kept and serve.
    pub mode: CacheMode,
    /// How old an answer may be that serves.
    pub max_age: Duration,
}

/// What holds for every agent, and where answers are kept. By default none is.
#[derive(Debug, Clone)]
pub struct Cache {
    /// For agents that have nothing of their own.
    pub usual: CachePolicy,
    /// Instead of it, for some agents.
    pub agents: BTreeMap<Key, CachePolicy>,
    /// Where they are kept.
    pub answers: Arc<dyn Answers>,
    /// Whether what a run has recorded serves in the runs that are forked off it.
    pub forks: bool,
}

impl Default for Cache {
    fn default() -> Self {
        let answers = Arc::new(MemoryAnswers::new(MemoryAnswers::USUAL_BYTES));
        Self { usual: CachePolicy::default(), agents: BTreeMap::new(), answers, forks: false }
    }
}

/// A place for answers. Whatever goes wrong there, an answer that cannot be had is none, and one that cannot be kept is not.
#[async_trait]
pub trait Answers: fmt::Debug + Send + Sync + 'static {
    /// The answer of a key.
    async fn get(&self, key: AnswerKey) -> Option<Answer>;

    /// Keeps an answer, for no longer than this.
    async fn put(&self, key: AnswerKey, answer: Answer, max_age: Duration);
}

/// What tells answers apart: tenant, department, platform, model and the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnswerKey(pub [u8; 32]);

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What was answered.
    pub reply: Reply,
    /// When it was asked for.
    pub at: Timestamp,
}

/// Keeps answers in this process, the ones that served last, up to a size.
pub struct MemoryAnswers {
    bytes: usize,
    state: Mutex<Held>,
}

struct Held {
    answers: LruCache<AnswerKey, Answer>,
    bytes: usize,
}

impl MemoryAnswers {
    /// 64 MiB.
    pub const USUAL_BYTES: usize = 64 << 20;

    /// Keeps about so many bytes at most.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { bytes, state: Mutex::new(Held { answers: LruCache::unbounded(), bytes: 0 }) }
    }
}

impl fmt::Debug for MemoryAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("MemoryAnswers").field("answers", &state.answers.len()).field("bytes", &state.bytes).finish()
    }
}

#[async_trait]
impl Answers for MemoryAnswers {
    async fn get(&self, key: AnswerKey) -> Option<Answer> {
        self.state.lock().answers.get(&key).cloned()
    }

    async fn put(&self, key: AnswerKey, answer: Answer, _max_age: Duration) {
        let size = |answer: &Answer| answer.reply.text.len() + answer.reply.model.len() + OVERHEAD;
        let mut state = self.state.lock();
        state.bytes += size(&answer);
        if let Some(before) = state.answers.put(key, answer) {
            state.bytes -= size(&before);
        }
        while state.bytes > self.bytes
            && let Some((_, oldest)) = state.answers.pop_lru()
        {
            state.bytes -= size(&oldest);
        }
    }
}

/// How one attempt goes about it.
#[derive(Debug, Clone)]
pub(crate) struct Keeping {
    answers: Arc<dyn Answers>,
    policy: CachePolicy,
    key: AnswerKey,
    now: Timestamp,
}

impl Cache {
    /// How an attempt goes about it; `None` when it has nothing to do with kept answers.
    pub(crate) fn of(
        &self,
        run: &Run,
        tenant: &str,
        agent: &Key,
        (platform, model): (&Key, Option<&str>),
        request_hash: &[u8; 32],
        now: Timestamp,
    ) -> Option<Keeping> {
        let policy = *self.agents.get(agent).unwrap_or(&self.usual);
        if policy.mode == CacheMode::Off || run.subject().is_some() {
            return None;
        }
        let department = run.definition()?.department.as_str();
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        for part in [tenant, department, platform.as_str(), model.unwrap_or_default()] {
            // A usize has at most 64 bits on every supported machine.
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(&[u8::from(model.is_some())]);
        hasher.update(request_hash);
        let key = AnswerKey(*hasher.finalize().as_bytes());
        Some(Keeping { answers: Arc::clone(&self.answers), policy, key, now })
    }
}

impl Keeping {
    /// The answer that serves, as the platform's answer to this attempt, which costs nothing; with what it saves.
    pub(crate) async fn serve(&self) -> Option<(Reply, Kept)> {
        if !matches!(self.policy.mode, CacheMode::On | CacheMode::ReadOnly) {
            return None;
        }
        let Answer { reply, at } = self.answers.get(self.key).await?;
        // One of the future is of a clock that was wrong.
        if at > self.now || self.now.since(at) > self.policy.max_age {
            return None;
        }
        let kept = Kept { at, usage: reply.usage, cost: reply.cost };
        Some(served(reply, kept))
    }

    /// Keeps an answer, if it is one that may serve again.
    pub(crate) async fn keep(&self, reply: &Reply) {
        let keeps = matches!(self.policy.mode, CacheMode::On | CacheMode::WriteOnly);
        if keeps && reply.finish == FinishReason::Stop {
            let answer = Answer { reply: reply.clone(), at: self.now };
            self.answers.put(self.key, answer, self.policy.max_age).await;
        }
    }
}

/// An answer as the platform's answer to another attempt, which uses and costs nothing.
pub(crate) fn served(reply: Reply, kept: Kept) -> (Reply, Kept) {
    let none = |reported: Option<u64>| reported.map(|_| 0);
    let usage = Usage {
        input_tokens: Some(0),
        cached_input_tokens: none(reply.usage.cached_input_tokens),
        output_tokens: Some(0),
        reasoning_tokens: none(reply.usage.reasoning_tokens),
    };
    metrics::counter!("hishamos_kept_answers_served_total").increment(1);
    (Reply { usage, cost: Some(NanoUsd(0)), duration: Duration::ZERO, first_piece: None, account: None, ..reply }, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(length: usize) -> Answer {
        let reply = Reply {
            text: "x".repeat(length),
            finish: FinishReason::Stop,
            model: String::new(),
            usage: Usage::default(),
            cost: None,
            duration: Duration::ZERO,
            first_piece: None,
            simulated: false,
            account: None,
        };
        Answer { reply, at: Timestamp::from_micros(1) }
    }

    #[tokio::test]
    async fn the_ones_that_served_last_stay() {
        let answers = MemoryAnswers::new(3 * (OVERHEAD + 1000));
        let key = |number| AnswerKey([number; 32]);
        for number in 1..=3 {
            answers.put(key(number), answer(1000), Duration::MAX).await;
        }
        assert!(answers.get(key(1)).await.is_some());
        answers.put(key(4), answer(1000), Duration::MAX).await;
        let there = [1, 2, 3, 4].map(|number| answers.state.lock().answers.contains(&key(number)));
        assert_eq!(there, [true, false, true, true]);
        answers.put(key(4), answer(10), Duration::MAX).await;
        assert_eq!(answers.state.lock().bytes, 2 * (OVERHEAD + 1000) + OVERHEAD + 10);
        answers.put(key(5), answer(10_000), Duration::MAX).await;
        assert!(answers.get(key(5)).await.is_none() && answers.state.lock().bytes == 0, "larger than all together");
    }
}
