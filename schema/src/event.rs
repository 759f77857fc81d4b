//! Raw access to the journal, for audit.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, ID, InputObject, Result, SimpleObject};
use journal::{Filter, Journal, ReadError, RecordedEvent};
use serde_json::Value;
use uuid::Uuid;

use crate::failure;
use crate::node::{GlobalId, stream_named};
use crate::scalar::{Count, DateTime, Json, Position};
use crate::status::Category;

/// An event as it is in the journal: what happened, who caused it, and the hash that makes tampering evident.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Event {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// Its place in the whole journal.
    position: Position,
    /// Its own id.
    event_id: Uuid,
    /// The name of its stream, `category-id`.
    stream: ID,
    /// The kind of aggregate that it happened to.
    category: Category,
    /// The id of the aggregate that it happened to.
    aggregate_id: Uuid,
    /// Its place in the stream, from 0.
    revision: Count,
    /// The stable name of its type, such as `run.started`.
    #[graphql(name = "type")]
    event_type: String,
    /// Which frozen layout the recorded payload has, from 1.
    schema_version: u16,
    /// When it was recorded, by the clock of the node that decided.
    recorded_at: DateTime,
    /// Who caused it, as `kind:id`.
    actor: String,
    /// Whose data it is.
    tenant: String,
    /// The same for all that follows from one request.
    correlation: Uuid,
    /// The event that directly led to this one.
    causation: Option<Uuid>,
    /// The command that was decided.
    command: Uuid,
    /// The hash of the stream's event before it, in hexadecimal; zeros for the first.
    previous_hash: String,
    /// The hash of this event, in hexadecimal.
    hash: String,
    #[graphql(skip)]
    recorded: Arc<RecordedEvent>,
}

impl From<Arc<RecordedEvent>> for Event {
    fn from(recorded: Arc<RecordedEvent>) -> Self {
        Self {
            position: recorded.position.into(),
            id: GlobalId::Event(recorded.stream, recorded.revision).into(),
            event_id: recorded.id.as_uuid(),
            stream: ID(recorded.stream.to_string()),
            category: Category::of_domain(recorded.stream.category),
            aggregate_id: recorded.stream.id,
            revision: Count(recorded.revision),
            event_type: recorded.event_type.to_string(),
            schema_version: recorded.schema_version,
            recorded_at: recorded.recorded_at.into(),
            actor: recorded.metadata.actor.to_string(),
            tenant: recorded.metadata.tenant.clone(),
            correlation: recorded.metadata.correlation,
            causation: recorded.metadata.causation.map(domain::EventId::as_uuid),
            command: recorded.metadata.command.as_uuid(),
            previous_hash: recorded.previous_hash.to_string(),
            hash: recorded.hash.to_string(),
            recorded,
        }
    }
}

#[ComplexObject]
impl Event {
    /// What happened, in the newest layout; its shape follows from `type`.
    async fn payload(&self, context: &Context<'_>) -> Result<Json> {
        let event = self.recorded.event().map_err(|error| failure::internal(context, &error))?;
        payload(event).map(async_graphql::Json).map_err(|error| failure::internal(context, &error))
    }
}

/// The fields of an event. Serde writes `{"Variant": {fields}}`, or just the name where there are no fields; the
/// variant is known from the event's type.
pub(crate) fn payload(event: &domain::Event) -> Result<Value, serde_json::Error> {
    let tagged = match event {
        domain::Event::Workflow(event) => serde_json::to_value(event),
        domain::Event::Run(event) => serde_json::to_value(event),
        domain::Event::Task(event) => serde_json::to_value(event),
        domain::Event::Agent(event) => serde_json::to_value(event),
        domain::Event::Template(event) => serde_json::to_value(event),
        domain::Event::Limit(event) => serde_json::to_value(event),
        domain::Event::Slots(event) => serde_json::to_value(event),
        domain::Event::Hold(event) => serde_json::to_value(event),
        domain::Event::Budget(event) => serde_json::to_value(event),
        domain::Event::Purse(event) => serde_json::to_value(event),
        domain::Event::Webhook(event) => serde_json::to_value(event),
        domain::Event::Delivery(event) => serde_json::to_value(event),
        domain::Event::Trigger(event) => serde_json::to_value(event),
        domain::Event::External(event) => serde_json::to_value(event),
        domain::Event::Seal(event) => serde_json::to_value(event),
        domain::Event::Denial(event) => serde_json::to_value(event),
        domain::Event::Search(event) => serde_json::to_value(event),
        domain::Event::Subject(event) => serde_json::to_value(event),
        domain::Event::Action(event) => serde_json::to_value(event),
    }?;
    Ok(match tagged {
        Value::Object(tagged) => tagged.into_iter().next().map_or(Value::Null, |(_, fields)| fields),
        _ => Value::Object(serde_json::Map::new()),
    })
}

/// Which events are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct EventFilter {
    /// Only of these kinds of aggregates; empty means any.
    #[graphql(default)]
    categories: Vec<Category>,
    /// Only of these types, such as `run.started`; empty means any.
    #[graphql(default)]
    types: Vec<String>,
    /// Only of this stream, named `category-id`.
    stream: Option<ID>,
    /// Only what this actor caused, such as `person:ada`; `person` alone means every person.
    actor: Option<String>,
    /// Only recorded at or after this moment.
    recorded_from: Option<DateTime>,
    /// Only recorded before this moment.
    recorded_before: Option<DateTime>,
}

/// How a filter is applied: what the store selects by itself, and what is left out of that.
pub(crate) struct Wanted {
    pub(crate) selected: Filter,
    actor: Option<String>,
    from: Option<DateTime>,
    before: Option<DateTime>,
}

