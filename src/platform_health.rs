//! What the GraphQL API is told of platforms: those of the configuration, and what this node's engine has learnt of them.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use domain::{NodeId, Timestamp};
use engine::{Handle, LineHealth};
use futures_util::stream::{self, BoxStream};
use providers::prices::{Prices, Rates, Valid};
use providers::router::Phase;
use providers::{Failure, FailureKind, Model, Platform, Registry, Reply, Usage, trial};
use schema::{
    Breaker, FailureState, LineState, ModelState, PlatformState, Platforms, PriceState, ProbeState, TrialState,
};
use uuid::Uuid;

use crate::config::Config;
use crate::platforms;

/// Changes within this time are told as one.
const TOGETHER: Duration = Duration::from_millis(250);

/// A platform that takes longer to say which models it offers has not said it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The platforms of this node.
pub(crate) struct PlatformHealth {
    registry: Registry,
    kinds: BTreeMap<String, &'static str>,
    prices: Prices,
    engine: Handle,
    node: NodeId,
}

impl PlatformHealth {
    /// # Errors
    /// When an imported list of prices is none.
    pub(crate) fn new(config: &Config, registry: Registry, engine: Handle, node: NodeId) -> anyhow::Result<Self> {
        let kind = |key: &str| (key.to_owned(), platforms::kind_of(config, key).name());
        let kinds = registry.iter().map(|platform| kind(platform.key())).collect();
        let prices = platforms::prices(&config.data_dir)?;
        Ok(Self { registry, kinds, prices, engine, node })
    }
}

fn line(line: LineHealth, now: Timestamp) -> LineState {
    LineState {
        model: Some(line.model).filter(|model| !model.is_empty()),
        breaker: match line.phase {
            Phase::Closed => Breaker::Closed,
            Phase::Open => Breaker::Open,
            Phase::Probing => Breaker::Probing,
        },
        resting_until: line.resting.map(|pause| now.plus(pause)),
        barred: line.barred,
        in_flight: line.in_flight,
        at_once: line.at_once,
        calls: line.calls,
        failed: line.failed,
        failures: line
            .failures
            .into_iter()
            .map(|failure| FailureState {
                at: before(now, failure.ago),
                kind: failure.kind.name().to_owned(),
                message: failure.message,
            })
            .collect(),
    }
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    let micros = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(micros))
}

#[async_trait]
impl Platforms for PlatformHealth {
    fn all(&self) -> Vec<PlatformState> {
        let now = commands::now();
        let order: Vec<&str> = self.registry.defaults().map(|platform| platform.key()).collect();
        let mut lines: BTreeMap<String, Vec<LineState>> = BTreeMap::new();
        for called in self.engine.platforms() {
            lines.entry(called.platform.clone()).or_default().push(line(called, now));
        }
        let probe = |found: engine::ProbeHealth| {
            (found.platform, ProbeState { at: before(now, found.ago), failure: found.failure })
        };
        let mut probes: BTreeMap<String, ProbeState> = self.engine.probes().into_iter().map(probe).collect();
        let mut all: Vec<PlatformState> = self
            .registry
            .iter()
            .map(|platform| {
                let key = platform.key();
                let place =
                    order.iter().position(|known| *known == key).and_then(|place| u32::try_from(place + 1).ok());
                PlatformState {
                    key: key.to_owned(),
                    kind: self.kinds.get(key).copied().unwrap_or("local").to_owned(),
                    model: platform.default_model().map(str::to_owned),
                    order: place,
                    simulated: platform.simulated(),
                    tags: self.registry.tags(key).to_vec(),
                    model_tags: self
                        .registry
                        .model_tags(key)
                        .map(|(model, tags)| (model.to_owned(), tags.to_vec()))
                        .collect(),
                    unusable: platform.unusable(),
                    lines: lines.remove(key).unwrap_or_default(),
                    probe: probes.remove(key),
                }
            })
            .collect();
        all.sort_by(|one, other| one.key.cmp(&other.key));
        all
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        Box::pin(stream::unfold(self.engine.watch_platforms(), |mut changes| async move {
            changes.changed().await.ok()?;
            tokio::time::sleep(TOGETHER).await;
            changes.mark_unchanged();
            Some(((), changes))
        }))
    }

    fn seen(&self) -> u64 {
        *self.engine.watch_platforms().borrow()
    }

    fn node(&self) -> Uuid {
        self.node.as_uuid()
    }

