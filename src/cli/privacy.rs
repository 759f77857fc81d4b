//! `hishamos privacy`: the people whom runs are about. Works on the store itself, beside a running program or without one.

use std::sync::Arc;

use anyhow::Context;
use clap::Subcommand;
use commands::{Commands, Request};
use domain::Actor;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::attached::Attached;
use super::audit;
use super::failure::Failure;
use super::terminal::{Style, Terminal};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(crate) enum Privacy {
    /// List the people whom runs are about
    List,
    /// Print everything personal that is kept about somebody, as JSON
    Export {
        /// Their name, as it was given with the runs
        name: String,
    },
    /// Destroy the key of somebody, so that nothing personal about them can be read any more; this cannot be undone
    Erase {
        /// Their name, as it was given with the runs
        name: String,
        /// Do it, instead of saying what would be erased
        #[arg(long)]
        yes: bool,
    },
}

/// `hishamos privacy`.
pub(crate) async fn privacy(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    asked: Privacy,
) -> Result<(), Failure> {
    let attached = Attached::open(config).await?;
    let done = Box::pin(carry_out(config, &attached, terminal, as_json, &asked)).await;
    if matches!(asked, Privacy::Erase { yes: true, .. }) {
        attached.note(config, "privacy erase", &done).await;
    }
    attached.close().await?;
    done
}

async fn carry_out(
    config: &Config,
    attached: &Attached,
    terminal: &mut Terminal,
    as_json: bool,
    asked: &Privacy,
) -> Result<(), Failure> {
    let store = &attached.store;
    let commands = Commands::new(Arc::clone(&store.journal)).with_subjects(Arc::clone(&store.subjects));
    match asked {
        Privacy::List => {
            let known = commands.list_subjects().await.map_err(Failure::command)?;
            if as_json {
                let known: Vec<_> =
                    known.iter().map(|known| json!({ "id": known.id.to_string(), "name": known.name })).collect();
                terminal.json(&json!({ "subjects": known }));
                return Ok(());
            }
            for known in &known {
                let name = known.name.clone().unwrap_or_else(|| "[erased]".to_owned());
                terminal.line(format!("{}  {name}", known.id));
            }
            if known.is_empty() {
                terminal
                    .line("no run is about anybody yet; `hishamos run WORKFLOW --subject NAME` says whom it is about");
            }
            Ok(())
        }
        Privacy::Export { name } => {
            let (subject, about) = commands.about_subject(name).await.map_err(Failure::command)?;
            let events = about.events.iter().map(|event| audit::as_value(event)).collect::<Result<Vec<_>, _>>()?;
            let runs: Vec<String> = about.runs.iter().map(ToString::to_string).collect();
            // It is data for somebody, so it is JSON whoever asks.
            terminal.json(&json!({ "name": name, "subject": subject.to_string(), "runs": runs, "events": events }));
            Ok(())
        }
        Privacy::Erase { name, yes: false } => {
            let (_, about) = commands.about_subject(name).await.map_err(Failure::command)?;
            let (runs, events) = (about.runs.len(), about.events.len());
            Err(Failure::usage(format!(
                "this would erase what is personal in {events} events of {runs} runs, for ever; say --yes to do it"
            )))
        }
        Privacy::Erase { name, yes: true } => {
            let request = Request::by(Actor::person(&config.person));
            let erased = commands.erase_subject(request.clone(), name).await;
            let erased = match erased {
                // Somebody began to, and did not come to its end.
                Err(error) if error.code() == "SUBJECT_NOT_FOUND" => {
                    commands.finish_erasures(request).await.map_err(Failure::command)?;
                    return Err(Failure::command(error));
                }
                erased => erased.map_err(Failure::command)?,
            };
            let mut built = Vec::new();
            for model in projections::names() {
                if !as_json {
                    terminal.status(&format!("  making {model} anew"));
                }
                let stop = CancellationToken::new();
                projections::rebuild(&store.pool, &*store.journal, model, &stop, |_| {}).await.with_context(|| {
                    format!("the key is destroyed, but `{model}` could not be made anew; run `hishamos rebuild`")
                })?;
                built.push(model);
            }
            if as_json {
                terminal.json(&json!({
                    "erased": true, "subject": erased.stream.id, "position": erased.position.to_string(),
                    "rebuilt": built,
                }));
                return Ok(());
            }
            let glyph = terminal.paint(Style::Good, "✓");
            terminal.line(format!("{glyph} the key is destroyed, and the read models were made anew"));
            terminal.line("  copies of the key, or of read models, in backups of the database go with those backups");
            Ok(())
        }
    }
}
