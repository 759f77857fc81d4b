//! What would be chosen: the agent for a task, and the template for a request.
//!
//! Whoever builds the schema says who chooses; this room knows neither the agents' histories nor how templates are found.
//! Nothing is started by asking, and nothing of the question is kept, except where a model is asked to read a request.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, InputObject, Json, Result, SimpleObject};
use async_trait::async_trait;
use domain::task::{AgentChoice, ConsideredAgent};
use domain::{Bilingual, Key, Timestamp};
use journal::Position;
use serde_json::Value;

use crate::agent::Agent;
use crate::assignment::{Candidate, RecordedChoice};
use crate::errand::{Errand, ErrandWish};
use crate::loader::Loaders;
use crate::query::fresh;
use crate::template::Template;
use crate::words::{Capability, Language};

/// Chooses agents and finds templates, as the engine does on this node.
#[async_trait]
pub trait Choosing: Send + Sync + 'static {
    /// Who would do a task now, or would have done it then.
    ///
    /// # Errors
    /// `TEMPLATE_NOT_FOUND`, `AS_OF_TOO_MUCH`, or when the journal cannot be read.
    async fn agent(&self, wish: AgentWish) -> std::result::Result<AgentAnswer, commands::Error>;

    /// The templates that do what somebody asks for, the best first.
    ///
    /// # Errors
    /// When the journal or the files of the catalogue cannot be read.
    async fn templates(&self, wish: TemplateWish) -> std::result::Result<TemplateAnswer, commands::Error>;

    /// Makes a request ready to be started, as far as it says what is needed. Where a model is asked, that is recorded by the
    /// command of `request`.
    ///
    /// # Errors
    /// `TEMPLATE_NOT_FOUND`, whatever refuses the task by which a model is asked, or when the journal or the files of the
    /// catalogue cannot be read.
    async fn prepare(
        &self,
        request: commands::Request,
        wish: ErrandWish,
    ) -> std::result::Result<Errand, commands::Error>;
}

/// For what an agent is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentWish {
    /// What has to be done; its capability and department count where those are not given.
    pub template: Option<Key>,
    /// What the agent must be able to do.
    pub capability: Option<domain::Capability>,
    /// The language of the answer, as a BCP 47 tag.
    pub language: Option<String>,
    /// The department that it is for.
    pub department: Option<String>,
    /// Agents that are left out.
    pub without: BTreeSet<Key>,
    /// As of when; `None` for now.
    pub then: Option<Then>,
}

/// A moment of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Then {
    /// Where the journal ended.
    pub position: Position,
    /// The moment that stands for it.
    pub moment: Timestamp,
}

/// Who would do a task.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentAnswer {
    /// Who; `None` when nobody can.
    pub agent: Option<Key>,
    /// Why, in a sentence.
    pub told: String,
    /// The choice as it would be recorded; `None` when nobody can.
    pub choice: Option<AgentChoice>,
    /// Everybody who was looked at.
    pub considered: Vec<ConsideredAgent>,
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateWish {
    /// In their words.
    pub request: String,
    /// Only templates of this department.
    pub department: Option<String>,
    /// How many at most.
    pub first: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateAnswer {
    /// Whether they were compared by meaning as well as by words.
    pub by_meaning: bool,
    /// The templates, the best first.
    pub found: Vec<FoundTemplate>,
    /// What the request says of the parameters of the best one.
    pub read: Vec<ReadParameter>,
    /// What has to be asked back for the best one.
    pub missing: Vec<MissingParameter>,
}

/// A parameter that was read out of a request.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct ReadParameter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Json<Value>,
    /// The part of the request that says so; empty for what follows from its language.
    pub quote: String,
    /// By which rule.
    pub by: ReadBy,
}

/// By what a parameter was read out of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ReadBy {
    /// The request names it.
    Name,
    /// The request has exactly one of its choices.
    Choice,
    /// A number stands beside a word of its title.
    Number,
    /// The language of the request.
    Language,
    /// A model found it, and the request says so.
    Model,
}

