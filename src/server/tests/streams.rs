//! Streams to slow and quick clients, and documents that requests only name.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use commands::Commands;
use journal::{Filter, Journal, MemoryJournal, Position};
use reqwest::header::ACCEPT;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::super::Documents;
use super::{House, hear, next, register, say};

const FOLLOW: &str = "subscription($after: Position) { journal(afterPosition: $after) { position payload } }";
/// How long the texts are that a slow client does not read, and how many; sockets have buffers of several megabytes.
const LONG: usize = 40_000;
const MANY: u64 = 600;
/// How long a client is waited for, and how long a slow one does not read.
const PATIENCE: Duration = Duration::from_millis(500);
const SLEEP: Duration = Duration::from_secs(4);

async fn full_journal() -> Arc<dyn Journal> {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let commands = Commands::new(Arc::clone(&journal));
    for number in 0..MANY {
        register(&commands, &format!("agent-{number}"), &"long ".repeat(LONG / 5)).await;
    }
    journal
}

async fn all_positions(journal: &Arc<dyn Journal>) -> Vec<u64> {
    let page = journal.read_all(Position::START, &Filter::default(), 100_000).await.unwrap();
    page.events.iter().map(|event| event.position.as_u64()).collect()
}

fn position_of(answer: &Value) -> u64 {
    answer["data"]["journal"]["position"].as_str().unwrap_or_else(|| panic!("no position in {answer}")).parse().unwrap()
}

/// Reads an event stream to its end: the answers, and whether it was completed.
async fn read_stream(mut response: reqwest::Response, first: usize) -> (Vec<Value>, bool) {
    let mut text = String::new();
    let (mut answers, mut complete) = (Vec::new(), false);
    while answers.len() < first && !complete {
        let chunk = tokio::time::timeout(Duration::from_secs(20), response.chunk()).await.expect("something comes");
        let Some(chunk) = chunk.unwrap() else { break };
        text.push_str(&String::from_utf8_lossy(&chunk));
        while let Some((event, rest)) = text.split_once("\n\n") {
            match event.split_once('\n') {
                Some(("event: next", data)) => {
                    answers.push(serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap());
                }
                Some(("event: complete", _)) => complete = true,
                _ => assert_eq!(event, ":", "a pulse"),
            }
            text = rest.to_owned();
        }
    }
    (answers, complete)
}

