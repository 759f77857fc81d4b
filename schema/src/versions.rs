//! Two versions of a workflow beside each other.

use async_graphql::{Enum, SimpleObject};
use projections::{DefinitionDiff, FieldDiff, StepChange as Change};

use crate::scalar::Json;

/// What is different between two versions of a workflow.
#[derive(Debug, SimpleObject)]
pub(crate) struct WorkflowDiff {
    /// The earlier version.
    pub(crate) from: i32,
    /// The version that is compared with it.
    pub(crate) to: i32,
    /// What is different beside the steps.
    pub(crate) fields: Vec<FieldChange>,
    /// The steps that are different, in the order of the second version, then those that it does not have.
    pub(crate) steps: Vec<StepChange>,
}

/// A value that is different.
#[derive(Debug, SimpleObject)]
pub(crate) struct FieldChange {
    /// Where it stands in the definition as it is recorded, names joined by dots.
    path: String,
    /// What it was; null also when there was none.
    from: Option<Json>,
    /// What it is; null also when there is none.
    to: Option<Json>,
}

/// A step that is different.
#[derive(Debug, SimpleObject)]
pub(crate) struct StepChange {
    /// Its name.
    name: String,
    /// What became of it.
    change: StepChangeKind,
    /// What is different in a step that both versions have.
    fields: Vec<FieldChange>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum StepChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is not what it was.
    Changed,
}

impl WorkflowDiff {
    pub(crate) fn of(from: i32, to: i32, diff: DefinitionDiff) -> Self {
        let steps = diff.steps.into_iter().map(|step| StepChange {
            name: step.name,
            change: match step.change {
                Change::Added => StepChangeKind::Added,
                Change::Removed => StepChangeKind::Removed,
                Change::Changed => StepChangeKind::Changed,
            },
            fields: fields(step.fields),
        });
        Self { from, to, fields: fields(diff.fields), steps: steps.collect() }
    }
}

fn fields(fields: Vec<FieldDiff>) -> Vec<FieldChange> {
    let fields = fields.into_iter().map(|field| FieldChange {
        path: field.path,
        from: field.from.map(async_graphql::Json),
        to: field.to.map(async_graphql::Json),
    });
    fields.collect()
}
