//! `hishamos audit log`.

use std::io::Write;

use anyhow::Context;
use domain::{Category, StreamId};
use journal::{Filter, Journal, Position, RecordedEvent};
use serde_json::{Value, json};

use super::{UNREADABLE, fields, moment};
use crate::cli::attached::Attached;
use crate::cli::failure::Failure;
use crate::cli::signals::Signals;
use crate::cli::terminal::{Style, Terminal, cut, printable};
use crate::config::Config;

/// How many events are read at a time.
const PAGE: usize = 1000;
/// How much of an event's fields a line of text shows.
const WIDTH: usize = 120;

#[derive(Debug, clap::Args)]
pub(crate) struct Log {
    /// Only what this actor caused, such as person:ada; `person` alone means every person
    #[arg(long)]
    actor: Option<String>,
    /// Only events of this type, such as run.started; `run.*` means all of a category; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events of this stream, such as run-0199f0c2-…
    #[arg(long, value_parser = stream)]
    stream: Option<StreamId>,
    /// Only what was recorded at this time or later, such as 2026-05-03T12:00:00Z
    #[arg(long)]
    since: Option<jiff::Timestamp>,
    /// Only what was recorded before this time
    #[arg(long)]
    until: Option<jiff::Timestamp>,
    /// Only events after this position
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,
    /// How many at most
    #[arg(long)]
    limit: Option<u64>,
    /// As comma-separated values with a heading
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Go on with what happens, until Ctrl-C
    #[arg(long)]
    follow: bool,
}

fn stream(text: &str) -> Result<StreamId, String> {
    let (category, id) = text.split_once('-').ok_or("a stream is a category, `-`, and a UUID")?;
    let category: Category = category.parse().map_err(|error| format!("{error}"))?;
    let id = id.parse().map_err(|error| format!("`{id}` is no UUID: {error}"))?;
    Ok(StreamId { category, id })
}

impl Log {
    /// What the store can select by itself.
    fn filter(&self) -> Result<Filter, Failure> {
        let mut filter = Filter { stream: self.stream, ..Filter::default() };
        for wanted in &self.types {
            match wanted.strip_suffix(".*") {
                Some(category) => {
                    let category = category.parse::<Category>().map_err(|error| Failure::usage(error.to_string()))?;
                    let of_category = journal::wire::types().iter().map(|known| known.name);
                    let prefix = format!("{}.", category.name());
                    filter.types.extend(of_category.filter(|name| name.starts_with(&prefix)).map(str::to_owned));
                }
                None if journal::wire::types().iter().any(|known| known.name == wanted) => {
                    filter.types.push(wanted.clone());
                }
                None => {
                    return Err(Failure::usage(format!(
                        "there is no event type `{wanted}`; `hishamos audit stats` shows those that there are"
                    )));
                }
            }
        }
        Ok(filter)
    }

    fn wants(&self, event: &RecordedEvent) -> bool {
        let at = event.recorded_at.as_micros();
        let actor = &event.metadata.actor;
        self.actor.as_ref().is_none_or(|wanted| *wanted == actor.to_string() || wanted == actor.kind.name())
            && self.since.is_none_or(|since| at >= since.as_microsecond())
            && self.until.is_none_or(|until| at < until.as_microsecond())
    }
}

/// How events are written.
enum Form {
    Text,
    /// One object a line.
    Json,
    Csv(Box<csv::Writer<std::io::Stdout>>),
}

const COLUMNS: [&str; 12] = [
    "position",
    "recorded_at",
    "type",
    "version",
    "stream",
    "revision",
    "event",
    "actor",
    "correlation",
    "causation",
    "hash",
    "data",
];

