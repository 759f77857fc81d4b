//! Writes the changes of a batch. Columns are bound `as _` for the reason given at `column!`.

use sqlx::PgConnection;

use super::fold::{Fold, Seat};
use crate::projector::{ApplyError, storable};

pub(super) async fn write(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    limits(connection, fold).await?;
    removed(connection, fold).await?;
    slots(connection, fold).await?;
    seats(connection, fold).await?;
    lifted(connection, fold).await?;
    placed(connection, fold).await
}

async fn limits(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let rows: Vec<_> = fold.limits.iter().map(|(id, set)| (id, set, set.settings)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO limits (id, key, description, scope_kind, scope_key, partition_by, max_running, rate_starts,
            rate_micros, fairness, set_by, set_at, position)
        SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]),
            unnest($6::text[]), unnest($7::bigint[]), unnest($8::bigint[]), unnest($9::bigint[]), unnest($10::text[]),
            unnest($11::text[]), unnest($12::bigint[]), unnest($13::bigint[])
        ON CONFLICT (id) DO UPDATE SET description = excluded.description, scope_kind = excluded.scope_kind,
            scope_key = excluded.scope_key, partition_by = excluded.partition_by, max_running = excluded.max_running,
            rate_starts = excluded.rate_starts, rate_micros = excluded.rate_micros, fairness = excluded.fairness,
            set_by = excluded.set_by, set_at = excluded.set_at, removed_at = NULL, removed_reason = NULL,
            position = excluded.position",
        column!(rows, (id, _, _) => **id) as _,
        column!(rows, (_, _, limit) => limit.key.as_str()) as _,
        column!(rows, (_, _, limit) => storable(&limit.description)) as _,
        column!(rows, (_, _, limit) => limit.scope.kind()) as _,
        column!(rows, (_, _, limit) => limit.scope.key().as_str()) as _,
        column!(rows, (_, _, limit) => limit.by.as_ref().map(|by| storable(&by.to_string()).into_owned())) as _,
        column!(rows, (_, _, limit) => limit.capacity.max_running.map(i64::from)) as _,
        column!(rows, (_, _, limit) => limit.capacity.rate.map(|rate| i64::from(rate.starts))) as _,
        column!(rows, (_, _, limit) => limit.capacity.rate.map(|rate| micros(rate.per))) as _,
        column!(rows, (_, _, limit) => limit.fairness.as_ref().map(|by| storable(&by.to_string()).into_owned())) as _,
        column!(rows, (_, set, _) => set.by.as_str()) as _,
        column!(rows, (_, set, _) => set.at) as _,
        column!(rows, (_, set, _) => set.position) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn removed(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    if fold.removed.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE limits l SET removed_at = u.at, removed_reason = u.reason, position = u.position
        FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[]) AS u (id, at, reason, position)
        WHERE l.id = u.id",
        column!(fold.removed, (id, _) => *id) as _,
        column!(fold.removed, (_, removed) => removed.at) as _,
        column!(fold.removed, (_, removed) => &*removed.reason) as _,
        column!(fold.removed, (_, removed) => removed.position) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn slots(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    if fold.slots.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO slots (id, limit_key, partition)
        SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[])
        ON CONFLICT (id) DO NOTHING",
        column!(fold.slots, (id, _) => *id) as _,
        column!(fold.slots, (_, (limit, _)) => *limit) as _,
        column!(fold.slots, (_, (_, partition)) => partition.as_deref()) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn seats(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let (mut taken, mut granted, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for (key, seat) in &fold.seats {
        match seat {
            Seat::Taken(seat) => taken.push((*key, seat)),
            Seat::Granted(at) => granted.push((*key, *at)),
            Seat::Left => left.push(*key),
        }
    }
    if !left.is_empty() {
        sqlx::query!(
            "DELETE FROM seats s USING unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS u (slots_id, run_id, task_id)
            WHERE s.slots_id = u.slots_id AND s.run_id = u.run_id AND s.task_id = u.task_id",
            column!(left, (slots, _, _) => *slots) as _,
            column!(left, (_, run, _) => *run) as _,
            column!(left, (_, _, task) => *task) as _
        )
        .execute(&mut *connection)
        .await?;
    }
    if !granted.is_empty() {
        sqlx::query!(
            "UPDATE seats s SET granted_at = u.at
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[]) AS u (slots_id, run_id, task_id, at)
            WHERE s.slots_id = u.slots_id AND s.run_id = u.run_id AND s.task_id = u.task_id",
            column!(granted, ((slots, _, _), _) => *slots) as _,
            column!(granted, ((_, run, _), _) => *run) as _,
            column!(granted, ((_, _, task), _) => *task) as _,
            column!(granted, (_, at) => *at) as _
        )
        .execute(&mut *connection)
        .await?;
    }
    if taken.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO seats (slots_id, run_id, task_id, limit_key, partition, priority, fairness, requested_at,
            granted_at)
        SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::uuid[]), unnest($4::text[]), unnest($5::text[]),
            unnest($6::integer[]), unnest($7::text[]), unnest($8::bigint[]), unnest($9::bigint[])
        ON CONFLICT (slots_id, run_id, task_id) DO UPDATE SET limit_key = excluded.limit_key,
            partition = excluded.partition, priority = excluded.priority, fairness = excluded.fairness,
            requested_at = excluded.requested_at, granted_at = excluded.granted_at",
        column!(taken, ((slots, _, _), _) => *slots) as _,
        column!(taken, ((_, run, _), _) => *run) as _,
        column!(taken, ((_, _, task), _) => *task) as _,
        column!(taken, (_, seat) => seat.limit) as _,
        column!(taken, (_, seat) => seat.partition.as_deref()) as _,
        column!(taken, (_, seat) => seat.priority) as _,
        column!(taken, (_, seat) => &*seat.fairness) as _,
        column!(taken, (_, seat) => seat.requested_at) as _,
        column!(taken, (_, seat) => seat.granted_at) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn lifted(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    if fold.lifted.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE holds h SET lifted_by = u.lifted_by, lifted_at = u.at, position = u.position
        FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) AS u (hold_id, lifted_by, at, position)
        WHERE h.hold_id = u.hold_id AND h.lifted_at IS NULL",
        column!(fold.lifted, (id, _) => *id) as _,
        column!(fold.lifted, (_, lifted) => lifted.by.as_str()) as _,
        column!(fold.lifted, (_, lifted) => lifted.at) as _,
        column!(fold.lifted, (_, lifted) => lifted.position) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn placed(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    if fold.placed.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = fold.placed.iter().collect();
    sqlx::query!(
        "INSERT INTO holds (hold_id, number, workflow_key, placed_by, reason, placed_at, clock, lifted_by, lifted_at,
            position)
        SELECT unnest($1::uuid[]), unnest($2::bigint[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]),
            unnest($6::bigint[]), unnest($7::text[]), unnest($8::text[]), unnest($9::bigint[]), unnest($10::bigint[])",
        column!(rows, ((id, _), _) => *id) as _,
        column!(rows, ((_, number), _) => *number) as _,
        column!(rows, (_, placed) => placed.workflow) as _,
        column!(rows, (_, placed) => placed.by.as_str()) as _,
        column!(rows, (_, placed) => &*placed.reason) as _,
        column!(rows, (_, placed) => placed.at) as _,
        column!(rows, (_, placed) => placed.clock) as _,
        column!(rows, (_, placed) => placed.lifted.as_ref().map(|lifted| lifted.by.as_str())) as _,
        column!(rows, (_, placed) => placed.lifted.as_ref().map(|lifted| lifted.at)) as _,
        column!(rows, (_, placed) => placed.lifted.as_ref().map_or(placed.position, |lifted| lifted.position)) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
