//! In which order lists come, and the cursors of lists that have several.
//!
//! Each order has a direction of its own, the one that is wanted first; `reversed` gives the other. A cursor holds the
//! order that it belongs to, so that it means nothing in another one.

use async_graphql::resolver_utils::EnumType;
use async_graphql::{Enum, Result};
use projections::{
    ActionKey, ApprovalKey, AttemptKey, CatalogKey, DeliveryKey, HoldKey, Page, Place, RelativeKey, RunKey, SortKey,
    TaskKey, UsageKey, Window, sorted,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{invalid, unreadable};
use crate::status::RunStatus;

/// The cursor of a list that has several orders: the list's own key in its usual order, else the name of the order and
/// the place in it.
pub(crate) type Cursor = serde_json::Value;

/// A page of such a list.
pub(crate) type Sorted<R> = Page<(Cursor, R)>;

/// The same window with the keys of the usual order.
pub(crate) fn usual<K: DeserializeOwned>(window: &Window<Cursor>) -> Result<Window<K>> {
    bounded(window, |cursor| serde_json::from_value(cursor.clone()).ok())
}

/// The same window with the places of another order.
pub(crate) fn placed<T: DeserializeOwned>(window: &Window<Cursor>, order: &str) -> Result<Window<Place<T>>> {
    bounded(window, |cursor| {
        let (of, key, tie): (String, SortKey, T) = serde_json::from_value(cursor.clone()).ok()?;
        (of == order).then_some((key, tie))
    })
}

fn bounded<K>(window: &Window<Cursor>, read: impl Fn(&Cursor) -> Option<K>) -> Result<Window<K>> {
    let bound = |name: &str, cursor: &Option<Cursor>| match cursor {
        None => Ok(None),
        Some(cursor) => read(cursor).map(Some).ok_or_else(|| {
            invalid(format!("`{name}` is no cursor of this list in this order; pass one that a page of it gave you"))
        }),
    };
    let (after, before) = (bound("after", &window.after)?, bound("before", &window.before)?);
    Ok(Window { after, before, limit: window.limit, from_end: window.from_end })
}

/// A page in the usual order, with its cursors.
pub(crate) fn usually<K: Serialize, R>(page: Page<R>, reversed: bool, key: impl Fn(&R) -> K) -> Result<Sorted<R>> {
    let page = page.turned(reversed);
    let cursors = page.rows.into_iter().map(|row| Ok((cursor(&key(&row))?, row)));
    Ok(Page { rows: cursors.collect::<Result<_>>()?, has_more: page.has_more })
}

/// A page in another order, with its cursors.
pub(crate) fn by_place<T: Serialize, R>(page: Page<(Place<T>, R)>, reversed: bool, order: &str) -> Result<Sorted<R>> {
    let page = page.turned(reversed);
    let cursors = page.rows.into_iter().map(|((key, tie), row)| Ok((cursor(&(order, key, tie))?, row)));
    Ok(Page { rows: cursors.collect::<Result<_>>()?, has_more: page.has_more })
}

/// Those that are wanted of a list that belongs to one entry, the last one first when it is reversed.
pub(crate) fn some_of<R>(mut rows: Vec<R>, reversed: bool, wanted: impl Fn(&R) -> bool) -> Vec<R> {
    rows.retain(wanted);
    if reversed {
        rows.reverse();
    }
    rows
}

/// A page of a list that is at hand as a whole, with its cursors: in the order of its keys, of which no two are the same.
pub(crate) fn held<K, R>(
    rows: Vec<R>,
    window: &Window<Cursor>,
    reversed: bool,
    order: &str,
    key: impl Fn(&R) -> K,
) -> Result<Sorted<R>>
where
    K: Ord + Clone + Serialize + DeserializeOwned,
{
    let asked = keyed(window, order)?;
    let rows = rows.into_iter().map(|row| (key(&row), row)).collect();
    by_key(sorted(rows, &asked.turned(reversed)), reversed, order)
}

/// The same window with the keys of an order of which no two are the same.
pub(crate) fn keyed<K: DeserializeOwned>(window: &Window<Cursor>, order: &str) -> Result<Window<K>> {
    bounded(window, |cursor| {
        let (of, key): (String, K) = serde_json::from_value(cursor.clone()).ok()?;
        (of == order).then_some(key)
    })
}

/// A page in such an order, with its cursors.
pub(crate) fn by_key<K: Serialize, R>(page: Page<(K, R)>, reversed: bool, order: &str) -> Result<Sorted<R>> {
    let page = page.turned(reversed);
    let cursors = page.rows.into_iter().map(|(key, row)| Ok((cursor(&(order, key))?, row)));
    Ok(Page { rows: cursors.collect::<Result<_>>()?, has_more: page.has_more })
}

fn cursor(place: &impl Serialize) -> Result<Cursor> {
    serde_json::to_value(place).map_err(|error| unreadable("place in a list", &error.to_string()))
}

macro_rules! orders {
    ($($(#[$doc:meta])* $name:ident of $key:ty {
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal $(=> $of:expr)?),* $(,)?
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        pub(crate) enum $name {
            $($(#[$variant_doc])* $variant),*
        }

        impl $name {
            /// What its cursors call it.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),*
                }
            }

            /// By what the read model sorts; nothing for the list's usual order.
            pub(crate) const fn key(self) -> Option<$key> {
                $($(if matches!(self, Self::$variant) {
                    return Some($of);
                })?)*
                None
            }
        }
    )*};
}

orders! {
    /// In which order runs come. What has no value to be sorted by yet comes last, or first when the order is reversed.
    RunOrder of RunKey {
        /// The one that started last first.
        Started = "started",
        /// The one that ended last first.
        Ended = "ended" => RunKey::Ended,
        /// The one that took longest first.
        Duration = "duration" => RunKey::Duration,
        /// The dearest first, by what is known of the costs of its own tasks.
        Cost = "cost" => RunKey::Cost,
        /// By the workflow's key.
        Workflow = "workflow" => RunKey::Workflow,
    }

    /// In which order tasks come. What has no value to be sorted by yet comes last, or first when the order is reversed.
    TaskOrder of TaskKey {
        /// The one that was created last first.
        Created = "created" => TaskKey::Created,
        /// The one that ended last first.
        Ended = "ended" => TaskKey::Ended,
        /// The one that took longest from its creation first.
        Duration = "duration" => TaskKey::Duration,
    }

    /// In which order attempts come. Those of which the value is not known come last, or first when the order is
    /// reversed.
    AttemptOrder of AttemptKey {
        /// The one that started last first.
        Started = "started" => AttemptKey::Started,
        /// The dearest first.
        Cost = "cost" => AttemptKey::Cost,
        /// The one that the platform took longest for first.
        Duration = "duration" => AttemptKey::Duration,
    }

    /// In which order the entries of the catalogue come.
    CatalogOrder of CatalogKey {
        /// By key.
        Key = "key",
        /// By English name or title, whatever the case.
        Name = "name" => CatalogKey::Name,
        /// By department.
        Department = "department" => CatalogKey::Department,
        /// The newest first.
        Created = "created" => CatalogKey::Created,
        /// The one that was changed last first.
        Updated = "updated" => CatalogKey::Updated,
    }

    /// In which order open approvals come.
    ApprovalOrder of ApprovalKey {
        /// The one that was asked longest ago first.
        Requested = "requested",
        /// The one that expires soonest first; those that never do come last, or first when the order is reversed.
        Expires = "expires" => ApprovalKey::Expires,
        /// By the workflow's key.
        Workflow = "workflow" => ApprovalKey::Workflow,
    }

    /// In which order action items come.
    ActionOrder of ActionKey {
        /// The one that came to be last first.
        Opened = "opened" => ActionKey::Opened,
        /// The one that was changed last first.
        Changed = "changed" => ActionKey::Changed,
        /// The one that is due soonest first; those without a date come last, or first when the order is reversed.
        Due = "due" => ActionKey::Due,
        /// The most pressing one first; those of which it is not said come with the usual ones.
        Priority = "priority" => ActionKey::Priority,
    }

    /// In which order holds come.
    HoldOrder of HoldKey {
        /// The one that was placed last first.
        Placed = "placed",
        /// The one that was lifted last first; those that are in force come last, or first when the order is reversed.
        Lifted = "lifted" => HoldKey::Lifted,
        /// By the workflow's key; those of everything come first.
        Workflow = "workflow" => HoldKey::Workflow,
    }

    /// In which order deliveries come.
    DeliveryOrder of DeliveryKey {
        /// Those about the latest events first.
        Event = "event",
        /// Those to which something happened last first.
        Changed = "changed" => DeliveryKey::Changed,
    }
}

/// In which order limits come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum LimitOrder {
    /// By key.
    Key,
    /// The one that was set last first.
    Set,
}

