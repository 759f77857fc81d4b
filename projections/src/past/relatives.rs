//! How runs hung together, where they stood, and two of them beside each other.
//!
//! Which run started which, and which took over whose history, never changes once a run has started; so that is taken from
//! the read model, as far as the runs had started by then.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::Past;
use crate::queries::sorted;
use crate::{
    Error, Page, Relation, RelativeFilter, RelativeKey, RelativeRow, RepeatRow, RunComparison, RunFilter, Standing,
    StatusCountRow, Window,
};

impl Past {
    /// How many runs stood at each status, as [`crate::Queries::runs_by_status`] gives it. Runs to which nothing happened
    /// since stand where they stood then; the others are folded.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many runs have changed since, or the failure of database or journal.
    pub async fn runs_by_status(&self) -> Result<Vec<StatusCountRow>, Error> {
        let (unchanged, changed) = self.queries.runs_since(self.position, Self::MAX_ENTRIES + 1).await?;
        if changed.len() > Self::MAX_ENTRIES {
            return Err(self.too_much(format!("more than {} runs have changed since", Self::MAX_ENTRIES)));
        }
        let mut counts: BTreeMap<String, i64> = unchanged.into_iter().map(|row| (row.status, row.count)).collect();
        for run in self.runs_by_ids(&changed).await? {
            *counts.entry(run.status).or_default() += 1;
        }
        Ok(counts.into_iter().map(|(status, count)| StatusCountRow { status, count }).collect())
    }

    /// The same of those that are wanted, as [`crate::Queries::count_runs`] gives it.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many runs would have to be looked at, or the failure of database or journal.
    pub async fn count_runs(&self, filter: &RunFilter) -> Result<Vec<StatusCountRow>, Error> {
        let (mut counts, mut look, mut looked) = (BTreeMap::new(), Window::first(Self::CHUNK), 0);
        loop {
            let page = self.runs(filter, &look).await?;
            looked += page.rows.len();
            look.after = page.rows.last().map(|last| (last.started_at, last.id));
            for run in page.rows {
                *counts.entry(run.status).or_default() += 1;
            }
            if !page.has_more {
                return Ok(counts.into_iter().map(|(status, count)| StatusCountRow { status, count }).collect());
            }
            if looked >= Self::MAX_ENTRIES {
                return Err(self.too_much(format!("{looked} runs were counted, narrow the filter")));
            }
        }
    }

    /// Runs that hung together with one, as [`crate::Queries::relatives`] gives them. Which they were is taken from the read
    /// model; where they stood is folded, where that is asked about.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many runs would have to be looked at or sorted, or the failure of database or journal.
    pub async fn relatives(
        &self,
        relation: Relation,
        run: Uuid,
        key: &RelativeKey,
        filter: &RelativeFilter,
        window: &Window<Standing>,
    ) -> Result<Page<(Standing, RelativeRow)>, Error> {
        let by_status = matches!(key, RelativeKey::Status(_));
        if !by_status && filter.statuses.is_empty() {
            return self.queries.relatives_by(self.position, relation, run, key, filter, window).await;
        }
        let whatever = RelativeFilter { statuses: vec![], ..filter.clone() };
        let (read_by, mut look) = if by_status {
            (&RelativeKey::Place, Window::first(Self::CHUNK))
        } else {
            (key, Window { limit: Self::CHUNK, ..window.clone() })
        };
        // All that there are have to be sorted by where they stood; otherwise a page of them is enough.
        let wanted = usize::try_from(window.limit).unwrap_or(usize::MAX).saturating_add(1);
        let (mut found, mut looked) = (Vec::new(), 0);
        while by_status || found.len() < wanted {
            let mut page = self.queries.relatives_by(self.position, relation, run, read_by, &whatever, &look).await?;
            looked += page.rows.len();
            if look.from_end {
                // The next page is the one before this one.
                look.before = page.rows.first().map(|(place, _)| place.clone());
                page.rows.reverse();
            } else {
                look.after = page.rows.last().map(|(place, _)| place.clone());
            }
            let ids: Vec<Uuid> = page.rows.iter().map(|(_, row)| row.run_id).collect();
            let statuses: HashMap<Uuid, String> =
                self.runs_by_ids(&ids).await?.into_iter().map(|run| (run.id, run.status)).collect();
            for (place, row) in page.rows {
                let Some(status) = statuses.get(&row.run_id) else { continue };
                if filter.statuses.is_empty() || filter.statuses.contains(status) {
                    found.push((if by_status { key.place_by_status(status, &row) } else { place }, row));
                }
            }
            if !page.has_more {
                break;
            }
            if looked >= Self::MAX_ENTRIES && (by_status || found.len() < wanted) {
                return Err(self.too_much(format!("{looked} runs were looked at, narrow the filter")));
            }
        }
        Ok(if by_status { sorted(found, window) } else { Page::cut(found, window) })
    }

    /// Two runs beside each other, as [`crate::Queries::compare_runs`] gives them.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn compare_runs(&self, a: Uuid, b: Uuid) -> Result<Option<RunComparison>, Error> {
        // Each once: a run may be compared with itself.
        let ids: Vec<Uuid> = BTreeSet::from([a, b]).into_iter().collect();
        let runs = self.runs_by_ids(&ids).await?;
        let of = |id: Uuid| runs.iter().find(|run| run.id == id).cloned();
        let (Some(one), Some(other)) = (of(a), of(b)) else { return Ok(None) };
        let (efforts, steps) = (self.efforts(&ids).await?, self.steps_of_runs(&ids).await?);
        Ok(Some(RunComparison::of(one, other, &steps, &efforts)))
    }

    /// The tasks that runs do again. That is said when a run starts, so it was so ever since.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn repeats_of_runs(&self, runs: &[Uuid]) -> Result<Vec<RepeatRow>, Error> {
        let there = self.queries.runs_there_by(self.position, runs).await?;
        self.queries.repeats_of_runs(&there).await
    }

    /// The runs that did tasks again by then, by task, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn repeats_of_tasks(&self, tasks: &[Uuid]) -> Result<Vec<RepeatRow>, Error> {
        let mut rows = self.queries.repeats_of_tasks(tasks).await?;
        let runs: Vec<Uuid> = rows.iter().map(|row| row.run_id).collect();
        let there = self.queries.runs_there_by(self.position, &runs).await?;
        rows.retain(|row| there.contains(&row.run_id));
        Ok(rows)
    }
}
