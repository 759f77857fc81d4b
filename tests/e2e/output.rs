//! The answer of a task is told while it is being given: on the node that gives it, on another, and to whoever comes late.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::Database;
use testkit::openai::{Behaviour, OpenAiServer};

use crate::program::{Home, Server, install_crypto, until};

const WORDS: usize = 40;
const FOLLOW: &str = "subscription($id: UUID!, $after: OutputPlace) { taskOutput(taskId: $id, after: $after) \
                      { attempt offset text end } }";

fn answer() -> String {
    (0..WORDS).map(|number| format!("wörd-{number} ")).collect()
}

/// The pieces that a stream of events tells, each with the name of its event, to the last.
async fn pieces(request: reqwest::RequestBuilder) -> Vec<(String, Value)> {
    first(request, usize::MAX).await
}

/// The first of them, at least so many; then the stream is broken off.
async fn first(request: reqwest::RequestBuilder, wanted: usize) -> Vec<(String, Value)> {
    let mut response = request.header("accept", "text/event-stream").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let (mut bytes, mut pieces) = (Vec::new(), Vec::new());
    while pieces.len() < wanted
        && let Some(more) = response.chunk().await.unwrap()
    {
        bytes.extend_from_slice(&more);
        while let Some(end) = bytes.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = bytes.drain(..end + 2).collect();
            if let Some((name, data)) = std::str::from_utf8(&event).unwrap().split_once("\ndata: ") {
                // Over REST an id comes first.
                let name = name.rsplit("event: ").next().unwrap_or_default().to_owned();
                pieces.push((name, serde_json::from_str(data).unwrap_or(Value::Null)));
            }
        }
    }
    pieces
}

/// What pieces join to, each of which follows on the one before.
fn joined<'a>(pieces: impl IntoIterator<Item = &'a Value>) -> String {
    pieces.into_iter().fold(String::new(), |mut text, piece| {
        assert_eq!((&piece["attempt"], &piece["offset"]), (&json!(1), &json!(text.len())), "{piece} after {text}");
        text.push_str(piece["text"].as_str().unwrap());
        text
    })
}

