//! `hishamos audit why`: from an event back to whoever began it.

use std::sync::Arc;

use anyhow::Context;
use domain::{ActorKind, Category, Event, RunEvent, RunId, StreamId, TaskEvent, TriggerEvent};
use journal::{Filter, Journal, Position, RecordedEvent};
use serde_json::json;

use super::{UNREADABLE, find, locate, moment};
use crate::cli::attached::Attached;
use crate::cli::failure::Failure;
use crate::cli::terminal::{Style, Terminal};
use crate::config::Config;

/// No chain is longer, unless it is a circle.
const LONGEST: usize = 1000;

/// An event of the chain, and how it follows from the next one.
struct Link {
    event: Arc<RecordedEvent>,
    /// In words, such as `was caused by`.
    follows: Option<&'static str>,
}

pub(super) async fn why(config: &Config, terminal: &mut Terminal, as_json: bool, named: &str) -> Result<(), Failure> {
    let attached = Attached::open(config).await?;
    let chain = Box::pin(chain(&*attached.store.journal, named)).await;
    attached.close().await?;
    let chain = chain?;
    if as_json {
        let links: Vec<_> = chain
            .iter()
            .map(|link| {
                json!({
                    "position": link.event.position.to_string(),
                    "event": link.event.id.to_string(),
                    "type": link.event.event_type,
                    "stream": link.event.stream.to_string(),
                    "recordedAt": moment(&link.event),
                    "actor": link.event.metadata.actor.to_string(),
                    "follows": link.follows,
                })
            })
            .collect();
        let root = chain.last().map(|link| link.event.metadata.actor.to_string());
        terminal.json(&json!({ "chain": links, "begunBy": root }));
        return Ok(());
    }
    for link in &chain {
        let event = &link.event;
        let heading = format!("{:>7}  {}  {:<24}", event.position, moment(event), event.event_type);
        let heading = terminal.paint(Style::Strong, &heading);
        terminal.line(format!("{heading}  {}  by {}", event.stream, event.metadata.actor));
        if let Some(follows) = link.follows {
            let follows = terminal.paint(Style::Dim, &format!("         {follows}"));
            terminal.line(follows);
        }
    }
    if let Some(root) = chain.last() {
        let actor = &root.event.metadata.actor;
        let what = match actor.kind {
            ActorKind::Person => "the person",
            ActorKind::ApiKey => "the API key",
            ActorKind::Schedule => "the schedule",
            ActorKind::Agent => "the agent",
            ActorKind::System => "HishamOS itself, as",
        };
        terminal.line(format!("it began with {what} {}", actor.id));
    }
    Ok(())
}

async fn at(journal: &dyn Journal, position: Position) -> Result<Arc<RecordedEvent>, Failure> {
    let before = Position::from_u64(position.as_u64().saturating_sub(1));
    let page = journal.read_all(before, &Filter::default(), 1).await.context(UNREADABLE)?;
    let event = page.events.into_iter().find(|event| event.position == position);
    Ok(event.context("an event has gone from the journal")?)
}

async fn chain(journal: &dyn Journal, named: &str) -> Result<Vec<Link>, Failure> {
    let (_, position) = find(journal, named).await?;
    let mut links = vec![Link { event: at(journal, position).await?, follows: None }];
    while let Some(last) = links.last_mut()
        && let Some((follows, cause)) = cause(journal, &last.event).await?
    {
        last.follows = Some(follows);
        links.push(Link { event: cause, follows: None });
        if links.len() > LONGEST {
            return Err(anyhow::anyhow!("the causes go round in a circle").into());
        }
    }
    Ok(links)
}

/// What an event follows from: the event that it names, or else what its task and run began with, or else what the
/// same command recorded on the trigger that fired.
async fn cause(
    journal: &dyn Journal,
    event: &RecordedEvent,
) -> Result<Option<(&'static str, Arc<RecordedEvent>)>, Failure> {
    if let Some(id) = event.metadata.causation {
        return match locate(journal, id, event.position).await? {
            Some(position) if position < event.position => Ok(Some(("was caused by", at(journal, position).await?))),
            _ => Ok(None),
        };
    }
    if event.revision > 0 && [Category::Task, Category::Run].contains(&event.stream.category) {
        return Ok(first(journal, event.stream).await?.map(|begin| ("followed from", begin)));
    }
    let decoded = event.event().context("an event cannot be read; `hishamos audit verify` says more")?;
    let above: Option<RunId> = match decoded {
        Event::Task(TaskEvent::Created { run, .. }) => *run,
        Event::Run(RunEvent::Started(start)) => start.parent.as_ref().map(|parent| parent.run),
        _ => None,
    };
    if let Some(run) = above {
        let what = if event.stream.category == Category::Task { "is a task of" } else { "is part of" };
        return Ok(first(journal, run.into()).await?.map(|begin| (what, begin)));
    }
    if event.stream.category == Category::Run {
        return Ok(fired(journal, event).await?.map(|fired| ("was started by", fired)));
    }
    Ok(None)
}

async fn first(journal: &dyn Journal, stream: StreamId) -> Result<Option<Arc<RecordedEvent>>, Failure> {
    Ok(journal.read_stream(stream, 0, 1).await.context(UNREADABLE)?.into_iter().next())
}

/// The same where positions are not counted: the run says which trigger it was, and the trigger's stream which firing.
async fn fired_for(journal: &dyn Journal, started: &RecordedEvent) -> Result<Option<Arc<RecordedEvent>>, Failure> {
    const PAGE: usize = 1000;
    let decoded = started.event().context("an event cannot be read; `hishamos audit verify` says more")?;
    let Event::Run(RunEvent::Started(start)) = decoded else { return Ok(None) };
    let Some(firing) = &start.trigger else { return Ok(None) };
    let stream = StreamId::from(firing.trigger);
    let mut next = 0;
    loop {
        let page = journal.read_stream(stream, next, PAGE).await.context(UNREADABLE)?;
        next += u64::try_from(page.len()).unwrap_or(u64::MAX);
        let full = page.len() == PAGE;
        let fired = page.into_iter().find(
            |event| matches!(event.event(), Ok(Event::Trigger(TriggerEvent::Fired { run, .. })) if *run == start.id),
        );
        if fired.is_some() || !full {
            return Ok(fired);
        }
    }
}

/// The firing of a trigger that was recorded in one append with the start of a run.
async fn fired(journal: &dyn Journal, started: &RecordedEvent) -> Result<Option<Arc<RecordedEvent>>, Failure> {
    // An append stands together; the longest has some hundred events.
    const AROUND: u64 = 500;
    if !journal.gapless() {
        return fired_for(journal, started).await;
    }
    let after = Position::from_u64(started.position.as_u64().saturating_sub(AROUND));
    let page = journal.read_all(after, &Filter::default(), 1000).await.context(UNREADABLE)?;
    Ok(page
        .events
        .into_iter()
        .find(|event| event.stream.category == Category::Trigger && event.metadata.command == started.metadata.command))
}
