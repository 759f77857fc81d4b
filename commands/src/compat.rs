//! What would differ if a run had followed another version of its workflow: the run is played again on that version,
//! with the answers, decisions and signals that were recorded, and compared.

use std::collections::{BTreeMap, VecDeque};

use cqrs_es::Aggregate;
use domain::run::{Activity, Place, RunStatus, Start, StepState, StepStatus, TaskEnd};
use domain::task::TaskStatus;
use domain::workflow::Work;
use domain::{
    AttemptError, Decide, Definition, ErrorKind, Key, Run, RunCommand, RunEvent, RunId, StepName, Task, TaskId,
    Timestamp,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::{Commands, Error, Refused};

/// What would differ for one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compatibility {
    /// Which run.
    pub run: RunId,
    /// The version that it follows.
    pub version: u32,
    /// Where it stands.
    pub status: RunStatus,
    /// Everything that would differ; empty when nothing would.
    pub differences: Vec<Difference>,
}

/// One thing that would differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// The run could not have been started.
    Input {
        /// Why not.
        problem: String,
    },
    /// A step that took place is not there any more.
    StepRemoved {
        /// Which step.
        step: StepName,
    },
    /// A step would take place that did not.
    StepAdded {
        /// Which step.
        step: StepName,
    },
    /// A step would be of another kind.
    StepKind {
        /// Which step.
        step: StepName,
        /// What it was.
        was: String,
        /// What it would be.
        would_be: String,
    },
    /// A task would be given something else.
    Parameters {
        /// Which step.
        step: StepName,
        /// What it was given.
        was: Value,
        /// What it would be given; `null` when that cannot be made.
        would_be: Value,
    },
    /// A step would stand elsewhere.
    StepStatus {
        /// Which step.
        step: StepName,
        /// Where it stands.
        was: StepStatus,
        /// Where it would stand.
        would_be: StepStatus,
    },
    /// A step would have another output.
    StepOutput {
        /// Which step.
        step: StepName,
        /// What it is.
        was: Value,
        /// What it would be.
        would_be: Value,
    },
    /// The run would have another output.
    Output {
        /// What it is.
        was: Value,
        /// What it would be.
        would_be: Value,
    },
    /// The run would end otherwise.
    Status {
        /// Where it stands.
        was: RunStatus,
        /// Where it would stand.
        would_be: RunStatus,
    },
}

impl Commands {
    /// Plays runs again on another version of their workflow, and says what would differ. Nothing is recorded, and
    /// runs that are under way stay on the version that they began with.
    ///
    /// # Errors
    /// `WORKFLOW_NOT_FOUND`, `WORKFLOW_VERSION_UNKNOWN`, `RUN_NOT_FOUND`.
    pub async fn check_compatibility(
        &self,
        workflow: &Key,
        version: u32,
        runs: &[RunId],
    ) -> Result<Vec<Compatibility>, Error> {
        let (_, definition) = self.runnable(workflow, Some(version)).await?;
        let mut found = Vec::with_capacity(runs.len());
        for run in runs {
            let state = self.executor.load::<Run>((*run).into()).await?.state;
            if state.definition().is_none_or(|own| own.key != *workflow) {
                return Err(Refused::RunNotFound(*run).into());
            }
            let differences = self.differences(*run, &state, &definition, version).await?;
            found.push(Compatibility { run: *run, version: state.version(), status: state.status(), differences });
        }
        Ok(found)
    }

    async fn differences(
        &self,
        id: RunId,
        run: &Run,
        definition: &Arc<Definition>,
        version: u32,
    ) -> Result<Vec<Difference>, Error> {
        let mut input = (**run.input()).clone();
        if let Err(error) = self.check_input(definition, &mut input) {
            return Ok(vec![Difference::Input { problem: error.to_string() }]);
        }
        let mut played = Played {
            id,
            shadow: Run::default(),
            timers: timers(run, definition),
            begun: VecDeque::new(),
            found: Vec::new(),
        };
        let (Some(workflow), Some(by)) = (run.workflow(), run.by().cloned()) else { return Ok(vec![]) };
        let at = run.started_at().unwrap_or(Timestamp::from_micros(0));
        played.decide(RunCommand::Start(Box::new(Start {
            id,
            workflow,
            version,
            definition: Arc::clone(definition),
            input: Arc::new(input),
            by,
            at,
            deadline: None,
            priority: run.priority(),
            parent: run.parent().cloned(),
            lineage: None,
            trigger: None,
            again: None,
            subject: None,
            form: run.form(),
        })));
        played.decide(RunCommand::Advance { now: at });
        while let Some(event) = played.begun.pop_front() {
            self.play(&mut played, run, definition, event).await?;
        }
        compare(run, &played.shadow, definition, &mut played.found);
        Ok(played.found)
    }

