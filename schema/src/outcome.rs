//! What tasks end in: the parts of their outputs, and how good they are.

use async_graphql::{Enum, SimpleObject};
use domain::task;

use crate::scalar::Json;

/// The output of a task, part by part. A part that the model did not give is null; an empty list says that the model said
/// there is nothing of that kind.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct OutputParts {
    /// The essence, in a few sentences.
    summary: Option<String>,
    /// What was asked for, as Markdown. Where a model kept to no form, all that it said.
    results: String,
    /// Structured data that came with the results.
    data: Option<Json>,
    /// What would make the results better.
    improvements: Option<Vec<String>>,
    /// What a professional of the field would find fault with.
    critique: Option<String>,
    /// What could be done instead.
    alternatives: Option<Vec<String>>,
    /// What somebody has to do now.
    actions: Option<Vec<ActionItem>>,
    /// What the author gives itself.
    rating: Option<Rating>,
}

/// Something that has to be done.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ActionItem {
    /// What.
    what: String,
    /// By whom, as it was written.
    owner: Option<String>,
    /// Until when: a date as `2026-12-31` where one was written, else as it was written.
    due: Option<String>,
    /// How pressing it is.
    priority: Option<ActionPriority>,
}

/// How pressing something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "task::Priority")]
pub(crate) enum ActionPriority {
    /// Before other things.
    High,
    /// As usual.
    Medium,
    /// When there is time.
    Low,
}

/// A mark with its parts.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Rating {
    /// The whole, 1 to 10.
    score: f64,
    /// What it is made of, as far as that was said.
    parts: Vec<RatingPart>,
}

/// One part of a mark.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RatingPart {
    /// Of what.
    name: String,
    /// The mark, 1 to 10.
    score: f64,
}

/// How good an answer is by what a program can decide.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Quality {
    /// The share of what was checked that holds, 1 for nothing of it to 10 for all of it.
    score: f64,
    /// Everything that was checked.
    checks: Vec<QualityCheck>,
}

/// Something that a program has checked about an answer.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct QualityCheck {
    /// The item of the template's checklist, from 0; null for what is checked of every answer.
    item: Option<u32>,
    /// What was checked.
    what: String,
    /// Whether it holds.
    holds: bool,
}

fn mark(score: task::Score) -> f64 {
    f64::from(score.hundredths()) / 100.0
}

impl From<&task::Output> for OutputParts {
    fn from(output: &task::Output) -> Self {
        let task::Output { summary, results, data, improvements, critique, alternatives, actions, rating } =
            output.clone();
        Self {
            summary,
            results,
            data: data.map(async_graphql::Json),
            improvements,
            critique,
            alternatives,
            actions: actions.map(|actions| actions.into_iter().map(ActionItem::from).collect()),
            rating: rating.map(|rating| Rating {
                score: mark(rating.score),
                parts: rating.parts.into_iter().map(RatingPart::from).collect(),
            }),
        }
    }
}

impl From<task::RatingPart> for RatingPart {
    fn from(part: task::RatingPart) -> Self {
        Self { name: part.name, score: mark(part.score) }
    }
}

impl From<task::ActionItem> for ActionItem {
    fn from(action: task::ActionItem) -> Self {
        let task::ActionItem { what, owner, due, priority } = action;
        Self { what, owner, due, priority: priority.map(ActionPriority::from) }
    }
}

impl From<&task::Quality> for Quality {
    fn from(quality: &task::Quality) -> Self {
        let check =
            |check: &task::Checked| QualityCheck { item: check.item, what: check.what.clone(), holds: check.holds };
        Self { score: mark(quality.score), checks: quality.checks.iter().map(check).collect() }
    }
}
