use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::{Capability, Definition};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Page, Queries, Window};
use crate::{AgentRow, AgentVersionRow, Error, TemplateRow, TemplateVersionRow, WorkflowRow, WorkflowVersionRow};

/// Which entries of the catalogue are wanted; the default wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CatalogFilter {
    /// Only with this text in the key, name or title, in either language, whatever the case.
    pub text: Option<String>,
    /// Only of this department.
    pub department: Option<String>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Of workflows: only with an active version, or only without. Of agents: only enabled ones, or only disabled
    /// ones. Templates do not care.
    pub active: Option<bool>,
    /// Of agents: only those that can do this. Of templates: only those that ask for it. Workflows do not care.
    pub capability: Option<Capability>,
}

impl CatalogFilter {
    fn text(&self) -> Option<String> {
        self.text.as_ref().map(|text| text.to_lowercase())
    }

    /// Whether the text is part of the key, or of a name in any language, whatever the case.
    fn is_in(&self, key: &str, names: &[Option<&str>]) -> bool {
        self.text().is_none_or(|text| {
            key.contains(&text) || names.iter().flatten().any(|name| name.to_lowercase().contains(&text))
        })
    }

    fn is_of(&self, department: &str, tags: &[String]) -> bool {
        self.department.as_ref().is_none_or(|wanted| wanted == department)
            && self.tag.as_ref().is_none_or(|tag| tags.contains(tag))
    }

    /// Whether a workflow is wanted; the same as the conditions in SQL.
    pub(crate) fn wants_workflow(&self, row: &WorkflowRow) -> bool {
        self.is_in(&row.key, &[Some(&row.name), row.name_ar.as_deref()])
            && self.is_of(&row.department, &row.tags)
            && self.active.is_none_or(|active| row.active_version.is_some() == active)
    }

    /// Whether an agent is wanted; the same as the conditions in SQL.
    pub(crate) fn wants_agent(&self, row: &AgentRow) -> bool {
        self.is_in(&row.key, &[Some(&row.name), row.profile.name.ar.as_deref()])
            && self.is_of(&row.department, &row.profile.tags)
            && self.active.is_none_or(|active| row.enabled == active)
            && self.capability.is_none_or(|wanted| row.profile.capabilities.contains(&wanted))
    }

    /// Whether a template is wanted; the same as the conditions in SQL.
    pub(crate) fn wants_template(&self, row: &TemplateRow) -> bool {
        self.is_in(&row.key, &[Some(&row.title), row.body.title.ar.as_deref()])
            && self.is_of(&row.department, &row.body.tags)
            && self.capability.is_none_or(|wanted| row.body.capability == Some(wanted))
    }
}

/// Binds the window and the filter that all lists of the catalogue share to `$1` to `$6`.
macro_rules! listed {
    ($query:ident, $filter:ident, $window:ident, $pool:expr $(, $arg:expr)*) => {{
        let text = $filter.text();
        macro_rules! ordered {
            ($order:literal) => {
                $query!(
                    $order,
                    $window.after.as_deref(),
                    $window.before.as_deref(),
                    text.as_deref(),
                    $filter.department.as_deref(),
                    $filter.tag.as_deref(),
                    $window.probe()
                    $(, $arg)*
                )
            };
        }
        let rows =
            if $window.from_end { ordered!("key DESC").fetch_all($pool).await? } else { ordered!("key").fetch_all($pool).await? };
        Page::cut(rows, $window)
    }};
}

macro_rules! workflows {
    ($tail:literal $(+ $more:literal)*, $($arg:expr),*) => {
        sqlx::query_as!(
            WorkflowRow,
            r#"SELECT id, key, name, name_ar, description, description_ar, department, tags,
                CASE WHEN active_version IS NULL THEN 'draft' ELSE 'active' END AS "status!",
                newest_version, active_version, created_at, updated_at, position
            FROM read_catalog.workflows WHERE "# + $tail $(+ $more)*,
            $($arg),*
        )
    };
}

