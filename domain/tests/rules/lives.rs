//! Random definitions of all kinds of steps, driven to their end through failures, pauses, cancellations, signals,
//! decisions and jumps in time.

use std::collections::{BTreeMap, BTreeSet};

use domain::run::{RunStatus, StepStatus};
use domain::workflow::{Approval, ParentClose, Verdict, Work};
use domain::{Definition, RunEvent, Step, StepName, TaskId};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

use super::fixtures::{
    approval, child, definition, each, expression, mapping, seconds, signal, task_work, undone, wait, working,
};
use super::graphs::before;
use super::model::{Model, Move, any_move, kind_move};

fn work() -> impl Strategy<Value = Work> {
    let policy = || select(ParentClose::ALL.as_slice());
    let asks = (1_u32..3, weighted(0.5, 1_u64..30), select(Verdict::ALL.as_slice()), any::<bool>()).prop_map(
        |(quorum, expiry, on_expiry, soft)| {
            let on_rejection = if soft { Verdict::Reject } else { Verdict::Fail };
            let expires_after = expiry.map(seconds);
            Work::Approval(Approval { quorum, expires_after, on_expiry, on_rejection, ..approval() })
        },
    );
    prop_oneof![
        4 => Just(Work::Task(task_work(mapping(&[])))),
        3 => (1_u32..4).prop_map(|parallel| each("input.list", parallel)),
        2 => asks,
        2 => (0_u64..20).prop_map(wait),
        2 => select(["go", "stop"].as_slice()).prop_map(signal),
        2 => (any::<bool>(), policy()).prop_map(|(wait, policy)| child(wait, policy)),
    ]
}

fn drawn_step() -> impl Strategy<Value = (Vec<Index>, Step)> {
    let when = weighted(0.25, select(["`false`", "input.topic", "input.list"].as_slice()));
    let timeout = weighted(0.2, 1_u64..40);
    (vec(any::<Index>(), 0..3), work(), when, timeout, any::<bool>()).prop_map(|(needs, work, when, timeout, back)| {
        let step = Step { when: when.map(expression), timeout: timeout.map(seconds), ..working("s", &[], work) };
        (needs, if back { undone(step) } else { step })
    })
}

/// Up to 8 steps of every kind, each waiting for some of those made before it.
fn whole() -> impl Strategy<Value = Definition> {
    let schema = json!({ "type": "object", "properties": { "topic": {}, "list": {} } });
    (vec(drawn_step(), 1..9), weighted(0.3, 5_u64..120)).prop_map(move |(drawn, timeout)| {
        let steps = drawn.into_iter().enumerate().map(|(number, (needs, step))| {
            let needs = before(number, &needs).iter().map(|need| need.parse().unwrap()).collect();
            Step { name: format!("s{number}").parse().unwrap(), needs, ..step }
        });
        let steps = steps.collect();
        Definition { timeout: timeout.map(seconds), input_schema: schema.clone(), ..definition(steps) }
    })
}

/// What is known of a history from its events alone.
#[derive(Default)]
struct Told {
    started: BTreeSet<StepName>,
    done: BTreeSet<StepName>,
    ended: BTreeSet<StepName>,
    completed: Vec<StepName>,
    undone: Vec<StepName>,
    /// Per step: the elements under way, and how many have started.
    items: BTreeMap<StepName, (BTreeSet<u32>, u32)>,
    tasks: BTreeSet<TaskId>,
    failed: Option<Option<StepName>>,
    paused: bool,
    queued: bool,
    cancelling: bool,
    /// Whether the run is to fail although no step did.
    failing: bool,
}

impl Told {
    fn may_start(&self, event: &RunEvent) {
        assert!(!self.paused && !self.queued && !self.cancelling && self.failed.is_none(), "{event:?} came too late");
    }

    fn start(&mut self, definition: &Definition, step: &StepName, event: &RunEvent) {
        self.may_start(event);
        assert!(self.started.insert(step.clone()), "`{step}` started twice");
        let needs = &definition.step(step).unwrap().needs;
        assert!(needs.iter().all(|need| self.done.contains(need)), "`{step}` started before its needs");
    }

    fn end(&mut self, step: &StepName) {
        assert!(self.started.contains(step), "`{step}` ended before it started");
        assert!(self.ended.insert(step.clone()), "`{step}` ended twice");
    }

    fn new_task(&mut self, task: TaskId) {
        assert!(self.tasks.insert(task), "{task} is used twice");
    }