    /// Lets something that began end as it had ended.
    async fn play(
        &self,
        played: &mut Played,
        run: &Run,
        definition: &Definition,
        event: RunEvent,
    ) -> Result<(), Error> {
        // Far enough for every timer, and without deadlines no later than any.
        let now = Timestamp::from_micros(i64::MAX);
        match event {
            RunEvent::StepStarted { step, task, .. } => {
                self.play_task(played, run, definition, Place::Step(step), task).await
            }
            RunEvent::ItemStarted { step, item, task } => {
                self.play_task(played, run, definition, Place::Item(step, item), task).await
            }
            RunEvent::TimerStarted { step, .. } if is_over(run, &step) => {
                played.decide(RunCommand::Advance { now });
                Ok(())
            }
            RunEvent::ApprovalRequested { step, .. } => {
                let Some(Activity::Approval(asked)) = run.steps().get(&step).map(|step| &step.activity) else {
                    return Ok(());
                };
                for decision in &asked.decisions {
                    let (step, by, comment) = (step.clone(), decision.by.clone(), decision.comment.clone());
                    // Whoever decided then could decide; their roles were not kept.
                    played.apply(RunEvent::ApprovalDecided {
                        step,
                        by,
                        approved: decision.approved,
                        comment,
                        content_hash: asked.content_hash,
                        at: decision.at,
                    });
                }
                if is_over(run, &step) {
                    played.decide(RunCommand::Advance { now });
                }
                Ok(())
            }
            RunEvent::SignalAwaited { step, signal, .. } => {
                let payload = run.outputs().get(&step).and_then(|output| output.get("payload")).cloned();
                if let Some(payload) = payload {
                    played.decide(RunCommand::Signal { signal, payload: Arc::new(payload), now });
                    played.decide(RunCommand::Advance { now });
                }
                Ok(())
            }
            RunEvent::ChildStarted { step, .. } => {
                if matches!(definition.step(&step).map(|step| &step.work), Some(Work::Run(work)) if !work.wait) {
                    played.decide(RunCommand::SettleChild { step, end: Ok((Value::Null, false)), now });
                    return Ok(());
                }
                let Some(Activity::Child { run: child }) = run.steps().get(&step).map(|step| &step.activity) else {
                    return Ok(());
                };
                let child = self.executor.load::<Run>((*child).into()).await?.state;
                let end = match child.output() {
                    Some(output) => Ok(((**output).clone(), child.simulated())),
                    None if child.status().is_terminal() => Err(AttemptError {
                        kind: ErrorKind::RunFailed,
                        message: "the other run had no output".to_owned(),
                        retry_after: None,
                    }),
                    None => return Ok(()),
                };
                played.decide(RunCommand::SettleChild { step, end, now });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn play_task(
        &self,
        played: &mut Played,
        run: &Run,
        definition: &Definition,
        place: Place,
        id: TaskId,
    ) -> Result<(), Error> {
        let step = place.step().clone();
        let kind = definition.step(&step).map(|step| step.work.kind());
        let was = run.definition().and_then(|own| own.step(&step)).map(|step| step.work.kind());
        if let (Some(was), Some(would_be)) = (was, kind)
            && was != would_be
        {
            let (was, would_be) = (was.to_owned(), would_be.to_owned());
            played.found.push(Difference::StepKind { step, was, would_be });
            return Ok(());
        }
        let task = self.executor.load::<Task>(id.into()).await?.state;
        let Some(order) = task.order() else { return Ok(()) };
        let work = definition.step(&step).and_then(|step| step.work.task());
        if let Some(work) = work {
            let element = match &place {
                Place::Item(step, item) => element(&played.shadow, step, *item).map(|value| (*item, value)),
                _ => None,
            };
            let would_be = played.shadow.task_parameters(work, element.as_ref().map(|(item, value)| (*item, value)));
            let would_be = would_be.unwrap_or(Value::Null);
            // What the workflow gives; the template adds its defaults to it.
            let given = would_be
                .as_object()
                .is_some_and(|given| given.iter().all(|(name, value)| order.parameters.get(name) == Some(value)));
            if !given {
                let was = (*order.parameters).clone();
                played.found.push(Difference::Parameters { step, was, would_be });
            }
        }
        let end = match task.status() {
            TaskStatus::Completed => crate::result_of(&task).map(|result| TaskEnd::Completed {
                result,
                simulated: task.reply().is_some_and(|reply| reply.simulated),
            }),
            TaskStatus::Failed => task.error().cloned().map(TaskEnd::Failed),
            _ => None,
        };
        if let Some(end) = end {
            let now = run.started_at().unwrap_or(Timestamp::from_micros(0));
            played.decide(RunCommand::SettleTask { task: id, end, now });
        }
        Ok(())
    }
}

/// A run that is played again.
struct Played {
    id: RunId,
    shadow: Run,
    /// When waits ended or end that the other version has as well: it would wait no longer.
    timers: BTreeMap<StepName, Timestamp>,
    /// What began and has not been looked at.
    begun: VecDeque<RunEvent>,
    found: Vec<Difference>,
}

impl Played {
    fn decide(&mut self, command: RunCommand) {
        // What is refused had its turn already.
        for mut event in self.shadow.decide(command).unwrap_or_default() {
            if let RunEvent::TimerStarted { step, fires_at, .. } = &mut event
                && let Some(recorded) = self.timers.get(step)
            {
                *fires_at = *recorded;
            }
            self.apply(event);
        }
        debug_assert!(self.shadow.id() == Some(self.id), "a run is played under its own id");
    }

    fn apply(&mut self, event: RunEvent) {
        self.shadow.apply(event.clone());
        self.begun.push_back(event);
    }
}

fn timers(run: &Run, definition: &Definition) -> BTreeMap<StepName, Timestamp> {
    let own = run.definition();
    let work = |definition: &Definition, step: &StepName| definition.step(step).map(|step| step.work.clone());
    let timers = run.steps().iter().filter_map(|(name, state)| match state.activity {
        Activity::Timer { fires_at } => Some((name.clone(), fires_at)),
        _ => None,
    });
    timers.filter(|(name, _)| own.and_then(|own| work(own, name)) == work(definition, name)).collect()
}

fn is_over(run: &Run, step: &StepName) -> bool {
    run.steps().get(step).is_some_and(|step| !matches!(step.status, StepStatus::Pending | StepStatus::Running))
}

fn element(run: &Run, step: &StepName, item: u32) -> Option<Value> {
    let Activity::Items(items) = &run.steps().get(step)?.activity else { return None };
    items.values.get(usize::try_from(item).ok()?).cloned()
}

fn compare(run: &Run, shadow: &Run, definition: &Definition, found: &mut Vec<Difference>) {
    let took_place = |state: &StepState| state.status != StepStatus::Pending;
    for (name, state) in run.steps() {
        let Some(other) = shadow.steps().get(name) else {
            if took_place(state) {
                found.push(Difference::StepRemoved { step: name.clone() });
            }
            continue;
        };
        if state.status != other.status && !(run.status().is_terminal() && state.status == StepStatus::Cancelled) {
            let (was, would_be) = (state.status, other.status);
            found.push(Difference::StepStatus { step: name.clone(), was, would_be });
        }
        let (was, would_be) = (run.outputs().get(name), shadow.outputs().get(name));
        if let (Some(was), Some(would_be)) = (was, would_be)
            && was != would_be
        {
            let (was, would_be) = ((**was).clone(), (**would_be).clone());
            found.push(Difference::StepOutput { step: name.clone(), was, would_be });
        }
    }
    for step in &definition.steps {
        let new = !run.steps().contains_key(&step.name);
        if new && shadow.steps().get(&step.name).is_some_and(|state| took_place(state)) {
            found.push(Difference::StepAdded { step: step.name.clone() });
        }
    }
    if run.status() == RunStatus::Completed {
        let (was, would_be) = (run.status(), shadow.status());
        if was != would_be {
            found.push(Difference::Status { was, would_be });
        } else if run.output() != shadow.output() {
            let value = |run: &Run| run.output().map_or(json!(null), |output| (**output).clone());
            found.push(Difference::Output { was: value(run), would_be: value(shadow) });
        }
    }
}
