//! Looks at everything that is recorded, the moment it is, and says what must never happen.
//!
//! It keeps its own idea of runs, tasks, slots and purses, made from events by rules written down a second time, so that a
//! mistake of the engine's rules is no mistake here. What steps give is computed from the workflow's blueprint and
//! from what platforms, people and time brought, and compared with what was recorded.

mod model;
mod purses;
mod run;
mod slots;
mod task;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use domain::{ActorKind, Category, CommandId, Event, Key, NodeId, PurseId, RunId, SlotsId, TaskId, Timestamp};
use journal::RecordedEvent;

use crate::catalog::Blueprint;
use run::RunView;
use slots::SlotsView;
use task::TaskView;

/// What is known, and what was found wrong.
pub(crate) struct Checker {
    blueprints: BTreeMap<Key, Arc<Blueprint>>,
    runs: BTreeMap<RunId, RunView>,
    tasks: BTreeMap<TaskId, TaskView>,
    slots: BTreeMap<SlotsId, SlotsView>,
    limits: slots::Limits,
    purses: BTreeMap<PurseId, purses::PurseView>,
    budgets: purses::Budgets,
    /// Commands that have been recorded.
    commands: HashMap<CommandId, u64>,
    /// For each request, how often an attempt with it was recorded, and how often a platform was called with it.
    calls: HashMap<[u8; 32], (u64, u64)>,
    violations: Vec<String>,
    last: Option<Timestamp>,
    kinds: BTreeMap<String, u64>,
}

/// An event.
struct Seen<'a> {
    recorded: &'a RecordedEvent,
    /// When it was recorded, by the clock of the world; what was decided was decided before.
    at: Timestamp,
}

impl Checker {
    pub(crate) fn new(blueprints: &[Arc<Blueprint>]) -> Self {
        Self {
            blueprints: blueprints
                .iter()
                .map(|blueprint| (blueprint.definition.key.clone(), Arc::clone(blueprint)))
                .collect(),
            runs: BTreeMap::new(),
            tasks: BTreeMap::new(),
            slots: BTreeMap::new(),
            limits: slots::Limits::default(),
            purses: BTreeMap::new(),
            budgets: purses::Budgets::default(),
            commands: HashMap::new(),
            calls: HashMap::new(),
            violations: Vec::new(),
            last: None,
            kinds: BTreeMap::new(),
        }
    }

    /// Everything that was found wrong.
    pub(crate) fn violations(&self) -> &[String] {
        &self.violations
    }

    pub(crate) fn blame(&mut self, violation: String) {
        self.violations.push(violation);
    }

    /// When something was recorded last.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// How many events of each type there are.
    pub(crate) fn kinds(&self) -> &BTreeMap<String, u64> {
        &self.kinds
    }

    /// Every run that has started.
    pub(crate) fn all_runs(&self) -> Vec<RunId> {
        self.runs.keys().copied().collect()
    }

    /// Every run that has started and not ended.
    pub(crate) fn live_runs(&self) -> Vec<RunId> {
        self.runs.iter().filter(|(_, run)| !run.is_over()).map(|(id, _)| *id).collect()
    }

    /// Whether a command has been recorded.
    pub(crate) fn has(&self, command: CommandId) -> bool {
        self.commands.contains_key(&command)
    }

    /// A platform is called; answers with what is wrong about that.
    pub(crate) fn called(&mut self, request: [u8; 32]) -> Option<String> {
        let (recorded, called) = self.calls.entry(request).or_default();
        *called += 1;
        if *called <= *recorded {
            return None;
        }
        let violation = format!("a platform is called for the {called}. time, but {recorded} attempts are recorded");
        self.violations.push(violation.clone());
        Some(violation)
    }

    /// Takes in one append; answers with what is wrong about it.
    pub(crate) fn take_in(
        &mut self,
        node: Option<NodeId>,
        now: Timestamp,
        events: &[Arc<RecordedEvent>],
    ) -> Vec<String> {
        let before = self.violations.len();
        let mut touched = BTreeSet::new();
        let mut heard = BTreeSet::new();
        if let Some(first) = events.first() {
            let command = first.metadata.command;
            let position = first.position.as_u64();
            if let Some(earlier) = self.commands.insert(command, position) {
                self.blame(format!("command {command} is recorded at {position} and was already at {earlier}"));
            }
        }
        for recorded in events {
            *self.kinds.entry(recorded.event_type.to_string()).or_default() += 1;
            self.last = Some(now);
            let seen = Seen { recorded, at: now };
            match recorded.event() {
                Ok(event) => self.take(&seen, event, &mut touched, &mut heard),
                Err(error) => self.blame(format!("position {} cannot be read: {error}", recorded.position)),
            }
        }
        self.check_owner(node, events, &touched);
        self.check_holders(&heard);
        let tasks = events.iter().map(|event| event.stream).filter(|stream| stream.category == Category::Task);
        for id in tasks.map(|stream| stream.id).collect::<BTreeSet<_>>() {
            self.check_attempt(TaskId::from_uuid(id));
        }
        if !self.purses.is_empty() {
            self.check_payers();
        }
        self.violations.get(before..).unwrap_or_default().to_vec()
    }

