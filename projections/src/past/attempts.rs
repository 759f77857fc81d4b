//! Lists of attempts as they were, whatever tasks they belong to.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::Past;
use crate::queries::sorted;
use crate::{AttemptFilter, AttemptKey, AttemptRow, Error, Page, Place, Window};

impl Past {
    /// Attempts, the greatest by the key first, as [`crate::Queries::attempts`] gives them.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many attempts would have to be looked at, or the failure of database or journal.
    pub async fn attempts(
        &self,
        key: AttemptKey,
        filter: &AttemptFilter,
        window: &Window<Place<(Uuid, i32)>>,
    ) -> Result<Page<(Place<(Uuid, i32)>, AttemptRow)>, Error> {
        if key == AttemptKey::Started {
            return self.attempts_by_start(filter, window).await;
        }
        let (mut rows, mut look) = (Vec::new(), Window::first(Self::CHUNK));
        loop {
            let page = self.attempts_by_start(filter, &look).await?;
            if let Some((place, _)) = page.rows.last() {
                look.after = Some(place.clone());
            }
            rows.extend(page.rows.into_iter().map(|((_, tie), row)| ((key.of(&row), tie), row)));
            if !page.has_more {
                break;
            }
            if rows.len() >= Self::MAX_ENTRIES {
                return Err(
                    self.too_much(format!("{} attempts would have to be sorted, narrow the filter", rows.len()))
                );
            }
        }
        Ok(sorted(rows, &window.turned(true)).turned(true))
    }

    async fn attempts_by_start(
        &self,
        filter: &AttemptFilter,
        window: &Window<Place<(Uuid, i32)>>,
    ) -> Result<Page<(Place<(Uuid, i32)>, AttemptRow)>, Error> {
        let wanted = usize::try_from(window.limit).unwrap_or(usize::MAX).saturating_add(1);
        let mut look = Window { limit: Self::CHUNK.min(window.limit.saturating_add(1)), ..window.clone() };
        let (mut rows, mut looked) = (Vec::new(), 0);
        while rows.len() < wanted {
            let known = self.queries.attempts_started_by(self.position, filter, &look).await?;
            let tasks: BTreeSet<Uuid> = known.iter().map(|(_, (task, _))| *task).collect();
            let told = self.attempts_of_tasks(&tasks.into_iter().collect::<Vec<_>>()).await?;
            let mut told: HashMap<(Uuid, i32), AttemptRow> =
                told.into_iter().map(|row| ((row.task_id, row.number), row)).collect();
            let attempts = known.iter().filter_map(|place| Some((place.clone(), told.remove(&place.1)?)));
            rows.extend(attempts.filter(|(_, row)| filter.wants(row)));
            looked += known.len();
            match known.last() {
                Some(last) if known.len() >= usize::try_from(look.limit).unwrap_or(usize::MAX) => {
                    let bound = if look.from_end { &mut look.before } else { &mut look.after };
                    *bound = Some(last.clone());
                }
                _ => break,
            }
            if looked >= Self::MAX_ENTRIES && rows.len() < wanted {
                return Err(self.too_much(format!("{looked} attempts were looked at, narrow the filter")));
            }
            // Few were found among these: look at more at a time.
            look.limit = Self::CHUNK;
        }
        Ok(Page::cut(rows, window))
    }
}