    fn take(&mut self, definition: &Definition, event: &RunEvent) {
        match event {
            RunEvent::StepStarted { step, task, .. } => {
                self.start(definition, step, event);
                self.new_task(*task);
            }
            RunEvent::ItemsPlanned { step, .. }
            | RunEvent::ApprovalRequested { step, .. }
            | RunEvent::TimerStarted { step, .. }
            | RunEvent::SignalAwaited { step, .. }
            | RunEvent::ChildStarted { step, .. } => self.start(definition, step, event),
            RunEvent::ItemStarted { step, item, task } => {
                self.may_start(event);
                self.new_task(*task);
                let Work::ForEach(each) = &definition.step(step).unwrap().work else { panic!("`{step}` has no list") };
                let (running, next) = self.items.entry(step.clone()).or_default();
                assert_eq!(item, next, "elements start in order");
                *next += 1;
                running.insert(*item);
                assert!(running.len() <= each.max_parallel as usize, "too many elements of `{step}` at once");
            }
            RunEvent::ItemCompleted { step, item, .. } | RunEvent::ItemFailed { step, item, .. } => {
                assert!(self.items.get_mut(step).unwrap().0.remove(item), "{item} of `{step}` did not run");
                assert!(!self.ended.contains(step));
            }
            RunEvent::StepSkipped { step, .. } => {
                self.start(definition, step, event);
                self.end(step);
                self.done.insert(step.clone());
            }
            RunEvent::StepCompleted { step, .. } => {
                self.end(step);
                self.done.insert(step.clone());
                self.completed.push(step.clone());
            }
            RunEvent::StepFailed { step, .. } => {
                self.started.insert(step.clone());
                self.end(step);
                self.failed.get_or_insert(Some(step.clone()));
            }
            RunEvent::StepCancelled { step } => self.end(step),
            RunEvent::Failing { .. } => {
                self.failing = true;
                self.failed.get_or_insert(None);
            }
            RunEvent::Paused(_) => self.paused = true,
            RunEvent::Resumed { .. } => self.paused = false,
            RunEvent::Queued { .. } => self.queued = true,
            RunEvent::Admitted => self.queued = false,
            RunEvent::CancelRequested { .. } => {
                assert!(!self.cancelling, "cancelled twice");
                (self.cancelling, self.paused) = (true, false);
            }
            RunEvent::CompensationStarted { step, task, .. } => {
                assert!(self.failed.is_some() || self.cancelling, "undone without a reason");
                assert!(self.started.iter().all(|step| self.ended.contains(step)), "undone while something runs");
                self.new_task(*task);
                self.undone.push(step.clone());
            }
            RunEvent::ChildAbandoned { step, .. } => {
                let Work::Run(run) = &definition.step(step).unwrap().work else { panic!("`{step}` is no run") };
                assert_eq!(run.on_parent_close, ParentClose::Abandon);
                assert!(self.started.contains(step) && !self.ended.contains(step));
            }
            RunEvent::Completed { .. } => {
                assert!(self.failed.is_none() && !self.cancelling && self.undone.is_empty());
                assert_eq!(self.done.len(), definition.steps.len());
            }
            RunEvent::Failed { step, .. } => {
                assert!(!self.cancelling, "who was asked to stop is cancelled");
                assert_eq!(Some(step), self.failed.as_ref(), "the first failure is the run's");
            }
            RunEvent::Cancelled { .. } => assert!(self.cancelling),
            RunEvent::Started(_)
            | RunEvent::Claimed { .. }
            | RunEvent::Stalled { .. }
            | RunEvent::ApprovalDecided { .. }
            | RunEvent::ApprovalExpired { .. }
            | RunEvent::SignalReceived { .. }
            | RunEvent::CompensationCompleted { .. }
            | RunEvent::CompensationFailed { .. } => {}
        }
    }

    /// At the end, everything that could be undone was, from the last to the first.
    fn check_undone(&self, definition: &Definition, completed: bool) {
        let can = |step: &&StepName| definition.step(step).unwrap().compensation.is_some();
        let expected: Vec<StepName> = self.completed.iter().rev().filter(can).cloned().collect();
        assert_eq!(self.undone, if completed { vec![] } else { expected });
    }
}

/// What must hold for every history that has ended.
fn check(model: &Model) {
    let (last, earlier) = model.run.history.split_last().unwrap();
    assert!(last.is_terminal() && !earlier.iter().any(RunEvent::is_terminal), "a run ends once");
    let mut told = Told::default();
    for event in &model.run.history {
        told.take(&model.definition, event);
    }
    assert!(told.started.iter().all(|step| told.ended.contains(step)), "every step that started ended");
    told.check_undone(&model.definition, model.run.state.status() == RunStatus::Completed);
    assert_eq!(model.run.state, model.run.folded(usize::MAX), "the fold is the same whenever it is made");
}

fn live(definition: Definition, list: usize, moves: &[Move]) -> Model {
    let mut model = Model::start(definition, list);
    for chosen in moves {
        if !model.ended() {
            model.make(chosen);
        }
    }
    model.finish();
    check(&model);
    model.is_over();
    model
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_run_ends_once_and_in_order(
        whole in whole(), list in 0_usize..5, moves in vec(any_move(), 0..80),
    ) {
        live(whole, list, &moves);
    }

    /// Without failures, limits of time, refusals and cancellations every step is done.
    #[test]
    fn a_run_in_a_kind_world_completes(whole in whole(), list in 0_usize..5, moves in vec(kind_move(), 0..80)) {
        let mut kind = Definition { timeout: None, ..whole };
        for step in &mut kind.steps {
            step.timeout = None;
            if let Work::Approval(asks) = &mut step.work {
                asks.on_expiry = Verdict::Reject;
            }
        }
        let model = live(kind, list, &moves);
        prop_assert_eq!(model.run.state.status(), RunStatus::Completed);
        let done = |status: StepStatus| status == StepStatus::Completed || status == StepStatus::Skipped;
        prop_assert!(model.run.state.steps().values().all(|step| done(step.status)));
    }
}
