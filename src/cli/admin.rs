//! `rebuild`, which opens the store directly, beside a running program or alone; and `config`.

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::attached::Attached;
use super::failure::Failure;
use super::signals::Signals;
use super::terminal::{Style, Terminal};
use crate::config::Config;
use crate::store::Store;

/// `hishamos rebuild`.
pub(crate) async fn rebuild(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    name: Option<&str>,
) -> Result<(), Failure> {
    let known = projections::names();
    let names = match name {
        None => known,
        Some(name) => match known.iter().find(|known| **known == name) {
            Some(name) => vec![*name],
            None => {
                let known = known.join(", ");
                return Err(Failure::usage(format!("there is no read model `{name}`; there are: {known}")));
            }
        },
    };
    let mut signals = Signals::listen()?;
    let attached = Attached::open(config).await?;
    let stop = CancellationToken::new();
    let outcome = tokio::select! {
        outcome = Box::pin(rebuild_all(&attached.store, terminal, as_json, &names, &stop)) => outcome,
        () = signals.next() => Err(anyhow::anyhow!("interrupted; the live read models are as they were").into()),
    };
    attached.close().await?;
    outcome
}

async fn rebuild_all(
    store: &Store,
    terminal: &mut Terminal,
    as_json: bool,
    names: &[&'static str],
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let mut answers = Vec::new();
    for name in names {
        let rebuilt = projections::rebuild(&store.pool, &*store.journal, name, stop, |progress| {
            if !as_json {
                terminal.status(&format!(
                    "  {name}: {} events, at position {} of {}",
                    progress.events, progress.position, progress.head
                ));
            }
        })
        .await
        .with_context(|| format!("{name} could not be rebuilt"))?;
        let seconds = rebuilt.elapsed.as_secs_f64();
        if as_json {
            answers.push(json!({
                "name": name,
                "events": rebuilt.events,
                "position": rebuilt.position.to_string(),
                "seconds": seconds,
            }));
        } else {
            let glyph = terminal.paint(Style::Good, "✓");
            let rate = rebuilt.rate();
            terminal.line(format!(
                "{glyph} {name}: {} events in {seconds:.2} s ({rate:.0} events/s), at position {}",
                rebuilt.events, rebuilt.position
            ));
        }
    }
    if as_json {
        terminal.json(&answers);
    }
    Ok(())
}

/// `hishamos config`.
pub(crate) fn show_config(config: &Config, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let value = serde_json::to_value(config).context("the configuration cannot be shown")?;
    if as_json {
        terminal.json(&value);
    } else {
        show_value(terminal, "", &value);
    }
    Ok(())
}

/// One line per setting, as it would stand in the file.
fn show_value(terminal: &mut Terminal, path: &str, value: &Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                show_value(terminal, &path, value);
            }
        }
        Value::Null => terminal.line(format!("# {path} is not set")),
        Value::Object(_) => terminal.line(format!("# {path} has no entries")),
        value => terminal.line(format!("{path} = {value}")),
    }
}
