//! One engine over one memory journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use commands::{Commands, Request, StartRun};
use domain::agent::Profile;
use domain::task::Form;
use domain::template::TemplateBody;
use domain::workflow::{TaskWork, Work};
use domain::{Actor, Definition, Event, NodeId, RetryPolicy, Run, RunId, Step, StepName};
use engine::{Cache, Engine, Handle, Options, Redaction, Residency};
use journal::{Checkpoints, Filter, Journal, Members, MemoryCheckpoints, MemoryJournal, Position};
use providers::router::BreakerOptions;
use providers::{Platform, Registry, Simulator};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct World {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) checkpoints: Arc<dyn Checkpoints>,
    pub(crate) commands: Commands,
    /// The nodes that are alive beside the engine.
    others: watch::Sender<Arc<BTreeSet<NodeId>>>,
    /// The nodes that engines beside it see: its own, and each other.
    seconds: watch::Sender<Arc<BTreeSet<NodeId>>>,
    shutdown: CancellationToken,
    engine: Option<JoinHandle<()>>,
    /// The node of the engine that runs, or ran last.
    node: NodeId,
}

/// An engine beside the world's own.
pub(crate) struct Second {
    engine: JoinHandle<()>,
    shutdown: CancellationToken,
}

impl Second {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.engine.await.unwrap();
    }
}

pub(crate) fn me() -> Request {
    Request::by(Actor::person("tester"))
}

/// Commands over a journal; runs that do not say otherwise ask for answers alone.
pub(crate) fn plain(journal: &Arc<dyn Journal>) -> Commands {
    Commands::new(Arc::clone(journal)).with_form(Form::Text)
}

/// A retry policy that does not keep a test waiting.
pub(crate) fn quick() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 3,
        first_backoff: Duration::from_millis(2),
        multiplier_milli: 2000,
        max_backoff: Duration::from_millis(10),
        ..RetryPolicy::default()
    }
}

/// A step with one parameter, `text`, read by `expression`.
pub(crate) fn step(name: &str, needs: &[&str], expression: &str) -> Step {
    working(name, needs, Work::Task(task(expression)))
}

/// Changes the task of a step.
pub(crate) fn edit(step: &mut Step, change: impl FnOnce(&mut TaskWork)) {
    match &mut step.work {
        Work::Task(task) => change(task),
        Work::ForEach(each) => change(&mut each.each),
        other => panic!("a step of kind {} has no task", other.kind()),
    }
}

/// A step of any kind.
pub(crate) fn working(name: &str, needs: &[&str], work: Work) -> Step {
    Step {
        name: name.parse().unwrap(),
        title: name.into(),
        needs: needs.iter().map(|need| need.parse().unwrap()).collect(),
        when: None,
        work,
        output: BTreeMap::new(),
        timeout: None,
        compensation: None,
    }
}

/// The worker says what `expression` gives.
pub(crate) fn task(expression: &str) -> TaskWork {
    TaskWork {
        agent: "worker".parse().unwrap(),
        template: "echo".parse().unwrap(),
        input: BTreeMap::from([("text".parse().unwrap(), expression.parse().unwrap())]),
        retry: quick(),
        attempt_timeout: Duration::from_secs(10),
        start_timeout: None,
    }
}

pub(crate) fn workflow(steps: Vec<Step>) -> Definition {
    Definition {
        key: "flow".parse().unwrap(),
        name: "Flow".into(),
        description: "".into(),
        department: "engineering".to_owned(),
        tags: vec![],
        input_schema: json!({"type": "object"}),
        steps,
        output: BTreeMap::new(),
        timeout: None,
    }
}

/// Gives a definition another key.
pub(crate) trait Called {
    fn called(self, key: &str) -> Self;
}

impl Called for Definition {
    fn called(mut self, key: &str) -> Self {
        self.key = key.parse().unwrap();
        self
    }
}

pub(crate) fn worker() -> Profile {
    Profile {
        timeout: Duration::from_secs(10),
        department: "engineering".to_owned(),
        ..Profile::new("worker".parse().unwrap(), "Worker", "You work.")
    }
}

pub(crate) fn echo() -> TemplateBody {
    let parameters = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    TemplateBody::new("echo".parse().unwrap(), "Echo", parameters, "Say: {{ text }}")
}

impl World {
    /// A world with an agent, a template and an engine over this platform. Commands and engine are as far apart as two
    /// processes.
    pub(crate) async fn with(platform: Simulator) -> Self {
        let mut world = Self::without_engine().await;
        world.start_engine(Arc::new(platform));
        world
    }

    /// The same, with commands and engine in one process.
    pub(crate) async fn together(platform: Simulator) -> Self {
        let mut world = Self::without_engine().await;
        let commands = world.commands.clone();
        world.start_engine_over(commands, Arc::new(platform));
        // Until the engine is there, starts are recorded alone.
        world.settle().await;
        world
    }

