//! What a task ends in: one form for every agent, template and model.
//!
//! Invariant: nothing in it is invented. A part that the model did not give is `None`; an empty list says that the model
//! said there is nothing of that kind.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How much of the output layer is asked for in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Answers as the templates ask for them.
    Text,
    /// Every part, of the steps on which no other step waits.
    Last,
    /// Every part, of every step.
    #[default]
    Every,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Text, Self::Last, Self::Every];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Last => "last",
            Self::Every => "every",
        }
    }
}

/// The output of a task, part by part.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Output {
    /// The essence, in a few sentences.
    pub summary: Option<String>,
    /// What was asked for, as Markdown. Where a model kept to no form, all that it said.
    pub results: String,
    /// Structured data that came with the results.
    pub data: Option<Value>,
    /// What would make the results better.
    pub improvements: Option<Vec<String>>,
    /// What a professional of the field would find fault with.
    pub critique: Option<String>,
    /// What could be done instead.
    pub alternatives: Option<Vec<String>>,
    /// What somebody has to do now.
    pub actions: Option<Vec<ActionItem>>,
    /// What the author gives itself.
    pub rating: Option<Rating>,
}

impl Output {
    /// Whether the model gave every part; what it said there is nothing of is given.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let texts = [&self.summary, &self.critique].into_iter().all(Option::is_some);
        let lists = [&self.improvements, &self.alternatives].into_iter().all(Option::is_some);
        texts && lists && self.actions.is_some() && self.rating.is_some()
    }
}

/// Something that has to be done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ActionItem {
    /// What.
    pub what: String,
    /// By whom, as it was written.
    pub owner: Option<String>,
    /// Until when: a date as `2026-12-31` where one was written, else as it was written.
    pub due: Option<String>,
    /// How pressing it is.
    pub priority: Option<Priority>,
}

/// How pressing something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before other things.
    High,
    /// As usual.
    Medium,
    /// When there is time.
    Low,
}

impl Priority {
    /// Every priority.
    pub const ALL: [Self; 3] = [Self::High, Self::Medium, Self::Low];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// A mark from 1 to 10, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Score(u16);

impl Score {
    /// The lowest mark, 1.
    pub const LOWEST: Self = Self(100);
    /// The highest mark, 10.
    pub const HIGHEST: Self = Self(1000);

    /// The mark of so many hundredths; `None` beyond 1 to 10.
    #[must_use]
    pub fn of_hundredths(hundredths: u16) -> Option<Self> {
        (Self::LOWEST.0..=Self::HIGHEST.0).contains(&hundredths).then_some(Self(hundredths))
    }

    /// The mark of what has reached `reached` of `all`, between the lowest for none of it and the highest for all of it;
    /// `None` when there was nothing to reach.
    #[must_use]
    pub fn of_share(reached: u32, all: u32) -> Option<Self> {
        let part = u64::from(reached.min(all)).checked_mul(900)?.checked_div(u64::from(all))?;
        Self::of_hundredths(u16::try_from(part).ok()?.checked_add(100)?)
    }

    /// The mark in the middle; between the two in the middle when they are even in number, rounded up. Nothing of nothing.
    #[must_use]
    pub fn median(marks: &[Self]) -> Option<Self> {
        let mut marks: Vec<u16> = marks.iter().map(|mark| mark.0).collect();
        marks.sort_unstable();
        let upper = *marks.get(marks.len() / 2)?;
        let lower = *marks.get(marks.len().saturating_sub(1) / 2)?;
        // Both are at most 1000, so their sum fits.
        Self::of_hundredths(upper.checked_add(lower)?.div_ceil(2))
    }

    /// In hundredths, 100 to 1000.
    #[must_use]
    pub const fn hundredths(self) -> u16 {
        self.0
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.0.checked_div(100).unwrap_or(0), self.0.checked_rem(100).unwrap_or(0));
        match (whole, rest) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, rest) if rest.is_multiple_of(10) => write!(f, "{whole}.{}", rest / 10),
            (whole, rest) => write!(f, "{whole}.{rest:02}"),
        }
    }
}

/// A mark with its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    /// The whole.
    pub score: Score,
    /// What it is made of, as far as that was said.
    pub parts: Vec<RatingPart>,
}

/// One part of a mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatingPart {
    /// Of what.
    pub name: String,
    /// The mark.
    pub score: Score,
}

/// How good an answer is by what a program can decide about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// The share of what was checked that holds.
    pub score: Score,
    /// Everything that was checked.
    pub checks: Vec<Checked>,
}

/// Something that a program has checked about an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The item of the template's checklist, from 0; `None` for what is checked of every answer.
    pub item: Option<u32>,
    /// What was checked, for people.
    pub what: String,
    /// Whether it holds.
    pub holds: bool,
}
