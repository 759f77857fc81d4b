//! AI platforms that fail, hang and panic by the dice, and whose answers follow from the prompt alone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use providers::{
    Chunk, CostSource, Failure, FailureKind, Finish, Health, Platform, Registry, Reply, ReplyStream, Request, State,
    Usage,
};
use tokio::time::Instant;

use crate::budgets;
use crate::condition::Condition;
use crate::store::Store;

/// The keys of all platforms.
pub(crate) const PLATFORMS: [&str; 2] = ["north", "south"];

/// The one that answers out of itself where any does.
const SELF_CONTAINED: &str = "north";

/// What every platform answers to a prompt, to the first line of it: whoever is asked for parts as well gives none.
pub(crate) fn answer(user: &str) -> String {
    let hash = blake3::hash(user.lines().next().unwrap_or_default().as_bytes());
    let word = hash.to_hex();
    let word: String = word.as_str().chars().take(8).collect();
    match hash.as_bytes().first().map_or(0, |byte| byte % 4) {
        0 => format!("```json\n{{\"word\": \"{word}\"}}\n```"),
        1 => format!("{{\"word\": \"{word}\"}}"),
        _ => format!("said {word}"),
    }
}

/// The platforms of one process.
pub(crate) fn registry(store: &Arc<Store>, who: &Arc<str>, condition: &Arc<Condition>) -> Registry {
    let platforms = PLATFORMS.map(|key| {
        let platform = Dicey { key, store: Arc::clone(store), who: Arc::clone(who), condition: Arc::clone(condition) };
        Arc::new(platform) as Arc<dyn Platform>
    });
    #[expect(clippy::expect_used, reason = "two keys that differ make a registry")]
    Registry::new(platforms.into(), &[]).expect("the platforms make a registry")
}

struct Dicey {
    key: &'static str,
    store: Arc<Store>,
    who: Arc<str>,
    condition: Arc<Condition>,
}

#[async_trait]
impl Platform for Dicey {
    fn key(&self) -> &str {
        self.key
    }

    fn default_model(&self) -> Option<&str> {
        Some("model")
    }

    fn simulated(&self) -> bool {
        true
    }

    fn unusable(&self) -> Option<String> {
        None
    }

    fn is_self_contained(&self) -> bool {
        self.store.self_contained && self.key == SELF_CONTAINED
    }

    async fn execute(&self, request: Request) -> Result<Reply, Failure> {
        let (began, dice, rates) = (Instant::now(), &self.store.dice, self.store.weather.now());
        self.condition.thawed().await;
        // A call of one that answers out of itself may be made before its attempt is recorded.
        let found = if self.is_self_contained() { None } else { self.store.checker.lock().called(request.hash()) };
        if let Some(violation) = found {
            self.store.trace.note("CHECK", || violation);
        }
        let latency = match dice.below(10) {
            0 => Duration::ZERO,
            2..=7 if self.is_self_contained() => Duration::ZERO,
            1 => dice.millis(1000, 20_000),
            _ => dice.millis(1, 800),
        };
        let note = |what: &str| self.store.trace.note(&self.who, || format!("platform {} {what}", self.key));
        if dice.permille(rates.panicking) {
            note("panics");
            // Not by the panic macro: nobody has to read about it.
            std::panic::resume_unwind(Box::new("a simulated panic"));
        }
        if dice.permille(rates.hanging) {
            note("never answers");
            std::future::pending::<()>().await;
        }
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        self.condition.thawed().await;
        if dice.permille(rates.passing) {
            let kinds = [FailureKind::Unreachable, FailureKind::PlatformFailure, FailureKind::RateLimited];
            let kind = dice.pick(&kinds).copied().unwrap_or(FailureKind::Unreachable);
            let after = dice.permille(300).then(|| dice.millis(1, 20_000));
            note("fails");
            return Err(Failure::new(kind, "as the dice said").after(after));
        }
        if dice.permille(rates.final_failure) {
            note("fails for good");
            return Err(Failure::new(FailureKind::ContentRefused, "as the dice said"));
        }
        let plain = Usage { input: Some(1), output: Some(1), ..Usage::default() };
        let (usage, cost) = if self.store.budgeted { budgets::used(dice) } else { (plain, Some(0)) };
        Ok(Reply {
            text: answer(&request.user),
            finish: Finish::Stop,
            model: request.model.unwrap_or_else(|| "model".to_owned()),
            usage,
            cost,
            cost_source: if self.store.budgeted { CostSource::Reported } else { CostSource::Free },
            first_piece: None,
            tool_calls: Vec::new(),
            opaque: None,
            limits: None,
            duration: began.elapsed(),
            simulated: true,
            raw_usage: None,
        })
    }

    async fn stream(&self, request: Request) -> Result<ReplyStream, Failure> {
        let reply = self.execute(request).await?;
        let chunks = vec![Ok(Chunk::Text(reply.text.clone())), Ok(Chunk::End(Box::new(reply)))];
        Ok(futures_util::stream::iter(chunks).boxed())
    }

    fn cost(&self, _model: &str, _usage: &Usage) -> Option<i64> {
        Some(if self.store.budgeted { budgets::most() } else { 0 })
    }

    async fn health(&self) -> Health {
        Health { state: State::Ready, detail: "simulated".to_owned() }
    }
}
