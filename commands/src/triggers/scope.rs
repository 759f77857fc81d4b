//! What expressions of triggers read: `trigger` for the input of the run, `event` and `payload` for conditions.

use std::sync::Arc;

use domain::trigger::{Cause, EventRef, Schedule, TriggerSettings};
use domain::{Actor, ActorKind, Category, Event, Expression, ExternalEvent, Root, Run, RunId, Task, Timestamp};
use journal::{ReadError, RecordedEvent};
use serde_json::{Map, Value, json};

use crate::{Commands, Error, Refused};

/// What the input of a run is made from.
pub(super) struct Scope {
    /// What `trigger` stands for.
    pub(super) value: Value,
    /// Who stands at the beginning of the chain of causes.
    pub(super) by: Actor,
}

/// The input that a trigger's mapping makes. A `null` is left out. Without a mapping it is empty, except that what was
/// posted from outside is handed on as it is.
pub(super) fn input(settings: &TriggerSettings, scope: &Value) -> Result<Value, Error> {
    if settings.input.is_empty() {
        let posted = scope.get("payload").filter(|payload| payload.is_object());
        return Ok(posted.cloned().unwrap_or_else(|| json!({})));
    }
    let mut input = Map::new();
    for (name, expression) in &settings.input {
        let value = expression.evaluate(&[("trigger", Root::Value(scope))]);
        let value = value.map_err(|error| Refused::TriggerInput { name: name.clone(), error })?;
        if !value.is_null() {
            input.insert(name.as_str().to_owned(), value);
        }
    }
    Ok(Value::Object(input))
}

impl Commands {
    pub(super) async fn scope_of(
        &self,
        settings: &TriggerSettings,
        cause: &Cause,
        at: Timestamp,
    ) -> Result<Scope, Error> {
        let mut scope = Scope {
            value: json!({
                "key": settings.key.as_str(),
                "kind": settings.kind.name(),
                "cause": cause.name(),
                "fired_at": Schedule::name_of(at),
                "manual": matches!(cause, Cause::Manual { .. }),
                "backfill": matches!(cause, Cause::Backfill { .. }),
                "tick": null,
                "event": null,
                "payload": null,
            }),
            by: Actor::system("triggers"),
        };
        let Some(fields) = scope.value.as_object_mut() else { return Ok(scope) };
        match cause {
            Cause::Tick { at } | Cause::Backfill { at, .. } => {
                fields.insert("tick".to_owned(), tick_value(settings, *at));
            }
            Cause::Event(event) => {
                let recorded = self.recorded(event).await?;
                scope.by = self.beginning_of(&recorded).await?;
                if let Some(payload) = payload_of(&recorded)? {
                    fields.insert("payload".to_owned(), payload);
                }
                fields.insert("event".to_owned(), self.event_value(&recorded).await?);
            }
            Cause::Manual { .. } => {}
        }
        Ok(scope)
    }