    /// The same as [`with`](Self::with), over several platforms whose breakers open as these options say.
    pub(crate) async fn over(platforms: &[&Simulator], breakers: BreakerOptions) -> Self {
        let mut world = Self::without_engine().await;
        world.start_engine_with(platforms, breakers);
        world
    }

    pub(crate) fn start_engine_with(&mut self, platforms: &[&Simulator], breakers: BreakerOptions) {
        let platforms = platforms.iter().map(|platform| Arc::new((*platform).clone()) as Arc<dyn Platform>).collect();
        self.start_engine_on(platforms, breakers);
    }

    pub(crate) fn start_engine_on(&mut self, platforms: Vec<Arc<dyn Platform>>, breakers: BreakerOptions) {
        let options = Options { drain: Duration::ZERO, breakers, ..Options::default() };
        self.engine_over(plain(&self.journal), platforms, options);
    }

    /// The same, with a way of its own to the journal.
    pub(crate) fn start_engine_upon(&mut self, journal: Arc<dyn Journal>, platforms: Vec<Arc<dyn Platform>>) {
        let options = Options { drain: Duration::ZERO, ..Options::default() };
        self.engine_over(plain(&journal), platforms, options);
    }

    /// The same, with something masked on the way out.
    pub(crate) fn start_engine_guarded(&mut self, platforms: Vec<Arc<dyn Platform>>, redaction: Redaction) {
        let options = Options { drain: Duration::ZERO, redaction, ..Options::default() };
        self.engine_over(plain(&self.journal), platforms, options);
    }

    /// The same, with answers that are kept.
    pub(crate) fn start_engine_keeping(&mut self, platforms: Vec<Arc<dyn Platform>>, cache: Cache) {
        let options = Options { drain: Duration::ZERO, cache, ..Options::default() };
        self.engine_over(plain(&self.journal), platforms, options);
    }

    /// The same, with tags of platforms and demands for them.
    pub(crate) fn start_engine_tagged(
        &mut self,
        platforms: Vec<Arc<dyn Platform>>,
        tags: &BTreeMap<&str, Vec<&str>>,
        residency: Residency,
    ) {
        let own =
            |(key, tags): (&&str, &Vec<&str>)| ((*key).to_owned(), tags.iter().map(|tag| (*tag).to_owned()).collect());
        let registry = Registry::new(platforms, &[]).unwrap().tagged(tags.iter().map(own).collect());
        let options = Options { drain: Duration::ZERO, residency, ..Options::default() };
        self.engine_by(plain(&self.journal), registry, options);
    }

    /// The same, in one process with the commands.
    pub(crate) async fn start_together(&mut self, platforms: Vec<Arc<dyn Platform>>, breakers: BreakerOptions) {
        let options = Options { drain: Duration::ZERO, breakers, ..Options::default() };
        self.engine_over(self.commands.clone(), platforms, options);
        // Until the engine is there, starts are recorded alone.
        self.settle().await;
    }

    /// One more engine, on a node that shares nothing with the first but the journal.
    pub(crate) fn second_engine(&self, platforms: Vec<Arc<dyn Platform>>) -> Second {
        self.second_engine_upon(Arc::clone(&self.journal), platforms)
    }

    /// The same, which has a way of its own to the journal.
    pub(crate) fn second_engine_upon(&self, journal: Arc<dyn Journal>, platforms: Vec<Arc<dyn Platform>>) -> Second {
        let (node, shutdown) = (NodeId::from_uuid(uuid::Uuid::new_v4()), CancellationToken::new());
        self.seconds.send_modify(|alive| Arc::make_mut(alive).extend([self.node, node]));
        let members = Members::simulated(node, self.seconds.subscribe());
        let options = Options { drain: Duration::ZERO, ..Options::default() };
        let registry = Registry::new(platforms, &[]).unwrap();
        let (commands, checkpoints) = (plain(&journal), MemoryCheckpoints::default());
        let (engine, _) = Engine::new(options, commands, registry, Arc::new(checkpoints), members);
        let until = shutdown.clone();
        let engine = tokio::spawn(async move { engine.run(until).await.unwrap() });
        self.join(node);
        Second { engine, shutdown }
    }

    pub(crate) async fn without_engine() -> Self {
        Self::upon(Arc::new(MemoryJournal::new())).await
    }

    /// The same, upon a journal of the test's own.
    pub(crate) async fn upon(journal: Arc<dyn Journal>) -> Self {
        let commands = plain(&journal);
        commands.register_agent(me(), worker()).await.unwrap();
        commands.register_template(me(), echo()).await.unwrap();
        Self {
            journal,
            checkpoints: Arc::new(MemoryCheckpoints::default()),
            commands,
            others: watch::channel(Arc::default()).0,
            seconds: watch::channel(Arc::default()).0,
            shutdown: CancellationToken::new(),
            engine: None,
            node: NodeId::from_uuid(uuid::Uuid::nil()),
        }
    }

    /// From now on there is another node, of which nothing is known but that it is alive.
    pub(crate) fn join(&self, node: NodeId) {
        self.others.send_modify(|others| {
            Arc::make_mut(others).insert(node);
        });
    }

