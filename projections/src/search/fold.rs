//! Folds a batch of events into documents.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{AgentEvent, Bilingual, Event, RunEvent, RunId, TaskEvent, TemplateEvent, WorkflowEvent};
use journal::RecordedEvent;
use serde_json::Value;
use uuid::Uuid;

use crate::projector::{ApplyError, storable};

/// How many bytes of a text are kept; the words after them are not found.
const LONGEST: usize = 100_000;

/// What can be found.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) label: String,
    pub(super) run: Option<Uuid>,
    pub(super) step: Option<String>,
    pub(super) at: i64,
    pub(super) body: String,
    /// Whether an earlier one may be there. What is in the catalogue is revised, and an answer may be bettered by a further
    /// attempt; whatever else is found is written once, and so is the answer of a first attempt.
    pub(super) replaces: bool,
}

/// The newest documents of a batch, by kind and id.
pub(super) type Documents = BTreeMap<(&'static str, Uuid), Document>;

/// Folds events in the order of the journal.
pub(super) fn fold(events: &[Arc<RecordedEvent>]) -> Result<Documents, ApplyError> {
    let mut documents = Documents::new();
    for recorded in events {
        let event = recorded.event().map_err(|error| ApplyError::Indigestible(error.to_string()))?;
        let Some((kind, label, body)) = texts(event) else { continue };
        let (run, step) = match event {
            Event::Task(TaskEvent::Created { run, step, .. }) => {
                (run.map(RunId::as_uuid), step.as_ref().map(|step| step.as_str().to_owned()))
            }
            _ => (None, None),
        };
        let replaces = match event {
            Event::Workflow(_) | Event::Agent(_) | Event::Template(_) => true,
            Event::Task(TaskEvent::AttemptSucceeded { attempt, .. }) => *attempt > 1,
            _ => false,
        };
        let key = (kind, recorded.stream.id);
        // What is replaced within the batch has never been written.
        let replaces = replaces && documents.get(&key).is_none_or(|earlier| earlier.replaces);
        let at = recorded.recorded_at.as_micros();
        documents.insert(key, Document { label, run, step, at, body: body.finish(), replaces });
    }
    Ok(documents)
}

/// The kind, label and body of what an event writes; nothing when it writes nothing that is searched.
fn texts(event: &Event) -> Option<(&'static str, String, Body)> {
    let mut body = Body::default();
    Some(match event {
        Event::Workflow(WorkflowEvent::Drafted { definition, .. }) => {
            body.word(definition.key.as_str()).both(&definition.name).both(&definition.description);
            body.word(&definition.department).words(&definition.tags);
            for step in &definition.steps {
                body.word(step.name.as_str()).both(&step.title);
            }
            ("workflow", label(&definition.name, definition.key.as_str()), body)
        }
        Event::Agent(AgentEvent::Registered { profile } | AgentEvent::Revised { profile, .. }) => {
            body.word(profile.key.as_str()).both(&profile.name).both(&profile.description);
            body.word(&profile.department).words(&profile.tags).word(&profile.system_prompt);
            ("agent", label(&profile.name, profile.key.as_str()), body)
        }
        Event::Template(TemplateEvent::Registered { body: of } | TemplateEvent::Revised { body: of, .. }) => {
            body.word(of.key.as_str()).both(&of.title).both(&of.description);
            body.word(&of.department).words(&of.tags).word(&of.instructions);
            ("template", label(&of.title, of.key.as_str()), body)
        }
        Event::Run(RunEvent::Started(start)) => {
            body.both(&start.definition.name).json(&start.input);
            ("run", storable(start.definition.key.as_str()).into_owned(), body)
        }
        Event::Run(RunEvent::Completed { output, .. }) => {
            body.json(output);
            ("run_output", String::new(), body)
        }
        Event::Task(TaskEvent::Created { step, parameters, .. }) => {
            body.json(parameters);
            ("task", step.as_ref().map(|step| step.as_str().to_owned()).unwrap_or_default(), body)
        }
        Event::Task(TaskEvent::AttemptSucceeded { reply, .. }) => {
            body.word(&reply.text);
            ("task_output", String::new(), body)
        }
        _ => return None,
    })
}

fn label(name: &Bilingual, key: &str) -> String {
    let name = if name.en.is_empty() { key } else { &name.en };
    storable(name).into_owned()
}

/// Text that grows up to its limit.
#[derive(Debug, Default)]
struct Body(String);

impl Body {
    fn word(&mut self, text: &str) -> &mut Self {
        if self.0.len() < LONGEST && !text.is_empty() {
            if !self.0.is_empty() {
                self.0.push('\n');
            }
            self.0.push_str(&storable(text));
        }
        self
    }

    fn words(&mut self, texts: &[String]) -> &mut Self {
        texts.iter().for_each(|text| {
            self.word(text);
        });
        self
    }

    fn both(&mut self, text: &Bilingual) -> &mut Self {
        self.word(&text.en).word(text.ar.as_deref().unwrap_or_default())
    }

    /// All strings within, in order.
    fn json(&mut self, value: &Value) -> &mut Self {
        match value {
            Value::String(text) => {
                self.word(text);
            }
            Value::Array(list) => list.iter().for_each(|value| {
                self.json(value);
            }),
            Value::Object(map) => map.values().for_each(|value| {
                self.json(value);
            }),
            Value::Number(number) => {
                self.word(&number.to_string());
            }
            Value::Null | Value::Bool(_) => {}
        }
        self
    }

    fn finish(mut self) -> String {
        self.0.truncate(self.0.floor_char_boundary(LONGEST));
        self.0
    }
}
