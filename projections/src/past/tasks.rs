//! Lists of tasks as they were, whatever runs they belong to.

use std::collections::HashMap;

use uuid::Uuid;

use super::Past;
use crate::queries::sorted;
use crate::{Error, Page, Place, TaskFilter, TaskKey, TaskRow, Window};

impl Past {
    /// Tasks, the greatest by the key first, as [`crate::Queries::tasks`] gives them.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many tasks would have to be looked at, or the failure of database or journal.
    pub async fn tasks_by(
        &self,
        key: TaskKey,
        filter: &TaskFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, TaskRow)>, Error> {
        if key == TaskKey::Created {
            return self.tasks_by_creation(filter, window).await;
        }
        let (mut rows, mut look) = (Vec::new(), Window::first(Self::CHUNK));
        loop {
            let page = self.tasks_by_creation(filter, &look).await?;
            if let Some((place, _)) = page.rows.last() {
                look.after = Some(place.clone());
            }
            rows.extend(page.rows.into_iter().map(|(_, row)| ((key.of(&row), row.id), row)));
            if !page.has_more {
                break;
            }
            if rows.len() >= Self::MAX_ENTRIES {
                return Err(self.too_much(format!("{} tasks would have to be sorted, narrow the filter", rows.len())));
            }
        }
        Ok(sorted(rows, &window.turned(true)).turned(true))
    }

    async fn tasks_by_creation(
        &self,
        filter: &TaskFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, TaskRow)>, Error> {
        let wanted = usize::try_from(window.limit).unwrap_or(usize::MAX).saturating_add(1);
        let mut look = Window { limit: Self::CHUNK.min(window.limit.saturating_add(1)), ..window.clone() };
        let (mut rows, mut looked) = (Vec::new(), 0);
        while rows.len() < wanted {
            let known = self.queries.tasks_created_by(self.position, filter, &look).await?;
            let ids: Vec<Uuid> = known.iter().map(|(_, id)| *id).collect();
            let told = self.tasks_by_ids(&ids).await?;
            let mut told: HashMap<Uuid, TaskRow> = told.into_iter().map(|row| (row.id, row)).collect();
            let tasks = known.iter().filter_map(|place| Some((place.clone(), told.remove(&place.1)?)));
            rows.extend(tasks.filter(|(_, row)| {
                let at_status = filter.statuses.is_empty() || filter.statuses.contains(&row.status);
                at_status && filter.agent_id.is_none_or(|agent| row.agent_id == Some(agent))
            }));
            looked += known.len();
            match known.last() {
                Some(last) if known.len() >= usize::try_from(look.limit).unwrap_or(usize::MAX) => {
                    let bound = if look.from_end { &mut look.before } else { &mut look.after };
                    *bound = Some(last.clone());
                }
                _ => break,
            }
            if looked >= Self::MAX_ENTRIES && rows.len() < wanted {
                return Err(self.too_much(format!("{looked} tasks were looked at, narrow the filter")));
            }
            // Few were found among these: look at more at a time.
            look.limit = Self::CHUNK;
        }
        Ok(Page::cut(rows, window))
    }
}
