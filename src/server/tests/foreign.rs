//! Subscriptions as clients of other authors meet them, which the tests install by themselves: `gql` from PyPI,
//! `graphql-ws` and `graphql-sse` from npm. They break off and go on at another node of the same journal.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{House, register};

const PYTHON: [&str; 1] = ["gql[websockets]==4.4.0"];
const NODE: [&str; 4] = ["graphql@17.1.0", "graphql-ws@6.4.2", "graphql-sse@2.6.1", "ws@8.23.0"];
/// How many events each node is asked for before the client breaks off.
const EACH: usize = 12;

/// Two nodes on one journal, where something happens all the time.
struct Nodes {
    one: House,
    other: House,
    busy: CancellationToken,
    work: JoinHandle<()>,
}

impl Nodes {
    async fn open() -> Self {
        let one = House::open(|_| {}).await;
        let other = House::open_on(Arc::clone(&one.journal), |_| {}).await;
        let busy = CancellationToken::new();
        let (stop, journal) = (busy.clone(), Arc::clone(&one.journal));
        let commands = commands::Commands::new(journal);
        let work = tokio::spawn(async move {
            for number in 0.. {
                if stop.is_cancelled() {
                    return;
                }
                register(&commands, &format!("agent-{number}"), "Work.").await;
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        });
        Self { one, other, busy, work }
    }

    /// Lets a client read from one node, from the other, and from the first again; what it prints are the positions.
    async fn read_by(self, mut command: Command) {
        let (one, other) = (self.one.url(""), self.other.url(""));
        command.args([&one, &other, &one]).arg(EACH.to_string());
        let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let seen: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
        self.busy.cancel();
        self.work.await.unwrap();
        let all =
            self.one.journal.read_all(journal::Position::START, &journal::Filter::default(), 10_000).await.unwrap();
        let expected: Vec<String> = all.events.iter().take(3 * EACH).map(|event| event.position.to_string()).collect();
        assert_eq!(seen, expected, "nothing is missed and nothing is repeated");
    }
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/tests/foreign").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_gql_goes_on_at_another_node() {
    let python = tokio::task::spawn_blocking(|| testkit::python_with("gql-4.4.0", &PYTHON)).await.unwrap();
    let mut command = Command::new(python);
    command.arg("-B").arg(script("follow.py"));
    Nodes::open().await.read_by(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_ws_and_graphql_sse_go_on_where_the_other_broke_off() {
    let (node, home) = tokio::task::spawn_blocking(|| testkit::node_with("graphql-clients-1", &NODE)).await.unwrap();
    let mut command = Command::new(node);
    command.arg(script("follow.mjs")).arg(home);
    Nodes::open().await.read_by(command).await;
}
