//! What may happen to a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::run::{PauseClock, SlotsNeed, Start};
use domain::slots::Holder;
use domain::workflow::{Approver, Work};
use domain::{
    Actor, ActorKind, AttemptError, Definition, ErrorKind, NodeId, RunEvent, RunId, Step, StepName, TaskId, Timestamp,
};
use serde_json::{Value, json};

use super::task::Ending;
use super::{Checker, Seen, model};
use crate::catalog::{Blueprint, Sources};
use crate::source::Scope;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Status {
    #[default]
    Absent,
    Running,
    Paused,
    Cancelling,
    Failing,
    Compensating,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stand {
    #[default]
    Pending,
    Running,
    Completed,
    Skipped,
    Failed,
    Cancelled,
}

/// What a step that has started is doing.
#[derive(Debug, Clone, Default)]
pub(super) enum Doing {
    #[default]
    Nothing,
    Task,
    Items {
        count: usize,
    },
    Approval {
        content: Value,
        decisions: Vec<(String, bool, String)>,
        expired: bool,
    },
    Timer {
        fires_at: Timestamp,
    },
    Signal,
    Child {
        run: RunId,
        output: Option<Value>,
    },
}

#[derive(Debug, Clone, Default)]
pub(super) struct StepView {
    stand: Stand,
    pub(super) doing: Doing,
    since: Option<Timestamp>,
    items: Vec<Value>,
    started: u32,
    ended: u32,
    item_failed: bool,
    answers: BTreeMap<u32, String>,
    undone: bool,
}

#[derive(Debug, Default)]
pub(super) struct RunView {
    blueprint: Option<Arc<Blueprint>>,
    input: Value,
    by: Option<Actor>,
    pub(super) owner: Option<NodeId>,
    epoch: u64,
    started: Option<Timestamp>,
    status: Status,
    needs: Vec<SlotsNeed>,
    queued: bool,
    steps: BTreeMap<StepName, StepView>,
    pub(super) outputs: BTreeMap<StepName, Value>,
    completed: Vec<StepName>,
    /// Signals that nobody has used; of a run that takes over another's history, all that ever came.
    signals: Vec<(StepName, Value)>,
    all_signals: Vec<(StepName, Value)>,
    branched: bool,
    failed: bool,
    cancelled: bool,
    undoing: Option<StepName>,
    /// When it was paused, if its clock stands still meanwhile.
    frozen: Option<Timestamp>,
    output: Option<Value>,
    parent: Option<(RunId, StepName)>,
}

type Checked = Result<(), String>;

fn check(right: bool, wrong: impl FnOnce() -> String) -> Checked {
    if right { Ok(()) } else { Err(wrong()) }
}

impl RunView {
    pub(super) fn is_over(&self) -> bool {
        self.status == Status::Over
    }

    pub(super) fn scope(&self) -> Scope<'_> {
        Scope { input: &self.input, outputs: &self.outputs, item: None }
    }

    pub(super) fn finish(&self, id: RunId, found: &mut Vec<String>) {
        if self.status != Status::Over {
            found.push(format!("at the end run {id} is {:?}", self.status));
        }
    }

    fn definition(&self) -> Result<&Definition, String> {
        self.blueprint.as_ref().map(|blueprint| &blueprint.definition).ok_or_else(|| "it has no blueprint".to_owned())
    }

    fn known(&self, name: &StepName) -> Result<(&Step, &Sources), String> {
        let unknown = || format!("there is no step {name}");
        let blueprint = self.blueprint.as_ref().ok_or_else(unknown)?;
        let step = blueprint.definition.step(name).ok_or_else(unknown)?;
        Ok((step, blueprint.sources.get(name).ok_or_else(unknown)?))
    }

    fn view(&mut self, name: &StepName) -> Result<&mut StepView, String> {
        self.steps.get_mut(name).ok_or_else(|| format!("there is no step {name}"))
    }

    fn stand(&self, name: &StepName) -> Stand {
        self.steps.get(name).map(|step| step.stand).unwrap_or_default()
    }

    fn is_done(&self, name: &StepName) -> bool {
        matches!(self.stand(name), Stand::Completed | Stand::Skipped)
    }

    fn running(&self) -> impl Iterator<Item = &StepName> {
        self.steps.iter().filter(|(_, step)| step.stand == Stand::Running).map(|(name, _)| name)
    }

    /// Whether a step's turn has come.
    fn turn(&self, name: &StepName) -> Checked {
        let (step, _) = self.known(name)?;
        check(self.status == Status::Running, || format!("step {name} begins while the run is {:?}", self.status))?;
        check(!self.queued, || format!("step {name} begins while the run waits for slots"))?;
        check(!self.failed, || format!("step {name} begins after a failure"))?;
        check(self.stand(name) == Stand::Pending, || format!("step {name} begins twice"))?;
        let missing = step.needs.iter().find(|need| !self.is_done(need));
        missing.map_or(Ok(()), |need| Err(format!("step {name} begins before {need} is done")))
    }

    fn is_wanted(&self, name: &StepName) -> Result<bool, String> {
        let (_, sources) = self.known(name)?;
        Ok(sources.when.as_ref().is_none_or(|when| when.is_met(&self.scope())))
    }

    fn begin(&mut self, name: &StepName, doing: Doing, at: Timestamp, deadline: Option<Timestamp>) -> Checked {
        self.turn(name)?;
        check(self.is_wanted(name)?, || format!("step {name} begins although its condition is not met"))?;
        let timeout = self.known(name)?.0.timeout;
        let wanted = timeout.map(|timeout| at.plus(timeout));
        check(wanted == deadline, || format!("step {name} has the deadline {deadline:?}, not {wanted:?}"))?;
        let view = self.view(name)?;
        *view = StepView { stand: Stand::Running, doing, since: Some(at), ..StepView::default() };
        Ok(())
    }

    fn start(&mut self, start: &Start, others: &Checker) -> Checked {
        let blueprint = others.blueprints.get(&start.definition.key);
        let blueprint = blueprint.ok_or_else(|| format!("workflow {} is unknown", start.definition.key))?;
        check(*start.definition == blueprint.definition, || "it has another definition".to_owned())?;
        self.steps = blueprint.definition.steps.iter().map(|step| (step.name.clone(), StepView::default())).collect();
        self.blueprint = Some(Arc::clone(blueprint));
        self.input = Value::clone(&start.input);
        self.by = Some(start.by.clone());
        self.started = Some(start.at);
        self.status = Status::Running;
        self.parent = start.parent.as_ref().map(|parent| (parent.run, parent.step.clone()));
        let Some(lineage) = &start.lineage else { return Ok(()) };
        let base = others.runs.get(&lineage.run);
        let base = base.ok_or_else(|| format!("it takes over run {}, which is not there", lineage.run))?;
        for name in &lineage.kept {
            let from = base.steps.get(name).ok_or_else(|| format!("step {name} cannot be kept"))?;
            check(base.is_done(name), || format!("step {name} is kept and was {:?}", from.stand))?;
            self.steps.insert(name.clone(), StepView { undone: false, ..from.clone() });
            self.outputs.extend(base.outputs.get(name).map(|output| (name.clone(), output.clone())));
        }
        self.completed = base.completed.iter().filter(|name| lineage.kept.contains(name)).cloned().collect();
        self.signals.clone_from(&base.all_signals);
        self.all_signals.clone_from(&base.all_signals);
        self.branched = true;
        Ok(())
    }

    /// A task of a step, and what its parameters must be; one that is not there must be one that cannot be made.
    fn task(&self, name: &StepName, item: Option<&Value>, task: TaskId, others: &Checker) -> Checked {
        let (_, sources) = self.known(name)?;
        let scope = Scope { item, ..self.scope() };
        let text = sources.text.as_ref().ok_or_else(|| format!("step {name} has no text"))?;
        same_task(name, task, model::parameters(text.value(&scope)), others)
    }

    fn decide(&mut self, name: &StepName, by: &Actor, approved: bool, comment: &str) -> Checked {
        let Work::Approval(approval) = &self.known(name)?.0.work else { return Err(format!("{name} is no approval")) };
        let may = approval.approvers.iter().any(|approver| match approver {
            Approver::Anyone => true,
            Approver::Person(person) => *person == by.id,
            // Who has the role is checked where the decision is asked for.
            Approver::Role(_) => true,
        });
        check(may && by.kind == ActorKind::Person, || format!("{by} decides on {name} and may not"))?;
        check(approval.own_run || self.by.as_ref() != Some(by), || format!("{by} decides on an own run"))?;
        let view = self.view(name)?;
        let running = view.stand == Stand::Running;
        let Doing::Approval { decisions, expired, .. } = &mut view.doing else {
            return Err(format!("nobody was asked about {name}"));
        };
        check(running && !*expired, || format!("{by} decides on {name}, which is over"))?;
        let who = by.to_string();
        check(decisions.iter().all(|(known, ..)| *known != who), || format!("{by} decides twice on {name}"))?;
        decisions.push((who, approved, comment.to_owned()));
        Ok(())
    }

    fn complete(&mut self, id: RunId, name: &StepName, output: &Value, at: Timestamp, others: &Checker) -> Checked {
        check(self.stand(name) == Stand::Running, || format!("step {name} completes and was {:?}", self.stand(name)))?;
        let passing = matches!(
            self.steps.get(name).map(|step| &step.doing),
            Some(Doing::Timer { .. } | Doing::Signal | Doing::Approval { .. })
        );
        check(!passing || self.status == Status::Running, || {
            format!("step {name} goes on while the run is {:?}", self.status)
        })?;
        let view = self.view(name)?;
        match &mut view.doing {
            Doing::Task => match others.ending(TaskId::of_step(id, name)) {
                Some(Ending::Completed(text)) => {
                    view.answers.insert(0, text.clone());
                }
                other => return Err(format!("step {name} completes, but its task is {other:?}")),
            },
            Doing::Child { run, output } => {
                let child = others.runs.get(run).ok_or_else(|| format!("run {run} of {name} was never started"))?;
                output.clone_from(&child.output);
            }
            Doing::Timer { fires_at } => check(*fires_at <= at, || format!("step {name} goes on too early"))?,
            _ => {}
        }
        let view = view.clone();
        let (step, sources) = self.known(name)?;
        let waited = match &step.work {
            Work::Signal(wait) => Some(wait.signal.clone()),
            _ => None,
        };
        let mut signals: Vec<Value> = self
            .signals
            .iter()
            .filter(|(known, _)| Some(known) == waited.as_ref())
            .map(|(_, payload)| payload.clone())
            .collect();
        if self.branched {
            // Which ones the other run had used is not known here; this must be one of all.
            signals.sort_by_key(|payload| output.get("payload") != Some(payload));
        }
        let expected = model::output(&view, step, sources, &view.answers, &signals);
        let expected = expected.ok_or_else(|| format!("step {name} completes too early: {view:?}"))?;
        check(expected == *output, || format!("step {name} gives {output}, not {expected}"))?;
        if let Some(used) = self
            .signals
            .iter()
            .position(|(known, payload)| Some(known) == waited.as_ref() && output.get("payload") == Some(payload))
        {
            self.signals.remove(used);
        }
        self.view(name)?.stand = Stand::Completed;
        self.completed.push(name.clone());
        self.outputs.insert(name.clone(), output.clone());
        Ok(())
    }

    fn fail(&mut self, id: RunId, name: &StepName, error: &AttemptError, at: Timestamp, others: &Checker) -> Checked {
        let due = self.failure_is_due(id, name, error, at, others)?;
        check(due, || format!("step {name} fails for no reason: {}", error.message))?;
        self.view(name)?.stand = Stand::Failed;
        self.failed = true;
        Ok(())
    }

    fn failure_is_due(
        &self,
        id: RunId,
        name: &StepName,
        error: &AttemptError,
        at: Timestamp,
        others: &Checker,
    ) -> Result<bool, String> {
        let (step, sources) = self.known(name)?;
        let view = self.steps.get(name).ok_or_else(|| format!("there is no step {name}"))?;
        if view.stand == Stand::Pending {
            self.turn(name)?;
            return Ok(self.is_wanted(name)? && model::fails_at_start(step, sources, &self.scope()));
        }
        check(view.stand == Stand::Running, || format!("step {name} fails and was {:?}", view.stand))?;
        let timed_out = step.timeout.zip(view.since).is_some_and(|(timeout, since)| since.plus(timeout) <= at);
        if error.kind == ErrorKind::Timeout && timed_out {
            return Ok(true);
        }
        Ok(match &view.doing {
            Doing::Nothing | Doing::Timer { .. } | Doing::Signal => false,
            Doing::Task => match others.ending(TaskId::of_step(id, name)) {
                Some(Ending::Failed(known)) => known == error,
                Some(_) => false,
                None => model::fails_at_start(step, sources, &self.scope()),
            },
            Doing::Items { .. } => view.item_failed && view.started == view.ended,
            Doing::Approval { .. } => error.kind == ErrorKind::Rejected,
            Doing::Child { run, .. } => match others.runs.get(run) {
                Some(child) => error.kind == ErrorKind::RunFailed && child.is_over() && child.output.is_none(),
                None => model::child_input(sources, &self.scope()).is_none(),
            },
        })
    }

    /// The step that is to be undone next.
    fn next_undo(&self) -> Option<&StepName> {
        let wanted = |name: &&StepName| {
            let undoable = self.known(name).is_ok_and(|(step, _)| step.compensation.is_some());
            undoable && self.steps.get(*name).is_some_and(|step| !step.undone)
        };
        self.completed.iter().rev().find(wanted)
    }

    fn undo(&mut self, id: RunId, name: &StepName, others: &Checker) -> Checked {
        let ending = self.failed || self.cancelled || self.status == Status::Failing;
        check(ending, || format!("step {name} is undone, but nothing failed"))?;
        check(self.undoing.is_none(), || format!("step {name} is undone beside {:?}", self.undoing))?;
        self.nothing_runs()?;
        check(self.next_undo() == Some(name), || {
            format!("step {name} is undone, but the next is {:?}", self.next_undo())
        })?;
        let text = self.known(name)?.1.undo.clone().ok_or_else(|| format!("step {name} cannot be undone"))?;
        let parameters = model::parameters(text.value(&self.scope()));
        same_task(name, TaskId::of_compensation(id, name), parameters, others)?;
        self.status = Status::Compensating;
        self.undoing = Some(name.clone());
        self.view(name)?.undone = true;
        Ok(())
    }

    fn nothing_runs(&self) -> Checked {
        let running: BTreeSet<&StepName> = self.running().collect();
        check(running.is_empty(), || format!("steps still run: {running:?}"))
    }

    fn end(&mut self) -> Checked {
        self.nothing_runs()?;
        check(self.undoing.is_none(), || format!("it ends while {:?} is being undone", self.undoing))?;
        self.status = Status::Over;
        Ok(())
    }

    fn apply(&mut self, id: RunId, seen: &Seen<'_>, event: &RunEvent, others: &Checker) -> Checked {
        let at = seen.at;
        let begins = matches!(event, RunEvent::Started(_));
        check(begins == (self.status == Status::Absent), || {
            "it starts twice, or does something before it starts".into()
        })?;
        check(begins == (seen.recorded.revision == 0), || "its start is not its first event".to_owned())?;
        check(self.status != Status::Over, || "something happens after its end".to_owned())?;
        match event {
            RunEvent::Started(start) => self.start(start, others),
            RunEvent::Claimed { node, epoch } => {
                check(*epoch == self.epoch + 1, || format!("epoch {epoch} follows {}", self.epoch))?;
                (self.owner, self.epoch) = (Some(*node), *epoch);
                Ok(())
            }
            RunEvent::Queued { slots, .. } => {
                (self.queued, self.needs) = (true, slots.clone());
                Ok(())
            }
            RunEvent::Admitted => {
                let holder = Holder { run: id, task: None };
                // It may end, and give them back, in the same append, in which slots come first.
                let all = self.needs.iter().all(|need| others.served(need, holder));
                self.queued = false;
                check(all, || "it is admitted without its slots".to_owned())
            }
            RunEvent::StepStarted { step, task, at, deadline } => {
                self.begin(step, Doing::Task, *at, *deadline)?;
                self.task(step, None, *task, others)
            }
            RunEvent::ItemsPlanned { step, items, at, deadline } => {
                let (_, sources) = self.known(step)?;
                let wanted = sources.list.as_ref().map(|list| list.value(&self.scope())).unwrap_or_default();
                check(wanted == **items, || format!("step {step} works through {items}, not {wanted}"))?;
                let items = items.as_array().cloned().unwrap_or_default();
                self.begin(step, Doing::Items { count: items.len() }, *at, *deadline)?;
                self.view(step)?.items = items;
                Ok(())
            }
            RunEvent::ItemStarted { step, item, task } => self.start_item(step, *item, *task, others),
            RunEvent::ItemCompleted { step, item, result, .. } => {
                let Some(Ending::Completed(text)) = others.ending(TaskId::of_item(id, step, *item)) else {
                    return Err(format!("element {item} of {step} completes and its task does not"));
                };
                let wanted = model::of_answers(std::slice::from_ref(text));
                check(wanted.pointer("/items/0") == Some(&**result), || format!("element {item} gives {result}"))?;
                let text = text.clone();
                let view = self.view(step)?;
                view.ended += 1;
                let again = view.answers.insert(*item, text).is_some();
                check(!again, || format!("element {item} of {step} completes twice"))
            }
            RunEvent::ItemFailed { step, .. } => {
                let view = self.view(step)?;
                view.ended += 1;
                view.item_failed = true;
                Ok(())
            }
            RunEvent::ApprovalRequested { step, content, at, deadline, .. } => {
                let (_, sources) = self.known(step)?;
                let draft = sources.text.as_ref().map(|text| text.value(&self.scope()));
                let wanted = json!({"draft": draft.and_then(Result::ok)});
                check(wanted == **content, || format!("{step} shows {content}, not {wanted}"))?;
                let doing = Doing::Approval { content: wanted, decisions: vec![], expired: false };
                self.begin(step, doing, *at, *deadline)
            }
            RunEvent::ApprovalDecided { step, by, approved, comment, .. } => self.decide(step, by, *approved, comment),
            RunEvent::ApprovalExpired { step } => {
                let view = self.view(step)?;
                let Doing::Approval { expired, .. } = &mut view.doing else { return Err(format!("{step} expires")) };
                *expired = true;
                Ok(())
            }
            RunEvent::TimerStarted { step, fires_at, at, deadline } => {
                let Work::Wait(wait) = &self.known(step)?.0.work else { return Err(format!("{step} does not wait")) };
                let wanted = model::fires_at(wait, *at, &self.input);
                check(wanted == Some(*fires_at), || format!("{step} waits until {fires_at:?}, not {wanted:?}"))?;
                self.begin(step, Doing::Timer { fires_at: *fires_at }, *at, *deadline)
            }
            RunEvent::SignalAwaited { step, at, deadline, .. } => self.begin(step, Doing::Signal, *at, *deadline),
            RunEvent::SignalReceived { signal, payload, .. } => {
                let signal = (signal.clone(), Value::clone(payload));
                self.signals.push(signal.clone());
                self.all_signals.push(signal);
                Ok(())
            }
            RunEvent::ChildStarted { step, run, at, deadline } => {
                self.begin(step, Doing::Child { run: *run, output: None }, *at, *deadline)?;
                let Some(child) = others.runs.get(run) else { return Ok(()) };
                let (_, sources) = self.known(step)?;
                let wanted = model::child_input(sources, &self.scope());
                check(wanted.as_ref() == Some(&child.input), || {
                    format!("run {run} of {step} gets {}, not {wanted:?}", child.input)
                })?;
                check(child.parent == Some((id, step.clone())), || format!("run {run} has another parent"))
            }
            RunEvent::ChildAbandoned { step, .. } => {
                check(self.stand(step) == Stand::Running, || format!("{step} abandons its run and does not run"))
            }
            RunEvent::StepSkipped { step, .. } => {
                self.turn(step)?;
                check(!self.is_wanted(step)?, || format!("step {step} is skipped although its condition is met"))?;
                self.view(step)?.stand = Stand::Skipped;
                Ok(())
            }
            RunEvent::StepCompleted { step, output, .. } => self.complete(id, step, output, at, others),
            RunEvent::StepFailed { step, error } => self.fail(id, step, error, at, others),
            RunEvent::StepCancelled { step } => {
                let ending = self.failed || matches!(self.status, Status::Cancelling | Status::Failing);
                check(ending, || format!("step {step} is cut, but nothing failed"))?;
                check(self.stand(step) == Stand::Running, || format!("step {step} is cut and does not run"))?;
                self.view(step)?.stand = Stand::Cancelled;
                Ok(())
            }
            RunEvent::Paused(pause) => {
                self.frozen = (pause.clock == PauseClock::Frozen).then_some(pause.at);
                self.turn_to(&[Status::Running], Status::Paused)
            }
            RunEvent::Resumed { at, .. } => {
                let paused = self.frozen.take().map(|since| at.since(since)).unwrap_or_default();
                for step in self.steps.values_mut().filter(|step| step.stand == Stand::Running) {
                    if let Doing::Timer { fires_at } = &mut step.doing {
                        *fires_at = fires_at.plus(paused);
                    }
                }
                self.turn_to(&[Status::Paused], Status::Running)
            }
            RunEvent::CancelRequested { .. } => {
                self.cancelled = true;
                self.turn_to(&[Status::Running, Status::Paused], Status::Cancelling)
            }
            RunEvent::Failing { error } => {
                let timeout = self.definition()?.timeout;
                let late = timeout.zip(self.started).is_some_and(|(timeout, started)| started.plus(timeout) <= at);
                let unmade = self.steps.keys().all(|name| self.is_done(name)) && self.made().is_none();
                check(late || unmade, || format!("it fails for no reason: {}", error.message))?;
                self.failed = true;
                self.turn_to(&[Status::Running], Status::Failing)
            }
            RunEvent::Stalled { what, .. } => Err(format!("it was found with nothing to wait for: {what}")),
            RunEvent::CompensationStarted { step, .. } => self.undo(id, step, others),
            RunEvent::CompensationCompleted { step, .. } | RunEvent::CompensationFailed { step, .. } => {
                let undoing = self.undoing.take();
                check(undoing.as_ref() == Some(step), || format!("{step} is undone instead of {undoing:?}"))
            }
            RunEvent::Completed { output, .. } => {
                check(self.status == Status::Running && !self.failed, || "it completes after a failure".to_owned())?;
                let open = self.steps.keys().find(|name| !self.is_done(name));
                check(open.is_none(), || format!("it completes without {open:?}"))?;
                let wanted = self.made();
                check(wanted.as_ref() == Some(&**output), || format!("it gives {output}, not {wanted:?}"))?;
                self.output = wanted;
                self.end()
            }
            RunEvent::Failed { .. } => {
                check(self.failed, || "it fails, but nothing did".to_owned())?;
                check(self.next_undo().is_none(), || format!("it fails before {:?} is undone", self.next_undo()))?;
                self.end()
            }
            RunEvent::Cancelled { .. } => {
                check(self.cancelled, || "it is cancelled, but nobody asked".to_owned())?;
                check(self.next_undo().is_none(), || format!("it is over before {:?} is undone", self.next_undo()))?;
                self.end()
            }
        }
    }

    fn made(&self) -> Option<Value> {
        self.blueprint.as_ref().and_then(|blueprint| model::run_output(blueprint, self))
    }

    fn start_item(&mut self, step: &StepName, item: u32, task: TaskId, others: &Checker) -> Checked {
        check(self.status == Status::Running && !self.failed, || format!("element {item} of {step} begins"))?;
        let Work::ForEach(each) = &self.known(step)?.0.work else { return Err(format!("{step} has no elements")) };
        let most = each.max_parallel;
        let view = self.view(step)?;
        let running = view.started - view.ended;
        let right = view.stand == Stand::Running && !view.item_failed && item == view.started && running < most;
        check(right, || format!("element {item} of {step} begins beside {running}: {view:?}"))?;
        view.started += 1;
        let value = usize::try_from(item).ok().and_then(|item| view.items.get(item)).cloned();
        self.task(step, value.as_ref(), task, others)
    }

    fn turn_to(&mut self, from: &[Status], to: Status) -> Checked {
        let before = self.status;
        self.status = to;
        check(from.contains(&before), || format!("it becomes {to:?} and was {before:?}"))
    }
}