impl Wanted {
    /// How many events are looked at at a time, and how often for one page, where the store does not select by itself.
    const CHUNK: usize = 500;
    const READS: usize = 20;

    pub(crate) fn of(filter: Option<EventFilter>) -> Result<Self> {
        let filter = filter.unwrap_or_default();
        let selected = Filter {
            categories: filter.categories.into_iter().map(Category::domain).collect(),
            types: filter.types,
            stream: filter.stream.as_ref().map(stream_id).transpose()?,
            of_run: None,
        };
        Ok(Self { selected, actor: filter.actor, from: filter.recorded_from, before: filter.recorded_before })
    }

    /// Whether an event that the store has selected is wanted.
    pub(crate) fn has(&self, event: &RecordedEvent) -> bool {
        let actor = &event.metadata.actor;
        self.actor.as_ref().is_none_or(|wanted| wanted == actor.kind.name() || *wanted == actor.to_string())
            && self.from.is_none_or(|from| event.recorded_at >= from.0)
            && self.before.is_none_or(|before| event.recorded_at < before.0)
    }

    /// Part of the journal between two positions, neither of them included: in its order, or the newest first.
    pub(crate) async fn page(
        &self,
        journal: &dyn Journal,
        (after, before): (Option<journal::Position>, Option<journal::Position>),
        reversed: bool,
        limit: usize,
    ) -> Result<journal::Page, ReadError> {
        let from = after.unwrap_or(journal::Position::START);
        let mut page = match reversed {
            false => self.read(journal, from, limit).await?,
            true => self.read_back(journal, before, limit).await?,
        };
        page.events.retain(|event| event.position > from && before.is_none_or(|before| event.position < before));
        // Beyond the other end there is nothing to go on for.
        page.position = match reversed {
            false => before.map_or(page.position, |before| page.position.min(before)),
            true => page.position.max(from),
        };
        Ok(page)
    }

    /// Part of the journal; it may be short, or empty, where little of it is wanted, and then reaches further.
    pub(crate) async fn read(
        &self,
        journal: &dyn Journal,
        after: journal::Position,
        limit: usize,
    ) -> Result<journal::Page, ReadError> {
        if self.is_left_to_the_store() {
            return journal.read_all(after, &self.selected, limit).await;
        }
        let (mut events, mut position) = (Vec::new(), after);
        for _ in 0..Self::READS {
            let page = journal.read_all(position, &self.selected, Self::CHUNK).await?;
            if page.position == position {
                break;
            }
            position = page.position;
            for event in page.events.into_iter().filter(|event| self.has(event)) {
                let reached = event.position;
                events.push(event);
                if events.len() == limit {
                    return Ok(journal::Page { events, position: reached });
                }
            }
        }
        Ok(journal::Page { events, position })
    }

    /// The same backwards: what stands before a position, or at the end, the newest first.
    async fn read_back(
        &self,
        journal: &dyn Journal,
        before: Option<journal::Position>,
        limit: usize,
    ) -> Result<journal::Page, ReadError> {
        if self.is_left_to_the_store() {
            return journal.read_back(before, &self.selected, limit).await;
        }
        let (mut events, mut position) = (Vec::new(), before);
        for _ in 0..Self::READS {
            let page = journal.read_back(position, &self.selected, Self::CHUNK).await?;
            position = Some(page.position);
            for event in page.events.into_iter().filter(|event| self.has(event)) {
                let reached = event.position;
                events.push(event);
                if events.len() == limit {
                    return Ok(journal::Page { events, position: reached });
                }
            }
            if page.position == journal::Position::START {
                break;
            }
        }
        Ok(journal::Page { events, position: position.unwrap_or(journal::Position::START) })
    }

    /// Whether the store selects by itself all that is wanted.
    fn is_left_to_the_store(&self) -> bool {
        self.actor.is_none() && self.from.is_none() && self.before.is_none()
    }
}

/// Reads the name of a stream.
pub(crate) fn stream_id(id: &ID) -> Result<domain::StreamId> {
    stream_named(id).ok_or_else(|| {
        failure::invalid(format!(
            "`{}` names nothing; it must be a category, `-` and a UUID, such as \
             run-0198c2f0-0000-7000-8000-000000000000",
            id.chars().take(80).collect::<String>()
        ))
    })
}

/// Part of the journal.
#[derive(Debug, SimpleObject)]
pub(crate) struct EventPage {
    /// The events, in the order of the journal, or the newest first.
    events: Vec<Event>,
    /// How far the page reaches: ask on with this as `after`, or as `before` when reversed, also when the page is short. Equal
    /// to what was asked for when nothing came since; when reversed, 0 or `after` when nothing stands before it.
    position: Position,
}

impl From<journal::Page> for EventPage {
    fn from(page: journal::Page) -> Self {
        Self { events: page.events.into_iter().map(Event::from).collect(), position: page.position.into() }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use domain::{AgentEvent, RunEvent, StepName};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_payload_is_the_fields_alone() {
        let step: StepName = "outline".parse().unwrap();
        let event = RunEvent::StepCancelled { step }.into();
        assert_eq!(payload(&event).unwrap(), json!({"step": "outline"}));
        assert_eq!(payload(&AgentEvent::Enabled.into()).unwrap(), json!({}));
    }

    #[test]
    fn stream_names_come_back_as_they_went() {
        let stream = domain::StreamId { category: domain::Category::Run, id: Uuid::from_u128(7) };
        assert_eq!(stream_id(&ID(stream.to_string())).unwrap(), stream);
        for wrong in ["", "run", "run-", "run-7", "walk-00000000-0000-0000-0000-000000000007"] {
            assert!(stream_id(&ID(wrong.to_owned())).is_err(), "{wrong}");
        }
    }
}
