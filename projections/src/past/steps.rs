//! Steps as they were, and everything that had happened in them.

use uuid::Uuid;

use super::Past;
use crate::runs::Story;
use crate::{ApprovalRow, DecisionRow, Error, ItemRow, ItemWindow, PauseRow, SignalRow, StallRow, StepRow, TaskRow};

impl Past {
    async fn of_runs<R>(&self, runs: &[Uuid], rows: impl Fn(&Story) -> Vec<R>) -> Result<Vec<R>, Error> {
        let stories = self.stories(runs).await?;
        Ok(runs.iter().filter_map(|run| stories.get(run)).flat_map(|story| rows(story)).collect())
    }

    /// The steps of runs, pending ones included, by run and by their order in the definition.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn steps_of_runs(&self, runs: &[Uuid]) -> Result<Vec<StepRow>, Error> {
        self.of_runs(runs, Story::steps).await
    }

    /// The same; their tasks are read by their ids.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn steps_and_tasks_of_runs(&self, runs: &[Uuid]) -> Result<Vec<(StepRow, Option<TaskRow>)>, Error> {
        Ok(self.steps_of_runs(runs).await?.into_iter().map(|step| (step, None)).collect())
    }

    /// The elements of steps over lists; the window is cut of each step by itself.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn items_of_steps(&self, steps: &[(Uuid, String)], window: &ItemWindow) -> Result<Vec<ItemRow>, Error> {
        let runs: Vec<Uuid> = steps.iter().map(|(run, _)| *run).collect();
        let stories = self.stories(&runs).await?;
        let rows = steps.iter().filter_map(|(run, step)| Some(stories.get(run)?.items(step, window)));
        Ok(rows.flatten().collect())
    }

    /// Everything that people were asked in runs, by run and in the order in which it was asked.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn approvals_of_runs(&self, runs: &[Uuid]) -> Result<Vec<ApprovalRow>, Error> {
        self.of_runs(runs, Story::approvals).await
    }

    /// What people decided in runs, by run and in the order in which they did.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn decisions_of_runs(&self, runs: &[Uuid]) -> Result<Vec<DecisionRow>, Error> {
        self.of_runs(runs, Story::decisions).await
    }

    /// Every pause of runs, by run and in order.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn pauses_of_runs(&self, runs: &[Uuid]) -> Result<Vec<PauseRow>, Error> {
        self.of_runs(runs, Story::pauses).await
    }

    /// Every signal that runs received, by run and in order.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn signals_of_runs(&self, runs: &[Uuid]) -> Result<Vec<SignalRow>, Error> {
        self.of_runs(runs, Story::signals).await
    }

    /// Whenever runs were found with nothing to wait for, by run and in order.
    ///
    /// # Errors
    /// When database or journal fail.
    pub async fn stalls_of_runs(&self, runs: &[Uuid]) -> Result<Vec<StallRow>, Error> {
        self.of_runs(runs, Story::stalls).await
    }
}
