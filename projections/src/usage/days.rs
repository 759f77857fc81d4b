//! How agents and templates have done, day by day.
//!
//! Invariant: what a day says is the sum over the tasks that were created on it. A batch takes what its tasks had brought to
//! their days off before it changes them, and adds what they bring afterwards; so nothing has to be known of how a task
//! came to be as it is, and late answers count like any others.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::fold::Fold;
use crate::projector::ApplyError;

/// The tasks that a batch changes.
pub(super) fn touched(fold: &Fold<'_>) -> Vec<Uuid> {
    let mut touched: BTreeSet<Uuid> = fold
        .tasks
        .keys()
        .chain(fold.assigned.keys())
        .chain(fold.ended.keys())
        .chain(fold.marks.keys())
        .copied()
        .collect();
    touched.extend(fold.attempts.keys().map(|(task, _)| *task));
    touched.extend(&fold.cut);
    touched.into_iter().collect()
}

/// Adds what tasks bring to their days, `times` over.
pub(super) async fn count(connection: &mut PgConnection, tasks: &[Uuid], times: i64) -> Result<(), ApplyError> {
    if tasks.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        // Every attempt with its task, and a task without any by itself; what is the task's counts with the first attempt.
        // By agent and template together first, which are few. `OFFSET 0`: the attempts of a task are found by their key,
        // whatever the server believes of the size of a table that grows.
        "WITH pairs AS (
            SELECT t.agent_id, t.template_id, t.created_at / 86400000000 AS day,
                count(*) FILTER (WHERE c.first) AS tasks,
                count(*) FILTER (WHERE c.first AND t.status = 'completed') AS completed,
                count(*) FILTER (WHERE c.first AND t.status = 'failed') AS failed,
                count(*) FILTER (WHERE c.first AND t.status = 'cancelled') AS cancelled,
                sum(t.ended_at - t.created_at) FILTER (WHERE c.first AND t.status = 'completed') AS elapsed,
                sum(t.quality) FILTER (WHERE c.first) AS quality,
                count(t.quality) FILTER (WHERE c.first) AS rated,
                count(*) FILTER (WHERE c.status = 'succeeded') AS answers,
                count(*) FILTER (WHERE c.simulated) AS simulated,
                sum(c.duration_ms) FILTER (WHERE c.status = 'succeeded') AS duration_ms,
                sum(c.cost_nano_usd) FILTER (WHERE c.status = 'succeeded') AS answer_cost,
                count(c.cost_nano_usd) FILTER (WHERE c.status = 'succeeded') AS priced,
                sum(c.cost_nano_usd) AS cost,
                count(*) FILTER (WHERE c.cost_nano_usd IS NULL AND c.status <> 'running') AS unknown,
                sum(c.input_tokens) AS input_tokens, sum(c.output_tokens) AS output_tokens,
                max(t.created_at) AS last_at
            FROM task_origins t
            CROSS JOIN LATERAL (
                SELECT a.*, coalesce(a.number, 1) = 1 AS first
                FROM (VALUES (t.id)) AS task (id) LEFT JOIN costs a ON a.task_id = task.id OFFSET 0
            ) AS c
            WHERE t.id = ANY($1)
            GROUP BY t.agent_id, t.template_id, t.created_at / 86400000000
        )
        INSERT INTO performance_days AS d (subject, day, tasks, completed, failed, cancelled, elapsed, quality, rated,
            answers, simulated, duration_ms, answer_cost_nano_usd, priced_answers, cost_nano_usd, unknown_costs,
            input_tokens, output_tokens, last_at)
        SELECT s.subject, p.day, $2 * sum(p.tasks)::bigint, $2 * sum(p.completed)::bigint, $2 * sum(p.failed)::bigint,
            $2 * sum(p.cancelled)::bigint, $2 * coalesce(sum(p.elapsed), 0)::bigint,
            $2 * coalesce(sum(p.quality), 0)::bigint, $2 * sum(p.rated)::bigint, $2 * sum(p.answers)::bigint,
            $2 * sum(p.simulated)::bigint, $2 * coalesce(sum(p.duration_ms), 0)::bigint,
            $2 * coalesce(sum(p.answer_cost), 0)::bigint, $2 * sum(p.priced)::bigint,
            $2 * coalesce(sum(p.cost), 0)::bigint, $2 * sum(p.unknown)::bigint,
            $2 * coalesce(sum(p.input_tokens), 0)::bigint, $2 * coalesce(sum(p.output_tokens), 0)::bigint, max(p.last_at)
        FROM pairs p
        CROSS JOIN LATERAL (VALUES (p.agent_id), (p.template_id)) AS s (subject)
        WHERE s.subject IS NOT NULL
        GROUP BY s.subject, p.day
        ON CONFLICT (subject, day) DO UPDATE SET tasks = d.tasks + excluded.tasks,
            completed = d.completed + excluded.completed, failed = d.failed + excluded.failed,
            cancelled = d.cancelled + excluded.cancelled, elapsed = d.elapsed + excluded.elapsed,
            quality = d.quality + excluded.quality, rated = d.rated + excluded.rated,
            answers = d.answers + excluded.answers, simulated = d.simulated + excluded.simulated,
            duration_ms = d.duration_ms + excluded.duration_ms,
            answer_cost_nano_usd = d.answer_cost_nano_usd + excluded.answer_cost_nano_usd,
            priced_answers = d.priced_answers + excluded.priced_answers,
            cost_nano_usd = d.cost_nano_usd + excluded.cost_nano_usd,
            unknown_costs = d.unknown_costs + excluded.unknown_costs,
            input_tokens = d.input_tokens + excluded.input_tokens, output_tokens = d.output_tokens + excluded.output_tokens,
            last_at = greatest(d.last_at, excluded.last_at)",
        tasks,
        times
    )
    .execute(connection)
    .await?;
    Ok(())
}
