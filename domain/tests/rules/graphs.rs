//! Random graphs, run to their end by a driver that stands in for the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::run::{RunStatus, StepStatus};
use domain::{
    Definition, ErrorKind, NodeId, Run, RunCommand, RunEvent, RunId, RunRefusal, Step, StepName, TaskId, WorkflowId,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use super::drive::Driven;
use super::fixtures::{definition, error, mapping, name, result, step, uuid};

/// What the driver does next: to which of the running steps, and what.
#[derive(Debug, Clone)]
enum Move {
    Complete(Index),
    Fail(Index),
    Advance,
    Claim,
    Cancel,
    Repeat(Index),
}

fn moves(failing: u32, cancelling: u32) -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        20 => any::<Index>().prop_map(Move::Complete),
        failing => any::<Index>().prop_map(Move::Fail),
        2 => Just(Move::Advance),
        1 => Just(Move::Claim),
        cancelling => Just(Move::Cancel),
        2 => any::<Index>().prop_map(Move::Repeat),
    ];
    vec(one, 0..60)
}

/// Up to 12 steps, each waiting for any of those made before it, listed in any order; some read what they wait for.
fn graph() -> impl Strategy<Value = Definition> {
    vec((vec(any::<Index>(), 0..4), any::<bool>()), 1..12)
        .prop_map(|drawn| {
            let steps = drawn.iter().enumerate().map(|(number, (needs, reads))| {
                let needs: BTreeSet<String> = match number {
                    0 => BTreeSet::new(),
                    _ => needs.iter().map(|need| format!("s{}", need.index(number))).collect(),
                };
                let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
                let sources: Vec<String> = needs.iter().map(|need| format!("steps.{need}.text")).collect();
                let pairs = needs.iter().copied().zip(sources.iter().map(String::as_str)).collect::<Vec<_>>();
                let input = if *reads { mapping(&pairs) } else { mapping(&[]) };
                Step { input, ..step(&format!("s{number}"), &needs) }
            });
            steps.collect::<Vec<_>>()
        })
        .prop_shuffle()
        .prop_map(definition)
}

struct Driver {
    run: Driven<Run>,
    definition: Definition,
}

impl Driver {
    fn start(definition: &Definition) -> Self {
        definition.validate().unwrap();
        let mut run = Driven::new();
        run.ask(RunCommand::Start {
            id: RunId::from_uuid(uuid(1)),
            workflow: WorkflowId::from_uuid(uuid(2)),
            version: 1,
            definition: Arc::new(definition.clone()),
            input: Arc::new(json!({ "topic": "moon" })),
        })
        .unwrap();
        run.ask(RunCommand::Advance).unwrap();
        Self { run, definition: definition.clone() }
    }

    fn running(&self) -> Vec<StepName> {
        self.run.state.running().map(|(step, _)| step.clone()).collect()
    }

    fn ask(&mut self, command: RunCommand) {
        self.run.ask(command).unwrap();
    }

    fn make(&mut self, chosen: &Move) {
        let running = self.running();
        match chosen {
            Move::Advance => self.ask(RunCommand::Advance),
            Move::Claim => self.ask(RunCommand::Claim { node: NodeId::from_uuid(uuid(9)) }),
            Move::Cancel => self.ask(RunCommand::RequestCancel { reason: "enough".to_owned() }),
            Move::Complete(which) if !running.is_empty() => self.complete(which.get(&running)),
            Move::Fail(which) if !running.is_empty() => {
                let step = which.get(&running).clone();
                self.ask(RunCommand::FailStep { step, error: error(ErrorKind::Timeout) });
            }
            Move::Complete(_) | Move::Fail(_) => {}
            Move::Repeat(which) => {
                // A result that comes twice, or before its time, is refused and changes nothing.
                let step = which.get(&self.definition.steps).name.clone();
                if !running.contains(&step) {
                    let before = self.run.state.clone();
                    let late = RunCommand::CompleteStep { step: step.clone(), result: result("late"), simulated: true };
                    assert_eq!(self.run.ask(late), Err(RunRefusal::StepNotRunning { step }));
                    assert_eq!(self.run.state, before);
                }
            }
        }
    }

    fn complete(&mut self, step: &StepName) {
        let result = result(step.as_str());
        self.ask(RunCommand::CompleteStep { step: step.clone(), result, simulated: false });
    }

    fn ended(&self) -> bool {
        self.run.state.status().is_terminal()
    }