    /// Whether an event meets a condition over `event`, or over `payload` for what was posted from outside; and if that
    /// cannot be said, why.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn meets(&self, event: &EventRef, when: Option<&Expression>) -> Result<Result<bool, String>, Error> {
        let Some(when) = when else { return Ok(Ok(true)) };
        let recorded = self.recorded(event).await?;
        let payload = payload_of(&recorded)?.unwrap_or_default();
        let value = self.event_value(&recorded).await?;
        let roots = [("event", Root::Value(&value)), ("payload", Root::Value(&payload))];
        Ok(when.is_met(&roots).map_err(|error| error.to_string()))
    }

    async fn recorded(&self, event: &EventRef) -> Result<Arc<RecordedEvent>, Error> {
        let mut found = self.executor.journal().read_stream(event.stream, event.revision, 1).await?;
        match found.pop() {
            Some(recorded) if recorded.id == event.id => Ok(recorded),
            _ => Err(Error::Unavailable(format!("event {} is not in stream {}", event.id, event.stream).into())),
        }
    }

    /// An event as expressions see it. Those of runs and tasks say to which run of which workflow they belong.
    async fn event_value(&self, recorded: &RecordedEvent) -> Result<Value, Error> {
        let (run, step) = self.run_of(recorded).await?;
        let workflow = match run {
            Some(run) => {
                let run = self.executor.load_cached::<Run>(run.into()).await?.state;
                run.definition().map(|definition| definition.key.as_str().to_owned())
            }
            None => None,
        };
        Ok(json!({
            "id": recorded.id.to_string(),
            "type": recorded.event_type,
            "category": recorded.stream.category.name(),
            "stream": recorded.stream.id.to_string(),
            "position": recorded.position.as_u64(),
            "recorded_at": Schedule::name_of(recorded.recorded_at),
            "actor": recorded.metadata.actor.to_string(),
            "run": run.map(|run| run.to_string()),
            "workflow": workflow,
            "step": step,
            "data": data_of(decoded(recorded)?).map_err(|error| damaged(recorded, &error))?,
        }))
    }

    async fn run_of(&self, recorded: &RecordedEvent) -> Result<(Option<RunId>, Option<String>), Error> {
        match recorded.stream.category {
            Category::Run => Ok((Some(RunId::from_uuid(recorded.stream.id)), None)),
            Category::Task => {
                let task = self.executor.load_cached::<Task>(recorded.stream).await?.state;
                let Some(order) = task.order() else { return Ok((None, None)) };
                Ok((order.run, order.step.as_ref().map(|step| step.as_str().to_owned())))
            }
            _ => Ok((None, None)),
        }
    }

    /// The person, program or schedule that an event goes back to.
    async fn beginning_of(&self, recorded: &RecordedEvent) -> Result<Actor, Error> {
        if recorded.metadata.actor.kind != ActorKind::System {
            return Ok(recorded.metadata.actor.clone());
        }
        let (run, _) = self.run_of(recorded).await?;
        let Some(run) = run else { return Ok(Actor::system("triggers")) };
        let run = self.executor.load_cached::<Run>(run.into()).await?.state;
        Ok(run.by().cloned().unwrap_or_else(|| Actor::system("triggers")))
    }
}

fn tick_value(settings: &TriggerSettings, at: Timestamp) -> Value {
    let Some(schedule) = settings.schedule() else { return Value::Null };
    let (local, date) = schedule.local(at).unzip();
    json!({ "at": Schedule::name_of(at), "local": local, "date": date, "zone": schedule.zone.as_str() })
}

fn decoded(recorded: &RecordedEvent) -> Result<&Event, Error> {
    recorded.event().map_err(|error| damaged(recorded, &error))
}

fn damaged(recorded: &RecordedEvent, error: &dyn std::fmt::Display) -> Error {
    ReadError::Damaged { position: recorded.position, what: error.to_string() }.into()
}

fn payload_of(recorded: &RecordedEvent) -> Result<Option<Value>, Error> {
    Ok(match decoded(recorded)? {
        Event::External(ExternalEvent::Posted(posted)) => Some((*posted.payload).clone()),
        _ => None,
    })
}

/// The fields of an event. Serde writes `{"Variant": {fields}}`, or just the name where there are no fields; the variant
/// is known from the event's type.
fn data_of(event: &Event) -> Result<Value, serde_json::Error> {
    let value = match event {
        Event::Workflow(event) => serde_json::to_value(event),
        Event::Run(event) => serde_json::to_value(event),
        Event::Task(event) => serde_json::to_value(event),
        Event::Agent(event) => serde_json::to_value(event),
        Event::Template(event) => serde_json::to_value(event),
        Event::Limit(event) => serde_json::to_value(event),
        Event::Slots(event) => serde_json::to_value(event),
        Event::Hold(event) => serde_json::to_value(event),
        Event::Trigger(event) => serde_json::to_value(event),
        Event::External(event) => serde_json::to_value(event),
        Event::Budget(event) => serde_json::to_value(event),
        Event::Purse(event) => serde_json::to_value(event),
        Event::Seal(event) => serde_json::to_value(event),
        Event::Denial(event) => serde_json::to_value(event),
        Event::Search(event) => serde_json::to_value(event),
        Event::Subject(event) => serde_json::to_value(event),
        Event::Action(event) => serde_json::to_value(event),
        Event::Webhook(event) => serde_json::to_value(event),
        Event::Delivery(event) => serde_json::to_value(event),
    }?;
    Ok(match value {
        Value::Object(fields) => fields.into_iter().next().map_or_else(|| json!({}), |(_, fields)| fields),
        _ => json!({}),
    })
}
