//! What happens within steps that are no single task, and beside all steps.

use sqlx::PgConnection;

use crate::projector::ApplyError;
use crate::runs::rare::Rare;

pub(super) async fn write(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    activities(connection, rare).await?;
    approvals(connection, rare).await?;
    decisions(connection, rare).await?;
    lists(connection, rare).await?;
    items(connection, rare).await?;
    undos(connection, rare).await?;
    signals(connection, rare).await?;
    stalls(connection, rare).await
}

async fn activities(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if !rare.activities.is_empty() {
        let rows: Vec<_> = rare.activities.iter().collect();
        sqlx::query!(
            "INSERT INTO activities (run_id, step, fires_at, signal, child_id, abandoned)
            SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::bigint[]), unnest($4::text[]), unnest($5::uuid[]),
                false",
            column!(rows, ((run, _), _) => *run) as _,
            column!(rows, ((_, step), _) => *step) as _,
            column!(rows, (_, activity) => activity.fires_at) as _,
            column!(rows, (_, activity) => activity.signal) as _,
            column!(rows, (_, activity) => activity.child) as _
        )
        .execute(&mut *connection)
        .await?;
    }
    if !rare.abandoned.is_empty() {
        sqlx::query!(
            "UPDATE activities a SET abandoned = true FROM unnest($1::uuid[], $2::text[]) AS u (run_id, step)
            WHERE a.run_id = u.run_id AND a.step = u.step",
            column!(rare.abandoned, (run, _) => *run) as _,
            column!(rare.abandoned, (_, step) => *step) as _
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}

async fn approvals(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if !rare.approvals.is_empty() {
        let rows: Vec<_> = rare.approvals.iter().collect();
        sqlx::query!(
            "INSERT INTO approvals (run_id, step, content, content_hash, expires_at, expired)
            SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[])::json, unnest($4::bytea[]),
                unnest($5::bigint[]), false",
            column!(rows, ((run, _), _) => *run) as _,
            column!(rows, ((_, step), _) => *step) as _,
            column!(rows, (_, approval) => approval.content.as_str()) as _,
            column!(rows, (_, approval) => approval.content_hash) as _,
            column!(rows, (_, approval) => approval.expires_at) as _
        )
        .execute(&mut *connection)
        .await?;
    }
    if !rare.expired.is_empty() {
        sqlx::query!(
            "UPDATE approvals a SET expired = true FROM unnest($1::uuid[], $2::text[]) AS u (run_id, step)
            WHERE a.run_id = u.run_id AND a.step = u.step",
            column!(rare.expired, (run, _) => *run) as _,
            column!(rare.expired, (_, step) => *step) as _
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}

async fn decisions(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if rare.decisions.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO decisions (run_id, step, number, decided_by, approved, comment, content_hash, at)
        SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::bigint[]), unnest($4::text[]), unnest($5::boolean[]),
            unnest($6::text[]), unnest($7::bytea[]), unnest($8::bigint[])",
        column!(rare.decisions, row => row.run) as _,
        column!(rare.decisions, row => row.step) as _,
        column!(rare.decisions, row => row.number) as _,
        column!(rare.decisions, row => row.by.as_str()) as _,
        column!(rare.decisions, row => row.approved) as _,
        column!(rare.decisions, row => &*row.comment) as _,
        column!(rare.decisions, row => row.content_hash) as _,
        column!(rare.decisions, row => row.at) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn lists(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if rare.lists.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = rare.lists.iter().collect();
    sqlx::query!(
        "INSERT INTO lists (run_id, step, elements, length)
        SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[])::json, unnest($4::integer[])",
        column!(rows, ((run, _), _) => *run) as _,
        column!(rows, ((_, step), _) => *step) as _,
        column!(rows, (_, list) => list.elements.as_str()) as _,
        column!(rows, (_, list) => list.length) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn items(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if rare.items.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = rare.items.iter().collect();
    sqlx::query!(
        "INSERT INTO items AS i (run_id, step, item, status, task_id, result, simulated, error_kind, error_message,
            started_at, ended_at)
        SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::integer[]), unnest($4::text[]), unnest($5::uuid[]),
            unnest($6::text[])::json, unnest($7::boolean[]), unnest($8::text[]), unnest($9::text[]),
            unnest($10::bigint[]), unnest($11::bigint[])
        ON CONFLICT (run_id, step, item) DO UPDATE SET status = excluded.status,
            task_id = coalesce(excluded.task_id, i.task_id), result = excluded.result, simulated = excluded.simulated,
            error_kind = excluded.error_kind, error_message = excluded.error_message,
            started_at = coalesce(excluded.started_at, i.started_at), ended_at = excluded.ended_at",
        column!(rows, ((run, _, _), _) => *run) as _,
        column!(rows, ((_, step, _), _) => *step) as _,
        column!(rows, ((_, _, item), _) => *item) as _,
        column!(rows, (_, part) => part.status) as _,
        column!(rows, (_, part) => part.task) as _,
        column!(rows, (_, part) => part.result.as_deref()) as _,
        column!(rows, (_, part) => part.simulated) as _,
        column!(rows, (_, part) => part.error.kind) as _,
        column!(rows, (_, part) => part.error.message.as_deref()) as _,
        column!(rows, (_, part) => part.started_at) as _,
        column!(rows, (_, part) => part.ended_at) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn undos(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if rare.undos.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = rare.undos.iter().collect();
    sqlx::query!(
        "INSERT INTO undos AS o (run_id, step, task_id, status, simulated, error_kind, error_message, started_at,
            ended_at)
        SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::uuid[]), unnest($4::text[]), unnest($5::boolean[]),
            unnest($6::text[]), unnest($7::text[]), unnest($8::bigint[]), unnest($9::bigint[])
        ON CONFLICT (run_id, step) DO UPDATE SET status = excluded.status,
            task_id = coalesce(excluded.task_id, o.task_id), simulated = excluded.simulated,
            error_kind = excluded.error_kind, error_message = excluded.error_message,
            started_at = coalesce(excluded.started_at, o.started_at), ended_at = excluded.ended_at",
        column!(rows, ((run, _), _) => *run) as _,
        column!(rows, ((_, step), _) => *step) as _,
        column!(rows, (_, part) => part.task) as _,
        column!(rows, (_, part) => part.status) as _,
        column!(rows, (_, part) => part.simulated) as _,
        column!(rows, (_, part) => part.error.kind) as _,
        column!(rows, (_, part) => part.error.message.as_deref()) as _,
        column!(rows, (_, part) => part.started_at) as _,
        column!(rows, (_, part) => part.ended_at) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn signals(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if rare.signals.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO signals (run_id, number, signal, payload, at)
        SELECT unnest($1::uuid[]), unnest($2::bigint[]), unnest($3::text[]), unnest($4::text[])::json,
            unnest($5::bigint[])",
        column!(rare.signals, row => row.run) as _,
        column!(rare.signals, row => row.number) as _,
        column!(rare.signals, row => row.signal) as _,
        column!(rare.signals, row => row.payload.as_str()) as _,
        column!(rare.signals, row => row.at) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn stalls(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if rare.stalls.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO stalls (run_id, number, what, at)
        SELECT unnest($1::uuid[]), unnest($2::bigint[]), unnest($3::text[]), unnest($4::bigint[])",
        column!(rare.stalls, row => row.run) as _,
        column!(rare.stalls, row => row.number) as _,
        column!(rare.stalls, row => &*row.what) as _,
        column!(rare.stalls, row => row.at) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}
