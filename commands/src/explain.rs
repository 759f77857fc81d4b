use std::collections::BTreeSet;
use std::sync::Arc;

use domain::run::{Activity, Asked, PauseClock, RunStatus, SlotsNeed, StepState, StepStatus};
use domain::slots::Holder;
use domain::task::{AgentChoice, PassedOver, TaskStatus};
use domain::workflow::Work;
use domain::{
    Actor, Agent, Decide, Definition, Key, Limit, LimitId, NodeId, PlatformTag, Run, RunId, Slots, StepName, StreamId,
    Task, TaskId, Template, Timestamp,
};
use journal::{Loaded, Position, ReadError};
use serde::Serialize;

use crate::{Commands, Error, Refused};

/// Why a run stands where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Which run.
    pub run: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// The node that owns it.
    pub node: Option<NodeId>,
    /// What has to happen next for the run to go on; empty only when it has ended.
    pub next: Vec<Cause>,
    /// Each step that has not completed, in the order of the definition.
    pub steps: Vec<StepExplanation>,
}

/// Why a step stands where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepExplanation {
    /// Which step.
    pub step: StepName,
    /// Where it stands.
    pub status: StepStatus,
    /// What it waits for.
    pub cause: Cause,
    /// Who has its task, when it has one; of a list, who has the first task under way.
    pub assignment: Option<Assignment>,
    /// What platforms must be tagged with to be sent that task, by what its agent and its template say of themselves; the
    /// installation may demand more.
    pub residency: BTreeSet<PlatformTag>,
}

/// Who has a task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Assignment {
    /// Which task.
    pub task: TaskId,
    /// The agent.
    pub agent: Key,
    /// The agent's version.
    pub version: u32,
    /// What it was chosen from; `None` when it was named.
    pub choice: Option<Arc<AgentChoice>>,
}

/// What something waits for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// No node has taken the run yet.
    Unclaimed,
    /// Somebody paused it.
    Paused {
        /// Who.
        by: Actor,
        /// Why.
        reason: String,
        /// Since when.
        since: Timestamp,
        /// Whether timers stand still meanwhile.
        clock: PauseClock,
        /// Whether it is paused because everything, or its workflow, is.
        held: bool,
    },
    /// Limits make it wait.
    Limit {
        /// The limit's key.
        limit: Key,
        /// What the limit is for.
        description: String,
        /// Who has its slots, as far as there are fewer than a hundred.
        holders: Vec<Holder>,
        /// How many wait before this one, by the time at which they came.
        ahead: usize,
        /// When its rate lets the next one start.
        next_start: Option<Timestamp>,
        /// Since when it waits.
        since: Option<Timestamp>,
    },
    /// A platform is being called.
    Attempt {
        /// For which task.
        task: TaskId,
        /// Which attempt.
        attempt: u32,
        /// Which platform.
        platform: String,
        /// Since when.
        since: Option<Timestamp>,
    },
    /// An attempt failed, and the next one waits for its time.
    Retry {
        /// For which task.
        task: TaskId,
        /// How many attempts there were.
        attempts: u32,
        /// When the next one starts.
        at: Timestamp,
        /// Why the last one failed.
        error: String,
    },
    /// Every platform that may be asked is resting after failures, or cannot do it.
    Resting {
        /// For which task.
        task: TaskId,
        /// Who is passed over, and why.
        passed_over: Vec<PassedOver>,
        /// When the first of them may be asked again.
        at: Timestamp,
    },
    /// Elements of a list are being worked on.
    Items {
        /// How many are under way.
        running: u32,
        /// How many are done.
        done: u32,
        /// How many there are.
        total: usize,
        /// What one of those under way waits for.
        one: Option<Box<Cause>>,
    },
    /// People are asked to decide.
    Approval {
        /// Which step asks.
        step: StepName,
        /// Who may decide.
        approvers: Vec<String>,
        /// How many have agreed.
        agreed: usize,
        /// How many have to.
        quorum: u32,
        /// Since when.
        since: Option<Timestamp>,
        /// When it ends without them.
        expires_at: Option<Timestamp>,
    },
    /// It waits for its time.
    Timer {
        /// Which step.
        step: StepName,
        /// When it goes on.
        at: Timestamp,
        /// Since when.
        since: Option<Timestamp>,
    },
    /// It waits for a signal.
    Signal {
        /// Which step.
        step: StepName,
        /// The signal's name.
        signal: StepName,
        /// Since when.
        since: Option<Timestamp>,
    },
    /// It waits for another run.
    Child {
        /// Which step.
        step: StepName,
        /// The other run.
        run: RunId,
        /// Where that stands.
        status: RunStatus,
        /// Since when.
        since: Option<Timestamp>,
    },
    /// What ran is given time to end before it is cut.
    Grace {
        /// When it is cut.
        until: Timestamp,
    },
    /// A step is being undone.
    Undo {
        /// Which step.
        step: StepName,
        /// What the task that undoes it waits for.
        task: Box<Cause>,
    },
    /// The owner is about to go on; seen only between two appends or after a crash.
    Engine,
    /// Other steps have to complete first.
    Needs {
        /// Which ones.
        steps: Vec<StepName>,
    },
    /// The step failed.
    Failed {
        /// Why.
        error: String,
    },
    /// The step's condition was not met.
    Skipped {
        /// Why.
        reason: String,
    },
    /// The run ended or is ending before the step's turn came.
    NotReached,
}

