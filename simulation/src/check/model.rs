//! What a workflow gives, computed without the engine: from its blueprint, the input, and what platforms, people and
//! time brought.

use std::collections::BTreeMap;

use domain::workflow::{Verdict, Wait, Work};
use domain::{Step, StepName, Timestamp};
use serde_json::{Map, Value, json};

use super::run::{Doing, RunView, StepView};
use crate::catalog::{Blueprint, Sources};
use crate::source::{Scope, Unfit};

/// The output of a task's step, by its answer.
pub(super) fn of_answer(text: &str, mapped: bool) -> Value {
    match mapped {
        true => json!({"text": text, "word": json_of(text).get("word").cloned().unwrap_or_default()}),
        false => json!({ "text": text }),
    }
}

/// What a list of answers gives.
pub(super) fn of_answers(texts: &[String]) -> Value {
    let items: Vec<Value> = texts.iter().map(|text| json!({"text": text, "json": json_of(text)})).collect();
    json!({ "items": items })
}

fn json_of(text: &str) -> Value {
    let inner = text.strip_prefix("```json\n").and_then(|rest| rest.strip_suffix("\n```")).unwrap_or(text);
    if inner.starts_with('{') { serde_json::from_str(inner).unwrap_or_default() } else { Value::Null }
}

/// The parameters of a task; `None` when they cannot be made or do not fit the template.
pub(super) fn parameters(text: Result<Value, Unfit>) -> Option<Value> {
    match text {
        Ok(text @ Value::String(_)) => Some(json!({ "text": text })),
        _ => None,
    }
}

/// The input of the run that a step starts; `None` when it cannot be made.
pub(super) fn child_input(sources: &Sources, scope: &Scope<'_>) -> Option<Value> {
    let mut input = Map::new();
    let word = sources.text.as_ref()?.value(scope).ok()?;
    let given = |name: &str| scope.input.get(name).cloned().unwrap_or_default();
    for (name, value) in [("word", word), ("words", given("words")), ("flag", given("flag"))] {
        if !value.is_null() {
            input.insert(name.to_owned(), value);
        }
    }
    complete(&mut input);
    // A word that is no text does not fit the schema.
    input.get("word").is_some_and(Value::is_string).then_some(Value::Object(input))
}

/// Fills in what an input leaves out.
pub(super) fn complete(input: &mut Map<String, Value>) {
    let defaults = json!({"who": "nobody", "word": "plain", "words": ["x", "y"], "flag": true, "number": 3,
        "at": "2026-01-01T00:01:00Z"});
    for (name, value) in defaults.as_object().into_iter().flatten() {
        input.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

pub(super) fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros()).map_or_else(|_| String::new(), |at| at.to_string())
}

/// When a wait that starts now is over; `None` when that cannot be said.
pub(super) fn fires_at(wait: &Wait, now: Timestamp, input: &Value) -> Option<Timestamp> {
    match wait {
        Wait::For(duration) => Some(now.plus(*duration)),
        Wait::Until(_) => {
            let at: jiff::Timestamp = input.get("at")?.as_str()?.parse().ok()?;
            Some(Timestamp::from_micros(at.as_microsecond()))
        }
    }
}

/// Whether a step without any work to wait for fails the moment it starts.
pub(super) fn fails_at_start(step: &Step, sources: &Sources, scope: &Scope<'_>) -> bool {
    let text = || sources.text.as_ref().map(|text| text.value(scope));
    match &step.work {
        Work::Task(_) => parameters(text().unwrap_or(Err(Unfit))).is_none(),
        Work::ForEach(_) => !sources.list.as_ref().is_some_and(|list| list.value(scope).is_array()),
        Work::Approval(_) => text().is_none_or(|text| text.is_err()),
        Work::Wait(wait) => fires_at(wait, Timestamp::from_micros(0), scope.input).is_none(),
        Work::Signal(_) => false,
        Work::Run(_) => child_input(sources, scope).is_none(),
    }
}

/// What a step gives when it completes as it stands; `None` when it cannot complete yet.
pub(super) fn output(
    view: &StepView,
    step: &Step,
    sources: &Sources,
    answers: &BTreeMap<u32, String>,
    signals: &[Value],
) -> Option<Value> {
    match (&view.doing, &step.work) {
        (Doing::Task, _) => Some(of_answer(answers.get(&0)?, sources.mapped)),
        (Doing::Items { count }, _) => {
            let texts: Vec<String> = answers.values().cloned().collect();
            (texts.len() == *count).then(|| of_answers(&texts))
        }
        (Doing::Approval { content, decisions, expired }, Work::Approval(approval)) => {
            let said_no = decisions.iter().any(|(_, approved, _)| !approved);
            let agreed = decisions.iter().filter(|(_, approved, _)| *approved).count();
            let verdict = if said_no {
                approval.on_rejection
            } else if usize::try_from(approval.quorum).is_ok_and(|quorum| agreed >= quorum) {
                Verdict::Approve
            } else if *expired {
                approval.on_expiry
            } else {
                return None;
            };
            let approved = match verdict {
                Verdict::Fail => return None,
                Verdict::Reject => false,
                Verdict::Approve => true,
            };
            let decisions: Vec<Value> = decisions
                .iter()
                .map(|(by, approved, comment)| json!({"by": by, "approved": approved, "comment": comment}))
                .collect();
            Some(json!({"approved": approved, "decisions": decisions, "content": content}))
        }
        (Doing::Timer { fires_at, .. }, _) => Some(json!({ "until": moment(*fires_at) })),
        (Doing::Signal, _) => Some(json!({ "payload": signals.first()? })),
        (Doing::Child { run, output }, Work::Run(work)) => match (work.wait, output) {
            (false, _) => Some(json!({ "run": run.to_string() })),
            (true, Some(output)) => Some(json!({ "run": run.to_string(), "output": output })),
            (true, None) => None,
        },
        _ => None,
    }
}

/// What a run that completes gives; `None` when it cannot be made.
pub(super) fn run_output(blueprint: &Blueprint, run: &RunView) -> Option<Value> {
    match &blueprint.out {
        Some(out) => Some(json!({ "out": out.value(&run.scope()).ok()? })),
        None => {
            let needed = |name: &StepName| blueprint.definition.steps.iter().any(|step| step.needs.contains(name));
            let last = run.outputs.iter().filter(|(name, _)| !needed(name));
            Some(last.map(|(name, output)| (name.to_string(), output.clone())).collect())
        }
    }
}
