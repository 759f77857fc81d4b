//! Random graphs of plain tasks.

use std::collections::BTreeSet;

use domain::run::{RunStatus, StepStatus};
use domain::{Definition, RunId, Step, StepName, TaskId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use super::fixtures::{definition, name, reading, uuid};
use super::runs::{advance, asked, complete};

/// Up to 12 steps, each waiting for any of those made before it, listed in any order; some read what they wait for.
fn graph() -> impl Strategy<Value = Definition> {
    vec((vec(any::<Index>(), 0..4), any::<bool>()), 1..12)
        .prop_map(|drawn| {
            let steps = drawn.iter().enumerate().map(|(number, (needs, reads))| {
                let needs = before(number, needs);
                let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
                let sources: Vec<String> = needs.iter().map(|need| format!("steps.{need}.text")).collect();
                let pairs = needs.iter().copied().zip(sources.iter().map(String::as_str)).collect::<Vec<_>>();
                reading(&format!("s{number}"), &needs, if *reads { &pairs } else { &[] })
            });
            steps.collect::<Vec<Step>>()
        })
        .prop_shuffle()
        .prop_map(definition)
}

/// Some of the steps that were made before this one.
pub(crate) fn before(number: usize, drawn: &[Index]) -> BTreeSet<String> {
    match number {
        0 => BTreeSet::new(),
        _ => drawn.iter().map(|need| format!("s{}", need.index(number))).collect(),
    }
}

proptest! {
    /// As many steps run at once as the graph allows, and the output holds exactly the steps that nobody needs.
    #[test]
    fn nothing_waits_without_a_reason(graph in graph(), order in vec(any::<Index>(), 12)) {
        graph.validate().unwrap();
        let mut run = asked(graph.clone(), vec![advance(0)]);
        for which in order {
            let status = |step: &StepName| run.state.steps()[step].status;
            for step in &graph.steps {
                let ready = step.needs.iter().all(|need| status(need) == StepStatus::Completed);
                prop_assert_eq!(ready, status(&step.name) != StepStatus::Pending, "`{}`", &step.name);
            }
            let running: Vec<StepName> = run.state.running().map(|(step, _)| step.clone()).collect();
            if running.is_empty() {
                break;
            }
            run.ask(complete(which.get(&running).as_str())).unwrap();
        }
        prop_assert_eq!(run.state.status(), RunStatus::Completed);
        let needed: BTreeSet<&StepName> = graph.steps.iter().flat_map(|step| &step.needs).collect();
        let last = graph.steps.iter().map(|step| &step.name).filter(|step| !needed.contains(step));
        let expected = last.map(|step| (step.to_string(), json!({ "text": step.as_str() }))).collect();
        prop_assert_eq!(&**run.state.output().unwrap(), &serde_json::Value::Object(expected));
    }

    #[test]
    fn a_hidden_edge_back_is_found(graph in graph(), from in any::<Index>(), to in any::<Index>()) {
        // Make an early step wait for one that, directly or not, waits for it.
        let mut steps = graph.steps;
        steps.sort_by_key(|step| step.name.as_str()[1..].parse::<usize>().unwrap());
        let (from, to) = (from.index(steps.len()), to.index(steps.len()));
        let mut reached: BTreeSet<StepName> = [steps[from].name.clone()].into();
        for step in &steps[from..] {
            if step.needs.iter().any(|need| reached.contains(need)) {
                reached.insert(step.name.clone());
            }
        }
        prop_assume!(reached.contains(&steps[to].name));
        let back = steps[to].name.clone();
        steps[from].needs.push(back);
        let errors = definition(steps.clone()).validate().unwrap_err();
        let [domain::DefinitionError::Cycle { cycle }] = errors.as_slice() else { panic!("{errors:?}") };
        prop_assert_eq!(cycle.first(), cycle.last());
        for pair in cycle.windows(2) {
            let step = steps.iter().find(|step| step.name == pair[0]).unwrap();
            prop_assert!(step.needs.contains(&pair[1]), "{} does not wait for {}", &pair[0], &pair[1]);
        }
    }
}

#[test]
fn the_same_step_of_the_same_run_is_always_the_same_task() {
    let run = RunId::from_uuid(uuid(0x0190_0000_0000_7000_8000_0000_0000_0001));
    let task = TaskId::of_step(run, &name("a"));
    assert_eq!(task, TaskId::of_step(run, &name("a")));
    assert_ne!(task, TaskId::of_step(run, &name("b")));
    assert_ne!(task, TaskId::of_step(RunId::from_uuid(uuid(2)), &name("a")));
    assert_eq!(task.as_uuid().as_bytes()[..6], run.as_uuid().as_bytes()[..6]);
    assert_eq!(task.as_uuid().get_version_num(), 8);
}
