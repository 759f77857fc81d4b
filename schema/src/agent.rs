//! Agents, their versions and how they have done.

use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject};
use domain::Bilingual;
use domain::agent::Profile;
use projections::{AgentRow, AgentVersionRow};
use uuid::Uuid;

use crate::loader::Loaders;
use crate::metrics::{self, Metrics, MetricsWindow};
use crate::node::global_id;
use crate::order::some_of;
use crate::run::{moment, position};
use crate::scalar::{Count, DateTime, NanoUsd, Position};
use crate::words::{Capability, Language};

/// A specialised worker with a prompt, a model and limits.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Agent {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The agent's own id; it follows from the key.
    agent_id: Uuid,
    /// The key.
    pub(crate) key: String,
    /// Whose it is.
    department: String,
    /// The newest version, from 1.
    version: i32,
    /// Whether it takes new work.
    enabled: bool,
    /// Why it takes none.
    disabled_reason: Option<String>,
    /// The newest profile.
    profile: AgentProfile,
    /// When it was registered.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
    /// The position of its last event that is reflected here.
    position: Position,
}

impl From<AgentRow> for Agent {
    fn from(row: AgentRow) -> Self {
        Self {
            id: global_id(domain::Category::Agent, row.id),
            agent_id: row.id,
            key: row.key,
            department: row.department,
            version: row.version,
            enabled: row.enabled,
            disabled_reason: row.disabled_reason,
            profile: row.profile.into(),
            created_at: moment(row.created_at),
            updated_at: moment(row.updated_at),
            position: position(row.position),
        }
    }
}

#[ComplexObject]
impl Agent {
    /// The name that people read.
    async fn name(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.profile.name)
    }

    /// Every version, newest first: the history of its prompts and settings.
    #[graphql(complexity = "10 * child_complexity")]
    async fn versions(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these versions; empty means any.", default)] numbers: Vec<i32>,
        #[graphql(desc = "The oldest first.", default)] reversed: bool,
    ) -> Result<Vec<AgentVersion>> {
        let versions = Loaders::of(context)?.agent_versions(self.agent_id).await?;
        Ok(some_of(versions, reversed, |version| numbers.is_empty() || numbers.contains(&version.version)))
    }

    /// How it has done in the tasks of a window; null when it had none.
    #[graphql(complexity = "10 + child_complexity")]
    async fn metrics(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which tasks count.", default)] window: MetricsWindow,
    ) -> Result<Option<Metrics>> {
        metrics::of_one(context, self.agent_id, window).await
    }
}

/// Everything that makes an agent.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct AgentProfile {
    #[graphql(skip)]
    name: Bilingual,
    #[graphql(skip)]
    description: Bilingual,
    #[graphql(skip)]
    constraints: Vec<Bilingual>,
    /// What it is a specialist in; an agent without any is a general-purpose one.
    capabilities: Vec<Capability>,
    /// How it is told to work.
    system_prompt: String,
    /// The platform that it prefers; null takes the configured default.
    platform: Option<String>,
    /// Where to go when that one fails, in order.
    fallback_platforms: Vec<String>,
    /// The model; null takes the platform's default.
    model: Option<String>,
    /// What every platform must be tagged with that anything of it is sent to, besides what the installation demands.
    residency: Vec<String>,
    /// Sampling temperature, 0 to 2.
    temperature: Option<f64>,
    /// The longest answer, in tokens.
    max_tokens: Option<u32>,
    /// Nucleus sampling, more than 0 to 1.
    top_p: Option<f64>,
    /// Penalty for frequent tokens, -2 to 2.
    frequency_penalty: Option<f64>,
    /// Penalty for present tokens, -2 to 2.
    presence_penalty: Option<f64>,
    /// How long one attempt of it may take in milliseconds, when the step does not say.
    timeout_ms: Count,
    /// The most that one task of it may cost; null sets no limit.
    cost_limit: Option<NanoUsd>,
    /// Whether its results are reviewed and revised before they count.
    self_review: bool,
    /// How many revisions its results may get, 0 to 3; 0 is no self-review.
    review_rounds: u8,
    /// The model's context, in tokens.
    context_window: u32,
    /// Languages that it answers in, as BCP 47 tags.
    languages: Vec<String>,
    /// Whose it is.
    department: String,
    /// Free words for finding it.
    tags: Vec<String>,
}

#[ComplexObject]
impl AgentProfile {
    /// The name that people read.
    async fn name(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.name)
    }

    /// What it is for.
    async fn description(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.description)
    }

    /// What it must not do; the English texts are part of its prompt.
    async fn constraints(&self, #[graphql(default)] language: Language) -> Vec<String> {
        self.constraints.iter().map(|constraint| language.of(constraint)).collect()
    }
}

impl From<Profile> for AgentProfile {
    fn from(profile: Profile) -> Self {
        let milli = |value: i32| f64::from(value) / 1000.0;
        Self {
            name: profile.name,
            description: profile.description,
            constraints: profile.constraints,
            capabilities: profile.capabilities.into_iter().map(Capability::from).collect(),
            system_prompt: profile.system_prompt,
            platform: profile.platform.map(String::from),
            fallback_platforms: profile.fallback_platforms.into_iter().map(String::from).collect(),
            model: profile.model,
            residency: profile.residency.into_iter().map(String::from).collect(),
            temperature: profile.temperature_milli.map(|value| milli(value.into())),
            max_tokens: profile.max_tokens,
            top_p: profile.top_p_milli.map(|value| milli(value.into())),
            frequency_penalty: profile.frequency_penalty_milli.map(|value| milli(value.into())),
            presence_penalty: profile.presence_penalty_milli.map(|value| milli(value.into())),
            timeout_ms: milliseconds(profile.timeout),
            cost_limit: profile.cost_limit.map(|limit| NanoUsd(limit.0)),
            self_review: profile.review_rounds > 0,
            review_rounds: profile.review_rounds,
            context_window: profile.context_window,
            languages: profile.languages,
            department: profile.department,
            tags: profile.tags,
        }
    }
}

/// One version of an agent.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AgentVersion {
    /// The version, from 1.
    version: i32,
    /// The whole profile.
    profile: AgentProfile,
    /// Who made it, as `kind:id`.
    revised_by: String,
    /// When it was made.
    revised_at: DateTime,
}

impl From<AgentVersionRow> for AgentVersion {
    fn from(row: AgentVersionRow) -> Self {
        Self {
            version: row.version,
            profile: row.profile.into(),
            revised_by: row.revised_by,
            revised_at: moment(row.revised_at),
        }
    }
}

/// Whole milliseconds.
pub(crate) fn milliseconds(duration: std::time::Duration) -> Count {
    Count(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
