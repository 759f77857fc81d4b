//! Triggers: what starts runs without being asked for each of them. They are folded from the journal, so an answer is
//! always of now.

use std::cmp::Reverse;
use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Result, SimpleObject};
use commands::Commands;
use domain::trigger::{Overlap as DomainOverlap, Schedule, TriggerKind as Kind};
use domain::{Category, Key};
use projections::Window;

use crate::agent::milliseconds;
use crate::definition::{Mapping, mappings};
use crate::failure;
use crate::node::global_id;
use crate::order::{Cursor, Sorted, TriggerOrder, held};
use crate::scalar::{Count, DateTime};

/// What starts runs when something happens.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Trigger {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The key.
    key: String,
    /// What it is for.
    description: String,
    /// The key of the workflow that it starts.
    workflow_key: String,
    /// Which version; null takes the one that is active when it fires.
    version: Option<u32>,
    /// What it waits for.
    kind: TriggerKind,
    /// When it fires, of a schedule.
    schedule: Option<TriggerSchedule>,
    /// The types of event that it waits for, of an event trigger.
    event_types: Vec<String>,
    /// The name under which something has to be posted, of an external trigger.
    external_name: Option<String>,
    /// It fires only when this expression is met, over `event` or `payload`.
    when: Option<String>,
    /// The run's input, over `trigger`.
    input: Vec<Mapping>,
    /// The priority of its runs, -100 to 100.
    priority: i32,
    /// What happens when it fires while a run that it started is still going.
    overlap: Overlap,
    /// It pauses itself when so many of its runs in a row have failed.
    pause_after: Option<u32>,
    /// Whether it acts at all; it can still be run by hand.
    enabled: bool,
    /// Why it does not fire at the moment, when it is paused.
    pause: Option<TriggerPause>,
    /// When its schedule fires next, jitter included; null when it does not fire by itself.
    next_at: Option<DateTime>,
    /// The ids of the runs that it started and that have not ended.
    running: Vec<ID>,
    /// How many firings wait until those have ended.
    waiting: Count,
    /// How many of its runs have failed since the last one that completed.
    failures: u32,
}

/// What a trigger waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum TriggerKind {
    /// Times.
    Schedule,
    /// Something that happens in HishamOS.
    Event,
    /// Something that is posted from outside.
    External,
}

/// What happens when a trigger fires while a run that it started is still going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum Overlap {
    /// Nothing is started.
    Skip,
    /// One waits until the others have ended; further ones are skipped.
    BufferOne,
    /// Each waits until those before it have ended.
    BufferAll,
    /// The others are asked to cancel; the new one starts when they have ended.
    CancelOther,
    /// The others are cut, and the new one starts at once.
    TerminateOther,
    /// They run beside each other.
    AllowAll,
}

impl Overlap {
    pub(crate) fn domain(self) -> DomainOverlap {
        match self {
            Self::Skip => DomainOverlap::Skip,
            Self::BufferOne => DomainOverlap::BufferOne,
            Self::BufferAll => DomainOverlap::BufferAll,
            Self::CancelOther => DomainOverlap::CancelOther,
            Self::TerminateOther => DomainOverlap::TerminateOther,
            Self::AllowAll => DomainOverlap::AllowAll,
        }
    }

    fn of_domain(overlap: DomainOverlap) -> Self {
        match overlap {
            DomainOverlap::Skip => Self::Skip,
            DomainOverlap::BufferOne => Self::BufferOne,
            DomainOverlap::BufferAll => Self::BufferAll,
            DomainOverlap::CancelOther => Self::CancelOther,
            DomainOverlap::TerminateOther => Self::TerminateOther,
            DomainOverlap::AllowAll => Self::AllowAll,
        }
    }
}

/// Which triggers are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct TriggerFilter {
    /// Only with this text in the key or the description, whatever the case.
    text: Option<String>,
    /// Only those that start this workflow.
    workflow: Option<String>,
    /// Only those that wait for this.
    kind: Option<TriggerKind>,
    /// Only those that act, or only those that do not.
    enabled: Option<bool>,
    /// Only those that are paused, or only those that are not.
    paused: Option<bool>,
}

impl TriggerFilter {
    pub(crate) fn wants(&self, trigger: &Trigger) -> bool {
        let text = self.text.as_ref().map(|text| text.to_lowercase());
        text.is_none_or(|text| trigger.key.contains(&text) || trigger.description.to_lowercase().contains(&text))
            && self.workflow.as_ref().is_none_or(|workflow| *workflow == trigger.workflow_key)
            && self.kind.is_none_or(|kind| kind == trigger.kind)
            && self.enabled.is_none_or(|enabled| enabled == trigger.enabled)
            && self.paused.is_none_or(|paused| paused == trigger.pause.is_some())
    }
}

/// When a schedule fires.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct TriggerSchedule {
    /// A cron pattern of five or six fields.
    cron: String,
    /// The IANA time zone that it is read in.
    zone: String,
    /// By how much at most a firing is late, in milliseconds.
    jitter_ms: Count,
    /// For how long a missed tick is made up for, in milliseconds.
    catch_up_ms: Count,
}

