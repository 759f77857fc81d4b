//! Relay-style pages over lists with a unique sort key (the GraphQL Cursor Connections specification).
//!
//! Cursors are opaque: they hold the sort key, so that a page stays right however the list grows.

use async_graphql::connection::{Connection, CursorType, Edge, OpaqueCursor};
use async_graphql::{OutputType, Result, SimpleObject};
use projections::{Page, Window};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::invalid;
use crate::scalar::Position;

/// How many entries a page has when nobody says.
pub(crate) const DEFAULT_PAGE: u32 = 50;
/// The most entries that a page may have.
pub(crate) const MAX_PAGE: u32 = 200;

/// What a page reflects.
#[derive(Debug, SimpleObject)]
pub(crate) struct Freshness {
    /// The journal's position that the page reflects at least.
    position: Position,
}

pub(crate) type Pages<K, N> = Connection<OpaqueCursor<K>, N, Freshness>;

/// The four arguments of every connection, as they come.
pub(crate) struct Arguments {
    pub(crate) after: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) first: Option<i32>,
    pub(crate) last: Option<i32>,
}

impl Arguments {
    /// The window that they ask for.
    pub(crate) fn window<K: Serialize + DeserializeOwned>(self) -> Result<Window<K>> {
        let (limit, from_end) = match (self.first, self.last) {
            (Some(_), Some(_)) => return Err(invalid("give either `first` or `last`, not both")),
            (None, Some(last)) => (limit("last", Some(last))?, true),
            (first, None) => (limit("first", first)?, false),
        };
        Ok(Window { after: cursor("after", self.after)?, before: cursor("before", self.before)?, limit, from_end })
    }
}

/// A page size that is within its limits.
pub(crate) fn limit(name: &str, asked: Option<i32>) -> Result<u32> {
    match asked.map(u32::try_from) {
        None => Ok(DEFAULT_PAGE),
        Some(Ok(asked)) if asked <= MAX_PAGE => Ok(asked),
        Some(_) => Err(invalid(format!("`{name}` must be 0 to {MAX_PAGE}"))),
    }
}

fn cursor<K: Serialize + DeserializeOwned>(name: &str, text: Option<String>) -> Result<Option<K>> {
    text.map(|text| {
        OpaqueCursor::<K>::decode_cursor(&text)
            .map(|cursor| cursor.0)
            .map_err(|_| invalid(format!("`{name}` is no cursor of this list; pass one that a page gave you")))
    })
    .transpose()
}

/// The connection that shows a page.
pub(crate) fn connection<K, R, N>(
    page: Page<R>,
    window: &Window<K>,
    position: journal::Position,
    show: impl Fn(R) -> Result<(K, N)>,
) -> Result<Pages<K, N>>
where
    K: Serialize + DeserializeOwned + Send + Sync,
    N: OutputType,
{
    // On the side that the limit cut we know; on the other side there is something exactly if we were told to start there.
    let (previous, next) = if window.from_end {
        (page.has_more, window.before.is_some())
    } else {
        (window.after.is_some(), page.has_more)
    };
    let mut connection = Connection::with_additional_fields(previous, next, Freshness { position: position.into() });
    for row in page.rows {
        let (key, node) = show(row)?;
        connection.edges.push(Edge::new(OpaqueCursor(key), node));
    }
    Ok(connection)
}

/// What a connection costs: its entries times what is asked of each.
pub(crate) fn cost(first: Option<i32>, last: Option<i32>, child: usize) -> usize {
    let asked = first.or(last).and_then(|asked| usize::try_from(asked).ok());
    let entries = asked.unwrap_or(DEFAULT_PAGE as usize).min(MAX_PAGE as usize);
    entries.saturating_mul(child).saturating_add(1)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn arguments(first: Option<i32>, last: Option<i32>) -> Arguments {
        Arguments { after: None, before: None, first, last }
    }

    #[test]
    fn sizes_have_a_default_and_a_limit() {
        assert_eq!(arguments(None, None).window::<u8>().unwrap(), Window::first(DEFAULT_PAGE));
        assert_eq!(arguments(None, Some(3)).window::<u8>().unwrap(), Window::last(3));
        assert!(arguments(Some(-1), None).window::<u8>().is_err());
        assert!(arguments(Some(201), None).window::<u8>().is_err());
        assert!(arguments(Some(1), Some(1)).window::<u8>().is_err());
    }

    #[test]
    fn cursors_come_back_as_they_went() {
        let key = (1_769_860_800_250_000_i64, uuid::Uuid::from_u128(7));
        let text = OpaqueCursor(key).encode_cursor();
        let arguments = Arguments { after: Some(text), ..arguments(None, None) };
        assert_eq!(arguments.window::<(i64, uuid::Uuid)>().unwrap().after, Some(key));
    }

    #[test]
    fn a_strange_cursor_is_refused() {
        let arguments = Arguments { after: Some("not a cursor".to_owned()), ..arguments(None, None) };
        assert!(arguments.window::<(i64, uuid::Uuid)>().is_err());
    }

    #[test]
    fn ends_are_known_where_the_limit_cut() {
        let window = Window::<u8>::first(2).after(1);
        let page = Page { rows: vec![2_u8, 3], has_more: true };
        let shown = connection(page, &window, journal::Position::START, |row| Ok((row, i32::from(row)))).unwrap();
        assert!(shown.has_previous_page && shown.has_next_page);
        let window = Window::<u8>::last(2);
        let page = Page { rows: vec![2_u8, 3], has_more: false };
        let shown = connection(page, &window, journal::Position::START, |row| Ok((row, i32::from(row)))).unwrap();
        assert!(!shown.has_previous_page && !shown.has_next_page);
    }
}
