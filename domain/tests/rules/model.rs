//! A driver that stands in for the engine and for the world around it: clocks, agents, people, other runs.

use std::sync::Arc;
use std::time::Duration;

use domain::limit::LimitScope;
use domain::run::{Activity, PauseClock, RunStatus, SlotsNeed, Start, StepState, StepStatus, TaskEnd};
use domain::{
    Actor, Definition, ErrorKind, LimitId, NodeId, Run, RunCommand, RunRefusal, SlotsId, StepName, TaskId, Timestamp,
};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use super::drive::Driven;
use super::fixtures::{at, error, name, result, seconds, uuid};
use super::runs::{beginning, id, pausing};

/// What happens next.
#[derive(Debug, Clone)]
pub(crate) enum Move {
    Complete(Index),
    Fail(Index),
    CutTask(Index),
    EndChild(Index, bool),
    FailStep(Index),
    Decide(Index, u8, bool),
    Signal(bool),
    Advance,
    Pass(u64),
    Pause(bool),
    Resume,
    Claim,
    Queue,
    Admit,
    Cancel,
    CutOff,
    /// What comes twice, or before its time.
    Repeat(Index),
}

/// Moves in a world in which nothing fails and nobody refuses.
pub(crate) fn kind_move() -> impl Strategy<Value = Move> {
    let index = any::<Index>;
    prop_oneof![
        40 => index().prop_map(Move::Complete),
        6 => index().prop_map(|which| Move::EndChild(which, true)),
        9 => (index(), 0_u8..3).prop_map(|(which, by)| Move::Decide(which, by, true)),
        6 => any::<bool>().prop_map(Move::Signal),
        15 => Just(Move::Advance),
        10 => (0_u64..15).prop_map(Move::Pass),
        3 => any::<bool>().prop_map(Move::Pause),
        6 => Just(Move::Resume),
        2 => Just(Move::Claim),
        1 => Just(Move::Queue),
        2 => Just(Move::Admit),
        5 => Just(Move::CutOff),
        5 => index().prop_map(Move::Repeat),
    ]
}

/// Moves, some of which bring a run to an end that nobody wanted.
pub(crate) fn any_move() -> impl Strategy<Value = Move> {
    let index = any::<Index>;
    prop_oneof![
        80 => kind_move(),
        2 => index().prop_map(Move::Fail),
        1 => index().prop_map(Move::CutTask),
        2 => index().prop_map(|which| Move::EndChild(which, false)),
        1 => index().prop_map(Move::FailStep),
        2 => (index(), 0_u8..3).prop_map(|(which, by)| Move::Decide(which, by, false)),
        1 => Just(Move::Cancel),
    ]
}

pub(crate) struct Model {
    pub(crate) run: Driven<Run>,
    pub(crate) definition: Definition,
    now: Timestamp,
    /// The run when it was paused.
    paused: Option<Run>,
    fresh: u32,
}

impl Model {
    pub(crate) fn start(definition: Definition, list: usize) -> Self {
        definition.validate().unwrap();
        let mut run = Driven::new();
        let input = Arc::new(json!({ "topic": "moon", "list": vec!["x"; list] }));
        let start = Start { input, ..beginning(definition.clone()) };
        run.ask(RunCommand::Start(Box::new(start))).unwrap();
        Self { run, definition, now: at(0), paused: None, fresh: 0 }
    }

    pub(crate) fn ended(&self) -> bool {
        self.run.state.status().is_terminal()
    }

    fn ask(&mut self, command: RunCommand) {
        self.run.ask(command.clone()).unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"));
    }

    /// Refused or not: a refusal changes nothing, which the type says, and is one of those that are expected.
    fn try_ask(&mut self, command: RunCommand, expected: fn(&RunRefusal) -> bool) {
        if let Err(refusal) = self.run.ask(command.clone()) {
            assert!(expected(&refusal), "{command:?}: {refusal}");
        }
    }

    fn tasks(&self) -> Vec<TaskId> {
        self.run.state.open_tasks().into_iter().map(|(_, task)| task).collect()
    }

    fn running(&self, wanted: impl Fn(&Activity) -> bool) -> Vec<StepName> {
        let running = self.run.state.running().filter(|(_, step)| wanted(&step.activity));
        running.map(|(step, _)| step.clone()).collect()
    }

    fn settle(&mut self, which: &Index, end: TaskEnd) {
        let tasks = self.tasks();
        if !tasks.is_empty() {
            let now = self.now;
            self.ask(RunCommand::SettleTask { task: *which.get(&tasks), end, now });
        }
    }

    fn decision(&self, step: StepName, by: String, approved: bool) -> RunCommand {
        RunCommand::DecideApproval {
            step,
            by: Actor::person(by),
            roles: vec![],
            approved,
            comment: String::new(),
            content_hash: None,
            now: self.now,
        }
    }

