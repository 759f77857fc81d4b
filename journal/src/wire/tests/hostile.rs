//! Bytes that nobody wrote: they are refused, without a panic and without a large allocation.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::*;
use super::{cases, generate, read_back};

/// The largest length that postcard can claim.
const ENDLESS: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        for known in types() {
            for version in known.versions {
                let _ = decode(known.name, version.number, CODEC_POSTCARD, &bytes);
            }
        }
    }

    #[test]
    fn a_payload_is_whole_or_refused(event in generate::event(), cut in any::<Index>(), more in vec(any::<u8>(), 1..9)) {
        let encoded = encode(&event).unwrap();
        let refused = |payload: &[u8]| decode(encoded.event_type, encoded.schema_version, encoded.codec, payload).is_err();
        if !encoded.payload.is_empty() {
            prop_assert!(refused(&encoded.payload[..cut.index(encoded.payload.len())]));
        }
        prop_assert!(refused(&[encoded.payload.as_slice(), &more].concat()));
    }

    #[test]
    fn a_changed_byte_never_panics(event in generate::event(), place in any::<Index>(), byte in any::<u8>()) {
        let mut encoded = encode(&event).unwrap();
        if !encoded.payload.is_empty() {
            let place = place.index(encoded.payload.len());
            encoded.payload[place] = byte;
            if let Ok(event) = read_back(&encoded) {
                // Whatever was read is an event like any other.
                prop_assert!(encode(&event).is_ok());
            }
        }
    }
}

#[test]
fn endless_lengths_reserve_no_memory() {
    for (_, event) in cases::all() {
        let encoded = encode(&event).unwrap();
        for place in 0..encoded.payload.len() {
            let mut payload = encoded.payload[..place].to_vec();
            payload.extend_from_slice(&ENDLESS);
            // In most places this is an error, in some a large number; room for so many elements is never reserved,
            // or the process would end here.
            for version in 1..=encoded.schema_version {
                let _ = decode(encoded.event_type, version, CODEC_POSTCARD, &payload);
            }
        }
    }
}

#[test]
fn the_length_is_checked_before_anything_else() {
    let long = vec![0; MAX_PAYLOAD + 1];
    let error = decode("agent.disabled", 1, CODEC_POSTCARD, &long).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the payload of `agent.disabled` version 1 is damaged: it has 16777217 bytes, at most 16777216 are allowed"
    );
}

#[test]
fn unknown_variants_are_errors() {
    // The kind of error stands right behind the attempt's number; there were 13 kinds, now there are 15.
    assert!(decode("task.attempt_failed", 1, CODEC_POSTCARD, &[1, 12, 0, 0, 0]).is_ok());
    assert!(decode("task.attempt_failed", 1, CODEC_POSTCARD, &[1, 13, 0, 0, 0]).is_err());
    assert!(decode("task.attempt_failed", 2, CODEC_POSTCARD, &[1, 14, 0, 0, 0]).is_ok());
    assert!(decode("task.attempt_failed", 2, CODEC_POSTCARD, &[1, 15, 0, 0, 0]).is_err());
}

#[test]
fn names_and_json_are_checked_again() {
    let what = |event_type, payload: &[u8]| match decode(event_type, 1, CODEC_POSTCARD, payload) {
        Err(DecodeError::Damaged { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert!(what("run.step_cancelled", b"\x02No").starts_with("`No` is no step name"));
    assert_eq!(what("run.step_cancelled", b"\x02\xff\xff"), postcard::Error::DeserializeBadUtf8.to_string());
    assert!(what("run.completed", b"\x03{1}\x00").starts_with("not JSON"));
    assert!(what("run.completed", b"\x041 2 \x00").starts_with("not JSON"));
    assert_eq!(what("agent.enabled", b"\x00"), "1 bytes are left over");
}

#[test]
fn approvers_have_names() {
    // key, name, description, department, tags, schema, then one step: name, title, needs, when, an approval with the
    // question and one role, quorum, content, own run, rejection, expiry; output, timeout, compensation; then the
    // workflow's output and timeout.
    let payload = |role: &[u8]| {
        let before = [1, 1, b'k', 0, 0, 0, 0, 2, b'{', b'}', 1, 1, b'a', 0, 0, 0, 2, 0, 1, 2];
        let length = [u8::try_from(role.len()).unwrap()];
        let after = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        [&before[..], &length[..], role, &after[..]].concat()
    };
    assert!(decode("workflow.drafted", 2, CODEC_POSTCARD, &payload(b"editor")).is_ok());
    let error = decode("workflow.drafted", 2, CODEC_POSTCARD, &payload(b"")).unwrap_err();
    assert!(error.to_string().contains("`role:` names no approver"), "{error}");
}

#[test]
fn mappings_are_in_order_and_without_repetition() {
    // key, name, description, department, tags, schema, no steps, then two entries of the output mapping.
    let payload = |one: u8, two: u8| [1, 1, b'k', 0, 0, 0, 0, 2, b'{', b'}', 0, 2, 1, one, 0, 1, two, 0];
    assert!(decode("workflow.drafted", 1, CODEC_POSTCARD, &payload(b'a', b'b')).is_ok());
    for (one, two) in [(b'b', b'a'), (b'a', b'a')] {
        let error = decode("workflow.drafted", 1, CODEC_POSTCARD, &payload(one, two)).unwrap_err();
        assert!(error.to_string().ends_with("the names of a mapping are not in order"));
    }
}
