//! Small valid things, to be changed by struct update.

use std::sync::Arc;
use std::time::Duration;

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::workflow::{
    Approval, Approver, ForEach, Mapping, ParentClose, SignalWait, SubRun, TaskWork, Verdict, Wait, Work,
};
use domain::{
    AttemptError, Definition, ErrorKind, Expression, FinishReason, Reply, RetryPolicy, Step, StepName, Timestamp, Usage,
};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) fn name(text: &str) -> StepName {
    text.parse().unwrap()
}

pub(crate) fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// So many seconds after the beginning of every test.
pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000).plus(Duration::from_secs(seconds))
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn expression(source: &str) -> Expression {
    source.parse().unwrap()
}

pub(crate) fn mapping(pairs: &[(&str, &str)]) -> Mapping {
    pairs.iter().map(|(key, source)| (name(key), source.parse().unwrap())).collect()
}

pub(crate) fn task_work(input: Mapping) -> TaskWork {
    TaskWork {
        agent: "writer".parse().unwrap(),
        template: "write".parse().unwrap(),
        input,
        retry: RetryPolicy::default(),
        attempt_timeout: Duration::from_secs(60),
        start_timeout: None,
    }
}

/// A step of one task, without mappings.
pub(crate) fn step(called: &str, needs: &[&str]) -> Step {
    working(called, needs, Work::Task(task_work(mapping(&[]))))
}

pub(crate) fn working(called: &str, needs: &[&str], work: Work) -> Step {
    Step {
        name: name(called),
        title: called.into(),
        needs: needs.iter().copied().map(name).collect(),
        when: None,
        work,
        output: mapping(&[]),
        timeout: None,
        compensation: None,
    }
}

/// A step of one task that reads.
pub(crate) fn reading(called: &str, needs: &[&str], input: &[(&str, &str)]) -> Step {
    working(called, needs, Work::Task(task_work(mapping(input))))
}

/// The task of a step that is one.
pub(crate) fn task_of(step: &mut Step) -> &mut TaskWork {
    match &mut step.work {
        Work::Task(task) => task,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn undone(step: Step) -> Step {
    Step { compensation: Some(Box::new(task_work(mapping(&[])))), ..step }
}

pub(crate) fn each(over: &str, max_parallel: u32) -> Work {
    Work::ForEach(ForEach { over: expression(over), max_parallel, each: task_work(mapping(&[])) })
}

/// Anybody but who started the run may decide; one yes is enough, and a no fails the step.
pub(crate) fn approval() -> Approval {
    Approval {
        question: "Shall we?".into(),
        approvers: vec![Approver::Anyone],
        quorum: 1,
        content: mapping(&[("topic", "input.topic")]),
        own_run: false,
        on_rejection: Verdict::Fail,
        expires_after: None,
        on_expiry: Verdict::Fail,
    }
}

pub(crate) fn wait(count: u64) -> Work {
    Work::Wait(Wait::For(seconds(count)))
}

pub(crate) fn signal(called: &str) -> Work {
    Work::Signal(SignalWait { signal: name(called) })
}

pub(crate) fn child(wait: bool, on_parent_close: ParentClose) -> Work {
    let workflow = "other".parse().unwrap();
    Work::Run(SubRun { workflow, version: None, input: mapping(&[("x", "input.topic")]), wait, on_parent_close })
}

pub(crate) fn definition(steps: Vec<Step>) -> Definition {
    Definition {
        key: "report".parse().unwrap(),
        name: "Report".into(),
        description: "Writes a report".into(),
        department: "editorial".to_owned(),
        tags: vec![],
        input_schema: json!({ "type": "object", "properties": { "topic": {} } }),
        steps,
        output: mapping(&[]),
        timeout: None,
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
        first_piece: None,
        simulated: false,
        account: None,
    }
}

pub(crate) fn profile() -> Profile {
    Profile { timeout: Duration::from_secs(60), ..Profile::new("writer".parse().unwrap(), "Writer", "You write.") }
}

pub(crate) fn body() -> TemplateBody {
    let parameters = json!({ "type": "object", "properties": { "topic": { "type": "string" } } });
    TemplateBody::new("write".parse().unwrap(), "Write", parameters, "Write about {{ topic }}.")
}
