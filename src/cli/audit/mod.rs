//! `hishamos audit`: proving what happened, straight from the journal. Nothing here needs a running server, and what
//! looks at a bundle or a proof needs no database either.

mod bundle;
mod diff;
mod keys;
mod log;
mod refusals;
mod replay;
mod stats;
mod verify;
mod why;

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use domain::seal::PublicKey;
use domain::{Event, EventId};
use journal::{Journal, Position, RecordedEvent};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::failure::Failure;
use super::terminal::Terminal;
use crate::config::Config;

/// How many events are read at a time.
const PAGE: usize = 2000;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List what happened, in the order of the journal
    Log(log::Log),
    /// List what was asked for and refused: by whom, what, and why
    Refusals(refusals::Refusals),
    /// Check every hash chain and every seal; of a bundle, without a database
    Verify {
        /// A bundle that `audit export` made (default: the configured journal)
        bundle: Option<PathBuf>,
        /// The first public key that the seals must go back to, in hexadecimal
        #[arg(long, value_name = "HEX")]
        key: Option<PublicKey>,
        /// A copy of the seals that was kept outside, to compare with
        #[arg(long, value_name = "FILE")]
        seals: Option<PathBuf>,
    },
    /// Print the whole history of a run: the state after each event, and what each event changed
    Replay {
        /// The run's id
        run: Uuid,
        /// Only up to this position
        #[arg(long, value_name = "POSITION")]
        at: Option<u64>,
    },
    /// Compare two runs, step by step; what `hishamos diff` asks a server for, from the journal itself
    Diff {
        /// One run's id
        a: Uuid,
        /// The other's
        b: Uuid,
    },
    /// Follow an event back to the person, schedule or trigger that began it all
    Why {
        /// The event's id, or its position
        event: String,
    },
    /// Count events by category, type, actor and day
    Stats,
    /// Write the journal, or a part of it, as a bundle that can be checked offline; repeated, it goes on where it broke off
    Export(bundle::Export),
    /// Record a bundle in an empty journal, with its bytes, hashes and seals
    Import {
        /// The bundle
        bundle: PathBuf,
    },
    /// Show the keys of the seals
    Keys,
    /// Hand over to a new key; the old one is destroyed
    RotateKey,
    /// Print the proof that an event stands in the sealed journal
    Prove {
        /// The event's id, or its position
        event: String,
    },
    /// Check a proof, without a database
    VerifyProof {
        /// The file that `audit prove` printed
        file: PathBuf,
        /// The first public key that the seal must go back to, in hexadecimal
        #[arg(long, value_name = "HEX")]
        key: Option<PublicKey>,
    },
}

/// `hishamos audit`.
pub(crate) async fn audit(
    command: Audit,
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
) -> Result<(), Failure> {
    match command {
        Audit::Log(asked) => log::log(config, terminal, as_json, asked).await,
        Audit::Refusals(asked) => refusals::refusals(config, terminal, as_json, asked).await,
        Audit::Verify { bundle: None, key, seals } => verify::journal(config, terminal, as_json, key, seals).await,
        Audit::Verify { bundle: Some(path), key, seals } => verify::bundle(terminal, as_json, path, key, seals).await,
        Audit::Replay { run, at } => replay::replay(config, terminal, as_json, run, at.map(Position::from_u64)).await,
        Audit::Diff { a, b } => diff::diff(config, terminal, as_json, a, b).await,
        Audit::Why { event } => why::why(config, terminal, as_json, &event).await,
        Audit::Stats => stats::stats(config, terminal, as_json).await,
        Audit::Export(asked) => bundle::export(config, terminal, as_json, asked).await,
        Audit::Import { bundle } => bundle::import(config, terminal, as_json, bundle).await,
        Audit::Keys => keys::keys(config, terminal, as_json).await,
        Audit::RotateKey => keys::rotate(config, terminal, as_json).await,
        Audit::Prove { event } => keys::prove(config, terminal, &event).await,
        Audit::VerifyProof { file, key } => keys::verify_proof(terminal, as_json, &file, key),
    }
}

