//! Budgets, straight from the journal.

use async_graphql::{Context, Object, Result};
use commands::Commands;
use uuid::Uuid;

use crate::budget::Budget;
use crate::failure;
use crate::input::key as parse_key;
use crate::order::BudgetOrder;
use crate::status::BudgetScope;

#[derive(Default)]
pub(super) struct Budgets;

#[Object]
impl Budgets {
    /// Every budget as it stands now, by key unless said otherwise.
    #[graphql(complexity = "50 * child_complexity")]
    async fn budgets(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those that count this.")] scope: Option<BudgetScope>,
        #[graphql(desc = "In which order.", default_with = "BudgetOrder::Key")] order_by: BudgetOrder,
        #[graphql(desc = "In the opposite order.", default)] reversed: bool,
    ) -> Result<Vec<Budget>> {
        let standing = context.data::<Commands>()?.budgets().await;
        let standing = standing.map_err(|error| failure::command(context, error))?;
        let mut budgets = standing.into_iter().map(Budget::standing).collect::<Result<Vec<_>>>()?;
        budgets.retain(|budget| budget.counts(scope));
        Budget::sort(&mut budgets, order_by);
        if reversed {
            budgets.reverse();
        }
        Ok(budgets)
    }

    /// One budget as it stands now; null when there is none.
    async fn budget(
        &self,
        context: &Context<'_>,
        key: String,
        #[graphql(desc = "Of a budget of each run: how it stands for this one.")] run_id: Option<Uuid>,
    ) -> Result<Option<Budget>> {
        Budget::find(context, &parse_key(&key)?, run_id).await
    }
}
