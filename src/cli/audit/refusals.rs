//! `hishamos audit refusals`.

use anyhow::Context;
use domain::denial::{Denied, DeniedMore};
use domain::{DenialEvent, Event};
use journal::{Filter, Journal, Position, RecordedEvent};
use serde_json::{Value, json};

use super::{PAGE, UNREADABLE, moment};
use crate::cli::attached::Attached;
use crate::cli::failure::Failure;
use crate::cli::terminal::{Style, Terminal, printable};
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub(crate) struct Refusals {
    /// Only what this actor asked for, such as person:ada; `person` alone means every person
    #[arg(long)]
    actor: Option<String>,
    /// Only what was refused by this code, such as RUN_NOT_FOUND
    #[arg(long)]
    code: Option<String>,
    /// Only what was refused at this time or later, such as 2026-05-03T12:00:00Z
    #[arg(long)]
    since: Option<jiff::Timestamp>,
    /// Only what was refused before this time
    #[arg(long)]
    until: Option<jiff::Timestamp>,
    /// The last ones, so many at most
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

impl Refusals {
    fn wants_time(&self, event: &RecordedEvent) -> bool {
        let at = event.recorded_at.as_micros();
        self.since.is_none_or(|since| at >= since.as_microsecond())
            && self.until.is_none_or(|until| at < until.as_microsecond())
    }

    fn wants(&self, by: &domain::Actor, code: &str) -> bool {
        self.actor.as_ref().is_none_or(|wanted| *wanted == by.to_string() || wanted == by.kind.name())
            && self.code.as_ref().is_none_or(|wanted| wanted == code)
    }

    /// What an event says, as far as it is wanted: an object, and a line.
    fn told(&self, event: &RecordedEvent) -> Result<Option<(Value, String)>, Failure> {
        if !self.wants_time(event) {
            return Ok(None);
        }
        let at = moment(event);
        match event.event().context(UNREADABLE)? {
            Event::Denial(DenialEvent::Recorded(denied)) => {
                let (by, Denied { action, on, code, from, at: _ }) = (&event.metadata.actor, denied);
                if !self.wants(by, code) {
                    return Ok(None);
                }
                let value = json!({
                    "at": at, "actor": by.to_string(), "action": action, "on": on, "code": code, "from": from,
                    "count": 1, "correlation": event.metadata.correlation, "position": event.position.to_string(),
                });
                let on = on.as_ref().map(|on| format!(" of {on}")).unwrap_or_default();
                let from = from.as_ref().map(|from| format!(", from a page of {from}")).unwrap_or_default();
                Ok(Some((value, format!("{at}  {code:<28}  {action}{on}  by {by}{from}"))))
            }
            Event::Denial(DenialEvent::Counted(more)) => {
                let DeniedMore { counts, others, .. } = more;
                let counts: Vec<_> = counts.iter().filter(|count| self.wants(&count.by, &count.code)).collect();
                let all = self.actor.is_none() && self.code.is_none();
                let others = if all { *others } else { 0 };
                let total = counts.iter().fold(others, |sum, count| sum.saturating_add(count.count));
                if total == 0 {
                    return Ok(None);
                }
                let kinds: Vec<Value> = counts
                    .iter()
                    .map(|count| {
                        json!({
                            "actor": count.by.to_string(), "action": count.action, "code": count.code,
                            "count": count.count,
                        })
                    })
                    .collect();
                let value = json!({ "at": at, "count": total, "kinds": kinds, "others": others, "position": event.position.to_string() });
                let mut line = format!("{at}  {total} more, which were too many to record one by one");
                for count in counts {
                    line.push_str(&format!(
                        "\n    {:>6}  {}  {}  by {}",
                        count.count, count.code, count.action, count.by
                    ));
                }
                if others > 0 {
                    line.push_str(&format!("\n    {others:>6}  of other kinds"));
                }
                Ok(Some((value, line)))
            }
            _ => Ok(None),
        }
    }
}

pub(super) async fn refusals(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    asked: Refusals,
) -> Result<(), Failure> {
    let attached = Attached::open(config).await?;
    let listed = list(&*attached.store.journal, &asked).await;
    attached.close().await?;
    let listed = listed?;
    if as_json {
        let values: Vec<Value> = listed.into_iter().map(|(value, _)| value).collect();
        terminal.json(&json!({ "refusals": values }));
        return Ok(());
    }
    if listed.is_empty() {
        let text = terminal.paint(Style::Dim, "nothing was refused");
        terminal.line(text);
    }
    for (_, line) in listed {
        for line in line.lines() {
            terminal.line(printable(line));
        }
    }
    Ok(())
}

async fn list(journal: &dyn Journal, asked: &Refusals) -> Result<Vec<(Value, String)>, Failure> {
    let names = journal::wire::types().iter().map(|known| known.name).filter(|name| name.starts_with("denial."));
    let filter = Filter { types: names.map(str::to_owned).collect(), ..Filter::default() };
    let mut listed = std::collections::VecDeque::new();
    let mut position = Position::START;
    loop {
        let page = journal.read_all(position, &filter, PAGE).await.context(UNREADABLE)?;
        for event in &page.events {
            let Some(told) = asked.told(event)? else { continue };
            listed.push_back(told);
            if listed.len() > asked.limit {
                listed.pop_front();
            }
        }
        if page.position == position {
            return Ok(listed.into());
        }
        position = page.position;
    }
}
