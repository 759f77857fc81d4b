//! Appends for tests.

use domain::{Actor, AgentEvent, Category, CommandId, Event, EventId, StreamId, TaskEvent, Timestamp};
use journal::{Append, Context, Expected, StreamAppend};
use uuid::Uuid;

pub(crate) fn agent() -> StreamId {
    StreamId { category: Category::Agent, id: Uuid::new_v4() }
}

pub(crate) fn task() -> StreamId {
    StreamId { category: Category::Task, id: Uuid::new_v4() }
}

/// An event for a stream of agents or tasks that carries `text`.
pub(crate) fn event(stream: StreamId, text: &str) -> Event {
    match stream.category {
        Category::Agent => Event::Agent(AgentEvent::Disabled { reason: text.to_owned() }),
        Category::Task => Event::Task(TaskEvent::Cancelled { reason: text.to_owned() }),
        other => panic!("no sample for {other:?}"),
    }
}

pub(crate) fn text_of(event: &Event) -> &str {
    match event {
        Event::Agent(AgentEvent::Disabled { reason }) | Event::Task(TaskEvent::Cancelled { reason }) => reason,
        other => panic!("not a sample: {other:?}"),
    }
}

pub(crate) fn context() -> Context {
    Context {
        command: CommandId::from_uuid(Uuid::now_v7()),
        at: Timestamp::from_micros(1_800_000_000_123_456),
        actor: Actor::person("ada"),
        tenant: "acme".to_owned(),
        correlation: Uuid::new_v4(),
        causation: Some(EventId::from_uuid(Uuid::new_v4())),
        subject: None,
        keeping: None,
    }
}

pub(crate) fn part(stream: StreamId, expected: Expected, texts: &[&str]) -> StreamAppend {
    StreamAppend { stream, expected, events: texts.iter().map(|text| event(stream, text)).collect() }
}

/// An append to several streams.
pub(crate) fn parts(streams: Vec<StreamAppend>) -> Append {
    Append { streams, context: context(), remember: false }
}

/// An append to one stream.
pub(crate) fn append(stream: StreamId, expected: Expected, texts: &[&str]) -> Append {
    parts(vec![part(stream, expected, texts)])
}

pub(crate) fn remembered(append: Append) -> Append {
    Append { remember: true, ..append }
}
