use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Schedule, TriggerRefusal};
use crate::workflow::Mapping;
use crate::{Expression, Key, Timestamp};

/// Everything that makes a trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerSettings {
    /// Its key.
    pub key: Key,
    /// What it is for.
    pub description: String,
    /// The workflow that it starts.
    pub workflow: Key,
    /// Which version; the one that is active when it fires, when not given.
    pub version: Option<u32>,
    /// What it waits for.
    pub kind: TriggerKind,
    /// The run's input: expressions over `trigger`.
    pub input: Mapping,
    /// The priority of its runs, -100 to 100.
    pub priority: i32,
    /// What happens when it fires while a run that it started is still going.
    pub overlap: Overlap,
    /// It pauses itself when so many of its runs in a row have failed.
    pub pause_after: Option<u32>,
    /// Whether it acts at all. It can still be run by hand.
    pub enabled: bool,
}

/// What a trigger waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// Times.
    Schedule(Schedule),
    /// Something that happens in HishamOS.
    Event {
        /// The types of event, such as `run.failed`.
        types: Vec<String>,
        /// An expression over `event`; without it, every event of the types fires.
        when: Option<Expression>,
    },
    /// Something that is posted from outside.
    External {
        /// The name under which it is posted.
        name: Key,
        /// An expression over `payload`; without it, everything posted under the name fires.
        when: Option<Expression>,
    },
}

impl TriggerKind {
    /// The stable snake_case name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Schedule(_) => "schedule",
            Self::Event { .. } => "event",
            Self::External { .. } => "external",
        }
    }
}

/// What happens when a trigger fires while a run that it started is still going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
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

/// The name of an overlap policy that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no overlap policy; it must be skip, buffer_one, buffer_all, cancel_other, terminate_other or allow_all"
)]
pub struct InvalidOverlap(pub String);

impl Overlap {
    /// Every policy.
    pub const ALL: [Self; 6] =
        [Self::Skip, Self::BufferOne, Self::BufferAll, Self::CancelOther, Self::TerminateOther, Self::AllowAll];

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::BufferOne => "buffer_one",
            Self::BufferAll => "buffer_all",
            Self::CancelOther => "cancel_other",
            Self::TerminateOther => "terminate_other",
            Self::AllowAll => "allow_all",
        }
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Overlap {
    type Err = InvalidOverlap;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|policy| policy.name() == text).ok_or_else(|| InvalidOverlap(text.to_owned()))
    }
}

/// What expressions over `trigger` find below it.
const FIELDS: [&str; 9] = ["key", "kind", "cause", "fired_at", "manual", "backfill", "tick", "event", "payload"];

/// What triggers decide themselves: one that waited for it would wake itself for ever.
const OWN_DECISIONS: [&str; 5] =
    ["trigger.fired", "trigger.skipped", "trigger.missed", "trigger.buffered", "trigger.run_ended"];

impl TriggerSettings {
    /// The most types of event that one trigger may name.
    const MAX_TYPES: usize = 64;

    /// Checks everything that can be checked without knowing what else there is.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, now: Timestamp) -> Result<(), TriggerRefusal> {
        let wrong = |what: String| Err(TriggerRefusal::Invalid(what));
        if !(-100..=100).contains(&self.priority) {
            return wrong(format!("`priority` is {}; it must be -100 to 100", self.priority));
        }
        if self.pause_after == Some(0) {
            return wrong("`pause_after` must be at least 1".to_owned());
        }
        for (name, expression) in &self.input {
            check_roots(&format!("input `{name}`"), expression, "trigger", &FIELDS)?;
        }
        match &self.kind {
            TriggerKind::Schedule(schedule) => check_schedule(schedule, now),
            TriggerKind::Event { types, when } => {
                if types.is_empty() || types.len() > Self::MAX_TYPES {
                    return wrong(format!("`types` must name 1 to {} types of event", Self::MAX_TYPES));
                }
                if let Some(own) = types.iter().find(|name| OWN_DECISIONS.contains(&name.as_str())) {
                    return wrong(format!("`types` names `{own}`, which triggers decide; wait for the events of runs"));
                }
                when.as_ref().map_or(Ok(()), |when| check_roots("`when`", when, "event", &[]))
            }
            TriggerKind::External { when, .. } => {
                when.as_ref().map_or(Ok(()), |when| check_roots("`when`", when, "payload", &[]))
            }
        }
    }

    /// Its schedule, if it has one.
    #[must_use]
    pub fn schedule(&self) -> Option<&Schedule> {
        match &self.kind {
            TriggerKind::Schedule(schedule) => Some(schedule),
            TriggerKind::Event { .. } | TriggerKind::External { .. } => None,
        }
    }
}

fn check_schedule(schedule: &Schedule, now: Timestamp) -> Result<(), TriggerRefusal> {
    let wrong = |what: String| Err(TriggerRefusal::Invalid(what));
    if schedule.jitter > Schedule::MAX_JITTER {
        return wrong(format!("`jitter` is longer than {:?}", Schedule::MAX_JITTER));
    }
    if schedule.catch_up < Schedule::MIN_CATCH_UP || schedule.catch_up > Schedule::MAX_CATCH_UP {
        return wrong(format!("`catch_up` must be {:?} to {:?}", Schedule::MIN_CATCH_UP, Schedule::MAX_CATCH_UP));
    }
    if schedule.next_after(now).is_none() {
        return wrong(format!("the schedule `{}` never fires", schedule.cron));
    }
    Ok(())
}

fn check_roots(place: &str, expression: &Expression, root: &str, fields: &[&str]) -> Result<(), TriggerRefusal> {
    let references = expression.references().map_err(|error| TriggerRefusal::Invalid(format!("{place}: {error}")))?;
    for path in references {
        let mut names = path.0.iter().map(String::as_str);
        if names.next() != Some(root) {
            let path = path.0.join(".");
            return Err(TriggerRefusal::Invalid(format!("{place} reads `{path}`, but only `{root}` is there")));
        }
        if let Some(field) = names.next().filter(|field| !fields.is_empty() && !fields.contains(field)) {
            return Err(TriggerRefusal::Invalid(format!(
                "{place} reads `{root}.{field}`, but `{root}` has only {}",
                fields.join(", ")
            )));
        }
    }
    Ok(())
}
