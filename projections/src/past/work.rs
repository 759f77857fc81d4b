//! What work had brought: what it had cost, how good it was, and how those had done who did it.
//!
//! Which tasks belong together follows from the read models and from the stories of runs; everything else is folded from
//! the tasks' own streams.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use domain::task::{QualitySource, Score};
use domain::{Category, Decide, Event, StreamId, Task};
use journal::RecordedEvent;
use output::{Outcome, RunQuality};
use uuid::Uuid;

use super::Past;
use super::usage::TASKS;
use crate::queries::calibrations;
use crate::rows::MetricsSums;
use crate::usage::{Work, works};
use crate::{Calibration, Effort, Error, MetricsRow, RunQualityRow, TaskRow, outcome, quality};

/// How long a day is, in microseconds.
const DAY: i64 = 86_400_000_000;

impl Past {
    /// What the tasks of runs were known to have cost, as [`crate::Queries::costs_of_runs`] gives it.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when the runs have too many tasks, or the failure of database or journal.
    pub async fn costs_of_runs(&self, runs: &[Uuid]) -> Result<Vec<(Uuid, i64)>, Error> {
        let there = self.queries.runs_there_by(self.position, runs).await?;
        let mut costs: HashMap<Uuid, i64> = there.into_iter().map(|run| (run, 0)).collect();
        for work in self.works(&self.task_ids_of_runs(runs).await?).await? {
            if let Some(cost) = work.run.and_then(|run| costs.get_mut(&run)) {
                *cost += work.sums.cost;
            }
        }
        Ok(costs.into_iter().collect())
    }

    /// How agents or templates had done in the tasks that were created on or after a day, as [`crate::Queries::metrics`]
    /// gives it.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when they have too many tasks, or the failure of database or journal.
    pub async fn metrics(&self, subjects: &[Uuid], from: Option<i64>) -> Result<Vec<MetricsRow>, Error> {
        // The moment that a task names for its creation and the one at which that was recorded differ by little.
        let since = from.map_or(i64::MIN, |day| day.saturating_sub(1).saturating_mul(DAY));
        let tasks = self.queries.tasks_for(self.position, subjects, since, Self::MAX_TASKS + 1).await?;
        let tasks = self.few(tasks)?;
        let mut sums: BTreeMap<Uuid, MetricsSums> = BTreeMap::new();
        for work in self.works(&tasks).await? {
            if from.is_some_and(|from| work.day < from) {
                continue;
            }
            for subject in [Some(work.template), work.agent].into_iter().flatten() {
                if subjects.contains(&subject) {
                    sums.entry(subject).or_default().add(&work.sums);
                }
            }
        }
        let names: HashMap<Uuid, String> = self.queries.names(subjects).await?.into_iter().collect();
        let rows =
            sums.into_iter().map(|(subject, sums)| sums.of(subject, names.get(&subject).cloned().unwrap_or_default()));
        Ok(rows.collect())
    }

