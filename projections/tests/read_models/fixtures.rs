//! Small valid entries of the catalogue.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::workflow::{Approval, ForEach, ParentClose, SignalWait, SubRun, TaskWork, Verdict, Wait, Work};
use domain::{Bilingual, Capability, Definition, RetryPolicy, Step};
use serde_json::json;

/// A step without mappings, done by `writer` with `write`.
pub(crate) fn step(name: &str, needs: &[&str]) -> Step {
    working(name, needs, Work::Task(task()))
}

/// A step of any kind.
pub(crate) fn working(name: &str, needs: &[&str], work: Work) -> Step {
    Step {
        name: name.parse().unwrap(),
        title: both(&format!("Step {name}"), &format!("خطوة {name}")),
        needs: needs.iter().map(|need| need.parse().unwrap()).collect(),
        when: None,
        work,
        output: BTreeMap::new(),
        timeout: None,
        compensation: None,
    }
}

fn task() -> TaskWork {
    TaskWork {
        agent: "writer".parse().unwrap(),
        template: "write".parse().unwrap(),
        input: BTreeMap::new(),
        retry: RetryPolicy::default(),
        attempt_timeout: Duration::from_secs(60),
        start_timeout: Some(Duration::from_secs(60)),
    }
}

/// What `ask` of [`motley`] asks.
pub(crate) fn approval() -> Approval {
    Approval {
        question: "Is it go\0od?".into(),
        approvers: vec!["role:boss".parse().unwrap(), "person:Ada".parse().unwrap()],
        quorum: 2,
        content: BTreeMap::from([("n".parse().unwrap(), "input.topic".parse().unwrap())]),
        own_run: false,
        on_rejection: Verdict::Fail,
        expires_after: Some(Duration::from_secs(600)),
        on_expiry: Verdict::Reject,
    }
}

/// A step of every kind: some beside each other, one that is skipped, one that can be undone, and a last one.
pub(crate) fn motley(key: &str) -> Definition {
    let mut first = step("first", &[]);
    first.compensation = Some(Box::new(task()));
    first.timeout = Some(Duration::from_secs(3600));
    let mut skipped = step("skipped", &["first"]);
    skipped.when = Some("input.nothing".parse().unwrap());
    let mut pause = working("pause", &["first"], Work::Wait(Wait::For(Duration::from_secs(60))));
    pause.timeout = Some(Duration::from_secs(1800));
    let each = ForEach { over: "input.list".parse().unwrap(), max_parallel: 2, each: task() };
    let sub = SubRun {
        workflow: "entry-0".parse().unwrap(),
        version: None,
        input: BTreeMap::new(),
        wait: true,
        on_parent_close: ParentClose::Abandon,
    };
    let mut all = vec![
        first,
        skipped,
        pause,
        working("ask", &["first"], Work::Approval(approval())),
        working("ping", &["first"], Work::Signal(SignalWait { signal: "go".parse().unwrap() })),
        working("each", &["first"], Work::ForEach(each)),
        working("sub", &["first"], Work::Run(sub)),
    ];
    all.push(step("last", &["skipped", "pause", "ask", "ping", "each", "sub"]));
    definition(key, all)
}

/// A workflow of these steps.
pub(crate) fn definition(key: &str, steps: Vec<Step>) -> Definition {
    Definition {
        key: key.parse().unwrap(),
        name: both(&format!("The {key} workflow"), &format!("مسار {key}")),
        description: both("Writes", "يكتب"),
        department: "editorial".to_owned(),
        tags: vec!["text".to_owned(), "a \"quoted\" tag".to_owned()],
        input_schema: json!({ "type": "object" }),
        steps,
        output: BTreeMap::new(),
        timeout: None,
    }
}

/// `first` and `second` beside each other, then `third`.
pub(crate) fn diamond(key: &str) -> Definition {
    definition(key, vec![step("first", &[]), step("second", &[]), step("third", &["first", "second"])])
}

/// Steps one after the other.
pub(crate) fn chain(key: &str, length: usize) -> Definition {
    let name = |n: usize| format!("s{n}");
    let steps = (0..length).map(|n| match n.checked_sub(1) {
        Some(before) => step(&name(n), &[&name(before)]),
        None => step(&name(n), &[]),
    });
    definition(key, steps.collect())
}

/// An agent.
pub(crate) fn profile(key: &str) -> Profile {
    Profile {
        name: both(&format!("Agent {key}"), &format!("وكيل {key}")),
        capabilities: vec![Capability::Documentation],
        timeout: Duration::from_secs(60),
        languages: vec!["en".to_owned()],
        department: "editorial".to_owned(),
        tags: vec!["text".to_owned()],
        ..Profile::new(key.parse().unwrap(), "", "You write.")
    }
}

/// A text in both languages.
pub(crate) fn both(en: &str, ar: &str) -> Bilingual {
    Bilingual { en: en.to_owned(), ar: Some(ar.to_owned()) }
}

/// A template.
pub(crate) fn body(key: &str) -> TemplateBody {
    let parameters = json!({ "type": "object", "properties": {} });
    TemplateBody {
        title: both(&format!("Template {key}"), &format!("قالب {key}")),
        department: "editorial".to_owned(),
        // What PostgreSQL cannot keep in text must still come through in a document.
        ..TemplateBody::new(key.parse().unwrap(), "", parameters, "Write.\0")
    }
}

/// Some failure.
pub(crate) fn error() -> domain::AttemptError {
    domain::AttemptError { kind: domain::ErrorKind::Timeout, message: "too \0 late".to_owned(), retry_after: None }
}