impl Commands {
    /// Says what a run waits for, straight from the journal.
    ///
    /// # Errors
    /// `RUN_NOT_FOUND`.
    pub async fn explain(&self, run: RunId) -> Result<Explanation, Error> {
        Sight { commands: self, then: None }.explain(run).await
    }

    /// The same as of a position: what it waited for when the journal ended there. Of what a time decides, such as when a
    /// rate lets the next one start, it is told as of `moment`.
    ///
    /// # Errors
    /// `RUN_NOT_FOUND`, also when the run had not started yet.
    pub async fn explain_as_of(&self, run: RunId, at: Position, moment: Timestamp) -> Result<Explanation, Error> {
        Sight { commands: self, then: Some((at, moment)) }.explain(run).await
    }

    /// Who has a task, straight from the journal; `None` while nobody has it, and of a task that does not exist.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn assignment(&self, task: TaskId) -> Result<Option<Assignment>, Error> {
        Sight { commands: self, then: None }.assignment(task).await
    }

    /// Who had a task as of a position.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn assignment_as_of(&self, task: TaskId, at: Position) -> Result<Option<Assignment>, Error> {
        Sight { commands: self, then: Some((at, self.surroundings.now())) }.assignment(task).await
    }
}

/// Of which moment aggregates are seen: as they are, or as they were.
struct Sight<'a> {
    commands: &'a Commands,
    /// The position, and the moment that stands for it.
    then: Option<(Position, Timestamp)>,
}

