//! `hishamos audit verify`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use domain::SealEvent;
use domain::seal::PublicKey;
use journal::Executor;
use journal::bundle::{self, BundleError, BundleFault};
use journal::chain::Report;
use journal::postgres::PostgresSnapshots;
use journal::seal::{Book, OutsideFile};
use serde_json::{Value, json};

use crate::cli::attached::Attached;
use crate::cli::failure::Failure;
use crate::cli::terminal::{Style, Terminal};
use crate::config::Config;

/// What is known of the seals from elsewhere.
struct Known {
    key: Option<PublicKey>,
    kept: Vec<(u64, SealEvent)>,
}

impl Known {
    async fn of(key: Option<PublicKey>, seals: Option<PathBuf>) -> Result<Self, Failure> {
        let kept = match seals {
            None => Vec::new(),
            Some(path) => {
                let kept = OutsideFile::read(&path).await.map_err(anyhow::Error::from)?;
                kept.into_iter().map(|kept| (kept.revision, kept.statement)).collect()
            }
        };
        Ok(Self { key, kept })
    }

    fn compare(&self, book: &mut Book) {
        if let Some(key) = self.key {
            book.expect_key(key);
        }
        book.expect(&self.kept);
    }
}

/// Of the configured journal, and of the kept states.
pub(super) async fn journal(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    key: Option<PublicKey>,
    seals: Option<PathBuf>,
) -> Result<(), Failure> {
    let known = Known::of(key, seals).await?;
    let attached = Attached::open(config).await?;
    let report = journal::chain::verify_against(&*attached.store.journal, |book| known.compare(book)).await;
    let snapshots = PostgresSnapshots::new(attached.store.pool.clone());
    let executor = Executor::new(Arc::clone(&attached.store.journal));
    let snapshots = journal::verify_snapshots(&executor, &snapshots).await;
    attached.close().await?;
    let report = report.context("the journal could not be checked; that says nothing about its soundness")?;
    let snapshots = match snapshots {
        Ok(snapshots) => snapshots,
        // Then the states cannot be folded, and why is part of the report.
        Err(_) if !report.is_sound() || !report.is_whole() => journal::SnapshotReport::default(),
        Err(error) => {
            return Err(anyhow!(error).context("the snapshots could not be compared with the journal").into());
        }
    };
    // Snapshots are no part of the record, but states are computed with them.
    let sound = report.is_sound() && snapshots.wrong.is_empty();
    if as_json {
        let mut answer = as_value(&report, sound);
        if let Some(answer) = answer.as_object_mut() {
            answer.insert(
                "snapshots".to_owned(),
                json!({
                    "sound": snapshots.sound,
                    "unused": snapshots.unused,
                    "wrong": snapshots.wrong.iter().map(ToString::to_string).collect::<Vec<_>>(),
                }),
            );
        }
        terminal.json(&answer);
    } else {
        show(terminal, &report, &[]);
        for stream in &snapshots.wrong {
            let glyph = terminal.paint(Style::Bad, "✗");
            terminal.line(format!("{glyph} the snapshot of {stream} is not what its events come to"));
        }
        let verdict = if report.is_sound() && !sound { Some("✗ wrong snapshots") } else { None };
        conclude(terminal, &report, 0, verdict);
    }
    outcome(sound, &report)
}

/// Of a bundle.
pub(super) async fn bundle(
    terminal: &mut Terminal,
    as_json: bool,
    path: PathBuf,
    key: Option<PublicKey>,
    seals: Option<PathBuf>,
) -> Result<(), Failure> {
    let known = Known::of(key, seals).await?;
    let checking = tokio::task::spawn_blocking(move || bundle::verify(&path, |book| known.compare(book)));
    let report = checking.await.context("the check broke off")?.map_err(failed)?;
    let sound = report.is_sound();
    if as_json {
        let mut answer = as_value(&report.events, sound);
        if let Some(answer) = answer.as_object_mut() {
            let files: Vec<Value> =
                report.files.iter().map(|fault| json!({ "file": fault.file, "fault": fault.what })).collect();
            answer.insert("files".to_owned(), json!(files));
            answer.insert("complete".to_owned(), json!(report.manifest.as_ref().map(bundle::Manifest::is_complete)));
        }
        terminal.json(&answer);
    } else {
        show(terminal, &report.events, &report.files);
        conclude(terminal, &report.events, report.files.len(), None);
        if let Some(manifest) = report.manifest.as_ref().filter(|manifest| !manifest.is_complete()) {
            terminal.line(format!(
                "  a part of a journal: positions after {} up to {}; what came before is taken on trust",
                manifest.after, manifest.until
            ));
        }
    }
    outcome(sound, &report.events)
}

