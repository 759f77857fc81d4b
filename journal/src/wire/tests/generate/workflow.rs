//! Arbitrary definitions, with steps of every kind.

use domain::workflow::{
    Approval, Approver, Assignee, ForEach, Mapping, ParentClose, SignalWait, SubRun, TaskWork, Verdict, Wait, Work,
};
use domain::{Definition, Event, Step, WorkflowEvent};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{bilingual, duration, expression, json, key, retry, step_name, text, texts};

pub(super) fn event() -> BoxedStrategy<Event> {
    prop_oneof![
        (any::<u32>(), definition())
            .prop_map(|(version, definition)| WorkflowEvent::Drafted { version, definition: Box::new(definition) }),
        any::<u32>().prop_map(|version| WorkflowEvent::Activated { version }),
    ]
    .prop_map(Event::from)
    .boxed()
}

pub(super) fn definition() -> BoxedStrategy<Definition> {
    let words = (key(), bilingual(), bilingual(), text(), texts());
    (words, json(), vec(step(), 0..4), mapping(), option::of(duration()))
        .prop_map(|(words, input_schema, steps, output, timeout)| {
            let (key, name, description, department, tags) = words;
            Definition { key, name, description, department, tags, input_schema, steps, output, timeout }
        })
        .boxed()
}

fn step() -> BoxedStrategy<Step> {
    let names = (step_name(), bilingual(), vec(step_name(), 0..3));
    let ends = (option::of(duration()), option::of(task()));
    (names, option::of(expression()), work(), mapping(), ends)
        .prop_map(|((name, title, needs), when, work, output, (timeout, compensation))| Step {
            name,
            title,
            needs,
            when,
            work,
            output,
            timeout,
            compensation: compensation.map(Box::new),
        })
        .boxed()
}

fn work() -> BoxedStrategy<Work> {
    let list = (expression(), any::<u32>(), task()).prop_map(|(over, max_parallel, each)| ForEach {
        over,
        max_parallel,
        each,
    });
    let run = (key(), option::of(any::<u32>()), mapping(), any::<bool>(), select(ParentClose::ALL.as_slice()))
        .prop_map(|(workflow, version, input, wait, on_parent_close)| SubRun {
            workflow,
            version,
            input,
            wait,
            on_parent_close,
        });
    prop_oneof![
        task().prop_map(Work::Task),
        list.prop_map(Work::ForEach),
        approval().prop_map(Work::Approval),
        duration().prop_map(|time| Work::Wait(Wait::For(time))),
        expression().prop_map(|moment| Work::Wait(Wait::Until(moment))),
        step_name().prop_map(|signal| Work::Signal(SignalWait { signal })),
        run.prop_map(Work::Run),
    ]
    .boxed()
}

fn approval() -> BoxedStrategy<Approval> {
    let name = || "[ -~]{1,12}";
    let approver =
        prop_oneof![Just(Approver::Anyone), name().prop_map(Approver::Person), name().prop_map(Approver::Role),];
    let verdict = || select(Verdict::ALL.as_slice());
    let expiry = (option::of(duration()), verdict());
    (bilingual(), vec(approver, 0..3), any::<u32>(), mapping(), any::<bool>(), verdict(), expiry)
        .prop_map(|(question, approvers, quorum, content, own_run, on_rejection, (expires_after, on_expiry))| {
            Approval { question, approvers, quorum, content, own_run, on_rejection, expires_after, on_expiry }
        })
        .boxed()
}

fn task() -> BoxedStrategy<TaskWork> {
    (key().prop_map(Assignee::from), key(), mapping(), retry(), duration(), option::of(duration()))
        .prop_map(|(agent, template, input, retry, attempt_timeout, start_timeout)| TaskWork {
            agent,
            template,
            input,
            retry,
            attempt_timeout,
            start_timeout,
        })
        .boxed()
}

fn mapping() -> impl Strategy<Value = Mapping> {
    btree_map(step_name(), expression(), 0..3)
}
