use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of cause acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A human being.
    Person,
    /// A program that holds a key of ours.
    ApiKey,
    /// A schedule whose time came.
    Schedule,
    /// An agent at work.
    Agent,
    /// HishamOS itself.
    System,
}

impl ActorKind {
    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::ApiKey => "api_key",
            Self::Schedule => "schedule",
            Self::Agent => "agent",
            Self::System => "system",
        }
    }
}

/// Who caused an event. Its text form is `kind:id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// What kind of cause.
    pub kind: ActorKind,
    /// Which one, by a name that stays the same.
    pub id: String,
}

impl Actor {
    /// A part of HishamOS itself, such as `engine`.
    #[must_use]
    pub fn system(part: &str) -> Self {
        Self { kind: ActorKind::System, id: part.to_owned() }
    }

    /// Whether people may be called so: 1 to 64 of ASCII letters, digits, `.`, `_`, `-` and `@`.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
        (1..=64).contains(&text.len()) && text.chars().all(fits)
    }

    /// A human being.
    #[must_use]
    pub fn person(id: impl Into<String>) -> Self {
        Self { kind: ActorKind::Person, id: id.into() }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.id)
    }
}
