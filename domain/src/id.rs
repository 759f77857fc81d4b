use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::{Key, StepName};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// A workflow, by its key.
    WorkflowId,
    /// A run; made by the caller as UUID version 7, so that ids sort by time.
    RunId,
    /// A task; derived from its run and step, so that a step can never create two.
    TaskId,
    /// An agent, by its key.
    AgentId,
    /// A template, by its key.
    TemplateId,
    /// An event.
    EventId,
    /// A command; a repeated id gives the first answer.
    CommandId,
    /// One process's life; a restarted process is a new node.
    NodeId,
}

macro_rules! keyed {
    ($($name:ident => $kind:literal),*) => {$(
        impl $name {
            /// The id that belongs to `key`, the same on every machine: the first 16 bytes of BLAKE3 over the kind
            /// and the key, marked as UUID version 8. Two entries with one key are therefore one stream.
            #[must_use]
            pub fn from_key(key: &Key) -> Self {
                let mut hasher = blake3::Hasher::new_derive_key(concat!("hishamos 2026 id of ", $kind));
                hasher.update(key.as_str().as_bytes());
                let mut bytes = [0; 16];
                hasher.finalize_xof().fill(&mut bytes);
                Self(Builder::from_custom_bytes(bytes).into_uuid())
            }
        }
    )*};
}
keyed!(WorkflowId => "workflow", AgentId => "agent", TemplateId => "template");

impl TaskId {
    /// The task of `step` in `run`. It starts with the run's own time bits, so that tasks lie beside their run in
    /// an index, and goes on with BLAKE3 over run and step.
    #[must_use]
    pub fn of_step(run: RunId, step: &StepName) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("hishamos 2026 id of a step's task");
        hasher.update(run.as_uuid().as_bytes());
        hasher.update(step.as_str().as_bytes());
        let mut bytes = [0; 16];
        let (time, rest) = bytes.split_at_mut(6);
        hasher.finalize_xof().fill(rest);
        for (to, from) in time.iter_mut().zip(run.as_uuid().as_bytes()) {
            *to = *from;
        }
        Self(Builder::from_custom_bytes(bytes).into_uuid())
    }
}