/// A template that may do what was asked for.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
#[graphql(complex)]
pub struct FoundTemplate {
    /// Its key.
    pub key: String,
    /// How well it fits beside the others of the library, 0 to 1.
    pub score: f64,
    /// How well its words fit beside those of the others, 0 to 1.
    pub words: f64,
    /// How close its meaning is to the request's beside the others, 0 to 1; null without a model of meaning.
    pub meaning: Option<f64>,
    /// How much of the request's words it has, whatever other templates have, the rare ones counting more; 0 to 1.
    pub coverage: f64,
    /// Whether it is about what was asked for at all, and not only nearer than others: it has three tenths of the request's
    /// words by that measure, or comes close to its meaning.
    pub fits: bool,
    /// The words of the request that it has in common with it.
    pub matches: Vec<String>,
}

#[ComplexObject]
impl FoundTemplate {
    /// The template as it is now.
    async fn template(&self, context: &Context<'_>) -> Result<Option<Template>> {
        fresh(context, None).await?;
        Loaders::of(context)?.template(&self.key).await
    }
}

/// A parameter that is required, has no default and is not known.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
#[graphql(complex)]
pub struct MissingParameter {
    /// Its name.
    pub name: String,
    /// Its type in JSON Schema, such as `string`; `any` when the schema does not say.
    pub r#type: String,
    /// What people call it.
    #[graphql(skip)]
    pub title: Bilingual,
    /// What belongs there.
    #[graphql(skip)]
    pub description: Bilingual,
    /// The values among which it must be, when there are only some.
    pub choices: Vec<Json<Value>>,
    /// Values that somebody might give.
    pub examples: Vec<Json<Value>>,
}

#[ComplexObject]
impl MissingParameter {
    /// What people call it.
    async fn title(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.title)
    }

    /// What belongs there.
    async fn description(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.description)
    }
}

/// For what an agent is looked for.
#[derive(Debug, InputObject)]
pub(crate) struct AgentChoiceInput {
    /// The key of the template that says what has to be done; what it needs and its department count where those are not
    /// given.
    pub(crate) template: Option<String>,
    /// What the agent must be able to do.
    pub(crate) capability: Option<Capability>,
    /// The language of the answer, as a BCP 47 tag.
    pub(crate) language: Option<String>,
    /// The department that it is for; among equals its own agents come first.
    pub(crate) department: Option<String>,
    /// The keys of agents that are left out: who would do it if they were not there?
    #[graphql(default)]
    pub(crate) without: Vec<String>,
}

/// Who would do a task, as the node that answers sees it. Nothing is started or recorded.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct WouldChoose {
    /// The agent's key; null when nobody can do it.
    agent_key: Option<String>,
    /// Why, in a sentence.
    told: String,
    /// The choice as it would be recorded; null when nobody can do it.
    choice: Option<RecordedChoice>,
    /// All agents that were looked at: those that could be chosen first, by falling score.
    candidates: Vec<Candidate>,
}

#[ComplexObject]
impl WouldChoose {
    /// The agent, as of the same moment; null when nobody can do it.
    async fn agent(&self, context: &Context<'_>) -> Result<Option<Agent>> {
        match &self.agent_key {
            Some(key) => {
                fresh(context, None).await?;
                Loaders::of(context)?.agent(key).await
            }
            None => Ok(None),
        }
    }
}

impl From<AgentAnswer> for WouldChoose {
    fn from(answer: AgentAnswer) -> Self {
        Self {
            agent_key: answer.agent.map(String::from),
            told: answer.told,
            choice: answer.choice.as_ref().map(RecordedChoice::from),
            candidates: answer.considered.iter().map(Candidate::from).collect(),
        }
    }
}

/// Templates that do what was asked for.
#[derive(Debug, SimpleObject)]
pub(crate) struct FoundTemplates {
    /// Whether they were compared by meaning as well as by words; without a model of meaning only by words.
    by_meaning: bool,
    /// The templates, the best first.
    templates: Vec<FoundTemplate>,
    /// What the request says of the first one's parameters.
    read: Vec<ReadParameter>,
    /// What has to be asked back for the first one: parameters that are required, have no default and were not read.
    missing: Vec<MissingParameter>,
}

impl From<TemplateAnswer> for FoundTemplates {
    fn from(answer: TemplateAnswer) -> Self {
        Self { by_meaning: answer.by_meaning, templates: answer.found, read: answer.read, missing: answer.missing }
    }
}

pub(crate) fn chooser<'a>(context: &Context<'a>) -> Result<&'a Arc<dyn Choosing>> {
    context.data::<Arc<dyn Choosing>>()
}