    fn take(&mut self, seen: &Seen<'_>, event: &Event, touched: &mut BTreeSet<RunId>, heard: &mut BTreeSet<SlotsId>) {
        match event {
            Event::Run(event) => {
                let run = RunId::from_uuid(seen.recorded.stream.id);
                self.take_run(run, seen, event);
                if !matches!(event, domain::RunEvent::Started(_) | domain::RunEvent::CancelRequested { .. }) {
                    touched.insert(run);
                }
                if event.is_terminal() {
                    heard.extend(self.slots.keys().copied());
                }
            }
            Event::Task(event) => {
                let task = TaskId::from_uuid(seen.recorded.stream.id);
                self.take_task(task, seen, event);
                if !matches!(event, domain::TaskEvent::AttemptLate { .. }) {
                    touched.extend(self.tasks.get(&task).and_then(|task| task.run));
                }
            }
            Event::Slots(event) => {
                let slots = SlotsId::from_uuid(seen.recorded.stream.id);
                self.take_slots(slots, seen, event);
                heard.insert(slots);
            }
            Event::Limit(event) => self.limits.take(event),
            Event::Budget(event) => self.budgets.take(event),
            Event::Purse(event) => {
                let purse = PurseId::from_uuid(seen.recorded.stream.id);
                self.take_purse(purse, seen, event);
            }
            // Triggers, seals and webhooks are not in this world.
            Event::Hold(_)
            | Event::Agent(_)
            | Event::Template(_)
            | Event::Workflow(_)
            | Event::Trigger(_)
            | Event::External(_)
            | Event::Seal(_)
            | Event::Webhook(_)
            | Event::Delivery(_)
            | Event::Denial(_)
            | Event::Search(_)
            | Event::Subject(_)
            | Event::Action(_) => {}
        }
    }

    /// Only the node that has a run writes about it and about its tasks.
    fn check_owner(&mut self, node: Option<NodeId>, events: &[Arc<RecordedEvent>], touched: &BTreeSet<RunId>) {
        let engine = events.first().is_some_and(|event| event.metadata.actor.kind == ActorKind::System);
        let Some(node) = node.filter(|_| engine) else { return };
        for run in touched {
            let owner = self.runs.get(run).and_then(|run| run.owner);
            if owner != Some(node) {
                let position = events.first().map_or(0, |event| event.position.as_u64());
                let owner = owner.map_or_else(|| "nobody".to_owned(), |owner| format!("node {owner}"));
                self.blame(format!("at {position} node {node} writes about run {run}, which {owner} has"));
            }
        }
    }

    /// Nothing that is over holds a slot or waits for one.
    fn check_holders(&mut self, heard: &BTreeSet<SlotsId>) {
        let mut found = Vec::new();
        for (id, slots) in self.slots.iter().filter(|(id, _)| heard.contains(id)) {
            for holder in slots.everybody() {
                let over = self.runs.get(&holder.run).is_some_and(RunView::is_over);
                let idle = |task: &TaskView| !task.wants_slots();
                if over || holder.task.and_then(|task| self.tasks.get(&task)).is_some_and(idle) {
                    found.push(format!("{holder} is over or wants none, and still has to do with slots {id}"));
                }
            }
        }
        self.violations.extend(found);
    }

    /// What must be true when everything is over.
    pub(crate) fn finish(&mut self) {
        let mut found = Vec::new();
        for (id, run) in &self.runs {
            run.finish(*id, &mut found);
        }
        for (id, task) in &self.tasks {
            task.finish(*id, &mut found);
        }
        for (id, slots) in &self.slots {
            found.extend(slots.everybody().map(|holder| format!("at the end {holder} is still at slots {id}")));
        }
        self.finish_purses(&mut found);
        self.violations.extend(found);
    }
}
