//! How good the answer of a completed task is, by everybody who has said so: programs, a judge, people.
//!
//! Invariant: of one person only the last rating counts; the ones before it stay in the history.

use serde::{Deserialize, Serialize};

use super::output::{Quality, Score};
use crate::{Actor, AgentId, RunId, Timestamp};

/// What somebody gives the answer of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRating {
    /// Who.
    pub by: Actor,
    /// The mark.
    pub mark: Score,
    /// In their words; empty when they say nothing.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}

/// What a judge gives the answer of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The run in which the judge was asked; its tasks hold what was said, and what it cost.
    pub run: RunId,
    /// The agent that judged.
    pub agent: AgentId,
    /// The model that judged, as its platform names it.
    pub model: String,
    /// The model whose answer it is, as its platform names it.
    pub author: String,
    /// How often the judge was asked.
    pub asked: u32,
    /// The marks that came of it, in the order of the samples; at least one.
    pub marks: Vec<Score>,
    /// When.
    pub at: Timestamp,
}

impl Judgement {
    /// The mark in the middle.
    #[must_use]
    pub fn median(&self) -> Option<Score> {
        Score::median(&self.marks)
    }

    /// How far the marks lie apart, in hundredths.
    #[must_use]
    pub fn spread(&self) -> u16 {
        let marks = || self.marks.iter().map(|mark| mark.hundredths());
        marks().max().unwrap_or(0).saturating_sub(marks().min().unwrap_or(0))
    }
}

/// A judge that was asked and brought no mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedJudgement {
    /// The run in which it was asked; `None` when it could not be asked at all.
    pub run: Option<RunId>,
    /// Why there is no mark.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What a new verdict makes of the quality that an agent's task counts for, so that whoever keeps averages needs to know
/// no more than the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// Whose task it is.
    pub agent: AgentId,
    /// When the task completed; its quality counts as of then.
    pub completed_at: Timestamp,
    /// What it counted for before; `None` when nobody had said anything.
    pub from: Option<Score>,
    /// What it counts for now.
    pub to: Score,
}

/// Who says how good an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualitySource {
    /// A program: the items of the template's checklist that say how they are checked.
    Checks,
    /// A judge: a model that was asked several times.
    Judge,
    /// People.
    People,
}

impl QualitySource {
    /// Every source, the one that counts least first.
    pub const ALL: [Self; 3] = [Self::Checks, Self::Judge, Self::People];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checks => "checks",
            Self::Judge => "judge",
            Self::People => "people",
        }
    }
}

/// What one source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QualityPart {
    /// Who says so.
    pub source: QualitySource,
    /// The mark; the median when there are several.
    pub mark: Score,
    /// How many marks it is made of; for checks, how many checks.
    pub count: u32,
    /// How far the marks lie apart, in hundredths; 0 for checks.
    pub spread: u16,
}

/// How good an answer is, with where that comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Every source that says something, the one that counts least first; at least one.
    parts: Vec<QualityPart>,
}

impl Standing {
    /// From what each source says; nothing when none of them does.
    #[must_use]
    pub fn of(checks: Option<&Quality>, judgement: Option<&Judgement>, ratings: &[PersonRating]) -> Option<Self> {
        let count = |many: usize| u32::try_from(many).unwrap_or(u32::MAX);
        let checks = checks.map(|quality| QualityPart {
            source: QualitySource::Checks,
            mark: quality.score,
            count: count(quality.checks.len()),
            spread: 0,
        });
        let judge = judgement.and_then(|judgement| {
            let (mark, spread) = (judgement.median()?, judgement.spread());
            Some(QualityPart { source: QualitySource::Judge, mark, count: count(judgement.marks.len()), spread })
        });
        let marks: Vec<Score> = ratings.iter().map(|rating| rating.mark).collect();
        let spread = |marks: &[Score]| {
            let (least, most) = (marks.iter().min()?.hundredths(), marks.iter().max()?.hundredths());
            most.checked_sub(least)
        };
        let people = Score::median(&marks).map(|mark| QualityPart {
            source: QualitySource::People,
            mark,
            count: count(marks.len()),
            spread: spread(&marks).unwrap_or(0),
        });
        let parts: Vec<QualityPart> = [checks, judge, people].into_iter().flatten().collect();
        (!parts.is_empty()).then_some(Self { parts })
    }

    /// Every source that says something, the one that counts least first.
    #[must_use]
    pub fn parts(&self) -> &[QualityPart] {
        &self.parts
    }

    /// The one that counts: what people say, or else the judge, or else the checks.
    #[must_use]
    pub fn counting(&self) -> Option<&QualityPart> {
        self.parts.last()
    }
}

/// One version of an answer that was reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The attempt that brought it, whose reply is all of it.
    pub attempt: u32,
    /// Its mark by the checks; `None` when there is nothing to check.
    pub checks: Option<Score>,
    /// What its author gives it; `None` when it did not say.
    pub own: Option<Score>,
}

impl Version {
    /// Whether it is better than another one: by the checks, and between equals by what the authors give themselves.
    /// What was not said is worse than whatever was.
    #[must_use]
    pub fn beats(&self, other: &Self) -> bool {
        (self.checks, self.own) > (other.checks, other.own)
    }
}

/// What became of reviewing an answer: the versions that there were, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The versions, at least one; a revision that brought none is not among them.
    pub versions: Vec<Version>,
    /// How many revisions were asked for.
    pub rounds: u32,
}

impl Review {
    /// The best version, of equals the first.
    #[must_use]
    pub fn best(&self) -> Option<&Version> {
        self.versions.iter().reduce(|best, version| if version.beats(best) { version } else { best })
    }

    /// By how many hundredths the checks rate the best version above the first; `None` when there is nothing to check.
    #[must_use]
    pub fn gain(&self) -> Option<i32> {
        let (first, best) = (self.versions.first()?.checks?, self.best()?.checks?);
        i32::from(best.hundredths()).checked_sub(i32::from(first.hundredths()))
    }
}
