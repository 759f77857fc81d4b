//! Pauses, and what a clock that stood still means for everything that waits for a time.

use sqlx::PgConnection;

use crate::projector::ApplyError;
use crate::runs::rare::Rare;

pub(super) async fn write(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    let pauses: Vec<_> = rare.pauses.iter().collect();
    if !pauses.is_empty() {
        sqlx::query!(
            "INSERT INTO pauses (run_id, number, paused_by, pause_reason, since, clock, hold_id)
            SELECT unnest($1::uuid[]), unnest($2::bigint[]), unnest($3::text[]), unnest($4::text[]),
                unnest($5::bigint[]), unnest($6::text[]), unnest($7::uuid[])",
            column!(pauses, ((run, _), _) => *run) as _,
            column!(pauses, ((_, number), _) => *number) as _,
            column!(pauses, (_, pause) => pause.by.as_str()) as _,
            column!(pauses, (_, pause) => &*pause.reason) as _,
            column!(pauses, (_, pause) => pause.since) as _,
            column!(pauses, (_, pause) => pause.clock) as _,
            column!(pauses, (_, pause) => pause.hold) as _
        )
        .execute(&mut *connection)
        .await?;
    }
    if !rare.unpaused.is_empty() {
        sqlx::query!(
            "UPDATE pauses p SET until = u.at FROM unnest($1::uuid[], $2::bigint[]) AS u (run_id, at)
            WHERE p.run_id = u.run_id AND p.until IS NULL",
            column!(rare.unpaused, (run, _) => *run) as _,
            column!(rare.unpaused, (_, at) => *at) as _
        )
        .execute(&mut *connection)
        .await?;
    }
    resume(connection, rare).await
}

/// Runs that go on. Nothing else of them is in this round of the batch, so their rows are as they were when they were
/// resumed.
async fn resume(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if rare.resumed.is_empty() {
        return Ok(());
    }
    let runs: Vec<_> = rare.resumed.keys().copied().collect();
    let at: Vec<_> = rare.resumed.values().map(|(at, _)| *at).collect();
    sqlx::query!(
        "UPDATE runs r SET deadline = r.deadline + greatest(u.at - p.since, 0)
        FROM unnest($1::uuid[], $2::bigint[]) AS u (run_id, at)
        JOIN pauses p ON p.run_id = u.run_id AND p.until IS NULL AND p.clock = 'frozen'
        WHERE r.id = u.run_id AND r.deadline IS NOT NULL",
        &runs,
        &at
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE steps s SET deadline = s.deadline + greatest(u.at - p.since, 0)
        FROM unnest($1::uuid[], $2::bigint[]) AS u (run_id, at)
        JOIN pauses p ON p.run_id = u.run_id AND p.until IS NULL AND p.clock = 'frozen'
        WHERE s.run_id = u.run_id AND s.status = 'running' AND s.deadline IS NOT NULL",
        &runs,
        &at
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE activities a SET fires_at = a.fires_at + greatest(u.at - p.since, 0)
        FROM unnest($1::uuid[], $2::bigint[]) AS u (run_id, at)
        JOIN pauses p ON p.run_id = u.run_id AND p.until IS NULL AND p.clock = 'frozen'
        JOIN steps s ON s.run_id = u.run_id AND s.status = 'running'
        WHERE a.run_id = u.run_id AND a.step = s.step AND a.fires_at IS NOT NULL",
        &runs,
        &at
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE approvals a SET expires_at = a.expires_at + greatest(u.at - p.since, 0)
        FROM unnest($1::uuid[], $2::bigint[]) AS u (run_id, at)
        JOIN pauses p ON p.run_id = u.run_id AND p.until IS NULL AND p.clock = 'frozen'
        JOIN steps s ON s.run_id = u.run_id AND s.status = 'running'
        WHERE a.run_id = u.run_id AND a.step = s.step AND a.expires_at IS NOT NULL",
        &runs,
        &at
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE pauses p SET until = u.at, resumed_by = u.resumed_by
        FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS u (run_id, at, resumed_by)
        WHERE p.run_id = u.run_id AND p.until IS NULL",
        &runs,
        &at,
        column!(rare.resumed, (_, (_, by)) => by.as_str()) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}
