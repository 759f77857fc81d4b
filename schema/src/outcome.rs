//! What tasks end in: the parts of their outputs, and how good they are.

use async_graphql::{Enum, SimpleObject};
use domain::task;
use projections::RunQualityRow;
use uuid::Uuid;

use crate::run::moment;
use crate::scalar::{DateTime, Json};

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

/// How good an answer is, with where that comes from.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Quality {
    /// The mark that counts, 1 to 10: the median of what people give; when nobody has rated, the median of the judge's
    /// samples; when nobody has judged, the share of the checks that hold, 1 for none of them to 10 for all.
    score: f64,
    /// Who gives that mark.
    source: QualitySource,
    /// What each source gives, the one that counts least first.
    parts: Vec<QualityPart>,
    /// Everything that a program has checked.
    checks: Vec<QualityCheck>,
}

/// How good the answers of a run are together.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RunQuality {
    /// The average of the marks that count, one of each task that has any, 1 to 10.
    score: f64,
    /// How many tasks' marks come from people.
    people: u32,
    /// How many tasks' marks come from a judge, because nobody has rated them.
    judge: u32,
    /// How many tasks' marks come from checks, because nobody has rated or judged them.
    checks: u32,
}

impl From<RunQualityRow> for RunQuality {
    fn from(row: RunQualityRow) -> Self {
        let output::RunQuality { score, sources } = row.quality;
        Self { score: mark(score), people: sources.people, judge: sources.judge, checks: sources.checks }
    }
}

/// Who says how good an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "task::QualitySource")]
pub(crate) enum QualitySource {
    /// A program: the items of the template's checklist that say how they are checked.
    Checks,
    /// A judge: a model that was asked several times.
    Judge,
    /// People.
    People,
}

/// What one source gives an answer.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct QualityPart {
    /// Who.
    source: QualitySource,
    /// The mark, 1 to 10; the median when there are several.
    score: f64,
    /// How many marks it is made of; for checks, how many checks.
    count: u32,
    /// How far the marks lie apart; 0 for checks.
    spread: f64,
}

/// What somebody gives an answer.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct TaskRating {
    /// Who, as `kind:id`.
    pub(crate) by: String,
    /// The mark, 1 to 10.
    rating: f64,
    /// In their words; empty when they say nothing.
    comment: String,
    /// When.
    at: DateTime,
}

/// What a judge gives an answer.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Judgement {
    /// The run in which the judge was asked; its tasks hold what was said, and what it cost.
    run_id: Uuid,
    /// The id of the agent that judged.
    agent_id: Uuid,
    /// The model that judged, as its platform names it.
    model: String,
    /// The model whose answer it is, as its platform names it.
    author: String,
    /// How often the judge was asked.
    asked: u32,
    /// The marks that came of it, 1 to 10, in the order of the samples.
    scores: Vec<f64>,
    /// The mark in the middle.
    median: Option<f64>,
    /// How far the marks lie apart.
    spread: f64,
    /// Why, in the words of the sample that is nearest to the median.
    reason: String,
    /// When.
    at: DateTime,
}

/// A judge that was asked and brought no mark.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct FailedJudgement {
    /// The run in which it was asked; null when it could not be asked at all.
    run_id: Option<Uuid>,
    /// Why there is no mark.
    reason: String,
    /// When.
    at: DateTime,
}

/// What became of reviewing an answer.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Review {
    /// How many revisions were asked for.
    rounds: u32,
    /// The versions that there were, oldest first. The whole text of each is that of its attempt.
    versions: Vec<AnswerVersion>,
    /// By how much the checks rate the best version above the first; null when there is nothing to check.
    gain: Option<f64>,
}

/// One version of an answer.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AnswerVersion {
    /// The attempt that brought it.
    attempt: u32,
    /// Its mark by the checks, 1 to 10; null when there is nothing to check.
    checks: Option<f64>,
    /// What its author gives it, 1 to 10; null when it did not say.
    own: Option<f64>,
    /// Whether it is the best, which counts.
    counts: bool,
}

/// What an attempt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "task::Purpose")]
pub(crate) enum AttemptPurpose {
    /// The answer.
    Answer,
    /// The same answer in the form that was asked for.
    Form,
    /// A better answer, after the first was held against the checklist.
    Revision,
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

/// Hundredths of a mark as a number of marks.
fn hundredths(hundredths: impl Into<f64>) -> f64 {
    hundredths.into() / 100.0
}

impl Quality {
    /// How good the answer of a task is; nothing when nobody has said anything.
    pub(crate) fn of(task: &domain::Task) -> Option<Self> {
        let standing = task.standing()?;
        let counting = standing.counting()?;
        let check =
            |check: &task::Checked| QualityCheck { item: check.item, what: check.what.clone(), holds: check.holds };
        let part = |part: &task::QualityPart| QualityPart {
            source: part.source.into(),
            score: mark(part.mark),
            count: part.count,
            spread: hundredths(part.spread),
        };
        Some(Self {
            score: mark(counting.mark),
            source: counting.source.into(),
            parts: standing.parts().iter().map(part).collect(),
            checks: task.quality().iter().flat_map(|quality| &quality.checks).map(check).collect(),
        })
    }
}

impl From<&task::PersonRating> for TaskRating {
    fn from(rating: &task::PersonRating) -> Self {
        Self {
            by: rating.by.to_string(),
            rating: mark(rating.mark),
            comment: rating.comment.clone(),
            at: moment(rating.at.as_micros()),
        }
    }
}

impl Judgement {
    pub(crate) fn of(task: &domain::Task) -> Option<Self> {
        let judgement = task.judgement()?;
        Some(Self {
            run_id: judgement.run.as_uuid(),
            agent_id: judgement.agent.as_uuid(),
            model: judgement.model.clone(),
            author: judgement.author.clone(),
            asked: judgement.asked,
            scores: judgement.marks.iter().copied().map(mark).collect(),
            median: judgement.median().map(mark),
            spread: hundredths(judgement.spread()),
            reason: task.judge_reason().unwrap_or_default().to_owned(),
            at: moment(judgement.at.as_micros()),
        })
    }
}

impl From<&task::FailedJudgement> for FailedJudgement {
    fn from(failed: &task::FailedJudgement) -> Self {
        Self {
            run_id: failed.run.map(domain::RunId::as_uuid),
            reason: failed.reason.clone(),
            at: moment(failed.at.as_micros()),
        }
    }
}

impl From<&task::Review> for Review {
    fn from(review: &task::Review) -> Self {
        let best = review.best().map(|version| version.attempt);
        let version = |version: &task::Version| AnswerVersion {
            attempt: version.attempt,
            checks: version.checks.map(mark),
            own: version.own.map(mark),
            counts: Some(version.attempt) == best,
        };
        Self {
            rounds: review.rounds,
            versions: review.versions.iter().map(version).collect(),
            gain: review.gain().map(hundredths),
        }
    }
}
