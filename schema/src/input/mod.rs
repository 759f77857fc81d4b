//! What callers hand in, and its way into the domain.
//!
//! Only shapes are checked here (keys, expressions, decimals); what the values mean is for the rules to judge.

mod control;
mod flow;
mod trigger;
mod workflow;

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use async_graphql::{InputObject, Result};
use domain::Bilingual;
use domain::agent::Profile;
use domain::template::{ChecklistItem, Example, TemplateBody};
use domain::{Key, PlatformTag};
use uuid::Uuid;

use crate::failure::invalid;
use crate::scalar::{Count, Json, NanoUsd};
use crate::words::{Capability, TextInput};

pub(crate) use control::{
    BulkInput, CancelRunInput, ChangesInput, DecideApprovalInput, ForkRunInput, PauseRunInput, RerunRunInput,
    ResumeRunInput, RetryRunInput, RunTaskAgainInput, SignalRunInput, StartRunInput, StartTaskInput,
};
pub(crate) use flow::{LiftHoldInput, PlaceHoldInput, RemoveLimitInput, SetLimitInput, hold_scope};
pub(crate) use trigger::{BackfillTriggerInput, PostEventInput, SetTriggerInput, TriggerInput};
pub(crate) use workflow::DraftWorkflowInput;

/// An agent to register. Registering an existing key makes a new version of it.
#[derive(Debug, InputObject)]
pub(crate) struct RegisterAgentInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// The agent's key: 1 to 64 of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit.
    key: String,
    /// The name that people read.
    name: String,
    /// The name in Arabic.
    name_ar: Option<String>,
    /// What it is for.
    #[graphql(default)]
    description: String,
    /// The same in Arabic.
    description_ar: Option<String>,
    /// What it is a specialist in; an agent without any is a general-purpose one.
    #[graphql(default)]
    capabilities: Vec<Capability>,
    /// How it is told to work.
    system_prompt: String,
    /// What it must not do; the English texts are part of its prompt.
    #[graphql(default)]
    constraints: Vec<TextInput>,
    /// The platform that it prefers; null takes the configured default.
    platform: Option<String>,
    /// Where to go when that one fails, in order.
    #[graphql(default)]
    fallback_platforms: Vec<String>,
    /// The model; null takes the platform's default.
    model: Option<String>,
    /// What every platform must be tagged with that anything of it is sent to, besides what the installation demands: words of
    /// 1 to 64 of a-z, 0-9, `-`, `_`, `.` and `:`.
    #[graphql(default)]
    residency: Vec<String>,
    /// Sampling temperature, 0 to 2, with at most three decimals.
    temperature: Option<f64>,
    /// The longest answer, in tokens.
    max_tokens: Option<u32>,
    /// Nucleus sampling, more than 0 to 1, with at most three decimals.
    top_p: Option<f64>,
    /// Penalty for frequent tokens, -2 to 2, with at most three decimals.
    frequency_penalty: Option<f64>,
    /// Penalty for present tokens, -2 to 2, with at most three decimals.
    presence_penalty: Option<f64>,
    /// How long one attempt of it may take in milliseconds, when the step does not say; at most one day.
    #[graphql(default_with = "Count(300_000)")]
    timeout_ms: Count,
    /// The most that one task of it may cost; null sets no limit.
    cost_limit: Option<NanoUsd>,
    /// Whether its results are reviewed and revised before they count.
    #[graphql(default = true)]
    self_review: bool,
    /// How many revisions its results may get, 0 to 3; null is one with self-review and none without.
    review_rounds: Option<u8>,
    /// The model's context, in tokens.
    #[graphql(default = 8192)]
    context_window: u32,
    /// Languages that it answers in, as BCP 47 tags.
    #[graphql(default)]
    languages: Vec<String>,
    /// Whose it is.
    #[graphql(default)]
    department: String,
    /// Free words for finding it.
    #[graphql(default)]
    tags: Vec<String>,
}

impl RegisterAgentInput {
    pub(crate) fn into_profile(self) -> Result<Profile> {
        Ok(Profile {
            key: parse("key", &self.key)?,
            name: Bilingual { en: self.name, ar: self.name_ar },
            description: Bilingual { en: self.description, ar: self.description_ar },
            capabilities: self.capabilities.into_iter().map(Into::into).collect(),
            system_prompt: self.system_prompt,
            constraints: self.constraints.into_iter().map(Into::into).collect(),
            platform: self.platform.map(|key| parse("platform", &key)).transpose()?,
            fallback_platforms: self
                .fallback_platforms
                .iter()
                .map(|key| parse("fallbackPlatforms", key))
                .collect::<Result<_>>()?,
            model: self.model,
            residency: tags(&self.residency)?,
            temperature_milli: milli("temperature", self.temperature)?,
            max_tokens: self.max_tokens,
            top_p_milli: milli("topP", self.top_p)?,
            frequency_penalty_milli: milli("frequencyPenalty", self.frequency_penalty)?,
            presence_penalty_milli: milli("presencePenalty", self.presence_penalty)?,
            timeout: Duration::from_millis(self.timeout_ms.0),
            cost_limit: self.cost_limit.map(|limit| domain::NanoUsd(limit.0)),
            review_rounds: self.review_rounds.unwrap_or(u8::from(self.self_review)),
            context_window: self.context_window,
            languages: self.languages,
            department: self.department,
            tags: self.tags,
        })
    }
}

/// An agent that is to take work again.
#[derive(Debug, InputObject)]
pub(crate) struct EnableAgentInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which agent.
    pub(crate) key: String,
}

/// An agent that is to get no new work.
#[derive(Debug, InputObject)]
pub(crate) struct DisableAgentInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which agent.
    pub(crate) key: String,
    /// Why.
    pub(crate) reason: String,
}

