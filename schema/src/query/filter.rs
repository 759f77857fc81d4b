//! Which entries of a list are wanted.

use async_graphql::{InputObject, Result};
use domain::{AgentId, TemplateId};
use projections::{CatalogFilter, RunFilter as Filter};
use uuid::Uuid;

use crate::input::key;
use crate::scalar::DateTime;
use crate::status::{AttemptStatus, LimitScope, RunStatus, TaskStatus};
use crate::words::Capability;

/// Which runs are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct RunFilter {
    /// Only of the workflow with this key.
    workflow: Option<String>,
    /// Only at one of these statuses; empty means any.
    #[graphql(default)]
    statuses: Vec<RunStatus>,
    /// Only started by this actor, as `kind:id`.
    actor: Option<String>,
    /// Only started at or after this moment.
    started_from: Option<DateTime>,
    /// Only started before this moment.
    started_before: Option<DateTime>,
    /// Only with this text in the id or the workflow's key.
    text: Option<String>,
    /// Only those that a step of this run started.
    parent: Option<Uuid>,
    /// Only those that took over this run's history.
    origin: Option<Uuid>,
    /// Only those that this trigger started.
    trigger: Option<Uuid>,
}

impl From<RunFilter> for Filter {
    fn from(filter: RunFilter) -> Self {
        Self {
            workflow_key: filter.workflow,
            statuses: filter.statuses.into_iter().map(|status| status.name().to_owned()).collect(),
            actor: filter.actor,
            started_from: filter.started_from.map(|moment| moment.0.as_micros()),
            started_before: filter.started_before.map(|moment| moment.0.as_micros()),
            text: filter.text,
            parent_id: filter.parent,
            source_id: filter.origin,
            trigger_id: filter.trigger,
        }
    }
}

/// Which workflows are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct WorkflowFilter {
    /// Only with this text in the key or the name, whatever the case.
    text: Option<String>,
    /// Only of this department.
    department: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// Only those that take runs, or only those that do not.
    active: Option<bool>,
}

/// Which agents are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct AgentFilter {
    /// Only with this text in the key or the name, in either language, whatever the case.
    text: Option<String>,
    /// Only of this department.
    department: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// Only those that can do this.
    capability: Option<Capability>,
    /// Only those that take work, or only those that do not.
    enabled: Option<bool>,
}

/// Which templates are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct TemplateFilter {
    /// Only with this text in the key or the title, in either language, whatever the case.
    text: Option<String>,
    /// Only of this department.
    department: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// Only those that ask for this.
    capability: Option<Capability>,
}

impl From<WorkflowFilter> for CatalogFilter {
    fn from(filter: WorkflowFilter) -> Self {
        let WorkflowFilter { text, department, tag, active } = filter;
        Self { text, department, tag, active, capability: None }
    }
}

impl From<AgentFilter> for CatalogFilter {
    fn from(filter: AgentFilter) -> Self {
        let AgentFilter { text, department, tag, capability, enabled } = filter;
        Self { text, department, tag, active: enabled, capability: capability.map(Into::into) }
    }
}

impl From<TemplateFilter> for CatalogFilter {
    fn from(filter: TemplateFilter) -> Self {
        let TemplateFilter { text, department, tag, capability } = filter;
        Self { text, department, tag, active: None, capability: capability.map(Into::into) }
    }
}

/// Which tasks are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct TaskFilter {
    /// Only those that were created in this run.
    run: Option<Uuid>,
    /// Only at one of these statuses; empty means any.
    #[graphql(default)]
    statuses: Vec<TaskStatus>,
    /// Only those that the agent with this key has.
    agent: Option<String>,
    /// Only with the template with this key.
    template: Option<String>,
    /// Only created at or after this moment.
    created_from: Option<DateTime>,
    /// Only created before this moment.
    created_before: Option<DateTime>,
}

impl TaskFilter {
    pub(crate) fn into_filter(self) -> Result<projections::TaskFilter> {
        let agent = self.agent.map(|agent| key(&agent)).transpose()?;
        let template = self.template.map(|template| key(&template)).transpose()?;
        Ok(projections::TaskFilter {
            run_id: self.run,
            statuses: self.statuses.into_iter().map(|status| status.name().to_owned()).collect(),
            agent_id: agent.map(|key| AgentId::from_key(&key).as_uuid()),
            template_id: template.map(|key| TemplateId::from_key(&key).as_uuid()),
            created_from: self.created_from.map(|moment| moment.0.as_micros()),
            created_before: self.created_before.map(|moment| moment.0.as_micros()),
        })
    }
}

/// Which attempts are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct AttemptFilter {
    /// Only of this task.
    task: Option<Uuid>,
    /// Only on this platform.
    platform: Option<String>,
    /// Only those that this model answered, or that it was asked in when nothing was answered.
    model: Option<String>,
    /// Only at one of these statuses; empty means any.
    #[graphql(default)]
    statuses: Vec<AttemptStatus>,
    /// Only started at or after this moment.
    started_from: Option<DateTime>,
    /// Only started before this moment.
    started_before: Option<DateTime>,
}

impl From<AttemptFilter> for projections::AttemptFilter {
    fn from(filter: AttemptFilter) -> Self {
        Self {
            task_id: filter.task,
            platform: filter.platform,
            model: filter.model,
            statuses: filter.statuses.into_iter().map(|status| status.name().to_owned()).collect(),
            started_from: filter.started_from.map(|moment| moment.0.as_micros()),
            started_before: filter.started_before.map(|moment| moment.0.as_micros()),
        }
    }
}

/// Which limits are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct LimitFilter {
    /// Only with this text in the key, whatever the case.
    text: Option<String>,
    /// Only those that count this.
    scope: Option<LimitScope>,
}

impl From<LimitFilter> for projections::LimitFilter {
    fn from(filter: LimitFilter) -> Self {
        Self { text: filter.text, scope_kind: filter.scope.map(|scope| scope.name().to_owned()) }
    }
}

/// Which holds are wanted; an empty filter wants all that ever were.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct HoldFilter {
    /// Only those that are in force.
    #[graphql(default)]
    placed: bool,
    /// Only those of the workflow with this key.
    workflow: Option<String>,
    /// Only those that this actor placed, as `kind:id`.
    actor: Option<String>,
    /// Only with this text in the reason, whatever the case.
    text: Option<String>,
    /// Only placed at or after this moment.
    placed_from: Option<DateTime>,
    /// Only placed before this moment.
    placed_before: Option<DateTime>,
}

impl From<HoldFilter> for projections::HoldFilter {
    fn from(filter: HoldFilter) -> Self {
        Self {
            placed: filter.placed,
            workflow_key: filter.workflow,
            placed_by: filter.actor,
            text: filter.text,
            placed_from: filter.placed_from.map(|moment| moment.0.as_micros()),
            placed_before: filter.placed_before.map(|moment| moment.0.as_micros()),
        }
    }
}
