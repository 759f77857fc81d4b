//! Where runs come from, and what they wait for before they begin.

use sqlx::PgConnection;

use crate::projector::ApplyError;
use crate::runs::rare::Rare;

pub(super) async fn write(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    parents(connection, rare).await?;
    lineages(connection, rare).await?;
    repeats(connection, rare).await?;
    firings(connection, rare).await?;
    queues(connection, rare).await
}

async fn parents(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if rare.parents.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO parents (run_id, parent_id, parent_step, depth)
        SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::integer[])",
        column!(rare.parents, row => row.run) as _,
        column!(rare.parents, row => row.parent) as _,
        column!(rare.parents, row => row.step) as _,
        column!(rare.parents, row => row.depth) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn lineages(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if rare.lineages.is_empty() {
        return Ok(());
    }
    // Lists of words travel as JSON, because `unnest` would flatten an array of arrays.
    let words = |words: &[&str]| serde_json::Value::from(words).to_string();
    sqlx::query!(
        "INSERT INTO lineages (run_id, source_id, source_revision, lineage_kind, kept, overrides)
        SELECT run_id, source_id, revision, kind, ARRAY(SELECT json_array_elements_text(kept::json)), overrides::json
        FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[])
            AS u (run_id, source_id, revision, kind, kept, overrides)",
        column!(rare.lineages, row => row.run) as _,
        column!(rare.lineages, row => row.source) as _,
        column!(rare.lineages, row => row.revision) as _,
        column!(rare.lineages, row => row.kind) as _,
        column!(rare.lineages, row => words(&row.kept)) as _,
        column!(rare.lineages, row => row.overrides.as_str()) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn firings(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if rare.firings.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO firings (run_id, trigger_id, cause)
        SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[])",
        column!(rare.firings, row => row.run) as _,
        column!(rare.firings, row => row.trigger) as _,
        column!(rare.firings, row => &*row.cause) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn repeats(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if rare.repeats.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO repeats (run_id, task_id)
        SELECT unnest($1::uuid[]), unnest($2::uuid[])",
        column!(rare.repeats, (run, _) => *run) as _,
        column!(rare.repeats, (_, task) => *task) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn queues(connection: &mut PgConnection, rare: &Rare<'_>) -> Result<(), ApplyError> {
    if !rare.queued.is_empty() {
        sqlx::query!(
            "INSERT INTO queues (run_id, queued_at)
            SELECT unnest($1::uuid[]), unnest($2::bigint[])",
            column!(rare.queued, (run, _) => *run) as _,
            column!(rare.queued, (_, at) => *at) as _
        )
        .execute(&mut *connection)
        .await?;
    }
    if !rare.admitted.is_empty() {
        sqlx::query!(
            "UPDATE queues q SET admitted_at = u.at FROM unnest($1::uuid[], $2::bigint[]) AS u (run_id, at)
            WHERE q.run_id = u.run_id",
            column!(rare.admitted, (run, _) => *run) as _,
            column!(rare.admitted, (_, at) => *at) as _
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}