impl Form {
    fn write(&mut self, terminal: &mut Terminal, event: &RecordedEvent) -> Result<(), Failure> {
        // What cannot be read is shown all the same.
        let data = match event.event() {
            Ok(known) => fields(known)?,
            Err(error) => json!({ "unreadable": error.to_string() }),
        };
        let metadata = &event.metadata;
        match self {
            Self::Text => {
                let heading = format!("{:>7}  {}  {:<24}", event.position, moment(event), event.event_type);
                let heading = terminal.paint(Style::Strong, &heading);
                let data = terminal.paint(Style::Dim, &cut(&printable(&data.to_string()), WIDTH));
                terminal.line(format!("{heading}  {}  by {}  {data}", event.stream, metadata.actor));
            }
            Self::Json => terminal.line(as_value(event, data).to_string()),
            Self::Csv(writer) => {
                let row = [
                    event.position.to_string(),
                    moment(event),
                    event.event_type.to_string(),
                    event.schema_version.to_string(),
                    event.stream.to_string(),
                    event.revision.to_string(),
                    event.id.to_string(),
                    metadata.actor.to_string(),
                    metadata.correlation.to_string(),
                    metadata.causation.map_or_else(String::new, |id| id.to_string()),
                    event.hash.to_string(),
                    data.to_string(),
                ];
                writer.write_record(row).context("the table cannot be written")?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if let Self::Csv(writer) = self {
            writer.flush().context("the table cannot be written")?;
        }
        Ok(std::io::stdout().flush().context("the list cannot be written")?)
    }
}

pub(super) fn as_value(event: &RecordedEvent, data: Value) -> Value {
    let metadata = &event.metadata;
    json!({
        "position": event.position.to_string(),
        "recordedAt": moment(event),
        "type": event.event_type,
        "version": event.schema_version,
        "stream": event.stream.to_string(),
        "revision": event.revision,
        "event": event.id.to_string(),
        "actor": metadata.actor.to_string(),
        "correlation": metadata.correlation,
        "causation": metadata.causation.map(|id| id.to_string()),
        "command": metadata.command.to_string(),
        "hash": event.hash.to_string(),
        "data": data,
    })
}

pub(super) async fn log(config: &Config, terminal: &mut Terminal, as_json: bool, asked: Log) -> Result<(), Failure> {
    let filter = asked.filter()?;
    let mut form = match (as_json, asked.csv) {
        (true, _) => Form::Json,
        (false, true) => {
            let mut writer = csv::Writer::from_writer(std::io::stdout());
            writer.write_record(COLUMNS).context("the table cannot be written")?;
            Form::Csv(Box::new(writer))
        }
        (false, false) => Form::Text,
    };
    let mut signals = Signals::listen()?;
    let attached = Attached::open(config).await?;
    let listed = Box::pin(list(&*attached.store.journal, terminal, &mut form, &asked, filter, &mut signals)).await;
    attached.close().await?;
    listed?;
    form.flush()
}

async fn list(
    journal: &dyn Journal,
    terminal: &mut Terminal,
    form: &mut Form,
    asked: &Log,
    filter: Filter,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let mut left = asked.limit.unwrap_or(u64::MAX);
    let mut position = Position::from_u64(asked.after);
    while left > 0 {
        let page = journal.read_all(position, &filter, PAGE).await.context(UNREADABLE)?;
        for event in page.events.iter().filter(|event| asked.wants(event)) {
            if left == 0 {
                return Ok(());
            }
            form.write(terminal, event)?;
            left -= 1;
        }
        if page.position == position {
            break;
        }
        position = page.position;
    }
    if !asked.follow {
        return Ok(());
    }
    let mut subscription = journal.subscribe(position, filter);
    while left > 0 {
        form.flush()?;
        let batch = tokio::select! {
            batch = subscription.next() => batch.context(UNREADABLE)?,
            () = signals.next() => return Ok(()),
        };
        for event in batch.events.iter().filter(|event| asked.wants(event)) {
            if left == 0 {
                return Ok(());
            }
            form.write(terminal, event)?;
            left -= 1;
        }
    }
    Ok(())
}
