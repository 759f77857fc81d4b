//! Workflows and the definitions of their versions.

use std::collections::BTreeMap;

use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject};
use domain::{Definition, Expression, StepName};
use projections::{WorkflowRow, WorkflowVersionRow};
use uuid::Uuid;

use crate::agent::milliseconds;
use crate::loader::Loaders;
use crate::run::{global_id, moment, position};
use crate::scalar::{Count, DateTime, Json, Position};
use crate::status::WorkflowStatus;

/// A versioned definition of a directed acyclic graph of steps.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Workflow {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The workflow's own id; it follows from the key.
    workflow_id: Uuid,
    /// The key.
    pub(crate) key: String,
    /// The name that people read.
    name: String,
    /// What it is for.
    description: String,
    /// Whose it is.
    department: String,
    /// Free words for finding it.
    tags: Vec<String>,
    /// Where it stands.
    status: WorkflowStatus,
    /// The newest version, from 1.
    newest_version: i32,
    /// The version that new runs use; null while there are only drafts.
    active_version: Option<i32>,
    /// When version 1 was drafted.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
    /// The position of its last event that is reflected here.
    position: Position,
}

impl Workflow {
    pub(crate) fn of(row: WorkflowRow) -> Result<Self> {
        Ok(Self {
            id: global_id(domain::Category::Workflow, row.id),
            workflow_id: row.id,
            key: row.key,
            name: row.name,
            description: row.description,
            department: row.department,
            tags: row.tags,
            status: WorkflowStatus::of(&row.status)?,
            newest_version: row.newest_version,
            active_version: row.active_version,
            created_at: moment(row.created_at),
            updated_at: moment(row.updated_at),
            position: position(row.position),
        })
    }
}

#[ComplexObject]
impl Workflow {
    /// Every version, newest first.
    #[graphql(complexity = "10 * child_complexity")]
    async fn versions(&self, context: &Context<'_>) -> Result<Vec<WorkflowVersion>> {
        Loaders::of(context)?.workflow_versions(self.workflow_id).await
    }

    /// The version that new runs use.
    async fn active(&self, context: &Context<'_>) -> Result<Option<WorkflowVersion>> {
        let Some(active) = self.active_version else { return Ok(None) };
        let versions = Loaders::of(context)?.workflow_versions(self.workflow_id).await?;
        Ok(versions.into_iter().find(|version| version.version == active))
    }
}

/// One version of a workflow; it never changes.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct WorkflowVersion {
    /// The version, from 1.
    version: i32,
    /// The definition.
    definition: WorkflowDefinition,
    /// Who drafted it, as `kind:id`.
    drafted_by: String,
    /// When it was drafted.
    drafted_at: DateTime,
    /// When it last became the active version; null when it never was.
    activated_at: Option<DateTime>,
}

impl From<WorkflowVersionRow> for WorkflowVersion {
    fn from(row: WorkflowVersionRow) -> Self {
        Self {
            version: row.version,
            definition: row.definition.into(),
            drafted_by: row.drafted_by,
            drafted_at: moment(row.drafted_at),
            activated_at: row.activated_at.map(moment),
        }
    }
}

/// A workflow as its author wrote it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct WorkflowDefinition {
    /// The name that people read.
    name: String,
    /// What it is for.
    description: String,
    /// Whose it is.
    department: String,
    /// Free words for finding it.
    tags: Vec<String>,
    /// JSON Schema (2020-12) of the run's input.
    input_schema: Json,
    /// The steps; their order carries no meaning.
    steps: Vec<StepDefinition>,
    /// The run's output, over `input` and `steps`. When empty, the output holds the outputs of the steps that nobody
    /// needs.
    output: Vec<Mapping>,
}

impl From<Definition> for WorkflowDefinition {
    fn from(definition: Definition) -> Self {
        Self {
            name: definition.name,
            description: definition.description,
            department: definition.department,
            tags: definition.tags,
            input_schema: async_graphql::Json(definition.input_schema),
            steps: definition.steps.into_iter().map(Into::into).collect(),
            output: mappings(definition.output),
        }
    }
}

/// One step of a definition: a template, carried out by an agent.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct StepDefinition {
    /// Its name, unique in the workflow.
    name: String,
    /// The title that people read.
    title: String,
    /// The key of the agent that does it.
    agent: String,
    /// The key of the template that says what is done.
    template: String,
    /// The template's parameters, over `input` and `steps`.
    input: Vec<Mapping>,
    /// The step's output, over `result`, which has `text` and `json`. When empty, the output is the text.
    output: Vec<Mapping>,
    /// The steps that must have completed first.
    needs: Vec<String>,
    /// When a failed attempt is repeated.
    retry: RetryPolicy,
    /// How long one attempt may take, in milliseconds.
    attempt_timeout_ms: Count,
}

impl From<domain::Step> for StepDefinition {
    fn from(step: domain::Step) -> Self {
        Self {
            name: step.name.into(),
            title: step.title,
            agent: step.agent.into(),
            template: step.template.into(),
            input: mappings(step.input),
            output: mappings(step.output),
            needs: step.needs.into_iter().map(String::from).collect(),
            retry: step.retry.into(),
            attempt_timeout_ms: milliseconds(step.attempt_timeout),
        }
    }
}

/// A named value and the expression that gives it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Mapping {
    /// The name.
    name: String,
    /// The expression, in JMESPath.
    expression: String,
}

fn mappings(map: BTreeMap<StepName, Expression>) -> Vec<Mapping> {
    map.into_iter()
        .map(|(name, expression)| Mapping { name: name.into(), expression: expression.to_string() })
        .collect()
}

/// When a failed attempt is followed by another.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RetryPolicy {
    /// How many attempts there may be in all, at least 1.
    max_attempts: u32,
    /// The pause after the first failure, in milliseconds.
    first_backoff_ms: Count,
    /// By what each further pause grows: 2 doubles it.
    multiplier: f64,
    /// No pause is longer, in milliseconds, unless the platform itself asks for more.
    max_backoff_ms: Count,
}

impl From<domain::RetryPolicy> for RetryPolicy {
    fn from(policy: domain::RetryPolicy) -> Self {
        Self {
            max_attempts: policy.max_attempts,
            first_backoff_ms: milliseconds(policy.first_backoff),
            multiplier: f64::from(policy.multiplier_milli) / 1000.0,
            max_backoff_ms: milliseconds(policy.max_backoff),
        }
    }
}
