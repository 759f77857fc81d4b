//! AI platforms and how they are doing, as the node that answers sees it.
//!
//! Health is no fact but what a process has learnt from its calls, so it is in no event: it has no position, cannot be
//! told of the past, and each node has its own. This room knows no platform; whoever builds the schema says what there is.

use std::sync::Arc;

use async_graphql::resolver_utils::EnumType;
use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Result, SimpleObject};
use async_trait::async_trait;
use domain::Timestamp;
use futures_util::stream::BoxStream;
use projections::Window;
use uuid::Uuid;

use crate::failure;
use crate::node::GlobalId;
use crate::order::{Cursor, PlatformOrder, Sorted, held, some_of};
use crate::scalar::{Count, DateTime};
use crate::trial::TrialState;

/// What there is to know of platforms on this node.
#[async_trait]
pub trait Platforms: Send + Sync + 'static {
    /// Every platform as it is now, by key.
    fn all(&self) -> Vec<PlatformState>;

    /// Something whenever anything has changed since it was last taken; changes that come together are one.
    fn changes(&self) -> BoxStream<'static, ()>;

    /// How many changes there have been since this node started: the state of [`Self::all`], asked for afterwards, has them
    /// all in it.
    fn seen(&self) -> u64;

    /// Which node this is; another one after each start.
    fn node(&self) -> Uuid;

    /// Asks a platform which models it offers, which costs nothing; `None` when there is no such platform.
    async fn offered(&self, key: &str) -> Option<Result<Vec<ModelState>, FailureState>>;

    /// Makes one short call, which the platform charges for, to this model or to the platform's own; `None` when there is no such
    /// platform. It ends within a bounded time.
    async fn tried(&self, key: &str, model: Option<String>) -> Option<Result<TrialState, FailureState>>;

    /// What models cost today whose name, `VENDOR/MODEL`, holds these words; and the lists of prices that there are.
    fn prices(&self, named: &str) -> (Vec<String>, Vec<PriceState>);
}

/// A model that a platform offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelState {
    /// What requests call it.
    pub name: String,
    /// Whether it calls tools; `None` when nobody knows, here and below.
    pub tools: Option<bool>,
    /// Whether it keeps to a JSON Schema.
    pub schema: Option<bool>,
    /// Whether it understands pictures.
    pub images: Option<bool>,
    /// How many tokens fit in.
    pub max_input: Option<u32>,
    /// How many tokens an answer can have.
    pub max_output: Option<u32>,
    /// What a million tokens in cost, in billionths of a US dollar; `None` when it is unpriced, which is not free.
    pub input_price: Option<i64>,
    /// The same of a million tokens out.
    pub output_price: Option<i64>,
    /// What it is tagged with, such as regions.
    pub tags: Vec<String>,
}

/// What one model costs at one tier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriceState {
    /// Who sells it.
    pub vendor: String,
    /// The model.
    pub model: String,
    /// The list that says so.
    pub list: String,
    /// From which day it is valid, such as `2026-11-25`.
    pub valid_from: String,
    /// The service tier; `None` for the standard one.
    pub tier: Option<String>,
    /// For requests with more input tokens than this.
    pub above: Option<u64>,
    /// A million tokens in, in billionths of a US dollar, here and below.
    pub input: u64,
    /// Those that are read from the platform's cache.
    pub cached: Option<u64>,
    /// Those that are written to it.
    pub written: Option<u64>,
    /// A million tokens out.
    pub output: u64,
}

/// A platform as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlatformState {
    /// Its key.
    pub key: String,
    /// What it speaks, such as `anthropic`.
    pub kind: String,
    /// The model that is asked when nobody names one.
    pub model: Option<String>,
    /// Its place among those that get work that names no platform, from 1.
    pub order: Option<u32>,
    /// Whether it asks no model at all.
    pub simulated: bool,
    /// What it is tagged with, such as regions.
    pub tags: Vec<String>,
    /// What some of its models are tagged with instead.
    pub model_tags: Vec<(String, Vec<String>)>,
    /// Why it cannot be used at all.
    pub unusable: Option<String>,
    /// The models that were called.
    pub lines: Vec<LineState>,
    /// What the last probe has found, of those that are made while it is left alone after failures.
    pub probe: Option<ProbeState>,
}

/// What a probe has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeState {
    /// When it was over.
    pub at: Timestamp,
    /// What was wrong; `None` when the platform answered.
    pub failure: Option<String>,
}