macro_rules! workflows_listed {
    ($order:literal, $($arg:expr),*) => {
        workflows!(
            "($1::text IS NULL OR key > $1) AND ($2::text IS NULL OR key < $2)
             AND ($3::text IS NULL OR strpos(key, $3) > 0 OR strpos(lower(name), $3) > 0
                OR strpos(lower(name_ar), $3) > 0)
             AND ($4::text IS NULL OR department = $4) AND ($5::text IS NULL OR $5 = ANY(tags))
             AND ($7::boolean IS NULL OR (active_version IS NOT NULL) = $7)
             ORDER BY " + $order + " LIMIT $6",
            $($arg),*
        )
    };
}

macro_rules! agents {
    ($tail:literal $(+ $more:literal)*, $($arg:expr),*) => {
        sqlx::query!(
            r#"SELECT id, key, name, department, version, enabled, disabled_reason, profile AS "profile: Json<Profile>",
                created_at, updated_at, position
            FROM read_catalog.agents WHERE "# + $tail $(+ $more)*,
            $($arg),*
        )
        .map(|row| AgentRow {
            id: row.id,
            key: row.key,
            name: row.name,
            department: row.department,
            version: row.version,
            enabled: row.enabled,
            disabled_reason: row.disabled_reason,
            profile: row.profile.0,
            created_at: row.created_at,
            updated_at: row.updated_at,
            position: row.position,
        })
    };
}

macro_rules! agents_listed {
    ($order:literal, $($arg:expr),*) => {
        agents!(
            "($1::text IS NULL OR key > $1) AND ($2::text IS NULL OR key < $2)
             AND ($3::text IS NULL OR strpos(key, $3) > 0 OR strpos(lower(name), $3) > 0
                OR strpos(lower(name_ar), $3) > 0)
             AND ($4::text IS NULL OR department = $4) AND ($5::text IS NULL OR $5 = ANY(tags))
             AND ($7::boolean IS NULL OR enabled = $7) AND ($8::text IS NULL OR $8 = ANY(capabilities))
             ORDER BY " + $order + " LIMIT $6",
            $($arg),*
        )
    };
}

macro_rules! templates {
    ($tail:literal $(+ $more:literal)*, $($arg:expr),*) => {
        sqlx::query!(
            r#"SELECT id, key, title, department, version, body AS "body: Json<TemplateBody>", created_at, updated_at, position
            FROM read_catalog.templates WHERE "# + $tail $(+ $more)*,
            $($arg),*
        )
        .map(|row| TemplateRow {
            id: row.id,
            key: row.key,
            title: row.title,
            department: row.department,
            version: row.version,
            body: row.body.0,
            created_at: row.created_at,
            updated_at: row.updated_at,
            position: row.position,
        })
    };
}

macro_rules! templates_listed {
    ($order:literal, $($arg:expr),*) => {
        templates!(
            "($1::text IS NULL OR key > $1) AND ($2::text IS NULL OR key < $2)
             AND ($3::text IS NULL OR strpos(key, $3) > 0 OR strpos(lower(title), $3) > 0
                OR strpos(lower(title_ar), $3) > 0)
             AND ($4::text IS NULL OR department = $4) AND ($5::text IS NULL OR $5 = ANY(tags))
             AND ($7::text IS NULL OR capability = $7)
             ORDER BY " + $order + " LIMIT $6",
            $($arg),*
        )
    };
}

