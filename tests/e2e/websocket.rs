//! Following a run over GraphQL's WebSocket: what is told is what the journal holds, every event once and in order,
//! whatever happens to the connection or to the program in between.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::program::{Home, Server, install_crypto};

const START: &str = "mutation($input: StartRunInput!) { startRun(input: $input) { runId } }";
const FOLLOW: &str = "subscription($run: UUID!, $after: Position) \
                      { runEvents(runId: $run, afterPosition: $after) { position terminal event { type } } }";

/// How long a message may take to come. A run whose program was stopped waits for the next one to take it over.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a catalogue, whose platform takes its time, so that there is something to follow.
fn serve_slowly(milliseconds: u32) -> (Home, Server) {
    let home = Home::new();
    home.write("hishamos.toml", format!("[platforms.slow]\nkind = \"simulator\"\nlatency_ms = {milliseconds}\n"));
    let server = home.serve(&[]);
    home.run(&["catalog", "load"]).expect(0);
    (home, server)
}

/// Starts the welcome workflow by HTTP.
async fn start(server: &Server) -> String {
    install_crypto();
    let input = json!({ "workflow": "welcome", "input": { "file": "The office moves on 3 May." } });
    let asked = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = asked.post(format!("{}/graphql", server.url));
    let asked = asked.json(&json!({ "query": START, "variables": { "input": input } }));
    let answer: Value = asked.send().await.unwrap().json().await.unwrap();
    answer["data"]["startRun"]["runId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Position and type of every event of a run, straight from the journal.
fn history(home: &Home, run: &str) -> Vec<(u64, String)> {
    let replayed = home.run(&["audit", "replay", run, "--json"]).expect(0).json();
    let events = replayed.as_array().unwrap();
    events.iter().map(|event| (number(&event["position"]), event["type"].as_str().unwrap().to_owned())).collect()
}

fn number(position: &Value) -> u64 {
    position.as_str().and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no position: {position}"))
}

fn handshake(server: &Server) -> Request {
    let url = format!("{}/graphql/ws", server.url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    request
}

/// What the server says in a session.
#[derive(Debug)]
enum Heard {
    Event { operation: String, position: u64, event_type: String, terminal: bool },
    Complete(String),
    Closed(u16),
}

/// An acknowledged connection.
struct Session(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Session {
    async fn open(server: &Server) -> Self {
        Self::open_by(handshake(server)).await
    }

    async fn open_by(request: Request) -> Self {
        let (socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-transport-ws");
        let mut session = Self(socket);
        session.say(json!({ "type": "connection_init" })).await;
        match session.message().await {
            Message::Text(text) => assert_eq!(text.as_str(), r#"{"type":"connection_ack"}"#),
            other => panic!("expected connection_ack, got {other:?}"),
        }
        session
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn follow(&mut self, operation: &str, run: &str, after: Option<u64>) {
        let variables = json!({ "run": run, "after": after.map(|after| after.to_string()) });
        let payload = json!({ "query": FOLLOW, "variables": variables });
        self.say(json!({ "id": operation, "type": "subscribe", "payload": payload })).await;
    }

    async fn message(&mut self) -> Message {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a message comes").unwrap().unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    async fn hear(&mut self) -> Heard {
        let text = match self.message().await {
            Message::Text(text) => text,
            Message::Close(Some(frame)) => return Heard::Closed(frame.code.into()),
            other => panic!("expected a message of the protocol, got {other:?}"),
        };
        let said: Value = serde_json::from_str(&text).unwrap();
        let operation = said["id"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
        match said["type"].as_str() {
            Some("complete") => Heard::Complete(operation),
            Some("next") => {
                assert!(said["payload"].get("errors").is_none(), "{said}");
                let item = &said["payload"]["data"]["runEvents"];
                let (position, event_type) = (number(&item["position"]), item["event"]["type"].as_str().unwrap());
                let terminal = item["terminal"].as_bool().unwrap();
                Heard::Event { operation, position, event_type: event_type.to_owned(), terminal }
            }
            _ => panic!("{said}"),
        }
    }

    /// The events of the only operation until it is complete, the connection is closed, or there are `limit`; and the
    /// code with which the connection was closed.
    async fn take(&mut self, limit: usize) -> (Vec<(u64, String)>, Option<u16>) {
        let mut events = Vec::new();
        while events.len() < limit {
            match self.hear().await {
                Heard::Event { position, event_type, terminal, .. } => {
                    assert_eq!(terminal, event_type == "run.completed", "{event_type} at {position}");
                    events.push((position, event_type));
                }
                Heard::Complete(_) => break,
                Heard::Closed(code) => return (events, Some(code)),
            }
        }
        (events, None)
    }
}

#[tokio::test]
async fn a_run_is_told_once_and_in_order_from_every_place() {
    let (home, server) = serve_slowly(300);
    let run = start(&server).await;

    // One connection stays, another breaks in the middle of the run and is followed by a third.
    let mut whole = Session::open(&server).await;
    whole.follow("whole", &run, None).await;
    let mut broken = Session::open(&server).await;
    broken.follow("first half", &run, None).await;
    let (mut pieced, _) = broken.take(5).await;
    drop(broken);
    let mut resumed = Session::open(&server).await;
    resumed.follow("second half", &run, pieced.last().map(|(position, _)| *position)).await;
    pieced.extend(resumed.take(usize::MAX).await.0);
    let (told, _) = whole.take(usize::MAX).await;

    let recorded = history(&home, &run);
    assert!(recorded.len() > 10, "{recorded:?}");
    assert!(recorded.is_sorted_by(|(one, _), (next, _)| one < next), "{recorded:?}");
    assert_eq!(told, recorded);
    assert_eq!(pieced, recorded);

    // From wherever one goes on, there comes exactly the rest; all at once, on one connection.
    let mut expected = BTreeMap::new();
    for (index, (position, _)) in recorded.iter().enumerate() {
        let operation = format!("after {position}");
        resumed.follow(&operation, &run, Some(*position)).await;
        expected.insert(operation, recorded[index + 1..].to_vec());
    }
    let mut rests: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    let mut complete = 0;
    while complete < expected.len() {
        match resumed.hear().await {
            Heard::Event { operation, position, event_type, .. } => {
                rests.entry(operation).or_default().push((position, event_type));
            }
            Heard::Complete(operation) => {
                rests.entry(operation).or_default();
                complete += 1;
            }
            Heard::Closed(code) => panic!("closed with {code}"),
        }
    }
    assert_eq!(rests, expected);
}

#[tokio::test]
async fn a_stopping_program_says_so_and_the_next_one_goes_on() {
    let (home, server) = serve_slowly(1500);
    let run = start(&server).await;
    let mut session = Session::open(&server).await;
    session.follow("run", &run, None).await;
    let (mut told, _) = session.take(3).await;
    let stopping = std::thread::spawn(move || server.end("-TERM"));
    let (more, code) = session.take(usize::MAX).await;
    assert_eq!(code, Some(1001), "{more:?}");
    told.extend(more);
    let (status, log) = stopping.join().unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(told.iter().all(|(_, event_type)| event_type != "run.completed"), "the run was stopped half-way: {told:?}");

    let next = home.serve(&[]);
    let mut session = Session::open(&next).await;
    session.follow("run", &run, told.last().map(|(position, _)| *position)).await;
    told.extend(session.take(usize::MAX).await.0);
    assert_eq!(told, history(&home, &run));
}

#[tokio::test]
async fn only_pages_of_the_server_itself_may_connect() {
    let home = Home::new();
    let server = home.serve(&["--simulate"]);
    let from = |origin: &str| {
        let mut request = handshake(&server);
        request.headers_mut().insert("origin", origin.parse().unwrap());
        request
    };
    Session::open_by(from(&server.url)).await;
    let port = server.url.rsplit(':').next().unwrap();
    for origin in ["http://evil.example", "https://localhost", "null", &format!("http://evil.example:{port}")] {
        match tokio_tungstenite::connect_async(from(origin)).await {
            Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 403, "{origin}"),
            other => panic!("{origin}: expected a refusal, got {other:?}"),
        }
    }
    let mut request = handshake(&server);
    request.headers_mut().insert("sec-websocket-protocol", "graphql-ws".parse().unwrap());
    match tokio_tungstenite::connect_async(request).await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 400),
        other => panic!("an older subprotocol is not spoken: {other:?}"),
    }
}