/// In which order triggers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum TriggerOrder {
    /// By key.
    Key,
    /// The one that fires next first; those that do not fire by themselves come last, or first when the order is
    /// reversed.
    Next,
    /// By the key of the workflow that it starts.
    Workflow,
    /// The one whose runs have failed most often in a row first.
    Failures,
}

/// In which order budgets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum BudgetOrder {
    /// By key.
    Key,
    /// The one of which the greatest part is used first; those that are counted for each run come last, or first when
    /// the order is reversed.
    Used,
    /// The one whose window ends first first; those without an end come last, or first when the order is reversed.
    Resets,
}

/// In which order webhooks come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum WebhookOrder {
    /// The oldest first.
    Subscribed,
    /// By address.
    Url,
}

/// In which order projectors come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum ProjectorOrder {
    /// By name.
    Name,
    /// The one that is furthest behind first; those of which it is not known come last, or first when the order is
    /// reversed.
    Lag,
    /// The one that was written down last first.
    Updated,
}

/// In which order AI platforms come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum PlatformOrder {
    /// By key.
    Key,
    /// The one that is doing worst first.
    Health,
    /// By their places among those that get work that names no platform; those that are not among them come last, or first
    /// when the order is reversed.
    Place,
}

/// In which order runs come that hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum RelatedRunOrder {
    /// By their places: in a tree each after the one that started it, in a lineage the one that it all goes back to first.
    Place,
    /// The one that started last first.
    Started,
    /// By where they stand, in the order of the statuses of runs; of those with the same, the one that started last first.
    Status,
}