impl Queries {
    /// Workflows, by key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workflows(&self, filter: &CatalogFilter, window: &Window<String>) -> Result<Page<WorkflowRow>, Error> {
        Ok(listed!(workflows_listed, filter, window, &self.pool, filter.active))
    }

    /// The workflow with this key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workflow(&self, key: &str) -> Result<Option<WorkflowRow>, Error> {
        Ok(workflows!("key = $1", key).fetch_optional(&self.pool).await?)
    }

    /// Workflows by their ids, in no particular order; unknown ids are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workflows_by_ids(&self, ids: &[Uuid]) -> Result<Vec<WorkflowRow>, Error> {
        Ok(workflows!("id = ANY($1)", ids).fetch_all(&self.pool).await?)
    }

    /// All versions of workflows, by workflow, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workflow_versions(&self, workflows: &[Uuid]) -> Result<Vec<WorkflowVersionRow>, Error> {
        let rows = sqlx::query!(
            r#"SELECT workflow_id, version, definition AS "definition: Json<Definition>", drafted_by, drafted_at, activated_at
            FROM read_catalog.workflow_versions WHERE workflow_id = ANY($1) ORDER BY workflow_id, version DESC"#,
            workflows
        )
        .map(|row| WorkflowVersionRow {
            workflow_id: row.workflow_id,
            version: row.version,
            definition: row.definition.0,
            drafted_by: row.drafted_by,
            drafted_at: row.drafted_at,
            activated_at: row.activated_at,
        });
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Agents, by key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agents(&self, filter: &CatalogFilter, window: &Window<String>) -> Result<Page<AgentRow>, Error> {
        Ok(listed!(agents_listed, filter, window, &self.pool, filter.active, filter.capability.map(Capability::name)))
    }

    /// The agent with this key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agent(&self, key: &str) -> Result<Option<AgentRow>, Error> {
        Ok(agents!("key = $1", key).fetch_optional(&self.pool).await?)
    }

    /// Agents by their ids, in no particular order; unknown ids are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agents_by_ids(&self, ids: &[Uuid]) -> Result<Vec<AgentRow>, Error> {
        Ok(agents!("id = ANY($1)", ids).fetch_all(&self.pool).await?)
    }

    /// Agents by their keys, in no particular order; unknown keys are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agents_by_keys(&self, keys: &[String]) -> Result<Vec<AgentRow>, Error> {
        Ok(agents!("key = ANY($1)", keys).fetch_all(&self.pool).await?)
    }

    /// All versions of agents, by agent, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agent_versions(&self, agents: &[Uuid]) -> Result<Vec<AgentVersionRow>, Error> {
        let rows = sqlx::query!(
            r#"SELECT agent_id, version, profile AS "profile: Json<Profile>", revised_by, revised_at
            FROM read_catalog.agent_versions WHERE agent_id = ANY($1) ORDER BY agent_id, version DESC"#,
            agents
        )
        .map(|row| AgentVersionRow {
            agent_id: row.agent_id,
            version: row.version,
            profile: row.profile.0,
            revised_by: row.revised_by,
            revised_at: row.revised_at,
        });
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Templates, by key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn templates(&self, filter: &CatalogFilter, window: &Window<String>) -> Result<Page<TemplateRow>, Error> {
        Ok(listed!(templates_listed, filter, window, &self.pool, filter.capability.map(Capability::name)))
    }

    /// The template with this key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn template(&self, key: &str) -> Result<Option<TemplateRow>, Error> {
        Ok(templates!("key = $1", key).fetch_optional(&self.pool).await?)
    }

    /// Templates by their ids, in no particular order; unknown ids are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn templates_by_ids(&self, ids: &[Uuid]) -> Result<Vec<TemplateRow>, Error> {
        Ok(templates!("id = ANY($1)", ids).fetch_all(&self.pool).await?)
    }

    /// Templates by their keys, in no particular order; unknown keys are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn templates_by_keys(&self, keys: &[String]) -> Result<Vec<TemplateRow>, Error> {
        Ok(templates!("key = ANY($1)", keys).fetch_all(&self.pool).await?)
    }

    /// All versions of templates, by template, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn template_versions(&self, templates: &[Uuid]) -> Result<Vec<TemplateVersionRow>, Error> {
        let rows = sqlx::query!(
            r#"SELECT template_id, version, body AS "body: Json<TemplateBody>", revised_by, revised_at
            FROM read_catalog.template_versions WHERE template_id = ANY($1) ORDER BY template_id, version DESC"#,
            templates
        )
        .map(|row| TemplateVersionRow {
            template_id: row.template_id,
            version: row.version,
            body: row.body.0,
            revised_by: row.revised_by,
            revised_at: row.revised_at,
        });
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
