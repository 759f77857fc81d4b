//! The GraphQL API of HishamOS: questions to the read models, commands, and live events.
//!
//! Invariants: nothing here decides or stores anything, save which tests of platforms this node has made (`trial`); every
//! answer of a read model can be tied to a position; the committed `schema.graphql` is this schema, word for word. GraphQL
//! types are the edge: no domain type and no row is shown as it is. The fields of an answer come in the order in which they
//! were asked for.

mod action;
mod agent;
mod answer;
mod approval;
mod as_of;
mod assignment;
mod batch;
mod budget;
mod calibration;
mod choosing;
mod comparison;
mod compatibility;
mod definition;
mod errand;
mod event;
mod explanation;
mod failure;
mod flow;
mod input;
mod loader;
mod metrics;
mod mutation;
mod node;
mod order;
mod outcome;
mod page;
mod platform;
mod progress;
mod projector;
mod query;
mod reflected;
mod relatives;
mod report;
mod run;
mod scalar;
mod search;
mod status;
mod step;
mod subscription;
mod task;
mod template;
mod trial;
mod trigger;
mod usage;
mod versions;
mod webhook;
mod words;
mod workflow;

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{SchemaBuilder, ValidationMode};
use commands::Commands;
use journal::Journal;
use projections::Queries;

pub use answer::{Schema, operation};
pub use choosing::{
    AgentAnswer, AgentWish, Choosing, FoundTemplate, MissingParameter, ReadBy, ReadParameter, TemplateAnswer,
    TemplateWish, Then,
};
pub use errand::{Errand, ErrandWish, Reading};
pub use failure::{Caller, label, label_as};
pub use mutation::Mutation;
pub use platform::{Breaker, FailureState, LineState, ModelState, PlatformState, Platforms, PriceState, ProbeState};
pub use progress::{Progress, Reached};
pub use query::Query;
pub use subscription::Subscription;
pub use trial::TrialState;

/// What the schema stands on.
#[derive(Clone)]
pub struct Parts {
    /// The facts, for audit and live events.
    pub journal: Arc<dyn Journal>,
    /// The write side.
    pub commands: Commands,
    /// The read models.
    pub queries: Queries,
    /// The AI platforms, as this node sees them.
    pub platforms: Arc<dyn Platforms>,
    /// Whoever chooses agents and finds templates.
    pub choosing: Arc<dyn Choosing>,
}

/// How much a request may ask for; more is refused before anything is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How deep selections may nest.
    pub depth: usize,
    /// What a request may cost: one per field, and what is asked of each entry of a list counts as often as the list
    /// has entries.
    pub complexity: usize,
    /// How long an answer may wait for the position that the caller wants to see.
    pub wait: Duration,
}

impl Default for Limits {
    /// Deep and large enough for the introspection query and for a page of 200 runs with steps, tasks and attempts;
    /// 10 s for a position.
    fn default() -> Self {
        Self { depth: 16, complexity: 200_000, wait: Duration::from_secs(10) }
    }
}

/// Builds the schema.
#[must_use]
pub fn build(parts: Parts, limits: &Limits) -> Schema {
    let inner = builder()
        .data(loader::Loaders::new(parts.queries.clone()))
        .data(Arc::clone(&parts.journal))
        .data(parts.commands)
        .data(parts.queries)
        .data(parts.platforms)
        .data(parts.choosing)
        .data(trial::Trials::default())
        .limit_depth(limits.depth)
        .limit_complexity(limits.complexity)
        .data(limits.clone())
        .finish();
    Schema::new(inner, parts.journal, limits.complexity)
}

/// The schema in GraphQL's schema definition language.
#[must_use]
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().prefer_single_line_descriptions().use_space_ident();
    let mut sdl = builder().finish().sdl_with_options(options);
    sdl.truncate(sdl.trim_end().len());
    sdl.push('\n');
    sdl
}

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    async_graphql::Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .register_output_type::<node::Node>()
        .validation_mode(ValidationMode::Strict)
        .limit_directives(16)
}