    pub(crate) fn start_engine(&mut self, platform: Arc<dyn Platform>) {
        // Another process has caches of its own.
        self.start_engine_over(plain(&self.journal), platform);
    }

    fn start_engine_over(&mut self, commands: Commands, platform: Arc<dyn Platform>) {
        // A platform that asked for a pause is not left alone for longer than a test can wait.
        let breakers = BreakerOptions { pause: Duration::from_millis(1), ..BreakerOptions::default() };
        let options = Options { drain: Duration::ZERO, breakers, ..Options::default() };
        self.engine_over(commands, vec![platform], options);
    }

    fn engine_over(&mut self, commands: Commands, platforms: Vec<Arc<dyn Platform>>, options: Options) {
        self.engine_by(commands, Registry::new(platforms, &[]).unwrap(), options);
    }

    /// The same, with any options; answers the handle by which it is watched.
    pub(crate) fn start_engine_watched(&mut self, registry: Registry, options: Options) -> Handle {
        self.engine_by(plain(&self.journal), registry, options)
    }

    fn engine_by(&mut self, commands: Commands, registry: Registry, options: Options) -> Handle {
        self.shutdown = CancellationToken::new();
        self.node = NodeId::from_uuid(uuid::Uuid::new_v4());
        let members = Members::simulated(self.node, self.others.subscribe());
        let (engine, handle) = Engine::new(options, commands, registry, Arc::clone(&self.checkpoints), members);
        let shutdown = self.shutdown.clone();
        self.engine = Some(tokio::spawn(async move { engine.run(shutdown).await.unwrap() }));
        handle
    }

    /// Stops the engine as an operator would.
    pub(crate) async fn stop_engine(&mut self) {
        self.shutdown.cancel();
        self.engine.take().unwrap().await.unwrap();
    }

    /// Ends the engine without giving it a chance to record anything.
    pub(crate) async fn kill_engine(&mut self) {
        let engine = self.engine.take().unwrap();
        engine.abort();
        assert!(engine.await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn start(&self, definition: Definition, input: Value) -> RunId {
        let key = definition.key.clone();
        self.offer(definition).await;
        self.start_again(&key, input).await
    }

    /// Makes a workflow one that can be started.
    pub(crate) async fn offer(&self, definition: Definition) {
        let key = definition.key.clone();
        self.commands.draft_workflow(me(), definition).await.unwrap();
        self.commands.activate_workflow(me(), &key, None).await.unwrap();
    }

    /// Waits until the engine has seen everything that is in the journal.
    pub(crate) async fn settle(&self) {
        let run = self.start(workflow(vec![step("settle", &[], "'x'")]).called("settle"), json!({})).await;
        self.finished(run).await;
    }

    pub(crate) async fn start_again(&self, key: &domain::Key, input: Value) -> RunId {
        let start = StartRun::new(key.clone(), input);
        self.commands.start_run(me(), start).await.unwrap().run
    }

    /// Waits until something of the journal satisfies `wanted`.
    pub(crate) async fn until(&self, wanted: impl Fn(&Event) -> bool) {
        let mut subscription = self.journal.subscribe(Position::START, Filter::default());
        tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let batch = subscription.next().await.unwrap();
                if batch.events.iter().any(|event| wanted(event.event().unwrap())) {
                    return;
                }
            }
        })
        .await
        .expect("nothing of the kind happened within 20 s");
    }

    /// Waits for a run's end.
    pub(crate) async fn finished(&self, run: RunId) -> Arc<Run> {
        let filter = Filter { stream: Some(run.into()), ..Filter::default() };
        let mut subscription = self.journal.subscribe(Position::START, filter);
        let ended = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let batch = subscription.next().await.unwrap();
                let terminal = |event: &Event| matches!(event, Event::Run(event) if event.is_terminal());
                if batch.events.iter().any(|event| terminal(event.event().unwrap())) {
                    return;
                }
            }
        });
        ended.await.expect("the run did not end within 20 s");
        self.run(run).await
    }

    pub(crate) async fn run(&self, run: RunId) -> Arc<Run> {
        self.commands.executor().load::<Run>(run.into()).await.unwrap().state
    }

    /// Everything that happened, in order.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let page = self.journal.read_all(Position::START, &Filter::default(), 100_000).await.unwrap();
        page.events.iter().map(|event| event.event().unwrap().clone()).collect()
    }

    /// The names of everything that happened, in order.
    pub(crate) async fn names(&self) -> Vec<String> {
        let page = self.journal.read_all(Position::START, &Filter::default(), 100_000).await.unwrap();
        page.events.iter().map(|event| event.event_type.to_string()).collect()
    }

    pub(crate) async fn count(&self, name: &str) -> usize {
        self.names().await.iter().filter(|known| *known == name).count()
    }
}

pub(crate) fn name(text: &str) -> StepName {
    text.parse().unwrap()
}
