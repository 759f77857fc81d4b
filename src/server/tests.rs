//! The server over real sockets: what it lets in, what it keeps out, how it speaks and how it stops.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod denials;
mod foreign;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use commands::Commands;
use domain::Actor;
use futures_util::{SinkExt, StreamExt};
use journal::{Journal, MemoryJournal};
use projections::Queries;
use schema::Limits;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tokio_util::sync::CancellationToken;

use super::{Error, Options, Parts, Server, health};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct House {
    address: SocketAddr,
    journal: Arc<dyn Journal>,
    well: Arc<AtomicBool>,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), Error>>,
    http: reqwest::Client,
}

/// Has an agent registered, by the write side alone.
async fn register(commands: &Commands, key: &str, prompt: &str) {
    let profile = domain::agent::Profile::new(key.parse().unwrap(), "A", prompt);
    commands.register_agent(commands::Request::by(Actor::person("tester")), profile).await.unwrap();
}

fn options(port: u16) -> Options {
    Options::new(SocketAddr::from(([127, 0, 0, 1], port)), Actor::person("tester"))
}

/// A node without any platform.
struct NoPlatforms;

#[async_trait::async_trait]
impl schema::Platforms for NoPlatforms {
    fn all(&self) -> Vec<schema::PlatformState> {
        vec![]
    }

    fn changes(&self) -> futures_util::stream::BoxStream<'static, ()> {
        Box::pin(futures_util::stream::pending())
    }

    fn seen(&self) -> u64 {
        0
    }

    fn node(&self) -> uuid::Uuid {
        uuid::Uuid::nil()
    }

    async fn offered(&self, _: &str) -> Option<Result<Vec<schema::ModelState>, schema::FailureState>> {
        None
    }

    async fn tried(&self, _: &str, _: Option<String>) -> Option<Result<schema::TrialState, schema::FailureState>> {
        None
    }

    fn prices(&self, _: &str) -> (Vec<String>, Vec<schema::PriceState>) {
        (vec![], vec![])
    }
}

/// A node that has nobody and nothing to choose from.
struct NoChoice;

#[async_trait::async_trait]
impl schema::Choosing for NoChoice {
    async fn agent(&self, _: schema::AgentWish) -> Result<schema::AgentAnswer, commands::Error> {
        let told = "there is nobody".to_owned();
        Ok(schema::AgentAnswer { agent: None, told, choice: None, considered: vec![] })
    }

    async fn templates(&self, _: schema::TemplateWish) -> Result<schema::TemplateAnswer, commands::Error> {
        Ok(schema::TemplateAnswer { by_meaning: false, found: vec![], read: vec![], missing: vec![] })
    }

    async fn prepare(&self, _: commands::Request, _: schema::ErrandWish) -> Result<schema::Errand, commands::Error> {
        Err(commands::Refused::NothingFits.into())
    }
}

impl rest::Errands for NoChoice {
    fn prepare(
        &self,
        _: commands::Request,
        _: rest::ErrandWish,
    ) -> futures_util::future::BoxFuture<'_, Result<rest::Errand, commands::Error>> {
        Box::pin(async { Err(commands::Refused::NothingFits.into()) })
    }
}

fn parts(journal: &Arc<dyn Journal>, well: &Arc<AtomicBool>) -> Parts {
    // Nothing asked here is answered by the read models, so their database is never connected to.
    let pool = PgPoolOptions::new().connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
    let queries = Queries::new(pool);
    let commands = Commands::new(Arc::clone(journal));
    let house = schema::Parts {
        journal: Arc::clone(journal),
        commands,
        queries,
        platforms: Arc::new(NoPlatforms),
        choosing: Arc::new(NoChoice),
    };
    let schema = schema::build(house.clone(), &Limits::default());
    let well = Arc::clone(well);
    let checks = vec![
        health::Check::journal(Arc::clone(journal)),
        health::Check::new("engine", move || {
            let well = well.load(Ordering::Relaxed);
            async move { if well { Ok("running".to_owned()) } else { Err("has stopped".to_owned()) } }
        }),
    ];
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
    Parts {
        schema,
        house,
        errands: Arc::new(NoChoice),
        documents: super::Documents::default(),
        checks,
        metrics: Some(metrics),
        hooks: None,
        denials: None,
    }
}

impl House {
    async fn open(change: impl FnOnce(&mut Options)) -> Self {
        Self::open_on(Arc::new(MemoryJournal::new()), change).await
    }

    /// On a journal that others may use too.
    async fn open_on(journal: Arc<dyn Journal>, change: impl FnOnce(&mut Options)) -> Self {
        Self::open_with(journal, super::Documents::default(), change).await
    }