impl RelatedRunOrder {
    /// By what the read model sorts.
    pub(crate) fn key(self) -> RelativeKey {
        let statuses = || RunStatus::items().iter().map(|known| known.value.name().to_owned()).collect();
        match self {
            Self::Place => RelativeKey::Place,
            Self::Started => RelativeKey::Started,
            Self::Status => RelativeKey::Status(statuses()),
        }
    }

    /// What its cursors call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Started => "started",
            Self::Status => "status",
        }
    }
}

/// In which order statuses come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum RunCountOrder {
    /// In the order of the statuses of runs.
    Status,
    /// The one with the most runs first.
    Count,
}

/// In which order groups are shown, and which are left out when there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum)]
pub(crate) enum UsageOrder {
    /// By their dimensions: days first, then by name.
    #[default]
    Group,
    /// The dearest first.
    Cost,
    /// Those with the most attempts first.
    Attempts,
    /// Those with the most tokens, of prompts and answers together, first.
    Tokens,
    /// Those with the most failed attempts first.
    Failed,
}

impl UsageOrder {
    pub(crate) const fn key(self) -> UsageKey {
        match self {
            Self::Group => UsageKey::Group,
            Self::Cost => UsageKey::Cost,
            Self::Attempts => UsageKey::Attempts,
            Self::Tokens => UsageKey::Tokens,
            Self::Failed => UsageKey::Failed,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_at_hand_is_paged_both_ways() {
        let words = || vec!["cat", "bee", "ant", "elk", "dog"];
        let page = |window: &Window<Cursor>, reversed| {
            let page = held(words(), window, reversed, "length", |word| (word.len(), (*word).to_owned())).unwrap();
            let cursors: Vec<Cursor> = page.rows.iter().map(|(cursor, _)| cursor.clone()).collect();
            (page.rows.into_iter().map(|(_, word)| word).collect::<Vec<_>>(), cursors, page.has_more)
        };
        let (shown, cursors, more) = page(&Window::first(2), false);
        assert_eq!((shown, more), (vec!["ant", "bee"], true));
        let bee = cursors.get(1).unwrap().clone();
        assert_eq!(page(&Window::first(9).after(bee.clone()), false).0, ["cat", "dog", "elk"]);
        assert_eq!(page(&Window::last(1).before(bee.clone()), false).0, ["ant"]);
        assert_eq!(page(&Window::last(2), false).0, ["dog", "elk"]);
        assert_eq!(page(&Window::first(2), true).0, ["elk", "dog"]);
        assert_eq!(page(&Window::first(2).after(bee.clone()), true).0, ["ant"]);
        assert_eq!(page(&Window::first(0), false), (vec![], vec![], true));
        // Of another order, or of another shape.
        assert!(held(words(), &Window::first(1).after(bee), false, "name", |word| (*word).to_owned()).is_err());
        assert!(held(words(), &Window::first(1).after(json!(7)), false, "name", |word| (*word).to_owned()).is_err());
    }

    #[test]
    fn a_cursor_means_nothing_in_another_order() {
        let place = (SortKey::Number(7), Uuid::from_u128(1));
        let page = by_place(Page { rows: vec![(place.clone(), ())], has_more: false }, false, "cost").unwrap();
        let window = Window::first(1).after(page.rows.first().unwrap().0.clone());
        assert_eq!(placed::<Uuid>(&window, "cost").unwrap().after, Some(place));
        assert!(placed::<Uuid>(&window, "ended").is_err());
        assert!(usual::<(i64, Uuid)>(&window).is_err());
        assert!(placed::<Uuid>(&Window::first(1).after(json!([7, Uuid::nil()])), "cost").is_err());
    }
}
