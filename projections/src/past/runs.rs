//! Runs and tasks as they were.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use domain::{Category, Event, StreamId};
use journal::{Position, RecordedEvent};
use uuid::Uuid;

use super::{Past, by_stream};
use crate::queries::sorted;
use crate::runs::{Story, TaskStory};
use crate::{AttemptRow, Error, Page, Place, RunFilter, RunKey, RunRow, SortKey, TaskRow, Window};

/// How many runs a history may go back through; the rules allow no more.
const MAX_LINEAGE: usize = 64;

impl Past {
    /// Runs, newest first, by `(started_at, id)`, as [`crate::Queries::runs`] gives them.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many runs would have to be looked at, or the failure of database or journal.
    pub async fn runs(&self, filter: &RunFilter, window: &Window<(i64, Uuid)>) -> Result<Page<RunRow>, Error> {
        let wanted = usize::try_from(window.limit).unwrap_or(usize::MAX).saturating_add(1);
        let mut look = Window { limit: Self::CHUNK.min(window.limit.saturating_add(1)), ..window.clone() };
        let (mut rows, mut looked) = (Vec::new(), 0);
        while rows.len() < wanted {
            let known = self.queries.runs_started_by(self.position, filter, &look).await?;
            let ids: Vec<Uuid> = known.iter().map(|(_, id)| *id).collect();
            let stories = self.stories(&ids).await?;
            let runs = ids.iter().filter_map(|id| stories.get(id)?.run());
            rows.extend(runs.filter(|run| filter.statuses.is_empty() || filter.statuses.contains(&run.status)));
            looked += known.len();
            match known.last() {
                Some(last) if known.len() >= usize::try_from(look.limit).unwrap_or(usize::MAX) => {
                    if look.from_end {
                        look.before = Some(*last);
                    } else {
                        look.after = Some(*last);
                    }
                }
                _ => break,
            }
            if looked >= Self::MAX_ENTRIES && rows.len() < wanted {
                return Err(self.too_much(format!("{looked} runs were looked at, narrow the filter")));
            }
            // Few were found among these: look at more at a time.
            look.limit = Self::CHUNK;
        }
        Ok(Page::cut(rows, window))
    }

    /// Runs in another order than by their start, as [`crate::Queries::runs_by`] gives them.
    ///
    /// # Errors
    /// As [`Self::runs`]; by what they cost also when they have too many tasks.
    pub async fn runs_by(
        &self,
        key: RunKey,
        filter: &RunFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, RunRow)>, Error> {
        let (mut rows, mut look) = (Vec::new(), Window::first(Self::CHUNK));
        loop {
            let page = self.runs(filter, &look).await?;
            if let Some(last) = page.rows.last() {
                look.after = Some((last.started_at, last.id));
            }
            let ids: Vec<Uuid> = page.rows.iter().map(|row| row.id).collect();
            let costs = if key == RunKey::Cost { self.costs_of_runs(&ids).await? } else { vec![] };
            let costs: HashMap<Uuid, i64> = costs.into_iter().collect();
            let value = |row: &RunRow| key.of(row).or_else(|| costs.get(&row.id).copied().map(SortKey::from));
            rows.extend(page.rows.into_iter().filter_map(|row| Some(((value(&row)?, row.id), row))));
            if !page.has_more {
                break;
            }
            if rows.len() >= Self::MAX_ENTRIES {
                return Err(self.too_much(format!("{} runs would have to be sorted, narrow the filter", rows.len())));
            }
        }
        let asked = window.turned(key.descends());
        Ok(sorted(rows, &asked).turned(key.descends()))
    }