    /// With documents that requests may name.
    async fn open_with(
        journal: Arc<dyn Journal>,
        documents: super::Documents,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        Self::start(journal, documents, None, change).await
    }

    /// With somebody who records what is refused.
    async fn open_noting(
        journal: Arc<dyn Journal>,
        denials: Option<commands::denials::Handle>,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        Self::start(journal, super::Documents::default(), denials, change).await
    }

    async fn start(
        journal: Arc<dyn Journal>,
        documents: super::Documents,
        denials: Option<commands::denials::Handle>,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        // Only plain HTTP is spoken here, but the client wants to know its crypto all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let well = Arc::new(AtomicBool::new(true));
        let mut options = options(0);
        change(&mut options);
        let parts = Parts { documents, denials, ..parts(&journal, &well) };
        let server = Server::bind(options, parts).unwrap();
        let address = server.address();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(server.run(shutdown.clone()));
        Self { address, journal, well, shutdown, server, http: reqwest::Client::new() }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn ask(&self, query: &str) -> Value {
        let answer = self.http.post(self.url("/graphql")).json(&json!({ "query": query })).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    async fn code(&self, request: reqwest::RequestBuilder) -> (u16, String) {
        let answer = request.send().await.unwrap();
        assert!(answer.headers().get("access-control-allow-origin").is_none());
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap_or_default();
        (status, body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned())
    }

    async fn register(&self, key: &str) {
        let query = format!(
            "mutation {{ registerAgent(input: {{ key: \"{key}\", name: \"A\", systemPrompt: \"Work.\" }}) {{ changed }} }}"
        );
        assert_eq!(self.ask(&query).await["data"]["registerAgent"]["changed"], true);
    }

    fn handshake(&self) -> tungstenite::handshake::client::Request {
        let mut request = format!("ws://{}/graphql/ws", self.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        request
    }

    async fn socket(&self) -> Socket {
        tokio_tungstenite::connect_async(self.handshake()).await.unwrap().0
    }

    async fn session(&self) -> Socket {
        let mut socket = self.socket().await;
        say(&mut socket, json!({ "type": "connection_init" })).await;
        assert_eq!(hear(&mut socket).await, json!({ "type": "connection_ack" }));
        socket
    }

    async fn refused_handshake(&self, request: tungstenite::handshake::client::Request) -> u16 {
        match tokio_tungstenite::connect_async(request).await {
            Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
}

async fn say(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

async fn next(socket: &mut Socket) -> Message {
    tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect("a message comes").unwrap().unwrap()
}

async fn hear(socket: &mut Socket) -> Value {
    loop {
        match next(socket).await {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("expected text, got {other:?}"),
        }
    }
}

async fn closed(socket: &mut Socket) -> u16 {
    loop {
        if let Message::Close(frame) = next(socket).await {
            return frame.unwrap().code.into();
        }
    }
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let well = Arc::new(AtomicBool::new(true));
    for address in ["0.0.0.0:7410", "[::]:7410", "192.0.2.1:7410"] {
        let options = Options { listen: address.parse().unwrap(), ..options(0) };
        let error = Server::bind(options, parts(&journal, &well)).err().unwrap();
        assert!(matches!(error, Error::NotLoopback { .. }), "{error}");
        assert!(error.to_string().contains("choose 127.0.0.1:7410"), "{error}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let house = House::open(|_| {}).await;
    let error = Server::bind(options(house.address.port()), parts(&house.journal, &house.well)).err().unwrap();
    assert!(matches!(error, Error::PortTaken { .. }), "{error}");
    assert!(error.to_string().contains(&format!("port {} is taken", house.address.port())), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_is_spoken_over_http() {
    let house = House::open(|_| {}).await;
    house.register("writer").await;
    assert_eq!(
        house.ask("{ journalHead }").await,
        json!({ "data": { "journalHead": "1" }, "extensions": { "position": "1" } })
    );
    let events = house.ask("{ journal { events { type actor } } }").await;
    let event = json!({ "type": "agent.registered", "actor": "person:tester" });
    assert_eq!(events["data"]["journal"]["events"], json!([event]));
    let id = "0198c2f0-0000-7000-8000-000000000001";
    let request = house.http.get(house.url("/graphql?query=%7BjournalHead%7D")).header("x-request-id", id);
    let answer = request.header("accept", "application/graphql-response+json").send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], id);
    assert_eq!(answer.headers()["content-type"], "application/graphql-response+json; charset=utf-8");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let answer = answer.json::<Value>().await.unwrap();
    assert_eq!((&answer["data"]["journalHead"], &answer["extensions"]["position"]), (&json!("1"), &json!("1")));
    let post = || house.http.post(house.url("/graphql")).header("accept", "application/graphql-response+json");
    assert_eq!(post().json(&json!({ "query": "{ nothing }" })).send().await.unwrap().status(), 400);
    assert_eq!(house.ask("{ nothing }").await["data"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_carries_the_request_id_into_the_journal() {
    let house = House::open(|_| {}).await;
    let id = "0198c2f0-0000-7000-8000-000000000002";
    let query = "mutation { registerAgent(input: { key: \"a\", name: \"A\", systemPrompt: \"Work.\" }) { changed } }";
    let post = house.http.post(house.url("/graphql")).header("x-request-id", id).json(&json!({ "query": query }));
    post.send().await.unwrap();
    let events = house.ask("{ journal { events { correlation } } }").await;
    assert_eq!(events["data"]["journal"]["events"][0]["correlation"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_with_a_code() {
    let house = House::open(|options| options.max_body = 10_000).await;
    let post = || house.http.post(house.url("/graphql"));
    let query = r#"{"query":"{ journalHead }"}"#;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let request = post().header("content-type", content_type).body(query);
        assert_eq!(house.code(request).await, (415, "CONTENT_TYPE_REFUSED".to_owned()), "{content_type}");
    }
    assert_eq!(house.code(post().body(query)).await.0, 415);
    let json = || post().header("content-type", "application/json");
    assert_eq!(house.code(json().body("{")).await, (400, "BODY_INVALID".to_owned()));
    assert_eq!(house.code(json().body(format!("[{query}]"))).await, (400, "BODY_INVALID".to_owned()));
    assert_eq!(house.code(json().body(" ".repeat(20_000))).await, (413, "BODY_TOO_LARGE".to_owned()));
    let subscription = json().body(r#"{"query":"subscription { journal { position } }"}"#);
    assert_eq!(house.code(subscription).await, (400, "SUBSCRIPTION_OVER_HTTP".to_owned()));
    let get =
        house.http.get(house.url("/graphql?query=mutation%7BenableAgent(input:%7Bkey:%22a%22%7D)%7Bchanged%7D%7D"));
    assert_eq!(house.code(get).await, (405, "QUERY_ONLY".to_owned()));
    // The only operation of a document is the one that is meant, whatever it is called.
    let named = "/graphql?query=mutation%20On%7BenableAgent(input:%7Bkey:%22a%22%7D)%7Bchanged%7D%7D";
    assert_eq!(house.code(house.http.get(house.url(named))).await, (405, "QUERY_ONLY".to_owned()));
    let subscription = json().body(r#"{"query":"subscription Follow { journal { position } }"}"#);
    assert_eq!(house.code(subscription).await, (400, "SUBSCRIPTION_OVER_HTTP".to_owned()));
    let options = house.http.request(reqwest::Method::OPTIONS, house.url("/graphql"));
    assert_eq!(house.code(options).await, (405, "METHOD_NOT_ALLOWED".to_owned()));
    assert_eq!(house.code(house.http.get(house.url("/nowhere"))).await, (404, "NOT_FOUND".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_kept_out() {
    let house = House::open(|_| {}).await;
    let post = || house.http.post(house.url("/graphql")).json(&json!({ "query": "{ journalHead }" }));
    let host = format!("evil.example:{}", house.address.port());
    assert_eq!(house.code(post().header("host", &host)).await, (421, "HOST_REFUSED".to_owned()));
    let live = house.http.get(house.url("/metrics")).header("host", &host);
    assert_eq!(house.code(live).await, (421, "HOST_REFUSED".to_owned()));
    let foreign = post().header("origin", "https://evil.example");
    assert_eq!(house.code(foreign).await, (403, "ORIGIN_REFUSED".to_owned()));
    assert_eq!(house.code(post().header("origin", house.url(""))).await.0, 200);
    let mut handshake = house.handshake();
    handshake.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(house.refused_handshake(handshake).await, 403);
    let mut handshake = house.handshake();
    handshake.headers_mut().insert("host", host.parse().unwrap());
    assert_eq!(house.refused_handshake(handshake).await, 421);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_need_nothing_from_elsewhere() {
    let house = House::open(|_| {}).await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/graphql", "text/html; charset=utf-8"),
        ("/explorer.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
    ] {
        let answer = house.http.get(house.url(path)).header("accept", "text/html, */*").send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], kind, "{path}");
        assert!(answer.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
        let text = answer.text().await.unwrap();
        assert!(!text.contains("https://") && !text.contains("//cdn"), "{path} fetches from elsewhere");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_is_wrong() {
    let house = House::open(|_| {}).await;
    let ready = async || {
        let answer = house.http.get(house.url("/health/ready")).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, report) = ready().await;
    assert_eq!((status, &report["status"]), (200, &json!("ready")));
    house.well.store(false, Ordering::Relaxed);
    let (status, report) = ready().await;
    assert_eq!((status, &report["status"]), (503, &json!("not_ready")));
    assert_eq!(report["checks"][0]["ok"], true);
    assert_eq!(report["checks"][1]["detail"], "has stopped");
    let live = house.http.get(house.url("/health/live")).send().await.unwrap();
    assert_eq!(live.status(), 200);
    let metrics = house.http.get(house.url("/metrics")).send().await.unwrap();
    assert_eq!(metrics.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_run_over_a_websocket() {
    let house = House::open(|_| {}).await;
    let mut socket = house.session().await;
    let subscribe = |id: &str, query: &str| json!({ "id": id, "type": "subscribe", "payload": { "query": query } });
    say(&mut socket, subscribe("live", "subscription { journal(afterPosition: \"0\") { position type } }")).await;
    house.register("one").await;
    let item = hear(&mut socket).await;
    assert_eq!((&item["type"], &item["id"]), (&json!("next"), &json!("live")));
    assert_eq!(item["payload"]["data"]["journal"], json!({ "position": "1", "type": "agent.registered" }));
    // A query beside it, on the same connection.
    say(&mut socket, subscribe("ask", "{ journalHead }")).await;
    let asked = json!({ "data": { "journalHead": "1" }, "extensions": { "position": "1" } });
    assert_eq!(hear(&mut socket).await["payload"], asked);
    assert_eq!(hear(&mut socket).await, json!({ "type": "complete", "id": "ask" }));
    // What is wrong never begins.
    say(&mut socket, subscribe("wrong", "{ nothing }")).await;
    let refused = hear(&mut socket).await;
    assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("wrong")));
    assert!(refused["payload"][0]["message"].as_str().unwrap().contains("nothing"));
    say(&mut socket, json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(hear(&mut socket).await, json!({ "type": "pong", "payload": { "n": 1 } }));
    // After `complete` nothing of the operation comes any more, and its id is free.
    say(&mut socket, json!({ "type": "complete", "id": "live" })).await;
    // What it is answered with shows that the line before has been read.
    say(&mut socket, json!({ "type": "ping" })).await;
    assert_eq!(hear(&mut socket).await["type"], "pong");
    house.register("two").await;
    say(&mut socket, subscribe("live", "{ journalHead }")).await;
    assert_eq!(hear(&mut socket).await["payload"]["data"]["journalHead"], "2");
    assert_eq!(hear(&mut socket).await["type"], "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_goes_on_after_the_last_position() {
    let house = House::open(|_| {}).await;
    let mut seen = Vec::new();
    for round in 0..5 {
        house.register(&format!("agent-{round}-a")).await;
        house.register(&format!("agent-{round}-b")).await;
        let mut socket = house.session().await;
        let after = seen.last().map_or("0", String::as_str);
        let query = format!("subscription {{ journal(afterPosition: \"{after}\") {{ position }} }}");
        say(&mut socket, json!({ "id": "1", "type": "subscribe", "payload": { "query": query } })).await;
        for _ in 0..2 {
            let position = hear(&mut socket).await["payload"]["data"]["journal"]["position"].take();
            seen.push(position.as_str().unwrap().to_owned());
        }
    }
    assert_eq!(seen, (1..=10).map(|position: u64| position.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_breaks_the_protocol_is_told_how() {
    let house = House::open(|options| {
        options.patience = Duration::from_millis(300);
        options.max_body = 10_000;
    })
    .await;
    let query =
        json!({ "id": "1", "type": "subscribe", "payload": { "query": "subscription { journal { position } }" } });
    let mut early = house.socket().await;
    say(&mut early, query.clone()).await;
    assert_eq!(closed(&mut early).await, 4401);
    let mut twice = house.session().await;
    say(&mut twice, json!({ "type": "connection_init" })).await;
    assert_eq!(closed(&mut twice).await, 4429);
    let mut same = house.session().await;
    say(&mut same, query.clone()).await;
    say(&mut same, query).await;
    assert_eq!(closed(&mut same).await, 4409);
    for nonsense in ["{", "{}", r#"{"type":"dance"}"#] {
        let mut socket = house.session().await;
        socket.send(Message::text(nonsense)).await.unwrap();
        assert_eq!(closed(&mut socket).await, 4400, "{nonsense}");
    }
    let mut large = house.session().await;
    large.send(Message::text(" ".repeat(20_000))).await.unwrap();
    assert_eq!(closed(&mut large).await, 1009);
    let mut silent = house.socket().await;
    assert_eq!(closed(&mut silent).await, 4408);
    let mut request = house.handshake();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-ws".parse().unwrap());
    assert_eq!(house.refused_handshake(request).await, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_operations_are_limited() {
    let house = House::open(|options| {
        options.max_sockets = 2;
        options.max_operations = 1;
    })
    .await;
    let mut first = house.session().await;
    let _second = house.session().await;
    assert_eq!(house.refused_handshake(house.handshake()).await, 503);
    for id in ["1", "2"] {
        let payload = json!({ "query": "subscription { journal { position } }" });
        say(&mut first, json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }
    let refused = hear(&mut first).await;
    assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("2")));
    first.close(None).await.unwrap();
    while first.next().await.is_some() {}
    // The place is free once the server has seen the end.
    let mut tries = 0;
    while tokio_tungstenite::connect_async(house.handshake()).await.is_err() {
        tries += 1;
        assert!(tries < 200, "the place was not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_connections_are_pinged_and_dead_ones_given_up() {
    let house = House::open(|options| options.keepalive = Duration::from_millis(200)).await;
    let mut socket = house.session().await;
    // Reading answers pings, which keeps the connection; a silent one is closed. Nothing is read for a while here.
    assert!(matches!(next(&mut socket).await, Message::Ping(_)));
    tokio::time::sleep(Duration::from_millis(1600)).await;
    // Byte by byte: whoever reads messages answers pings, which a server that has given up does not take any more.
    let (close, mut read) = ([0x03, 0xf3], Vec::new());
    let closes = |read: &[u8]| read.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == close);
    while !closes(&read) {
        let more = tokio::time::timeout(Duration::from_secs(10), socket.get_mut().read_buf(&mut read));
        assert!(more.await.unwrap().unwrap() > 0, "it ended without 1011: {read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_closes_sockets_and_the_port() {
    let house = House::open(|_| {}).await;
    let mut socket = house.session().await;
    let payload = json!({ "query": "subscription { journal { position } }" });
    say(&mut socket, json!({ "id": "1", "type": "subscribe", "payload": payload })).await;
    house.ask("{ journalHead }").await;
    house.shutdown.cancel();
    assert_eq!(closed(&mut socket).await, 1001);
    drop(socket);
    let stopped = tokio::time::timeout(Duration::from_secs(15), house.server).await.expect("the server stops");
    stopped.unwrap().unwrap();
    assert!(TcpStream::connect(house.address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_says_in_whose_name_it_comes() {
    let house = House::open(|_| {}).await;
    let query = "mutation { registerAgent(input: { key: \"a\", name: \"A\", systemPrompt: \"Work.\" }) { changed } }";
    let post = |name: &'static str| {
        house.http.post(house.url("/graphql")).header("x-hishamos-person", name).json(&json!({ "query": query })).send()
    };
    let refused = post("Ada Lovelace").await.unwrap();
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.json::<Value>().await.unwrap()["errors"][0]["extensions"]["code"], "ARGUMENT_INVALID");
    assert_eq!(post("ada@example.com").await.unwrap().status(), 200);
    let events = house.ask("{ journal { events { actor } } }").await;
    assert_eq!(events["data"]["journal"]["events"], json!([{ "actor": "person:ada@example.com" }]));
}

/// The REST API is there, behind the same doors as everything else.
#[tokio::test]
async fn rest_is_mounted_and_guarded() {
    let house = House::open(|_| {}).await;
    let document = house.http.get(house.url("/api/v1/openapi.json")).send().await.unwrap();
    assert_eq!(document.status(), 200);
    assert_eq!(document.json::<Value>().await.unwrap()["info"]["title"], "HishamOS");
    let page = house.http.get(house.url("/api/v1/docs/")).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("img-src 'self' data:"), "{policy}");
    let foreign = house.http.get(house.url("/api/v1/openapi.json")).header("origin", "https://evil.example");
    let foreign = foreign.send().await.unwrap();
    assert_eq!(
        (foreign.status().as_u16(), &foreign.headers()["content-type"]),
        (403, &"application/problem+json".parse().unwrap())
    );
    let nowhere = house.http.get(house.url("/api/v1/nothing")).send().await.unwrap();
    assert_eq!(nowhere.json::<Value>().await.unwrap()["code"], "NOT_FOUND");
}
