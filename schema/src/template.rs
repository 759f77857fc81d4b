//! Templates: the command library.

use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject};
use domain::template::TemplateBody as Body;
use projections::{TemplateRow, TemplateVersionRow};
use uuid::Uuid;

use crate::loader::Loaders;
use crate::run::{global_id, moment, position};
use crate::scalar::{DateTime, Json, Position};

/// An entry of the command library: one job with typed parameters and instructions.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Template {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The template's own id; it follows from the key.
    template_id: Uuid,
    /// The key.
    pub(crate) key: String,
    /// The title that people read.
    title: String,
    /// Whose it is.
    department: String,
    /// The newest version, from 1.
    version: i32,
    /// The newest body.
    body: TemplateBody,
    /// When it was registered.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
    /// The position of its last event that is reflected here.
    position: Position,
}

impl From<TemplateRow> for Template {
    fn from(row: TemplateRow) -> Self {
        Self {
            id: global_id(domain::Category::Template, row.id),
            template_id: row.id,
            key: row.key,
            title: row.title,
            department: row.department,
            version: row.version,
            body: row.body.into(),
            created_at: moment(row.created_at),
            updated_at: moment(row.updated_at),
            position: position(row.position),
        }
    }
}

#[ComplexObject]
impl Template {
    /// Every version, newest first.
    #[graphql(complexity = "10 * child_complexity")]
    async fn versions(&self, context: &Context<'_>) -> Result<Vec<TemplateVersion>> {
        Loaders::of(context)?.template_versions(self.template_id).await
    }
}

/// Everything that makes a template.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct TemplateBody {
    /// The title that people read.
    title: String,
    /// When to use it.
    description: String,
    /// Whose it is.
    department: String,
    /// What an agent must be able to do to carry it out.
    capability: Option<String>,
    /// Free words for finding it.
    tags: Vec<String>,
    /// JSON Schema (2020-12) of the parameters.
    parameters: Json,
    /// The instructions, a Jinja template over the parameters.
    instructions: String,
}

impl From<Body> for TemplateBody {
    fn from(body: Body) -> Self {
        Self {
            title: body.title,
            description: body.description,
            department: body.department,
            capability: body.capability,
            tags: body.tags,
            parameters: async_graphql::Json(body.parameters),
            instructions: body.instructions,
        }
    }
}

/// One version of a template.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct TemplateVersion {
    /// The version, from 1.
    version: i32,
    /// The whole body.
    body: TemplateBody,
    /// Who made it, as `kind:id`.
    revised_by: String,
    /// When it was made.
    revised_at: DateTime,
}

impl From<TemplateVersionRow> for TemplateVersion {
    fn from(row: TemplateVersionRow) -> Self {
        Self {
            version: row.version,
            body: row.body.into(),
            revised_by: row.revised_by,
            revised_at: moment(row.revised_at),
        }
    }
}
