//! Frozen events of the budgets.

use domain::budget::{BudgetScope, BudgetSettings, Unit, Window};
use domain::{BudgetEvent, Event};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::checked;
use super::{Encoded, Thaw, write};

/// What a budget counts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum UnitV1 {
    Money,
    Tokens,
}

/// Whose attempts a budget counts.
#[derive(Debug, Serialize, Deserialize, Schema)]
enum BudgetScopeV1<'a> {
    Organisation,
    Department(&'a str),
    Person(&'a str),
    ApiKey(&'a str),
    Workflow(&'a str),
    EachRun(&'a str),
    Agent(&'a str),
    Platform(&'a str),
}

/// Within which time a budget holds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
enum WindowV1 {
    Hour,
    Day,
    Week,
    Month,
    Ever,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct SetV1<'a> {
    key: &'a str,
    description: &'a str,
    #[serde(borrow)]
    scope: BudgetScopeV1<'a>,
    unit: UnitV1,
    limit: u64,
    window: WindowV1,
    warn_milli: Option<u16>,
    unpriced: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RemovedV1<'a> {
    key: &'a str,
    reason: &'a str,
}

pub(super) fn freeze(event: &BudgetEvent) -> Result<Encoded, String> {
    match event {
        BudgetEvent::Set { settings } => {
            let BudgetSettings { key, description, scope, unit, limit, window, warn_milli, unpriced } = &**settings;
            write(&SetV1 {
                key: key.as_str(),
                description,
                scope: BudgetScopeV1::freeze(scope),
                unit: UnitV1::freeze(*unit),
                limit: *limit,
                window: WindowV1::freeze(*window),
                warn_milli: *warn_milli,
                unpriced: *unpriced,
            })
        }
        BudgetEvent::Removed { key, reason } => write(&RemovedV1 { key: key.as_str(), reason }),
    }
}

impl UnitV1 {
    pub(super) const fn freeze(unit: Unit) -> Self {
        match unit {
            Unit::Money => Self::Money,
            Unit::Tokens => Self::Tokens,
        }
    }

    pub(super) const fn thaw(self) -> Unit {
        match self {
            Self::Money => Unit::Money,
            Self::Tokens => Unit::Tokens,
        }
    }
}

impl WindowV1 {
    const fn freeze(window: Window) -> Self {
        match window {
            Window::Hour => Self::Hour,
            Window::Day => Self::Day,
            Window::Week => Self::Week,
            Window::Month => Self::Month,
            Window::Ever => Self::Ever,
        }
    }

    const fn thaw(self) -> Window {
        match self {
            Self::Hour => Window::Hour,
            Self::Day => Window::Day,
            Self::Week => Window::Week,
            Self::Month => Window::Month,
            Self::Ever => Window::Ever,
        }
    }
}

impl<'a> BudgetScopeV1<'a> {
    fn freeze(scope: &'a BudgetScope) -> Self {
        match scope {
            BudgetScope::Organisation => Self::Organisation,
            BudgetScope::Department(name) => Self::Department(name),
            BudgetScope::Person(name) => Self::Person(name),
            BudgetScope::ApiKey(name) => Self::ApiKey(name),
            BudgetScope::Workflow(key) => Self::Workflow(key.as_str()),
            BudgetScope::EachRun(key) => Self::EachRun(key.as_str()),
            BudgetScope::Agent(key) => Self::Agent(key.as_str()),
            BudgetScope::Platform(key) => Self::Platform(key.as_str()),
        }
    }

    fn thaw(self) -> Result<BudgetScope, String> {
        Ok(match self {
            Self::Organisation => BudgetScope::Organisation,
            Self::Department(name) => BudgetScope::Department(name.to_owned()),
            Self::Person(name) => BudgetScope::Person(name.to_owned()),
            Self::ApiKey(name) => BudgetScope::ApiKey(name.to_owned()),
            Self::Workflow(key) => BudgetScope::Workflow(checked(key)?),
            Self::EachRun(key) => BudgetScope::EachRun(checked(key)?),
            Self::Agent(key) => BudgetScope::Agent(checked(key)?),
            Self::Platform(key) => BudgetScope::Platform(checked(key)?),
        })
    }
}

impl Thaw for SetV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        let settings = BudgetSettings {
            key: checked(self.key)?,
            description: self.description.to_owned(),
            scope: self.scope.thaw()?,
            unit: self.unit.thaw(),
            limit: self.limit,
            window: self.window.thaw(),
            warn_milli: self.warn_milli,
            unpriced: self.unpriced,
        };
        Ok(BudgetEvent::Set { settings: Box::new(settings) }.into())
    }
}

impl Thaw for RemovedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(BudgetEvent::Removed { key: checked(self.key)?, reason: self.reason.to_owned() }.into())
    }
}
