//! Templates: the command library.

use async_graphql::{ComplexObject, Context, ID, Object, Result, SimpleObject};
use domain::Bilingual;
use domain::template::{Example, TemplateBody as Body};
use projections::{TemplateRow, TemplateVersionRow};
use uuid::Uuid;

use crate::loader::Loaders;
use crate::metrics::{self, Metrics, MetricsWindow};
use crate::node::global_id;
use crate::order::some_of;
use crate::run::{moment, position};
use crate::scalar::{DateTime, Json, Position};
use crate::words::{Capability, Language};

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
    /// The title that people read.
    async fn title(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.body.title)
    }

    /// Every version, newest first.
    #[graphql(complexity = "10 * child_complexity")]
    async fn versions(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these versions; empty means any.", default)] numbers: Vec<i32>,
        #[graphql(desc = "The oldest first.", default)] reversed: bool,
    ) -> Result<Vec<TemplateVersion>> {
        let versions = Loaders::of(context)?.template_versions(self.template_id).await?;
        Ok(some_of(versions, reversed, |version| numbers.is_empty() || numbers.contains(&version.version)))
    }

    /// How it has done in the tasks of a window, whoever did them; null when there were none.
    #[graphql(complexity = "10 + child_complexity")]
    async fn metrics(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which tasks count.", default)] window: MetricsWindow,
    ) -> Result<Option<Metrics>> {
        metrics::of_one(context, self.template_id, window).await
    }
}

/// Everything that makes a template.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct TemplateBody {
    #[graphql(skip)]
    title: Bilingual,
    #[graphql(skip)]
    description: Bilingual,
    #[graphql(skip)]
    result: Option<Bilingual>,
    /// Whose it is.
    department: String,
    /// What an agent must be able to do to carry it out.
    capability: Option<Capability>,
    /// Free words for finding it.
    tags: Vec<String>,
    /// JSON Schema (2020-12) of the parameters; titles and descriptions in Arabic stand beside the others as
    /// `x-title-ar` and `x-description-ar`, labels of an `enum` as `x-enum-ar`.
    parameters: Json,
    /// The instructions, a Jinja template over the parameters.
    instructions: String,
    /// By what a result is scored.
    checklist: Vec<ChecklistItem>,
    /// JSON Schema (2020-12) of structured data that comes beside the text.
    output_schema: Option<Json>,
    /// An example of use.
    example: Option<TemplateExample>,
    /// What every platform must be tagged with that is asked to carry it out, besides what the agent and the installation
    /// demand.
    residency: Vec<String>,
}

#[ComplexObject]
impl TemplateBody {
    /// The title that people read.
    async fn title(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.title)
    }

    /// When to use it.
    async fn description(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.description)
    }

    /// What a good result contains.
    async fn result(&self, #[graphql(default)] language: Language) -> Option<String> {
        self.result.as_ref().map(|result| language.of(result))
    }
}

/// One thing that a good result has or does.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct ChecklistItem {
    #[graphql(skip)]
    text: Bilingual,
    /// How a program decides it, as in a catalogue file, such as `{"min_words": 150}`; null leaves it to a judge.
    check: Option<Json>,
}

#[ComplexObject]
impl ChecklistItem {
    /// What it is.
    async fn text(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.text)
    }
}

impl From<domain::template::ChecklistItem> for ChecklistItem {
    fn from(item: domain::template::ChecklistItem) -> Self {
        let check = item.check.map(|check| async_graphql::Json(serde_json::to_value(check).unwrap_or_default()));
        Self { text: item.text, check }
    }
}

/// An example of use.
#[derive(Debug, Clone)]
pub(crate) struct TemplateExample(Example);

/// An example of use.
#[Object]
impl TemplateExample {
    /// How a person would ask.
    async fn request(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.0.request)
    }

    /// The parameters that follow from the request; in English where they are not written in the language.
    async fn parameters(&self, #[graphql(default)] language: Language) -> Json {
        let Example { parameters, parameters_ar, .. } = &self.0;
        async_graphql::Json(match (language, parameters_ar) {
            (Language::Ar, Some(arabic)) => arabic.clone(),
            _ => parameters.clone(),
        })
    }
}

impl From<Body> for TemplateBody {
    fn from(body: Body) -> Self {
        Self {
            title: body.title,
            description: body.description,
            department: body.department,
            result: body.result,
            capability: body.capability.map(Capability::from),
            tags: body.tags,
            parameters: async_graphql::Json(body.parameters),
            instructions: body.instructions,
            checklist: body.checklist.into_iter().map(ChecklistItem::from).collect(),
            output_schema: body.output_schema.map(async_graphql::Json),
            example: body.example.map(TemplateExample),
            residency: body.residency.into_iter().map(String::from).collect(),
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
