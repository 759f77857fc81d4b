//! Triggers to set, and what is posted for them.

use async_graphql::{InputObject, Result};
use commands::{Backfill, PostEvent};
use domain::trigger::{Overlap as DomainOverlap, Schedule, TriggerKind, TriggerSettings};
use domain::{Expression, Key};
use uuid::Uuid;

use super::workflow::{MappingInput, mappings};
use super::{duration, parse};
use crate::failure::invalid;
use crate::scalar::{Count, DateTime, Json};
use crate::trigger::Overlap;

/// A trigger to set; one with this key is changed. It has exactly one of `schedule`, `event` and `external`.
#[derive(Debug, InputObject)]
pub(crate) struct SetTriggerInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// The trigger's key: 1 to 64 of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit.
    key: String,
    /// What it is for.
    #[graphql(default)]
    description: String,
    /// The key of the workflow that it starts.
    workflow: String,
    /// Which version; null takes the one that is active when it fires.
    version: Option<u32>,
    /// It fires at times.
    schedule: Option<ScheduleInput>,
    /// It fires when something happens in HishamOS.
    event: Option<EventTriggerInput>,
    /// It fires when something is posted from outside.
    external: Option<ExternalTriggerInput>,
    /// The run's input, over `trigger`. When empty, what was posted, of an external trigger.
    #[graphql(default)]
    input: Vec<MappingInput>,
    /// The priority of its runs, -100 to 100.
    #[graphql(default)]
    priority: i32,
    /// What happens when it fires while a run that it started is still going; null skips for a schedule and allows all
    /// for the others.
    overlap: Option<Overlap>,
    /// It pauses itself when so many of its runs in a row have failed, at least 1.
    pause_after: Option<u32>,
    /// Whether it acts at all; it can still be run by hand.
    #[graphql(default = true)]
    enabled: bool,
}

/// Times.
#[derive(Debug, InputObject)]
pub(crate) struct ScheduleInput {
    /// A cron pattern of five or six fields.
    cron: String,
    /// The IANA time zone that it is read in.
    #[graphql(default = "UTC")]
    zone: String,
    /// By how much at most a firing is late, in milliseconds.
    #[graphql(default_with = "Count(0)")]
    jitter_ms: Count,
    /// For how long a missed tick is made up for, in milliseconds; null takes an hour.
    catch_up_ms: Option<Count>,
}

/// Something that happens in HishamOS.
#[derive(Debug, InputObject)]
pub(crate) struct EventTriggerInput {
    /// The types of event, such as `run.failed`; at least one.
    types: Vec<String>,
    /// An expression over `event`; null lets every event of the types fire.
    when: Option<String>,
}

/// Something that is posted from outside.
#[derive(Debug, InputObject)]
pub(crate) struct ExternalTriggerInput {
    /// The name under which it is posted.
    name: String,
    /// An expression over `payload`; null lets everything posted under the name fire.
    when: Option<String>,
}

impl SetTriggerInput {
    pub(crate) fn into_settings(self) -> Result<TriggerSettings> {
        let expression = |field: &str, text: Option<String>| -> Result<Option<Expression>> {
            text.map(|text| parse(field, &text)).transpose()
        };
        let kind = match (self.schedule, self.event, self.external) {
            (Some(times), None, None) => TriggerKind::Schedule(Schedule {
                jitter: duration(times.jitter_ms),
                catch_up: times.catch_up_ms.map_or(Schedule::CATCH_UP, duration),
                ..Schedule::new(parse("schedule.cron", &times.cron)?, parse("schedule.zone", &times.zone)?)
            }),
            (None, Some(event), None) => {
                TriggerKind::Event { types: event.types, when: expression("event.when", event.when)? }
            }
            (None, None, Some(external)) => TriggerKind::External {
                name: parse("external.name", &external.name)?,
                when: expression("external.when", external.when)?,
            },
            _ => return Err(invalid("a trigger has exactly one of `schedule`, `event` and `external`")),
        };
        let usual = match kind {
            TriggerKind::Schedule(_) => DomainOverlap::Skip,
            TriggerKind::Event { .. } | TriggerKind::External { .. } => DomainOverlap::AllowAll,
        };
        Ok(TriggerSettings {
            key: parse("key", &self.key)?,
            description: self.description,
            workflow: parse("workflow", &self.workflow)?,
            version: self.version,
            kind,
            input: mappings("input", self.input)?,
            priority: self.priority,
            overlap: self.overlap.map_or(usual, Overlap::domain),
            pause_after: self.pause_after,
            enabled: self.enabled,
        })
    }
}

/// A trigger to take away, pause or resume.
#[derive(Debug, InputObject)]
pub(crate) struct TriggerInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which trigger.
    pub(crate) key: String,
    /// Why.
    #[graphql(default)]
    pub(crate) reason: String,
}

/// A past range to make up for.
#[derive(Debug, InputObject)]
pub(crate) struct BackfillTriggerInput {
    /// The command's own id: a repetition gets the first answer, and goes on where it was interrupted; with other input
    /// it is refused. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which trigger; it has a schedule.
    pub(crate) key: String,
    /// From here on.
    from: DateTime,
    /// Up to here, which is past.
    until: DateTime,
    /// What happens while other runs of the trigger are going.
    #[graphql(default_with = "Overlap::BufferAll")]
    overlap: Overlap,
}

impl BackfillTriggerInput {
    pub(crate) fn range(&self) -> Backfill {
        Backfill { from: self.from.0, until: self.until.0, overlap: self.overlap.domain() }
    }
}

/// What is posted from outside.
#[derive(Debug, InputObject)]
pub(crate) struct PostEventInput {
    /// A UUID of your own; the same id again is answered as the first time, and is the same event.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// The name under which triggers wait for it.
    name: String,
    /// The poster's own id for it: the same name and id are one event.
    id: Option<String>,
    /// What it says; null is an empty object.
    payload: Option<Json>,
}

impl PostEventInput {
    pub(crate) fn into_event(self) -> Result<PostEvent> {
        let name: Key = parse("name", &self.name)?;
        let payload = self.payload.map_or_else(|| serde_json::json!({}), |payload| payload.0);
        Ok(PostEvent { name, payload, id: self.id })
    }
}