    /// Whatever happened so far, the engine can always bring the run to its end.
    fn finish(&mut self) {
        for _ in 0..=self.definition.steps.len() {
            if self.ended() {
                return;
            }
            if self.run.state.status() == RunStatus::Cancelling {
                self.ask(RunCommand::FinishCancel);
            } else {
                let running = self.running();
                let step = running.first().expect("a live run that is not being cancelled has something under way");
                self.complete(&step.clone());
            }
        }
        assert!(self.ended(), "the run does not end: {:?}", self.run.state);
    }

    /// What must hold for every history.
    fn check(&self) {
        let mut completed = BTreeSet::new();
        let mut started = BTreeMap::new();
        let mut failed = None;
        let (last, before) = self.run.history.split_last().unwrap();
        assert!(last.is_terminal());
        assert!(!before.iter().any(RunEvent::is_terminal), "a run ends once");
        for event in &self.run.history {
            match event {
                RunEvent::StepStarted { step, task } => {
                    assert_eq!(*task, TaskId::of_step(RunId::from_uuid(uuid(1)), step));
                    assert!(started.insert(step.clone(), *task).is_none(), "`{step}` started twice");
                    let needs = &self.definition.step(step).unwrap().needs;
                    assert!(needs.iter().all(|need| completed.contains(need)), "`{step}` started before its needs");
                    assert!(failed.is_none(), "`{step}` started after a failure");
                }
                RunEvent::StepCompleted { step, .. } => {
                    assert!(started.contains_key(step));
                    assert!(completed.insert(step.clone()), "`{step}` completed twice");
                }
                RunEvent::StepFailed { step, .. } => failed = failed.or(Some(step.clone())),
                RunEvent::Completed { .. } => assert_eq!(completed.len(), self.definition.steps.len()),
                RunEvent::Failed { step, .. } => assert_eq!(*step, failed, "the first failure is the run's"),
                _ => {}
            }
        }
        let tasks: BTreeSet<TaskId> = started.values().copied().collect();
        assert_eq!(tasks.len(), started.len(), "every step has a task of its own");
        let steps = self.run.state.steps();
        assert!(steps.values().all(|step| step.status != StepStatus::Running), "nothing runs after the end");
        assert_eq!(self.run.state, self.run.folded(usize::MAX), "the fold is the same whenever it is made");
    }
}

proptest! {
    #[test]
    fn every_graph_runs_to_its_end_in_order(graph in graph(), moves in moves(0, 0)) {
        let mut driver = Driver::start(&graph);
        for chosen in &moves {
            if !driver.ended() {
                driver.make(chosen);
            }
        }
        driver.finish();
        driver.check();
        prop_assert_eq!(driver.run.state.status(), RunStatus::Completed);
        // The output holds exactly the steps that nobody needs.
        let needed: BTreeSet<&StepName> = graph.steps.iter().flat_map(|step| &step.needs).collect();
        let last = graph.steps.iter().map(|step| &step.name).filter(|step| !needed.contains(step));
        let expected = last.map(|step| (step.to_string(), json!({ "text": step.as_str() }))).collect();
        prop_assert_eq!(&**driver.run.state.output().unwrap(), &serde_json::Value::Object(expected));
    }

    #[test]
    fn failures_and_cancellations_end_runs_too(graph in graph(), moves in moves(2, 1)) {
        let mut driver = Driver::start(&graph);
        for chosen in &moves {
            if !driver.ended() {
                driver.make(chosen);
            }
        }
        driver.finish();
        driver.check();
        let ended = driver.run.state.clone();
        for command in [RunCommand::Advance, RunCommand::FinishCancel] {
            prop_assert_eq!(driver.run.ask(command), Err(RunRefusal::Ended { status: ended.status() }));
        }
        prop_assert_eq!(&driver.run.state, &ended);
    }

    /// As many steps run at once as the graph allows.
    #[test]
    fn nothing_waits_without_a_reason(graph in graph(), moves in moves(0, 0)) {
        let mut driver = Driver::start(&graph);
        for chosen in &moves {
            if driver.ended() {
                break;
            }
            let status = |step: &StepName| driver.run.state.steps()[step].status;
            for step in &graph.steps {
                let ready = step.needs.iter().all(|need| status(need) == StepStatus::Completed);
                prop_assert_eq!(ready, status(&step.name) != StepStatus::Pending, "`{}`", &step.name);
            }
            driver.make(chosen);
        }
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
