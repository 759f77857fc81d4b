use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{InvalidKey, Key};

/// Who does a task. Its text form is an agent's key, or `auto`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Assignee {
    /// The best of the agents, chosen when the task is made.
    Auto,
    /// This agent.
    Agent(Key),
}

impl Assignee {
    /// What stands where nobody is named; no agent can have this key.
    pub const AUTO: &'static str = "auto";

    /// The agent that is named.
    #[must_use]
    pub fn named(&self) -> Option<&Key> {
        match self {
            Self::Auto => None,
            Self::Agent(key) => Some(key),
        }
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.named().map_or(Self::AUTO, Key::as_str)
    }
}

impl From<Key> for Assignee {
    fn from(key: Key) -> Self {
        if key.as_str() == Self::AUTO { Self::Auto } else { Self::Agent(key) }
    }
}

impl FromStr for Assignee {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Key>().map(Self::from)
    }
}

impl TryFrom<String> for Assignee {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Assignee> for String {
    fn from(assignee: Assignee) -> Self {
        assignee.as_str().to_owned()
    }
}

impl fmt::Display for Assignee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
