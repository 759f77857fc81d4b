//! `hishamos audit stats`.

use std::collections::BTreeMap;

use anyhow::Context;
use journal::{Filter, Journal, Position};
use serde_json::json;

use super::{PAGE, UNREADABLE};
use crate::cli::attached::Attached;
use crate::cli::failure::Failure;
use crate::cli::terminal::{Style, Terminal};
use crate::config::Config;

#[derive(Default)]
struct Counted {
    events: u64,
    bytes: u64,
    streams: BTreeMap<String, u64>,
    types: BTreeMap<String, u64>,
    actors: BTreeMap<String, u64>,
    days: BTreeMap<String, u64>,
    first: Option<String>,
    last: Option<String>,
}

pub(super) async fn stats(config: &Config, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let attached = Attached::open(config).await?;
    let counted = count(&*attached.store.journal, terminal).await;
    attached.close().await?;
    terminal.clear_status();
    let Counted { events, bytes, streams, types, actors, days, first, last } = counted?;
    if as_json {
        terminal.json(&json!({
            "events": events,
            "bytes": bytes,
            "first": first,
            "last": last,
            "streamsByCategory": streams,
            "eventsByType": types,
            "eventsByActor": actors,
            "eventsByDay": days,
        }));
        return Ok(());
    }
    let span = match (first, last) {
        (Some(first), Some(last)) => format!(", from {first} to {last}"),
        _ => String::new(),
    };
    terminal.line(format!("{events} events{span}"));
    for (title, counts) in [("streams", streams), ("types", types), ("actors", actors), ("days", days)] {
        let title = terminal.paint(Style::Strong, title);
        terminal.line(title);
        for (name, count) in counts {
            terminal.line(format!("  {count:>9}  {name}"));
        }
    }
    Ok(())
}

async fn count(journal: &dyn Journal, terminal: &mut Terminal) -> Result<Counted, Failure> {
    let mut counted = Counted::default();
    let mut position = Position::START;
    loop {
        let page = journal.read_all(position, &Filter::default(), PAGE).await.context(UNREADABLE)?;
        for event in &page.events {
            counted.events += 1;
            counted.bytes += u64::try_from(event.payload.len() + event.metadata_bytes.len()).unwrap_or(0);
            if event.revision == 0 {
                *counted.streams.entry(event.stream.category.name().to_owned()).or_default() += 1;
            }
            *counted.types.entry(event.event_type.to_string()).or_default() += 1;
            *counted.actors.entry(event.metadata.actor.to_string()).or_default() += 1;
            let moment = super::moment(event);
            let day = moment.split('T').next().unwrap_or_default().to_owned();
            *counted.days.entry(day).or_default() += 1;
            counted.first.get_or_insert_with(|| moment.clone());
            counted.last = Some(moment);
        }
        if page.position == position {
            return Ok(counted);
        }
        position = page.position;
        terminal.status(&format!("  {} events", counted.events));
    }
}
