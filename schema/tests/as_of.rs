//! Questions about the past, through the API.

use domain::task::Pacing;
use domain::{NodeId, RunCommand, TaskCommand};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{House, agent};

/// Everything that can be asked about a run and what it uses.
const RUN: &str = "
    runId status version input output simulated failedStep cancelReason epoch priority startedAt endedAt position durationMs
    error { kind message } pause { by reason since } pauses { by reason since until resumedBy } signals { signal payload }
    workflow { status newestVersion activeVersion versions { version activatedAt } }
    steps {
        name status kind startedAt endedAt output error { message } position
        agent { key version enabled disabledReason versions { version profile { temperature } } }
        template { key version title }
        task {
            status attemptCount retryAt position agent { key version } template { key }
            run { runId status }
            attempts { number status platform text cost usage { inputTokens outputTokens } error { kind } startedAt endedAt }
        }
    }";

fn question(arguments: &str) -> String {
    format!(
        "query($id: UUID!, $global: ID!, $at: Position) {{
            run(id: $id{arguments}) {{ {RUN} }}
            node(id: $global{arguments}) {{ __typename id ... on Run {{ status }} }}
            runs(first: 10{arguments}) {{ nodes {{ runId status steps {{ name status }} }} }}
            tasks(first: 10{arguments}) {{ nodes {{
                taskId step status attemptCount position agent {{ key version }} run {{ runId status }} }} }}
            ended: tasks(first: 1, orderBy: ENDED{arguments}) {{ nodes {{ taskId endedAt }} pageInfo {{ hasNextPage }} }}
            first: tasks(last: 1, orderBy: DURATION{arguments}) {{ nodes {{ taskId }} pageInfo {{ hasPreviousPage }} }}
            open: tasks(filter: {{ statuses: [CREATED, ASSIGNED, RUNNING, WAITING], agent: \"writer\" }}{arguments}) {{
                edges {{ cursor node {{ taskId status }} }} }}
            agents(first: 10{arguments}) {{ nodes {{ key version enabled }} }}
            limits(first: 10{arguments}) {{ nodes {{ key maxRunning }} }}
        }}"
    )
}

