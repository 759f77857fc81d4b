//! The files of a catalogue as their authors write them, and their conversion to the domain. docs/use/workflows.md
//! describes the format; unknown fields are refused, so that a misspelt one cannot be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::{Definition, Expression, Key, RetryPolicy, Step, StepName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::scalar::{Human, Thousandths};

/// How long one attempt may take when a file does not say: generous for a local model, short for a person.
const ATTEMPT_TIMEOUT: Human = Human(Duration::from_secs(300));

fn default_timeout() -> Human {
    ATTEMPT_TIMEOUT
}

fn default_context() -> u32 {
    8192
}

fn default_languages() -> Vec<String> {
    vec!["en".to_owned()]
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentFile {
    key: Key,
    name: String,
    description: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    department: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<String>,
    system_prompt: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<Key>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fallback_platforms: Vec<Key>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temperature: Option<Thousandths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top_p: Option<Thousandths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<Thousandths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<Thousandths>,
    #[serde(default = "default_timeout")]
    timeout: Human,
    #[serde(default = "default_context")]
    context_window: u32,
    #[serde(default = "default_languages")]
    languages: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TemplateFile {
    key: Key,
    title: String,
    description: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    department: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capability: Option<String>,
    parameters: Value,
    instructions: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkflowFile {
    key: Key,
    name: String,
    description: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    department: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    input_schema: Value,
    pub(super) steps: Vec<StepFile>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) output: BTreeMap<StepName, Spanned<Expression>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepFile {
    pub(super) name: Spanned<StepName>,
    title: String,
    pub(super) agent: Spanned<Key>,
    pub(super) template: Spanned<Key>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    needs: Vec<StepName>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) input: BTreeMap<StepName, Spanned<Expression>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) output: BTreeMap<StepName, Spanned<Expression>>,
    #[serde(default)]
    retry: RetryFile,
    #[serde(default = "default_timeout")]
    timeout: Human,
}

/// What is left out has the domain's default.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetryFile {
    max_attempts: u32,
    first_backoff: Human,
    multiplier: Thousandths,
    max_backoff: Human,
}

impl Default for RetryFile {
    fn default() -> Self {
        Self::from(&RetryPolicy::default())
    }
}

impl From<&RetryPolicy> for RetryFile {
    fn from(retry: &RetryPolicy) -> Self {
        Self {
            max_attempts: retry.max_attempts,
            first_backoff: Human(retry.first_backoff),
            multiplier: Thousandths(i64::from(retry.multiplier_milli)),
            max_backoff: Human(retry.max_backoff),
        }
    }
}

impl From<RetryFile> for RetryPolicy {
    fn from(file: RetryFile) -> Self {
        Self {
            max_attempts: file.max_attempts,
            first_backoff: file.first_backoff.0,
            multiplier_milli: file.multiplier.fit(0),
            max_backoff: file.max_backoff.0,
        }
    }
}

/// Prose as people mean it: a YAML block ends with a line break that is no part of the text.
fn prose(text: &str) -> String {
    text.trim_end().to_owned()
}

impl From<AgentFile> for Profile {
    fn from(file: AgentFile) -> Self {
        Self {
            key: file.key,
            name: file.name,
            description: prose(&file.description),
            capabilities: file.capabilities,
            system_prompt: prose(&file.system_prompt),
            platform: file.platform,
            fallback_platforms: file.fallback_platforms,
            model: file.model,
            temperature_milli: file.temperature.map(|value| value.fit(u16::MAX)),
            max_tokens: file.max_tokens,
            top_p_milli: file.top_p.map(|value| value.fit(u16::MAX)),
            frequency_penalty_milli: file.frequency_penalty.map(|value| value.fit(i16::MAX)),
            presence_penalty_milli: file.presence_penalty.map(|value| value.fit(i16::MAX)),
            timeout: file.timeout.0,
            context_window: file.context_window,
            languages: file.languages,
            department: file.department,
            tags: file.tags,
        }
    }
}