/// That a trigger does not fire.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct TriggerPause {
    /// Who paused it, as `kind:id`.
    by: String,
    /// Why.
    reason: String,
    /// When.
    at: DateTime,
}

/// A moment of a schedule that is to come.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct NextFiring {
    /// The moment that the pattern names.
    tick: DateTime,
    /// When it fires, jitter included.
    fires_at: DateTime,
}

impl From<(domain::Timestamp, domain::Timestamp)> for NextFiring {
    fn from((tick, fires_at): (domain::Timestamp, domain::Timestamp)) -> Self {
        Self { tick: tick.into(), fires_at: fires_at.into() }
    }
}

impl Trigger {
    /// The trigger of a key as it is now; nothing when it does not exist.
    pub(crate) async fn find(context: &Context<'_>, key: &Key) -> Result<Option<Self>> {
        match context.data::<Commands>()?.trigger(key).await {
            Ok(trigger) => Ok(Self::of(&trigger)),
            Err(error) if error.code() == "TRIGGER_NOT_FOUND" => Ok(None),
            Err(error) => Err(failure::command(context, error)),
        }
    }

    /// A page of triggers.
    pub(crate) fn page(
        triggers: Vec<Self>,
        window: &Window<Cursor>,
        order: TriggerOrder,
        reversed: bool,
    ) -> Result<Sorted<Self>> {
        let key = |trigger: &Self| trigger.key.clone();
        match order {
            TriggerOrder::Key => held(triggers, window, reversed, "key", key),
            TriggerOrder::Next => held(triggers, window, reversed, "next", |trigger| {
                (trigger.next_at.is_none(), trigger.next_at.map(|at| at.0.as_micros()), key(trigger))
            }),
            TriggerOrder::Workflow => {
                held(triggers, window, reversed, "workflow", |trigger| (trigger.workflow_key.clone(), key(trigger)))
            }
            TriggerOrder::Failures => {
                held(triggers, window, reversed, "failures", |trigger| (Reverse(trigger.failures), key(trigger)))
            }
        }
    }

    /// Nothing when it does not exist.
    pub(crate) fn of(trigger: &domain::Trigger) -> Option<Self> {
        let settings = trigger.settings().map(Arc::clone)?;
        let (mut event_types, mut external_name, mut when) = (vec![], None, None);
        match &settings.kind {
            Kind::Schedule(_) => {}
            Kind::Event { types, when: met } => (event_types, when) = (types.clone(), met.as_ref()),
            Kind::External { name, when: met } => (external_name, when) = (Some(name.to_string()), met.as_ref()),
        }
        Some(Self {
            id: global_id(Category::Trigger, domain::TriggerId::from_key(&settings.key).as_uuid()),
            key: settings.key.to_string(),
            description: settings.description.clone(),
            workflow_key: settings.workflow.to_string(),
            version: settings.version,
            kind: match &settings.kind {
                Kind::Schedule(_) => TriggerKind::Schedule,
                Kind::Event { .. } => TriggerKind::Event,
                Kind::External { .. } => TriggerKind::External,
            },
            schedule: settings.schedule().map(TriggerSchedule::from),
            event_types,
            external_name,
            when: when.map(ToString::to_string),
            input: mappings(settings.input.clone()),
            priority: settings.priority,
            overlap: Overlap::of_domain(settings.overlap),
            pause_after: settings.pause_after,
            enabled: settings.enabled,
            pause: trigger.pause().map(|pause| TriggerPause {
                by: pause.by.to_string(),
                reason: pause.reason.clone(),
                at: pause.at.into(),
            }),
            next_at: trigger.wakes_at().map(Into::into),
            running: trigger.running().iter().map(|run| global_id(Category::Run, run.as_uuid())).collect(),
            waiting: Count(u64::try_from(trigger.waiting().len()).unwrap_or(u64::MAX)),
            failures: trigger.failures(),
        })
    }
}

impl From<&Schedule> for TriggerSchedule {
    fn from(schedule: &Schedule) -> Self {
        Self {
            cron: schedule.cron.as_str().to_owned(),
            zone: schedule.zone.as_str().to_owned(),
            jitter_ms: milliseconds(schedule.jitter),
            catch_up_ms: milliseconds(schedule.catch_up),
        }
    }
}

#[ComplexObject]
impl Trigger {
    /// The next moments of its schedule, at most 1,000, whether or not it is paused; nothing when it has no schedule.
    #[graphql(complexity = "first.clamp(1, 1000) as usize / 10 + child_complexity")]
    async fn next(&self, context: &Context<'_>, #[graphql(default = 10)] first: i32) -> Result<Vec<NextFiring>> {
        if self.schedule.is_none() {
            return Ok(vec![]);
        }
        let key = crate::input::key(&self.key)?;
        let count = usize::try_from(first).unwrap_or(0);
        let firings = context.data::<Commands>()?.next_firings(&key, count).await;
        Ok(firings.map_err(|error| failure::command(context, error))?.into_iter().map(Into::into).collect())
    }
}
