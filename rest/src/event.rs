//! Events as they are shown.

use commands::Told;
use domain::Event as DomainEvent;
use journal::RecordedEvent;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::run::moment;

/// An event of a run or of one of its tasks, as it is in the journal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// Its place in the whole journal.
    position: String,
    /// Its id.
    id: Uuid,
    /// The name of its stream, `category-id`.
    stream: String,
    /// Its place in the stream, from 0.
    revision: u64,
    /// The stable name of its type, such as `run.started`.
    #[serde(rename = "type")]
    kind: String,
    /// The step that it is about, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    /// When it was recorded, by the clock of the node that decided.
    #[schema(format = DateTime)]
    recorded_at: Option<String>,
    /// Who caused it, as `kind:id`.
    actor: String,
    /// The same for all that follows from one request.
    correlation: Uuid,
    /// The event that directly led to this one.
    causation: Option<Uuid>,
    /// The command that was decided.
    command: Uuid,
    /// What happened; its shape follows from `type`.
    payload: Value,
    /// The hash of the stream's event before it, in hexadecimal; zeros for the first.
    previous_hash: String,
    /// The hash of this event, in hexadecimal.
    hash: String,
}

impl Event {
    /// # Errors
    /// When the payload cannot be read or written.
    pub(crate) fn of(recorded: &RecordedEvent) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self {
            position: recorded.position.to_string(),
            id: recorded.id.as_uuid(),
            stream: recorded.stream.to_string(),
            revision: recorded.revision,
            kind: recorded.event_type.to_string(),
            step: None,
            recorded_at: moment(recorded.recorded_at.as_micros()),
            actor: recorded.metadata.actor.to_string(),
            correlation: recorded.metadata.correlation,
            causation: recorded.metadata.causation.map(domain::EventId::as_uuid),
            command: recorded.metadata.command.as_uuid(),
            payload: payload(recorded.event()?)?,
            previous_hash: recorded.previous_hash.to_string(),
            hash: recorded.hash.to_string(),
        })
    }

    /// # Errors
    /// As [`Event::of`].
    pub(crate) fn told(told: Told) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self { step: told.step, ..Self::of(&told.recorded)? })
    }

    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }
}

/// The fields of an event of a run or task. Serde writes `{"Variant": {fields}}`, or just the name where there are no
/// fields; the variant is known from the event's type.
fn payload(event: &DomainEvent) -> Result<Value, serde_json::Error> {
    let tagged = match event {
        DomainEvent::Run(event) => serde_json::to_value(event)?,
        DomainEvent::Task(event) => serde_json::to_value(event)?,
        _ => Value::Null,
    };
    Ok(match tagged {
        Value::Object(tagged) => tagged.into_iter().next().map_or(Value::Null, |(_, fields)| fields),
        _ => Value::Object(serde_json::Map::new()),
    })
}
