//! Frozen events of tasks that say how good an answer is: what it was reviewed for, what people and judges give it.

use domain::task::{Judgement, Review, Score, Shift, Version};
use domain::{Actor, AgentId, Event, RunId, TaskEvent, Timestamp};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::output::{OutputV1, QualityV1, score};
use super::task::CompletedV2;
use super::values::{ActorV1, Id, moment};
use super::{Encoded, Thaw, write};

/// Says what became of reviewing the answer.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct CompletedV3<'a> {
    pub(super) attempt: u32,
    #[serde(borrow)]
    pub(super) output: Option<OutputV1<'a>>,
    #[serde(borrow)]
    pub(super) quality: Option<QualityV1<'a>>,
    pub(super) review: Option<ReviewV1>,
}

impl<'a> From<CompletedV2<'a>> for CompletedV3<'a> {
    fn from(old: CompletedV2<'a>) -> Self {
        Self { attempt: old.attempt, output: old.output, quality: old.quality, review: None }
    }
}

/// The versions that there were, and how many revisions were asked for.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ReviewV1 {
    versions: Vec<VersionV1>,
    rounds: u32,
}

/// One version; marks in hundredths.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct VersionV1 {
    attempt: u32,
    checks: Option<u16>,
    own: Option<u16>,
}

/// Somebody's rating; the mark in hundredths.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RatedV1<'a> {
    #[serde(borrow)]
    by: ActorV1<'a>,
    mark: u16,
    comment: &'a str,
    at_micros: i64,
    shift: Option<ShiftV1>,
}

/// What a verdict makes of the quality that a task counts for; marks in hundredths.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct ShiftV1 {
    agent: Id,
    completed_at_micros: i64,
    from: Option<u16>,
    to: u16,
}

/// A judge's verdict; marks in hundredths.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct JudgedV1<'a> {
    run: Id,
    agent: Id,
    model: &'a str,
    author: &'a str,
    asked: u32,
    marks: Vec<u16>,
    reason: &'a str,
    at_micros: i64,
    shift: Option<ShiftV1>,
}

/// Why a judge brought no mark.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct JudgingFailedV1<'a> {
    run: Option<Id>,
    reason: &'a str,
    at_micros: i64,
}

pub(super) fn freeze_rated(
    by: &Actor,
    mark: Score,
    comment: &str,
    at: Timestamp,
    shift: Option<&Shift>,
) -> Result<Encoded, String> {
    write(&RatedV1 {
        by: ActorV1::freeze(by),
        mark: mark.hundredths(),
        comment,
        at_micros: at.as_micros(),
        shift: shift.map(ShiftV1::freeze),
    })
}

pub(super) fn freeze_judged(judgement: &Judgement, reason: &str, shift: Option<&Shift>) -> Result<Encoded, String> {
    let Judgement { run, agent, model, author, asked, marks, at } = judgement;
    write(&JudgedV1 {
        run: run.as_uuid().into_bytes(),
        agent: agent.as_uuid().into_bytes(),
        model,
        author,
        asked: *asked,
        marks: marks.iter().map(|mark| mark.hundredths()).collect(),
        reason,
        at_micros: at.as_micros(),
        shift: shift.map(ShiftV1::freeze),
    })
}

pub(super) fn freeze_failed(run: Option<RunId>, reason: &str, at: Timestamp) -> Result<Encoded, String> {
    write(&JudgingFailedV1 { run: run.map(|run| run.as_uuid().into_bytes()), reason, at_micros: at.as_micros() })
}

impl ReviewV1 {
    pub(super) fn freeze(review: &Review) -> Self {
        let version = |Version { attempt, checks, own }: &Version| VersionV1 {
            attempt: *attempt,
            checks: checks.map(|mark| mark.hundredths()),
            own: own.map(|mark| mark.hundredths()),
        };
        Self { versions: review.versions.iter().map(version).collect(), rounds: review.rounds }
    }

    fn thaw(self) -> Result<Review, String> {
        let version = |version: VersionV1| {
            let VersionV1 { attempt, checks, own } = version;
            Ok(Version { attempt, checks: checks.map(score).transpose()?, own: own.map(score).transpose()? })
        };
        let versions = self.versions.into_iter().map(version).collect::<Result<_, String>>()?;
        Ok(Review { versions, rounds: self.rounds })
    }
}

impl ShiftV1 {
    fn freeze(shift: &Shift) -> Self {
        let Shift { agent, completed_at, from, to } = shift;
        Self {
            agent: agent.as_uuid().into_bytes(),
            completed_at_micros: completed_at.as_micros(),
            from: from.map(|mark| mark.hundredths()),
            to: to.hundredths(),
        }
    }

    fn thaw(self) -> Result<Shift, String> {
        Ok(Shift {
            agent: AgentId::from_uuid(Uuid::from_bytes(self.agent)),
            completed_at: moment(self.completed_at_micros),
            from: self.from.map(score).transpose()?,
            to: score(self.to)?,
        })
    }
}

impl Thaw for CompletedV3<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TaskEvent::Completed {
            attempt: self.attempt,
            output: self.output.map(OutputV1::thaw).transpose()?.map(Box::new),
            quality: self.quality.map(QualityV1::thaw).transpose()?.map(Box::new),
            review: self.review.map(ReviewV1::thaw).transpose()?.map(Box::new),
        }
        .into())
    }
}

impl Thaw for RatedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TaskEvent::Rated {
            by: self.by.thaw(),
            mark: score(self.mark)?,
            comment: self.comment.to_owned(),
            at: moment(self.at_micros),
            shift: self.shift.map(ShiftV1::thaw).transpose()?,
        }
        .into())
    }
}

impl Thaw for JudgedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        let judgement = Judgement {
            run: RunId::from_uuid(Uuid::from_bytes(self.run)),
            agent: AgentId::from_uuid(Uuid::from_bytes(self.agent)),
            model: self.model.to_owned(),
            author: self.author.to_owned(),
            asked: self.asked,
            marks: self.marks.into_iter().map(score).collect::<Result<_, _>>()?,
            at: moment(self.at_micros),
        };
        let shift = self.shift.map(ShiftV1::thaw).transpose()?;
        Ok(TaskEvent::Judged { judgement: Box::new(judgement), reason: self.reason.to_owned(), shift }.into())
    }
}

impl Thaw for JudgingFailedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TaskEvent::JudgingFailed {
            run: self.run.map(|run| RunId::from_uuid(Uuid::from_bytes(run))),
            reason: self.reason.to_owned(),
            at: moment(self.at_micros),
        }
        .into())
    }
}
