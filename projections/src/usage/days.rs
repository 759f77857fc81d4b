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
        "INSERT INTO performance_days AS d (subject, day, tasks, completed, failed, cancelled, elapsed, quality, rated,
            answers, simulated, duration_ms, answer_cost_nano_usd, priced_answers, cost_nano_usd, unknown_costs,
            input_tokens, output_tokens, last_at)
        SELECT s.subject, t.created_at / 86400000000, $2 * count(*), $2 * count(*) FILTER (WHERE t.status = 'completed'),
            $2 * count(*) FILTER (WHERE t.status = 'failed'), $2 * count(*) FILTER (WHERE t.status = 'cancelled'),
            $2 * coalesce(sum(t.ended_at - t.created_at) FILTER (WHERE t.status = 'completed'), 0)::bigint,
            $2 * coalesce(sum(t.quality), 0)::bigint, $2 * count(t.quality), $2 * sum(a.answers)::bigint,
            $2 * sum(a.simulated)::bigint, $2 * sum(a.duration_ms)::bigint, $2 * sum(a.answer_cost)::bigint,
            $2 * sum(a.priced)::bigint, $2 * sum(a.cost)::bigint, $2 * sum(a.unknown)::bigint,
            $2 * sum(a.input_tokens)::bigint, $2 * sum(a.output_tokens)::bigint, max(t.created_at)
        FROM task_origins t
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE c.status = 'succeeded') AS answers, count(*) FILTER (WHERE c.simulated) AS simulated,
                coalesce(sum(c.duration_ms) FILTER (WHERE c.status = 'succeeded'), 0) AS duration_ms,
                coalesce(sum(c.cost_nano_usd) FILTER (WHERE c.status = 'succeeded'), 0) AS answer_cost,
                count(c.cost_nano_usd) FILTER (WHERE c.status = 'succeeded') AS priced,
                coalesce(sum(c.cost_nano_usd), 0) AS cost,
                count(*) FILTER (WHERE c.cost_nano_usd IS NULL AND c.status <> 'running') AS unknown,
                coalesce(sum(c.input_tokens), 0) AS input_tokens, coalesce(sum(c.output_tokens), 0) AS output_tokens
            FROM costs c WHERE c.task_id = t.id
        ) AS a
        CROSS JOIN LATERAL (VALUES (t.agent_id), (t.template_id)) AS s (subject)
        WHERE t.id = ANY($1) AND s.subject IS NOT NULL
        GROUP BY s.subject, t.created_at / 86400000000
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
