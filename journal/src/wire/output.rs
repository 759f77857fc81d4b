//! Frozen outputs of tasks: what `task.completed` holds, and how much of it `run.started` asks for.

use domain::task::{ActionItem, Checked, Form, Output, Priority, Quality, Rating, RatingPart, Score};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{JsonV1, borrowed, owned};

/// How much of the output layer is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum FormV1 {
    Text,
    Last,
    Every,
}

impl FormV1 {
    pub(super) fn freeze(form: Form) -> Self {
        match form {
            Form::Text => Self::Text,
            Form::Last => Self::Last,
            Form::Every => Self::Every,
        }
    }

    pub(super) fn thaw(self) -> Form {
        match self {
            Self::Text => Form::Text,
            Self::Last => Form::Last,
            Self::Every => Form::Every,
        }
    }
}

/// The output of a task, part by part.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct OutputV1<'a> {
    #[serde(borrow)]
    summary: Option<&'a str>,
    results: &'a str,
    #[serde(borrow)]
    data: Option<JsonV1<'a>>,
    #[serde(borrow)]
    improvements: Option<Vec<&'a str>>,
    #[serde(borrow)]
    critique: Option<&'a str>,
    #[serde(borrow)]
    alternatives: Option<Vec<&'a str>>,
    #[serde(borrow)]
    actions: Option<Vec<ActionItemV1<'a>>>,
    #[serde(borrow)]
    rating: Option<RatingV1<'a>>,
}

/// Something that has to be done.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct ActionItemV1<'a> {
    what: &'a str,
    #[serde(borrow)]
    owner: Option<&'a str>,
    #[serde(borrow)]
    due: Option<&'a str>,
    priority: Option<PriorityV1>,
}

/// How pressing it is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
enum PriorityV1 {
    High,
    Medium,
    Low,
}

/// What the author gives itself; marks in hundredths, 100 to 1000.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct RatingV1<'a> {
    score: u16,
    #[serde(borrow)]
    parts: Vec<RatingPartV1<'a>>,
}

/// One part of a mark.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct RatingPartV1<'a> {
    name: &'a str,
    score: u16,
}

/// How good an answer is by what a program can decide.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct QualityV1<'a> {
    score: u16,
    #[serde(borrow)]
    checks: Vec<CheckedV1<'a>>,
}

/// Something that was checked.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct CheckedV1<'a> {
    item: Option<u32>,
    what: &'a str,
    holds: bool,
}

impl<'a> OutputV1<'a> {
    pub(super) fn freeze(output: &'a Output) -> Result<Self, String> {
        let Output { summary, results, data, improvements, critique, alternatives, actions, rating } = output;
        Ok(Self {
            summary: summary.as_deref(),
            results,
            data: data.as_ref().map(JsonV1::freeze).transpose()?,
            improvements: improvements.as_deref().map(borrowed),
            critique: critique.as_deref(),
            alternatives: alternatives.as_deref().map(borrowed),
            actions: actions.as_ref().map(|actions| actions.iter().map(ActionItemV1::freeze).collect()),
            rating: rating.as_ref().map(RatingV1::freeze),
        })
    }

    pub(super) fn thaw(self) -> Result<Output, String> {
        Ok(Output {
            summary: self.summary.map(str::to_owned),
            results: self.results.to_owned(),
            data: self.data.map(|data| data.thaw()).transpose()?,
            improvements: self.improvements.map(owned),
            critique: self.critique.map(str::to_owned),
            alternatives: self.alternatives.map(owned),
            actions: self.actions.map(|actions| actions.into_iter().map(ActionItemV1::thaw).collect()),
            rating: self.rating.map(RatingV1::thaw).transpose()?,
        })
    }
}

impl<'a> ActionItemV1<'a> {
    fn freeze(action: &'a ActionItem) -> Self {
        let ActionItem { what, owner, due, priority } = action;
        let priority = priority.map(|priority| match priority {
            Priority::High => PriorityV1::High,
            Priority::Medium => PriorityV1::Medium,
            Priority::Low => PriorityV1::Low,
        });
        Self { what, owner: owner.as_deref(), due: due.as_deref(), priority }
    }

    fn thaw(self) -> ActionItem {
        let priority = self.priority.map(|priority| match priority {
            PriorityV1::High => Priority::High,
            PriorityV1::Medium => Priority::Medium,
            PriorityV1::Low => Priority::Low,
        });
        let own = |text: Option<&str>| text.map(str::to_owned);
        ActionItem { what: self.what.to_owned(), owner: own(self.owner), due: own(self.due), priority }
    }
}

impl<'a> RatingV1<'a> {
    fn freeze(rating: &'a Rating) -> Self {
        let part = |RatingPart { name, score }: &'a RatingPart| RatingPartV1 { name, score: score.hundredths() };
        Self { score: rating.score.hundredths(), parts: rating.parts.iter().map(part).collect() }
    }

    fn thaw(self) -> Result<Rating, String> {
        let part = |part: RatingPartV1<'_>| Ok(RatingPart { name: part.name.to_owned(), score: score(part.score)? });
        let parts = self.parts.into_iter().map(part).collect::<Result<_, String>>()?;
        Ok(Rating { score: score(self.score)?, parts })
    }
}

impl<'a> QualityV1<'a> {
    pub(super) fn freeze(quality: &'a Quality) -> Self {
        let check = |Checked { item, what, holds }: &'a Checked| CheckedV1 { item: *item, what, holds: *holds };
        Self { score: quality.score.hundredths(), checks: quality.checks.iter().map(check).collect() }
    }

    pub(super) fn thaw(self) -> Result<Quality, String> {
        let check = |check: CheckedV1<'_>| {
            let CheckedV1 { item, what, holds } = check;
            Checked { item, what: what.to_owned(), holds }
        };
        Ok(Quality { score: score(self.score)?, checks: self.checks.into_iter().map(check).collect() })
    }
}

pub(super) fn score(hundredths: u16) -> Result<Score, String> {
    Score::of_hundredths(hundredths).ok_or_else(|| format!("{hundredths} hundredths are no mark from 1 to 10"))
}
