//! Writes the changes of a part. Columns are bound `as _` for the reason given at `column!`.

use sqlx::PgConnection;

use super::fold::{Change, Part};
use crate::projector::ApplyError;

pub(super) async fn write(connection: &mut PgConnection, part: &Part<'_>) -> Result<(), ApplyError> {
    deliveries(connection, part).await?;
    attempts(connection, part).await?;
    late(connection, part).await?;
    change(connection, part).await
}

async fn deliveries(connection: &mut PgConnection, part: &Part<'_>) -> Result<(), ApplyError> {
    let rows = &part.deliveries;
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO deliveries (id, webhook_id, topic, event_id, event_position, event_at, status, attempts, http_status,
            trouble, next_at, changed_at, position)
        SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::uuid[]), unnest($5::bigint[]),
            unnest($6::bigint[]), unnest($7::text[]), unnest($8::bigint[]), unnest($9::integer[]), unnest($10::text[]),
            unnest($11::bigint[]), unnest($12::bigint[]), unnest($13::bigint[])
        ON CONFLICT (id) DO UPDATE SET status = excluded.status, attempts = excluded.attempts,
            http_status = excluded.http_status, trouble = excluded.trouble, next_at = excluded.next_at,
            changed_at = excluded.changed_at, position = excluded.position",
        column!(rows, (id, _) => *id) as _,
        column!(rows, (_, row) => row.subject.webhook.as_uuid()) as _,
        column!(rows, (_, row) => row.subject.topic.name()) as _,
        column!(rows, (_, row) => row.subject.source.event.as_uuid()) as _,
        column!(rows, (_, row) => row.subject.source.position.cast_signed()) as _,
        column!(rows, (_, row) => row.subject.source.at.as_micros()) as _,
        column!(rows, (_, row) => row.status) as _,
        column!(rows, (_, row) => row.attempts) as _,
        column!(rows, (_, row) => row.http_status) as _,
        column!(rows, (_, row) => row.trouble.as_deref()) as _,
        column!(rows, (_, row) => row.next_at) as _,
        column!(rows, (_, row) => row.changed_at) as _,
        column!(rows, (_, row) => row.position) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn attempts(connection: &mut PgConnection, part: &Part<'_>) -> Result<(), ApplyError> {
    let rows = &part.attempts;
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO delivery_attempts (delivery_id, number, attempt, succeeded, http_status, trouble, took_micros,
            ended_at)
        SELECT unnest($1::uuid[]), unnest($2::bigint[]), unnest($3::bigint[]), unnest($4::boolean[]),
            unnest($5::integer[]), unnest($6::text[]), unnest($7::bigint[]), unnest($8::bigint[])",
        column!(rows, row => row.delivery) as _,
        column!(rows, row => row.number) as _,
        column!(rows, row => row.attempt) as _,
        column!(rows, row => row.succeeded) as _,
        column!(rows, row => row.http_status) as _,
        column!(rows, row => row.trouble.as_deref()) as _,
        column!(rows, row => row.took_micros) as _,
        column!(rows, row => row.ended_at) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What was under way when its webhook was closed does not wait any more, either.
async fn late(connection: &mut PgConnection, part: &Part<'_>) -> Result<(), ApplyError> {
    if part.deliveries.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE deliveries SET status = 'given_up', next_at = NULL
        WHERE id = ANY($1) AND status IN ('requested', 'waiting')
            AND EXISTS (SELECT FROM closed_webhooks c WHERE c.id = deliveries.webhook_id)",
        column!(part.deliveries, (id, _) => *id) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn change(connection: &mut PgConnection, part: &Part<'_>) -> Result<(), ApplyError> {
    match part.change {
        None => {}
        Some(Change::Opened(webhook)) => {
            sqlx::query!("DELETE FROM closed_webhooks WHERE id = $1", webhook).execute(connection).await?;
        }
        Some(Change::Closed(webhook)) => {
            sqlx::query!("INSERT INTO closed_webhooks (id) VALUES ($1) ON CONFLICT DO NOTHING", webhook)
                .execute(&mut *connection)
                .await?;
            sqlx::query!(
                "UPDATE deliveries SET status = 'given_up', next_at = NULL
                WHERE webhook_id = $1 AND status IN ('requested', 'waiting')",
                webhook
            )
            .execute(connection)
            .await?;
        }
    }
    Ok(())
}
