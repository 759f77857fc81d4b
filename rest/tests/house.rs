//! Everything that the API stands on, over a real socket.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpServer};
use commands::Commands;
use commands::webhooks::{Keys, Reach, WebhookSetup};
use domain::{Actor, NodeId};
use journal::{Checkpoints, Journal, Members, MemoryCheckpoints, MemoryJournal};
use reqwest::{Client, RequestBuilder, Response};
use rest::{Api, Options, Parts};
use serde_json::{Value, json};
use testkit::Database;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Takes the template that is named, or the letter's; knows all when the request says so, and reads on and on when it says that.
struct Reads;

impl rest::Errands for Reads {
    fn prepare(
        &self,
        request: commands::Request,
        wish: rest::ErrandWish,
    ) -> futures_util::future::BoxFuture<'_, Result<rest::Errand, commands::Error>> {
        let missing = rest::MissingParameter {
            name: "text".to_owned(),
            kind: "string".to_owned(),
            title: domain::Bilingual { en: "Text".to_owned(), ar: Some("النص".to_owned()) },
            description: "".into(),
            choices: vec![],
            examples: vec![json!("rain")],
        };
        Box::pin(async move {
            let mut parameters = wish.parameters;
            if wish.request.contains("all of it") {
                parameters.insert("text".to_owned(), json!(wish.request));
            }
            let knows = parameters.contains_key("text");
            let reads = wish.model.filter(|_| wish.request.contains("for ever"));
            let reads = reads.and(request.command).map(domain::CommandId::as_uuid);
            let template = wish.template.unwrap_or_else(|| "draft".parse().unwrap());
            let missing = if knows { vec![] } else { vec![missing] };
            Ok(rest::Errand { template, parameters, missing, reads })
        })
    }
}

pub(crate) struct House {
    pub(crate) url: String,
    pub(crate) http: Client,
    pub(crate) journal: Arc<dyn Journal>,
    server: actix_web::dev::ServerHandle,
    _stop: DropGuard,
    _database: Database,
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        // Only plain HTTP is spoken here, but the client wants to know its crypto all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = Database::create().await;
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        // Nothing is told from here: nobody runs what tells.
        let reach = Reach { insecure_http: true, networks: Vec::new() };
        let setup = WebhookSetup { keys: Keys::new(&[7; Keys::BYTES]), reach };
        let commands = Commands::new(Arc::clone(&journal)).with_webhooks(setup);
        let options = projections::Options { linger: Duration::ZERO, ..Default::default() };
        let service = projections::Service::open(database.pool().clone(), Arc::clone(&journal), options).await.unwrap();
        let stop = CancellationToken::new();
        let parts = Parts {
            journal: Arc::clone(&journal),
            commands,
            queries: service.handle().queries().clone(),
            errands: Arc::new(Reads),
            correlation: |_| Uuid::now_v7(),
            tracker: TaskTracker::new(),
            closing: stop.clone(),
        };
        tokio::spawn(service.run(stop.clone()));
        let mut options = Options::new(Actor::person("tester"));
        change(&mut options);
        let api = Api::new(parts, options);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = HttpServer::new(move || App::new().configure(rest::configure(api.clone())));
        let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, http: Client::new(), journal, server: handle, _stop: stop.drop_guard(), _database: database }
    }

    /// A house with an agent, a template and two workflows, made through the API.
    pub(crate) async fn furnished() -> Self {
        Self::furnished_with(|_| {}).await
    }

    pub(crate) async fn furnished_with(change: impl FnOnce(&mut Options)) -> Self {
        let house = Self::with(change).await;
        for (kind, key, file) in [
            ("agents", "writer", AGENT),
            ("templates", "draft", TEMPLATE),
            ("workflows", "letter", LETTER),
            ("workflows", "signed", SIGNED),
        ] {
            let put = house.put(&format!("/catalogue/{kind}/{key}")).header("content-type", "application/yaml");
            let answer = put.body(file).send().await.unwrap();
            let position = header(&answer, "x-hishamos-position").unwrap_or_default();
            assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
            // Lists show what the read models have.
            done(house.get(&format!("/runs?minPosition={position}")), 200).await;
        }
        house
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

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}/api/v1{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.http.post(format!("{}/api/v1{path}", self.url)).json(body)
    }

    pub(crate) fn put(&self, path: &str) -> RequestBuilder {
        self.http.put(format!("{}/api/v1{path}", self.url))
    }

    /// Starts a run of the letter and answers its id.
    pub(crate) async fn start(&self) -> String {
        let body = json!({ "workflow": "letter", "input": { "file": "Dear Sir" } });
        let run = done(self.post("/runs", &body), 201).await;
        run["id"].as_str().unwrap().to_owned()
    }
}

/// The body of an answer with this status.
pub(crate) async fn done(request: RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.unwrap();
    let (got, body) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert_eq!(got, status, "{body}");
    serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}"))
}

/// The code of a problem with this status; looks whether it is one.
pub(crate) async fn refused(request: RequestBuilder, status: u16) -> String {
    let answer = request.send().await.unwrap();
    assert_eq!(header(&answer, "content-type").as_deref(), Some("application/problem+json"));
    let (got, body) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert_eq!(got, status, "{body}");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["status"], got);
    let code = problem["code"].as_str().unwrap().to_owned();
    assert_eq!(problem["type"], format!("urn:hishamos:error:{code}"));
    code
}

pub(crate) fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

pub(crate) const AGENT: &str = "key: writer
name: Writer
description: Writes.
system_prompt: You write.
department: office
";

pub(crate) const TEMPLATE: &str = "key: draft
title: Draft
description: A draft.
department: office
parameters:
  type: object
  required: [text]
  additionalProperties: false
  properties:
    text: { type: string, minLength: 1 }
    tone: { type: string }
instructions: Write about {{ text }}{% if tone is defined %}, {{ tone }}{% endif %}.
";

pub(crate) const FREE: &str = "key: free-request
title: Free
description: Anything.
department: office
parameters:
  type: object
  required: [request]
  properties:
    request: { type: string }
    context: { type: string }
instructions: '{{ request }}{{ context }}'
";

pub(crate) const LETTER: &str = "key: letter
name: Letter
description: A letter.
department: office
input_schema:
  type: object
  required: [file]
  additionalProperties: false
  properties:
    file: { type: string, minLength: 1 }
    pages: { type: integer }
steps:
  - name: draft
    title: Draft
    agent: writer
    template: draft
    input: { text: input.file }
output: { letter: steps.draft.text }
";

pub(crate) const SIGNED: &str = "key: signed
name: Signed letter
description: A letter that somebody has agreed to.
department: office
input_schema: { type: object, properties: { file: { type: string } } }
steps:
  - name: sign
    title: Sign
    approval:
      question: May this go out?
      approvers: [anyone]
      content: { file: input.file }
      own_run: true
";