/// How one model of a platform is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineState {
    /// The model; `None` for the platform's default.
    pub model: Option<String>,
    /// How its breaker stands.
    pub breaker: Breaker,
    /// Until when it rests.
    pub resting_until: Option<Timestamp>,
    /// Whether somebody has to do something before it works again.
    pub barred: bool,
    /// How many calls are under way.
    pub in_flight: u32,
    /// How many may be at once.
    pub at_once: Option<u32>,
    /// How many calls have ended.
    pub calls: u64,
    /// How many of these have failed.
    pub failed: u64,
    /// The last failures, the latest first.
    pub failures: Vec<FailureState>,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureState {
    /// When.
    pub at: Timestamp,
    /// The kind's stable name.
    pub kind: String,
    /// What happened.
    pub message: String,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum)]
pub enum Breaker {
    /// Calls go through.
    #[default]
    Closed,
    /// No call goes through until its rest is over.
    Open,
    /// One call goes through and decides about the others.
    Probing,
}

/// How a platform is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum PlatformHealth {
    /// It cannot be used at all.
    Unusable,
    /// Every model of it that was called rests.
    Resting,
    /// Some model of it rests, or is being tried again.
    Troubled,
    /// All that was called works.
    Well,
    /// Nothing was called since this node started.
    Untried,
}

/// Which platforms are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct PlatformFilter {
    /// Only with this text in the key, whatever the case.
    text: Option<String>,
    /// Only those that are doing like this; empty means any.
    #[graphql(default)]
    health: Vec<PlatformHealth>,
    /// Only those that are tagged with this.
    tag: Option<String>,
    /// Only those that ask no model at all, or only those that do.
    simulated: Option<bool>,
}

impl PlatformFilter {
    pub(crate) fn wants(&self, platform: &Platform) -> bool {
        self.text.as_ref().is_none_or(|text| platform.key.contains(&text.to_lowercase()))
            && (self.health.is_empty() || self.health.contains(&platform.stands()))
            && self.tag.as_ref().is_none_or(|tag| platform.tags.contains(tag))
            && self.simulated.is_none_or(|simulated| simulated == platform.simulated)
    }
}

/// An AI platform, and how it is doing as the answering node sees it.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Platform {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// Its key.
    key: String,
    /// What it speaks, such as `anthropic` or `openai`.
    kind: String,
    /// The model that is asked when nobody names one.
    model: Option<String>,
    /// Its place among those that get work that names no platform, from 1; null when it is not one of them.
    order: Option<u32>,
    /// Whether it asks no model at all.
    simulated: bool,
    /// What it is tagged with, such as `eu`: where data may only go with a tag, it goes nowhere else.
    tags: Vec<String>,
    /// The models that are tagged with something else than their platform.
    model_tags: Vec<ModelTags>,
    /// Why it cannot be used at all.
    unusable: Option<String>,
    /// The models that this node has called since it started.
    lines: Vec<PlatformLine>,
    /// What the last probe has found. While a platform is left alone after failures, it is asked again and again whether it can be
    /// reached, which costs nothing; null when that was never needed.
    probe: Option<PlatformProbe>,
    /// The node that says so; each has its own view.
    node: Uuid,
}

/// What a model is tagged with instead of what its platform is.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ModelTags {
    /// The model.
    model: String,
    /// Its tags; none of its platform's holds for it unless it is among these.
    tags: Vec<String>,
}

/// What a probe of a platform has found.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct PlatformProbe {
    /// When it was over.
    at: DateTime,
    /// Whether the platform answered; its models may fail all the same.
    up: bool,
    /// What was wrong.
    failure: Option<String>,
}

/// How one model of a platform is doing.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct PlatformLine {
    /// The model; null for the platform's default.
    model: Option<String>,
    /// How its breaker stands.
    breaker: Breaker,
    /// Until when it rests; what rests is tried again when somebody next needs it.
    resting_until: Option<DateTime>,
    /// Whether somebody has to do something before it works again, such as giving it another key.
    barred: bool,
    /// How many calls are under way.
    in_flight: u32,
    /// How many may be at once, by what the platform said and how it coped; null while nothing was called.
    at_once: Option<u32>,
    /// How many calls have ended since this node started.
    calls: Count,
    /// How many of these have failed.
    failed: Count,
    /// The last failures, the latest first; at most 5.
    failures: Vec<PlatformFailure>,
}

/// A call that failed.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct PlatformFailure {
    /// When.
    at: DateTime,
    /// The kind, such as `rate_limited`.
    kind: String,
    /// What happened.
    message: String,
}

