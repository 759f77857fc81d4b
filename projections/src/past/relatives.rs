//! How runs hung together, where they stood, and two of them beside each other.
//!
//! Which run started which, and which took over whose history, never changes once a run has started; so that is taken from
//! the read model, as far as the runs had started by then.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Past;
use crate::{Error, RelativeRow, RepeatRow, RunComparison, RunFilter, StatusCountRow, Window};

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

    /// A run and all that had been started beneath it, as [`crate::Queries::tree`] gives them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tree(&self, root: Uuid, limit: u32) -> Result<Vec<RelativeRow>, Error> {
        self.queries.tree_by(self.position, root, limit).await
    }

    /// A run with those whose history it goes back to, and those that had taken over its own, as
    /// [`crate::Queries::lineage`] gives them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lineage(&self, run: Uuid, limit: u32) -> Result<Vec<RelativeRow>, Error> {
        self.queries.lineage_by(self.position, run, limit).await
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
