//! Writes the changes of a batch, each table with one insert and one update at most; of steps, those that failed apart.

mod origins;
mod parts;
mod pauses;
mod runs;
mod steps;
mod tasks;

use sqlx::PgConnection;

use super::fold::Fold;
use crate::projector::ApplyError;

pub(super) async fn write(connection: &mut PgConnection, fold: Fold<'_>) -> Result<(), ApplyError> {
    runs::write_plans(connection, &fold).await?;
    let (born, changed) = fold.runs.iter().partition::<Vec<_>, _>(|(_, run)| run.born.is_some());
    runs::insert_runs(connection, &born).await?;
    runs::update_runs(connection, &changed).await?;
    origins::write(connection, &fold.rare).await?;
    steps::keep_steps(connection, &fold).await?;
    steps::write_steps(connection, &fold).await?;
    parts::write(connection, &fold.rare).await?;
    let (born, changed) = fold.tasks.iter().partition::<Vec<_>, _>(|(_, task)| task.born.is_some());
    tasks::insert_tasks(connection, &born).await?;
    tasks::update_tasks(connection, &changed).await?;
    tasks::defer_tasks(connection, &fold).await?;
    let (born, changed) = fold.attempts.iter().partition::<Vec<_>, _>(|(_, attempt)| attempt.born.is_some());
    tasks::insert_attempts(connection, &born).await?;
    tasks::update_attempts(connection, &changed).await?;
    tasks::cut_attempts(connection, &fold).await?;
    // Last: what goes on moves the times that the rows say.
    pauses::write(connection, &fold.rare).await
}

/// A change must find its row: what is missing was lost, and the read model would lie.
fn all_found(found: u64, wanted: usize, what: &str) -> Result<(), ApplyError> {
    if usize::try_from(found).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    Err(ApplyError::Indigestible(format!("{wanted} {what} changed, but only {found} of them have been created")))
}
