//! Pages of `$all`.

use std::sync::Arc;

use async_trait::async_trait;

use super::connection::{Connection, Meaning, Slice, meaning};
use super::names::Names;
use super::writer::Core;
use super::{envelope, unavailable};
use crate::subscription::Follow;
use crate::{Batch, Filter, Page, Position, ReadError};

/// The position of the last event.
pub(super) async fn head(connection: &Connection, names: &Names) -> Result<Position, ReadError> {
    let last = connection.last(&names.events()).await.map_err(unavailable)?;
    Ok(last.map_or(Position::START, |event| envelope::position(&event)))
}

impl Core {
    /// What stands after a position, in streams with these prefixes. KurrentDB reads from a position on, not after it,
    /// and only from one at which an event begins; ours may also be one that somebody made up.
    pub(super) async fn after(&self, after: Position, prefixes: &[String], limit: usize) -> Result<Slice, ReadError> {
        if after == Position::START {
            return self.connection.read_all(None, prefixes, limit).await.map_err(unavailable);
        }
        let number = after.as_u64();
        // The event at the position itself is one of ours or of others; so one more may be needed.
        let more = limit.saturating_add(1);
        let mut slice = match self.connection.read_all(Some(number), prefixes, more).await {
            Err(error) if meaning(&error) == Meaning::NoPlace => {
                match self.connection.read_all(Some(number.saturating_add(1)), prefixes, more).await {
                    Err(error) if meaning(&error) == Meaning::NoPlace => {
                        return self.scan(after, prefixes, limit).await;
                    }
                    slice => slice.map_err(unavailable)?,
                }
            }
            slice => slice.map_err(unavailable)?,
        };
        slice.events.retain(|event| event.position.commit > number);
        Ok(slice.cut(limit))
    }

    /// The same from the very beginning, for a position at which nothing begins.
    async fn scan(&self, after: Position, prefixes: &[String], limit: usize) -> Result<Slice, ReadError> {
        const STEP: usize = 1000;
        let mut from = None;
        let mut found = Slice { events: Vec::new(), more: true };
        while found.more && found.events.len() < limit {
            let slice = self.connection.read_all(from, prefixes, STEP).await.map_err(unavailable)?;
            let last = slice.events.last().map(|event| event.position.commit);
            found.more = slice.more && last != from;
            let new = slice.events.into_iter().filter(|event| {
                event.position.commit > after.as_u64() && from.is_none_or(|from| event.position.commit > from)
            });
            found.events.extend(new);
            from = last.or(from);
        }
        Ok(found.cut(limit))
    }

    /// The wanted events after a position; `until` is known to be recorded.
    pub(super) async fn page(
        &self,
        after: Position,
        until: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError> {
        if after >= until || limit == 0 {
            return Ok(Page { events: Vec::new(), position: after });
        }
        let prefixes = self.prefixes(filter);
        if prefixes.is_empty() {
            return Ok(Page { events: Vec::new(), position: until });
        }
        let slice = self.after(after, &prefixes, limit).await?;
        let mut page = Page { events: Vec::new(), position: after };
        for event in slice.events {
            page.position = envelope::position(&event);
            let event = Arc::new(envelope::recorded(&self.names, event)?);
            if filter.matches(&event) {
                page.events.push(event);
            }
        }
        if !slice.more {
            page.position = page.position.max(until);
        }
        Ok(page)
    }

    /// What stands before a position, or at the end, in streams with these prefixes, the newest first. KurrentDB reads back
    /// only from a position at which an event begins; ours may also be one that somebody made up.
    async fn before(&self, before: Option<Position>, prefixes: &[String], limit: usize) -> Result<Slice, ReadError> {
        let number = before.map(Position::as_u64);
        // One more, should the event at the position itself be among them.
        let more = limit.saturating_add(1);
        let mut slice = match self.connection.read_all_back(number, prefixes, more).await {
            Err(error) if number.is_some() && meaning(&error) == Meaning::NoPlace => {
                return self.scan_back(number.unwrap_or(u64::MAX), prefixes, limit).await;
            }
            slice => slice.map_err(unavailable)?,
        };
        slice.events.retain(|event| number.is_none_or(|number| event.position.commit < number));
        Ok(slice.cut(limit))
    }

    /// The same from the very end, for a position at which nothing begins.
    async fn scan_back(&self, before: u64, prefixes: &[String], limit: usize) -> Result<Slice, ReadError> {
        const STEP: usize = 1000;
        let mut from = None;
        let mut found = Slice { events: Vec::new(), more: true };
        while found.more && found.events.len() < limit {
            let slice = self.connection.read_all_back(from, prefixes, STEP).await.map_err(unavailable)?;
            let last = slice.events.last().map(|event| event.position.commit);
            found.more = slice.more && last.is_some() && last != from;
            found.events.extend(slice.events.into_iter().filter(|event| event.position.commit < before));
            from = last.or(from);
        }
        Ok(found.cut(limit))
    }

    /// The wanted events before a position, or from the end; the newest first.
    pub(super) async fn page_back(
        &self,
        before: Option<Position>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError> {
        let nothing = |position| Ok(Page { events: Vec::new(), position });
        if limit == 0 || before == Some(Position::START) {
            return nothing(match before {
                Some(before) => before,
                None => head(&self.connection, &self.names).await?,
            });
        }
        let prefixes = self.prefixes(filter);
        if prefixes.is_empty() {
            return nothing(Position::START);
        }
        let slice = self.before(before, &prefixes, limit).await?;
        let mut page = Page { events: Vec::new(), position: Position::START };
        for event in slice.events {
            page.position = envelope::position(&event);
            let event = Arc::new(envelope::recorded(&self.names, event)?);
            if filter.matches(&event) {
                page.events.push(event);
            }
        }
        if !slice.more {
            page.position = Position::START;
        }
        Ok(page)
    }

    /// What the names of the streams begin with that can hold wanted events.
    fn prefixes(&self, filter: &Filter) -> Vec<String> {
        if let Some(stream) = filter.stream {
            let wanted = filter.categories.is_empty() || filter.categories.contains(&stream.category);
            return wanted.then(|| self.names.stream(stream)).into_iter().collect();
        }
        if filter.categories.is_empty() {
            return vec![self.names.events()];
        }
        filter.categories.iter().map(|category| self.names.category(category.name())).collect()
    }
}

#[async_trait]
impl Follow for Core {
    async fn next(&self, after: Position, filter: &Filter, limit: usize) -> Result<Batch, ReadError> {
        let head = self.feed.beyond(after).await.ok_or(ReadError::Closed)?;
        let Page { events, position } = match self.feed.page(after, filter, limit) {
            Some(page) => page,
            None => self.page(after, head, filter, limit).await?,
        };
        Ok(Batch { events, position, caught_up: position >= self.feed.seen().recorded })
    }
}
