//! How a run began, frozen.

use std::sync::Arc;

use domain::run::{Again, Firing, Lineage, LineageKind, Overrides, Parent, Start, StepOverride};
use domain::workflow::Assignee;
use domain::{Event, Key, RunEvent, RunId, StepName, SubjectId, TaskId, Timestamp, TriggerId, WorkflowId};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::wire::definition::{DefinitionV1, DefinitionV2, DefinitionV3};
use crate::wire::output::FormV1;
use crate::wire::values::{ActorV1, Id, JsonV1, all, checked, moment};
use crate::wire::{Encoded, Thaw, write};

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StartedV1<'a> {
    id: Id,
    workflow: Id,
    version: u32,
    #[serde(borrow)]
    definition: DefinitionV1<'a>,
    #[serde(borrow)]
    input: JsonV1<'a>,
}

/// The run that started a run as one of its steps.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ParentV1<'a> {
    run: Id,
    step: &'a str,
    depth: u32,
}

/// Why a run takes over another's history.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(in crate::wire) enum LineageKindV1 {
    Retry,
    Rerun,
    Fork,
}

/// Another agent or template for a step.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StepOverrideV1<'a> {
    step: &'a str,
    #[serde(borrow)]
    agent: Option<&'a str>,
    #[serde(borrow)]
    template: Option<&'a str>,
}

/// Where a run's history comes from.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct LineageV1<'a> {
    run: Id,
    revision: u64,
    kind: LineageKindV1,
    #[serde(borrow)]
    kept: Vec<&'a str>,
    #[serde(borrow)]
    model: Option<&'a str>,
    #[serde(borrow)]
    steps: Vec<StepOverrideV1<'a>>,
}

/// What made a trigger start a run.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct FiringV1<'a> {
    trigger: Id,
    cause: &'a str,
}

/// Says who wanted the run and when, and where it comes from; its definition may hold steps of every kind.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StartedV2<'a> {
    id: Id,
    workflow: Id,
    version: u32,
    #[serde(borrow)]
    definition: DefinitionV2<'a>,
    #[serde(borrow)]
    input: JsonV1<'a>,
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
    deadline_micros: Option<i64>,
    priority: i32,
    #[serde(borrow)]
    parent: Option<ParentV1<'a>>,
    #[serde(borrow)]
    lineage: Option<LineageV1<'a>>,
    #[serde(borrow)]
    trigger: Option<FiringV1<'a>>,
}

/// What people read of its definition may be in two languages.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StartedV3<'a> {
    id: Id,
    workflow: Id,
    version: u32,
    #[serde(borrow)]
    definition: DefinitionV3<'a>,
    #[serde(borrow)]
    input: JsonV1<'a>,
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
    deadline_micros: Option<i64>,
    priority: i32,
    #[serde(borrow)]
    parent: Option<ParentV1<'a>>,
    #[serde(borrow)]
    lineage: Option<LineageV1<'a>>,
    #[serde(borrow)]
    trigger: Option<FiringV1<'a>>,
}

/// Says whom the run is about.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StartedV4<'a> {
    id: Id,
    workflow: Id,
    version: u32,
    #[serde(borrow)]
    definition: DefinitionV3<'a>,
    #[serde(borrow)]
    input: JsonV1<'a>,
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
    deadline_micros: Option<i64>,
    priority: i32,
    #[serde(borrow)]
    parent: Option<ParentV1<'a>>,
    #[serde(borrow)]
    lineage: Option<LineageV1<'a>>,
    #[serde(borrow)]
    trigger: Option<FiringV1<'a>>,
    subject: Option<Id>,
}

/// Says how much of the output layer is asked for.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StartedV5<'a> {
    id: Id,
    workflow: Id,
    version: u32,
    #[serde(borrow)]
    definition: DefinitionV3<'a>,
    #[serde(borrow)]
    input: JsonV1<'a>,
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
    deadline_micros: Option<i64>,
    priority: i32,
    #[serde(borrow)]
    parent: Option<ParentV1<'a>>,
    #[serde(borrow)]
    lineage: Option<LineageV1<'a>>,
    #[serde(borrow)]
    trigger: Option<FiringV1<'a>>,
    subject: Option<Id>,
    form: FormV1,
}

/// A task that a run does again, and by what.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct AgainV1<'a> {
    task: Id,
    template_version: u32,
    agent_version: Option<u32>,
    #[serde(borrow)]
    model: Option<&'a str>,
}

