//! The AI platforms of the tests' house.

use std::sync::{Arc, Mutex};

use async_graphql::futures_util::stream::{self, BoxStream};
use async_trait::async_trait;
use domain::CostSource;
use providers::{Failure, Platform, Reply, trial};
use schema::{FailureState, ModelState, PlatformState, PriceState, TrialState};
use tokio::sync::watch;
use uuid::Uuid;

/// One platform, whose state tests set, and which really is called where a test has connected it.
pub(crate) struct Shown {
    state: Mutex<Vec<PlatformState>>,
    changed: watch::Sender<u64>,
    real: Mutex<Option<Arc<dyn Platform>>>,
}

impl Shown {
    pub(crate) fn new() -> Self {
        let state =
            PlatformState { key: "openai".to_owned(), kind: "openai".to_owned(), order: Some(1), ..Default::default() };
        Self { state: Mutex::new(vec![state]), changed: watch::Sender::new(0), real: Mutex::default() }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Vec<PlatformState>)) {
        change(&mut self.state.lock().unwrap());
        self.changed.send_modify(|count| *count += 1);
    }

    /// From now on, whoever tests it calls this.
    pub(crate) fn connect(&self, platform: impl Platform + 'static) {
        *self.real.lock().unwrap() = Some(Arc::new(platform));
    }
}

#[async_trait]
impl schema::Platforms for Shown {
    fn all(&self) -> Vec<PlatformState> {
        self.state.lock().unwrap().clone()
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        let changes = self.changed.subscribe();
        Box::pin(stream::unfold(changes, |mut changes| async move {
            changes.changed().await.ok()?;
            Some(((), changes))
        }))
    }

    fn seen(&self) -> u64 {
        *self.changed.borrow()
    }

    fn node(&self) -> Uuid {
        Uuid::from_u128(7)
    }

    /// One model, as long as the platform can be used.
    async fn offered(&self, key: &str) -> Option<Result<Vec<ModelState>, FailureState>> {
        let state = self.state.lock().unwrap().iter().find(|state| state.key == key)?.clone();
        let large = ModelState {
            name: "large".to_owned(),
            tools: Some(true),
            max_input: Some(8192),
            input_price: Some(2_500_000_000),
            tags: state.tags,
            ..ModelState::default()
        };
        Some(match state.unusable {
            None => Ok(vec![large]),
            Some(message) => {
                let at = domain::Timestamp::from_micros(1_800_000_000_000_000);
                Err(FailureState { at, kind: "unauthorized".to_owned(), message })
            }
        })
    }

    async fn tried(&self, key: &str, model: Option<String>) -> Option<Result<TrialState, FailureState>> {
        let platform = self.real.lock().unwrap().clone().filter(|platform| platform.key() == key)?;
        let answered = |reply: Reply| TrialState {
            finish: reply.finish.name().to_owned(),
            model: reply.model,
            text: reply.text,
            simulated: reply.simulated,
            duration: reply.duration,
            first_piece: reply.first_piece,
            input_tokens: reply.usage.input,
            output_tokens: reply.usage.output,
            cost: reply.cost,
            cost_source: match reply.cost_source {
                providers::CostSource::Listed { version } => CostSource::Listed(version),
                other => {
                    assert_eq!(other, providers::CostSource::Unpriced);
                    CostSource::Unpriced
                }
            },
        };
        let failed = |failure: Failure| FailureState {
            at: commands::now(),
            kind: failure.kind.name().to_owned(),
            message: failure.message,
        };
        Some(trial(&*platform, model).await.map(answered).map_err(failed))
    }

    fn prices(&self, named: &str) -> (Vec<String>, Vec<PriceState>) {
        let price = PriceState {
            vendor: "openai".to_owned(),
            model: "large".to_owned(),
            list: "2026-11-25".to_owned(),
            valid_from: "2026-11-25".to_owned(),
            input: 2_500_000_000,
            output: 10_000_000_000,
            ..PriceState::default()
        };
        (vec!["2026-11-25".to_owned()], vec![price].into_iter().filter(|price| price.model.contains(named)).collect())
    }
}
