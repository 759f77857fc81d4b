//! What is registered, as catalogue files.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Actor, Agent, AgentEvent, Category, Event, Key, StreamId, Template, Trigger, TriggerEvent, Workflow};
use journal::{Filter, Metadata, Position, ReadError};

use super::layer_of;
use crate::catalog::{Kind, TriggerEntry, agent_to_yaml, template_to_yaml, trigger_to_yaml, workflow_to_yaml};
use crate::{Commands, Error};

/// How many events are read at a time.
const PAGE: usize = 1000;

/// A registered entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// What it is.
    pub kind: Kind,
    /// Its key.
    pub key: Key,
    /// Whose it is; empty when nobody said.
    pub department: String,
    /// Its newest version as a catalogue file.
    pub yaml: String,
    /// Who made that version.
    pub by: Actor,
    /// Whether that was done by hand and not by loading a catalogue.
    pub edited: bool,
}

impl Commands {
    /// Everything that is registered, by kind and key. Reads the journal from its beginning.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn registered(&self) -> Result<Vec<Registered>, Error> {
        let mut found = Vec::new();
        for (stream, made) in self.makers().await? {
            found.extend(self.written(stream, made).await?);
        }
        found.sort_by(|one, other| (one.kind, &one.key).cmp(&(other.kind, &other.key)));
        Ok(found)
    }

    /// The envelope of the newest version of each entry.
    async fn makers(&self) -> Result<BTreeMap<StreamId, Arc<Metadata>>, Error> {
        let journal = self.executor.journal();
        let filter = Filter::categories([Category::Agent, Category::Template, Category::Workflow, Category::Trigger]);
        let (mut makers, mut after) = (BTreeMap::new(), Position::START);
        loop {
            let page = journal.read_all(after, &filter, PAGE).await?;
            for recorded in &page.events {
                let event = recorded
                    .event()
                    .map_err(|error| ReadError::Damaged { position: recorded.position, what: error.to_string() })?;
                let makes = match event {
                    Event::Agent(event) => !matches!(event, AgentEvent::Enabled | AgentEvent::Disabled { .. }),
                    Event::Trigger(event) => matches!(event, TriggerEvent::Set { .. } | TriggerEvent::Removed { .. }),
                    _ => true,
                };
                if makes {
                    makers.insert(recorded.stream, recorded.metadata.clone());
                }
            }
            if page.position == after {
                return Ok(makers);
            }
            after = page.position;
        }
    }

    async fn written(&self, stream: StreamId, made: Arc<Metadata>) -> Result<Option<Registered>, Error> {
        let unwritable = |error: serde_saphyr::ser::Error| Error::Unavailable(Box::new(error));
        let (kind, key, department, yaml) = match stream.category {
            Category::Agent => {
                let state = self.executor.load::<Agent>(stream).await?.state;
                let Some(profile) = state.profile() else { return Ok(None) };
                let yaml = agent_to_yaml(profile).map_err(unwritable)?;
                (Kind::Agent, profile.key.clone(), profile.department.clone(), yaml)
            }
            Category::Template => {
                let state = self.executor.load::<Template>(stream).await?.state;
                let Some(body) = state.body() else { return Ok(None) };
                let yaml = template_to_yaml(body).map_err(unwritable)?;
                (Kind::Template, body.key.clone(), body.department.clone(), yaml)
            }
            Category::Workflow => {
                let state = self.executor.load::<Workflow>(stream).await?.state;
                let Some(definition) = state.version(state.newest()) else { return Ok(None) };
                let yaml = workflow_to_yaml(definition).map_err(unwritable)?;
                (Kind::Workflow, definition.key.clone(), definition.department.clone(), yaml)
            }
            Category::Trigger => {
                let state = self.executor.load::<Trigger>(stream).await?.state;
                let Some(settings) = state.settings() else { return Ok(None) };
                let entry = TriggerEntry { settings: (**settings).clone(), paused: state.pause().is_some() };
                let yaml = trigger_to_yaml(&entry).map_err(unwritable)?;
                (Kind::Trigger, settings.key.clone(), String::new(), yaml)
            }
            _ => return Ok(None),
        };
        let edited = layer_of(&made).is_none();
        Ok(Some(Registered { kind, key, department, yaml, by: made.actor.clone(), edited }))
    }
}
