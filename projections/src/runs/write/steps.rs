//! Steps, and what a run keeps of another run's steps.

use sqlx::PgConnection;
use uuid::Uuid;

use super::all_found;
use crate::projector::ApplyError;
use crate::runs::change::StepChange;
use crate::runs::fold::Fold;

type StepRows<'r, 'a> = [(&'r (Uuid, &'a str), &'r StepChange<'a>)];

/// The first event of a step is its start, or that it is skipped, or that it fails before it ever started; each comes once.
/// So only of a step that fails without having started in this batch it is unknown whether it has a row.
pub(super) async fn write_steps(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let (born, others) = fold.steps.iter().partition::<Vec<_>, _>(|(_, step)| step.is_new());
    let (failed, ended) = others.into_iter().partition::<Vec<_>, _>(|(_, step)| step.error.kind.is_some());
    insert_steps(connection, &born).await?;
    end_steps(connection, &ended).await?;
    fail_steps(connection, &failed).await
}

async fn insert_steps(connection: &mut PgConnection, rows: &StepRows<'_, '_>) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO steps (run_id, step, status, task_id, output, simulated, error_kind, error_message, skip_reason,
            deadline, started_at, ended_at, position)
        SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::uuid[]), unnest($5::text[])::json,
            unnest($6::boolean[]), unnest($7::text[]), unnest($8::text[]), unnest($9::text[]), unnest($10::bigint[]),
            unnest($11::bigint[]), unnest($12::bigint[]), unnest($13::bigint[])",
        column!(rows, ((run, _), _) => *run) as _,
        column!(rows, ((_, step), _) => *step) as _,
        column!(rows, (_, step) => step.status) as _,
        column!(rows, (_, step) => step.task_id) as _,
        column!(rows, (_, step) => step.output.as_deref()) as _,
        column!(rows, (_, step) => step.simulated) as _,
        column!(rows, (_, step) => step.error.kind) as _,
        column!(rows, (_, step) => step.error.message.as_deref()) as _,
        column!(rows, (_, step) => step.skip_reason.as_deref()) as _,
        column!(rows, (_, step) => step.deadline) as _,
        column!(rows, (_, step) => step.started_at) as _,
        column!(rows, (_, step) => step.ended_at) as _,
        column!(rows, (_, step) => step.position) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Steps that started in an earlier batch and now have completed or been cancelled.
async fn end_steps(connection: &mut PgConnection, rows: &StepRows<'_, '_>) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "UPDATE steps s SET status = u.status, output = u.output::json, simulated = u.simulated, ended_at = u.ended_at,
            position = u.position
        FROM (
            SELECT unnest($1::uuid[]) AS run_id, unnest($2::text[]) AS step, unnest($3::text[]) AS status,
                unnest($4::text[]) AS output, unnest($5::boolean[]) AS simulated, unnest($6::bigint[]) AS ended_at,
                unnest($7::bigint[]) AS position
        ) AS u
        WHERE s.run_id = u.run_id AND s.step = u.step",
        column!(rows, ((run, _), _) => *run) as _,
        column!(rows, ((_, step), _) => *step) as _,
        column!(rows, (_, step) => step.status) as _,
        column!(rows, (_, step) => step.output.as_deref()) as _,
        column!(rows, (_, step) => step.simulated) as _,
        column!(rows, (_, step) => step.ended_at) as _,
        column!(rows, (_, step) => step.position) as _
    )
    .execute(connection)
    .await?;
    all_found(done.rows_affected(), rows.len(), "steps")
}

/// Steps that failed, and started in an earlier batch or never.
async fn fail_steps(connection: &mut PgConnection, rows: &StepRows<'_, '_>) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO steps (run_id, step, status, simulated, error_kind, error_message, ended_at, position)
        SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), false, unnest($4::text[]),
            unnest($5::text[]), unnest($6::bigint[]), unnest($7::bigint[])
        ON CONFLICT (run_id, step) DO UPDATE SET status = excluded.status, error_kind = excluded.error_kind,
            error_message = excluded.error_message, ended_at = excluded.ended_at, position = excluded.position",
        column!(rows, ((run, _), _) => *run) as _,
        column!(rows, ((_, step), _) => *step) as _,
        column!(rows, (_, step) => step.status) as _,
        column!(rows, (_, step) => step.error.kind) as _,
        column!(rows, (_, step) => step.error.message.as_deref()) as _,
        column!(rows, (_, step) => step.ended_at) as _,
        column!(rows, (_, step) => step.position) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A run that takes over another's history gets copies of the rows of the steps that it keeps: these had ended, and
/// what has ended does not change, save that it may be undone in the run where it happened.
pub(super) async fn keep_steps(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let lineages = fold.rare.lineages.iter();
    let kept: Vec<_> = lineages.flat_map(|to| to.kept.iter().map(move |step| (to, *step))).collect();
    if kept.is_empty() {
        return Ok(());
    }
    let runs: Vec<_> = kept.iter().map(|(to, _)| to.run).collect();
    let sources: Vec<_> = kept.iter().map(|(to, _)| to.source).collect();
    let steps: Vec<_> = kept.iter().map(|(_, step)| *step).collect();
    sqlx::query!(
        "INSERT INTO steps (run_id, step, status, task_id, output, simulated, error_kind, error_message, skip_reason,
            deadline, started_at, ended_at, position)
        SELECT u.run_id, s.step, s.status, s.task_id, s.output, s.simulated, s.error_kind, s.error_message,
            s.skip_reason, s.deadline, s.started_at, s.ended_at, u.position
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[]) AS u (run_id, source_id, step, position)
        JOIN steps s ON s.run_id = u.source_id AND s.step = u.step",
        &runs,
        &sources,
        &steps as _,
        column!(kept, (to, _) => to.position) as _
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO activities (run_id, step, fires_at, signal, child_id, abandoned)
        SELECT u.run_id, s.step, s.fires_at, s.signal, s.child_id, s.abandoned
        FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS u (run_id, source_id, step)
        JOIN activities s ON s.run_id = u.source_id AND s.step = u.step",
        &runs,
        &sources,
        &steps as _
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO approvals (run_id, step, content, content_hash, expires_at, expired)
        SELECT u.run_id, s.step, s.content, s.content_hash, s.expires_at, s.expired
        FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS u (run_id, source_id, step)
        JOIN approvals s ON s.run_id = u.source_id AND s.step = u.step",
        &runs,
        &sources,
        &steps as _
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO decisions (run_id, step, number, decided_by, approved, comment, content_hash, at)
        SELECT u.run_id, s.step, s.number, s.decided_by, s.approved, s.comment, s.content_hash, s.at
        FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS u (run_id, source_id, step)
        JOIN decisions s ON s.run_id = u.source_id AND s.step = u.step",
        &runs,
        &sources,
        &steps as _
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO lists (run_id, step, elements, length)
        SELECT u.run_id, s.step, s.elements, s.length
        FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS u (run_id, source_id, step)
        JOIN lists s ON s.run_id = u.source_id AND s.step = u.step",
        &runs,
        &sources,
        &steps as _
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO items (run_id, step, item, status, task_id, result, simulated, error_kind, error_message,
            started_at, ended_at)
        SELECT u.run_id, s.step, s.item, s.status, s.task_id, s.result, s.simulated, s.error_kind, s.error_message,
            s.started_at, s.ended_at
        FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS u (run_id, source_id, step)
        JOIN items s ON s.run_id = u.source_id AND s.step = u.step",
        &runs,
        &sources,
        &steps as _
    )
    .execute(connection)
    .await?;
    Ok(())
}
