//! Makes histories: commands at random, decided by the domain, appended as the engine appends them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::run::{
    Activity, Firing, Lineage, LineageKind, Overrides, Parent, Pause, PauseClock, Place, RunStatus, Start, TaskEnd,
};
use domain::task::{
    ActionItem, Checked, Choice, Consumed, Ending, Form, Judgement, Kept, Output, Pacing, PersonRating, Priority,
    Purpose, Quality, Score, TaskStatus,
};
use domain::{
    Account, Actor, Agent, AgentCommand, AgentId, AttemptError, CommandId, CostSource, Decide, Definition, ErrorKind,
    Event, FinishReason, NanoUsd, NodeId, Reply, RetryPolicy, Run, RunCommand, RunEvent, RunId, StepName, StreamId,
    Task, TaskCommand, TaskId, Template, TemplateCommand, TemplateId, Timestamp, TriggerId, Usage, Workflow,
    WorkflowCommand, WorkflowId,
};
use journal::{Append, Context, Expected, Journal, Position, StreamAppend};
use serde_json::json;
use uuid::Uuid;

use crate::fixtures;
use crate::flow::Flow;
use crate::webhooks::Webhooks;

/// Writes history into a journal. The same seed makes the same history.
pub(crate) struct History {
    journal: Arc<dyn Journal>,
    state: u64,
    clock: i64,
    pub(crate) position: Position,
    pub(crate) runs: Vec<RunId>,
    live: Vec<Live>,
    /// Runs that have ended, and how many events each has.
    ended: Vec<(Run, u64)>,
    flow: Flow,
    webhooks: Webhooks,
    agents: HashMap<AgentId, Agent>,
    templates: HashMap<TemplateId, Template>,
    workflows: HashMap<WorkflowId, Workflow>,
}

struct Live {
    id: RunId,
    run: Run,
    events: u64,
    tasks: HashMap<TaskId, Task>,
    cancelled: Vec<TaskId>,
}

/// What one append will hold.
#[derive(Default)]
struct Draft(Vec<(StreamId, Vec<Event>)>);

impl Draft {
    fn add<E: Into<Event>>(&mut self, stream: StreamId, events: Vec<E>) {
        let events = events.into_iter().map(Into::into);
        match self.0.iter_mut().find(|(known, _)| *known == stream) {
            Some((_, all)) => all.extend(events),
            None => self.0.push((stream, events.collect())),
        }
    }
}

fn decide<A: Decide>(state: &mut A, command: A::Command) -> Vec<A::Event> {
    let events = state.decide(command).unwrap();
    events.iter().cloned().for_each(|event| state.apply(event));
    events
}

impl History {
    pub(crate) fn new(journal: Arc<dyn Journal>, seed: u64) -> Self {
        Self {
            journal,
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            clock: 1_700_000_000_000_000,
            position: Position::START,
            runs: Vec::new(),
            live: Vec::new(),
            ended: Vec::new(),
            flow: Flow::default(),
            webhooks: Webhooks::default(),
            agents: HashMap::new(),
            templates: HashMap::new(),
            workflows: HashMap::new(),
        }
    }

