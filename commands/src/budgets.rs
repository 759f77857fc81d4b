use std::sync::Arc;

use domain::budget::{BudgetScope, BudgetSettings};
use domain::{BudgetCommand, BudgetRefusal, Budgets, Key, Purse, PurseId, RunId, Timestamp};

use crate::{Commands, Error, Outcome, Request};

/// A budget, and how it stands now.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetStanding {
    /// What it is.
    pub settings: Arc<BudgetSettings>,
    /// How its purse stands; `None` for a budget of each run, when no run was asked about.
    pub purse: Option<PurseStanding>,
    /// When the next window begins; `None` when there is none.
    pub resets_at: Option<Timestamp>,
}

/// How a purse stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurseStanding {
    /// What is spent in this window, in the budget's unit.
    pub spent: u64,
    /// What is set aside for calls under way.
    pub reserved: u64,
    /// How many calls these are.
    pub calls: usize,
}

impl Commands {
    /// Sets a budget, or changes it; it counts from the next attempt on. What was spent stays spent.
    ///
    /// # Errors
    /// `BUDGET_INVALID`.
    pub async fn set_budget(&self, request: Request, settings: BudgetSettings) -> Result<Outcome, Error> {
        self.on_budgets(request, BudgetCommand::Set { settings: Box::new(settings) }).await
    }

    /// Takes a budget away.
    ///
    /// # Errors
    /// `BUDGET_NOT_FOUND`.
    pub async fn remove_budget(&self, request: Request, key: Key, reason: String) -> Result<Outcome, Error> {
        self.on_budgets(request, BudgetCommand::Remove { key, reason }).await
    }

    /// Every budget by key, straight from the journal.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn budgets(&self) -> Result<Vec<BudgetStanding>, Error> {
        let book = self.executor.load::<Budgets>(Budgets::stream()).await?.state;
        let mut all = Vec::with_capacity(book.iter().len());
        for settings in book.iter() {
            all.push(self.standing_of(settings, None).await?);
        }
        Ok(all)
    }

    /// One budget, straight from the journal; of a budget of each run, how it stands for `run`.
    ///
    /// # Errors
    /// `BUDGET_NOT_FOUND`.
    pub async fn budget(&self, key: &Key, run: Option<RunId>) -> Result<BudgetStanding, Error> {
        let book = self.executor.load::<Budgets>(Budgets::stream()).await?.state;
        match book.get(key) {
            Some(settings) => self.standing_of(settings, run).await,
            None => Err(Error::Refused(Box::new(BudgetRefusal::NotFound(key.clone())))),
        }
    }

    async fn standing_of(&self, settings: &Arc<BudgetSettings>, run: Option<RunId>) -> Result<BudgetStanding, Error> {
        let now = self.surroundings.now();
        let partition = match settings.scope {
            BudgetScope::EachRun(_) => run.map(|run| Some(run.to_string())),
            _ => Some(None),
        };
        let purse = match partition {
            Some(partition) => {
                let id = PurseId::of(&settings.key, &settings.scope, settings.unit, partition.as_deref());
                let purse = self.executor.load::<Purse>(id.into()).await?.state;
                let (spent, reserved) = (purse.spent(settings.window, now), purse.reserved());
                Some(PurseStanding { spent, reserved, calls: purse.reservations().len() })
            }
            None => None,
        };
        Ok(BudgetStanding { settings: Arc::clone(settings), purse, resets_at: settings.window.end(now) })
    }

    async fn on_budgets(&self, request: Request, command: BudgetCommand) -> Result<Outcome, Error> {
        let (context, remember) = self.context(&request);
        let done = self.executor.execute::<Budgets>(Budgets::stream(), command, context, remember).await?;
        Ok(Outcome::of(Budgets::stream(), &done))
    }
}
