//! Everything that the schema stands on, and a hand that plays the engine.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_graphql::{Request, Variables};
use commands::Commands;
use commands::webhooks::{Keys, Reach, WebhookSetup};
use domain::run::TaskEnd;
use domain::task::{Choice, Consumed, Ending, Pacing, Purpose};
use domain::{
    Account, Actor, AgentId, CommandId, CostSource, FinishReason, NanoUsd, NodeId, Reply, RetryPolicy, Run, RunCommand,
    RunId, StepName, StreamId, Task, TaskCommand, TaskId, TemplateId, Usage,
};
use journal::{Checkpoints, Context, Filter, Journal, Members, MemoryCheckpoints, Position};
use schema::{Caller, Limits, Parts, Schema};
use serde_json::{Value, json};
use testkit::Database;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::chooser::Fixed;
use crate::counted::Counted;
use crate::shown::Shown;

pub(crate) struct House {
    pub(crate) schema: Schema,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) commands: Commands,
    pub(crate) database: Database,
    pub(crate) projectors: JoinHandle<()>,
    pub(crate) platforms: Arc<Shown>,
    /// How often the journal was asked, where it counts that.
    pub(crate) reads: Arc<AtomicUsize>,
    _stop: DropGuard,
}

impl House {
    pub(crate) async fn new() -> Self {
        let journal = Counted::new();
        let reads = journal.reads();
        Self { reads, ..Self::over(Arc::new(journal), Database::create().await).await }
    }

    /// Over a journal of the caller's, with read models in a database.
    pub(crate) async fn over(journal: Arc<dyn Journal>, database: Database) -> Self {
        let setup = WebhookSetup { keys: Keys::new(&[7; 32]), reach: Reach::default() };
        let commands = Commands::new(Arc::clone(&journal)).with_webhooks(setup);
        let options = projections::Options { linger: Duration::ZERO, ..Default::default() };
        let service = projections::Service::open(database.pool().clone(), Arc::clone(&journal), options).await.unwrap();
        let platforms = Arc::new(Shown::new());
        let parts = Parts {
            journal: Arc::clone(&journal),
            commands: commands.clone(),
            queries: service.handle().queries().clone(),
            platforms: Arc::clone(&platforms) as _,
            choosing: Arc::new(Fixed),
        };
        let stop = CancellationToken::new();
        let projectors = tokio::spawn(service.run(stop.clone()));
        let schema = schema::build(parts, &Limits { wait: Duration::from_secs(15), ..Limits::default() });
        let (reads, stop) = (Arc::default(), stop.drop_guard());
        Self { schema, journal, commands, database, projectors, platforms, reads, _stop: stop }
    }

    /// A house with an agent, two templates and an active workflow of two steps, made through the API.
    pub(crate) async fn furnished() -> Self {
        Self::new().await.furnish().await
    }

    /// The same, of this house.
    pub(crate) async fn furnish(self) -> Self {
        let house = self;
        house.data(REGISTER_AGENT, json!({ "input": agent("writer") })).await;
        house.data(REGISTER_TEMPLATE, json!({ "input": template("outline") })).await;
        house.data(REGISTER_TEMPLATE, json!({ "input": template("draft") })).await;
        house.data(DRAFT, json!({ "input": workflow() })).await;
        house.data(ACTIVATE, json!({ "input": { "key": "letter" } })).await;
        house
    }

    pub(crate) fn request(query: &str, variables: Value) -> Request {
        let caller = Caller { actor: Actor::person("tester"), correlation: Uuid::now_v7() };
        caller.asks(Request::new(query).variables(Variables::from_json(variables)))
    }

    /// The whole answer to somebody else.
    pub(crate) async fn ask_as(&self, person: &str, query: &str, variables: Value) -> Value {
        let caller = Caller { actor: Actor::person(person), correlation: Uuid::now_v7() };
        let request = caller.asks(Request::new(query).variables(Variables::from_json(variables)));
        serde_json::to_value(self.schema.execute(request).await).unwrap()
    }