    /// Xorshift: quick, and the same everywhere.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit
    }

    fn uuid(&mut self) -> Uuid {
        let high = u128::from(self.below(u64::MAX));
        Uuid::from_u128(high << 64 | u128::from(self.below(u64::MAX)))
    }

    async fn append(&mut self, draft: Draft) {
        let streams: Vec<_> = draft
            .0
            .into_iter()
            .filter(|(_, events)| !events.is_empty())
            .map(|(stream, events)| StreamAppend { stream, expected: Expected::Any, events })
            .collect();
        if streams.is_empty() {
            return;
        }
        // Time goes on by leaps, stands still, and sometimes steps back, as clocks of several nodes do.
        self.clock += i64::try_from(self.below(3000)).unwrap() - 300;
        let context = Context {
            command: CommandId::from_uuid(self.uuid()),
            at: Timestamp::from_micros(self.clock),
            actor: Actor::person("tester"),
            tenant: "default".to_owned(),
            correlation: self.uuid(),
            causation: None,
            subject: None,
            keeping: None,
        };
        self.position = self.journal.append(Append { streams, context, remember: false }).await.unwrap().position;
    }

    /// Drafts and activates a workflow.
    pub(crate) async fn workflow(&mut self, definition: Definition) {
        let id = WorkflowId::from_key(&definition.key);
        let state = self.workflows.entry(id).or_default();
        let mut events = decide(state, WorkflowCommand::Draft { definition: Box::new(definition) });
        events.extend(decide(state, WorkflowCommand::Activate { version: state.newest() }));
        let mut draft = Draft::default();
        draft.add(id.into(), events);
        self.append(draft).await;
    }

    /// Carries out a command on an agent.
    pub(crate) async fn agent(&mut self, key: &str, command: AgentCommand) {
        let id = AgentId::from_key(&key.parse().unwrap());
        let events = decide(self.agents.entry(id).or_default(), command);
        let mut draft = Draft::default();
        draft.add(id.into(), events);
        self.append(draft).await;
    }

    /// Registers a template.
    pub(crate) async fn template(&mut self, body: domain::template::TemplateBody) {
        let id = TemplateId::from_key(&body.key);
        let events = decide(self.templates.entry(id).or_default(), TemplateCommand::Register { body: Box::new(body) });
        let mut draft = Draft::default();
        draft.add(id.into(), events);
        self.append(draft).await;
    }

    /// Records events as they are, whatever the rules say.
    pub(crate) async fn force(&mut self, stream: StreamId, events: Vec<Event>) {
        let mut draft = Draft::default();
        draft.add(stream, events);
        self.append(draft).await;
    }

    /// Something happens to the catalogue.
    pub(crate) async fn catalog_tick(&mut self) {
        let n = self.below(6);
        let key = format!("entry-{n}");
        match self.below(6) {
            0 | 1 => {
                let mut definition = fixtures::diamond(&key);
                definition.description.en = format!("version of {}", self.below(4));
                self.workflow(definition).await;
            }
            2 | 3 => {
                let mut profile = fixtures::profile(&key);
                profile.system_prompt = format!("You write\0 well, {}.", self.below(3));
                self.agent(&key, AgentCommand::Register { profile: Box::new(profile) }).await;
            }
            4 => {
                let mut body = fixtures::body(&key);
                body.description = format!("version\0 of {}", self.below(4)).into();
                self.template(body).await;
            }
            _ => {
                let id = AgentId::from_key(&key.parse().unwrap());
                if self.agents.contains_key(&id) {
                    let command = match self.below(2) {
                        0 => AgentCommand::Enable,
                        _ => AgentCommand::Disable { reason: "too\0 slow".to_owned() },
                    };
                    self.agent(&key, command).await;
                }
            }
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock)
    }

    /// Something happens to limits, their slots, or holds.
    pub(crate) async fn flow_tick(&mut self) {
        let (kind, number, now) = (self.below(8), self.below(4), self.now());
        let (stream, events) = self.flow.tick(kind, number, now);
        let mut draft = Draft::default();
        draft.add(stream, events);
        self.append(draft).await;
    }

    fn start_of(&mut self, definition: &Definition) -> Start {
        let millis = u64::try_from(self.clock / 1000).unwrap();
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.below(u64::MAX).to_le_bytes());
        let id = RunId::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid());
        Start {
            id,
            workflow: WorkflowId::from_key(&definition.key),
            version: 1,
            definition: Arc::new(definition.clone()),
            input: Arc::new(json!({ "topic": "bread\0", "n": self.below(100), "list": ["a", "b\0", { "c": 1 }] })),
            by: Actor::person("tester"),
            at: self.now(),
            deadline: None,
            priority: 0,
            parent: None,
            lineage: None,
            trigger: None,
            subject: None,
            // By the id, so that what is drawn stays as it is.
            again: None,
            form: if random[0] % 2 == 0 { Form::Every } else { Form::Text },
        }
    }

    /// Starts a run of this definition.
    pub(crate) async fn start(&mut self, definition: &Definition) -> RunId {
        let start = self.start_of(definition);
        self.begin(Run::default(), start).await
    }

    /// Starts a run that has everything that few runs have.
    pub(crate) async fn start_special(&mut self, definition: &Definition) -> RunId {
        let mut start = self.start_of(definition);
        start.deadline = Some(start.at.plus(Duration::from_secs(3600)));
        start.priority = 7;
        if let Some(parent) = self.runs.last() {
            start.parent = Some(Parent { run: *parent, step: "sub".parse().unwrap(), depth: 1 });
        }
        let trigger = TriggerId::from_uuid(Uuid::from_u128(9));
        start.trigger = Some(Firing { trigger, cause: "2026-01-01T00:00:00Z\0".to_owned() });
        self.begin(Run::default(), start).await
    }

    /// Starts a run that takes over the history of one that has ended; nothing when none has.
    pub(crate) async fn branch(&mut self) -> Option<RunId> {
        let count = u64::try_from(self.ended.len()).unwrap();
        if count == 0 {
            return None;
        }
        let chosen = usize::try_from(self.below(count)).unwrap();
        let (base, events) = self.ended[chosen].clone();
        let definition = base.definition().unwrap().as_ref().clone();
        let mut kept: Vec<StepName> = Vec::new();
        // A step comes after those that it needs, in the fixtures.
        for step in &definition.steps {
            let state = &base.steps()[&step.name];
            if state.status.is_done() && state.undo.is_none() && step.needs.iter().all(|need| kept.contains(need)) {
                kept.push(step.name.clone());
            }
        }
        let kind = LineageKind::ALL[usize::try_from(self.below(3)).unwrap()];
        let mut start = self.start_of(&definition);
        let overrides = Overrides { model: Some("m-2".to_owned()), steps: vec![] };
        start.lineage = Some(Lineage { run: base.id().unwrap(), revision: events - 1, kind, kept, overrides });
        Some(self.begin(base, start).await)
    }

    async fn begin(&mut self, base: Run, start: Start) -> RunId {
        let id = start.id;
        let mut live = Live { id, run: base, events: 0, tasks: HashMap::new(), cancelled: Vec::new() };
        let mut draft = Draft::default();
        let node = NodeId::from_uuid(self.uuid());
        let now = self.now();
        self.on_run(&mut live, RunCommand::Start(Box::new(start)), &mut draft);
        self.on_run(&mut live, RunCommand::Claim { node }, &mut draft);
        self.on_run(&mut live, RunCommand::Advance { now }, &mut draft);
        self.append(draft).await;
        if live.run.status().is_terminal() {
            self.ended.push((live.run, live.events));
        } else {
            self.live.push(live);
        }
        self.runs.push(id);
        id
    }

    /// Carries out a command on a run, with the tasks that it creates.
    fn on_run(&mut self, live: &mut Live, command: RunCommand, draft: &mut Draft) {
        let events = decide(&mut live.run, command);
        live.events += u64::try_from(events.len()).unwrap();
        self.started_tasks(live, &events, draft);
        draft.add(live.id.into(), events);
    }

    /// For each started step: its task, given to the agent, with its first attempt.
    fn started_tasks(&mut self, live: &mut Live, events: &[RunEvent], draft: &mut Draft) {
        for event in events {
            let (RunEvent::StepStarted { step, task, .. }
            | RunEvent::ItemStarted { step, task, .. }
            | RunEvent::CompensationStarted { step, task, .. }) = event
            else {
                continue;
            };
            let mut state = Task::default();
            let create = TaskCommand::Create {
                run: Some(live.id),
                step: Some(step.clone()),
                template: TemplateId::from_key(&"write".parse().unwrap()),
                template_version: 1,
                parameters: Arc::new(json!({ "topic": "b\0read" })),
                retry: RetryPolicy { max_attempts: 3, ..RetryPolicy::default() },
                attempt_timeout: Duration::from_secs(60),
                at: self.now(),
                start_by: Some(self.now().plus(Duration::from_secs(60))),
            };
            let mut history = decide(&mut state, create);
            let agent = AgentId::from_key(&"writer".parse().unwrap());
            let reason = "named by the step".to_owned();
            let assign = TaskCommand::Assign { agent, agent_version: 1, reason, choice: None };
            history.extend(decide(&mut state, assign));
            // Some wait for their first attempt.
            if self.below(4) > 0 {
                history.extend(decide(&mut state, self.start_attempt()));
            }
            draft.add((*task).into(), history);
            live.tasks.insert(*task, state);
        }
    }

    /// Something happens to one of the live runs; false when there is none.
    pub(crate) async fn tick(&mut self, reliable: bool) -> bool {
        if self.live.is_empty() {
            return false;
        }
        let count = u64::try_from(self.live.len()).unwrap();
        let chosen = usize::try_from(self.below(count)).unwrap();
        let mut live = self.live.swap_remove(chosen);
        let mut draft = Draft::default();
        match live.run.status() {
            RunStatus::Cancelling | RunStatus::Failing => {
                for (_, task) in live.run.open_tasks() {
                    let state = live.tasks.get_mut(&task).unwrap();
                    draft.add(task.into(), decide(state, TaskCommand::Cancel { reason: "the run stops".to_owned() }));
                    live.cancelled.push(task);
                }
                let now = self.now();
                self.on_run(&mut live, RunCommand::CutOff { now }, &mut draft);
            }
            RunStatus::Paused if reliable || self.below(3) == 0 => self.resume(&mut live, &mut draft),
            RunStatus::Running | RunStatus::Paused | RunStatus::Compensating => {
                self.work(&mut live, reliable, &mut draft);
            }
            _ => {
                // An answer that comes after the end.
                for task in std::mem::take(&mut live.cancelled) {
                    let state = live.tasks.get_mut(&task).unwrap();
                    if !state.attempts().is_empty() && self.below(2) == 0 {
                        let attempt = u32::try_from(state.attempts().len()).unwrap();
                        let reply = self.reply();
                        draft.add(
                            task.into(),
                            decide(
                                state,
                                TaskCommand::SucceedAttempt { attempt, reply, ending: Some(Ending::default()) },
                            ),
                        );
                    }
                }
            }
        }
        if live.run.status().is_terminal() && live.cancelled.is_empty() {
            self.ended.push((live.run, live.events));
        } else {
            self.live.push(live);
        }
        self.append(draft).await;
        true
    }

    /// Lets a run go on, as the commands do: what waits for a time is moved, if the clock stood still.
    fn resume(&mut self, live: &mut Live, draft: &mut Draft) {
        let now = self.now();
        let by = live.run.frozen_for(now);
        for (_, task) in live.run.open_tasks() {
            let state = live.tasks.get_mut(&task).unwrap();
            draft.add(task.into(), decide(state, TaskCommand::Defer { by }));
        }
        self.on_run(live, RunCommand::Resume { by: Actor::person("boss"), now }, draft);
        self.on_run(live, RunCommand::Advance { now }, draft);
    }

    fn work(&mut self, live: &mut Live, reliable: bool, draft: &mut Draft) {
        let now = self.now();
        if !reliable && live.run.status() == RunStatus::Running {
            match self.below(40) {
                0 => {
                    let clock = PauseClock::ALL[usize::try_from(self.below(2)).unwrap()];
                    let (by, reason) = (Actor::person("boss"), "lunch\0".to_owned());
                    let pause = Pause { by, reason, at: now, clock, hold: None };
                    return self.on_run(live, RunCommand::Pause(pause), draft);
                }
                1 => {
                    let stall = RunCommand::ReportStall { what: "noth\0ing".to_owned(), now };
                    return self.on_run(live, stall, draft);
                }
                2 => {
                    let (reason, grace) = ("en\0ough".to_owned(), Duration::from_secs(5));
                    return self.on_run(live, RunCommand::RequestCancel { reason, now, grace }, draft);
                }
                _ => {}
            }
        }
        let tasks = live.run.open_tasks();
        let waits: Vec<(StepName, Activity)> = live
            .run
            .running()
            .filter(|(_, step)| !matches!(step.activity, Activity::Task(_) | Activity::Items(_)))
            .map(|(name, step)| (name.clone(), step.activity.clone()))
            .collect();
        let chosen = usize::try_from(self.below((tasks.len() + waits.len()).max(1) as u64)).unwrap();
        match (tasks.get(chosen), waits.get(chosen.saturating_sub(tasks.len()))) {
            (Some((place, task)), _) => self.work_on(live, place, *task, reliable, draft),
            (None, Some((step, activity))) => self.wait_on(live, step.clone(), activity, reliable, draft),
            (None, None) => self.on_run(live, RunCommand::Advance { now }, draft),
        }
    }

    /// Something comes for a step that waits.
    fn wait_on(&mut self, live: &mut Live, step: StepName, activity: &Activity, reliable: bool, draft: &mut Draft) {
        let mut now = self.now();
        match activity {
            Activity::Approval(asked) => {
                // While the run is paused, nothing comes of what was decided.
                let decided = asked.decisions.len() > 1 || asked.decisions.iter().any(|decision| !decision.approved);
                if !reliable && self.below(3) == 0 {
                    now = asked.expires_at.unwrap();
                } else if !decided {
                    let decide = RunCommand::DecideApproval {
                        step,
                        by: Actor::person(format!("boss {}", asked.decisions.len())),
                        roles: vec!["boss".to_owned()],
                        approved: reliable || self.below(3) > 0,
                        comment: "fi\0ne".to_owned(),
                        content_hash: None,
                        now,
                    };
                    self.on_run(live, decide, draft);
                }
            }
            Activity::Timer { fires_at } => now = *fires_at,
            Activity::Signal { signal } => {
                let payload = Arc::new(json!({ "n": self.below(10), "text": "\0" }));
                let signal = RunCommand::Signal { signal: signal.clone(), payload, now };
                self.on_run(live, signal, draft);
            }
            Activity::Child { .. } => {
                let failed = !reliable && self.below(5) == 0;
                let end = if failed { Err(error(ErrorKind::RunFailed)) } else { Ok((json!({ "a": "\0" }), true)) };
                return self.on_run(live, RunCommand::SettleChild { step, end, now }, draft);
            }
            Activity::None | Activity::Task(_) | Activity::Items(_) => {}
        }
        self.on_run(live, RunCommand::Advance { now }, draft);
    }

    /// Something happens to a task.
    fn work_on(&mut self, live: &mut Live, place: &Place, id: TaskId, reliable: bool, draft: &mut Draft) {
        let task = live.tasks.get_mut(&id).unwrap();
        if matches!(task.status(), TaskStatus::Waiting | TaskStatus::Assigned) {
            if live.run.status() != RunStatus::Paused {
                let start = self.start_attempt();
                draft.add(id.into(), decide(task, start));
            }
            return;
        }
        let attempt = u32::try_from(task.attempts().len()).unwrap();
        let pacing = Pacing { now: Timestamp::from_micros(self.clock), jitter_milli: 500 };
        // What undoes a step mostly works.
        let chance =
            if reliable || (matches!(place, Place::Undo(_)) && self.below(4) > 0) { 0 } else { self.below(92) };
        let command = match chance {
            0..60 => {
                let ending = Some(self.ending(live.run.form()));
                TaskCommand::SucceedAttempt { attempt, reply: self.reply(), ending }
            }
            60..75 => fail(attempt, ErrorKind::RateLimited, pacing),
            75..85 => TaskCommand::LoseAttempt { attempt, pacing },
            _ => fail(attempt, ErrorKind::Unauthorized, pacing),
        };
        let task = live.tasks.get_mut(&id).unwrap();
        draft.add(id.into(), decide(task, command));
        let end = match task.status() {
            TaskStatus::Completed => {
                for command in verdicts(id, Timestamp::from_micros(self.clock)) {
                    draft.add(id.into(), decide(task, command));
                }
                let reply = task.reply().unwrap();
                let (result, simulated) = (json!({ "text": reply.text, "json": null }), reply.simulated);
                TaskEnd::Completed { result, simulated }
            }
            TaskStatus::Failed => TaskEnd::Failed(task.error().unwrap().clone()),
            _ => return,
        };
        let now = self.now();
        self.on_run(live, RunCommand::SettleTask { task: id, end, now }, draft);
    }

    /// What a task ends with: what some ask for, others ask for, too, in other words.
    fn ending(&self, form: Form) -> Ending {
        // By the clock, so that what is drawn stays as it is.
        let pick = self.clock.unsigned_abs();
        let item = |what: &str, owner: Option<&str>, due: Option<&str>, priority| ActionItem {
            what: what.to_owned(),
            owner: owner.map(str::to_owned),
            due: due.map(str::to_owned),
            priority,
        };
        let all = [
            item("Ask \0 finance", None, Some("2026-01-31"), Some(Priority::Low)),
            item("ask FINANCE.", Some("Omar"), None, Some(Priority::High)),
            item("File it", Some("Huda"), Some("soon"), None),
        ];
        let actions = all.into_iter().enumerate().filter(|(index, _)| pick >> index & 1 == 1).map(|(_, item)| item);
        let output = Output { results: "Bread.".to_owned(), actions: Some(actions.collect()), ..Output::default() };
        let mark = u16::try_from(100 + pick % 900).unwrap();
        let checks = vec![Checked { item: None, what: "it is bread".to_owned(), holds: true }];
        let quality = Quality { score: Score::of_hundredths(mark).unwrap(), checks };
        let (output, quality) = ((form == Form::Every).then_some(output), (!pick.is_multiple_of(3)).then_some(quality));
        Ending { output, quality, ..Ending::default() }
    }

    fn reply(&mut self) -> Reply {
        let known = self.below(4) > 0;
        Reply {
            text: format!("Bread \0 is {} old.", self.below(10_000)),
            finish: match self.below(4) {
                0 => FinishReason::Other("to\0ol".to_owned()),
                1 => FinishReason::Length,
                _ => FinishReason::Stop,
            },
            model: "m-1".to_owned(),
            usage: Usage {
                input_tokens: known.then_some(100),
                cached_input_tokens: None,
                output_tokens: known.then_some(20),
                reasoning_tokens: None,
            },
            cost: known.then_some(NanoUsd(2500)),
            duration: Duration::from_millis(self.below(2000)),
            // By the clock, so that what is drawn stays as it is.
            first_piece: (self.clock % 3 == 0).then(|| Duration::from_millis(self.clock.unsigned_abs() % 1000)),
            simulated: self.below(5) == 0,
            // By the clock as well.
            account: match self.clock % 4 {
                0 => None,
                1 => Some(Box::new(Account::new(CostSource::Reported, None))),
                2 => Some(Box::new(Account::new(CostSource::Listed("2026-11-25".to_owned()), None))),
                _ => Some(Box::new(Account::new(CostSource::Unpriced, None))),
            },
        }
    }

    /// Something happens to webhooks or their deliveries.
    pub(crate) async fn webhook_tick(&mut self) {
        let (kind, number, now) = (self.below(8), self.below(12), self.now());
        let (stream, events) = self.webhooks.tick(kind, number, now);
        let mut draft = Draft::default();
        draft.add(stream, events);
        self.append(draft).await;
    }

    /// Everything at random: `ticks` things happen to runs and to the catalogue.
    pub(crate) async fn happen(&mut self, ticks: usize) {
        for _ in 0..ticks {
            match self.below(42) {
                40 | 41 => self.webhook_tick().await,
                0 | 1 => self.catalog_tick().await,
                2 | 3 => self.flow_tick().await,
                4..8 => {
                    self.start(&fixtures::diamond("entry-0")).await;
                }
                8 => {
                    self.start_special(&fixtures::motley("entry-1")).await;
                }
                9 => {
                    self.branch().await;
                }
                _ => {
                    self.tick(false).await;
                }
            }
        }
    }

    /// An attempt, which sometimes has a kept answer.
    fn start_attempt(&self) -> TaskCommand {
        // By the clock, so that what is drawn stays as it is.
        let cost = (self.clock % 3 > 0).then_some(NanoUsd(1_000));
        let kept = Kept { at: Timestamp::from_micros(self.clock - 5_000_000), usage: Usage::default(), cost };
        TaskCommand::StartAttempt {
            purpose: Purpose::Answer,
            platform: "simulator".parse().unwrap(),
            model: Some("m".to_owned()),
            request_hash: [7; 32],
            choice: Choice::first(),
            reserved: vec![],
            masked: vec![],
            kept: (self.clock % 4 == 0).then_some(kept),
        }
    }

    /// Runs all that is live to its end.
    pub(crate) async fn finish(&mut self) {
        while self.tick(true).await {}
    }
}

