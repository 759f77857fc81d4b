//! One append in the making: decisions on a run, its tasks, slots and other runs, each made on the state that the ones
//! before it leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use cqrs_es::Aggregate;
use domain::run::{Place, SlotsNeed};
use domain::slots::Holder;
use domain::task::Attempt;
use domain::{
    Decide, Event, Purse, PurseCommand, PurseEvent, PurseId, PurseRefusal, Run, RunCommand, RunEvent, RunId,
    RunRefusal, Slots, SlotsCommand, SlotsEvent, SlotsId, StepName, StreamId, Task, TaskCommand, TaskEvent, TaskId,
    TaskRefusal,
};
use journal::{Append, Context, Loaded, StreamAppend, Turn};
use tokio::sync::OwnedMutexGuard;

use crate::ahead::{Basis, Foreseen};
use crate::call::Call;

/// How an append is handed in that something was looked at for which others look at, too, and how it will leave the purses.
pub(crate) struct InTurn {
    pub(crate) turn: Turn,
    pub(crate) purses: Vec<(PurseId, Loaded<Purse>)>,
    /// What it is based on that is not recorded yet.
    pub(crate) based_on: Vec<Basis>,
}

/// A task as a driver knows it.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) place: Place,
    pub(crate) task: Loaded<Task>,
}

/// What a decision on a run began.
pub(crate) enum Begun {
    /// A task is to be created.
    Task(Place, TaskId),
    /// Another run is to be started.
    Child(StepName, RunId),
}

struct StagedTask {
    slot: Slot,
    events: Vec<TaskEvent>,
    /// Large, and not there most of the time.
    call: Option<Box<Call>>,
}

impl StagedTask {
    fn of(slot: Slot) -> Self {
        Self { slot, events: Vec::new(), call: None }
    }
}

struct StagedPurse {
    loaded: Loaded<Purse>,
    /// What is to leave it so, when it is not recorded so.
    basis: Option<Basis>,
    events: Vec<PurseEvent>,
}

/// An attempt that has ended, and what it has used of what was set aside for it; `None` when nobody knows.
pub(crate) struct Unsettled {
    pub(crate) task: TaskId,
    pub(crate) attempt: u32,
    pub(crate) shares: Vec<(PurseId, Option<u64>)>,
}

impl Unsettled {
    pub(crate) fn of(task: TaskId, attempt: &Attempt) -> Self {
        let shares = attempt.reserved.iter().map(|share| (share.purse, attempt.used(share.unit))).collect();
        Self { task, attempt: attempt.number, shares }
    }
}

struct StagedSlots {
    loaded: Loaded<Slots>,
    events: Vec<SlotsEvent>,
}

pub(crate) struct Stage {
    id: RunId,
    run: Loaded<Run>,
    run_events: Vec<RunEvent>,
    tasks: BTreeMap<TaskId, StagedTask>,
    /// Tasks in the order in which they were decided on, which is the order in which people read about them.
    order: Vec<TaskId>,
    slots: BTreeMap<SlotsId, StagedSlots>,
    purses: BTreeMap<PurseId, StagedPurse>,
    others: Vec<StreamAppend>,
    /// Slots that tasks have given up within this stage, and that are still to be given back.
    released: Vec<(Holder, Vec<SlotsNeed>)>,
    /// Attempts that have ended within this stage, and for which something is set aside.
    unsettled: Vec<Unsettled>,
    /// Held from the first look at slots or purses until they are recorded, so that the drivers of one process do not run into
    /// each other there.
    guard: Option<OwnedMutexGuard<()>>,
}

/// What a recorded stage leaves behind.
pub(crate) struct Adopted {
    pub(crate) run: Loaded<Run>,
    pub(crate) tasks: BTreeMap<TaskId, Slot>,
    pub(crate) slots: Vec<(SlotsId, Loaded<Slots>)>,
    pub(crate) purses: Vec<(PurseId, Loaded<Purse>)>,
    pub(crate) calls: Vec<(TaskId, u32, Box<Call>)>,
}

impl Stage {
    pub(crate) fn new(id: RunId, run: &Loaded<Run>) -> Self {
        Self {
            id,
            run: run.clone(),
            run_events: Vec::new(),
            tasks: BTreeMap::new(),
            order: Vec::new(),
            slots: BTreeMap::new(),
            purses: BTreeMap::new(),
            others: Vec::new(),
            released: Vec::new(),
            unsettled: Vec::new(),
            guard: None,
        }
    }

    /// The run as the staged decisions leave it.
    pub(crate) fn run(&self) -> &Run {
        &self.run.state
    }

