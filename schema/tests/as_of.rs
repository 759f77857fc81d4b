//! Questions about the past, through the API.

use domain::limit::LimitScope;
use domain::run::SlotsNeed;
use domain::slots::{Capacity, Holder};
use domain::task::{Ending, Output, Pacing, Quality, Score};
use domain::{Key, LimitId, NodeId, RunCommand, RunId, Slots, SlotsCommand, SlotsId, TaskCommand};
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
async fn what_is_yet_to_come_is_refused() {
    let house = House::furnished().await;
    let query = "query($at: Position) { runs(asOf: { position: $at }) { position } }";
    let (code, message) = house.refusal(query, json!({ "at": "999999" })).await;
    assert_eq!(code, "ARGUMENT_INVALID");
    assert!(message.contains("yet to come"), "{message}");
    let query = "{ runs(asOf: { time: \"2999-01-01T00:00:00Z\" }) { position } }";
    assert_eq!(house.refusal(query, json!({})).await.0, "ARGUMENT_INVALID");
}

/// Where runs stand, what they cost, how good they are, what they came to, and how those have done who did the work.
fn account(arguments: &str) -> String {
    let side = "run { runId status } effort { attempts cost attemptsOfUnknownCost inputTokens outputTokens }";
    let group =
        "day department agent platform model template workflow person attempts succeeded failed simulated tasks cost
        unknownCosts inputTokens cachedInputTokens outputTokens reasoningTokens kept saved unknownSavings";
    let beside = "entries { key metrics { total completed failed cancelled averageQuality rated totalCost } } hasMore";
    let (sum, metrics) = (
        "attempts cost",
        "metrics { total completed failed cancelled successRate averageQuality rated averageElapsedMs averageDurationMs
            averageCostNanoUsd simulated totalCost attemptsOfUnknownCost inputTokens outputTokens lastTaskAt }
         week: metrics(window: DAYS_7) { total totalCost }",
    );
    format!(
        "query($id: UUID!, $other: UUID!, $task: UUID!, $at: Position) {{
            runCounts(AT) {{ status count }}
            some: runCounts(filter: {{ statuses: [COMPLETED, RUNNING] }}, AT) {{ status count }}
            runTree(id: $id, AT) {{ nodes {{ distance run {{ runId status }} }} }}
            runLineage(id: $id, AT) {{ nodes {{ distance run {{ runId status }} }} }}
            compareRuns(a: $id, b: $other, AT) {{ sameInput sameOutput differences a {{ {side} }} b {{ {side} }}
                steps {{ name same a {{ kept step {{ status }} effort {{ {sum} }} }} b {{ effort {{ {sum} }} }} }} }}
            attempts(first: 10, AT) {{ position nodes {{ taskId number status cost costSource priceList text }} }}
            dear: attempts(first: 2, orderBy: COST, AT) {{ nodes {{ taskId number cost }} pageInfo {{ hasNextPage }} }}
            lost: attempts(filter: {{ statuses: [FAILED] }}, last: 3, orderBy: DURATION, AT) {{ nodes {{ number status }} }}
            costly: runs(first: 5, orderBy: COST, AT) {{ nodes {{ runId cost }} }}
            run(id: $id, AT) {{ cost quality {{ score people judge checks }} document
                data: document(format: JSON) actionItems {{ nodes {{ id }} }} againOf {{ taskId }} }}
            task(id: $task, AT) {{ status output {{ results data }} quality {{ score source }} averageRating
                ratings {{ by rating comment }} judgement {{ median }} review {{ rounds }}
                assignment {{ agentKey agentVersion named }} repetitions {{ nodes {{ runId status }} }} }}
            approvals(AT) {{ position nodes {{ step }} }}
            usage(by: [DAY, DEPARTMENT, AGENT, PLATFORM, MODEL, TEMPLATE, WORKFLOW, PERSON], AT) {{
                groups {{ {group} }} total {{ {group} }} hasMore }}
            most: usage(by: [TEMPLATE], order: ATTEMPTS, reversed: true, filter: {{ agent: \"writer\", model: \"simulated\" }}, AT) {{
                groups {{ {group} }} total {{ {group} }} }}
            nobody: usage(filter: {{ department: \"nowhere\" }}, AT) {{ groups {{ {group} }} total {{ {group} }} }}
            beside: metrics(of: TEMPLATES, orderBy: QUALITY, AT) {{ {beside} }}
            dearest: metrics(of: TEMPLATES, orderBy: COST, window: DAYS_7, first: 1, AT) {{ {beside} }}
            writers: metrics(of: AGENTS, orderBy: SUCCESS_RATE, AT) {{ {beside} }}
            agents(first: 5, AT) {{ nodes {{ key {metrics} }} }}
            templates(first: 5, AT) {{ nodes {{ key {metrics} }} }}
        }}"
    )
    .replace("AT)", &format!("{arguments})"))
}

/// Two answers; where they differ, only what differs is shown.
#[track_caller]
fn assert_same(told: &Value, said: &Value, when: &str) {
    let (Value::Object(told), Value::Object(said)) = (told, said) else { panic!("{told} and {said} {when}") };
    for (name, said) in said {
        assert_eq!(&told[name], said, "`{name}` {when}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_brought_and_spent_is_answered_as_it_was_answered_then() {
    let house = House::furnished().await;
    let other = house.whole_run().await.as_uuid();
    let run = house.start().await;
    let (id, task) = (run.as_uuid(), domain::TaskId::of_step(run, &"outline".parse().unwrap()).as_uuid());
    let ask = async |arguments: &str, at: &str| {
        house.data(&account(arguments), json!({ "id": id, "other": other, "task": task, "at": at })).await
    };
    let mut answers: Vec<(String, Value)> = Vec::new();
    let mut say = async || {
        let head = house.head().await;
        // Both answer for themselves.
        let reached = "query($at: Position) { usage(minPosition: $at) { position } judgeCalibration(minPosition: $at) { position } }";
        house.data(reached, json!({ "at": head })).await;
        let said = ask("minPosition: $at", &head).await;
        answers.push((head, said));
    };
    say().await;
    house.on_run(run, RunCommand::Claim { node: NodeId::from_uuid(Uuid::now_v7()) }).await;
    house.advance(run).await;
    let begun = house.begin_step(run, "outline").await;
    say().await;
    house.cut(begun, 1).await;
    house.attempt(begun).await;
    say().await;
    let quality = Quality { score: Score::of_hundredths(550).unwrap(), checks: vec![] };
    let output = Output { results: "text of outline".to_owned(), data: Some(json!([1])), ..Output::default() };
    let ending = Ending { quality: Some(quality), output: Some(output), ..Ending::default() };
    house.finish_step_with(run, "outline", 2, ending).await;
    say().await;
    let rate = "mutation($id: UUID!, $mark: Int!) { rateTask(input: { taskId: $id, rating: $mark, comment: \"so\" }) { changed } }";
    house.data(rate, json!({ "id": task, "mark": 4 })).await;
    say().await;
    house.advance(run).await;
    house.begin_step(run, "draft").await;
    house.finish_step(run, "draft", 1).await;
    say().await;
    house.data(rate, json!({ "id": task, "mark": 9 })).await;
    say().await;
    let again = "mutation($id: UUID!) { runTaskAgain(input: { taskId: $id }) { runId } }";
    let again = house.data(again, json!({ "id": task })).await["runTaskAgain"]["runId"].take();
    say().await;
    house
        .data(
            "mutation($id: UUID!) { cancelRun(input: { runId: $id, reason: \"enough\" }) { changed } }",
            json!({ "id": again }),
        )
        .await;
    say().await;
    let costs: Vec<&Value> = answers.iter().map(|(_, said)| &said["run"]["cost"]).collect();
    assert_ne!(costs.first(), costs.last(), "{costs:?}");
    let sums: Vec<&Value> = answers.iter().map(|(_, said)| &said["usage"]["total"]["attempts"]).collect();
    assert!(sums.first() != sums.last() && answers[0].1["usage"]["groups"].as_array().unwrap().len() > 1, "{sums:?}");
    let last = &answers.last().unwrap().1["dearest"];
    assert_eq!((last["entries"].as_array().unwrap().len(), &last["hasMore"]), (1, &json!(true)), "{last}");
    let attempts = answers.last().unwrap().1["attempts"]["nodes"].as_array().unwrap().clone();
    let cut = attempts.into_iter().find(|attempt| attempt["taskId"] == json!(task) && attempt["number"] == 1).unwrap();
    assert_eq!([&cut["status"], &cut["cost"]], ["FAILED", "700"], "what had been used is paid for");
    assert_eq!([&cut["costSource"], &cut["priceList"]], ["LISTED", "2026-11-25"], "and it says by whose word");
    for (at, said) in &answers {
        let told = ask("asOf: { position: $at }", at).await;
        assert_same(&told, said, &format!("as of {at}"));
    }
}

/// Why runs stand where they stand, and who has slots of limits.
fn waits(arguments: &str) -> String {
    let seat = "limit partition runId taskId priority fairness requestedAt grantedAt run { status }";
    let cause = "kind since at step limit limitDescription holders { runId taskId } ahead by reason platform attempt error steps";
    format!(
        "query($id: UUID!, $next: UUID!, $at: Position) {{
            explainRun(id: $id EXPLAINED) {{ status node next {{ {cause} }} steps {{ step status cause {{ {cause} }}
                assignment {{ agentKey }} }} }}
            run(id: $next, AT) {{ seats {{ {seat} }} explain {{ status next {{ {cause} }} }}
                steps {{ task {{ seats {{ {seat} }} }} }} }}
            limits(first: 3, AT) {{ nodes {{ key slots {{ slotsId partition running waiting holders {{ {seat} }} queue {{ {seat} }} }} }} }}
        }}"
    )
    .replace("AT)", &format!("{arguments})"))
}

const ONE: Capacity = Capacity { max_running: Some(1), rate: None };

fn holder(run: RunId) -> Holder {
    Holder { run, task: None }
}

fn place() -> SlotsId {
    let scope = LimitScope::Workflow("letter".parse().unwrap());
    SlotsId::of(LimitId::from_key(&"one".parse().unwrap()), &scope, None)
}

async fn slots(house: &House, command: SlotsCommand) {
    let executor = house.commands.executor();
    executor.execute::<Slots>(place().into(), command, House::context(), false).await.unwrap();
}

/// Has a run want the only slot, as the engine would; it is admitted when it gets it.
async fn want(house: &House, run: RunId) {
    let limit: Key = "one".parse().unwrap();
    let need = SlotsNeed { slots: place(), limit: limit.clone(), partition: None, fairness: String::new() };
    house.on_run(run, RunCommand::Queue { slots: vec![need], now: commands::now() }).await;
    let (fairness, now) = (String::new(), commands::now());
    let holder = holder(run);
    slots(house, SlotsCommand::Request { holder, limit, partition: None, priority: 0, fairness, capacity: ONE, now })
        .await;
    let given = house.commands.executor().load::<Slots>(place().into()).await.unwrap().state;
    if given.has(holder) {
        house.on_run(run, RunCommand::Admit).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_had_slots_and_why_runs_waited_is_answered_as_it_was_answered_then() {
    let house = House::furnished().await;
    house
        .data(
            "mutation { setLimit(input: { key: \"one\", description: \"one at a time\", scope: WORKFLOW,
                scopeKey: \"letter\", maxRunning: 1 }) { changed } }",
            json!({}),
        )
        .await;
    let (first, next) = (house.start().await, house.start().await);
    let ask = async |query: String, at: &str| {
        house.data(&query, json!({ "id": first.as_uuid(), "next": next.as_uuid(), "at": at })).await
    };
    let mut answers: Vec<(String, Value)> = Vec::new();
    let mut say = async || {
        let head = house.head().await;
        let said = ask(waits("minPosition: $at").replace("EXPLAINED", ""), &head).await;
        answers.push((head, said));
    };
    say().await;
    for run in [first, next] {
        house.on_run(run, RunCommand::Claim { node: NodeId::from_uuid(Uuid::now_v7()) }).await;
        want(&house, run).await;
        say().await;
    }
    house.advance(first).await;
    let task = house.begin_step(first, "outline").await;
    say().await;
    house.fail(task, 1).await;
    say().await;
    slots(&house, SlotsCommand::Release { holder: holder(first), capacity: ONE, now: commands::now() }).await;
    say().await;
    house
        .data(
            "mutation($id: UUID!) { pauseRun(input: { runId: $id, reason: \"lunch\" }) { changed } }",
            json!({ "id": next.as_uuid() }),
        )
        .await;
    say().await;
    let waiting: Vec<&Value> = answers.iter().map(|(_, said)| &said["run"]["explain"]["next"][0]["kind"]).collect();
    assert!(waiting.contains(&&json!("LIMIT")) && waiting.contains(&&json!("PAUSED")), "{waiting:?}");
    for (at, said) in &answers {
        let query = waits("asOf: { position: $at }").replace("EXPLAINED", ", asOf: { position: $at }");
        assert_same(&ask(query, at).await, said, &format!("as of {at}"));
    }
    let early = house.refusal(
        "query($id: UUID!) { explainRun(id: $id, asOf: { position: \"1\" }) { status } }",
        json!({ "id": first.as_uuid() }),
    );
    assert_eq!(early.await.0, "RUN_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_is_answered_as_it_was_answered_then() {
    let house = House::furnished().await;
    let mut answers: Vec<(String, Value)> = Vec::new();
    let ask = async |arguments: &str, at: &str, id: &Value| {
        let hold = "id holdId workflowKey placedBy reason placedAt clock liftedBy liftedAt position";
        let query = "query($at: Position, $id: ID!) {
            holds(first: 2, AT) { nodes { HOLD } pageInfo { hasNextPage } }
            lifted: holds(last: 2, orderBy: LIFTED, AT) { nodes { HOLD } pageInfo { hasPreviousPage } }
            workflows: holds(orderBy: WORKFLOW, reversed: true, AT) { nodes { HOLD } }
            open: holds(filter: { placed: true, workflow: \"letter\", text: \"AUDIT\" }, AT) { nodes { HOLD } }
            node(id: $id, AT) { __typename ... on Hold { HOLD } } }";
        let query = query.replace("AT)", &format!("{arguments})")).replace("HOLD }", &format!("{hold} }}"));
        house.data(&query, json!({ "at": at, "id": id })).await
    };
    let first = json!({ "workflow": "letter", "reason": "Audit" });
    let before = house.head().await;
    house.mutate("placeHold", first, "changed").await;
    let placed = "query($at: Position) { holds(minPosition: $at) { nodes { id } } }";
    let id = house.data(placed, json!({ "at": house.head().await })).await["holds"]["nodes"][0]["id"].take();
    let mut say = async || {
        let head = house.head().await;
        answers.push((head.clone(), ask("minPosition: $at", &head, &id).await));
    };
    say().await;
    house.mutate("placeHold", json!({ "reason": "fire" }), "changed").await;
    say().await;
    house.mutate("liftHold", json!({ "workflow": "letter" }), "changed").await;
    say().await;
    house.mutate("placeHold", json!({ "workflow": "letter", "reason": "second audit" }), "changed").await;
    say().await;
    house.mutate("liftHold", json!({}), "changed").await;
    say().await;
    for (at, said) in &answers {
        assert_same(&ask("asOf: { position: $at }", at, &id).await, said, &format!("as of {at}"));
    }
    let nothing = ask("asOf: { position: $at }", &before, &id).await;
    assert_eq!((&nothing["holds"]["nodes"], &nothing["node"]), (&json!([]), &Value::Null));
}
