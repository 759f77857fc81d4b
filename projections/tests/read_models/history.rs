//! Makes histories: commands at random, decided by the domain, appended as the engine appends them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::run::RunStatus;
use domain::task::{Pacing, TaskStatus};
use domain::{
    Actor, Agent, AgentCommand, AgentId, AttemptError, CommandId, Decide, Definition, ErrorKind, Event, FinishReason,
    NanoUsd, NodeId, Reply, RetryPolicy, Run, RunCommand, RunEvent, RunId, StepName, StreamId, Task, TaskCommand,
    TaskId, Template, TemplateCommand, TemplateId, Timestamp, Usage, Workflow, WorkflowCommand, WorkflowId,
};
use journal::{Append, Context, Expected, Journal, Position, StreamAppend};
use serde_json::json;
use uuid::Uuid;

use crate::fixtures;

/// Writes history into a journal. The same seed makes the same history.
pub(crate) struct History {
    journal: Arc<dyn Journal>,
    state: u64,
    clock: i64,
    pub(crate) position: Position,
    pub(crate) runs: Vec<RunId>,
    live: Vec<Live>,
    agents: HashMap<AgentId, Agent>,
    templates: HashMap<TemplateId, Template>,
    workflows: HashMap<WorkflowId, Workflow>,
}

