//! One journal, and as many reactors as a test wants.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use commands::webhooks::{Keys, Reach, Subscribed, WebhookSetup};
use commands::{Commands, Request};
use domain::run::Start;
use domain::webhook::{Topic, WebhookSettings};
use domain::workflow::{Wait, Work};
use domain::{
    Actor, Bilingual, CommandId, Definition, DeliveryEvent, Event, NodeId, RunEvent, RunId, Step, StreamId,
    WebhookEvent, WebhookId, WorkflowId,
};
use integrations::webhooks::{Handle, Options, Service};
use journal::{
    Append, Checkpoints, Context, Expected, Filter, Journal, Members, MemoryCheckpoints, MemoryJournal, Position,
    StreamAppend,
};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) struct Stage {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) checkpoints: Arc<dyn Checkpoints>,
    pub(crate) commands: Commands,
    runs: AtomicU64,
}

/// A reactor that runs.
pub(crate) struct Reactor {
    pub(crate) handle: Handle,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Reactor {
    /// Stops it as an operator would.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }

    /// Ends it without giving it a chance to record or save anything.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

pub(crate) fn me() -> Request {
    Request::by(Actor::person("ada"))
}

pub(crate) fn node(number: u128) -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(number))
}

/// With pauses that a test can wait for.
pub(crate) fn hasty() -> Options {
    let millis = [0, 50, 50, 50];
    Options {
        schedule: millis.map(Duration::from_millis).into(),
        timeout: Duration::from_secs(5),
        retry_after: Duration::from_millis(20),
        ..Options::default()
    }
}

pub(crate) fn settings(url: String, topics: &[Topic]) -> WebhookSettings {
    WebhookSettings { url, topics: topics.iter().copied().collect(), description: "for tests".to_owned() }
}

impl Stage {
    /// Whose webhooks may be on this machine.
    pub(crate) fn new() -> Self {
        Self::reaching(Reach { insecure_http: true, networks: vec!["127.0.0.0/8".parse().unwrap()] })
    }

    pub(crate) fn reaching(reach: Reach) -> Self {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        let commands =
            Commands::new(Arc::clone(&journal)).with_webhooks(WebhookSetup { keys: Keys::new(&[7; 32]), reach });
        Self { journal, checkpoints: Arc::new(MemoryCheckpoints::default()), commands, runs: AtomicU64::new(1) }
    }

    /// Another process: caches of its own, and its own opinion about who is there.
    pub(crate) fn reactor(&self, members: Members, options: Options) -> Reactor {
        let setup = self.commands.webhook_setup().unwrap();
        let commands = Commands::new(Arc::clone(&self.journal)).with_webhooks(WebhookSetup::clone(setup));
        let (service, handle) = Service::new(options, commands, Arc::clone(&self.checkpoints), members).unwrap();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let task = tokio::spawn(async move { service.run(stop).await.unwrap() });
        Reactor { handle, shutdown, task }
    }

    pub(crate) fn alone(&self) -> Reactor {
        self.reactor(Members::alone(node(1)), hasty())
    }

    pub(crate) async fn subscribe(&self, url: String, topics: &[Topic]) -> Subscribed {
        self.commands.subscribe_webhook(me(), settings(url, topics)).await.unwrap()
    }

    /// Records an event as it is, beside all rules.
    pub(crate) async fn record(&self, stream: StreamId, event: impl Into<Event>) {
        let context = Context {
            command: CommandId::from_uuid(Uuid::now_v7()),
            at: commands::now(),
            actor: Actor::person("ada"),
            tenant: "default".to_owned(),
            correlation: Uuid::now_v7(),
            causation: None,
            subject: None,
            keeping: None,
        };
        let streams = vec![StreamAppend { stream, expected: Expected::Any, events: vec![event.into()] }];
        self.journal.append(Append { streams, context, remember: false }).await.unwrap();
    }

    /// Starts a run that nobody drives.
    pub(crate) async fn start_run(&self) -> RunId {
        let id = RunId::from_uuid(Uuid::from_u128(u128::from(self.runs.fetch_add(1, Ordering::SeqCst)) << 80));
        let start = Start {
            id,
            workflow: WorkflowId::from_key(&"brief".parse().unwrap()),
            version: 3,
            definition: Arc::new(definition()),
            input: Arc::new(json!({})),
            by: Actor::person("ada"),
            at: commands::now(),
            deadline: None,
            priority: 0,
            parent: None,
            lineage: None,
            trigger: None,
            subject: None,
            form: domain::task::Form::Text,
            again: None,
        };
        self.record(id.into(), RunEvent::Started(Box::new(start))).await;
        id
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        let page = self.journal.read_all(Position::START, &Filter::default(), 100_000).await.unwrap();
        page.events.iter().map(|event| event.event().unwrap().clone()).collect()
    }

    pub(crate) async fn deliveries(&self) -> Vec<DeliveryEvent> {
        let delivery = |event| match event {
            Event::Delivery(event) => Some(event),
            _ => None,
        };
        self.events().await.into_iter().filter_map(delivery).collect()
    }

    /// Waits until the deliveries that were recorded are as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&[DeliveryEvent]) -> bool) -> Vec<DeliveryEvent> {
        for _ in 0..600 {
            let deliveries = self.deliveries().await;
            if wanted(&deliveries) {
                return deliveries;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{what} did not come: {:#?}", self.deliveries().await);
    }

    pub(crate) async fn until_disabled(&self, id: WebhookId) -> domain::webhook::DisabledBecause {
        for _ in 0..600 {
            for event in self.events().await {
                if let Event::Webhook(WebhookEvent::Disabled { because, .. }) = event {
                    assert!(!self.commands.webhook(id).await.unwrap().is_active());
                    return because;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it was not disabled: {:#?}", self.deliveries().await);
    }
}

pub(crate) fn succeeded(deliveries: &[DeliveryEvent]) -> usize {
    deliveries.iter().filter(|event| matches!(event, DeliveryEvent::Succeeded { .. })).count()
}

pub(crate) fn failed(deliveries: &[DeliveryEvent]) -> usize {
    deliveries.iter().filter(|event| matches!(event, DeliveryEvent::Failed { .. })).count()
}

fn definition() -> Definition {
    let step = Step {
        name: "wait".parse().unwrap(),
        title: "Wait".into(),
        needs: BTreeSet::new().into_iter().collect(),
        when: None,
        work: Work::Wait(Wait::For(Duration::from_secs(60))),
        output: std::collections::BTreeMap::new(),
        timeout: None,
        compensation: None,
    };
    Definition {
        key: "brief".parse().unwrap(),
        name: Bilingual::from("Brief"),
        description: Bilingual::from(""),
        department: String::new(),
        tags: vec![],
        input_schema: json!({ "type": "object" }),
        steps: vec![step],
        output: std::collections::BTreeMap::new(),
        timeout: None,
    }
}
