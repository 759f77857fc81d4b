//! `hishamos audit keys`, `rotate-key`, `prove` and `verify-proof`.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use domain::seal::PublicKey;
use domain::{Actor, SealEvent};
use journal::Executor;
use journal::seal::{self, Book, KeyFile, Proof, ProofError};
use serde_json::json;

use super::{UNREADABLE, find, time};
use crate::cli::attached::Attached;
use crate::cli::failure::Failure;
use crate::cli::terminal::{Style, Terminal};
use crate::config::Config;

pub(super) async fn keys(config: &Config, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let attached = Attached::open(config).await?;
    let journal = &*attached.store.journal;
    let read = async { Book::read(journal, journal.head().await?).await }.await;
    attached.close().await?;
    let book = read.context(UNREADABLE)?;
    let mut shown = Vec::new();
    for statement in book.statements() {
        let (key, at, by) = match statement {
            SealEvent::KeyIntroduced(introduced) => (introduced.key, introduced.at, None),
            SealEvent::KeyRotated(rotated) => (rotated.key, rotated.at, Some(rotated.retired)),
            SealEvent::Sealed(_) => continue,
        };
        shown.push((key, time(at.as_micros()), by));
    }
    let file = KeyFile::new(config.seal_key());
    let signs = book.keys().last().copied();
    let at_hand = signs.is_some_and(|key| file.of(key).is_ok());
    if as_json {
        let keys: Vec<_> =
            shown.iter().map(|(key, since, by)| json!({ "key": key, "since": since, "signedBy": by })).collect();
        let file = file.path().display().to_string();
        terminal.json(&json!({ "keys": keys, "file": file, "secretAtHand": at_hand }));
        return Ok(());
    }
    if shown.is_empty() {
        terminal.line("nothing is sealed yet, so there is no key");
        return Ok(());
    }
    for (key, since, by) in &shown {
        let by = by.map_or_else(|| "the first, signed by itself".to_owned(), |by| format!("signed by {by}"));
        terminal.line(format!("{key}  since {since}, {by}"));
    }
    let (style, text) = match at_hand {
        true => (Style::Good, format!("✓ {} holds the key that signs now", file.path().display())),
        false => (Style::Bad, format!("✗ {} does not hold the key that signs now", file.path().display())),
    };
    let text = terminal.paint(style, &text);
    terminal.line(text);
    Ok(())
}

pub(super) async fn rotate(config: &Config, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let attached = Attached::open(config).await?;
    let executor = Executor::new(Arc::clone(&attached.store.journal));
    let file = KeyFile::new(config.seal_key());
    let rotated = seal::rotate(&executor, &file, Actor::person(&config.person)).await;
    attached.close().await?;
    let (retired, new) = rotated.map_err(|error| Failure::Infrastructure(error.into()))?;
    if as_json {
        terminal.json(&json!({ "retired": retired, "key": new, "file": file.path().display().to_string() }));
        return Ok(());
    }
    let glyph = terminal.paint(Style::Good, "✓");
    terminal.line(format!("{glyph} {new} takes over from {retired}"));
    terminal.line(format!("  the new key is in {}; copy it to every node", file.path().display()));
    Ok(())
}

pub(super) async fn prove(config: &Config, terminal: &mut Terminal, named: &str) -> Result<(), Failure> {
    let attached = Attached::open(config).await?;
    let journal = &*attached.store.journal;
    let proof = async {
        let (id, position) = find(journal, named).await?;
        seal::prove(journal, id, position).await.map_err(failed)
    };
    let proof = proof.await;
    attached.close().await?;
    // A proof is JSON, whoever asks.
    terminal.json(&proof?);
    Ok(())
}

fn failed(error: ProofError) -> Failure {
    let message = error.to_string();
    match error {
        ProofError::Unsealed(_) => Failure::Refused { code: "EVENT_NOT_SEALED".to_owned(), message },
        ProofError::NotFound(_) => Failure::Refused { code: "EVENT_NOT_FOUND".to_owned(), message },
        ProofError::Malformed(_) => Failure::Refused { code: "PROOF_MALFORMED".to_owned(), message },
        other => Failure::Infrastructure(other.into()),
    }
}

pub(super) fn verify_proof(
    terminal: &mut Terminal,
    as_json: bool,
    file: &Path,
    key: Option<PublicKey>,
) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let checked = Proof::from_json(&text).and_then(|proof| proof.check());
    let checked = checked.and_then(|proven| match key.filter(|key| *key != proven.first_key) {
        Some(key) => {
            Err(ProofError::Wrong(format!("it goes back to the first key {}, not to {key}", proven.first_key)))
        }
        None => Ok(proven),
    });
    let proven = match checked {
        Ok(proven) => proven,
        Err(error @ ProofError::Wrong(_)) => {
            if as_json {
                terminal.json(&json!({ "holds": false, "why": error.to_string() }));
            } else {
                let glyph = terminal.paint(Style::Bad, "✗");
                terminal.line(format!("{glyph} {error}"));
            }
            return Err(Failure::Damaged);
        }
        Err(error @ ProofError::Malformed(_)) => return Err(failed(error)),
        Err(error) => return Err(anyhow!(error).into()),
    };
    if as_json {
        terminal.json(&json!({
            "holds": true,
            "event": proven.event.to_string(),
            "type": proven.event_type,
            "number": proven.number,
            "seal": proven.seal.number,
            "sealedAt": time(proven.seal.at.as_micros()),
            "firstKey": proven.first_key,
        }));
        return Ok(());
    }
    let glyph = terminal.paint(Style::Good, "✓");
    terminal.line(format!(
        "{glyph} event {} ({}) is number {} of the journal, by seal {} of {}",
        proven.event,
        proven.event_type,
        proven.number,
        proven.seal.number,
        time(proven.seal.at.as_micros())
    ));
    terminal.line(format!("  everything goes back to the first key {}", proven.first_key));
    if key.is_none() {
        terminal.line("  whether that is the right key only somebody who knows it can say: --key HEX");
    }
    Ok(())
}
