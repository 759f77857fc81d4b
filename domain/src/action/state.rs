use serde::{Deserialize, Serialize};

use super::ActionEvent;
use crate::task::ActionItem;
use crate::{ActionId, RunId, SubjectId, Timestamp};

/// How far an action item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// Nobody has begun.
    #[default]
    Open,
    /// Somebody is at it.
    InProgress,
    /// It is done.
    Done,
    /// It will not be done.
    Dismissed,
}

impl ActionState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Open, Self::InProgress, Self::Done, Self::Dismissed];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::Done => "done",
            Self::Dismissed => "dismissed",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nobody has to do anything any more.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Dismissed)
    }
}

/// An action item as a run asked for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its name.
    pub id: ActionId,
    /// The run that asked for it.
    pub run: RunId,
    /// What, by whom, until when.
    pub item: ActionItem,
    /// The person whom that run is about.
    pub subject: Option<SubjectId>,
}

/// What is true of an action item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// How far it is.
    pub state: ActionState,
    /// Who does it.
    pub owner: Option<String>,
    /// Until when: a date as `2026-12-31`, or what a model wrote in the place of one.
    pub due: Option<String>,
    /// What there is to say about it.
    pub note: Option<String>,
}

impl Standing {
    /// What is true of an item that nobody has changed yet.
    #[must_use]
    pub fn opened(item: &ActionItem) -> Self {
        Self { state: ActionState::Open, owner: item.owner.clone(), due: item.due.clone(), note: None }
    }
}

/// The day of a due date, counted from 1970-01-01; nothing when it is no date.
#[must_use]
pub fn day_of(due: &str) -> Option<i64> {
    let date: jiff::civil::Date = due.parse().ok().filter(|_| due.len() == 10)?;
    let epoch = jiff::civil::date(1970, 1, 1);
    Some(i64::from((date - epoch).get_days()))
}

/// An action item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Action {
    standing: Option<Standing>,
    changed_at: Option<Timestamp>,
}

impl Action {
    /// What is true of it, once somebody has changed it.
    #[must_use]
    pub const fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// When it was changed last.
    #[must_use]
    pub const fn changed_at(&self) -> Option<Timestamp> {
        self.changed_at
    }

    pub(super) fn fold(&mut self, event: ActionEvent) {
        match event {
            ActionEvent::Changed { state, owner, due, note, at, .. } => {
                self.standing = Some(Standing { state, owner, due, note });
                self.changed_at = Some(at);
            }
        }
    }
}