impl Sight<'_> {
    async fn load<A: Decide>(&self, stream: impl Into<StreamId>) -> Result<Loaded<A>, ReadError> {
        match self.then {
            Some((position, _)) => self.commands.executor.load_as_of(stream.into(), position).await,
            None => self.commands.executor.load(stream.into()).await,
        }
    }

    fn now(&self) -> Timestamp {
        self.then.map_or_else(|| self.commands.surroundings.now(), |(_, moment)| moment)
    }

    async fn explain(&self, run: RunId) -> Result<Explanation, Error> {
        let state = self.load::<Run>(run).await?.state;
        let Some(definition) = state.definition() else {
            return Err(Refused::RunNotFound(run).into());
        };
        let status = state.status();
        let mut next = self.of_whole_run(&state).await?;
        let stopped = !next.is_empty();
        let mut steps = Vec::new();
        for step in &definition.steps {
            let Some(at) = state.steps().get(&step.name) else { continue };
            if let Some(undo) = at.undo.as_ref().filter(|undo| undo.status == StepStatus::Running) {
                let task = Box::new(self.of_task(run, undo.task).await?);
                next.push(Cause::Undo { step: step.name.clone(), task });
            }
            if at.status == StepStatus::Completed {
                continue;
            }
            let cause = self.of_step(run, &state, definition, &step.name, at).await?;
            if at.status == StepStatus::Running && !status.is_terminal() && !stopped {
                next.push(cause.clone());
            }
            let (assignment, residency) = match task_of(&state, &step.name, at) {
                Some(task) => (self.assignment(task).await?, self.residency(task).await?),
                None => (None, BTreeSet::new()),
            };
            steps.push(StepExplanation { step: step.name.clone(), status: at.status, cause, assignment, residency });
        }
        if next.is_empty() && !status.is_terminal() {
            next.push(Cause::Engine);
        }
        Ok(Explanation { run, status, node: state.lease().map(|lease| lease.node), next, steps })
    }

    async fn assignment(&self, task: TaskId) -> Result<Option<Assignment>, Error> {
        let state = self.load::<Task>(task).await?.state;
        let Some((id, version)) = state.agent() else { return Ok(None) };
        // A key never changes, so it may be of any moment.
        let agent = self.commands.executor.load_cached::<Agent>(id.into()).await?.state;
        let Some(agent) = agent.profile().map(|profile| profile.key.clone()) else { return Ok(None) };
        Ok(Some(Assignment { task, agent, version, choice: state.agent_choice().cloned() }))
    }

    /// What platforms must be tagged with to be sent a task, by its agent and its template in the versions that it has;
    /// nothing of a task that does not exist.
    async fn residency(&self, task: TaskId) -> Result<BTreeSet<PlatformTag>, Error> {
        let state = self.load::<Task>(task).await?.state;
        let mut demanded = BTreeSet::new();
        // What a version says never changes, so it may be of any moment.
        if let Some(order) = state.order() {
            let template = self.commands.executor.load::<Template>(order.template.into()).await?.state;
            demanded.extend(template.body_at(order.template_version).iter().flat_map(|body| body.residency.clone()));
        }
        if let Some((id, version)) = state.agent() {
            let agent = self.commands.executor.load::<Agent>(id.into()).await?.state;
            demanded.extend(agent.profile_at(version).iter().flat_map(|profile| profile.residency.clone()));
        }
        Ok(demanded)
    }

    /// What stops the run as a whole.
    async fn of_whole_run(&self, run: &Run) -> Result<Vec<Cause>, Error> {
        if let Some(pause) = run.pause() {
            let (by, reason, since) = (pause.by.clone(), pause.reason.clone(), pause.at);
            return Ok(vec![Cause::Paused { by, reason, since, clock: pause.clock, held: pause.hold.is_some() }]);
        }
        if run.status() == RunStatus::Cancelling
            && let Some(cancel) = run.cancel()
        {
            return Ok(vec![Cause::Grace { until: cancel.cut_at }]);
        }
        if run.status() == RunStatus::Running && run.lease().is_none() {
            return Ok(vec![Cause::Unclaimed]);
        }
        if let (true, Some(queue), Some(id)) = (run.is_queued(), run.queue(), run.id()) {
            let holder = Holder { run: id, task: None };
            return Ok(self.of_slots(holder, &queue.slots).await?.into_iter().collect());
        }
        Ok(vec![])
    }

    async fn of_step(
        &self,
        id: RunId,
        run: &Run,
        definition: &Definition,
        name: &StepName,
        at: &StepState,
    ) -> Result<Cause, Error> {
        let (step, since) = (name.clone(), at.since);
        Ok(match (at.status, &at.activity) {
            (StepStatus::Running, _) if run.status().is_terminal() => Cause::NotReached,
            (StepStatus::Running, Activity::Task(task)) => self.of_task(id, *task).await?,
            (StepStatus::Running, Activity::Items(items)) => {
                let mut open = run.open_tasks().into_iter();
                let one = match open.find(|(place, _)| place.step() == name) {
                    Some((_, task)) => Some(Box::new(self.of_task(id, task).await?)),
                    None => None,
                };
                Cause::Items { running: items.running, done: items.done, total: items.states.len(), one }
            }
            (StepStatus::Running, Activity::Approval(asked)) => of_approval(definition, step, asked, since),
            (StepStatus::Running, Activity::Timer { fires_at }) => Cause::Timer { step, at: *fires_at, since },
            (StepStatus::Running, Activity::Signal { signal }) => Cause::Signal { step, signal: signal.clone(), since },
            (StepStatus::Running, Activity::Child { run }) => {
                let status = self.load::<Run>(*run).await?.state.status();
                Cause::Child { step, run: *run, status, since }
            }
            (StepStatus::Failed, _) => {
                Cause::Failed { error: at.error.as_ref().map_or_else(String::new, |error| error.message.clone()) }
            }
            (StepStatus::Skipped, _) => Cause::Skipped { reason: at.skipped.clone().unwrap_or_default() },
            (StepStatus::Pending, _) if matches!(run.status(), RunStatus::Running | RunStatus::Paused) => {
                let done = |name: &StepName| run.steps().get(name).is_some_and(|step| step.status.is_done());
                let needs = definition.step(name).map(|step| step.needs.as_slice()).unwrap_or_default();
                let steps: Vec<StepName> = needs.iter().filter(|need| !done(need)).cloned().collect();
                match (steps.is_empty(), run.lease()) {
                    (false, _) => Cause::Needs { steps },
                    (true, None) => Cause::Unclaimed,
                    (true, Some(_)) => Cause::Engine,
                }
            }
            _ => Cause::NotReached,
        })
    }

    async fn of_task(&self, run: RunId, id: TaskId) -> Result<Cause, Error> {
        let loaded = self.load::<Task>(id).await?;
        let task = &loaded.state;
        if let Some(attempt) = task.running_attempt() {
            let since = self.moment_of(id.into(), loaded.revision).await?;
            let platform = attempt.platform.to_string();
            return Ok(Cause::Attempt { task: id, attempt: attempt.number, platform, since });
        }
        if !task.status().is_terminal() && !task.slots().is_empty() {
            let holder = Holder { run, task: Some(id) };
            if let Some(cause) = self.of_slots(holder, task.slots()).await? {
                return Ok(cause);
            }
        }
        match (task.status(), task.retry_at()) {
            (TaskStatus::Waiting, Some(at)) if !task.passed_over().is_empty() => {
                Ok(Cause::Resting { task: id, passed_over: task.passed_over().to_vec(), at })
            }
            (TaskStatus::Waiting, Some(at)) => Ok(Cause::Retry {
                task: id,
                attempts: u32::try_from(task.attempts().len()).unwrap_or(u32::MAX),
                at,
                error: task.last_error().map_or_else(String::new, |error| error.message),
            }),
            _ => Ok(Cause::Engine),
        }
    }

    /// The first of the limits for which a holder still waits.
    async fn of_slots(&self, holder: Holder, needs: &[SlotsNeed]) -> Result<Option<Cause>, Error> {
        for need in needs {
            let slots = self.load::<Slots>(need.slots).await?.state;
            if slots.has(holder) {
                continue;
            }
            let limit = self.load::<Limit>(LimitId::from_key(&need.limit)).await?.state;
            let settings = limit.settings();
            let capacity = settings.map(|settings| settings.capacity).unwrap_or_default();
            let waiting = slots.waiting();
            return Ok(Some(Cause::Limit {
                limit: need.limit.clone(),
                description: settings.map(|settings| settings.description.clone()).unwrap_or_default(),
                holders: slots.holders().take(99).collect(),
                ahead: waiting.iter().take_while(|waiting| waiting.holder != holder).count(),
                next_start: slots.next_start(capacity, self.now()),
                since: waiting.iter().find(|waiting| waiting.holder == holder).map(|waiting| waiting.at),
            }));
        }
        Ok(None)
    }

    /// When an event was recorded.
    async fn moment_of(&self, stream: StreamId, revision: Option<u64>) -> Result<Option<Timestamp>, ReadError> {
        let Some(revision) = revision else { return Ok(None) };
        let events = self.commands.executor.journal().read_stream(stream, revision, 1).await?;
        Ok(events.first().map(|event| event.recorded_at))
    }
}

/// The task of a step, or of a list the first that is under way.
fn task_of(run: &Run, name: &StepName, at: &StepState) -> Option<TaskId> {
    match &at.activity {
        Activity::Task(task) => Some(*task),
        Activity::Items(_) => {
            run.open_tasks().into_iter().find(|(place, _)| place.step() == name).map(|(_, task)| task)
        }
        _ => None,
    }
}

fn of_approval(definition: &Definition, step: StepName, asked: &Asked, since: Option<Timestamp>) -> Cause {
    let (approvers, quorum) = match definition.step(&step).map(|step| &step.work) {
        Some(Work::Approval(approval)) => {
            (approval.approvers.iter().map(ToString::to_string).collect(), approval.quorum)
        }
        _ => (vec![], 1),
    };
    let agreed = asked.decisions.iter().filter(|decision| decision.approved).count();
    Cause::Approval { step, approvers, agreed, quorum, since, expires_at: asked.expires_at }
}