    pub(crate) fn make(&mut self, chosen: &Move) {
        let (now, status) = (self.now, self.run.state.status());
        match chosen {
            Move::Complete(which) => {
                self.settle(which, TaskEnd::Completed { result: result("done"), simulated: false });
            }
            Move::Fail(which) => self.settle(which, TaskEnd::Failed(error(ErrorKind::Timeout))),
            Move::CutTask(which) => self.settle(which, TaskEnd::Cancelled),
            Move::EndChild(which, ok) => {
                let waiting = self.running(|activity| matches!(activity, Activity::Child { .. }));
                if !waiting.is_empty() {
                    let end = if *ok { Ok((json!({ "x": 1 }), false)) } else { Err(error(ErrorKind::RunFailed)) };
                    self.ask(RunCommand::SettleChild { step: which.get(&waiting).clone(), end, now });
                }
            }
            Move::FailStep(which) => {
                let running = self.running(|_| true);
                if !running.is_empty() {
                    let step = which.get(&running).clone();
                    self.ask(RunCommand::FailStep { step, error: error(ErrorKind::InvalidInput), now });
                }
            }
            Move::Decide(which, by, approved) => {
                let asking = self.running(|activity| matches!(activity, Activity::Approval(_)));
                if !asking.is_empty() {
                    let decide = self.decision(which.get(&asking).clone(), format!("p{by}"), *approved);
                    self.try_ask(decide, |refusal| {
                        use RunRefusal::{AlreadyDecided, Ending, NoApproval};
                        matches!(refusal, AlreadyDecided { .. } | Ending { .. } | NoApproval { .. })
                    });
                }
            }
            Move::Signal(first) => {
                let signal = name(if *first { "go" } else { "stop" });
                self.ask(RunCommand::Signal { signal, payload: Arc::new(json!(1)), now });
            }
            Move::Advance => self.advance(),
            Move::Pass(by) => self.now = now.plus(seconds(*by)),
            Move::Pause(frozen) if status == RunStatus::Running => {
                self.paused = Some(self.run.state.clone());
                let clock = if *frozen { PauseClock::Frozen } else { PauseClock::Running };
                let mut pause = pausing(0, clock);
                pause.at = now;
                self.ask(RunCommand::Pause(pause));
            }
            Move::Resume if status == RunStatus::Paused => self.resume(),
            Move::Claim => self.ask(RunCommand::Claim { node: NodeId::from_uuid(uuid(9)) }),
            Move::Queue => {
                let limit = "gpu".parse().unwrap();
                let slots = SlotsId::of(LimitId::from_key(&limit), &LimitScope::Workflow(limit.clone()), None);
                let need = SlotsNeed { slots, limit, partition: None, fairness: String::new() };
                self.ask(RunCommand::Queue { slots: vec![need], now });
            }
            Move::Admit => self.ask(RunCommand::Admit),
            Move::Cancel if matches!(status, RunStatus::Running | RunStatus::Paused) => {
                self.ask(RunCommand::RequestCancel { reason: "enough".to_owned(), now, grace: seconds(5) });
            }
            Move::CutOff if matches!(status, RunStatus::Cancelling | RunStatus::Failing) => {
                self.ask(RunCommand::CutOff { now });
            }
            Move::Pause(_) | Move::Resume | Move::Cancel | Move::CutOff => self.refuse(chosen),
            Move::Repeat(which) => self.repeat(which),
        }
    }

    /// What cannot be asked now is refused.
    fn refuse(&mut self, chosen: &Move) {
        let (now, status) = (self.now, self.run.state.status());
        match chosen {
            Move::Resume => {
                let by = Actor::person("noor");
                let refused = self.run.ask(RunCommand::Resume { by, now });
                assert_eq!(refused, Err(RunRefusal::NotPaused { status }));
            }
            Move::CutOff => assert_eq!(self.run.ask(RunCommand::CutOff { now }), Err(RunRefusal::NotCancelling)),
            Move::Cancel if status != RunStatus::Cancelling => {
                let cancel = RunCommand::RequestCancel { reason: String::new(), now, grace: seconds(5) };
                assert_eq!(self.run.ask(cancel), Err(RunRefusal::Ending { status, wish: "cancelled" }));
            }
            _ => {}
        }
    }

    /// A result that comes twice, or before its time, is refused.
    fn repeat(&mut self, which: &Index) {
        let step = which.get(&self.definition.steps).name.clone();
        let end = || TaskEnd::Completed { result: result("late"), simulated: true };
        for task in
            [TaskId::of_step(id(), &step), TaskId::of_item(id(), &step, 0), TaskId::of_compensation(id(), &step)]
        {
            if !self.tasks().contains(&task) {
                let now = self.now;
                let refused = self.run.ask(RunCommand::SettleTask { task, end: end(), now });
                assert!(matches!(refused, Err(RunRefusal::StepNotRunning { .. } | RunRefusal::TaskUnknown { .. })));
            }
        }
    }

