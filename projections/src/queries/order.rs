//! Lists in other orders than their usual one.
//!
//! A list is read in two steps: first the places of the page, by a statement of the order's own that an index can
//! answer, then the rows. An entry that has no value to be sorted by stands below all that have one, unless its order
//! says otherwise; entries with the same value stand in the order of their ids, so every place is unique.

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Page, Window};
use crate::{ActionRow, ApprovalRow, AttemptRow, HoldRow, RunRow, TaskRow, TemplateRow, WorkflowRow};

/// Greater than every text that a list is sorted by: no name begins with this, which is no character.
const GREATEST: &str = "\u{10FFFF}\u{10FFFF}";

/// What a place of a list is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortKey {
    /// A moment, a duration, a cost.
    Number(i64),
    /// A name.
    Text(String),
}

impl From<i64> for SortKey {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for SortKey {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A place in a sorted list: the value, and what tells entries with the same value apart.
pub type Place<T = Uuid> = (SortKey, T);

impl<T: Clone> Window<Place<T>> {
    /// The places between which the rows of a list by numbers stand; a place by a text bounds nothing.
    pub(super) fn numbers(&self, least: T, most: T) -> ((i64, T), (i64, T)) {
        let bound = |place: Option<&Place<T>>, none: (i64, T)| match place {
            Some((SortKey::Number(number), tie)) => (*number, tie.clone()),
            _ => none,
        };
        (bound(self.after.as_ref(), (i64::MIN, least)), bound(self.before.as_ref(), (i64::MAX, most)))
    }

    /// The places between which the rows of a list by texts stand; a place by a number bounds nothing.
    pub(super) fn texts(&self, least: T, most: T) -> ((String, T), (String, T)) {
        let bound = |place: Option<&Place<T>>, none: (&str, T)| match place {
            Some((SortKey::Text(text), tie)) => (text.clone(), tie.clone()),
            _ => (none.0.to_owned(), none.1),
        };
        (bound(self.after.as_ref(), ("", least)), bound(self.before.as_ref(), (GREATEST, most)))
    }
}

/// Reads the places of a page, in ascending order or from its end backwards: `$page` makes the statement from the sort
/// key, its type, its direction and the bounds.
macro_rules! placed {
    ($window:expr, $least:expr, $most:expr, $page:ident, number $key:literal) => {{
        let (lower, upper) = $window.numbers($least, $most);
        if $window.from_end {
            $page!($key, "bigint", " DESC", lower, upper)
        } else {
            $page!($key, "bigint", "", lower, upper)
        }
    }};
    ($window:expr, $least:expr, $most:expr, $page:ident, text $key:literal) => {{
        let (lower, upper) = $window.texts($least, $most);
        if $window.from_end {
            $page!($key, "text", " DESC", lower, upper)
        } else {
            $page!($key, "text", "", lower, upper)
        }
    }};
}
pub(super) use placed;

/// The rows of the places of a page; what is gone by now is left out.
pub(super) fn attach<T: Clone + Eq + Hash, R>(
    page: Page<Place<T>>,
    rows: Vec<R>,
    tie: impl Fn(&R) -> T,
) -> Page<(Place<T>, R)> {
    let mut rows: HashMap<T, R> = rows.into_iter().map(|row| (tie(&row), row)).collect();
    let found = page.rows.into_iter().filter_map(|place| rows.remove(&place.1).map(|row| (place, row)));
    Page { rows: found.collect(), has_more: page.has_more }
}

/// A page of rows that are all at hand, each with its place, in the order of these; no two rows may have the same one.
#[must_use]
pub fn sorted<K: Ord, R>(rows: Vec<(K, R)>, window: &Window<K>) -> Page<(K, R)> {
    let after = |place: &K| window.after.as_ref().is_none_or(|after| place > after);
    let before = |place: &K| window.before.as_ref().is_none_or(|before| place < before);
    let mut rows: Vec<_> = rows.into_iter().filter(|(place, _)| after(place) && before(place)).collect();
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    if window.from_end {
        rows.reverse();
    }
    let wanted = usize::try_from(window.probe()).unwrap_or(usize::MAX);
    rows.truncate(wanted);
    Page::cut(rows, window)
}

/// What is sorted below everything that has a value.
const NOTHING: i64 = -1;

/// By what runs are sorted, besides when they started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKey {
    /// When they ended, the latest first; those that have not come last.
    Ended,
    /// How long they took, the longest first; those that have not ended come last.
    Duration,
    /// What their own tasks are known to have cost, the dearest first. Answered by the read model `usage`, whose
    /// position is one of its own.
    Cost,
    /// The workflow's key.
    Workflow,
}

impl RunKey {
    /// Whether the greatest comes first.
    #[must_use]
    pub fn descends(self) -> bool {
        matches!(self, Self::Ended | Self::Duration | Self::Cost)
    }

    /// The value of a run; nothing when the run alone does not say.
    pub(crate) fn of(self, row: &RunRow) -> Option<SortKey> {
        Some(match self {
            Self::Ended => row.ended_at.unwrap_or(NOTHING).into(),
            Self::Duration => row.ended_at.map_or(NOTHING, |ended| ended - row.started_at).into(),
            Self::Cost => return None,
            Self::Workflow => row.workflow_key.clone().into(),
        })
    }
}

/// By what tasks are sorted; the greatest always comes first, and those that have not ended come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TaskKey {
    /// When they were created.
    #[default]
    Created,
    /// When they ended.
    Ended,
    /// How long they took from their creation.
    Duration,
}