#[test]
fn an_answer_is_told_while_it_is_given_here_and_on_another_node() {
    install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let database = runtime.block_on(Database::create());
    let platform = runtime.block_on(OpenAiServer::start([])).unwrap();
    let chunks = answer().split_inclusive(' ').map(str::to_owned).collect();
    platform.set_default(Behaviour::Slowly { chunks, pause: Duration::from_millis(150) });
    let homes = [Home::new(), Home::new()];
    let command = |node: usize, arguments: &[&str]| -> Command {
        let mut command = homes[node].command(arguments);
        command.env("DATABASE_URL", database.url()).env("OPENAI_BASE_URL", platform.base_url());
        command.env("OPENAI_API_KEY", "sk-test").env("OPENAI_MODEL", "some-model");
        command
    };
    let serve = |node: usize| homes[node].serve_by(command(node, &["serve", "--port", "0", "--json"]));
    let [here, there]: [Server; 2] = [serve(0), serve(1)];
    assert!(command(0, &["catalog", "load"]).output().unwrap().status.success());
    let started =
        command(0, &["run", "welcome", "--input", "file=hello", "--output", "text", "--json"]).output().unwrap();
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    let task = until("a task that speaks", || {
        let tasks = here.ask("{ tasks(first: 10) { nodes { taskId status } } }", json!({}));
        let tasks = tasks["tasks"]["nodes"].as_array()?.clone();
        tasks.iter().find(|task| task["status"] == "RUNNING").map(|task| task["taskId"].as_str().unwrap().to_owned())
    });

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let output = |server: &Server| client.get(format!("{}/api/v1/tasks/{task}/output", server.url));
    let follow = |server: &Server, after: Value| {
        let follow = client.post(format!("{}/graphql", server.url));
        follow.json(&json!({ "query": FOLLOW, "variables": { "id": task, "after": after } }))
    };
    let of_graphql = |pieces: &[(String, Value)]| -> Vec<Value> {
        let told = pieces.iter().map(|(_, next)| next["data"]["taskOutput"].clone());
        told.filter(|told| told.is_object()).collect()
    };
    // Broken off, and taken up again at the other node.
    let broken = async {
        let before = of_graphql(&first(follow(&here, Value::Null), 4).await);
        let place = json!({ "attempt": 1, "offset": joined(&before).len() });
        let after = of_graphql(&pieces(follow(&there, place)).await);
        (before, after)
    };
    let broken_over_rest = async {
        let before = first(output(&here), 4).await;
        let before: Vec<Value> = before.into_iter().map(|(_, piece)| piece).collect();
        let last = format!("1-{}", joined(&before).len());
        let after = pieces(output(&there).header("last-event-id", last)).await;
        let after: Vec<Value> = after.into_iter().map(|(_, piece)| piece).collect();
        (before, after)
    };
    let late = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        pieces(output(&there)).await
    };
    let followed = async {
        let all = (pieces(output(&here)), pieces(output(&there)), pieces(follow(&here, Value::Null)));
        tokio::join!(all.0, all.1, all.2, late, broken, broken_over_rest)
    };
    let (own, other, graphql, late, (before, after), over_rest) = runtime.block_on(followed);
    for (pieces, at_least) in [(&own, 10), (&other, 10), (&late, 4)] {
        assert!(pieces.len() >= at_least, "all but at once: {pieces:?}");
        assert_eq!(joined(pieces.iter().map(|(_, piece)| piece)), answer());
        let (name, last) = pieces.last().unwrap();
        assert_eq!((name.as_str(), &last["end"]), ("end", &json!("completed")), "{pieces:?}");
        assert!(pieces.iter().rev().skip(1).all(|(name, piece)| name == "piece" && piece["end"].is_null()));
    }
    let told = of_graphql(&graphql);
    assert!(told.len() >= 10, "{graphql:?}");
    assert_eq!(joined(&told), answer());
    assert_eq!(told.last().unwrap()["end"], "COMPLETED");
    assert!(before.len() >= 4 && after.len() >= 2, "{before:?}, {after:?}");
    assert_eq!(joined(before.iter().chain(&after)), answer());
    assert!(over_rest.0.len() >= 4 && over_rest.1.len() >= 2, "{over_rest:?}");
    assert_eq!(joined(over_rest.0.iter().chain(&over_rest.1)), answer());
    // The task has ended by now, and what was told before is still how its answer begins.
    let place = json!({ "attempt": 1, "offset": joined(&before).len() });
    let rest = of_graphql(&runtime.block_on(pieces(follow(&there, place))));
    assert_eq!((rest.len(), &rest[0]["end"]), (1, &json!("COMPLETED")), "{rest:?}");
    assert_eq!(joined(before.iter().chain(&rest)), answer());

    // How soon it began is recorded, and nothing is made up where nothing came in pieces.
    let asked =
        "query($id: UUID!) { task(id: $id) { attempts { status firstPieceMs platformDurationMs kept { at } } } }";
    let attempt = until("what was recorded of the attempt", || {
        let task = here.ask(asked, json!({ "id": task }));
        let attempt = task["task"]["attempts"][0].clone();
        (attempt["status"] == "SUCCEEDED").then_some(attempt)
    });
    let millis = |name: &str| attempt[name].as_u64().or_else(|| attempt[name].as_str()?.parse().ok()).unwrap();
    assert!(millis("firstPieceMs") * 2 < millis("platformDurationMs"), "{attempt}");
    assert_eq!(attempt["kept"], Value::Null);

    // Afterwards it is there as a whole, on any node; and what is not there is said so.
    let whole = |server: &Server| {
        let asked = async { output(server).send().await.unwrap().json::<Value>().await.unwrap() };
        runtime.block_on(asked)
    };
    for server in [&here, &there] {
        let shown = whole(server);
        assert_eq!(shown, json!({ "attempt": 1, "offset": 0, "text": answer(), "end": "completed" }));
    }
    let nowhere = client.get(format!("{}/api/v1/tasks/{}/output", here.url, uuid::Uuid::nil()));
    let nowhere = runtime.block_on(async { nowhere.send().await.unwrap().json::<Value>().await.unwrap() });
    assert_eq!(nowhere["code"], "TASK_NOT_FOUND", "{nowhere}");
}
