//! The chain from old versions to today's event, shown on a type that has had three layouts. It goes through the same
//! registry and the same reading as the real types, so that no history has to be made up for one of those.

use domain::AgentEvent;
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::super::*;

/// At first, a number meant a reason.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct PausedV1 {
    reason: u8,
}

/// Then people wanted words.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct PausedV2<'a> {
    reason: &'a str,
}

/// Then they wanted to know for how long.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct PausedV3<'a> {
    reason: &'a str,
    hours: Option<u32>,
}

impl From<PausedV1> for PausedV2<'_> {
    fn from(old: PausedV1) -> Self {
        Self { reason: if old.reason == 1 { "too expensive" } else { "unknown" } }
    }
}

impl<'a> From<PausedV2<'a>> for PausedV3<'a> {
    fn from(old: PausedV2<'a>) -> Self {
        Self { reason: old.reason, hours: None }
    }
}

impl Thaw for PausedV3<'_> {
    fn thaw(self) -> Result<Event, String> {
        let reason = match self.hours {
            Some(hours) => format!("{} for {hours} h", self.reason),
            None => self.reason.to_owned(),
        };
        Ok(AgentEvent::Disabled { reason }.into())
    }
}

mod history {
    use super::{PausedV1, PausedV2, PausedV3};

    crate::wire::registry::registry! {
        "agent.paused" { 1 => PausedV1, 2 => PausedV2<'_>, 3 => PausedV3<'_> }
    }
}

fn reason(version: u16, payload: &[u8]) -> String {
    match history::decode("agent.paused", version, payload) {
        Some(Ok(Event::Agent(AgentEvent::Disabled { reason }))) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn old_bytes_become_todays_event() {
    assert_eq!(reason(1, &[1]), "too expensive");
    assert_eq!(reason(1, &[2]), "unknown");
    assert_eq!(reason(2, b"\x05tired"), "tired");
    assert_eq!(reason(3, b"\x05tired\x00"), "tired");
    assert_eq!(reason(3, b"\x05tired\x01\x30"), "tired for 48 h");
}

#[test]
fn a_version_reads_only_its_own_bytes() {
    assert!(history::decode("agent.paused", 1, b"\x05tired").unwrap().is_err());
    assert!(history::decode("agent.paused", 2, b"\x05tired\x00").unwrap().is_err());
    assert!(history::decode("agent.paused", 3, b"\x05tired").unwrap().is_err());
    assert!(history::decode("agent.paused", 4, b"\x05tired").is_none());
}

#[test]
fn the_newest_is_written_and_each_has_its_own_key() {
    assert_eq!((PausedV3::TYPE, PausedV3::VERSION), ("agent.paused", 3));
    let encoded = write(&PausedV3 { reason: "tired", hours: Some(48) }).unwrap();
    assert_eq!((encoded.event_type, encoded.schema_version), ("agent.paused", 3));
    assert_eq!(encoded.payload, b"\x05tired\x01\x30");
    for (version, payload) in [(1, b"\x01".as_slice()), (2, b"\x05tired"), (3, b"\x05tired\x00")] {
        assert_eq!(history::rewrite("agent.paused", version, payload).unwrap().unwrap(), payload);
    }
    let [paused] = history::TYPES else { panic!("one type is registered") };
    let mut keys: Vec<String> = paused.versions.iter().map(Version::key_hex).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3);
}

/// The keys are the same on every machine and in every build; otherwise the lock would guard nothing.
#[test]
fn keys_depend_on_name_and_layout_alone() {
    mod renamed {
        use postcard_schema::Schema;

        #[derive(Schema)]
        #[allow(dead_code, reason = "only its layout matters")]
        pub(super) struct Other {
            pub(super) reason: u8,
        }
    }
    use postcard_schema::key::Key;

    assert_eq!(Key::for_path::<PausedV1>("a").to_bytes(), Key::for_path::<renamed::Other>("a").to_bytes());
    assert_ne!(Key::for_path::<PausedV1>("a").to_bytes(), Key::for_path::<PausedV1>("b").to_bytes());
    assert_ne!(Key::for_path::<PausedV2>("a").to_bytes(), Key::for_path::<PausedV1>("a").to_bytes());
}
