//! Lists of tasks and of attempts, whatever runs they belong to.

use async_graphql::{Context, Object, Result};
use projections::Window;

use super::filter::{AttemptFilter, TaskFilter};
use super::queries;
use crate::as_of::{AsOf, open};
use crate::failure;
use crate::order::{AttemptOrder, Cursor, TaskOrder, by_place, placed};
use crate::page::{Arguments, Pages, connection, cost};
use crate::scalar::Position;
use crate::task::{Attempt, Task};

/// Tasks and attempts.
#[derive(Default)]
pub(super) struct Work;

#[Object]
impl Work {
    /// Tasks, the newest first unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    pub(super) async fn tasks(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<TaskFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "TaskOrder::Created")] order_by: TaskOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Pages<Cursor, Task>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let asked = placed(&window, order_by.name())?.turned(reversed);
        let filter = filter.unwrap_or_default().into_filter()?;
        let view = open(context, min_position, as_of).await?;
        let key = order_by.key().unwrap_or_default();
        let page = match view.past() {
            Some(past) => past.tasks_by(key, &filter, &asked).await,
            None => queries(context)?.tasks(key, &filter, &asked).await,
        };
        let page = page.map_err(|error| failure::query(context, &error))?;
        let page = by_place(page, reversed, order_by.name())?;
        connection(page, &window, view.position, |(cursor, row)| Ok((cursor, Task::of(row)?)))
    }

    /// Attempts, the newest first unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    pub(super) async fn attempts(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<AttemptFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "AttemptOrder::Started")] order_by: AttemptOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Pages<Cursor, Attempt>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let asked = placed(&window, order_by.name())?.turned(reversed);
        let filter = filter.unwrap_or_default().into();
        let view = open(context, min_position, as_of).await?;
        let key = order_by.key().unwrap_or_default();
        let page = match view.past() {
            Some(past) => past.attempts(key, &filter, &asked).await,
            None => queries(context)?.attempts(key, &filter, &asked).await,
        };
        let page = page.map_err(|error| failure::query(context, &error))?;
        let page = by_place(page, reversed, order_by.name())?;
        connection(page, &window, view.position, |(cursor, row)| Ok((cursor, Attempt::of(row)?)))
    }
}
