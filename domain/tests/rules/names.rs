//! Names, identifiers, moments.

use std::time::Duration;

use domain::{Actor, AgentId, Category, Key, RunId, StepName, StreamId, TemplateId, Timestamp, WorkflowId};
use proptest::prelude::*;

use super::fixtures::uuid;

#[test]
fn keys_and_step_names_have_an_alphabet_and_a_length() {
    let longest = "a".repeat(64);
    for good in ["a", "9", "0.a", "write-report_2.draft", &longest] {
        assert_eq!(good.parse::<Key>().unwrap().as_str(), good);
    }
    for bad in ["", "A", "-a", "_a", ".a", "a b", "a/b", "ä", "a\n", "a\0", &"a".repeat(65)] {
        assert!(bad.parse::<Key>().is_err(), "{bad:?}");
    }
    for good in ["a", "a_1", &longest] {
        assert_eq!(good.parse::<StepName>().unwrap().as_str(), good);
    }
    for bad in ["", "1a", "_a", "a-b", "a.b", "A", "é", &"a".repeat(65)] {
        assert!(bad.parse::<StepName>().is_err(), "{bad:?}");
    }
    let error = "Draft 1".parse::<StepName>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`Draft 1` is no step name: it must be 1 to 64 of a-z, 0-9 and `_`, starting with a letter"
    );
    assert_eq!("é".repeat(500).parse::<Key>().unwrap_err().text.chars().count(), 80);
}

#[test]
fn reading_json_checks_names_too() {
    assert!(serde_json::from_str::<Key>("\"fine\"").is_ok());
    assert!(serde_json::from_str::<Key>("\"Not fine\"").is_err());
    assert!(serde_json::from_str::<StepName>("\"not-fine\"").is_err());
    assert!(serde_json::from_str::<domain::Expression>("\"a b\"").is_err());
}

#[test]
fn a_key_gives_the_same_id_everywhere_and_another_for_each_kind() {
    let key: Key = "writer".parse().unwrap();
    let (agent, template, workflow) = (AgentId::from_key(&key), TemplateId::from_key(&key), WorkflowId::from_key(&key));
    assert_eq!(agent, AgentId::from_key(&key));
    assert_ne!(agent.as_uuid(), template.as_uuid());
    assert_ne!(template.as_uuid(), workflow.as_uuid());
    // Written down, because streams are found by it: it must never change.
    assert_eq!(agent.to_string(), "5b732f64-40d5-8367-9dcf-90580b120b40");
    assert_eq!(agent.to_string().parse::<AgentId>().unwrap(), agent);
}

#[test]
fn streams_have_readable_names() {
    let stream = StreamId::from(RunId::from_uuid(uuid(1)));
    assert_eq!(stream.to_string(), "run-00000000-0000-0000-0000-000000000001");
    for category in Category::ALL {
        assert_eq!(category.name().parse::<Category>().unwrap(), category);
    }
    assert!("runs".parse::<Category>().is_err());
    assert_eq!(Actor::system("engine").to_string(), "system:engine");
    assert_eq!(Actor::person("mara").to_string(), "person:mara");
}

proptest! {
    #[test]
    fn time_never_overflows(at: i64, pause in any::<Duration>(), other: i64) {
        let at = Timestamp::from_micros(at);
        prop_assert!(at.plus(pause) >= at);
        let since = Timestamp::from_micros(other).since(at);
        prop_assert!(since.is_zero() || other > at.as_micros());
    }
}

#[test]
fn moments_count_microseconds() {
    let at = Timestamp::from_micros(1_000_000);
    let later = at.plus(Duration::from_millis(2));
    assert_eq!(later.as_micros(), 1_002_000);
    assert_eq!(later.since(at), Duration::from_millis(2));
    assert_eq!(at.since(later), Duration::ZERO);
}