/// A bundle that cannot be looked at.
pub(super) fn failed(error: BundleError) -> Failure {
    match error {
        BundleError::Exists(message) => Failure::Refused { code: "BUNDLE_EXISTS".to_owned(), message },
        BundleError::Unfit(message) => Failure::Refused { code: "BUNDLE_UNFIT".to_owned(), message },
        other => Failure::Infrastructure(other.into()),
    }
}

/// Damage is one thing, and what could not be looked into is another.
fn outcome(sound: bool, report: &Report) -> Result<(), Failure> {
    match (sound, report.is_whole()) {
        (false, _) => Err(Failure::Damaged),
        (true, false) => Err(Failure::Unchecked),
        (true, true) => Ok(()),
    }
}

fn as_value(report: &Report, sound: bool) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "position": finding.position.to_string(),
                "event": finding.event.to_string(),
                "stream": format!("{}-{}", finding.category, finding.stream),
                "revision": finding.revision,
                "fault": finding.fault.to_string(),
            })
        })
        .collect();
    let unknown: Vec<Value> = report
        .unknown
        .iter()
        .map(|((event_type, version), unknown)| {
            json!({
                "type": event_type,
                "version": version,
                "events": unknown.events,
                "first": unknown.first.to_string(),
            })
        })
        .collect();
    json!({
        "sound": sound,
        "events": report.events,
        "streams": report.streams,
        "position": report.position.to_string(),
        "faults": report.faults,
        "findings": findings,
        "unknownSchemas": unknown,
        "seals": {
            "seals": report.seals.seals,
            "compared": report.seals.compared,
            "sealedEvents": report.seals.sealed,
            "keys": report.seals.keys,
        },
    })
}

fn show(terminal: &mut Terminal, report: &Report, files: &[BundleFault]) {
    let glyph = terminal.paint(Style::Bad, "✗");
    for fault in files {
        terminal.line(format!("{glyph} {fault}"));
    }
    for finding in &report.findings {
        terminal.line(format!("{glyph} {finding}"));
    }
    let glyph = terminal.paint(Style::Warn, "?");
    for ((event_type, version), unknown) in &report.unknown {
        terminal.line(format!(
            "{glyph} {} events of the unknown type `{event_type}` version {version}, the first at position {}: their \
             chains were checked, what they say was not",
            unknown.events, unknown.first
        ));
    }
}

fn conclude(terminal: &mut Terminal, report: &Report, files: usize, verdict: Option<&str>) {
    let faults = report.faults.saturating_add(u64::try_from(files).unwrap_or(u64::MAX));
    let (style, text) = match verdict {
        Some(verdict) => (Style::Bad, verdict.to_owned()),
        None if faults > 0 => (Style::Bad, format!("✗ {faults} faults")),
        None if !report.is_whole() => (Style::Warn, "? not everything could be checked".to_owned()),
        None => (Style::Good, "✓ sound".to_owned()),
    };
    let verdict = terminal.paint(style, &text);
    let (events, streams, position) = (report.events, report.streams, report.position);
    terminal.line(format!("{verdict}: {events} events in {streams} streams, up to position {position}"));
    if let Some(first) = report.findings.first() {
        terminal.line(format!("  first bad event: {} at position {}", first.event, first.position));
    }
    let seals = &report.seals;
    match seals.keys.first() {
        None => terminal.line("  nothing is sealed"),
        Some(key) => terminal.line(format!(
            "  {} seals, {} compared, over {} events; first key {key}",
            seals.seals, seals.compared, seals.sealed
        )),
    }
}
