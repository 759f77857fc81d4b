//! What is refused is recorded, once, with who asked and why, and with nothing of what was sent.

use std::time::Duration;

use commands::denials::{Options, Service};
use domain::denial::{Denied, DeniedMore};
use domain::{DenialEvent, Event};
use journal::{Filter, Position};
use tokio::task::JoinHandle;

use super::*;

struct Watched {
    house: House,
    stop: CancellationToken,
    recorder: JoinHandle<()>,
}

impl Watched {
    async fn open(options: Options) -> Self {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        let (service, handle) = Service::new(options, Commands::new(Arc::clone(&journal)));
        let stop = CancellationToken::new();
        let recorder = tokio::spawn(service.run(stop.clone()));
        let house = House::open_noting(journal, Some(handle), |options| options.max_body = 4096).await;
        Self { house, stop, recorder }
    }

    /// Everything that was noted, when all of it is recorded.
    async fn close(self) -> (Vec<(String, Denied)>, Vec<DeniedMore>) {
        self.stop.cancel();
        self.recorder.await.unwrap();
        let filter = Filter::categories([domain::Category::Denial]);
        let page = self.house.journal.read_all(Position::START, &filter, 1000).await.unwrap();
        let (mut one_by_one, mut counted) = (Vec::new(), Vec::new());
        for event in page.events {
            for words in [&event.payload, &event.metadata_bytes] {
                assert!(!words.windows(7).any(|part| part == b"s3cr3t-"), "{event:?}");
            }
            match event.event().unwrap() {
                Event::Denial(DenialEvent::Recorded(denied)) => {
                    one_by_one.push((event.metadata.actor.to_string(), denied.clone()));
                }
                Event::Denial(DenialEvent::Counted(more)) => counted.push(more.clone()),
                other => panic!("{other:?}"),
            }
        }
        self.house.shutdown.cancel();
        self.house.server.await.unwrap().unwrap();
        (one_by_one, counted)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_refused_is_recorded_once_and_without_what_was_sent() {
    let watched = Watched::open(Options::default()).await;
    let house = &watched.house;
    let post = |path: &str| house.http.post(house.url(path));
    let graphql = |query: &str, variables: Value| {
        post("/graphql").header("x-hishamos-person", "ada").json(&json!({ "query": query, "variables": variables }))
    };
    // By the write side, in the name of whoever asks.
    let start = "mutation($input: StartRunInput!) { mine: startRun(input: $input) { runId } }";
    let input = json!({ "workflow": "no-such-flow", "input": { "text": "s3cr3t-text" } });
    house.code(graphql(start, json!({ "input": input }))).await;
    let cancel = r#"mutation { cancelRun(input: { runId: "00000000-0000-7000-8000-000000000001", reason: "s3cr3t-why" }) { runId } }"#;
    house.code(graphql(cancel, Value::Null)).await;
    // Before anything is asked: a mutation that does not exist, with several things wrong, and what is no GraphQL.
    house.code(graphql("mutation { eraseAll(of: \"s3cr3t-1\") { a } dropAll { b } }", Value::Null)).await;
    house.code(graphql("mutation { s3cr3t-", Value::Null)).await;
    // By REST.
    let body = json!({ "workflow": "no-such-flow", "input": { "text": "s3cr3t-text" } });
    assert_eq!(post("/api/v1/runs").json(&body).send().await.unwrap().status(), 404);
    assert_eq!(post("/api/v1/runs").body("s3cr3t-body").send().await.unwrap().status().as_u16() / 100, 4);
    // By the server.
    let evil = post("/graphql").header("origin", "https://evil.example").header("x-hishamos-person", "ada");
    assert_eq!(house.code(evil).await.1, "ORIGIN_REFUSED");
    let host =
        house.http.get(house.url("/")).header("host", "s3cr3t-host.example").header("origin", "https://a.b/s3cr3t-x");
    assert_eq!(house.code(host).await.1, "HOST_REFUSED");
    let large = post("/graphql").header("content-type", "application/json").body("s3cr3t-".repeat(1000));
    assert_eq!(house.code(large).await.1, "BODY_TOO_LARGE");
    // Over a WebSocket.
    let mut session = house.session().await;
    let payload = json!({ "query": start, "variables": { "input": { "workflow": "s3cr3t- no key" } } });
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": payload });
    session.send(Message::text(subscribe.to_string())).await.unwrap();
    while let Some(Ok(message)) = session.next().await {
        if message.to_text().unwrap().contains("errors") || message.to_text().unwrap().contains("\"error\"") {
            break;
        }
    }
    // None of these is refused: a question without an answer, a page that is not there, a mistake in a question.
    assert_eq!(house.http.get(house.url("/nowhere")).send().await.unwrap().status(), 404);
    house.ask("{ journalHead nothing }").await;
    house.register("writer").await;

    let (denials, counted) = watched.close().await;
    let told: Vec<_> = denials
        .iter()
        .map(|(by, denied)| {
            (by.as_str(), denied.action.as_str(), denied.on.as_deref(), denied.code.as_str(), denied.from.as_deref())
        })
        .collect();
    let (ada, me, server) = ("person:ada", "person:tester", "system:server");
    let run = Some("00000000-0000-7000-8000-000000000001");
    let flow = Some("no-such-flow");
    let expected = [
        (ada, "mutation startRun", flow, "WORKFLOW_NOT_FOUND", None),
        (ada, "mutation cancelRun", run, "RUN_NOT_FOUND", None),
        (ada, "mutation eraseAll, dropAll", None, "QUERY_INVALID", None),
        (ada, "graphql", None, "QUERY_INVALID", None),
        (me, "POST /api/v1/runs", None, "WORKFLOW_NOT_FOUND", None),
        (me, "POST /api/v1/runs", None, "CONTENT_TYPE_REFUSED", None),
        (server, "POST /graphql", None, "ORIGIN_REFUSED", Some("https://evil.example")),
        (server, "GET /", None, "HOST_REFUSED", None),
        (me, "POST /graphql", None, "BODY_TOO_LARGE", None),
        (me, "mutation startRun", None, "ARGUMENT_INVALID", None),
    ];
    assert_eq!(told, expected);
    assert_eq!(counted, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_refusals_is_counted() {
    let hour = Duration::from_secs(3600);
    let watched = Watched::open(Options { burst: 5, every: hour, summary: hour }).await;
    let house = &watched.house;
    for _ in 0..40 {
        let evil = house.http.post(house.url("/graphql")).header("origin", "https://evil.example");
        assert_eq!(house.code(evil).await.1, "ORIGIN_REFUSED");
    }
    let (denials, counted) = watched.close().await;
    assert_eq!(denials.len(), 5);
    assert_eq!(counted.len(), 1);
    assert_eq!((counted[0].total(), counted[0].counts[0].code.as_str()), (35, "ORIGIN_REFUSED"));
}