/// A model that a platform offers, with what is known of it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct PlatformModel {
    /// What requests call it.
    name: String,
    /// Whether it calls tools; null when nobody knows, here and below.
    tools: Option<bool>,
    /// Whether it keeps to a JSON Schema.
    schema: Option<bool>,
    /// Whether it understands pictures.
    images: Option<bool>,
    /// How many tokens fit in.
    max_input: Option<Count>,
    /// How many tokens an answer can have.
    max_output: Option<Count>,
    /// What a million tokens in cost, in billionths of a US dollar; null when it is unpriced, which is not free.
    nano_usd_per_million_input: Option<Count>,
    /// What a million tokens out cost, in billionths of a US dollar.
    nano_usd_per_million_output: Option<Count>,
    /// What it is tagged with, such as `eu`.
    tags: Vec<String>,
}

/// What a platform offers.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct PlatformOffer {
    #[graphql(skip)]
    models: Vec<PlatformModel>,
    /// Why it could not be asked.
    failure: Option<PlatformFailure>,
}

#[ComplexObject]
impl PlatformOffer {
    /// Its models, as it lists them; none when it could not be asked.
    async fn models(
        &self,
        #[graphql(desc = "Only with this text in the name, whatever the case.")] text: Option<String>,
        #[graphql(desc = "Only those that are tagged with this.")] tag: Option<String>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Vec<PlatformModel> {
        let text = text.map(|text| text.to_lowercase());
        some_of(self.models.clone(), reversed, |model| {
            text.as_ref().is_none_or(|text| model.name.to_lowercase().contains(text))
                && tag.as_ref().is_none_or(|tag| model.tags.contains(tag))
        })
    }
}

/// What models cost.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct ModelPrices {
    /// The lists of prices that there are, in the order in which they were added.
    lists: Vec<String>,
    #[graphql(skip)]
    prices: Vec<ModelPrice>,
}

#[ComplexObject]
impl ModelPrices {
    /// What is valid today, in the order of the lists.
    async fn prices(
        &self,
        #[graphql(desc = "Only those of this vendor.")] vendor: Option<String>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Vec<ModelPrice> {
        some_of(self.prices.clone(), reversed, |price| vendor.as_ref().is_none_or(|vendor| *vendor == price.vendor))
    }
}

/// What one model costs at one tier, in billionths of a US dollar for a million tokens.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ModelPrice {
    /// Who sells it, such as `anthropic`.
    vendor: String,
    /// The model, as its vendor names it.
    model: String,
    /// The list that says so.
    list: String,
    /// From which day it is valid, such as `2026-11-25`.
    valid_from: String,
    /// The service tier; null for the standard one.
    tier: Option<String>,
    /// For requests with more input tokens than this, which are billed so as a whole; null for those of any length.
    above: Option<Count>,
    /// Tokens in.
    input: Count,
    /// Tokens in that are read from the platform's cache; null when they cost the same.
    cached: Option<Count>,
    /// Tokens in that are written to it for five minutes; null when that is unpriced.
    written: Option<Count>,
    /// Tokens out.
    output: Count,
}

impl PlatformOffer {
    pub(crate) fn of(asked: Result<Vec<ModelState>, FailureState>) -> Self {
        match asked {
            Ok(models) => Self { models: models.into_iter().map(PlatformModel::from).collect(), failure: None },
            Err(failure) => Self { models: Vec::new(), failure: Some(failure.into()) },
        }
    }
}

impl From<ModelState> for PlatformModel {
    fn from(state: ModelState) -> Self {
        let price = |price: Option<i64>| price.and_then(|price| u64::try_from(price).ok()).map(Count);
        Self {
            name: state.name,
            tools: state.tools,
            schema: state.schema,
            images: state.images,
            max_input: state.max_input.map(|count| Count(count.into())),
            max_output: state.max_output.map(|count| Count(count.into())),
            nano_usd_per_million_input: price(state.input_price),
            nano_usd_per_million_output: price(state.output_price),
            tags: state.tags,
        }
    }
}

/// What models cost whose name holds these words.
pub(crate) fn prices(platforms: &dyn Platforms, named: &str) -> ModelPrices {
    let (lists, prices) = platforms.prices(named);
    let price = |state: PriceState| ModelPrice {
        vendor: state.vendor,
        model: state.model,
        list: state.list,
        valid_from: state.valid_from,
        tier: state.tier,
        above: state.above.map(Count),
        input: Count(state.input),
        cached: state.cached.map(Count),
        written: state.written.map(Count),
        output: Count(state.output),
    };
    ModelPrices { lists, prices: prices.into_iter().map(price).collect() }
}

/// How all platforms are doing.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct PlatformHealthUpdate {
    /// Every platform, by key.
    pub(crate) platforms: Vec<Platform>,
    /// When this was so.
    pub(crate) at: DateTime,
    /// The node that says so.
    pub(crate) node: Uuid,
    /// Names this state among those of the node; subscribe with it as `after` to be told of none before the next change.
    pub(crate) place: String,
}

