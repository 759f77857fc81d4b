use std::sync::Arc;

use domain::budget::{BudgetScope, BudgetSettings};
use domain::{BudgetCommand, BudgetRefusal, Budgets, Key, Purse, PurseId, RunId, StreamId, Timestamp};

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

    /// Every budget by key, straight from the journal. However many there are, their purses are read together, and only what
    /// was recorded since the last time.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn budgets(&self) -> Result<Vec<BudgetStanding>, Error> {
        let book = self.executor.load::<Budgets>(Budgets::stream()).await?.state;
        let now = self.surroundings.now();
        let streams: Vec<StreamId> = book.iter().filter_map(|settings| purse_of(settings, None)).collect();
        let mut purses = self.rolls.purses.take(&self.executor, &streams).await?.into_iter();
        let standing = |settings: &Arc<BudgetSettings>| {
            let purse = purse_of(settings, None).and_then(|_| purses.next());
            BudgetStanding::of(settings, purse.as_deref(), now)
        };
        Ok(book.iter().map(standing).collect())
    }

    /// One budget, straight from the journal; of a budget of each run, how it stands for `run`.
    ///
    /// # Errors
    /// `BUDGET_NOT_FOUND`.
    pub async fn budget(&self, key: &Key, run: Option<RunId>) -> Result<BudgetStanding, Error> {
        let book = self.executor.load::<Budgets>(Budgets::stream()).await?.state;
        let settings = book.get(key).ok_or_else(|| Error::Refused(Box::new(BudgetRefusal::NotFound(key.clone()))))?;
        let purse = match purse_of(settings, run) {
            Some(stream) => Some(self.executor.load::<Purse>(stream).await?.state),
            None => None,
        };
        Ok(BudgetStanding::of(settings, purse.as_deref(), self.surroundings.now()))
    }

    async fn on_budgets(&self, request: Request, command: BudgetCommand) -> Result<Outcome, Error> {
        let (context, remember) = self.context(&request);
        let done = self.executor.execute::<Budgets>(Budgets::stream(), command, context, remember).await?;
        Ok(Outcome::of(Budgets::stream(), &done))
    }
}

impl BudgetStanding {
    fn of(settings: &Arc<BudgetSettings>, purse: Option<&Purse>, now: Timestamp) -> Self {
        let purse = purse.map(|purse| PurseStanding {
            spent: purse.spent(settings.window, now),
            reserved: purse.reserved(),
            calls: purse.calls(),
        });
        Self { settings: Arc::clone(settings), purse, resets_at: settings.window.end(now) }
    }
}

/// The purse of a budget, of a budget of each run the one of this run; nothing when that is not said.
fn purse_of(settings: &BudgetSettings, run: Option<RunId>) -> Option<StreamId> {
    let partition = match settings.scope {
        BudgetScope::EachRun(_) => Some(run?.to_string()),
        _ => None,
    };
    Some(PurseId::of(&settings.key, &settings.scope, settings.unit, partition.as_deref()).into())
}
