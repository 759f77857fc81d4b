#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::time::Duration;

use domain::ErrorKind;
use domain::workflow::{Approver, ParentClose, Verdict, Wait, Work};

use super::*;

const EVERY_KIND: &str = "\
key: contract
name: Contract
description: Every kind of step.
timeout: 30d
input_schema:
  type: object
  properties:
    clauses: { type: array }
    start: { type: string }
    urgent: { type: boolean }
steps:
  - name: review
    title: Review the clauses
    for_each: { over: input.clauses, max_parallel: 3 }
    agent: lawyer
    template: review-clause
    input: { clause: item, number: index }
    start_timeout: 1h
    step_timeout: 2d
    retry: { max_attempts: 5, budget: 1h, never: [content_refused] }
  - name: ask
    title: Ask the board
    needs: [review]
    when: \"!input.urgent\"
    approval:
      question: Shall we sign?
      approvers: [role:board, person:anna]
      quorum: 2
      content: { review: steps.review.items }
      expires_after: 3d
      on_rejection: reject
      on_expiry: fail
  - name: wait
    title: Wait for the day
    needs: [ask]
    wait: { until: input.start }
  - name: rest
    title: Rest
    wait: { for: 90s }
  - name: signed
    title: Until it is signed
    signal: contract_signed
  - name: archive
    title: Archive
    needs: [wait, signed]
    run:
      workflow: archive
      version: 3
      input: { what: steps.signed.payload }
      wait: false
      on_parent_close: abandon
  - name: announce
    title: Announce
    needs: [archive]
    agent: writer
    template: announce
    input: { run: steps.archive.run }
    compensation: { agent: writer, template: retract, input: { what: steps.announce.text }, timeout: 1m }
output:
  approved: steps.ask.approved
";

#[test]
fn every_kind_of_step_is_read_and_written() {
    let definition = parse_workflow("w", EVERY_KIND).unwrap();
    assert_eq!(definition.timeout, Some(Duration::from_secs(30 * 86_400)));
    let step = |name: &str| definition.step(&name.parse().unwrap()).unwrap();
    let Work::ForEach(each) = &step("review").work else { panic!("no for_each") };
    assert_eq!((each.max_parallel, each.each.retry.max_attempts), (3, 5));
    assert_eq!(each.each.retry.budget, Some(Duration::from_secs(3600)));
    assert_eq!(each.each.retry.never, [ErrorKind::ContentRefused]);
    assert_eq!(each.each.start_timeout, Some(Duration::from_secs(3600)));
    assert_eq!(step("review").timeout, Some(Duration::from_secs(2 * 86_400)));
    let Work::Approval(approval) = &step("ask").work else { panic!("no approval") };
    assert_eq!(approval.approvers, [Approver::Role("board".to_owned()), Approver::Person("anna".to_owned())]);
    assert_eq!((approval.on_rejection, approval.on_expiry), (Verdict::Reject, Verdict::Fail));
    assert_eq!(step("ask").when.as_ref().unwrap().as_str(), "!input.urgent");
    assert!(matches!(&step("wait").work, Work::Wait(Wait::Until(_))));
    assert!(matches!(&step("rest").work, Work::Wait(Wait::For(pause)) if *pause == Duration::from_secs(90)));
    assert!(matches!(&step("signed").work, Work::Signal(wait) if wait.signal.as_str() == "contract_signed"));
    let Work::Run(run) = &step("archive").work else { panic!("no run") };
    assert_eq!((run.version, run.wait, run.on_parent_close), (Some(3), false, ParentClose::Abandon));
    assert_eq!(step("announce").compensation.as_ref().unwrap().template.as_str(), "retract");
    let written = workflow_to_yaml(&definition).unwrap();
    assert_eq!(parse_workflow("w", &written), Ok(definition), "{written}");
}

/// What is wrong after a change to the file, a line each.
fn wrong(was: &str, is: &str) -> String {
    assert!(EVERY_KIND.contains(was), "{was}");
    parse_workflow("w.yaml", &EVERY_KIND.replacen(was, is, 1)).unwrap_err().to_string()
}

#[test]
fn a_step_is_of_exactly_one_kind() {
    assert_eq!(
        wrong("    signal: contract_signed\n", ""),
        "w.yaml:40:11: step `signed` does nothing: give it `agent` and `template`, `approval`, `wait`, `signal` or `run`\n\
         w.yaml:48:22: step `archive`, run.input `what`: `steps.signed.payload` reads `steps.signed.payload`, but that \
         step's output has no such value"
    );
    assert_eq!(
        wrong("    signal: contract_signed\n", "    signal: contract_signed\n    wait: { for: 1s }\n")
            .lines()
            .next()
            .unwrap(),
        "w.yaml:40:11: step `signed` is of several kinds at once: wait, signal"
    );
    assert_eq!(
        wrong("    signal: contract_signed\n", "    signal: contract_signed\n    retry: { max_attempts: 2 }\n")
            .lines()
            .next()
            .unwrap(),
        "w.yaml:40:11: step `signed` has `retry`, which only a step with an agent can have"
    );
    assert_eq!(
        wrong("    wait: { for: 90s }", "    wait: { for: 90s, until: input.start }"),
        "w.yaml:37:11: step `rest` must wait either `for` a duration or `until` a moment"
    );
}

#[test]
fn what_a_step_reads_must_be_there() {
    assert_eq!(
        wrong("until: input.start", "until: input.begin"),
        "w.yaml:36:20: step `wait`, wait.until: `input.begin` reads `input.begin`, but the input schema has no such \
         property"
    );
    assert_eq!(
        wrong("review: steps.review.items", "review: steps.review.text"),
        "w.yaml:29:26: step `ask`, approval.content `review`: `steps.review.text` reads `steps.review.text`, but that \
         step's output has no such value"
    );
    assert_eq!(
        wrong("run: steps.archive.run", "run: item"),
        "w.yaml:57:19: step `announce`, input `run`: `item` reads `item`, but a mapping reads only `input` and `steps`"
    );
}

#[test]
fn numbers_and_names_have_their_ranges() {
    assert_eq!(
        wrong("max_parallel: 3", "max_parallel: 0"),
        "w.yaml:12:11: step `review`: for_each.max_parallel must be 1 to 1000"
    );
    assert_eq!(
        wrong("timeout: 30d", "timeout: 400d"),
        "w.yaml:4:1: timeout: the workflow's timeout must be 1 ms to 366 days"
    );
    let refused = wrong("role:board", "board");
    assert!(refused.contains("`board` names no approver; write `anyone`, `person:NAME` or `role:NAME`"), "{refused}");
}
