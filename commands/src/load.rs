use domain::Key;
use journal::Position;
use serde::Serialize;
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::{Commands, Error, Outcome, Request};

/// What loading did to one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It has a new version.
    Revised,
    /// It was there already.
    Unchanged,
}

/// One entry of a loaded catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadedEntry {
    /// `agent`, `template` or `workflow`.
    pub kind: &'static str,
    /// Its key.
    pub key: Key,
    /// What loading did.
    pub change: Change,
}

/// What loading a catalogue did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadReport {
    /// Every entry, agents first, workflows last.
    pub entries: Vec<LoadedEntry>,
    /// The journal's position that contains all of it.
    pub position: Position,
}

impl Commands {
    /// Registers everything in a catalogue and activates its workflows; what is there already is left alone.
    /// Agents and templates come first, because workflows are checked against them.
    ///
    /// # Errors
    /// Whatever the first refused entry says; what was loaded before it stays.
    pub async fn load_catalog(&self, request: &Request, catalog: Catalog) -> Result<LoadReport, Error> {
        // All of it belongs together, but each entry is a command of its own.
        let correlation = request.correlation.or(request.command.map(|id| id.as_uuid())).unwrap_or_else(Uuid::now_v7);
        let part = || Request { command: None, correlation: Some(correlation), ..request.clone() };
        let mut entries = Vec::new();
        let mut position = Position::START;
        let mut note = |kind, key: Key, outcome: &Outcome| {
            let change = match outcome.revision {
                _ if !outcome.changed => Change::Unchanged,
                Some(0) => Change::Added,
                _ => Change::Revised,
            };
            entries.push(LoadedEntry { kind, key, change });
            position = position.max(outcome.position);
        };
        for profile in catalog.agents {
            let key = profile.key.clone();
            note("agent", key, &self.register_agent(part(), profile).await?);
        }
        for body in catalog.templates {
            let key = body.key.clone();
            note("template", key, &self.register_template(part(), body).await?);
        }
        for definition in catalog.workflows {
            let key = definition.key.clone();
            // Before the draft, so that a refusal leaves none behind.
            self.check_fits(&definition).await?;
            let (version, drafted) = self.draft_workflow(part(), definition).await?;
            let (_, activated) = self.activate_workflow(part(), &key, Some(version)).await?;
            let outcome = Outcome {
                revision: drafted.revision.min(activated.revision),
                changed: drafted.changed || activated.changed,
                ..activated
            };
            note("workflow", key, &outcome);
        }
        Ok(LoadReport { entries, position })
    }
}
