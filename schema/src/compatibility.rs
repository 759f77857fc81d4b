//! What would differ if runs had followed another version of their workflow.

use async_graphql::{Enum, Result, SimpleObject};
use commands::{Compatibility, Difference};
use serde_json::Value;
use uuid::Uuid;

use crate::scalar::{Count, Json};
use crate::status::RunStatus;

/// Runs of a workflow that were played again on another version, with the answers, decisions and signals that were
/// recorded. Nothing was called, and nothing recorded.
#[derive(Debug, SimpleObject)]
pub(crate) struct CompatibilityReport {
    /// How many runs are under way; `runs` has the newest of them, as many as were asked for.
    open: Count,
    /// How many runs were played again.
    checked: Count,
    /// How many of those would differ.
    differing: Count,
    /// Each of them, those under way first.
    runs: Vec<RunCompatibility>,
}

impl CompatibilityReport {
    pub(crate) fn of(open: i64, found: Vec<Compatibility>) -> Result<Self> {
        let count = |number: usize| Count::of(i64::try_from(number).unwrap_or(i64::MAX));
        let differing = found.iter().filter(|run| !run.differences.is_empty()).count();
        Ok(Self {
            open: Count::of(open),
            checked: count(found.len()),
            differing: count(differing),
            runs: found.into_iter().map(RunCompatibility::of).collect::<Result<_>>()?,
        })
    }
}

/// A run that was played again.
#[derive(Debug, SimpleObject)]
pub(crate) struct RunCompatibility {
    /// Which run.
    run_id: Uuid,
    /// The version that it follows, and goes on to follow.
    version: u32,
    /// Where it stands.
    status: RunStatus,
    /// Everything that would differ; empty when nothing would.
    differences: Vec<CompatibilityDifference>,
}

impl RunCompatibility {
    fn of(found: Compatibility) -> Result<Self> {
        Ok(Self {
            run_id: found.run.as_uuid(),
            version: found.version,
            status: RunStatus::of(found.status.name())?,
            differences: found.differences.into_iter().map(CompatibilityDifference::of).collect(),
        })
    }
}

/// In what a run would differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum DifferenceKind {
    /// The run could not have been started with its input; `problem` says why not.
    Input,
    /// A step that took place is not there any more.
    StepRemoved,
    /// A step would take place that did not.
    StepAdded,
    /// A step would be of another kind.
    StepKind,
    /// A task would be given something else.
    Parameters,
    /// A step would stand elsewhere.
    StepStatus,
    /// A step would have another output.
    StepOutput,
    /// The run would have another output.
    Output,
    /// The run would end otherwise.
    Status,
}

/// One thing that would differ.
#[derive(Debug, SimpleObject)]
pub(crate) struct CompatibilityDifference {
    /// In what.
    kind: DifferenceKind,
    /// Which step; null when it concerns the run as a whole.
    step: Option<String>,
    /// What it was; null where there is no such thing to compare.
    was: Option<Json>,
    /// What it would be; null where there is no such thing to compare, or it cannot be made.
    would_be: Option<Json>,
    /// Why the run could not have been started.
    problem: Option<String>,
}

impl CompatibilityDifference {
    fn of(difference: Difference) -> Self {
        let text = |word: &str| Value::String(word.to_owned());
        let bare = |kind| Self { kind, step: None, was: None, would_be: None, problem: None };
        let of_step = |kind, step: domain::StepName| Self { step: Some(step.to_string()), ..bare(kind) };
        let between = |found: Self, was: Value, would_be: Value| Self {
            was: Some(async_graphql::Json(was)),
            would_be: Some(async_graphql::Json(would_be)).filter(|value| !value.0.is_null()),
            ..found
        };
        match difference {
            Difference::Input { problem } => Self { problem: Some(problem), ..bare(DifferenceKind::Input) },
            Difference::StepRemoved { step } => of_step(DifferenceKind::StepRemoved, step),
            Difference::StepAdded { step } => of_step(DifferenceKind::StepAdded, step),
            Difference::StepKind { step, was, would_be } => {
                between(of_step(DifferenceKind::StepKind, step), Value::String(was), Value::String(would_be))
            }
            Difference::Parameters { step, was, would_be } => {
                between(of_step(DifferenceKind::Parameters, step), was, would_be)
            }
            Difference::StepStatus { step, was, would_be } => {
                between(of_step(DifferenceKind::StepStatus, step), text(was.name()), text(would_be.name()))
            }
            Difference::StepOutput { step, was, would_be } => {
                between(of_step(DifferenceKind::StepOutput, step), was, would_be)
            }
            Difference::Output { was, would_be } => between(bare(DifferenceKind::Output), was, would_be),
            Difference::Status { was, would_be } => {
                between(bare(DifferenceKind::Status), text(was.name()), text(would_be.name()))
            }
        }
    }
}