/// Says which task it does again.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StartedV6<'a> {
    id: Id,
    workflow: Id,
    version: u32,
    #[serde(borrow)]
    definition: DefinitionV3<'a>,
    #[serde(borrow)]
    input: JsonV1<'a>,
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
    deadline_micros: Option<i64>,
    priority: i32,
    #[serde(borrow)]
    parent: Option<ParentV1<'a>>,
    #[serde(borrow)]
    lineage: Option<LineageV1<'a>>,
    #[serde(borrow)]
    trigger: Option<FiringV1<'a>>,
    subject: Option<Id>,
    form: FormV1,
    #[serde(borrow)]
    again: Option<AgainV1<'a>>,
}

impl<'a> From<StartedV1<'a>> for StartedV2<'a> {
    fn from(old: StartedV1<'a>) -> Self {
        Self {
            id: old.id,
            workflow: old.workflow,
            version: old.version,
            definition: old.definition.into(),
            input: old.input,
            by: ActorV1::UNKNOWN,
            at_micros: 0,
            deadline_micros: None,
            priority: 0,
            parent: None,
            lineage: None,
            trigger: None,
        }
    }
}

impl<'a> From<StartedV2<'a>> for StartedV3<'a> {
    fn from(old: StartedV2<'a>) -> Self {
        Self {
            id: old.id,
            workflow: old.workflow,
            version: old.version,
            definition: old.definition.into(),
            input: old.input,
            by: old.by,
            at_micros: old.at_micros,
            deadline_micros: old.deadline_micros,
            priority: old.priority,
            parent: old.parent,
            lineage: old.lineage,
            trigger: old.trigger,
        }
    }
}

impl<'a> From<StartedV3<'a>> for StartedV4<'a> {
    fn from(old: StartedV3<'a>) -> Self {
        Self {
            id: old.id,
            workflow: old.workflow,
            version: old.version,
            definition: old.definition,
            input: old.input,
            by: old.by,
            at_micros: old.at_micros,
            deadline_micros: old.deadline_micros,
            priority: old.priority,
            parent: old.parent,
            lineage: old.lineage,
            trigger: old.trigger,
            subject: None,
        }
    }
}

impl<'a> From<StartedV4<'a>> for StartedV5<'a> {
    fn from(old: StartedV4<'a>) -> Self {
        Self {
            id: old.id,
            workflow: old.workflow,
            version: old.version,
            definition: old.definition,
            input: old.input,
            by: old.by,
            at_micros: old.at_micros,
            deadline_micros: old.deadline_micros,
            priority: old.priority,
            parent: old.parent,
            lineage: old.lineage,
            trigger: old.trigger,
            subject: old.subject,
            form: FormV1::Text,
        }
    }
}

impl<'a> From<StartedV5<'a>> for StartedV6<'a> {
    fn from(old: StartedV5<'a>) -> Self {
        Self {
            id: old.id,
            workflow: old.workflow,
            version: old.version,
            definition: old.definition,
            input: old.input,
            by: old.by,
            at_micros: old.at_micros,
            deadline_micros: old.deadline_micros,
            priority: old.priority,
            parent: old.parent,
            lineage: old.lineage,
            trigger: old.trigger,
            subject: old.subject,
            form: old.form,
            again: None,
        }
    }
}

pub(super) fn freeze(start: &Start) -> Result<Encoded, String> {
    let Start { id, workflow, version, definition, input, by, at, deadline, priority, .. } = start;
    let Start { parent, lineage, trigger, subject, form, again, .. } = start;
    write(&StartedV6 {
        id: id.as_uuid().into_bytes(),
        workflow: workflow.as_uuid().into_bytes(),
        version: *version,
        definition: DefinitionV3::freeze(definition)?,
        input: JsonV1::freeze(input)?,
        by: ActorV1::freeze(by),
        at_micros: at.as_micros(),
        deadline_micros: deadline.map(Timestamp::as_micros),
        priority: *priority,
        parent: parent.as_ref().map(ParentV1::freeze),
        lineage: lineage.as_ref().map(LineageV1::freeze),
        trigger: trigger.as_ref().map(FiringV1::freeze),
        subject: subject.map(|subject| subject.as_uuid().into_bytes()),
        form: FormV1::freeze(*form),
        again: again.as_ref().map(AgainV1::freeze),
    })
}

