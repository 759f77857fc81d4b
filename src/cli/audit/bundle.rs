//! `hishamos audit export` and `import`.

use std::path::PathBuf;

use anyhow::Context;
use journal::bundle::{self, BundleError};
use journal::kurrent;
use journal::postgres;
use journal::{Import, Position};
use serde_json::json;

use super::verify::failed;
use crate::cli::attached::Attached;
use crate::cli::failure::Failure;
use crate::cli::terminal::{Style, Terminal};
use crate::config::{Config, DatabaseUrl};

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Where to: a folder, or a file that ends with .tar
    to: PathBuf,
    /// Only from this position on
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
    /// Only up to this position
    #[arg(long = "to", value_name = "POSITION")]
    until: Option<u64>,
}

pub(super) async fn export(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    asked: Export,
) -> Result<(), Failure> {
    let export = bundle::Export {
        after: Position::from_u64(asked.from.unwrap_or(1).saturating_sub(1)),
        until: asked.until.map(Position::from_u64),
        ..bundle::Export::to(asked.to)
    };
    let attached = Attached::open(config).await?;
    let done = bundle::export(&*attached.store.journal, &export, |manifest| {
        terminal.status(&format!("  {} events", manifest.events));
    });
    let done = Box::pin(done).await;
    attached.close().await?;
    terminal.clear_status();
    let manifest = done.map_err(failed)?;
    let to = export.to.display();
    if as_json {
        terminal.json(&json!({
            "bundle": to.to_string(),
            "events": manifest.events,
            "after": manifest.after.to_string(),
            "until": manifest.until.to_string(),
            "complete": manifest.is_complete(),
            "keys": manifest.keys,
        }));
        return Ok(());
    }
    let glyph = terminal.paint(Style::Good, "✓");
    terminal.line(format!("{glyph} {} events, up to position {}, are in {to}", manifest.events, manifest.until));
    terminal.line(format!("  `hishamos audit verify {to}` checks it, anywhere and without a database"));
    Ok(())
}

pub(super) async fn import(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    path: PathBuf,
) -> Result<(), Failure> {
    let checked = path.clone();
    let checking = tokio::task::spawn_blocking(move || bundle::verify(&checked, |_| {}));
    let report = checking.await.context("the check broke off")?.map_err(failed)?;
    if !report.is_sound() || !report.events.is_whole() {
        return Err(Failure::Refused {
            code: "BUNDLE_UNFIT".to_owned(),
            message: format!(
                "{} is damaged or not wholly known, so it is not imported; `hishamos audit verify` says more",
                path.display()
            ),
        });
    }
    let manifest = report.manifest.context("the bundle has no manifest")?;
    if manifest.number != 0 {
        return Err(failed(BundleError::Unfit(format!(
            "{} does not begin with the first event of its journal, so no store can go on from it",
            path.display()
        ))));
    }
    let attached = Attached::open(config).await?;
    let imported = Box::pin(record(config, terminal, &attached, &path)).await;
    attached.close().await?;
    terminal.clear_status();
    let (events, head) = imported?;
    if as_json {
        terminal.json(&json!({ "events": events, "head": head.to_string() }));
    } else {
        let glyph = terminal.paint(Style::Good, "✓");
        terminal.line(format!("{glyph} {events} events are recorded, up to position {head}"));
        terminal.line("  the read models follow when the program starts");
    }
    Ok(())
}

async fn record(
    config: &Config,
    terminal: &mut Terminal,
    attached: &Attached,
    path: &std::path::Path,
) -> Result<(u64, Position), Failure> {
    let journal = &*attached.store.journal;
    let head = journal.head().await.context("the journal cannot be read")?;
    if head != Position::START
        && !journal.read_entries(Position::START, 1).await.context("the journal cannot be read")?.is_empty()
    {
        return Err(Failure::Refused {
            code: "JOURNAL_NOT_EMPTY".to_owned(),
            message: format!(
                "the journal holds events up to position {head}; a bundle is imported into an empty one only, such as \
                 that of a new data directory"
            ),
        });
    }
    let mut importer: Box<dyn Import> = match config.journal.url.as_ref().map(DatabaseUrl::reveal) {
        Some(url) => {
            let mut options = kurrent::Options::from_url(url).context("the journal's URL cannot be used")?;
            options.prefix.clone_from(&config.journal.prefix);
            Box::new(kurrent::Importer::open(options).await.context("the journal cannot be opened")?)
        }
        None => {
            let options = postgres::Options::new((*attached.store.pool.connect_options()).clone());
            Box::new(postgres::Importer::open(&options).await.context("the journal cannot be opened")?)
        }
    };
    let events = bundle::import(path, &mut *importer, |events| terminal.status(&format!("  {events} events")));
    let events = events.await.map_err(failed)?;
    let head = journal.head().await.context("the journal cannot be read")?;
    Ok((events, head))
}
