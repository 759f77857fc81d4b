//! The rows of the catalogue in memory: what the tables would hold if the journal ended with the last event given.

use std::sync::Arc;

use journal::RecordedEvent;
use serde::de::DeserializeOwned;

use super::fold::{self, Version};
use crate::projector::{ApplyError, storable};
use crate::{AgentRow, AgentVersionRow, TemplateRow, TemplateVersionRow, WorkflowRow, WorkflowVersionRow};

/// Rows of all kinds; versions come by entry, newest first.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) workflows: Vec<WorkflowRow>,
    pub(crate) workflow_versions: Vec<WorkflowVersionRow>,
    pub(crate) agents: Vec<AgentRow>,
    pub(crate) agent_versions: Vec<AgentVersionRow>,
    pub(crate) templates: Vec<TemplateRow>,
    pub(crate) template_versions: Vec<TemplateVersionRow>,
}

impl Entries {
    /// From all events of some streams, in the order of the journal.
    pub(crate) fn of(events: &[Arc<RecordedEvent>]) -> Result<Self, ApplyError> {
        let fold = fold::fold(events)?;
        let text = |text: &str| storable(text).into_owned();
        let mut entries = Self::default();
        for (id, newest) in &fold.workflows.newest {
            let activation = fold.activations.get(id);
            let body = newest.body;
            entries.workflows.push(WorkflowRow {
                id: *id,
                key: body.key.as_str().to_owned(),
                name: text(&body.name.en),
                name_ar: body.name.ar.as_deref().map(text),
                description: text(&body.description.en),
                description_ar: body.description.ar.as_deref().map(text),
                department: text(&body.department),
                tags: body.tags.iter().map(|tag| text(tag)).collect(),
                status: if activation.is_some() { "active" } else { "draft" }.to_owned(),
                newest_version: newest.version,
                active_version: activation.map(|activation| activation.version),
                created_at: newest.created_at,
                updated_at: activation.map_or(newest.updated_at, |activation| activation.at.max(newest.updated_at)),
                position: activation.map_or(newest.position, |activation| activation.position.max(newest.position)),
            });
        }
        for version in sorted(&fold.workflows.versions) {
            entries.workflow_versions.push(WorkflowVersionRow {
                workflow_id: version.id,
                version: version.version,
                definition: document(&version.document)?,
                drafted_by: version.by.clone(),
                drafted_at: version.at,
                activated_at: fold.activated.get(&(version.id, version.version)).copied(),
            });
        }
        for (id, newest) in &fold.agents.newest {
            let switch = fold.switches.get(id);
            entries.agents.push(AgentRow {
                id: *id,
                key: newest.body.key.as_str().to_owned(),
                name: text(&newest.body.name.en),
                department: text(&newest.body.department),
                version: newest.version,
                enabled: switch.is_none_or(|switch| switch.enabled),
                disabled_reason: switch.and_then(|switch| switch.reason.as_deref().map(str::to_owned)),
                profile: newest.body.clone(),
                created_at: newest.created_at,
                updated_at: switch.map_or(newest.updated_at, |switch| switch.at.max(newest.updated_at)),
                position: switch.map_or(newest.position, |switch| switch.position.max(newest.position)),
            });
        }
        for version in sorted(&fold.agents.versions) {
            entries.agent_versions.push(AgentVersionRow {
                agent_id: version.id,
                version: version.version,
                profile: document(&version.document)?,
                revised_by: version.by.clone(),
                revised_at: version.at,
            });
        }
        for (id, newest) in &fold.templates.newest {
            entries.templates.push(TemplateRow {
                id: *id,
                key: newest.body.key.as_str().to_owned(),
                title: text(&newest.body.title.en),
                department: text(&newest.body.department),
                version: newest.version,
                body: newest.body.clone(),
                created_at: newest.created_at,
                updated_at: newest.updated_at,
                position: newest.position,
            });
        }
        for version in sorted(&fold.templates.versions) {
            entries.template_versions.push(TemplateVersionRow {
                template_id: version.id,
                version: version.version,
                body: document(&version.document)?,
                revised_by: version.by.clone(),
                revised_at: version.at,
            });
        }
        Ok(entries)
    }
}

fn sorted(versions: &[Version]) -> Vec<&Version> {
    let mut sorted: Vec<_> = versions.iter().collect();
    sorted.sort_by_key(|version| (version.id, std::cmp::Reverse(version.version)));
    sorted
}

fn document<T: DeserializeOwned>(document: &str) -> Result<T, ApplyError> {
    serde_json::from_str(document).map_err(|error| ApplyError::Indigestible(error.to_string()))
}