    /// A task as the staged decisions leave it, when there are any.
    pub(crate) fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id).map(|staged| &*staged.slot.task.state)
    }

    /// A task that has been decided on, with its place.
    pub(crate) fn slot(&self, id: TaskId) -> Option<Slot> {
        self.tasks.get(&id).map(|staged| staged.slot.clone())
    }

    /// Tasks that have been decided on.
    pub(crate) fn touched(&self) -> impl Iterator<Item = (TaskId, &Task)> {
        self.order.iter().filter_map(|id| Some((*id, &*self.tasks.get(id)?.slot.task.state)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.run_events.is_empty()
            && self.others.is_empty()
            && self.tasks.values().all(|task| task.events.is_empty())
            && self.slots.values().all(|slots| slots.events.is_empty())
            && self.purses.values().all(|purse| purse.events.is_empty())
    }

    /// Whether anything ended that may have had tasks under way.
    pub(crate) fn ended_something(&self) -> bool {
        self.run_events.iter().any(|event| {
            matches!(event, RunEvent::StepFailed { .. } | RunEvent::StepCancelled { .. }) || event.is_terminal()
        })
    }

    /// Decides on the run; answers with what was begun by it.
    pub(crate) fn decide_run(&mut self, command: RunCommand) -> Result<Vec<Begun>, RunRefusal> {
        let (events, after) = self.run.state.decide_on(command)?;
        let mut begun = Vec::new();
        for event in &events {
            match event {
                RunEvent::StepStarted { step, task, .. } => {
                    begun.push(Begun::Task(Place::Step(step.clone()), *task));
                }
                RunEvent::ItemStarted { step, item, task } => {
                    begun.push(Begun::Task(Place::Item(step.clone(), *item), *task));
                }
                RunEvent::CompensationStarted { step, task, .. } => {
                    begun.push(Begun::Task(Place::Undo(step.clone()), *task));
                }
                RunEvent::ChildStarted { step, run, .. } => begun.push(Begun::Child(step.clone(), *run)),
                _ => {}
            }
        }
        if let Some(after) = after {
            self.run.state = Arc::new(after);
        }
        self.run_events.extend(events);
        Ok(begun)
    }

    /// Decides on a task; `known` is the task as the driver knows it.
    pub(crate) fn decide_task(
        &mut self,
        id: TaskId,
        known: impl FnOnce() -> Slot,
        command: TaskCommand,
    ) -> Result<&Task, TaskRefusal> {
        let order = &mut self.order;
        let staged = self.tasks.entry(id).or_insert_with(|| {
            order.push(id);
            StagedTask::of(known())
        });
        let events = staged.slot.task.state.decide(command)?;
        let held = staged.slot.task.state.slots().to_vec();
        let running = staged.slot.task.state.running_attempt().map(|attempt| attempt.number);
        let state = Arc::make_mut(&mut staged.slot.task.state);
        events.iter().for_each(|event| state.apply(event.clone()));
        let dropped = dropped(&held, state.slots());
        if !dropped.is_empty() {
            self.released.push((Holder { run: self.id, task: Some(id) }, dropped));
        }
        let ended = state.attempts().last().filter(|attempt| Some(attempt.number) == running);
        if let Some(attempt) = ended.filter(|attempt| attempt.has_ended() && !attempt.reserved.is_empty()) {
            self.unsettled.push(Unsettled::of(id, attempt));
        }
        staged.events.extend(events);
        if staged.slot.task.state.running_attempt().is_none() {
            staged.call = None;
        }
        Ok(&staged.slot.task.state)
    }

    /// What is to be called once the stage is recorded.
    pub(crate) fn call_after(&mut self, id: TaskId, call: Box<Call>) {
        if let Some(staged) = self.tasks.get_mut(&id) {
            staged.call = Some(call);
        }
    }

    /// Nobody else of this process looks at slots while `guard` is held.
    pub(crate) fn keep(&mut self, guard: OwnedMutexGuard<()>) {
        self.guard = Some(guard);
    }

    /// Others may look again as soon as the append has its place among all others, when nothing but purses was looked at: how
    /// these will be is known already. `None` when no purse was.
    pub(crate) fn turn(&mut self) -> Option<InTurn> {
        self.guard.as_ref()?;
        let mut turn = Turn::new();
        let (mut purses, mut based_on) = (Vec::new(), Vec::new());
        for (id, staged) in &self.purses {
            // Nothing is decided upon one that is left as it was.
            let Some(further) = staged.events.len().checked_sub(1).and_then(|count| u64::try_from(count).ok()) else {
                continue;
            };
            let first = staged.loaded.revision.map_or(0, |revision| revision.saturating_add(1));
            let revision = Some(first.saturating_add(further));
            purses.push((*id, Loaded { revision, ..staged.loaded.clone() }));
            if let Some(basis) = &staged.basis {
                turn = turn.based_on((*id).into(), basis.ticket.clone());
                based_on.push(basis.clone());
            }
        }
        if self.slots.is_empty() {
            turn = turn.holding(self.guard.take());
        } else if purses.is_empty() {
            return None;
        }
        Some(InTurn { turn, purses, based_on })
    }

    pub(crate) fn has_guard(&self) -> bool {
        self.guard.is_some()
    }

    pub(crate) fn knows_slots(&self, id: SlotsId) -> bool {
        self.slots.contains_key(&id)
    }

    pub(crate) fn slots(&self, id: SlotsId) -> Option<&Slots> {
        self.slots.get(&id).map(|staged| &*staged.loaded.state)
    }

    /// Whether something happens to a task.
    pub(crate) fn is_touched(&self, task: TaskId) -> bool {
        self.tasks.get(&task).is_some_and(|staged| !staged.events.is_empty())
    }

    /// Whether something happens to the run itself.
    pub(crate) fn touches_run(&self) -> bool {
        !self.run_events.is_empty()
    }

    /// Slots that are here and that nothing was decided on.
    pub(crate) fn untouched_slots(&self, id: SlotsId) -> Option<&Slots> {
        self.slots.get(&id).filter(|staged| staged.events.is_empty()).map(|staged| &*staged.loaded.state)
    }

    pub(crate) fn put_slots(&mut self, id: SlotsId, loaded: Loaded<Slots>) {
        self.slots.insert(id, StagedSlots { loaded, events: Vec::new() });
    }

    /// Decides on slots that were put here before; answers with how they stand then.
    pub(crate) fn decide_slots(&mut self, id: SlotsId, command: SlotsCommand) -> Option<&Slots> {
        let staged = self.slots.get_mut(&id)?;
        let Ok(events) = staged.loaded.state.decide(command);
        let state = Arc::make_mut(&mut staged.loaded.state);
        events.iter().for_each(|event| state.apply(event.clone()));
        staged.events.extend(events);
        Some(&staged.loaded.state)
    }

    /// A purse that is here, as the staged decisions leave it.
    pub(crate) fn purse(&self, id: PurseId) -> Option<&Purse> {
        self.purses.get(&id).map(|staged| &*staged.loaded.state)
    }

    pub(crate) fn purse_is_untouched(&self, id: PurseId) -> bool {
        self.purses.get(&id).is_none_or(|staged| staged.events.is_empty())
    }

    /// Puts a purse here as it is recorded.
    pub(crate) fn put_purse(&mut self, id: PurseId, loaded: Loaded<Purse>) {
        self.purses.insert(id, StagedPurse { loaded, basis: None, events: Vec::new() });
    }

    /// Puts a purse here as it is about to be recorded.
    pub(crate) fn foresee_purse(&mut self, id: PurseId, Foreseen { purse, basis }: Foreseen) {
        self.purses.insert(id, StagedPurse { loaded: purse, basis: Some(basis), events: Vec::new() });
    }

    /// Decides on a purse that was put here before.
    pub(crate) fn decide_purse(&mut self, id: PurseId, command: PurseCommand) -> Result<(), PurseRefusal> {
        let Some(staged) = self.purses.get_mut(&id) else { return Ok(()) };
        let events = staged.loaded.state.decide(command)?;
        let state = Arc::make_mut(&mut staged.loaded.state);
        events.iter().for_each(|event| state.apply(event.clone()));
        staged.events.extend(events);
        Ok(())
    }

    /// Attempts that have ended since this was asked last, and for which something is set aside.
    pub(crate) fn take_unsettled(&mut self) -> Vec<Unsettled> {
        std::mem::take(&mut self.unsettled)
    }

    /// Whether a task gave up slots that are still to be given back.
    pub(crate) fn has_given_up_slots(&self, id: TaskId) -> bool {
        self.released.iter().any(|(holder, _)| holder.task == Some(id))
    }

    /// Slots that tasks gave up since this was asked last.
    pub(crate) fn take_released(&mut self) -> Vec<(Holder, Vec<SlotsNeed>)> {
        std::mem::take(&mut self.released)
    }

    /// What a task gave up and what was set aside for its last attempt, should that have ended, is to be given back, as far
    /// as it was not.
    pub(crate) fn give_back_again(&mut self, id: TaskId, task: &Task) {
        let needs: Vec<SlotsNeed> =
            task.gave_up().iter().filter(|need| !task.slots().contains(need)).cloned().collect();
        if !needs.is_empty() {
            self.released.push((Holder { run: self.id, task: Some(id) }, needs));
        }
        let last = task.attempts().last();
        if let Some(attempt) = last.filter(|attempt| attempt.has_ended() && !attempt.reserved.is_empty()) {
            self.unsettled.push(Unsettled::of(id, attempt));
        }
    }

    /// The tasks that it creates, with their places.
    pub(crate) fn created(&self) -> Vec<(TaskId, Place)> {
        let new = self.tasks.iter().filter(|(_, staged)| staged.slot.task.revision.is_none());
        new.map(|(id, staged)| (*id, staged.slot.place.clone())).collect()
    }

    /// Adds what happens to another run.
    pub(crate) fn other(&mut self, append: StreamAppend) {
        self.others.push(append);
    }

    /// Decides on another run that was started in this very append; `None` when it was not.
    pub(crate) fn decide_started(&mut self, run: RunId, command: RunCommand) -> Option<Result<(), RunRefusal>> {
        let append = self.others.iter_mut().find(|append| append.stream == run.into())?;
        let mut state = Run::default();
        for event in &append.events {
            if let Event::Run(event) = event {
                state.apply(event.clone());
            }
        }
        Some(state.decide(command).map(|events| append.events.extend(events.into_iter().map(Event::from))))
    }

    /// The append of all staged events. The run stands last, because the answer speaks of it and because whatever
    /// cannot record several streams at once begins with what follows from the others.
    pub(crate) fn append(&self, context: Context, remember: bool) -> Append {
        let mut streams = Vec::with_capacity(2);
        let tasks = self.order.iter().filter_map(|id| Some((*id, self.tasks.get(id)?)));
        for (id, staged) in tasks.filter(|(_, staged)| !staged.events.is_empty()) {
            streams.push(stream(id.into(), &staged.slot.task, &staged.events));
        }
        for (id, staged) in self.slots.iter().filter(|(_, staged)| !staged.events.is_empty()) {
            streams.push(stream((*id).into(), &staged.loaded, &staged.events));
        }
        for (id, staged) in self.purses.iter().filter(|(_, staged)| !staged.events.is_empty()) {
            streams.push(stream((*id).into(), &staged.loaded, &staged.events));
        }
        streams.extend(self.others.iter().cloned());
        if !self.run_events.is_empty() {
            streams.push(stream(self.id.into(), &self.run, &self.run_events));
        }
        Append { streams, context, remember }
    }

    /// Whether there are calls to be made, and nothing outside of this process hears of any, nor of anything else that was decided.
    pub(crate) fn asks_nobody(&self) -> bool {
        let mut calls = self.tasks.values().filter_map(|staged| staged.call.as_ref()).peekable();
        calls.peek().is_some()
            && calls.all(|call| call.is_self_contained())
            && self.guard.is_none()
            && self.slots.is_empty()
            && self.purses.is_empty()
            && self.others.is_empty()
    }

    /// Takes over what was recorded, with the revisions that it left.
    pub(crate) fn adopt(mut self, heads: &[(StreamId, u64)]) -> Adopted {
        let revision = |stream: StreamId| heads.iter().find(|(head, _)| *head == stream).map(|(_, revision)| *revision);
        if let Some(at) = revision(self.id.into()) {
            self.run.revision = Some(at);
        }
        let mut tasks = BTreeMap::new();
        let mut calls = Vec::new();
        for (id, mut staged) in self.tasks {
            if let Some(at) = revision(id.into()) {
                staged.slot.task.revision = Some(at);
            }
            if let (Some(call), Some(attempt)) = (staged.call, staged.slot.task.state.running_attempt()) {
                calls.push((id, attempt.number, call));
            }
            tasks.insert(id, staged.slot);
        }
        let slots = self.slots.into_iter().map(|(id, mut staged)| {
            if let Some(at) = revision(id.into()) {
                staged.loaded.revision = Some(at);
            }
            (id, staged.loaded)
        });
        // Of one that nothing was decided on it is not known whether it ever became what it was about to be.
        let purses = self.purses.into_iter().filter_map(|(id, mut staged)| {
            staged.loaded.revision = Some(revision(id.into())?);
            Some((id, staged.loaded))
        });
        Adopted { run: self.run, tasks, slots: slots.collect(), purses: purses.collect(), calls }
    }
}

/// The slots that a task has or waits for, and that it is to give back because it needs others now: those that it does
/// not need any more, and those that come after one that it has yet to ask for. Everybody asks in the same order, so
/// that nobody waits in a circle.
fn dropped(held: &[SlotsNeed], needed: &[SlotsNeed]) -> Vec<SlotsNeed> {
    let has = |needs: &[SlotsNeed], id: SlotsId| needs.iter().any(|need| need.slots == id);
    let first = needed.iter().map(|need| need.slots).filter(|id| !has(held, *id)).min();
    let goes = |need: &SlotsNeed| !has(needed, need.slots) || first.is_some_and(|first| need.slots > first);
    held.iter().filter(|need| goes(need)).cloned().collect()
}

fn stream<A, E: Clone + Into<Event>>(stream: StreamId, known: &Loaded<A>, events: &[E]) -> StreamAppend
where
    A: Default,
{
    StreamAppend { stream, expected: known.expected(), events: events.iter().cloned().map(Into::into).collect() }
}
