use serde::{Deserialize, Serialize};

use crate::budget::Unit;
use crate::{Account, ErrorKind, Key, NanoUsd, PurseId, Reply, Timestamp, Usage};

/// Why an attempt goes to its platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What made it this one.
    pub why: Why,
    /// Who would have come before it and was passed over.
    pub passed_over: Vec<PassedOver>,
}

impl Choice {
    /// The first of those who may be asked, and nobody was passed over for it.
    #[must_use]
    pub const fn first() -> Self {
        Self { why: Why::First, passed_over: Vec::new() }
    }
}

/// What an attempt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The answer.
    #[default]
    Answer,
    /// The same answer in the form that was asked for.
    Form,
    /// A better answer, after the first was held against the checklist.
    Revision,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::Answer, Self::Form, Self::Revision];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Form => "form",
            Self::Revision => "revision",
        }
    }
}

/// What made a platform the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Why {
    /// It is the first of those who can be asked.
    First,
    /// It is asked once more.
    Again,
    /// It stands in for the one that failed before.
    Fallback {
        /// The platform that failed.
        from: Key,
        /// How.
        after: ErrorKind,
    },
}

/// What is set aside in a purse for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// Where.
    pub purse: PurseId,
    /// What the purse counts.
    pub unit: Unit,
    /// How much.
    pub amount: u64,
}

/// What was masked in a request before it left for its platform: how much of what, and never what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masked {
    /// The name in the placeholders, such as `EMAIL`.
    pub kind: String,
    /// How often.
    pub count: u32,
}

/// An answer that was given before to the same request and serves again, so that the platform is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// When it was asked for.
    pub at: Timestamp,
    /// What it had used then, which is saved now.
    pub usage: Usage,
    /// What it had cost then; `None` means unknown.
    pub cost: Option<NanoUsd>,
}

/// A platform that was not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Which one.
    pub platform: Key,
    /// Which model of it; `None` is the platform's default.
    pub model: Option<String>,
    /// Why, for a person.
    pub reason: String,
}

/// What a platform had done for an attempt that failed: it has to be paid for all the same.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Consumed {
    /// The tokens that it reported before it broke off; it may charge more.
    pub usage: Usage,
    /// What that costs; `None` means unknown, which is not free.
    pub cost: Option<NanoUsd>,
    /// How that cost came about; `None` of what was recorded before that was kept.
    #[serde(default)]
    pub account: Option<Box<Account>>,
}

impl From<&Reply> for Consumed {
    /// What an answer took that cannot be kept.
    fn from(reply: &Reply) -> Self {
        Self { usage: reply.usage, cost: reply.cost, account: reply.account.clone() }
    }
}