    /// The whole answer, errors included.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Value {
        serde_json::to_value(self.schema.execute(Self::request(query, variables)).await).unwrap()
    }

    /// The data of an answer without errors.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(query, variables).await;
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].take()
    }

    /// The first error's code and message.
    pub(crate) async fn refusal(&self, query: &str, variables: Value) -> (String, String) {
        let answer = self.ask(query, variables).await;
        let error = answer["errors"].get(0).unwrap_or_else(|| panic!("no error in {answer:#}"));
        let code = error["extensions"]["code"].as_str().unwrap_or_default().to_owned();
        (code, error["message"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn start(&self) -> RunId {
        let input = json!({ "input": { "workflow": "letter", "input": { "file": "Dear Sir" } } });
        let started = self.data("mutation($input: StartRunInput!) { startRun(input: $input) { runId } }", input).await;
        started["startRun"]["runId"].as_str().unwrap().parse().unwrap()
    }

    /// Lets a real engine carry out what is started, over a platform that answers at once. It stops when dropped.
    pub(crate) fn engine(&self) -> DropGuard {
        let members = Members::alone(NodeId::from_uuid(Uuid::now_v7()));
        let options = engine::Options { drain: Duration::ZERO, ..engine::Options::default() };
        let platform: Arc<dyn providers::Platform> = Arc::new(providers::Simulator::builder().build());
        let registry = providers::Registry::new(vec![platform], &[]).unwrap();
        let checkpoints: Arc<dyn Checkpoints> = Arc::new(MemoryCheckpoints::default());
        let commands = Commands::new(Arc::clone(&self.journal));
        let (engine, _) = engine::Engine::new(options, commands, registry, checkpoints, members);
        let stop = CancellationToken::new();
        let shutdown = stop.clone();
        tokio::spawn(async move { engine.run(shutdown).await });
        stop.drop_guard()
    }

    /// Waits until a run's stream has so many events of a type.
    pub(crate) async fn until(&self, run: RunId, event_type: &str, count: usize) {
        let filter = Filter { stream: Some(run.into()), types: vec![event_type.to_owned()], ..Filter::default() };
        let mut subscription = self.journal.subscribe(Position::START, filter);
        let mut seen = 0;
        let waiting = tokio::time::timeout(Duration::from_secs(20), async {
            while seen < count {
                seen += subscription.next().await.unwrap().events.len();
            }
        });
        waiting.await.unwrap_or_else(|_| panic!("{event_type} did not happen {count} times within 20 s"));
    }

    pub(crate) fn context() -> Context {
        let command = Uuid::now_v7();
        Context {
            command: CommandId::from_uuid(command),
            at: commands::now(),
            actor: Actor::system("engine"),
            tenant: "default".to_owned(),
            correlation: command,
            causation: None,
            subject: None,
            keeping: None,
        }
    }

    pub(crate) async fn on_run(&self, run: RunId, command: RunCommand) {
        let done = self.commands.executor().execute::<Run>(run.into(), command, Self::context(), false).await;
        done.unwrap();
    }

    pub(crate) async fn on_task(&self, task: TaskId, command: TaskCommand) {
        let done = self.commands.executor().execute::<Task>(task.into(), command, Self::context(), false).await;
        done.unwrap();
    }

    /// Lets what is due take effect, and starts what can start.
    pub(crate) async fn advance(&self, run: RunId) {
        self.on_run(run, RunCommand::Advance { now: commands::now() }).await;
    }

    /// Does what the engine would do up to the platform's call of one step.
    pub(crate) async fn begin_step(&self, run: RunId, step: &str) -> TaskId {
        let name: StepName = step.parse().unwrap();
        let task = TaskId::of_step(run, &name);
        let create = TaskCommand::Create {
            run: Some(run),
            step: Some(name),
            template: TemplateId::from_key(&step.parse().unwrap()),
            template_version: 1,
            parameters: Arc::new(json!({ "text": "Dear Sir" })),
            retry: RetryPolicy::default(),
            attempt_timeout: Duration::from_secs(60),
            at: commands::now(),
            start_by: None,
        };
        self.on_task(task, create).await;
        let agent = AgentId::from_key(&"writer".parse().unwrap());
        let assign =
            TaskCommand::Assign { agent, agent_version: 1, reason: "named by the step".to_owned(), choice: None };
        self.on_task(task, assign).await;
        self.attempt(task).await;
        task
    }

    pub(crate) async fn attempt(&self, task: TaskId) {
        let platform = "simulator".parse().unwrap();
        self.on_task(
            task,
            TaskCommand::StartAttempt {
                purpose: Purpose::Answer,
                platform,
                model: None,
                request_hash: [7; 32],
                choice: Choice::first(),
                reserved: vec![],
                masked: vec![],
                kept: None,
            },
        )
        .await;
    }

    pub(crate) async fn fail(&self, task: TaskId, attempt: u32) {
        self.fail_with(task, attempt, None).await;
    }

    /// The platform had begun to answer, and says what that took.
    pub(crate) async fn cut(&self, task: TaskId, attempt: u32) {
        let account = Some(Box::new(Account::new(CostSource::Listed("2026-11-25".to_owned()), None)));
        let usage = Usage { input_tokens: Some(12), ..Usage::default() };
        self.fail_with(task, attempt, Some(Consumed { usage, cost: Some(NanoUsd(700)), account })).await;
    }

    async fn fail_with(&self, task: TaskId, attempt: u32, consumed: Option<Consumed>) {
        let error = domain::AttemptError {
            kind: domain::ErrorKind::RateLimited,
            message: "slow down".to_owned(),
            retry_after: None,
        };
        let pacing = Pacing { now: commands::now(), jitter_milli: 0 };
        self.on_task(task, TaskCommand::FailAttempt { attempt, error, consumed, fallback: false, pacing }).await;
    }

    pub(crate) async fn finish_step(&self, run: RunId, step: &str, attempt: u32) {
        self.finish_step_with(run, step, attempt, Ending::default()).await;
    }

    pub(crate) async fn finish_step_with(&self, run: RunId, step: &str, attempt: u32, ending: Ending) {
        let name: StepName = step.parse().unwrap();
        let text = format!("text of {step}");
        let reply = Reply {
            text: text.clone(),
            finish: FinishReason::Stop,
            model: "simulated".to_owned(),
            usage: Usage { input_tokens: Some(12), output_tokens: Some(3), ..Usage::default() },
            cost: Some(NanoUsd(1_500)),
            duration: Duration::from_millis(40),
            first_piece: Some(Duration::from_millis(15)),
            simulated: true,
            account: Some(Box::new(Account::new(CostSource::Listed("2026-11-25".to_owned()), None))),
        };
        let task = TaskId::of_step(run, &name);
        self.on_task(task, TaskCommand::SucceedAttempt { attempt, reply, ending: Some(ending) }).await;
        let end = TaskEnd::Completed { result: json!({ "text": text, "json": null }), simulated: true };
        self.on_run(run, RunCommand::SettleTask { task, end, now: commands::now() }).await;
    }

    /// A whole run of the workflow: the first step needs two attempts, and completing the last one ends the run.
    pub(crate) async fn whole_run(&self) -> RunId {
        let run = self.start().await;
        self.on_run(run, RunCommand::Claim { node: NodeId::from_uuid(Uuid::now_v7()) }).await;
        self.advance(run).await;
        let task = self.begin_step(run, "outline").await;
        self.fail(task, 1).await;
        self.attempt(task).await;
        self.finish_step(run, "outline", 2).await;
        self.advance(run).await;
        self.begin_step(run, "draft").await;
        self.finish_step(run, "draft", 1).await;
        run
    }

    /// The journal's head, for `minPosition`.
    pub(crate) async fn head(&self) -> String {
        self.journal.head().await.unwrap().to_string()
    }

    pub(crate) async fn revision(&self, stream: impl Into<StreamId>) -> usize {
        self.journal.read_stream(stream.into(), 0, 1000).await.unwrap().len()
    }
}

pub(crate) const REGISTER_AGENT: &str = "mutation($input: RegisterAgentInput!) { registerAgent(input: $input) {
    clientMutationId position revision repeated changed key agent { key version enabled profile { temperature } } } }";
