//! The file of a trigger as its author writes it, and its conversion to the domain and back. docs/use/triggers.md
//! describes the format.

use std::time::Duration;

use domain::trigger::{Cron, Overlap, Schedule, TriggerKind, TriggerSettings, Zone};
use domain::workflow::Mapping;
use domain::{Expression, Key};
use serde::{Deserialize, Serialize};

use super::TriggerEntry;
use super::scalar::Human;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TriggerFile {
    key: Key,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    workflow: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<ScheduleFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<EventFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external: Option<ExternalFile>,
    #[serde(default, skip_serializing_if = "Mapping::is_empty")]
    input: Mapping,
    #[serde(default, skip_serializing_if = "is_usual")]
    priority: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    overlap: Option<Overlap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pause_after: Option<u32>,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    enabled: bool,
    #[serde(default, skip_serializing_if = "is_no")]
    paused: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleFile {
    cron: Cron,
    #[serde(default = "utc")]
    zone: Zone,
    #[serde(default = "no_time", skip_serializing_if = "is_no_time")]
    jitter: Human,
    #[serde(default = "catch_up")]
    catch_up: Human,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventFile {
    types: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<Expression>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExternalFile {
    name: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<Expression>,
}

fn utc() -> Zone {
    Zone::trusted("UTC")
}

fn no_time() -> Human {
    Human(Duration::ZERO)
}

fn is_no_time(time: &Human) -> bool {
    time.0.is_zero()
}

fn catch_up() -> Human {
    Human(Schedule::CATCH_UP)
}

fn is_usual(priority: &i32) -> bool {
    *priority == 0
}

fn yes() -> bool {
    true
}

fn is_yes(enabled: &bool) -> bool {
    *enabled
}

fn is_no(paused: &bool) -> bool {
    !*paused
}

impl TriggerFile {
    /// The entry; nothing when the file does not say what the trigger waits for, or says several things.
    pub(super) fn into_entry(self) -> Option<TriggerEntry> {
        let kind = match (self.schedule, self.event, self.external) {
            (Some(ScheduleFile { cron, zone, jitter, catch_up }), None, None) => {
                TriggerKind::Schedule(Schedule { cron, zone, jitter: jitter.0, catch_up: catch_up.0 })
            }
            (None, Some(EventFile { types, when }), None) => TriggerKind::Event { types, when },
            (None, None, Some(ExternalFile { name, when })) => TriggerKind::External { name, when },
            _ => return None,
        };
        let usual = match kind {
            TriggerKind::Schedule(_) => Overlap::Skip,
            TriggerKind::Event { .. } | TriggerKind::External { .. } => Overlap::AllowAll,
        };
        let settings = TriggerSettings {
            key: self.key,
            description: self.description,
            workflow: self.workflow,
            version: self.version,
            kind,
            input: self.input,
            priority: self.priority,
            overlap: self.overlap.unwrap_or(usual),
            pause_after: self.pause_after,
            enabled: self.enabled,
        };
        Some(TriggerEntry { settings, paused: self.paused })
    }
}

impl From<&TriggerEntry> for TriggerFile {
    fn from(entry: &TriggerEntry) -> Self {
        let TriggerEntry { settings, paused } = entry.clone();
        let (mut schedule, mut event, mut external) = (None, None, None);
        match settings.kind {
            TriggerKind::Schedule(Schedule { cron, zone, jitter, catch_up }) => {
                schedule = Some(ScheduleFile { cron, zone, jitter: Human(jitter), catch_up: Human(catch_up) });
            }
            TriggerKind::Event { types, when } => event = Some(EventFile { types, when }),
            TriggerKind::External { name, when } => external = Some(ExternalFile { name, when }),
        }
        Self {
            key: settings.key,
            description: settings.description,
            workflow: settings.workflow,
            version: settings.version,
            schedule,
            event,
            external,
            input: settings.input,
            priority: settings.priority,
            overlap: Some(settings.overlap),
            pause_after: settings.pause_after,
            enabled: settings.enabled,
            paused,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::{parse_trigger, trigger_to_yaml};
    use super::*;

    const NIGHTLY: &str = "
key: nightly
workflow: write-report
schedule:
  cron: \"30 2 * * MON-FRI\"
  zone: Europe/Berlin
  jitter: 5m
input:
  day: trigger.tick.date
pause_after: 3
";

    fn wrong(text: &str) -> String {
        parse_trigger("t.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_is_as_usual() {
        let TriggerEntry { settings: nightly, paused } = parse_trigger("t.yaml", NIGHTLY).unwrap();
        let schedule = nightly.schedule().unwrap();
        assert_eq!((schedule.jitter, schedule.catch_up), (Duration::from_secs(300), Duration::from_secs(3600)));
        assert_eq!((nightly.overlap, nightly.enabled, nightly.priority, paused), (Overlap::Skip, true, 0, false));
        let ping = "{key: p, workflow: w, external: {name: ping, when: payload.x}}";
        assert_eq!(parse_trigger("t.yaml", ping).unwrap().settings.overlap, Overlap::AllowAll);
    }

    #[test]
    fn written_and_read_again_it_is_the_same() {
        let event =
            "{key: e, workflow: w, event: {types: [run.failed]}, overlap: buffer_one, enabled: false, paused: true}";
        for text in [NIGHTLY, event] {
            let entry = parse_trigger("t.yaml", text).unwrap();
            let yaml = trigger_to_yaml(&entry).unwrap();
            assert_eq!(parse_trigger("t.yaml", &yaml).unwrap(), entry, "{yaml}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let cron = wrong("key: t\nworkflow: w\nschedule:\n  cron: 61 * * * *\n");
        assert!(cron.contains("schedule.cron") && cron.contains("no cron pattern"), "{cron}");
        let zone = wrong("key: t\nworkflow: w\nschedule:\n  cron: 1 * * * *\n  zone: Berlin\n");
        assert!(zone.contains("IANA"), "{zone}");
        let none = wrong("key: t\nworkflow: w\n");
        assert!(none.contains("one of `schedule`, `event` and `external`"), "{none}");
        let never = wrong("key: t\nworkflow: w\nschedule: {cron: 0 0 30 2 *}\n");
        assert!(never.contains("never fires"), "{never}");
        let overlap = wrong("key: t\nworkflow: w\nschedule: {cron: 0 0 1 2 *}\noverlap: maybe\n");
        assert!(overlap.contains("skip"), "{overlap}");
    }
}