    fn resume(&mut self) {
        let now = self.now;
        let frozen = self.run.state.frozen_for(now);
        self.ask(RunCommand::Resume { by: Actor::person("noor"), now });
        let before = self.paused.take().expect("it was paused by this driver");
        assert_eq!(self.run.state.deadline(), later(before.deadline(), frozen));
        for (step, state) in self.run.state.running() {
            let was = &before.steps()[step];
            assert_eq!(state.deadline, later(was.deadline, frozen), "`{step}` has as much time left as before");
            assert_eq!(own_time(state), later(own_time(was), frozen), "`{step}` waits as long as before");
        }
    }

    fn advance(&mut self) {
        let now = self.now;
        self.ask(RunCommand::Advance { now });
        self.has_a_cause();
    }

    /// A live run that has been advanced has a next cause, and nothing of it is overdue.
    fn has_a_cause(&self) {
        let state = &self.run.state;
        match state.status() {
            RunStatus::Running => {
                let under_way = state.running().next().is_some();
                assert!(under_way || state.is_queued(), "nothing is under way: {state:?}");
                assert!(state.next_due().is_none_or(|due| due > self.now), "something is overdue: {state:?}");
                for (step, running) in state.running() {
                    let caused = match &running.activity {
                        Activity::Items(items) => items.running > 0 || state.is_queued(),
                        Activity::None => false,
                        _ => true,
                    };
                    assert!(caused, "`{step}` waits for nothing");
                }
            }
            RunStatus::Compensating => assert!(!state.open_tasks().is_empty(), "nothing is being undone: {state:?}"),
            _ => {}
        }
    }

    /// Whatever happened so far, a fair world brings the run to its end.
    pub(crate) fn finish(&mut self) {
        let bound = 20 * self.definition.steps.len() + 40;
        for _ in 0..bound {
            match self.run.state.status() {
                status if status.is_terminal() => return,
                RunStatus::Paused => self.resume(),
                RunStatus::Cancelling | RunStatus::Failing => {
                    let now = self.now;
                    self.ask(RunCommand::CutOff { now });
                }
                _ => {}
            }
            if self.ended() {
                return;
            }
            self.ask(RunCommand::Admit);
            self.advance();
            if matches!(self.run.state.status(), RunStatus::Running | RunStatus::Compensating) {
                self.help();
            }
        }
        assert!(self.ended(), "the run does not end: {:?}", self.run.state);
    }

    /// Brings what the run waits for.
    fn help(&mut self) {
        let now = self.now;
        if !self.tasks().is_empty() {
            let first = self.tasks()[0];
            let end = TaskEnd::Completed { result: result("done"), simulated: false };
            return self.ask(RunCommand::SettleTask { task: first, end, now });
        }
        let Some((step, state)) = self.run.state.running().next().map(|(step, state)| (step.clone(), state.clone()))
        else {
            return;
        };
        match state.activity {
            Activity::Child { .. } => self.ask(RunCommand::SettleChild { step, end: Ok((json!({}), false)), now }),
            Activity::Approval(_) => {
                self.fresh += 1;
                let decide = self.decision(step, format!("f{}", self.fresh), true);
                self.ask(decide);
            }
            Activity::Signal { signal } => {
                self.ask(RunCommand::Signal { signal, payload: Arc::new(json!(1)), now });
            }
            Activity::Timer { .. } => self.now = self.run.state.next_due().expect("a timer is due some time"),
            Activity::None | Activity::Task(_) | Activity::Items(_) => panic!("`{step}` has no task"),
        }
    }

    /// Nothing is possible after the end.
    pub(crate) fn is_over(&mut self) {
        let ended = self.run.state.clone();
        let (now, refusal) = (self.now, RunRefusal::Ended { status: ended.status() });
        let signal = RunCommand::Signal { signal: name("go"), payload: Arc::new(json!(1)), now };
        for command in [RunCommand::Advance { now }, RunCommand::CutOff { now }, RunCommand::Admit, signal] {
            assert_eq!(self.run.ask(command), Err(refusal.clone()));
        }
        assert!(ended.steps().values().all(|step| step.status != StepStatus::Running), "nothing runs after the end");
        assert!(ended.open_tasks().is_empty() && ended.next_due().is_none() && ended.pause().is_none());
    }
}

fn later(at: Option<Timestamp>, by: Duration) -> Option<Timestamp> {
    at.map(|at| at.plus(by))
}

fn own_time(step: &StepState) -> Option<Timestamp> {
    match &step.activity {
        Activity::Timer { fires_at } => Some(*fires_at),
        Activity::Approval(asked) => asked.expires_at,
        _ => None,
    }
}
