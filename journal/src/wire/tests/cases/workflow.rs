//! A definition with a step of every kind, and one with nothing.

use std::time::Duration;

use domain::workflow::{
    Approval, Approver, ForEach, Mapping, ParentClose, SignalWait, SubRun, TaskWork, Verdict, Wait, Work,
};
use domain::{Bilingual, Definition, Expression, RetryPolicy, Step};
use serde_json::json;

use super::{both, retry};

fn mapping(pairs: &[(&str, &str)]) -> Mapping {
    pairs.iter().map(|(name, source)| (name.parse().unwrap(), Expression::trusted(source))).collect()
}

fn task() -> TaskWork {
    TaskWork {
        agent: "writer".parse().unwrap(),
        template: "write.draft".parse().unwrap(),
        input: mapping(&[("topic", "input.topic"), ("pages", "input.pages || `1`")]),
        retry: retry(),
        attempt_timeout: Duration::from_secs(90),
        start_timeout: Some(Duration::from_secs(600)),
    }
}

fn bare_task() -> TaskWork {
    TaskWork { input: [].into(), retry: RetryPolicy::default(), start_timeout: None, ..task() }
}

/// A step that has only its work.
fn step(name: &str, work: Work) -> Step {
    Step {
        name: name.parse().unwrap(),
        title: Bilingual::default(),
        needs: vec![],
        when: None,
        work,
        output: [].into(),
        timeout: None,
        compensation: None,
    }
}

pub(super) fn definition() -> Definition {
    let draft = Step {
        title: both("Draft", "مسودة"),
        needs: vec!["approve".parse().unwrap(), "sections".parse().unwrap()],
        when: Some(Expression::trusted("input.pages")),
        output: mapping(&[("text", "result.text"), ("words", "length(result.text)")]),
        timeout: Some(Duration::from_secs(7200)),
        compensation: Some(Box::new(task())),
        ..step("draft", Work::Task(task()))
    };
    let undo_bare = Step { compensation: Some(Box::new(bare_task())), ..step("polish_2", Work::Task(bare_task())) };
    let list = ForEach { over: Expression::trusted("input.sections"), max_parallel: 4, each: task() };
    let approval = Approval {
        question: both("Is „this“ right?", "هل هذا صحيح؟"),
        approvers: vec![Approver::Person("ada".to_owned()), Approver::Role("editor:de".to_owned()), Approver::Anyone],
        quorum: 2,
        content: mapping(&[("text", "steps.draft.text")]),
        own_run: true,
        on_rejection: Verdict::Reject,
        expires_after: Some(Duration::from_secs(86_400)),
        on_expiry: Verdict::Approve,
    };
    let bare_approval = Approval {
        question: Bilingual::default(),
        approvers: vec![],
        quorum: 0,
        content: [].into(),
        own_run: false,
        on_rejection: Verdict::Fail,
        expires_after: None,
        on_expiry: Verdict::Fail,
    };
    let run = SubRun {
        workflow: "print".parse().unwrap(),
        version: Some(3),
        input: mapping(&[("text", "steps.draft.text")]),
        wait: true,
        on_parent_close: ParentClose::Cancel,
    };
    let alone =
        SubRun { version: None, input: [].into(), wait: false, on_parent_close: ParentClose::Abandon, ..run.clone() };
    Definition {
        key: "write-report".parse().unwrap(),
        name: both("Write a report", "كتابة تقرير"),
        description: both("From a topic to a text", "من موضوع إلى نص"),
        department: "editorial".to_owned(),
        tags: vec!["text".to_owned(), "größe".to_owned()],
        input_schema: json!({ "type": "object", "properties": { "topic": { "type": "string" }, "pages": {} } }),
        steps: vec![
            draft,
            undo_bare,
            step("sections", Work::ForEach(list)),
            step("approve", Work::Approval(approval)),
            step("approve_2", Work::Approval(bare_approval)),
            step("pause", Work::Wait(Wait::For(Duration::from_secs(30)))),
            step("until", Work::Wait(Wait::Until(Expression::trusted("input.moment")))),
            step("paid", Work::Signal(SignalWait { signal: "payment".parse().unwrap() })),
            step("print", Work::Run(run)),
            step("archive", Work::Run(alone)),
        ],
        output: mapping(&[("report", "steps.draft.text")]),
        timeout: Some(Duration::from_secs(366 * 86_400)),
    }
}

pub(super) fn bare_definition() -> Definition {
    Definition {
        name: Bilingual::default(),
        description: Bilingual::default(),
        department: String::new(),
        tags: vec![],
        input_schema: json!({}),
        steps: vec![],
        output: [].into(),
        timeout: None,
        ..definition()
    }
}