fn fail(attempt: u32, kind: ErrorKind, pacing: Pacing) -> TaskCommand {
    let usage = Usage { input_tokens: Some(7), ..Usage::default() };
    // By the clock, so that what is drawn stays as it is.
    let (cost, account) = match pacing.now.as_micros() % 3 {
        0 => (Some(NanoUsd(70)), None),
        1 => (Some(NanoUsd(70)), Some(Box::new(Account::new(CostSource::Listed("2026-\0".to_owned()), None)))),
        _ => (None, Some(Box::new(Account::new(CostSource::Unpriced, None)))),
    };
    let consumed = (kind == ErrorKind::RateLimited).then_some(Consumed { usage, cost, account });
    TaskCommand::FailAttempt { attempt, error: error(kind), consumed, fallback: false, pacing }
}

fn error(kind: ErrorKind) -> AttemptError {
    AttemptError { kind, message: format!("{}: \0 it said", kind.name()), retry_after: None }
}

/// What people and a judge say about some answers; it follows from the task's id.
fn verdicts(task: TaskId, at: Timestamp) -> Vec<TaskCommand> {
    let number = u16::try_from(task.as_uuid().as_u128() % 900).unwrap();
    let mark = |hundredths: u16| Score::of_hundredths(100 + hundredths % 901).unwrap();
    let rate = |person: &str, hundredths| TaskCommand::Rate {
        rating: PersonRating { by: Actor::person(person), mark: mark(hundredths), comment: "a\0b".to_owned(), at },
        completed_at: at,
    };
    let judge = || TaskCommand::Judge {
        judgement: Box::new(Judgement {
            run: RunId::of_judging(task),
            agent: AgentId::from_key(&"judge".parse().unwrap()),
            model: format!("model-\0-{}", number % 2),
            author: "author".to_owned(),
            asked: 3,
            marks: vec![mark(number), mark(number / 2), mark(number / 3)],
            at,
        }),
        reason: "so".to_owned(),
        completed_at: at,
    };
    match number % 5 {
        0 => vec![rate("ada", number)],
        1 => vec![judge()],
        // Ada thinks again.
        2 => vec![rate("ada", number), judge(), rate("bob", number / 2), rate("ada", number / 3)],
        _ => vec![],
    }
}
