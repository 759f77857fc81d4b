//! Lists, page by page. Cursors are opaque: they hold the sort key of the last entry, so a page stays right however
//! the list grows.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use projections::{Page, Window};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Answer, Call, Problem};

/// How many entries a page has when nobody says.
const DEFAULT: u32 = 50;
/// The most entries that a page may have.
const MAX: u32 = 200;

/// Where in a list a page begins, and which way the list goes.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    /// How many entries are wanted.
    pub limit: Option<u32>,
    /// The cursor that the page before this one gave.
    pub after: Option<&'a str>,
    /// Whether the list is wanted in the opposite of its usual order.
    pub reversed: bool,
}

impl Cursor<'_> {
    /// The part of the list that is wanted.
    ///
    /// # Errors
    /// When the limit is out of its range, or the cursor is none of this list.
    pub fn window<K: DeserializeOwned>(&self) -> Result<Window<K>, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT);
        if !(1..=MAX).contains(&limit) {
            return Err(Problem::invalid(format!("`limit` must be 1 to {MAX}")));
        }
        let after = self.after.map(decode).transpose()?;
        let window = if self.reversed { Window::last(limit) } else { Window::first(limit) };
        Ok(match after {
            None => window,
            Some(key) if self.reversed => window.before(key),
            Some(key) => window.after(key),
        })
    }
}

/// A page and the links to the first and the next one; `next` is in the body, too.
///
/// # Errors
/// When the answer cannot be written, which is our failure.
pub fn page<K: Serialize, R, T: Serialize>(
    call: &Call,
    cursor: Cursor<'_>,
    page: Page<R>,
    position: journal::Position,
    show: impl Fn(R) -> (K, T),
) -> Result<Answer, Problem> {
    let mut rows = page.rows;
    if cursor.reversed {
        rows.reverse();
    }
    let (mut last, mut items) = (None, Vec::new());
    for row in rows {
        let (key, item) = show(row);
        last = Some(key);
        items.push(item);
    }
    let next = match last {
        Some(key) if page.has_more => Some(encode(call, &key)?),
        _ => None,
    };
    let mut links = format!("<{}>; rel=\"first\"", call.link(None));
    if let Some(next) = &next {
        links.push_str(&format!(", <{}>; rel=\"next\"", call.link(Some(next))));
    }
    let body = serde_json::json!({ "items": items, "next": next });
    Ok(Answer::json(call, actix_web::http::StatusCode::OK, &body)?.at(position).links(links))
}

fn encode<K: Serialize>(call: &Call, key: &K) -> Result<String, Problem> {
    let bytes = serde_json::to_vec(key).map_err(|error| Problem::internal(call.correlation, &error))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn decode<K: DeserializeOwned>(text: &str) -> Result<K, Problem> {
    let wrong = || Problem::invalid("`after` is no cursor of this list; pass one that a page gave you");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
    serde_json::from_slice(&bytes).map_err(|_| wrong())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_range_and_cursors_come_back() {
        let cursor = |limit, after| Cursor { limit, after, reversed: false };
        assert_eq!(cursor(None, None).window::<u8>().unwrap(), Window::first(DEFAULT));
        assert!(cursor(Some(0), None).window::<u8>().is_err());
        assert!(cursor(Some(201), None).window::<u8>().is_err());
        assert!(cursor(None, Some("no cursor")).window::<u8>().is_err());
        let text = URL_SAFE_NO_PAD.encode("[7,\"x\"]");
        let window = cursor(Some(3), Some(&text)).window::<(u8, String)>().unwrap();
        assert_eq!(window, Window::first(3).after((7, "x".to_owned())));
        let reversed = Cursor { reversed: true, ..cursor(Some(3), Some(&text)) }.window::<(u8, String)>().unwrap();
        assert_eq!(reversed, Window::last(3).before((7, "x".to_owned())));
    }
}
