//! The file of a workflow as its author writes it, and its conversion to the domain. docs/use/workflows.md describes the
//! format; unknown fields are refused, so that a misspelt one cannot be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Definition, Expression, Key, RetryPolicy, Step, StepName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::scalar::{Human, Thousandths};
use super::text::prose;

/// How long one attempt may take when a file does not say: generous for a local model, short for a person.
const ATTEMPT_TIMEOUT: Human = Human(Duration::from_secs(300));

fn default_timeout() -> Human {
    ATTEMPT_TIMEOUT
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
