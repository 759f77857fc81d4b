use domain::Definition;
use domain::agent::Profile;
use domain::template::TemplateBody;
use uuid::Uuid;

/// A workflow: its newest version's face, and which version takes new runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRow {
    /// The workflow's id.
    pub id: Uuid,
    /// The key.
    pub key: String,
    /// The name that people read.
    pub name: String,
    /// The same in Arabic, where somebody has written it.
    pub name_ar: Option<String>,
    /// What it is for.
    pub description: String,
    /// The same in Arabic, where somebody has written it.
    pub description_ar: Option<String>,
    /// Whose it is.
    pub department: String,
    /// Free words for finding it.
    pub tags: Vec<String>,
    /// `draft` while no version takes runs, else `active`.
    pub status: String,
    /// The newest version.
    pub newest_version: i32,
    /// The version that new runs use.
    pub active_version: Option<i32>,
    /// When version 1 was drafted.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// The position of its last event that the row reflects.
    pub position: i64,
}

/// One version of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowVersionRow {
    /// The workflow's id.
    pub workflow_id: Uuid,
    /// The version.
    pub version: i32,
    /// The definition.
    pub definition: Definition,
    /// Who drafted it, as `kind:id`.
    pub drafted_by: String,
    /// When it was drafted.
    pub drafted_at: i64,
    /// When it last became the active version; `None` when it never was.
    pub activated_at: Option<i64>,
}

/// An agent, by its newest profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRow {
    /// The agent's id.
    pub id: Uuid,
    /// The key.
    pub key: String,
    /// The name that people read.
    pub name: String,
    /// Whose it is.
    pub department: String,
    /// The newest version.
    pub version: i32,
    /// Whether it takes new work.
    pub enabled: bool,
    /// Why it takes none.
    pub disabled_reason: Option<String>,
    /// The newest profile.
    pub profile: Profile,
    /// When it was registered.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// The position of its last event that the row reflects.
    pub position: i64,
}

/// One version of an agent: the history of its prompts and settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentVersionRow {
    /// The agent's id.
    pub agent_id: Uuid,
    /// The version.
    pub version: i32,
    /// The whole profile.
    pub profile: Profile,
    /// Who made it, as `kind:id`.
    pub revised_by: String,
    /// When it was made.
    pub revised_at: i64,
}

/// A template, by its newest body.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateRow {
    /// The template's id.
    pub id: Uuid,
    /// The key.
    pub key: String,
    /// The title that people read.
    pub title: String,
    /// Whose it is.
    pub department: String,
    /// The newest version.
    pub version: i32,
    /// The newest body.
    pub body: TemplateBody,
    /// When it was registered.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// The position of its last event that the row reflects.
    pub position: i64,
}

/// One version of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateVersionRow {
    /// The template's id.
    pub template_id: Uuid,
    /// The version.
    pub version: i32,
    /// The whole body.
    pub body: TemplateBody,
    /// Who made it, as `kind:id`.
    pub revised_by: String,
    /// When it was made.
    pub revised_at: i64,
}