pub(crate) const REGISTER_TEMPLATE: &str =
    "mutation($input: RegisterTemplateInput!) { registerTemplate(input: $input) {
    revision changed template { key version body { instructions } } } }";
pub(crate) const DRAFT: &str = "mutation($input: DraftWorkflowInput!) { draftWorkflow(input: $input) {
    version revision changed workflow { key status newestVersion activeVersion } } }";
pub(crate) const ACTIVATE: &str = "mutation($input: ActivateWorkflowInput!) { activateWorkflow(input: $input) {
    version changed workflow { status activeVersion active { definition { steps {
        name title kind needs work { ... on TaskWork { agent template input { name expression }
            retry { maxAttempts multiplier } attemptTimeoutMs } } } } } } } }";

pub(crate) fn agent(key: &str) -> Value {
    json!({ "key": key, "name": "Writer", "systemPrompt": "You write.", "temperature": 0.7, "department": "office" })
}

pub(crate) fn template(key: &str) -> Value {
    json!({
        "key": key,
        "title": key,
        "parameters": { "type": "object", "properties": { "text": { "type": "string" } }, "required": ["text"] },
        "instructions": "Work on {{ text }}",
    })
}

pub(crate) fn workflow() -> Value {
    json!({
        "key": "letter",
        "name": "Letter",
        "inputSchema": {
            "type": "object", "properties": { "file": { "type": "string" } }, "required": ["file"]
        },
        "steps": [
            { "name": "outline", "agent": "writer", "template": "outline",
              "input": [{ "name": "text", "expression": "input.file" }] },
            { "name": "draft", "agent": "writer", "template": "draft", "needs": ["outline"],
              "input": [{ "name": "text", "expression": "steps.outline.text" }],
              "retry": { "maxAttempts": 5, "multiplier": 1.5 }, "attemptTimeoutMs": 60000 },
        ],
        "output": [{ "name": "letter", "expression": "steps.draft.text" }],
    })
}