impl From<&Profile> for AgentFile {
    fn from(profile: &Profile) -> Self {
        let decimal = |value: i16| Thousandths(i64::from(value));
        Self {
            key: profile.key.clone(),
            name: profile.name.clone(),
            description: profile.description.clone(),
            department: profile.department.clone(),
            tags: profile.tags.clone(),
            capabilities: profile.capabilities.clone(),
            system_prompt: profile.system_prompt.clone(),
            platform: profile.platform.clone(),
            fallback_platforms: profile.fallback_platforms.clone(),
            model: profile.model.clone(),
            temperature: profile.temperature_milli.map(|value| Thousandths(i64::from(value))),
            max_tokens: profile.max_tokens,
            top_p: profile.top_p_milli.map(|value| Thousandths(i64::from(value))),
            frequency_penalty: profile.frequency_penalty_milli.map(decimal),
            presence_penalty: profile.presence_penalty_milli.map(decimal),
            timeout: Human(profile.timeout),
            context_window: profile.context_window,
            languages: profile.languages.clone(),
        }
    }
}

impl From<TemplateFile> for TemplateBody {
    fn from(file: TemplateFile) -> Self {
        Self {
            key: file.key,
            title: file.title,
            description: prose(&file.description),
            department: file.department,
            capability: file.capability,
            tags: file.tags,
            parameters: file.parameters,
            instructions: prose(&file.instructions),
        }
    }
}

impl From<&TemplateBody> for TemplateFile {
    fn from(body: &TemplateBody) -> Self {
        Self {
            key: body.key.clone(),
            title: body.title.clone(),
            description: body.description.clone(),
            department: body.department.clone(),
            tags: body.tags.clone(),
            capability: body.capability.clone(),
            parameters: body.parameters.clone(),
            instructions: body.instructions.clone(),
        }
    }
}

impl From<WorkflowFile> for Definition {
    fn from(file: WorkflowFile) -> Self {
        Self {
            key: file.key,
            name: file.name,
            description: prose(&file.description),
            department: file.department,
            tags: file.tags,
            input_schema: file.input_schema,
            steps: file.steps.into_iter().map(Step::from).collect(),
            output: mapping(file.output),
        }
    }
}

impl From<&Definition> for WorkflowFile {
    fn from(definition: &Definition) -> Self {
        Self {
            key: definition.key.clone(),
            name: definition.name.clone(),
            description: definition.description.clone(),
            department: definition.department.clone(),
            tags: definition.tags.clone(),
            input_schema: definition.input_schema.clone(),
            steps: definition.steps.iter().map(StepFile::from).collect(),
            output: nowhere_mapping(&definition.output),
        }
    }
}

impl From<StepFile> for Step {
    fn from(file: StepFile) -> Self {
        Self {
            name: file.name.value,
            title: file.title,
            agent: file.agent.value,
            template: file.template.value,
            input: mapping(file.input),
            output: mapping(file.output),
            needs: file.needs,
            retry: file.retry.into(),
            attempt_timeout: file.timeout.0,
        }
    }
}

impl From<&Step> for StepFile {
    fn from(step: &Step) -> Self {
        Self {
            name: nowhere(&step.name),
            title: step.title.clone(),
            agent: nowhere(&step.agent),
            template: nowhere(&step.template),
            needs: step.needs.clone(),
            input: nowhere_mapping(&step.input),
            output: nowhere_mapping(&step.output),
            retry: RetryFile::from(&step.retry),
            timeout: Human(step.attempt_timeout),
        }
    }
}

fn mapping(file: BTreeMap<StepName, Spanned<Expression>>) -> BTreeMap<StepName, Expression> {
    file.into_iter().map(|(name, expression)| (name, expression.value)).collect()
}

/// A value that comes from no file.
fn nowhere<T: Clone>(value: &T) -> Spanned<T> {
    Spanned::new(value.clone(), Location::UNKNOWN, Location::UNKNOWN)
}

fn nowhere_mapping(mapping: &BTreeMap<StepName, Expression>) -> BTreeMap<StepName, Spanned<Expression>> {
    mapping.iter().map(|(name, expression)| (name.clone(), nowhere(expression))).collect()
}
