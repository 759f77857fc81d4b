//! Budgets, straight from the journal.

use async_graphql::{Context, Object, Result};
use commands::Commands;
use projections::Window;
use uuid::Uuid;

use super::head;
use crate::budget::{Budget, BudgetFilter};
use crate::failure;
use crate::input::key as parse_key;
use crate::order::{BudgetOrder, Cursor};
use crate::page::{Arguments, Pages, connection, cost};

#[derive(Default)]
pub(super) struct Budgets;

#[Object]
impl Budgets {
    /// Every budget as it stands now, by key unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn budgets(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<BudgetFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "BudgetOrder::Key")] order_by: BudgetOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
    ) -> Result<Pages<Cursor, Budget>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let position = head(context).await?;
        let standing = context.data::<Commands>()?.budgets().await;
        let standing = standing.map_err(|error| failure::command(context, error))?;
        let mut budgets = standing.into_iter().map(Budget::standing).collect::<Result<Vec<_>>>()?;
        let filter = filter.unwrap_or_default();
        budgets.retain(|budget| filter.wants(budget));
        let page = Budget::page(budgets, &window, order_by, reversed)?;
        connection(page, &window, position, Ok)
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