/// What is said of the run now, and at which position.
async fn said(house: &House, run: Uuid) -> (String, Value) {
    let head = house.head().await;
    let variables = json!({ "id": run, "global": format!("run-{run}"), "at": head });
    let now = house.data(&question(", minPosition: $at"), variables).await;
    (head, now)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_answered_as_it_was_answered_then() {
    let house = House::furnished().await;
    let mut answers = Vec::new();
    let run = house.start().await;
    let id = run.as_uuid();
    answers.push(said(&house, id).await);
    house.on_run(run, RunCommand::Claim { node: NodeId::from_uuid(Uuid::now_v7()) }).await;
    house.advance(run).await;
    answers.push(said(&house, id).await);
    let task = house.begin_step(run, "outline").await;
    answers.push(said(&house, id).await);
    house.fail(task, 1).await;
    answers.push(said(&house, id).await);
    // The agent is revised and switched off while the run goes on.
    let mut revised = agent("writer");
    revised["temperature"] = json!(0.1);
    house.data(crate::house::REGISTER_AGENT, json!({ "input": revised })).await;
    house.data("mutation { disableAgent(input: { key: \"writer\", reason: \"slow\" }) { changed } }", json!({})).await;
    house
        .data(
            "mutation { setLimit(input: { key: \"few\", scope: WORKFLOW, scopeKey: \"letter\", maxRunning: 2 }) { changed } }",
            json!({}),
        )
        .await;
    answers.push(said(&house, id).await);
    house.attempt(task).await;
    house.finish_step(run, "outline", 2).await;
    answers.push(said(&house, id).await);
    house.advance(run).await;
    house.begin_step(run, "draft").await;
    house.data("mutation { removeLimit(input: { key: \"few\" }) { changed } }", json!({})).await;
    answers.push(said(&house, id).await);
    house.finish_step(run, "draft", 1).await;
    answers.push(said(&house, id).await);
    let statuses: Vec<_> = answers.iter().map(|(_, answer)| answer["run"]["steps"][0]["status"].clone()).collect();
    assert_ne!(statuses.first(), statuses.last(), "{statuses:?}");
    for (position, then) in &answers {
        let variables = json!({ "id": id, "global": format!("run-{id}"), "at": position });
        let told = house.data(&question(", asOf: { position: $at }"), variables).await;
        assert_eq!(&told, then, "as of {position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_may_hold_several_moments() {
    let house = House::furnished().await;
    let before = house.head().await;
    let run = house.whole_run().await;
    let task = domain::TaskId::of_step(run, &"outline".parse().unwrap());
    let answer = house
        .data(
            "query($run: UUID!, $task: UUID!, $at: Position, $head: Position) {
                was: run(id: $run, asOf: { position: $at }) { status }
                is: run(id: $run, minPosition: $head) { status steps { task { status } } }
                task(id: $task, asOf: { position: $at }) { status }
                runs(asOf: { position: $at }) { position nodes { runId } }
            }",
            json!({ "run": run.as_uuid(), "task": task.as_uuid(), "at": before, "head": house.head().await }),
        )
        .await;
    assert_eq!(answer["was"], Value::Null);
    assert_eq!(answer["is"]["status"], "COMPLETED");
    assert_eq!(answer["is"]["steps"][1]["task"]["status"], "COMPLETED");
    assert_eq!(answer["task"], Value::Null);
    assert_eq!(answer["runs"], json!({ "position": before, "nodes": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_names_what_had_been_recorded_by_then() {
    let house = House::furnished().await;
    let run = house.start().await;
    let started = house.journal.read_stream(run.into(), 0, 1).await.unwrap();
    let at = moment(started[0].recorded_at.as_micros());
    house.on_run(run, RunCommand::Claim { node: NodeId::from_uuid(Uuid::now_v7()) }).await;
    house.advance(run).await;
    let task = house.begin_step(run, "outline").await;
    let pacing = Pacing { now: commands::now(), jitter_milli: 0 };
    let error =
        domain::AttemptError { kind: domain::ErrorKind::Timeout, message: "late".to_owned(), retry_after: None };
    house.on_task(task, TaskCommand::FailAttempt { attempt: 1, error, consumed: None, fallback: false, pacing }).await;
    let query = "query($run: UUID!, $at: DateTime) {
        run(id: $run, asOf: { time: $at }) { epoch steps { status } }
        runs(asOf: { time: $at }) { position }
    }";
    let answer = house.data(query, json!({ "run": run.as_uuid(), "at": at })).await;
    assert_eq!(answer["run"]["epoch"], Value::Null, "the claim came later");
    assert_eq!(answer["runs"]["position"], started[0].position.to_string());
    let before = moment(started[0].recorded_at.as_micros() - 1);
    let answer = house.data(query, json!({ "run": run.as_uuid(), "at": before })).await;
    assert_eq!(answer["run"], Value::Null);
}

/// As RFC 3339.
fn moment(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_of_the_past_is_refused() {
    let house = House::furnished().await;
    let run = house.start().await.as_uuid();
    let head = house.head().await;
    for field in ["seats { runId }", "explain { status }"] {
        let query =
            format!("query($id: UUID!, $at: Position) {{ run(id: $id, asOf: {{ position: $at }}) {{ {field} }} }}");
        let (code, message) = house.refusal(&query, json!({ "id": run, "at": head })).await;
        assert_eq!(code, "AS_OF_UNSUPPORTED", "{message}");
    }
    let query = "query($at: Position) { agents(asOf: { position: $at }) { nodes { metrics { total } } } }";
    assert_eq!(house.refusal(query, json!({ "at": head })).await.0, "AS_OF_UNSUPPORTED");
    let query = "query($at: Position) { runs(asOf: { position: $at }) { position } }";
    let (code, message) = house.refusal(query, json!({ "at": "999999" })).await;
    assert_eq!(code, "ARGUMENT_INVALID");
    assert!(message.contains("yet to come"), "{message}");
    let query = "{ runs(asOf: { time: \"2999-01-01T00:00:00Z\" }) { position } }";
    assert_eq!(house.refusal(query, json!({})).await.0, "ARGUMENT_INVALID");
}
