//! Small valid things, to be changed by struct update.

use std::sync::Arc;
use std::time::Duration;

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::{
    AttemptError, Definition, ErrorKind, Expression, FinishReason, Reply, RetryPolicy, Step, StepName, Usage,
};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) fn name(text: &str) -> StepName {
    text.parse().unwrap()
}

pub(crate) fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn mapping(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<StepName, Expression> {
    pairs.iter().map(|(key, source)| (name(key), source.parse().unwrap())).collect()
}

/// A step without mappings.
pub(crate) fn step(called: &str, needs: &[&str]) -> Step {
    Step {
        name: name(called),
        title: called.to_owned(),
        agent: "writer".parse().unwrap(),
        template: "write".parse().unwrap(),
        input: mapping(&[]),
        output: mapping(&[]),
        needs: needs.iter().copied().map(name).collect(),
        retry: RetryPolicy::default(),
        attempt_timeout: Duration::from_secs(60),
    }
}

pub(crate) fn definition(steps: Vec<Step>) -> Definition {
    Definition {
        key: "report".parse().unwrap(),
        name: "Report".to_owned(),
        description: "Writes a report".to_owned(),
        department: "editorial".to_owned(),
        tags: vec![],
        input_schema: json!({ "type": "object", "properties": { "topic": {} } }),
        steps,
        output: mapping(&[]),
    }
}

/// `a` and `b` beside each other, then `c`.
pub(crate) fn diamond() -> Definition {
    definition(vec![step("a", &[]), step("b", &[]), step("c", &["a", "b"])])
}

pub(crate) fn result(text: &str) -> Value {
    json!({ "text": text, "json": null })
}

pub(crate) fn output(text: &str) -> Arc<Value> {
    Arc::new(json!({ "text": text }))
}

pub(crate) fn error(kind: ErrorKind) -> AttemptError {
    AttemptError { kind, message: kind.name().to_owned(), retry_after: None }
}

pub(crate) fn reply(text: &str) -> Reply {
    Reply {
        text: text.to_owned(),
        finish: FinishReason::Stop,
        model: "m".to_owned(),
        usage: Usage::default(),
        cost: None,
        duration: Duration::from_millis(5),
        simulated: false,
    }
}

pub(crate) fn profile() -> Profile {
    Profile { timeout: Duration::from_secs(60), ..Profile::new("writer".parse().unwrap(), "Writer", "You write.") }
}

pub(crate) fn body() -> TemplateBody {
    let parameters = json!({ "type": "object", "properties": { "topic": { "type": "string" } } });
    TemplateBody::new("write".parse().unwrap(), "Write", parameters, "Write about {{ topic }}.")
}
