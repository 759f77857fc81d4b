//! `hishamos audit diff`: two runs beside each other, folded from the journal.

use std::sync::Arc;

use anyhow::Context;
use projections::{Effort, Error, Past, Queries, RunComparison, RunSide, StepSide};
use serde_json::{Value, json};
use uuid::Uuid;

use super::UNREADABLE;
use crate::cli::attached::Attached;
use crate::cli::branch;
use crate::cli::failure::Failure;
use crate::cli::terminal::Terminal;
use crate::config::Config;

pub(super) async fn diff(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    a: Uuid,
    b: Uuid,
) -> Result<(), Failure> {
    let attached = Attached::open(config).await?;
    let compared = compared(&attached, a, b).await;
    attached.close().await?;
    match compared? {
        Some(compared) => branch::show_comparison(terminal, as_json, &as_value(&compared)),
        None => return Err(branch::no_such_run()),
    }
    Ok(())
}

/// Two runs as of the journal's head. Only their streams and those of their tasks are read; no read model is asked.
async fn compared(attached: &Attached, a: Uuid, b: Uuid) -> Result<Option<RunComparison>, Failure> {
    let journal = &attached.store.journal;
    let head = journal.head().await.context(UNREADABLE)?;
    let past = Past::new(Arc::clone(journal), Queries::new(attached.store.pool.clone()), head);
    match past.compare_runs(a, b).await {
        Ok(compared) => Ok(compared),
        Err(error @ Error::TooMuchPast { .. }) => {
            Err(Failure::Refused { code: error.code().to_owned(), message: error.to_string() })
        }
        Err(error) => Err(anyhow::Error::from(error).context(UNREADABLE).into()),
    }
}

/// The comparison as GraphQL gives it.
fn as_value(compared: &RunComparison) -> Value {
    let steps = compared.steps.iter().map(|step| {
        json!({
            "name": step.name,
            "same": step.same,
            "a": step.a.as_ref().map(of_step),
            "b": step.b.as_ref().map(of_step),
        })
    });
    let differences = compared.steps.iter().filter(|step| !step.same).map(|step| &step.name);
    json!({
        "sameInput": compared.same_input,
        "sameOutput": compared.same_output,
        "differences": differences.collect::<Vec<_>>(),
        "a": of_run(&compared.a),
        "b": of_run(&compared.b),
        "steps": steps.collect::<Vec<_>>(),
    })
}

fn of_run(side: &RunSide) -> Value {
    let Effort { attempts, cost_nano_usd, unknown_costs, input_tokens, output_tokens } = side.effort;
    json!({
        "run": {
            "runId": side.run.id,
            "workflowKey": side.run.workflow_key,
            "version": side.run.version,
            "status": side.run.status.to_uppercase(),
            "durationMs": millis(Some(side.run.started_at), side.run.ended_at),
        },
        "effort": {
            "attempts": attempts,
            "cost": cost_nano_usd.to_string(),
            "attemptsOfUnknownCost": unknown_costs,
            "inputTokens": input_tokens,
            "outputTokens": output_tokens,
        },
    })
}

fn of_step(side: &StepSide) -> Value {
    json!({
        "kept": side.kept,
        "step": {
            "status": side.step.status.to_uppercase(),
            "durationMs": millis(side.step.started_at, side.step.ended_at),
            "output": side.step.output,
        },
        "effort": { "attempts": side.effort.attempts, "cost": side.effort.cost_nano_usd.to_string() },
    })
}

/// Whole milliseconds between two moments in microseconds; nothing while the second is yet to come.
fn millis(from: Option<i64>, to: Option<i64>) -> Option<i64> {
    Some(to?.saturating_sub(from?).max(0) / 1000)
}
