//! Frozen events of limits.

use std::time::Duration;

use domain::limit::{LimitScope, LimitSettings};
use domain::slots::{Capacity, Rate};
use domain::{Event, Expression, LimitEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::definition::expression;
use super::values::{checked, micros};
use super::{Encoded, Thaw, write};

/// What a limit counts.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) enum LimitScopeV1<'a> {
    Workflow(&'a str),
    Agent(&'a str),
    Platform(&'a str),
}

/// So many starts within so much time.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RateV1 {
    starts: u32,
    per_micros: u64,
}

/// Everything that makes a limit.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct LimitSettingsV1<'a> {
    key: &'a str,
    description: &'a str,
    #[serde(borrow)]
    scope: LimitScopeV1<'a>,
    #[serde(borrow)]
    by: Option<&'a str>,
    max_running: Option<u32>,
    rate: Option<RateV1>,
    #[serde(borrow)]
    fairness: Option<&'a str>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct SetV1<'a> {
    #[serde(borrow)]
    settings: LimitSettingsV1<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RemovedV1<'a> {
    reason: &'a str,
}

pub(super) fn freeze(event: &LimitEvent) -> Result<Encoded, String> {
    match event {
        LimitEvent::Set { settings } => write(&SetV1 { settings: LimitSettingsV1::freeze(settings)? }),
        LimitEvent::Removed { reason } => write(&RemovedV1 { reason }),
    }
}

impl<'a> LimitSettingsV1<'a> {
    fn freeze(settings: &'a LimitSettings) -> Result<Self, String> {
        let LimitSettings { key, description, scope, by, capacity, fairness } = settings;
        let Capacity { max_running, rate } = *capacity;
        let rate = match rate {
            Some(Rate { starts, per }) => Some(RateV1 { starts, per_micros: micros(per)? }),
            None => None,
        };
        Ok(Self {
            key: key.as_str(),
            description,
            scope: match scope {
                LimitScope::Workflow(key) => LimitScopeV1::Workflow(key.as_str()),
                LimitScope::Agent(key) => LimitScopeV1::Agent(key.as_str()),
                LimitScope::Platform(key) => LimitScopeV1::Platform(key.as_str()),
            },
            by: by.as_ref().map(Expression::as_str),
            max_running,
            rate,
            fairness: fairness.as_ref().map(Expression::as_str),
        })
    }

    fn thaw(self) -> Result<LimitSettings, String> {
        let rate = self.rate.map(|rate| Rate { starts: rate.starts, per: Duration::from_micros(rate.per_micros) });
        Ok(LimitSettings {
            key: checked(self.key)?,
            description: self.description.to_owned(),
            scope: match self.scope {
                LimitScopeV1::Workflow(key) => LimitScope::Workflow(checked(key)?),
                LimitScopeV1::Agent(key) => LimitScope::Agent(checked(key)?),
                LimitScopeV1::Platform(key) => LimitScope::Platform(checked(key)?),
            },
            by: expression(self.by),
            capacity: Capacity { max_running: self.max_running, rate },
            fairness: expression(self.fairness),
        })
    }
}

impl Thaw for SetV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(LimitEvent::Set { settings: Box::new(self.settings.thaw()?) }.into())
    }
}

impl Thaw for RemovedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(LimitEvent::Removed { reason: self.reason.to_owned() }.into())
    }
}