/// An event with its envelope and its fields.
pub(crate) fn as_value(event: &RecordedEvent) -> Result<Value, Failure> {
    Ok(log::as_value(event, fields(event.event().context(UNREADABLE)?)?))
}

/// The fields of an event, without the name of its variant, which its type tells already.
fn fields(event: &Event) -> Result<Value, Failure> {
    let tagged = match event {
        Event::Workflow(event) => serde_json::to_value(event),
        Event::Run(event) => serde_json::to_value(event),
        Event::Task(event) => serde_json::to_value(event),
        Event::Agent(event) => serde_json::to_value(event),
        Event::Template(event) => serde_json::to_value(event),
        Event::Limit(event) => serde_json::to_value(event),
        Event::Slots(event) => serde_json::to_value(event),
        Event::Hold(event) => serde_json::to_value(event),
        Event::Budget(event) => serde_json::to_value(event),
        Event::Purse(event) => serde_json::to_value(event),
        Event::Trigger(event) => serde_json::to_value(event),
        Event::External(event) => serde_json::to_value(event),
        Event::Seal(event) => serde_json::to_value(event),
        Event::Denial(event) => serde_json::to_value(event),
        Event::Search(event) => serde_json::to_value(event),
        Event::Subject(event) => serde_json::to_value(event),
        Event::Action(event) => serde_json::to_value(event),
        Event::Webhook(event) => serde_json::to_value(event),
        Event::Delivery(event) => serde_json::to_value(event),
    };
    Ok(match tagged.context("an event cannot be shown")? {
        Value::Object(tagged) => tagged.into_iter().next().map_or(Value::Null, |(_, fields)| fields),
        _ => Value::Object(Map::new()),
    })
}

fn moment(recorded: &RecordedEvent) -> String {
    time(recorded.recorded_at.as_micros())
}

fn time(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| "-".to_owned(), |moment| format!("{moment:.6}"))
}

const UNREADABLE: &str = "the journal cannot be read; `hishamos audit verify` says more";

/// Where the event is that somebody names by its id or its position.
async fn find(journal: &dyn Journal, named: &str) -> Result<(EventId, Position), Failure> {
    if let Ok(position) = named.parse::<u64>() {
        let before = Position::from_u64(position.saturating_sub(1));
        let found = journal.read_entries(before, 1).await.context(UNREADABLE)?;
        let found = found.first().filter(|entry| entry.position.as_u64() == position);
        return found.map(|entry| (entry.id, entry.position)).ok_or_else(|| not_found(named));
    }
    let id: EventId =
        named.parse().map_err(|_| Failure::usage(format!("`{named}` is neither an event's id nor a position")))?;
    let head = journal.head().await.context(UNREADABLE)?;
    locate(journal, id, head).await?.map(|position| (id, position)).ok_or_else(|| not_found(named))
}

fn not_found(named: &str) -> Failure {
    Failure::Refused { code: "EVENT_NOT_FOUND".to_owned(), message: format!("the journal has no event {named}") }
}

/// The position of an event at or before another position. Causes stand shortly before their effects, so it looks
/// backwards where positions have no gaps.
async fn locate(journal: &dyn Journal, id: EventId, until: Position) -> Result<Option<Position>, Failure> {
    let page_size = u64::try_from(PAGE).unwrap_or(u64::MAX);
    if journal.gapless() {
        let mut end = until.as_u64();
        while end > 0 {
            let begin = end.saturating_sub(page_size);
            let page = journal.read_entries(Position::from_u64(begin), PAGE).await.context(UNREADABLE)?;
            if let Some(found) = page.iter().find(|entry| entry.id == id) {
                return Ok(Some(found.position));
            }
            end = begin;
        }
        return Ok(None);
    }
    let mut after = Position::START;
    while after < until {
        let page = journal.read_entries(after, PAGE).await.context(UNREADABLE)?;
        if let Some(found) = page.iter().find(|entry| entry.id == id) {
            return Ok(Some(found.position));
        }
        let Some(last) = page.last() else { break };
        after = last.position;
    }
    Ok(None)
}