    /// How good the answers of runs were, as [`crate::Queries::qualities_of_runs`] gives it.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn qualities_of_runs(&self, runs: &[Uuid]) -> Result<Vec<RunQualityRow>, Error> {
        let stories = self.stories(runs).await?;
        let of_run = |run: &Uuid| stories.get(run).map(|story| story.answers()).unwrap_or_default();
        let tasks: BTreeSet<Uuid> = runs.iter().flat_map(of_run).collect();
        let events = self.events_of_tasks(&tasks).await?;
        let counting = quality::counting(&events).map_err(|error| self.unreadable(&error))?;
        let row = |run: &Uuid| {
            let marks: Vec<(QualitySource, Score)> =
                of_run(run).iter().filter_map(|task| counting.get(task)).copied().collect();
            Some(RunQualityRow { run_id: *run, quality: RunQuality::of(marks)? })
        };
        Ok(runs.iter().filter_map(row).collect())
    }

    /// How judges had agreed with people, as [`crate::Queries::calibration`] gives it.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when both have said something about too many tasks, or the failure of database or journal.
    pub async fn calibration(&self, since: Option<i64>) -> Result<Vec<Calibration>, Error> {
        // What was judged and rated stays so; what that was before this position, and what people said last, is in the journal.
        let tasks = self.few(self.queries.judged_and_rated(since, Self::MAX_TASKS + 1).await?)?;
        let mut pairs = Vec::new();
        for some in tasks.chunks(TASKS) {
            let events = self.events_of_tasks(&some.iter().copied().collect()).await?;
            pairs.extend(quality::pairs(&events).map_err(|error| self.unreadable(&error))?);
        }
        Ok(calibrations(pairs))
    }

    /// One task as it was, with its output and all that had been said of it; the default when there was none yet.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn task(&self, id: Uuid) -> Result<Arc<Task>, Error> {
        let mut known = self.states.lock().await;
        if let Some(state) = known.get(&id) {
            return Ok(Arc::clone(state));
        }
        let events = self.read(&[StreamId { category: Category::Task, id }], self.position).await?;
        let state = Arc::new(self.folded::<Task>(&events)?);
        known.insert(id, Arc::clone(&state));
        Ok(state)
    }

    /// The tasks of runs, those that undo steps included, as [`crate::Queries::tasks_of_runs`] gives them.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn tasks_of_runs(&self, runs: &[Uuid]) -> Result<Vec<TaskRow>, Error> {
        let stories = self.stories(runs).await?;
        let ids = runs.iter().filter_map(|run| stories.get(run)).flat_map(|story| story.work());
        let ids: BTreeSet<Uuid> = ids.map(|(_, task)| task).collect();
        let mut rows = self.tasks_by_ids(&ids.into_iter().collect::<Vec<_>>()).await?;
        // As in SQL, those without a run come last.
        rows.sort_by_key(|row| (row.run_id.is_none(), row.run_id, row.created_at, row.id));
        Ok(rows)
    }

    /// What the tasks of a run had ended in.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn outcomes(&self, run: Uuid) -> Result<Vec<Outcome>, Error> {
        let mut outcomes = Vec::new();
        for row in self.tasks_of_runs(&[run]).await? {
            if row.status == "completed" && !row.undoes {
                outcomes.extend(outcome(&row, &*self.task(row.id).await?));
            }
        }
        Ok(outcomes)
    }

    /// What the steps of runs had taken, by run and step.
    pub(super) async fn efforts(&self, runs: &[Uuid]) -> Result<BTreeMap<(Uuid, String), Effort>, Error> {
        let stories = self.stories(runs).await?;
        let told = |run: &Uuid| stories.get(run).map(|story| story.work()).unwrap_or_default();
        let work: BTreeSet<(Uuid, String, Uuid)> =
            runs.iter().flat_map(|run| told(run).into_iter().map(|(step, task)| (*run, step, task))).collect();
        let tasks: BTreeSet<Uuid> = work.iter().map(|(_, _, task)| *task).collect();
        let mut attempts: HashMap<Uuid, Vec<Effort>> = HashMap::new();
        for row in self.attempts_of_tasks(&tasks.into_iter().collect::<Vec<_>>()).await? {
            attempts.entry(row.task_id).or_default().push(Effort::of(&row));
        }
        let mut efforts: BTreeMap<(Uuid, String), Effort> = BTreeMap::new();
        for (run, step, task) in work {
            for effort in attempts.get(&task).into_iter().flatten() {
                efforts.entry((run, step.clone())).or_default().add(*effort);
            }
        }
        Ok(efforts)
    }

    /// The ids of the tasks that may have been created in runs by then.
    pub(super) async fn task_ids_of_runs(&self, runs: &[Uuid]) -> Result<Vec<Uuid>, Error> {
        let tasks = self.queries.tasks_in(self.position, runs, Self::MAX_TASKS + 1).await?;
        self.few(tasks)
    }

    /// No more tasks than may be looked at.
    pub(super) fn few(&self, tasks: Vec<Uuid>) -> Result<Vec<Uuid>, Error> {
        if tasks.len() > Self::MAX_TASKS {
            return Err(self.too_much(format!("a sum over more than {} tasks", Self::MAX_TASKS)));
        }
        Ok(tasks)
    }

    /// What tasks had brought.
    pub(super) async fn works(&self, tasks: &[Uuid]) -> Result<Vec<Work>, Error> {
        let events = self.events_of_tasks(&tasks.iter().copied().collect()).await?;
        works(&events).map_err(|error| self.unreadable(&error))
    }

    /// An aggregate from all events of its stream.
    fn folded<A: Decide>(&self, events: &[Arc<RecordedEvent>]) -> Result<A, Error> {
        let mut state = A::default();
        for recorded in events {
            let event = recorded.event().map_err(|error| self.damaged(&error))?.clone();
            let strange = |other: Box<Event>| {
                let what = format!("`{}` does not belong into stream {}", other.name(), recorded.stream);
                Error::UnreadablePast { position: recorded.position, what }
            };
            state.apply(A::own(event).map_err(strange)?);
        }
        Ok(state)
    }

    pub(super) async fn events_of_tasks(&self, tasks: &BTreeSet<Uuid>) -> Result<Vec<Arc<RecordedEvent>>, Error> {
        let streams: Vec<_> = tasks.iter().map(|id| StreamId { category: Category::Task, id: *id }).collect();
        self.read(&streams, self.position).await
    }
}