/// A template to register. Registering an existing key makes a new version of it.
#[derive(Debug, InputObject)]
pub(crate) struct RegisterTemplateInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// The template's key: 1 to 64 of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit.
    key: String,
    /// The title that people read.
    title: String,
    /// The title in Arabic.
    title_ar: Option<String>,
    /// When to use it.
    #[graphql(default)]
    description: String,
    /// The same in Arabic.
    description_ar: Option<String>,
    /// Whose it is.
    #[graphql(default)]
    department: String,
    /// What an agent must be able to do to carry it out.
    capability: Option<Capability>,
    /// Free words for finding it.
    #[graphql(default)]
    tags: Vec<String>,
    /// JSON Schema (2020-12) of the parameters, an object schema. Titles and descriptions in Arabic stand beside the
    /// others as `x-title-ar` and `x-description-ar`, labels of an `enum` as `x-enum-ar`.
    parameters: Json,
    /// The instructions, a Jinja template over the parameters; an unknown name is refused.
    instructions: String,
    /// What a good result contains.
    result: Option<TextInput>,
    /// By what a result is scored.
    #[graphql(default)]
    checklist: Vec<ChecklistItemInput>,
    /// JSON Schema (2020-12) of structured data that comes beside the text, an object schema.
    output_schema: Option<Json>,
    /// An example of use; its parameters must fit the schema.
    example: Option<TemplateExampleInput>,
    /// What every platform must be tagged with that is asked to carry it out: words of 1 to 64 of a-z, 0-9, `-`, `_`, `.` and
    /// `:`.
    #[graphql(default)]
    residency: Vec<String>,
}

/// One thing that a good result has or does.
#[derive(Debug, InputObject)]
pub(crate) struct ChecklistItemInput {
    /// What it is.
    text: TextInput,
    /// How a program decides it, as in a catalogue file, such as `{"min_words": 150}`; null leaves it to a judge.
    check: Option<Json>,
}

impl ChecklistItemInput {
    fn into_item(self, index: usize) -> Result<ChecklistItem> {
        let check = self.check.map(|check| serde_json::from_value(check.0)).transpose();
        let check = check.map_err(|error| invalid(format!("`checklist[{index}].check`: {error}")))?;
        Ok(ChecklistItem { text: self.text.into(), check })
    }
}

/// An example of use.
#[derive(Debug, InputObject)]
pub(crate) struct TemplateExampleInput {
    /// How a person would ask.
    request: TextInput,
    /// The parameters that follow from the request.
    parameters: Json,
    /// The same with Arabic values.
    parameters_ar: Option<Json>,
}

impl From<TemplateExampleInput> for Example {
    fn from(input: TemplateExampleInput) -> Self {
        Self {
            request: input.request.into(),
            parameters: input.parameters.0,
            parameters_ar: input.parameters_ar.map(|parameters| parameters.0),
        }
    }
}

impl RegisterTemplateInput {
    pub(crate) fn into_body(self) -> Result<TemplateBody> {
        Ok(TemplateBody {
            key: parse("key", &self.key)?,
            title: Bilingual { en: self.title, ar: self.title_ar },
            description: Bilingual { en: self.description, ar: self.description_ar },
            department: self.department,
            capability: self.capability.map(Into::into),
            tags: self.tags,
            parameters: self.parameters.0,
            instructions: self.instructions,
            result: self.result.map(Into::into),
            checklist: self
                .checklist
                .into_iter()
                .enumerate()
                .map(|(index, item)| item.into_item(index))
                .collect::<Result<_>>()?,
            output_schema: self.output_schema.map(|schema| schema.0),
            example: self.example.map(Into::into),
            residency: tags(&self.residency)?,
        })
    }
}

/// A version of a workflow that new runs are to use.
#[derive(Debug, InputObject)]
pub(crate) struct ActivateWorkflowInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which workflow.
    pub(crate) key: String,
    /// Which version; null takes the newest.
    pub(crate) version: Option<u32>,
}

/// Reads a key, a step name or another checked text.
pub(crate) fn parse<T: FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error| invalid(format!("`{field}`: {error}")))
}

/// The tags that are demanded of platforms.
fn tags(texts: &[String]) -> Result<BTreeSet<PlatformTag>> {
    texts.iter().map(|tag| parse("residency", tag)).collect()
}

/// The key of a workflow, an agent or a template.
pub(crate) fn key(text: &str) -> Result<Key> {
    parse("key", text)
}

/// A decimal in thousandths; more decimals than three are refused, because they would be lost.
fn milli<T: TryFrom<i64>>(field: &str, value: Option<f64>) -> Result<Option<T>> {
    let Some(value) = value else { return Ok(None) };
    let scaled = value * 1000.0;
    let rounded = scaled.round();
    if !scaled.is_finite() || (scaled - rounded).abs() > 1e-6 || rounded.abs() > 1e9 {
        return Err(invalid(format!("`{field}` must be a small number with at most three decimals")));
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most 1e9 in size, and whole")]
    let whole = rounded as i64;
    T::try_from(whole).map(Some).map_err(|_| invalid(format!("`{field}` is out of range")))
}

/// So many milliseconds.
pub(crate) fn duration(milliseconds: Count) -> Duration {
    Duration::from_millis(milliseconds.0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_three_places() {
        assert_eq!(milli::<u16>("t", Some(0.7)).unwrap(), Some(700));
        assert_eq!(milli::<i16>("t", Some(-1.999)).unwrap(), Some(-1999));
        assert_eq!(milli::<u16>("t", None).unwrap(), None);
        for wrong in [0.0001, -0.1, f64::NAN, f64::INFINITY, 70.0] {
            assert!(milli::<u16>("t", Some(wrong)).is_err(), "{wrong}");
        }
    }
}