impl Thaw for StartedV6<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Started(Box::new(Start {
            id: RunId::from_uuid(Uuid::from_bytes(self.id)),
            workflow: WorkflowId::from_uuid(Uuid::from_bytes(self.workflow)),
            version: self.version,
            definition: Arc::new(self.definition.thaw()?),
            input: Arc::new(self.input.thaw()?),
            by: self.by.thaw(),
            at: moment(self.at_micros),
            deadline: self.deadline_micros.map(moment),
            priority: self.priority,
            parent: self.parent.map(ParentV1::thaw).transpose()?,
            lineage: self.lineage.map(LineageV1::thaw).transpose()?,
            trigger: self.trigger.map(FiringV1::thaw),
            subject: self.subject.map(|subject| SubjectId::from_uuid(Uuid::from_bytes(subject))),
            form: self.form.thaw(),
            again: self.again.map(AgainV1::thaw),
        }))
        .into())
    }
}

impl<'a> ParentV1<'a> {
    fn freeze(parent: &'a Parent) -> Self {
        let Parent { run, step, depth } = parent;
        Self { run: run.as_uuid().into_bytes(), step: step.as_str(), depth: *depth }
    }

    fn thaw(self) -> Result<Parent, String> {
        let run = RunId::from_uuid(Uuid::from_bytes(self.run));
        Ok(Parent { run, step: checked(self.step)?, depth: self.depth })
    }
}

impl<'a> StepOverrideV1<'a> {
    fn freeze(change: &'a StepOverride) -> Self {
        let StepOverride { step, agent, template } = change;
        let (agent, template) = (agent.as_ref().map(Assignee::as_str), template.as_ref().map(Key::as_str));
        Self { step: step.as_str(), agent, template }
    }

    fn thaw(self) -> Result<StepOverride, String> {
        Ok(StepOverride {
            step: checked(self.step)?,
            agent: self.agent.map(checked).transpose()?,
            template: self.template.map(checked).transpose()?,
        })
    }
}

impl<'a> LineageV1<'a> {
    fn freeze(lineage: &'a Lineage) -> Self {
        let Lineage { run, revision, kind, kept, overrides: Overrides { model, steps } } = lineage;
        Self {
            run: run.as_uuid().into_bytes(),
            revision: *revision,
            kind: match kind {
                LineageKind::Retry => LineageKindV1::Retry,
                LineageKind::Rerun => LineageKindV1::Rerun,
                LineageKind::Fork => LineageKindV1::Fork,
            },
            kept: kept.iter().map(StepName::as_str).collect(),
            model: model.as_deref(),
            steps: steps.iter().map(StepOverrideV1::freeze).collect(),
        }
    }

    fn thaw(self) -> Result<Lineage, String> {
        let steps = self.steps.into_iter().map(StepOverrideV1::thaw).collect::<Result<_, _>>()?;
        Ok(Lineage {
            run: RunId::from_uuid(Uuid::from_bytes(self.run)),
            revision: self.revision,
            kind: match self.kind {
                LineageKindV1::Retry => LineageKind::Retry,
                LineageKindV1::Rerun => LineageKind::Rerun,
                LineageKindV1::Fork => LineageKind::Fork,
            },
            kept: all(&self.kept)?,
            overrides: Overrides { model: self.model.map(str::to_owned), steps },
        })
    }
}

impl<'a> FiringV1<'a> {
    fn freeze(firing: &'a Firing) -> Self {
        let Firing { trigger, cause } = firing;
        Self { trigger: trigger.as_uuid().into_bytes(), cause }
    }

    fn thaw(self) -> Firing {
        Firing { trigger: TriggerId::from_uuid(Uuid::from_bytes(self.trigger)), cause: self.cause.to_owned() }
    }
}

impl<'a> AgainV1<'a> {
    fn freeze(again: &'a Again) -> Self {
        let Again { task, template_version, agent_version, model } = again;
        Self {
            task: task.as_uuid().into_bytes(),
            template_version: *template_version,
            agent_version: *agent_version,
            model: model.as_deref(),
        }
    }

    fn thaw(self) -> Again {
        Again {
            task: TaskId::from_uuid(Uuid::from_bytes(self.task)),
            template_version: self.template_version,
            agent_version: self.agent_version,
            model: self.model.map(str::to_owned),
        }
    }
}