impl TaskKey {
    /// The value of a task.
    pub(crate) fn of(self, row: &TaskRow) -> SortKey {
        match self {
            Self::Created => row.created_at.into(),
            Self::Ended => row.ended_at.unwrap_or(NOTHING).into(),
            Self::Duration => row.ended_at.map_or(NOTHING, |ended| ended - row.created_at).into(),
        }
    }
}

/// By what attempts are sorted; the greatest always comes first, and those of which it is not known come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AttemptKey {
    /// When they started.
    #[default]
    Started,
    /// What they cost.
    Cost,
    /// How long the platform took.
    Duration,
}

impl AttemptKey {
    /// The value of an attempt; the same as in SQL.
    pub(crate) fn of(self, row: &AttemptRow) -> SortKey {
        match self {
            Self::Started => row.started_at.into(),
            Self::Cost => row.cost_nano_usd.unwrap_or(NOTHING).into(),
            Self::Duration => row.duration_ms.unwrap_or(NOTHING).into(),
        }
    }
}

/// By what the catalogue's lists are sorted, besides the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogKey {
    /// The English name or title, whatever the case.
    Name,
    /// The department's name.
    Department,
    /// When the first version was made, the latest first.
    Created,
    /// When something was changed, the latest first.
    Updated,
}

impl CatalogKey {
    /// Whether the greatest comes first.
    #[must_use]
    pub fn descends(self) -> bool {
        matches!(self, Self::Created | Self::Updated)
    }

    /// The name that statements know it by.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Department => "department",
            Self::Created => "created",
            Self::Updated => "updated",
        }
    }

    fn pick(self, name: &str, department: &str, created: i64, updated: i64) -> SortKey {
        SortKey::Text(match self {
            Self::Name => name.to_lowercase(),
            Self::Department => department.to_owned(),
            Self::Created => format!("{created:020}"),
            Self::Updated => format!("{updated:020}"),
        })
    }

    /// The value of a workflow; the same as in SQL.
    pub(crate) fn of_workflow(self, row: &WorkflowRow) -> SortKey {
        self.pick(&row.name, &row.department, row.created_at, row.updated_at)
    }

    /// The value of an agent; the same as in SQL.
    pub(crate) fn of_agent(self, row: &crate::AgentRow) -> SortKey {
        self.pick(&row.name, &row.department, row.created_at, row.updated_at)
    }

    /// The value of a template; the same as in SQL.
    pub(crate) fn of_template(self, row: &TemplateRow) -> SortKey {
        self.pick(&row.title, &row.department, row.created_at, row.updated_at)
    }
}

/// By what open approvals are sorted, besides when they were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalKey {
    /// When they expire, the soonest first; those that never do come last.
    Expires,
    /// The workflow's key.
    Workflow,
}

impl ApprovalKey {
    /// The value of an approval; the same as in SQL.
    pub(crate) fn of(self, row: &ApprovalRow) -> SortKey {
        match self {
            Self::Expires => row.expires_at.unwrap_or(NEVER).into(),
            Self::Workflow => row.workflow_key.clone().into(),
        }
    }
}

/// By what action items are sorted; the smallest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ActionKey {
    /// When they came to be, the latest first.
    #[default]
    Opened,
    /// When they were changed last, the latest first.
    Changed,
    /// When they are due, the soonest first; those that have no date come last.
    Due,
    /// How pressing they are, the most pressing first; those of which it is not said come with the usual ones.
    Priority,
}

/// Where what has no date stands among what has one.
const NEVER: i64 = i64::MAX - 1;

impl ActionKey {
    /// The place of an item.
    #[must_use]
    pub fn place(self, row: &ActionRow) -> Place<(Uuid, i32)> {
        (self.of(row), (row.task_id, row.number))
    }

    /// The value of an item; the same as in SQL.
    fn of(self, row: &ActionRow) -> SortKey {
        SortKey::Number(match self {
            Self::Opened => row.opened_at.saturating_neg(),
            Self::Changed => row.changed_at.saturating_neg(),
            Self::Due => row.due_day.unwrap_or(NEVER),
            Self::Priority => crate::actions::urgency(row.priority.as_deref()),
        })
    }
}

/// By what holds are sorted, besides when they were placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldKey {
    /// When they were lifted, the latest first; those that are in force come last.
    Lifted,
    /// The key of the workflow whose runs are paused; those of everything come first.
    Workflow,
}

impl HoldKey {
    /// Whether the greatest comes first.
    #[must_use]
    pub fn descends(self) -> bool {
        matches!(self, Self::Lifted)
    }

    /// The value of a time of a hold; the same as in SQL.
    pub(crate) fn of(self, row: &HoldRow) -> SortKey {
        match self {
            Self::Lifted => row.lifted_at.unwrap_or(NOTHING).into(),
            Self::Workflow => row.workflow_key.clone().unwrap_or_default().into(),
        }
    }
}

/// By what deliveries are sorted, besides the events that they are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryKey {
    /// When something was last recorded of them, the latest first.
    Changed,
}

/// What tells a task's row apart.
pub(super) fn of_task(row: &TaskRow) -> Uuid {
    row.id
}

/// What tells an attempt's row apart.
pub(super) fn of_attempt(row: &AttemptRow) -> (Uuid, i32) {
    (row.task_id, row.number)
}