/// A state of platforms: which node's, and after how many changes there. As text `NODE-COUNT`, with the node in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HealthPlace {
    node: Uuid,
    seen: u64,
}

impl HealthPlace {
    /// Where a node is now.
    pub(crate) fn of(platforms: &dyn Platforms) -> Self {
        Self { node: platforms.node(), seen: platforms.seen() }
    }

    /// What was told before.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let parts = text.split_once('-');
        let place =
            parts.and_then(|(node, seen)| Some(Self { node: Uuid::try_parse(node).ok()?, seen: seen.parse().ok()? }));
        place.ok_or_else(|| failure::invalid("`after` is no place; give the `place` of a state that was told"))
    }
}

/// What this node knows of platforms.
pub(crate) fn known(context: &Context<'_>) -> Result<Arc<dyn Platforms>> {
    Ok(Arc::clone(context.data::<Arc<dyn Platforms>>()?))
}

/// Every platform as it is now.
pub(crate) fn all(platforms: &dyn Platforms) -> Vec<Platform> {
    let node = platforms.node();
    platforms.all().into_iter().map(|state| Platform::of(state, node)).collect()
}

/// What is told of a place, which the node had reached before.
pub(crate) fn update(platforms: &dyn Platforms, place: HealthPlace) -> PlatformHealthUpdate {
    let HealthPlace { node, seen } = place;
    let place = format!("{}-{seen}", node.simple());
    PlatformHealthUpdate { platforms: all(platforms), at: commands::now().into(), node, place }
}

impl Platform {
    fn of(state: PlatformState, node: Uuid) -> Self {
        Self {
            id: GlobalId::Platform(state.key.clone()).into(),
            key: state.key,
            kind: state.kind,
            model: state.model,
            order: state.order,
            simulated: state.simulated,
            tags: state.tags,
            model_tags: state.model_tags.into_iter().map(|(model, tags)| ModelTags { model, tags }).collect(),
            unusable: state.unusable,
            lines: state.lines.into_iter().map(PlatformLine::from).collect(),
            probe: state.probe.map(|ProbeState { at, failure }| PlatformProbe {
                at: at.into(),
                up: failure.is_none(),
                failure,
            }),
            node,
        }
    }

    /// A page of platforms.
    pub(crate) fn page(
        platforms: Vec<Self>,
        window: &Window<Cursor>,
        order: PlatformOrder,
        reversed: bool,
    ) -> Result<Sorted<Self>> {
        let key = |platform: &Self| platform.key.clone();
        match order {
            PlatformOrder::Key => held(platforms, window, reversed, "key", key),
            PlatformOrder::Health => {
                let worst = |platform: &Self| {
                    PlatformHealth::items().iter().position(|health| health.value == platform.stands())
                };
                held(platforms, window, reversed, "health", |platform| (worst(platform), key(platform)))
            }
            PlatformOrder::Place => held(platforms, window, reversed, "place", |platform| {
                (platform.order.is_none(), platform.order, key(platform))
            }),
        }
    }

    /// Its key.
    pub(crate) fn is(&self, key: &str) -> bool {
        self.key == key
    }

    fn stands(&self) -> PlatformHealth {
        let rests = |line: &PlatformLine| line.breaker == Breaker::Open;
        if self.unusable.is_some() {
            PlatformHealth::Unusable
        } else if self.lines.is_empty() {
            PlatformHealth::Untried
        } else if self.lines.iter().all(rests) {
            PlatformHealth::Resting
        } else if self.lines.iter().any(|line| line.breaker != Breaker::Closed) {
            PlatformHealth::Troubled
        } else {
            PlatformHealth::Well
        }
    }
}

#[ComplexObject]
impl Platform {
    /// How it is doing.
    async fn health(&self) -> PlatformHealth {
        self.stands()
    }
}

impl From<FailureState> for PlatformFailure {
    fn from(failure: FailureState) -> Self {
        Self { at: failure.at.into(), kind: failure.kind, message: failure.message }
    }
}

impl From<LineState> for PlatformLine {
    fn from(state: LineState) -> Self {
        Self {
            model: state.model,
            breaker: state.breaker,
            resting_until: state.resting_until.map(Into::into),
            barred: state.barred,
            in_flight: state.in_flight,
            at_once: state.at_once,
            calls: Count(state.calls),
            failed: Count(state.failed),
            failures: state.failures.into_iter().map(PlatformFailure::from).collect(),
        }
    }
}
