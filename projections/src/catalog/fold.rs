//! Folds a batch of events into the changes of rows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::{AgentEvent, Definition, Event, TemplateEvent, WorkflowEvent};
use journal::RecordedEvent;
use serde::Serialize;
use uuid::Uuid;

use crate::projector::{ApplyError, number, storable};

/// What a batch does.
#[derive(Debug, Default)]
pub(super) struct Fold<'a> {
    pub(super) workflows: Entries<'a, Definition>,
    pub(super) activations: BTreeMap<Uuid, Activation>,
    /// Every activated version, and when.
    pub(super) activated: BTreeMap<(Uuid, i32), i64>,
    pub(super) agents: Entries<'a, Profile>,
    pub(super) switches: BTreeMap<Uuid, Switch<'a>>,
    pub(super) templates: Entries<'a, TemplateBody>,
}

/// New versions of one kind of entry.
#[derive(Debug)]
pub(super) struct Entries<'a, B> {
    /// The newest version of each entry that has a new one.
    pub(super) newest: BTreeMap<Uuid, Newest<'a, B>>,
    /// All new versions.
    pub(super) versions: Vec<Version>,
}

impl<B> Default for Entries<'_, B> {
    fn default() -> Self {
        Self { newest: BTreeMap::new(), versions: Vec::new() }
    }
}

/// The newest version of an entry.
#[derive(Debug)]
pub(super) struct Newest<'a, B> {
    pub(super) body: &'a B,
    pub(super) document: String,
    pub(super) version: i32,
    /// When the first of the batch's versions came; it counts only when the entry is new.
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    pub(super) position: i64,
}

/// A new version.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) id: Uuid,
    pub(super) version: i32,
    pub(super) document: String,
    pub(super) by: String,
    pub(super) at: i64,
}

/// A workflow's version began to take new runs.
#[derive(Debug)]
pub(super) struct Activation {
    pub(super) version: i32,
    pub(super) at: i64,
    pub(super) position: i64,
}

/// An agent was enabled or disabled.
#[derive(Debug)]
pub(super) struct Switch<'a> {
    pub(super) enabled: bool,
    pub(super) reason: Option<Cow<'a, str>>,
    pub(super) at: i64,
    pub(super) position: i64,
}

/// Folds events in the order of the journal.
pub(super) fn fold(events: &[Arc<RecordedEvent>]) -> Result<Fold<'_>, ApplyError> {
    let mut fold = Fold::default();
    for recorded in events {
        let id = recorded.stream.id;
        let at = recorded.recorded_at.as_micros();
        let position = number(recorded.position);
        match recorded.event().map_err(indigestible)? {
            Event::Workflow(WorkflowEvent::Drafted { version, definition }) => {
                fold.workflows.add(recorded, *version, definition)?;
            }
            Event::Workflow(WorkflowEvent::Activated { version }) => {
                let version = counter(*version)?;
                fold.activations.insert(id, Activation { version, at, position });
                fold.activated.insert((id, version), at);
            }
            Event::Agent(AgentEvent::Registered { profile }) => fold.agents.add(recorded, 1, profile)?,
            Event::Agent(AgentEvent::Revised { version, profile }) => fold.agents.add(recorded, *version, profile)?,
            Event::Agent(AgentEvent::Enabled) => {
                fold.switches.insert(id, Switch { enabled: true, reason: None, at, position });
            }
            Event::Agent(AgentEvent::Disabled { reason }) => {
                let reason = Some(storable(reason));
                fold.switches.insert(id, Switch { enabled: false, reason, at, position });
            }
            Event::Template(TemplateEvent::Registered { body }) => fold.templates.add(recorded, 1, body)?,
            Event::Template(TemplateEvent::Revised { version, body }) => {
                fold.templates.add(recorded, *version, body)?;
            }
            _ => {}
        }
    }
    Ok(fold)
}

impl<'a, B: Serialize> Entries<'a, B> {
    fn add(&mut self, recorded: &'a RecordedEvent, version: u32, body: &'a B) -> Result<(), ApplyError> {
        let id = recorded.stream.id;
        let at = recorded.recorded_at.as_micros();
        let version = counter(version)?;
        let document = serde_json::to_string(body).map_err(indigestible)?;
        self.versions.push(Version {
            id,
            version,
            document: document.clone(),
            by: storable(&recorded.metadata.actor.to_string()).into_owned(),
            at,
        });
        let created_at = self.newest.get(&id).map_or(at, |known| known.created_at);
        let position = number(recorded.position);
        self.newest.insert(id, Newest { body, document, version, created_at, updated_at: at, position });
        Ok(())
    }
}

fn counter(number: u32) -> Result<i32, ApplyError> {
    i32::try_from(number).map_err(|_| ApplyError::Indigestible(format!("{number} is too large for a version")))
}

fn indigestible(error: impl std::fmt::Display) -> ApplyError {
    ApplyError::Indigestible(error.to_string())
}
