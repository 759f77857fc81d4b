/// Which part of a sorted list is wanted. `K` is the sort key, which is unique.
///
/// Rows come in the list's own order whichever way the window is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window<K> {
    /// Only rows that stand after this key in the list's order.
    pub after: Option<K>,
    /// Only rows that stand before this key in the list's order.
    pub before: Option<K>,
    /// At most so many rows.
    pub limit: u32,
    /// Whether the rows are taken from the end of what `after` and `before` leave, instead of from its start.
    pub from_end: bool,
}

impl<K> Window<K> {
    /// The first `limit` rows.
    #[must_use]
    pub fn first(limit: u32) -> Self {
        Self { after: None, before: None, limit, from_end: false }
    }

    /// The last `limit` rows.
    #[must_use]
    pub fn last(limit: u32) -> Self {
        Self { after: None, before: None, limit, from_end: true }
    }

    /// The same window, starting after `key`.
    #[must_use]
    pub fn after(mut self, key: K) -> Self {
        self.after = Some(key);
        self
    }

    /// The same window, ending before `key`.
    #[must_use]
    pub fn before(mut self, key: K) -> Self {
        self.before = Some(key);
        self
    }

    /// The window of the list in its usual order that holds the same rows as this window of the reversed list; the same
    /// window when nothing is reversed. [`Page::turned`] brings its rows into the reversed order.
    #[must_use]
    pub fn turned(&self, reversed: bool) -> Self
    where
        K: Clone,
    {
        let (after, before) = (self.after.clone(), self.before.clone());
        if reversed {
            Self { after: before, before: after, limit: self.limit, from_end: !self.from_end }
        } else {
            Self { after, before, limit: self.limit, from_end: self.from_end }
        }
    }

    /// How many rows to ask the database for: one more than wanted shows whether there are more.
    pub(super) fn probe(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// Which elements of a step's list are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ItemWindow {
    /// The index of the first one that is looked at; `None` is the first of the list, or the last when reversed.
    pub from: Option<u32>,
    /// At most so many.
    pub limit: u32,
    /// The last one first.
    pub reversed: bool,
    /// Only at one of these statuses; empty means any.
    pub statuses: Vec<String>,
}

impl ItemWindow {
    /// At most `limit` elements, from the one with the index `from` on.
    #[must_use]
    pub fn from(from: u32, limit: u32) -> Self {
        Self { from: Some(from), limit, ..Self::default() }
    }

    /// Whether an element at this place, from 0, can be wanted.
    pub(crate) fn reaches(&self, place: i32) -> bool {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.from.is_none_or(|from| if self.reversed { place <= from } else { place >= from })
    }
}

/// Part of a sorted list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<R> {
    /// The rows, in the list's order.
    pub rows: Vec<R>,
    /// Whether there are more rows on the side that the limit cut: after the last row, or before the first when the
    /// rows were taken from the end.
    pub has_more: bool,
}

impl<R> Page<R> {
    /// The rows in the opposite order, when they are wanted so.
    #[must_use]
    pub fn turned(mut self, reversed: bool) -> Self {
        if reversed {
            self.rows.reverse();
        }
        self
    }

    /// From what [`Window::probe`] brought; rows taken from the end come in reverse.
    pub(crate) fn cut<K>(mut rows: Vec<R>, window: &Window<K>) -> Self {
        let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        if window.from_end {
            rows.reverse();
        }
        Self { rows, has_more }
    }
}
