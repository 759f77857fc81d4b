//! A request in free words on its way to a task: the template that does it, what the request says of the template's
//! parameters, and what has to be asked back.

use std::time::Duration;

use async_graphql::{ComplexObject, Context, InputObject, Json, Result, SimpleObject};
use domain::Key;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::choosing::{FoundTemplate, MissingParameter, ReadParameter};
use crate::failure;
use crate::input::key;
use crate::loader::Loaders;
use crate::run::Run;
use crate::template::Template;

/// How long a request may be in which a template is looked for, in characters.
pub(crate) const LONGEST_REQUEST: usize = 2000;
/// How long an answer waits for a model that reads; the request may be repeated to wait on.
const PATIENCE: Duration = Duration::from_secs(20);

/// What somebody wants done.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrandWish {
    /// In their words.
    pub request: String,
    /// The template that does it; `None` takes the one that fits best.
    pub template: Option<Key>,
    /// Only templates of this department.
    pub department: Option<String>,
    /// Whether the template for free requests does it where no other fits well enough.
    pub fallback: bool,
    /// How long a model is waited for that reads what the rules cannot; `None` asks no model.
    pub model: Option<Duration>,
    /// Parameters that are given.
    pub parameters: Map<String, Value>,
}

/// What has become of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Errand {
    /// The template that does it.
    pub template: Key,
    /// Whether it is the one for free requests, because no other fits well enough.
    pub fallback: bool,
    /// Whether templates were compared by meaning as well as by words.
    pub by_meaning: bool,
    /// The templates that were found, the best first; none where one was named.
    pub found: Vec<FoundTemplate>,
    /// What the request says of the parameters.
    pub read: Vec<ReadParameter>,
    /// What became of asking a model; `None` where that was not wanted, or not needed.
    pub reading: Option<Reading>,
    /// All parameters that are known.
    pub parameters: Map<String, Value>,
    /// What has to be asked back.
    pub missing: Vec<MissingParameter>,
}

/// What became of asking a model for what the rules cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The run in which it was asked; `None` when no model could be asked.
    pub run: Option<Uuid>,
    /// Whether that is over.
    pub ended: bool,
    /// Why nothing of an answer counts.
    pub why: Option<String>,
    /// How many of its values were left out, because the request does not say them.
    pub left_out: u32,
}

/// A request that is to be made ready for `startTask`.
#[derive(Debug, InputObject)]
pub(crate) struct PrepareTaskInput {
    /// The command's own id. When a model is asked, a repetition waits for the same answer on, and asks no second time.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// What you want done, in your own words, in English or Arabic.
    request: String,
    /// The key of the template that does it; null takes the one that fits best.
    template: Option<String>,
    /// Only templates of this department.
    department: Option<String>,
    /// Whether the template `free-request` does it where no other fits well enough.
    #[graphql(default = true)]
    fallback: bool,
    /// Whether a model is asked for required parameters that the rules cannot read. That is a run of its own, of
    /// `task.read-parameters`, with what it costs.
    #[graphql(default)]
    model: bool,
    /// Parameters that are given; nothing is read over them.
    #[graphql(default_with = "async_graphql::Json(Map::new())")]
    parameters: Json<Map<String, Value>>,
}

impl PrepareTaskInput {
    pub(crate) fn into_wish(self) -> Result<ErrandWish> {
        let length = self.request.chars().count();
        if self.request.trim().is_empty() || (self.template.is_none() && length > LONGEST_REQUEST) {
            let what = format!("`request` must have 1 to {LONGEST_REQUEST} characters, or name its `template`");
            return Err(failure::invalid(what));
        }
        Ok(ErrandWish {
            request: self.request,
            template: self.template.as_deref().map(key).transpose()?,
            department: self.department,
            fallback: self.fallback,
            model: self.model.then_some(PATIENCE),
            parameters: self.parameters.0,
        })
    }
}

/// A request that is ready for `startTask`, or what is missing for that.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct PreparedTask {
    /// The command's own id, as the caller gave it.
    client_mutation_id: Option<Uuid>,
    /// The key of the template that does it.
    template_key: String,
    /// Whether it is the template for free requests, because no other fits well enough.
    fallback: bool,
    /// Whether templates were compared by meaning as well as by words.
    by_meaning: bool,
    /// The templates that were found, the best first; none where one was named.
    templates: Vec<FoundTemplate>,
    /// What the request says of the parameters, each with the passage that says so.
    read: Vec<ReadParameter>,
    /// What became of asking a model; null where that was not wanted or not needed.
    reading: Option<ModelReading>,
    /// All parameters that are known, for `startTask`.
    parameters: Json<Map<String, Value>>,
    /// What has to be asked back; while `reading` has not ended, the model may still find it.
    missing: Vec<MissingParameter>,
}

/// What became of asking a model for what the rules cannot read.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct ModelReading {
    /// The id of the run in which it was asked; null when no model could be asked.
    run_id: Option<Uuid>,
    /// Whether that is over; if not, ask again by the same `clientMutationId`.
    ended: bool,
    /// Why nothing of an answer counts; null when something may.
    why: Option<String>,
    /// How many of its values were left out, because the request does not say them.
    left_out: u32,
}

#[ComplexObject]
impl ModelReading {
    /// The run in which it was asked.
    async fn run(&self, context: &Context<'_>) -> Result<Option<Run>> {
        match self.run_id {
            Some(run) => Loaders::of(context)?.run(run).await,
            None => Ok(None),
        }
    }
}

#[ComplexObject]
impl PreparedTask {
    /// The template that does it, as it is now.
    async fn template(&self, context: &Context<'_>) -> Result<Option<Template>> {
        Loaders::of(context)?.template(&self.template_key).await
    }
}

impl PreparedTask {
    pub(crate) fn of(client_mutation_id: Option<Uuid>, errand: Errand) -> Self {
        let Errand { template, fallback, by_meaning, found, read, reading, parameters, missing } = errand;
        let reading =
            reading.map(|Reading { run, ended, why, left_out }| ModelReading { run_id: run, ended, why, left_out });
        Self {
            client_mutation_id,
            template_key: template.into(),
            fallback,
            by_meaning,
            templates: found,
            read,
            reading,
            parameters: async_graphql::Json(parameters),
            missing,
        }
    }
}
