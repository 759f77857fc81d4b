//! Triggers in catalogues, and those of the starter catalogue.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use domain::Root;
use domain::trigger::TriggerKind;
use serde_json::{Map, Value, json};

use super::{Catalog, Fault, Kind};

const FLOW: &str = "
key: flow
name: Flow
description: One step.
input_schema:
  type: object
  required: [word, tone]
  additionalProperties: false
  properties: { word: { type: string }, tone: { type: string, default: kind }, more: { type: string } }
steps:
  - { name: only, title: Only, agent: writer, template: t, input: { word: input.word } }
";

fn errors(trigger: &str) -> Vec<String> {
    let catalog = Catalog::from_files([("workflows/flow.yaml", FLOW), ("triggers/t.yaml", trigger)]);
    let catalog = match catalog {
        Ok(catalog) => catalog,
        Err(errors) => return errors.as_slice().iter().map(ToString::to_string).collect(),
    };
    let of_triggers = |error: &&super::CatalogError| error.file.starts_with("triggers");
    catalog.check().iter().filter(of_triggers).map(ToString::to_string).collect()
}

#[test]
fn a_trigger_has_to_fit_its_workflow() {
    let fits = "key: t\nworkflow: flow\nschedule: { cron: 0 9 * * * }\ninput: { word: trigger.tick.date }\n";
    assert_eq!(errors(fits), [""; 0]);
    let unknown = errors("key: t\nworkflow: flaw\nschedule: { cron: 0 9 * * * }\n");
    assert_eq!(unknown, ["triggers/t.yaml:2:1: workflow: the workflow `flaw` does not exist; known are flow"]);
    let input = errors("key: t\nworkflow: flow\nschedule: { cron: 0 9 * * * }\ninput:\n  ward: trigger.tick.date\n");
    assert_eq!(input.len(), 2, "{input:?}");
    assert!(
        input[0].starts_with("triggers/t.yaml:5:3: input.ward: `ward` is no input of the workflow `flow`"),
        "{input:?}"
    );
    assert!(input[1].contains("`word` is not given"), "{input:?}");
    // What is posted is not known before.
    assert_eq!(errors("key: t\nworkflow: flow\nexternal: { name: ping }\n"), [""; 0]);
    let types = errors("key: t\nworkflow: flow\nevent:\n  types: [run.exploded]\ninput: { word: trigger.event.id }\n");
    assert!(types[0].contains("triggers/t.yaml:4:") && types[0].contains("`run.exploded`"), "{types:?}");
}

#[test]
fn two_triggers_of_one_key_are_refused_and_an_own_one_hides_the_starter_catalogues() {
    let trigger = "key: bug-reported\nworkflow: bug-to-fix\nexternal: { name: bug }\n";
    let twice = Catalog::from_files([("triggers/a.yaml", trigger), ("triggers/b.yaml", trigger)]).unwrap_err();
    assert!(matches!(*twice.as_slice()[0].fault, Fault::DuplicateKey { kind: Kind::Trigger, .. }));
    let starter = Catalog::starter().unwrap();
    let count = starter.counts().triggers;
    let whole = Catalog::from_files([("triggers/a.yaml", trigger)]).unwrap().over(starter);
    assert_eq!(whole.counts().triggers, count);
    let ours = whole.triggers.iter().find(|entry| entry.settings.key.as_str() == "bug-reported").unwrap();
    assert!(!ours.paused);
}

/// What `trigger` is when each of our triggers fires, with as little as it takes.
fn least(key: &str, kind: &TriggerKind) -> Value {
    let long = "x".repeat(60);
    let payload = match key {
        "complaint-received" => json!({ "customer": "Mona", "complaint": long }),
        "data-request-received" => json!({ "request_text": long }),
        "phishing-reported" => json!({ "messages": [long] }),
        "pull-request-opened" => json!({ "diff": long }),
        "bug-reported" => json!({ "complaint": long, "product": "The mobile app, version 7" }),
        "incident-resolved" => json!({ "incident": "INC-7", "service": "mail" }),
        _ => Value::Null,
    };
    let event = json!({
        "id": "e", "type": "run.failed", "workflow": "supplier-payment-run", "run": "r",
        "recorded_at": "2026-01-01T00:00:00Z", "data": { "error": "x" },
    });
    json!({
        "key": key, "kind": kind.name(), "fired_at": "2026-01-01T00:00:00Z", "payload": payload, "event": event,
        "tick": { "at": "2026-01-01T00:00:00Z", "date": "2026-01-01" },
    })
}

#[test]
fn our_triggers_begin_paused_and_start_their_workflows_with_as_little_as_they_ask_for() {
    let catalog = Catalog::starter().unwrap();
    assert!(catalog.triggers.len() >= 6, "{}", catalog.triggers.len());
    for entry in &catalog.triggers {
        let settings = &entry.settings;
        let key = settings.key.as_str();
        assert!(entry.paused, "{key}");
        let scope = least(key, &settings.kind);
        let when = match &settings.kind {
            TriggerKind::Schedule(_) => None,
            TriggerKind::Event { when, .. } | TriggerKind::External { when, .. } => when.as_ref(),
        };
        if let Some(when) = when {
            let (event, payload) = (&scope["event"], &scope["payload"]);
            let roots = [("event", Root::Value(event)), ("payload", Root::Value(payload))];
            assert!(when.is_met(&roots).unwrap(), "{key}: {payload}");
            let nothing = [("event", Root::Value(&Value::Null)), ("payload", Root::Value(&Value::Null))];
            assert!(!when.is_met(&nothing).unwrap(), "{key}: what lacks everything starts nothing");
        }
        let mut input = Map::new();
        for (name, expression) in &settings.input {
            let value = expression.evaluate(&[("trigger", Root::Value(&scope))]).unwrap();
            if !value.is_null() {
                input.insert(name.as_str().to_owned(), value);
            }
        }
        let workflow = catalog.workflows.iter().find(|flow| flow.key == settings.workflow).unwrap();
        let schema = jsonschema::validator_for(&workflow.input_schema).unwrap();
        let input = super::schema::complete(&workflow.input_schema, &Value::Object(input));
        let wrong: Vec<String> = schema.iter_errors(&input).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{key}: {wrong:?}");
    }
}
