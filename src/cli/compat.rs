//! `hishamos check-compat`: what would differ if runs had followed another version of their workflow, straight from the
//! journal. Nothing is recorded and nothing is called.

use commands::{Commands, Compatibility};
use domain::{Key, RunId};
use projections::{Queries, RunFilter, Window};
use serde_json::json;

use super::attached::Attached;
use super::failure::Failure;
use super::terminal::{Style, Terminal};
use crate::config::Config;

/// `hishamos check-compat`.
pub(crate) async fn check(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    workflow: &str,
    version: u32,
    sample: u32,
) -> Result<(), Failure> {
    let key: Key = workflow.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let attached = Attached::open(config).await?;
    let found = compare(&attached, &key, version, sample).await;
    attached.close().await?;
    let found = found?;
    let differing = found.iter().filter(|run| !run.differences.is_empty()).count();
    if as_json {
        terminal.json(&json!({ "runs": found, "checked": found.len(), "differing": differing }));
    } else {
        for run in &found {
            show(terminal, run);
        }
        terminal.line(format!("{} runs checked, {differing} would differ", found.len()));
    }
    if differing == 0 { Ok(()) } else { Err(Failure::Differs) }
}

/// Every open run, and the newest of those that have ended.
async fn compare(attached: &Attached, key: &Key, version: u32, sample: u32) -> Result<Vec<Compatibility>, Failure> {
    let queries = Queries::new(attached.store.pool.clone());
    let of = |statuses: &[&str]| RunFilter {
        workflow_key: Some(key.to_string()),
        statuses: statuses.iter().map(|status| (*status).to_owned()).collect(),
        ..RunFilter::default()
    };
    let open = of(&["running", "paused", "cancelling", "failing", "compensating"]);
    let ended = of(&["completed", "failed", "cancelled"]);
    let failed = |error: projections::Error| Failure::from(anyhow::Error::new(error));
    let mut runs: Vec<RunId> = Vec::new();
    for (filter, most) in [(open, 10_000), (ended, sample)] {
        let page = queries.runs(&filter, &Window::first(most)).await.map_err(failed)?;
        runs.extend(page.rows.into_iter().map(|row| RunId::from_uuid(row.id)));
    }
    let commands = Commands::new(std::sync::Arc::clone(&attached.store.journal));
    commands.check_compatibility(key, version, &runs).await.map_err(Failure::command)
}

fn show(terminal: &mut Terminal, run: &Compatibility) {
    if run.differences.is_empty() {
        return;
    }
    let heading = terminal.paint(Style::Warn, &format!("run {}", run.run));
    terminal.line(format!("{heading}  version {}, {}", run.version, run.status.name()));
    for difference in &run.differences {
        let shown = serde_json::to_string(difference).unwrap_or_default();
        terminal.line(format!("  {}", super::terminal::cut(&shown, 160)));
    }
}