/// An answer without what differs from run to run: ids are numbered in the order in which they appear, moments,
/// durations and hashes are named.
pub(crate) fn steady(value: &Value) -> Value {
    fn walk(value: &Value, name: &str, ids: &mut HashMap<String, usize>) -> Value {
        match value {
            Value::Object(map) => {
                // Fields resolve beside each other and come as they are done; their order means nothing.
                let sorted: BTreeMap<&String, &Value> = map.iter().collect();
                let steady = sorted.into_iter().map(|(name, value)| (name.clone(), walk(value, name, ids)));
                Value::Object(steady.collect())
            }
            Value::Array(list) => list.iter().map(|value| walk(value, name, ids)).collect(),
            Value::String(text) if text.parse::<Uuid>().is_ok() => {
                let next = ids.len() + 1;
                format!("<id {}>", ids.entry(text.clone()).or_insert(next)).into()
            }
            Value::String(text) if (name.ends_with("At") || name == "until") && text.ends_with('Z') => {
                "<moment>".into()
            }
            Value::String(text) if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                "<hash>".into()
            }
            Value::String(text) => {
                let mut kept = text.clone();
                if let Some((head, id)) = text.split_once('-')
                    && id.parse::<Uuid>().is_ok()
                {
                    kept = head.to_owned();
                    let next = ids.len() + 1;
                    let _ = write!(kept, "-<id {}>", ids.entry(id.to_owned()).or_insert(next));
                }
                kept.into()
            }
            Value::Number(_) if name == "durationMs" => "<duration>".into(),
            other => other.clone(),
        }
    }
    walk(value, "", &mut HashMap::new())
}