fn same_task(name: &StepName, task: TaskId, wanted: Option<Value>, others: &Checker) -> Checked {
    match (others.tasks.get(&task).map(|task| &task.parameters), wanted) {
        (Some(known), Some(wanted)) => check(*known == wanted, || format!("{name} is asked {known}, not {wanted}")),
        (Some(known), None) => Err(format!("{name} is asked {known}, which cannot be made")),
        (None, Some(_)) => Err(format!("step {name} begins without its task")),
        (None, None) => Ok(()),
    }
}

impl Checker {
    pub(super) fn ending(&self, task: TaskId) -> Option<&Ending> {
        self.tasks.get(&task).and_then(|task| task.ending.as_ref())
    }

    fn served(&self, need: &SlotsNeed, holder: Holder) -> bool {
        self.slots.get(&need.slots).is_some_and(|slots| slots.served(holder))
    }

    pub(super) fn take_run(&mut self, id: RunId, seen: &Seen<'_>, event: &RunEvent) {
        // Taken out, so that it can be compared with all the others.
        let mut run = self.runs.remove(&id).unwrap_or_default();
        let checked = run.apply(id, seen, event, self);
        self.runs.insert(id, run);
        if let Err(wrong) = checked {
            self.blame(format!("run {id} at {}, `{}`: {wrong}", seen.recorded.position, event.name()));
        }
    }
}
