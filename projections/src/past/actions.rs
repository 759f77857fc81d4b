//! Action items as they were.
//!
//! That an item came to be follows from the end of a run and from what its tasks had said by then, which never changes; so
//! that is taken from the read model, as it was then, and what people made of it from the item's own stream.

use domain::{ActionId, StreamId, TaskId};
use uuid::Uuid;

use super::Past;
use crate::actions::change;
use crate::queries::sorted;
use crate::{ActionFilter, ActionKey, ActionRow, Error, Page, Place, Window};

impl Past {
    /// Action items, the smallest by the key first, each with its place, as [`crate::Queries::actions`] gives them.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many would have to be looked at or sorted, or the failure of database or journal.
    pub async fn actions(
        &self,
        key: ActionKey,
        filter: &ActionFilter,
        window: &Window<Place<(Uuid, i32)>>,
    ) -> Result<Page<(Place<(Uuid, i32)>, ActionRow)>, Error> {
        let place = |row: &ActionRow| key.place(row);
        if key != ActionKey::Opened {
            let most = u32::try_from(Self::MAX_ENTRIES).unwrap_or(u32::MAX);
            let all = Window::first(most.saturating_add(1));
            let opened = self.queries.actions_opened_by(self.position, filter, &all).await?;
            if opened.len() > Self::MAX_ENTRIES {
                let what = format!("more than {most} action items would have to be sorted, narrow the filter");
                return Err(self.too_much(what));
            }
            let rows = self.changed(opened).await?.into_iter().filter(|row| filter.wants(row));
            return Ok(sorted(rows.map(|row| (place(&row), row)).collect(), window));
        }
        let wanted = usize::try_from(window.limit).unwrap_or(usize::MAX).saturating_add(1);
        let mut look = Window { limit: Self::CHUNK, ..window.clone() };
        let (mut found, mut looked) = (Vec::new(), 0);
        while found.len() < wanted {
            let opened = self.queries.actions_opened_by(self.position, filter, &look).await?;
            looked += opened.len();
            let is_full = opened.len() >= usize::try_from(look.limit).unwrap_or(usize::MAX);
            let last = opened.last().map(place);
            let rows = self.changed(opened).await?.into_iter().filter(|row| filter.wants(row));
            found.extend(rows.map(|row| (place(&row), row)));
            match last {
                Some(last) if is_full => {
                    if look.from_end {
                        look.before = Some(last);
                    } else {
                        look.after = Some(last);
                    }
                }
                _ => break,
            }
            if looked >= Self::MAX_ENTRIES && found.len() < wanted {
                return Err(self.too_much(format!("{looked} action items were looked at, narrow the filter")));
            }
        }
        Ok(Page::cut(found, window))
    }

    /// Action items by their tasks and numbers, in no particular order; those that there were not yet are left out.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn actions_by_ids(&self, ids: &[(Uuid, i32)]) -> Result<Vec<ActionRow>, Error> {
        self.changed(self.queries.actions_opened(self.position, ids).await?).await
    }

    /// The action items of runs, by run, the most pressing first.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn actions_of_runs(&self, runs: &[Uuid]) -> Result<Vec<ActionRow>, Error> {
        self.changed(self.queries.actions_opened_of_runs(self.position, runs).await?).await
    }

    /// What had become of items by the position, from what they were when they came to be; in the same order.
    async fn changed(&self, mut rows: Vec<ActionRow>) -> Result<Vec<ActionRow>, Error> {
        let stream = |row: &ActionRow| {
            StreamId::from(ActionId { task: TaskId::from_uuid(row.task_id), number: row.number.unsigned_abs() })
        };
        let streams: Vec<StreamId> = rows.iter().map(stream).collect();
        let events = self.read(&streams, self.position).await?;
        change(&mut rows, &events).map_err(|error| self.unreadable(&error))?;
        Ok(rows)
    }
}
