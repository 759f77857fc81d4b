//! Tests of the codec: golden files of every released version, round trips of generated events, hostile bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly"
)]

mod cases;
mod generate;
mod golden;
mod hostile;
mod privacy;
mod source;
mod upcast;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read_back(encoded: &Encoded) -> Result<Event, DecodeError> {
    decode(encoded.event_type, encoded.schema_version, encoded.codec, &encoded.payload)
}

proptest! {
    #[test]
    fn what_was_written_is_read(event in generate::event()) {
        let encoded = encode(&event).unwrap();
        prop_assert_eq!(encoded.event_type, event.name());
        let again = read_back(&encoded).unwrap();
        prop_assert_eq!(&again, &event);
        // Equal JSON objects may differ in the order of their keys; equal bytes do not.
        prop_assert_eq!(encode(&again).unwrap(), encoded);
    }

    #[test]
    fn floats_survive_to_the_last_bit(float in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
        let event = with_json(json!(float));
        let Event::Run(domain::RunEvent::Completed { output, .. }) = read_back(&encode(&event).unwrap()).unwrap() else {
            panic!("another event came back");
        };
        prop_assert_eq!(output.as_f64().unwrap().to_bits(), float.to_bits());
    }
}

#[test]
fn names_and_versions_are_a_closed_list() {
    let mut names = std::collections::BTreeSet::new();
    for event_type in types() {
        assert!(names.insert(event_type.name), "`{}` stands twice in the registry", event_type.name);
        let numbers: Vec<u16> = event_type.versions.iter().map(|version| version.number).collect();
        let expected: Vec<u16> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "the versions of `{}` have gaps", event_type.name);
    }
    let of_cases: std::collections::BTreeSet<_> = cases::all().iter().map(|(_, event)| event.name()).collect();
    assert_eq!(names, of_cases, "the registry and the domain know different events");
}

#[test]
fn only_the_newest_version_is_written() {
    for (case, event) in cases::all() {
        let encoded = encode(&event).unwrap();
        let known = types().iter().find(|known| known.name == event.name()).unwrap();
        assert_eq!(encoded.schema_version, known.versions.last().unwrap().number, "{} {case}", event.name());
        assert_eq!(encoded.codec, CODEC_POSTCARD);
        assert_eq!(encoded.event_type, event.name());
    }
}

#[test]
fn the_unknown_is_refused_by_name() {
    let encoded = encode(&Event::from(domain::AgentEvent::Enabled)).unwrap();
    assert_eq!(encoded.payload, Vec::<u8>::new());
    assert_eq!(decode("agent.enabled", 1, 3, &[]), Err(DecodeError::UnknownCodec(3)));
    for (event_type, version) in [("agent.enabled", 2), ("agent.enabled", 0), ("agent.promoted", 1), ("", 1)] {
        let unknown = DecodeError::Unknown { event_type: event_type.to_owned(), version };
        assert_eq!(decode(event_type, version, CODEC_POSTCARD, &[]), Err(unknown));
    }
}

#[test]
fn json_keeps_the_order_of_its_keys() {
    let event = with_json(json!({ "zebra": 1, "ant": { "y": [], "x": {} } }));
    let encoded = encode(&event).unwrap();
    assert!(String::from_utf8_lossy(&encoded.payload).contains(r#"{"zebra":1,"ant":{"y":[],"x":{}}}"#));
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let deepest = with_json(nested(127));
    assert_eq!(read_back(&encode(&deepest).unwrap()).unwrap(), deepest);
    assert_eq!(encode(&with_json(nested(128))).unwrap_err(), "JSON is nested deeper than 127 levels");
    let object = (0..128).fold(json!(1), |inner, _| json!({ "in": inner }));
    assert!(encode(&with_json(object)).is_err());

    let reason = |length| Event::from(domain::AgentEvent::Disabled { reason: "x".repeat(length) });
    let longest = reason(MAX_PAYLOAD - 4);
    assert_eq!(encode(&longest).unwrap().payload.len(), MAX_PAYLOAD);
    assert_eq!(read_back(&encode(&longest).unwrap()).unwrap(), longest);
    assert_eq!(
        encode(&reason(MAX_PAYLOAD - 3)).unwrap_err(),
        "a payload of 16777217 bytes is too long; at most 16777216 are kept"
    );

    let forever = domain::AttemptError {
        kind: domain::ErrorKind::RateLimited,
        message: String::new(),
        retry_after: Some(std::time::Duration::MAX),
    };
    assert!(encode(&Event::from(domain::TaskEvent::Failed { error: forever })).unwrap_err().contains("longer than"));
}

fn with_json(output: Value) -> Event {
    domain::RunEvent::Completed { output: output.into(), simulated: false }.into()
}