struct Live {
    id: RunId,
    run: Run,
    tasks: HashMap<TaskId, Task>,
    by_name: HashMap<TaskId, StepName>,
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
            agents: HashMap::new(),
            templates: HashMap::new(),
            workflows: HashMap::new(),
        }
    }

    /// Xorshift: quick, and the same everywhere.
    fn below(&mut self, limit: u64) -> u64 {
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
                definition.description = format!("version of {}", self.below(4));
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

    /// Starts a run of this definition.
    pub(crate) async fn start(&mut self, definition: &Definition) -> RunId {
        let millis = u64::try_from(self.clock / 1000).unwrap();
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.below(u64::MAX).to_le_bytes());
        let id = RunId::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid());
        let command = RunCommand::Start {
            id,
            workflow: WorkflowId::from_key(&definition.key),
            version: 1,
            definition: Arc::new(definition.clone()),
            input: Arc::new(json!({ "topic": "bread\0", "n": self.below(100) })),
        };
        let mut live =
            Live { id, run: Run::default(), tasks: HashMap::new(), by_name: HashMap::new(), cancelled: Vec::new() };
        let mut draft = Draft::default();
        let mut events = decide(&mut live.run, command);
        let node = NodeId::from_uuid(self.uuid());
        events.extend(decide(&mut live.run, RunCommand::Claim { node }));
        events.extend(decide(&mut live.run, RunCommand::Advance));
        self.started_tasks(&mut live, &events, &mut draft);
        draft.add(id.into(), events);
        self.append(draft).await;
        self.live.push(live);
        self.runs.push(id);
        id
    }

    /// For each started step: its task, given to the agent, with its first attempt.
    fn started_tasks(&mut self, live: &mut Live, events: &[RunEvent], draft: &mut Draft) {
        for event in events {
            let RunEvent::StepStarted { step, task } = event else { continue };
            let mut state = Task::default();
            let mut history = decide(
                &mut state,
                TaskCommand::Create {
                    run: Some(live.id),
                    step: Some(step.clone()),
                    template: TemplateId::from_key(&"write".parse().unwrap()),
                    template_version: 1,
                    parameters: Arc::new(json!({ "topic": "b\0read" })),
                    retry: RetryPolicy { max_attempts: 3, ..RetryPolicy::default() },
                    attempt_timeout: Duration::from_secs(60),
                },
            );
            let agent = AgentId::from_key(&"writer".parse().unwrap());
            history.extend(decide(
                &mut state,
                TaskCommand::Assign { agent, agent_version: 1, reason: "named by the step".to_owned() },
            ));
            history.extend(decide(&mut state, start_attempt()));
            draft.add((*task).into(), history);
            live.tasks.insert(*task, state);
            live.by_name.insert(*task, step.clone());
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
            RunStatus::Cancelling => {
                for (_, task) in live.run.running() {
                    let state = live.tasks.get_mut(&task).unwrap();
                    draft.add(task.into(), decide(state, TaskCommand::Cancel { reason: "the run stops".to_owned() }));
                    live.cancelled.push(task);
                }
                let events = decide(&mut live.run, RunCommand::FinishCancel);
                draft.add(live.id.into(), events);
            }
            RunStatus::Running => self.work(&mut live, reliable, &mut draft),
            _ => {
                // An answer that comes after the end.
                for task in std::mem::take(&mut live.cancelled) {
                    let state = live.tasks.get_mut(&task).unwrap();
                    if !state.attempts().is_empty() && self.below(2) == 0 {
                        let attempt = u32::try_from(state.attempts().len()).unwrap();
                        let reply = self.reply();
                        draft.add(task.into(), decide(state, TaskCommand::SucceedAttempt { attempt, reply }));
                    }
                }
            }
        }
        let over = live.run.status().is_terminal() && live.cancelled.is_empty();
        if !over {
            self.live.push(live);
        }
        self.append(draft).await;
        true
    }

    fn work(&mut self, live: &mut Live, reliable: bool, draft: &mut Draft) {
        let running: Vec<TaskId> = live.run.running().map(|(_, task)| task).collect();
        let Some(&id) = running.get(usize::try_from(self.below(running.len().max(1) as u64)).unwrap()) else {
            return;
        };
        let task = live.tasks.get_mut(&id).unwrap();
        if task.status() == TaskStatus::Waiting {
            draft.add(id.into(), decide(task, start_attempt()));
            return;
        }
        let attempt = u32::try_from(task.attempts().len()).unwrap();
        let pacing = Pacing { now: Timestamp::from_micros(self.clock), jitter_milli: 500 };
        let chance = if reliable { 0 } else { self.below(100) };
        let command = match chance {
            0..60 => TaskCommand::SucceedAttempt { attempt, reply: self.reply() },
            60..75 => TaskCommand::FailAttempt { attempt, error: error(ErrorKind::RateLimited), pacing },
            75..85 => TaskCommand::LoseAttempt { attempt, pacing },
            85..92 => TaskCommand::FailAttempt { attempt, error: error(ErrorKind::Unauthorized), pacing },
            _ => {
                let events = decide(&mut live.run, RunCommand::RequestCancel { reason: "en\0ough".to_owned() });
                draft.add(live.id.into(), events);
                return;
            }
        };
        draft.add(id.into(), decide(task, command));
        let step = live.by_name[&id].clone();
        let events = match task.status() {
            TaskStatus::Completed => {
                let reply = task.reply().unwrap();
                let (result, simulated) = (json!({ "text": reply.text, "json": null }), reply.simulated);
                decide(&mut live.run, RunCommand::CompleteStep { step, result, simulated })
            }
            TaskStatus::Failed => {
                let error = task.error().unwrap().clone();
                decide(&mut live.run, RunCommand::FailStep { step, error })
            }
            _ => return,
        };
        self.started_tasks(live, &events, draft);
        draft.add(live.id.into(), events);
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
            simulated: self.below(5) == 0,
        }
    }

    /// Everything at random: `ticks` things happen to runs and to the catalogue.
    pub(crate) async fn happen(&mut self, ticks: usize) {
        for _ in 0..ticks {
            match self.below(20) {
                0 => self.catalog_tick().await,
                1..4 => {
                    self.start(&fixtures::diamond("entry-0")).await;
                }
                _ => {
                    self.tick(false).await;
                }
            }
        }
    }

    /// Runs all that is live to its end.
    pub(crate) async fn finish(&mut self) {
        while self.tick(true).await {}
    }
}

fn start_attempt() -> TaskCommand {
    TaskCommand::StartAttempt {
        platform: "simulator".parse().unwrap(),
        model: Some("m".to_owned()),
        request_hash: [7; 32],
    }
}

fn error(kind: ErrorKind) -> AttemptError {
    AttemptError { kind, message: format!("{}: \0 it said", kind.name()), retry_after: None }
}