    async fn offered(&self, key: &str) -> Option<Result<Vec<ModelState>, FailureState>> {
        let platform = self.registry.get(key)?;
        let late = |_| Err(Failure::new(FailureKind::Timeout, format!("{key} did not answer within {PATIENCE:?}")));
        let asked = tokio::time::timeout(PATIENCE, platform.models()).await.unwrap_or_else(late);
        let told = |model: Model| {
            let tags = self.registry.tags_of(key, Some(&model.name));
            offered(&**platform, model, tags)
        };
        Some(asked.map(|models| models.into_iter().map(told).collect()).map_err(failed))
    }

    async fn tried(&self, key: &str, model: Option<String>) -> Option<Result<TrialState, FailureState>> {
        let platform = self.registry.get(key)?;
        Some(trial(&**platform, model).await.map(tried).map_err(failed))
    }

    fn prices(&self, named: &str) -> (Vec<String>, Vec<PriceState>) {
        let is_meant = |valid: &Valid<'_>| format!("{}/{}", valid.model.vendor, valid.model.model).contains(named);
        let valid = self.prices.all(jiff::Timestamp::now()).filter(is_meant);
        let all = valid.flat_map(|valid| valid.model.rates.iter().map(move |rates| price(&valid, rates)));
        (self.prices.versions().to_vec(), all.collect())
    }
}

/// A failure of now.
fn failed(Failure { kind, message, .. }: Failure) -> FailureState {
    FailureState { at: commands::now(), kind: kind.name().to_owned(), message }
}

fn tried(reply: Reply) -> TrialState {
    TrialState {
        finish: reply.finish.name().to_owned(),
        model: reply.model,
        text: reply.text,
        simulated: reply.simulated,
        duration: reply.duration,
        first_piece: reply.first_piece,
        input_tokens: reply.usage.input,
        output_tokens: reply.usage.output,
        cost: reply.cost,
        cost_source: engine::cost_source(reply.cost_source),
    }
}

/// A model with what it is known to do and to cost.
fn offered(platform: &dyn Platform, model: Model, tags: Vec<String>) -> ModelState {
    let (told, known) = (model.capabilities, platform.capabilities(&model.name));
    // A million tokens in and none out, and the other way round: what people compare.
    let million = |input, output| Usage { input: Some(input), output: Some(output), ..Usage::default() };
    ModelState {
        tools: told.tools.or(known.tools),
        schema: told.schema.or(known.schema),
        images: told.images.or(known.images),
        max_input: told.max_input.or(known.max_input),
        max_output: told.max_output.or(known.max_output),
        input_price: platform.cost(&model.name, &million(1_000_000, 0)),
        output_price: platform.cost(&model.name, &million(0, 1_000_000)),
        name: model.name,
        tags,
    }
}

/// Pico-dollars a token are micro-dollars a million.
fn price(valid: &Valid<'_>, rates: &Rates) -> PriceState {
    let million = |rate: u64| rate.saturating_mul(1000);
    PriceState {
        vendor: valid.model.vendor.clone(),
        model: valid.model.model.clone(),
        list: valid.version.to_owned(),
        valid_from: valid.from.to_string(),
        tier: rates.tier.map(|_| rates.tier().name().to_owned()),
        above: rates.above,
        input: million(rates.input),
        cached: rates.cached.map(million),
        written: rates.write.map(million),
        output: million(rates.output),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::Timestamp;
    use engine::{LineHealth, SeenFailure};
    use providers::FailureKind;
    use providers::router::Phase;
    use schema::Breaker;

    use super::line;

    #[test]
    fn durations_become_moments() {
        let health = LineHealth {
            platform: "openai".to_owned(),
            model: String::new(),
            phase: Phase::Open,
            resting: Some(Duration::from_secs(30)),
            barred: true,
            in_flight: 1,
            at_once: Some(4),
            calls: 3,
            failed: 2,
            failures: vec![SeenFailure {
                ago: Duration::from_secs(5),
                kind: FailureKind::Timeout,
                message: "late".to_owned(),
            }],
        };
        let state = line(health, Timestamp::from_micros(100_000_000));
        assert_eq!((state.model, state.breaker, state.barred), (None, Breaker::Open, true));
        assert_eq!(state.resting_until, Some(Timestamp::from_micros(130_000_000)));
        let failures: Vec<_> = state.failures.iter().map(|failure| (failure.at.as_micros(), &*failure.kind)).collect();
        assert_eq!(failures, [(95_000_000, "timeout")]);
    }
}
