use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Window;
use crate::{BudgetEvent, Category, Key, StreamId};

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Billionths of a US dollar.
    Money,
    /// Tokens in and out.
    Tokens,
}

impl Unit {
    /// An amount in words: dollars with as many places as it needs, or a number of tokens.
    #[must_use]
    pub fn show(self, amount: u64) -> String {
        match self {
            Self::Tokens => format!("{amount} tokens"),
            Self::Money => {
                let (whole, rest) = (amount / 1_000_000_000, amount % 1_000_000_000);
                let places = format!("{rest:09}");
                let places = places.trim_end_matches('0');
                format!("${whole}.{places:0<2}")
            }
        }
    }
}

/// Whose attempts a budget counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of", rename_all = "snake_case")]
pub enum BudgetScope {
    /// All of them.
    Organisation,
    /// Those of the runs of a department's workflows.
    Department(String),
    /// Those of the runs that a person has started.
    Person(String),
    /// Those of the runs that a program with an API key has started.
    ApiKey(String),
    /// Those of a workflow's runs, and of what these start.
    Workflow(Key),
    /// Those of each run of a workflow by itself; the runs that it starts get what remains.
    EachRun(Key),
    /// Those of an agent.
    Agent(Key),
    /// Those on a platform.
    Platform(Key),
}

impl BudgetScope {
    /// The stable snake_case name of the kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Organisation => "organisation",
            Self::Department(_) => "department",
            Self::Person(_) => "person",
            Self::ApiKey(_) => "api_key",
            Self::Workflow(_) => "workflow",
            Self::EachRun(_) => "each_run",
            Self::Agent(_) => "agent",
            Self::Platform(_) => "platform",
        }
    }

    /// Of whom; `None` for the whole organisation.
    #[must_use]
    pub fn of(&self) -> Option<&str> {
        match self {
            Self::Organisation => None,
            Self::Department(name) | Self::Person(name) | Self::ApiKey(name) => Some(name),
            Self::Workflow(key) | Self::EachRun(key) | Self::Agent(key) | Self::Platform(key) => Some(key.as_str()),
        }
    }
}

impl fmt::Display for BudgetScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of() {
            None => f.write_str(self.kind()),
            Some(of) => write!(f, "{} `{of}`", self.kind()),
        }
    }
}

/// Everything that makes a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetSettings {
    /// Its key.
    pub key: Key,
    /// What it is for.
    pub description: String,
    /// Whose attempts it counts.
    pub scope: BudgetScope,
    /// What it counts.
    pub unit: Unit,
    /// How much there may be within a window, in the unit.
    pub limit: u64,
    /// Within which time.
    pub window: Window,
    /// From how much on it is told that it comes to its end, in thousandths of the limit; `None` tells nothing.
    pub warn_milli: Option<u16>,
    /// What a call without a known price counts as; `None` lets no such call through. Only for money.
    pub unpriced: Option<u64>,
}

impl BudgetSettings {
    /// From how much on it is told that it comes to its end.
    #[must_use]
    pub fn warn_at(&self) -> Option<u64> {
        let milli = u128::from(self.warn_milli?);
        u64::try_from(u128::from(self.limit) * milli / 1000).ok()
    }
}

/// All budgets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Budgets {
    settings: BTreeMap<Key, Arc<BudgetSettings>>,
}

impl Budgets {
    /// The one stream that they stand in.
    #[must_use]
    pub const fn stream() -> StreamId {
        // Any id does, as long as it stays.
        StreamId { category: Category::Budget, id: Uuid::from_u128(0x0b00_7000_b0d6_8000_8e75_0000_0000_0001) }
    }

    /// Each of them, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<BudgetSettings>> {
        self.settings.values()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Arc<BudgetSettings>> {
        self.settings.get(key)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty()
    }

    pub(super) fn fold(&mut self, event: BudgetEvent) {
        match event {
            BudgetEvent::Set { settings } => {
                self.settings.insert(settings.key.clone(), Arc::from(settings));
            }
            BudgetEvent::Removed { key, .. } => {
                self.settings.remove(&key);
            }
        }
    }
}