async fn open_stream(house: &House, query: &str, variables: Value) -> reqwest::Response {
    let request = house.http.post(house.url("/graphql")).header(ACCEPT, "text/event-stream");
    let response = request.json(&json!({ "query": query, "variables": variables })).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_run_over_server_sent_events() {
    let house = House::open(|options| options.keepalive = Duration::from_millis(50)).await;
    let commands = Commands::new(Arc::clone(&house.journal));
    register(&commands, "one", "Work.").await;
    register(&commands, "two", "Work.").await;
    let (answers, complete) = read_stream(open_stream(&house, FOLLOW, json!({ "after": "0" })).await, 2).await;
    assert_eq!((answers.iter().map(position_of).collect::<Vec<_>>(), complete), (vec![1, 2], false));
    // It stays open, with a pulse, until something happens.
    let stream = open_stream(&house, FOLLOW, json!({ "after": "2" })).await;
    tokio::time::sleep(Duration::from_millis(120)).await;
    register(&commands, "three", "Work.").await;
    assert_eq!(position_of(&read_stream(stream, 1).await.0[0]), 3);
    // A query is answered once, and what is wrong is said in the stream.
    let (answers, complete) = read_stream(open_stream(&house, "{ journalHead }", json!({})).await, 9).await;
    let asked = json!({ "data": { "journalHead": "3" }, "extensions": { "position": "3" } });
    assert_eq!((answers, complete), (vec![asked], true));
    let (answers, complete) = read_stream(open_stream(&house, "subscription { nothing }", json!({})).await, 9).await;
    assert!(complete);
    assert_eq!(answers[0]["errors"][0]["extensions"]["code"], "QUERY_INVALID");
    // By GET, as an EventSource does it.
    let request =
        house.http.get(house.url(
            "/graphql?query=subscription%20%7B%20journal(afterPosition%3A%20%220%22)%20%7B%20position%20%7D%20%7D",
        ));
    let stream = request.header(ACCEPT, "text/event-stream").send().await.unwrap();
    assert_eq!(position_of(&read_stream(stream, 1).await.0[0]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_of_a_stream_is_told_where_to_go_on() {
    let journal = full_journal().await;
    let house = House::open_on(Arc::clone(&journal), |options| options.patience = PATIENCE).await;
    let stream = open_stream(&house, FOLLOW, json!({ "after": "0" })).await;
    tokio::time::sleep(SLEEP).await;
    let (mut answers, complete) = read_stream(stream, usize::MAX).await;
    assert!(complete);
    let end = answers.pop().unwrap();
    assert_eq!(end["errors"][0]["extensions"]["code"], "SLOW_CLIENT", "{end}");
    let resume = end["errors"][0]["extensions"]["resumeAfter"].as_str().unwrap().to_owned();
    let mut seen: Vec<u64> = answers.iter().map(position_of).collect();
    assert_eq!(seen.last().unwrap().to_string(), resume);
    assert!(seen.len() < all_positions(&journal).await.len(), "it was cut before its end");
    let missing = all_positions(&journal).await.len() - seen.len();
    let (rest, _) = read_stream(open_stream(&house, FOLLOW, json!({ "after": resume })).await, missing).await;
    seen.extend(rest.iter().map(position_of));
    assert_eq!(seen, all_positions(&journal).await, "nothing is missed and nothing is repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_of_a_websocket_is_told_where_to_go_on() {
    let journal = full_journal().await;
    let house = House::open_on(Arc::clone(&journal), |options| options.patience = PATIENCE).await;
    let mut seen: Vec<u64> = Vec::new();
    let mut after = "0".to_owned();
    let mut slow = true;
    while seen.len() < all_positions(&journal).await.len() {
        let mut socket = house.session().await;
        let payload = json!({ "query": FOLLOW, "variables": { "after": after } });
        say(&mut socket, json!({ "type": "subscribe", "id": "s", "payload": payload })).await;
        if std::mem::take(&mut slow) {
            tokio::time::sleep(SLEEP).await;
        }
        while seen.len() < all_positions(&journal).await.len() {
            match next(&mut socket).await {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    seen.push(position_of(&message["payload"]));
                }
                Message::Close(frame) => {
                    let frame = frame.expect("a reason");
                    assert_eq!(u16::from(frame.code), 1008);
                    let last = seen.last().unwrap();
                    let reason = format!("the client reads too slowly; subscribe again after position {last}");
                    assert_eq!(frame.reason.as_str(), reason);
                    after = last.to_string();
                    break;
                }
                _ => {}
            }
        }
    }
    assert_ne!(after, "0", "it was closed once");
    assert_eq!(seen, all_positions(&journal).await, "nothing is missed and nothing is repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_may_name_their_documents() {
    let house = House::open(|_| {}).await;
    let query = "{ journalHead }";
    let hash = "b96a2e1d0a3ee4ad";
    let named = |hash: &str| json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } });
    let ask = |body: Value| house.http.post(house.url("/graphql")).json(&body);
    assert_eq!(house.code(ask(named(hash))).await, (200, "PERSISTED_QUERY_NOT_FOUND".to_owned()));
    let mut wrong = named(hash);
    wrong["query"] = query.into();
    assert_eq!(house.code(ask(wrong)).await, (400, "PERSISTED_QUERY_MISMATCH".to_owned()));
    let broken = json!({ "query": "{ journalHead", "variables": {} });
    assert_eq!(house.code(ask(broken)).await.1, "QUERY_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_documents_are_carried_out_over_any_way() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("head.graphql"), "{ journalHead }\n").unwrap();
    let documents = Documents::load(Some(folder.path()), true).unwrap();
    let house = House::open_with(Arc::new(MemoryJournal::new()), documents, |_| {}).await;
    let ask = |query: &str| house.http.post(house.url("/graphql")).json(&json!({ "query": query }));
    let answer: Value = ask("{ journalHead }").send().await.unwrap().json().await.unwrap();
    assert_eq!(answer, json!({ "data": { "journalHead": "0" }, "extensions": { "position": "0" } }));
    assert_eq!(house.code(ask("{ position }")).await, (403, "DOCUMENT_NOT_LISTED".to_owned()));
    let stream = ask(FOLLOW).header(ACCEPT, "text/event-stream");
    assert_eq!(house.code(stream).await, (403, "DOCUMENT_NOT_LISTED".to_owned()));
    let mut socket = house.session().await;
    say(&mut socket, json!({ "type": "subscribe", "id": "s", "payload": { "query": FOLLOW } })).await;
    let answer = hear(&mut socket).await;
    assert_eq!(answer["type"], "error");
    assert_eq!(answer["payload"][0]["extensions"]["code"], "DOCUMENT_NOT_LISTED");
}
