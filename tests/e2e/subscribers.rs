//! Hundreds of subscribers at once: each follows a run of its own while all runs go on, some follow the whole journal,
//! and everybody is told exactly what the database has. `./dev bench answers.subscribers` does the same with thousands.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::Database;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use uuid::Uuid;

use crate::program::{Home, Server, install_crypto};

const RUNS: usize = 290;
const JOURNALS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(60);

const START: &str = "mutation($input: StartRunInput!) { startRun(input: $input) { runId } }";
const RUN: &str = "subscription($run: UUID!) { runEvents(runId: $run) { position terminal } }";
const JOURNAL: &str = r#"subscription { journal(afterPosition: "0") { position type } }"#;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn subscribe(url: &str, query: &str, variables: Value) -> Socket {
    let mut request = format!("{}/graphql/ws", url.replacen("http", "ws", 1)).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": query, "variables": variables } });
    socket.send(Message::text(json!({ "type": "connection_init" }).to_string())).await.unwrap();
    assert!(hear(&mut socket).await["type"] == "connection_ack");
    socket.send(Message::text(subscribe.to_string())).await.unwrap();
    socket
}

async fn hear(socket: &mut Socket) -> Value {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.expect("a message comes").unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("expected a message of the protocol, got {other:?}"),
        }
    }
}

/// The positions of what is told until a field says that it was the last.
async fn told(mut socket: Socket, field: &str, mut last: impl FnMut(&Value) -> bool) -> Vec<i64> {
    let mut positions: Vec<i64> = Vec::new();
    loop {
        let message = hear(&mut socket).await;
        let told = &message["payload"]["data"][field];
        positions.push(told["position"].as_str().unwrap_or_else(|| panic!("{message}")).parse().unwrap());
        if last(told) {
            return positions;
        }
    }
}

async fn start(client: reqwest::Client, url: String) -> Uuid {
    let input = json!({ "workflow": "welcome", "input": { "file": "The office moves on 3 May." } });
    let body = json!({ "query": START, "variables": { "input": input } });
    let answer: Value = client.post(format!("{url}/graphql")).json(&body).send().await.unwrap().json().await.unwrap();
    answer["data"]["startRun"]["runId"].as_str().unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
}

/// The positions of everything that happened to each run and its tasks.
async fn recorded(pool: &PgPool) -> HashMap<Uuid, Vec<i64>> {
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(
        "SELECT coalesce(tasks.run_id, events.stream), events.position FROM journal.events
         LEFT JOIN read_runs.tasks ON tasks.id = events.stream
         WHERE category IN ('run', 'task') ORDER BY events.position",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut of_runs: HashMap<Uuid, Vec<i64>> = HashMap::new();
    for (run, position) in rows {
        of_runs.entry(run).or_default().push(position);
    }
    of_runs
}

fn serve(home: &Home, database: &Database) -> Server {
    let mut command = home.command(&["serve", "--port", "0", "--json"]);
    command.env("DATABASE_URL", database.url());
    let server = home.serve_by(command);
    let mut load = home.command(&["catalog", "load"]);
    assert!(load.env("DATABASE_URL", database.url()).output().unwrap().status.success());
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_subscribers_miss_nothing() {
    install_crypto();
    let (home, database) = (Home::new(), Database::create().await);
    // Slow enough that runs are followed while they go on.
    home.write("hishamos.toml", "[platforms.slow]\nkind = \"simulator\"\nlatency_ms = 500\n");
    let server = serve(&home, &database);

    let mut journals = JoinSet::new();
    for _ in 0..JOURNALS {
        let socket = subscribe(&server.url, JOURNAL, json!({})).await;
        journals.spawn(async move {
            let mut ended = 0;
            told(socket, "journal", |event| {
                ended += usize::from(event["type"] == "run.completed");
                ended == RUNS
            })
            .await
        });
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut followers = JoinSet::new();
    for _ in 0..RUNS {
        let (client, url) = (client.clone(), server.url.clone());
        followers.spawn(async move {
            let run = start(client, url.clone()).await;
            let socket = subscribe(&url, RUN, json!({ "run": run })).await;
            (run, told(socket, "runEvents", |event| event["terminal"] == true).await)
        });
    }
    let mut of_runs = HashMap::new();
    while let Some(followed) = followers.join_next().await {
        let (run, positions) = followed.unwrap();
        of_runs.insert(run, positions);
    }
    while let Some(followed) = journals.join_next().await {
        let positions = followed.unwrap();
        assert_eq!(positions, (1..=i64::try_from(positions.len()).unwrap()).collect::<Vec<_>>());
    }

    // The read model says which task is of which run.
    let known = "SELECT count(*) FROM read_runs.runs WHERE status = 'completed'";
    let begun = std::time::Instant::now();
    while sqlx::query_scalar::<_, i64>(known).fetch_one(database.pool()).await.unwrap() < i64::try_from(RUNS).unwrap() {
        assert!(begun.elapsed() < PATIENCE, "the read model does not reach the end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let recorded = recorded(database.pool()).await;
    assert_eq!(of_runs.len(), RUNS);
    for (run, told) in of_runs {
        assert!(told.len() > 10, "{told:?}");
        assert_eq!(Some(&told), recorded.get(&run));
    }
}