    /// Runs by their ids, in no particular order; those that there were not yet are left out.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn runs_by_ids(&self, ids: &[Uuid]) -> Result<Vec<RunRow>, Error> {
        let stories = self.stories(ids).await?;
        Ok(stories.values().filter_map(|story| story.run()).collect())
    }

    /// Tasks by their ids, in no particular order; those that there were not yet are left out.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn tasks_by_ids(&self, ids: &[Uuid]) -> Result<Vec<TaskRow>, Error> {
        let tasks = self.tasks(ids).await?;
        let runs: Vec<Uuid> = tasks.values().filter_map(|task| task.task.run_id).collect();
        let stories = self.stories(&runs).await?;
        let rows = tasks.values().map(|told| {
            let mut row = told.task.clone();
            if let Some(story) = row.run_id.and_then(|run| stories.get(&run)) {
                row.item = story.item_of(row.id);
                row.undoes = story.is_undone_by(row.id);
            }
            row
        });
        Ok(rows.collect())
    }

    /// The attempts of tasks, by task and number.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn attempts_of_tasks(&self, ids: &[Uuid]) -> Result<Vec<AttemptRow>, Error> {
        let tasks = self.tasks(ids).await?;
        Ok(ids.iter().filter_map(|id| tasks.get(id)).flat_map(|task| task.attempts.clone()).collect())
    }

    /// The stories of runs up to the position; runs that there were not yet have none.
    pub(super) async fn stories(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, Arc<Story>>, Error> {
        // Held while reading: others that want the same wait for it instead of reading it too.
        let mut known = self.stories.lock().await;
        // Each once, however often it is asked for: its events are told once.
        let missing: BTreeSet<Uuid> =
            ids.iter().copied().filter(|id| !known.contains_key(&(*id, self.position))).collect();
        let missing: Vec<StreamId> = missing.into_iter().map(|id| StreamId { category: Category::Run, id }).collect();
        let mut streams = by_stream(self.read(&missing, self.position).await?);
        for stream in missing {
            let events = streams.remove(&stream.id).unwrap_or_default();
            let story = self.tell(&events, &mut known).await?;
            known.insert((stream.id, self.position), story);
        }
        Ok(ids.iter().filter_map(|id| Some((*id, Arc::clone(known.get(&(*id, self.position))?)))).collect())
    }

    /// Tells one run's story. Whose history it took over is told first, as of the run's start, and so on.
    async fn tell(
        &self,
        events: &[Arc<RecordedEvent>],
        known: &mut HashMap<(Uuid, Position), Arc<Story>>,
    ) -> Result<Arc<Story>, Error> {
        // From the run to the one whose story needs no other, or is known.
        let mut chain = vec![events.to_vec()];
        let mut source: Option<Arc<Story>> = None;
        while let Some((id, until)) = chain.last().and_then(|events| origin(events)) {
            if let Some(story) = known.get(&(id, until)) {
                source = Some(Arc::clone(story));
                break;
            }
            if chain.len() > MAX_LINEAGE {
                return Err(self.too_much(format!("a history that goes back through more than {MAX_LINEAGE} runs")));
            }
            chain.push(self.read(&[StreamId { category: Category::Run, id }], until).await?);
        }
        let mut story = source;
        while let Some(events) = chain.pop() {
            let told = Story::tell(&events, story.as_deref()).map_err(|error| self.unreadable(&error))?;
            let told = Arc::new(told);
            if let Some((id, until)) = chain.last().and_then(|events| origin(events)) {
                known.insert((id, until), Arc::clone(&told));
            }
            story = Some(told);
        }
        Ok(story.unwrap_or_default())
    }

    async fn tasks(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, Arc<TaskStory>>, Error> {
        let mut known = self.tasks.lock().await;
        let missing: BTreeSet<Uuid> = ids.iter().copied().filter(|id| !known.contains_key(id)).collect();
        let missing: Vec<StreamId> = missing.into_iter().map(|id| StreamId { category: Category::Task, id }).collect();
        let mut streams = by_stream(self.read(&missing, self.position).await?);
        for stream in missing {
            let events = streams.remove(&stream.id).unwrap_or_default();
            let told = TaskStory::tell(&events).map_err(|error| self.unreadable(&error))?;
            known.insert(stream.id, told.map(Arc::new));
        }
        Ok(ids.iter().filter_map(|id| Some((*id, known.get(id)?.clone()?))).collect())
    }
}

/// Whose history a run took over, and as of where.
fn origin(events: &[Arc<RecordedEvent>]) -> Option<(Uuid, Position)> {
    let first = events.first()?;
    match first.event() {
        Ok(Event::Run(event)) => event.lineage().map(|lineage| (lineage.run.as_uuid(), first.position)),
        _ => None,
    }
}
