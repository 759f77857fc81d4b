//! Budgets, straight from the journal.

use async_graphql::{Context, Object, Result};
use commands::Commands;
use domain::RunId;
use uuid::Uuid;

use crate::budget::Budget;
use crate::failure;
use crate::input::key as parse_key;

#[derive(Default)]
pub(super) struct Budgets;

#[Object]
impl Budgets {
    /// Every budget, by key, as it stands now.
    #[graphql(complexity = "50 * child_complexity")]
    async fn budgets(&self, context: &Context<'_>) -> Result<Vec<Budget>> {
        let standing = context.data::<Commands>()?.budgets().await;
        let standing = standing.map_err(|error| failure::command(context, error))?;
        standing.into_iter().map(Budget::standing).collect()
    }

    /// One budget as it stands now; null when there is none.
    async fn budget(
        &self,
        context: &Context<'_>,
        key: String,
        #[graphql(desc = "Of a budget of each run: how it stands for this one.")] run_id: Option<Uuid>,
    ) -> Result<Option<Budget>> {
        let key = parse_key(&key)?;
        match context.data::<Commands>()?.budget(&key, run_id.map(RunId::from_uuid)).await {
            Ok(standing) => Budget::standing(standing).map(Some),
            Err(error) if error.code() == "BUDGET_NOT_FOUND" => Ok(None),
            Err(error) => Err(failure::command(context, error)),
        }
    }
}
