use serde::{Deserialize, Serialize};

use crate::{Actor, Timestamp};

/// How many kinds of denials are counted apart.
pub const MAX_COUNTS: usize = 64;

/// Something that was asked for and refused. Who asked, and in what connection, the event's envelope says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// What was asked for: a command's name, or the method and route of a request.
    pub action: String,
    /// What it was asked of, by its key or id, where the request named one.
    pub on: Option<String>,
    /// Why it was refused: a stable code, which has a page in docs/errors.
    pub code: String,
    /// The web page that made a browser ask, by its origin, where that is why.
    pub from: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Denials that were too many to be recorded one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedMore {
    /// From when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How many of each kind, at most [`MAX_COUNTS`] kinds.
    pub counts: Vec<DeniedCount>,
    /// How many of all other kinds.
    pub others: u64,
}

/// How many denials were alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedCount {
    /// Who asked.
    pub by: Actor,
    /// What for.
    pub action: String,
    /// Why it was refused.
    pub code: String,
    /// How often.
    pub count: u64,
}

impl DeniedMore {
    /// How many there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(self.others, |sum, count| sum.saturating_add(count.count))
    }

    /// Whether there were none.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.total() == 0
    }
}

/// What can happen to the denials of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DenialEvent {
    /// Something was refused.
    Recorded(Denied),
    /// More was refused than is recorded one by one.
    Counted(DeniedMore),
}

impl DenialEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Recorded(_) => "denial.recorded",
            Self::Counted(_) => "denial.counted",
        }
    }
}
