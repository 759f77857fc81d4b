//! What a webhook is sent: a small message that names what happened. Who wants to know more asks the API, where access
//! is decided and recorded. The same event always gives the same message, so that a repetition is one.

use commands::Commands;
use domain::delivery::Subject;
use domain::trigger::Schedule;
use domain::webhook::Topic;
use domain::{
    Actor, Category, Event, Purse, PurseEvent, Run, RunEvent, RunId, StreamId, Task, Timestamp, WebhookEvent,
};
use journal::RecordedEvent;
use serde_json::{Map, Value, json};

/// The message about an event.
pub(crate) async fn of(commands: &Commands, subject: &Subject) -> Result<Value, commands::Error> {
    let source = &subject.source;
    let mut found = commands.executor().journal().read_stream(source.stream, source.revision, 1).await?;
    match found.pop() {
        Some(recorded) if recorded.id == source.event => {
            let data = data_of(commands, subject.topic, &recorded).await?;
            Ok(subject.topic.message(source.at, data))
        }
        _ => Err(missing(source.stream, "it is not in its stream")),
    }
}

fn missing(stream: StreamId, what: &str) -> commands::Error {
    commands::Error::Unavailable(format!("an event of {stream} cannot be told: {what}").into())
}

async fn data_of(commands: &Commands, topic: Topic, recorded: &RecordedEvent) -> Result<Value, commands::Error> {
    let event = recorded.event().map_err(|error| missing(recorded.stream, &error.to_string()))?;
    let moment = |at: Option<Timestamp>| at.map(Schedule::name_of);
    let more = match event {
        Event::Run(RunEvent::Started(start)) => json!({
            "started_by": start.by.to_string(),
            "trigger_id": start.trigger.as_ref().map(|firing| firing.trigger.to_string()),
        }),
        Event::Run(RunEvent::Completed { simulated, .. }) => json!({ "simulated": simulated }),
        Event::Run(RunEvent::Failed { step, error }) => json!({ "step": step, "reason": error.kind.name() }),
        Event::Run(RunEvent::Cancelled { .. }) => json!({}),
        Event::Run(RunEvent::ApprovalRequested { step, expires_at, .. }) => {
            json!({ "step": step, "expires_at": moment(*expires_at) })
        }
        Event::Run(RunEvent::ApprovalDecided { step, by, approved, .. }) => {
            json!({ "step": step, "approved": approved, "decided_by": by.to_string() })
        }
        Event::Run(RunEvent::ApprovalExpired { step }) => json!({ "step": step }),
        Event::Purse(PurseEvent::Warned { used, limit }) => {
            let purse = commands.executor().load_cached::<Purse>(recorded.stream).await?.state;
            // Numbers of this size lose digits in other languages, so they are texts.
            let (used, limit) = (used.to_string(), limit.to_string());
            return Ok(json!({ "budget": purse.budget(), "used": used, "limit": limit }));
        }
        Event::Task(_) => {
            let task = commands.executor().load_cached::<Task>(recorded.stream).await?.state;
            let order = task.order().ok_or_else(|| missing(recorded.stream, "its task is not there"))?;
            let more = json!({ "task_id": recorded.stream.id.to_string(), "step": order.step });
            return match order.run {
                Some(run) => of_run(commands, run, more).await,
                None => Ok(more),
            };
        }
        Event::Webhook(WebhookEvent::Tested { by, .. }) => return Ok(tested(recorded.stream, by)),
        _ => return Err(missing(recorded.stream, &format!("it is no source of `{topic}`"))),
    };
    match recorded.stream.category {
        Category::Run => of_run(commands, RunId::from_uuid(recorded.stream.id), more).await,
        _ => Err(missing(recorded.stream, "it belongs to no run")),
    }
}

fn tested(stream: StreamId, by: &Actor) -> Value {
    json!({ "webhook_id": stream.id.to_string(), "requested_by": by.to_string() })
}

async fn of_run(commands: &Commands, run: RunId, more: Value) -> Result<Value, commands::Error> {
    let state = commands.executor().load_cached::<Run>(run.into()).await?.state;
    let workflow = state.definition().map(|definition| definition.key.as_str().to_owned());
    let mut data = Map::new();
    data.insert("run_id".to_owned(), run.to_string().into());
    data.insert("workflow".to_owned(), workflow.into());
    data.insert("workflow_version".to_owned(), state.version().into());
    if let Value::Object(more) = more {
        data.extend(more);
    }
    Ok(Value::Object(data))
}
