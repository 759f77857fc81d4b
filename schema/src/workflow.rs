//! Workflows and their versions.

use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject};
use domain::Bilingual;
use projections::{DefinitionDiff, WorkflowRow, WorkflowVersionRow};
use uuid::Uuid;

use crate::definition::WorkflowDefinition;
use crate::failure;
use crate::loader::Loaders;
use crate::node::global_id;
use crate::order::some_of;
use crate::run::{moment, position};
use crate::scalar::{DateTime, Position};
use crate::status::WorkflowStatus;
use crate::versions::WorkflowDiff;
use crate::words::Language;

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
    #[graphql(skip)]
    name: Bilingual,
    #[graphql(skip)]
    description: Bilingual,
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
            name: Bilingual { en: row.name, ar: row.name_ar },
            description: Bilingual { en: row.description, ar: row.description_ar },
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
    /// The name that people read.
    async fn name(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.name)
    }

    /// What it is for.
    async fn description(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.description)
    }

    /// Every version, newest first.
    #[graphql(complexity = "10 * child_complexity")]
    async fn versions(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these versions; empty means any.", default)] numbers: Vec<i32>,
        #[graphql(desc = "The oldest first.", default)] reversed: bool,
    ) -> Result<Vec<WorkflowVersion>> {
        let versions = Loaders::of(context)?.workflow_versions(self.workflow_id).await?;
        Ok(some_of(versions, reversed, |version| numbers.is_empty() || numbers.contains(&version.version)))
    }

    /// What is different between two of its versions; null when it has no such version.
    #[graphql(complexity = "50 + 5 * child_complexity")]
    async fn diff(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "One version.")] from: i32,
        #[graphql(desc = "The version to compare with it.")] to: i32,
    ) -> Result<Option<WorkflowDiff>> {
        let versions = Loaders::of(context)?.workflow_definitions(self.workflow_id).await?;
        let of = |version: i32| versions.iter().find(|row| row.version == version).map(|row| &row.definition);
        let (Some(before), Some(after)) = (of(from), of(to)) else { return Ok(None) };
        let diff = DefinitionDiff::between(before, after).map_err(|error| failure::internal(context, &error))?;
        Ok(Some(WorkflowDiff::of(from, to, diff)))
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
