//! Runs, and what is the same for all runs of a workflow version.

use domain::workflow::Work;
use sqlx::PgConnection;
use uuid::Uuid;

use super::all_found;
use crate::projector::{ApplyError, storable};
use crate::runs::change::RunChange;
use crate::runs::fold::Fold;

pub(super) async fn write_plans(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    for ((workflow, version), definition) in &fold.plans {
        // Known to all but the first run of a version, so ask before building the rows.
        let known = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM plans WHERE workflow_id = $1 AND version = $2) AS "known!""#,
            workflow,
            version
        );
        if known.fetch_one(&mut *connection).await? {
            continue;
        }
        for (ordinal, step) in definition.steps.iter().enumerate() {
            let needs: Vec<&str> = step.needs.iter().map(domain::StepName::as_str).collect();
            let task = step.work.task();
            let approvers: Vec<String> = match &step.work {
                Work::Approval(approval) => {
                    approval.approvers.iter().map(|one| storable(&one.to_string()).into_owned()).collect()
                }
                _ => vec![],
            };
            let definition =
                serde_json::to_string(step).map_err(|error| ApplyError::Indigestible(error.to_string()))?;
            sqlx::query!(
                "INSERT INTO plans (workflow_id, version, ordinal, step, kind, agent_key, template_key, needs,
                    approvers, definition)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::json)",
                workflow,
                version,
                i32::try_from(ordinal).unwrap_or(i32::MAX),
                step.name.as_str(),
                step.work.kind(),
                task.map(|task| task.agent.as_str()),
                task.map(|task| task.template.as_str()),
                &needs as _,
                &approvers,
                definition
            )
            .execute(&mut *connection)
            .await?;
        }
    }
    Ok(())
}

pub(super) async fn insert_runs(
    connection: &mut PgConnection,
    rows: &[(&Uuid, &RunChange<'_>)],
) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let births: Vec<_> = rows.iter().filter_map(|(_, run)| run.born.as_ref()).collect();
    sqlx::query!(
        "INSERT INTO runs (id, workflow_id, workflow_key, version, status, input, output, simulated, error_kind,
            error_message, failed_step, cancel_reason, node, epoch, actor, correlation, priority, started_at, ended_at, deadline,
            cut_at, position, started_position)
        SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::integer[]), unnest($5::text[]),
            unnest($6::text[])::json, unnest($7::text[])::json, unnest($8::boolean[]), unnest($9::text[]),
            unnest($10::text[]), unnest($11::text[]), unnest($12::text[]), unnest($13::uuid[]), unnest($14::bigint[]),
            unnest($15::text[]), unnest($16::uuid[]), unnest($17::integer[]), unnest($18::bigint[]),
            unnest($19::bigint[]), unnest($20::bigint[]), unnest($21::bigint[]), unnest($22::bigint[]),
            unnest($23::bigint[])",
        column!(rows, (id, _) => **id) as _,
        column!(births, birth => birth.workflow_id) as _,
        column!(births, birth => birth.workflow_key) as _,
        column!(births, birth => birth.version) as _,
        column!(rows, (_, run) => run.status) as _,
        column!(births, birth => birth.input.as_str()) as _,
        column!(rows, (_, run) => run.output.as_deref()) as _,
        column!(rows, (_, run) => run.simulated) as _,
        column!(rows, (_, run) => run.error.kind) as _,
        column!(rows, (_, run) => run.error.message.as_deref()) as _,
        column!(rows, (_, run) => run.failed_step) as _,
        column!(rows, (_, run) => run.cancel_reason.as_deref()) as _,
        column!(rows, (_, run) => run.node) as _,
        column!(rows, (_, run) => run.epoch) as _,
        column!(births, birth => birth.actor.as_str()) as _,
        column!(births, birth => birth.correlation) as _,
        column!(births, birth => birth.priority) as _,
        column!(births, birth => birth.started_at) as _,
        column!(rows, (_, run) => run.ended_at) as _,
        column!(births, birth => birth.deadline) as _,
        column!(rows, (_, run) => run.cut_at) as _,
        column!(rows, (_, run) => run.position) as _,
        column!(births, birth => birth.position) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn update_runs(
    connection: &mut PgConnection,
    rows: &[(&Uuid, &RunChange<'_>)],
) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "UPDATE runs r SET status = coalesce(u.status, r.status), output = coalesce(u.output::json, r.output),
            simulated = r.simulated OR u.simulated, error_kind = coalesce(u.error_kind, r.error_kind),
            error_message = coalesce(u.error_message, r.error_message),
            failed_step = coalesce(u.failed_step, r.failed_step),
            cancel_reason = coalesce(u.cancel_reason, r.cancel_reason), node = coalesce(u.node, r.node),
            epoch = coalesce(u.epoch, r.epoch), ended_at = coalesce(u.ended_at, r.ended_at),
            cut_at = coalesce(u.cut_at, r.cut_at), position = u.position
        FROM (
            SELECT unnest($1::uuid[]) AS id, unnest($2::text[]) AS status, unnest($3::text[]) AS output,
                unnest($4::boolean[]) AS simulated, unnest($5::text[]) AS error_kind,
                unnest($6::text[]) AS error_message, unnest($7::text[]) AS failed_step,
                unnest($8::text[]) AS cancel_reason, unnest($9::uuid[]) AS node, unnest($10::bigint[]) AS epoch,
                unnest($11::bigint[]) AS ended_at, unnest($12::bigint[]) AS cut_at, unnest($13::bigint[]) AS position
        ) AS u
        WHERE r.id = u.id",
        column!(rows, (id, _) => **id) as _,
        column!(rows, (_, run) => run.status) as _,
        column!(rows, (_, run) => run.output.as_deref()) as _,
        column!(rows, (_, run) => run.simulated) as _,
        column!(rows, (_, run) => run.error.kind) as _,
        column!(rows, (_, run) => run.error.message.as_deref()) as _,
        column!(rows, (_, run) => run.failed_step) as _,
        column!(rows, (_, run) => run.cancel_reason.as_deref()) as _,
        column!(rows, (_, run) => run.node) as _,
        column!(rows, (_, run) => run.epoch) as _,
        column!(rows, (_, run) => run.ended_at) as _,
        column!(rows, (_, run) => run.cut_at) as _,
        column!(rows, (_, run) => run.position) as _
    )
    .execute(connection)
    .await?;
    all_found(done.rows_affected(), rows.len(), "runs")
}
