//! Every kind of step through the API, with the real engine; and what steers runs: decisions, pauses, branches, limits,
//! holds, and the same for many runs.

use domain::RunId;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::house::{ACTIVATE, DRAFT, House, steady};
use crate::live::{FOLLOW, all};

/// A step of every kind, and one that can be undone.
fn motley() -> Value {
    let text = json!([{ "name": "text", "expression": "input.file" }]);
    json!({
        "key": "motley",
        "name": "Motley",
        "timeoutMs": 3_600_000,
        "inputSchema": { "type": "object", "properties": {
            "file": { "type": "string" }, "parts": { "type": "array", "items": { "type": "string" } }
        }, "required": ["file", "parts"] },
        "steps": [
            { "name": "first", "agent": "writer", "template": "outline", "input": text,
              "compensation": { "agent": "writer", "template": "draft", "input": text } },
            { "name": "each", "agent": "writer", "template": "outline", "needs": ["first"],
              "forEach": { "over": "input.parts", "maxParallel": 2 },
              "input": [{ "name": "text", "expression": "item" }],
              "output": [{ "name": "texts", "expression": "result.items[].text" }] },
            { "name": "never", "agent": "writer", "template": "outline", "needs": ["first"], "input": text,
              "when": "input.parts[?@ == 'nothing']" },
            { "name": "soon", "needs": ["first"], "wait": { "forMs": 1 } },
            { "name": "sub", "needs": ["first"], "run": { "workflow": "letter",
              "input": [{ "name": "file", "expression": "input.file" }] } },
            { "name": "ping", "needs": ["first"], "signal": "go" },
            { "name": "ask", "title": "Ask", "needs": ["each", "sub", "soon"], "timeoutMs": 600_000, "approval": {
                "question": "May it go out?", "approvers": ["role:editor", "person:ada"], "expiresAfterMs": 60_000,
                "content": [{ "name": "file", "expression": "input.file" }] } },
        ],
    })
}

const START: &str = "mutation($input: StartRunInput!) { startRun(input: $input) { runId repeated } }";

const TREE: &str = "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) {
    status actor priority depth parentStep parent { runId } origin { kind runId kept revision } firing { cause }
    pause { by reason clock held } pauses { by until resumedBy } signals { signal payload } stalls { what } seats { limit }
    queue { since } simulated output
    steps { name kind status taskId skipReason output undo { status task { undoes step } }
        definition { kind when timeoutMs work { __typename
            ... on ForEachWork { over maxParallel each { agent } } ... on WaitWork { forMs until }
            ... on RunWork { workflow wait onParentClose } ... on SignalWork { signal }
            ... on ApprovalWork { question approvers quorum onRejection onExpiry expiresAfterMs ownRun } } }
        activity { __typename
            ... on TaskActivity { task { item undoes status } }
            ... on ItemsActivity { total running completed failed
                items(from: 1, first: 5) { index element status simulated result task { item step status } } }
            ... on Approval { question approvers quorum content contentHash expired agreed status runActor
                decisions { by approved comment contentHash } }
            ... on SignalActivity { signal }
            ... on ChildActivity { abandoned run { workflowKey status depth parentStep parent { runId } } } } } } }";

async fn house() -> House {
    let house = House::furnished().await;
    house.data(DRAFT, json!({ "input": motley() })).await;
    house.data(ACTIVATE, json!({ "input": { "key": "motley" } })).await;
    house
}

impl House {
    async fn start_motley(&self) -> RunId {
        let input = json!({ "workflow": "motley", "input": { "file": "Dear Sir", "parts": ["a", "b", "c"] },
            "priority": 7, "output": "TEXT" });
        let started = self.data(START, json!({ "input": input })).await;
        started["startRun"]["runId"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) async fn mutate(&self, name: &str, input: Value, fields: &str) -> Value {
        let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        self.mutate_as(name, &kind, input, fields).await
    }

    /// The same, where the input is not called as the mutation.
    pub(crate) async fn mutate_as(&self, name: &str, kind: &str, input: Value, fields: &str) -> Value {
        let query = format!("mutation($input: {kind}!) {{ {name}(input: $input) {{ {fields} }} }}");
        self.data(&query, json!({ "input": input })).await[name].take()
    }

    async fn refuse(&self, name: &str, input: Value) -> String {
        let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        let query = format!("mutation($input: {kind}!) {{ {name}(input: $input) {{ position }} }}");
        self.refusal(&query, json!({ "input": input })).await.0
    }

    async fn tree(&self, run: RunId) -> Value {
        self.data(TREE, json!({ "id": run, "at": self.head().await })).await["run"].take()
    }
}

const COMPATIBILITY: &str = "query($version: Int!, $open: Int, $ended: Int, $at: Position) {
    checkCompatibility(workflow: \"motley\", version: $version, open: $open, ended: $ended, minPosition: $at) {
        open checked differing runs { runId version status differences { kind step was wouldBe problem } } } }";

#[tokio::test]
async fn runs_are_played_again_on_another_version() {
    let house = house().await;
    let _engine = house.engine();
    let run = house.start_motley().await;
    house.until(run, "run.approval_requested", 1).await;
    let ask = async |version: i32, open: Value| {
        let at = house.head().await;
        house.data(COMPATIBILITY, json!({ "version": version, "open": open, "at": at })).await["checkCompatibility"]
            .take()
    };
    // The version that it follows anyway.
    let same = ask(1, Value::Null).await;
    assert_eq!((&same["open"], &same["checked"], &same["differing"]), (&json!(1), &json!(1), &json!(0)), "{same}");

    let mut other = motley();
    let steps = other["steps"].as_array_mut().unwrap();
    steps.retain(|step| step["name"] != "never");
    let again = steps.iter_mut().find(|step| step["name"] == "first").unwrap();
    again["input"] = json!([{ "name": "text", "expression": "'Dear Madam'" }]);
    house.data(DRAFT, json!({ "input": other })).await;
    let found = ask(2, Value::Null).await;
    assert_eq!((&found["checked"], &found["differing"]), (&json!(1), &json!(1)), "{found}");
    let told = &found["runs"][0];
    assert_eq!((&told["runId"], &told["version"], &told["status"]), (&json!(run), &json!(1), &json!("RUNNING")));
    let differences = told["differences"].as_array().unwrap();
    let parameters = differences.iter().find(|found| found["kind"] == "PARAMETERS").unwrap();
    assert_eq!(parameters["step"], "first", "{parameters}");
    assert_eq!(
        (&parameters["was"]["text"], &parameters["wouldBe"]["text"]),
        (&json!("Dear Sir"), &json!("Dear Madam"))
    );

    let none = ask(2, json!(0)).await;
    assert_eq!((&none["open"], &none["checked"]), (&json!(1), &json!(0)), "{none}");
    let at = house.head().await;
    let refused = house.refusal(COMPATIBILITY, json!({ "version": 9, "at": at })).await;
    assert_eq!(refused.0, "WORKFLOW_VERSION_UNKNOWN");
    let refused = house.refusal(COMPATIBILITY, json!({ "version": 2, "ended": 201, "at": at })).await;
    assert_eq!(refused.0, "ARGUMENT_INVALID");
}

#[tokio::test]
async fn every_kind_of_step_is_shown_and_steered() {
    let house = house().await;
    let _engine = house.engine();
    let run = house.start_motley().await;
    house.until(run, "run.approval_requested", 1).await;
    let waiting = "query($at: Position) { approvals(filter: { roles: [\"editor\"] }, minPosition: $at) { edges { node {
        runId step title question approvers content contentHash run { status } } } }
        none: approvals(filter: { roles: [\"author\"], person: \"bob\" }, minPosition: $at) { edges { node { step } } }
        ada: approvals(filter: { person: \"ada\", workflow: \"motley\" }, minPosition: $at) { edges { node { step } } } }";
    let waiting = house.data(waiting, json!({ "at": house.head().await })).await;
    let asked = &waiting["approvals"]["edges"][0]["node"];
    assert_eq!((&asked["step"], &asked["run"]["status"]), (&json!("ask"), &json!("RUNNING")));
    assert_eq!(
        (waiting["none"]["edges"].as_array().unwrap().len(), waiting["ada"]["edges"].as_array().unwrap().len()),
        (0, 1)
    );
    let explain =
        "query($id: UUID!) { explainRun(id: $id) { status next { kind step approvers agreed quorum signal } } }";
    let explained = house.data(explain, json!({ "id": run })).await;

    let hash = asked["contentHash"].as_str().unwrap();
    let decision = |hash: &str, roles: Value| {
        json!({ "runId": run, "step": "ask", "approve": true, "comment": "Fine.",
        "contentHash": hash, "roles": roles })
    };
    assert_eq!(house.refuse("decideApproval", decision(&"0".repeat(64), json!(["editor"]))).await, "APPROVAL_OWN_RUN");
    assert_eq!(house.refuse("decideApproval", decision("12", json!(["editor"]))).await, "ARGUMENT_INVALID");
    assert_eq!(house.refuse("decideApproval", decision(hash, json!(["author"]))).await, "APPROVAL_NOT_YOURS");
    // Somebody else decides.
    let other = "mutation($input: DecideApprovalInput!) { decideApproval(input: $input) { changed run { status } } }";
    let wrong = house.ask_as("ada", other, json!({ "input": decision(&"0".repeat(64), json!([])) })).await;
    assert_eq!(wrong["errors"][0]["extensions"]["code"], "APPROVAL_CONTENT_CHANGED");
    let decided = house.ask_as("ada", other, json!({ "input": decision(hash, json!([])) })).await;
    assert_eq!(decided["data"]["decideApproval"]["changed"], json!(true), "{decided:#}");

    let paused = house
        .mutate("pauseRun", json!({ "runId": run, "reason": "lunch" }), "run { status pause { by reason clock held } }")
        .await;
    assert_eq!(paused["run"]["pause"]["reason"], "lunch");
    house.mutate("resumeRun", json!({ "runId": run }), "changed").await;
    house.mutate("signalRun", json!({ "runId": run, "signal": "go", "payload": { "n": 1 } }), "changed").await;
    house.until(run, "run.completed", 1).await;
    let tree = house.tree(run).await;
    // Tasks of elements belong to the run; those of the run that it started do not.
    let told = all(&house, FOLLOW, json!({ "id": run })).await;
    let mut tasks: Vec<_> = told
        .iter()
        .map(|item| &item["data"]["runEvents"])
        .filter(|item| item["event"]["type"] == "task.created")
        .map(|item| item["step"].as_str().unwrap())
        .collect();
    tasks.sort_unstable();
    assert_eq!(tasks, ["each", "each", "each", "first"]);
    let family = "query($id: UUID!) { runTree(id: $id) { nodes { distance run { workflowKey } } } }";
    let family = house.data(family, json!({ "id": run })).await;
    assert_json_snapshot!(steady(&json!([explained, tree, family])));
}

#[tokio::test]
async fn a_run_is_tried_again_on_top_of_what_it_had_done() {
    let house = house().await;
    let _engine = house.engine();
    let first = house.start_motley().await;
    house.until(first, "run.approval_requested", 1).await;
    assert_eq!(house.refuse("retryRun", json!({ "runId": first })).await, "RUN_NOT_RETRYABLE");
    house.mutate("cancelRun", json!({ "runId": first, "reason": "enough", "graceMs": 0 }), "changed").await;
    house.until(first, "run.cancelled", 1).await;
    assert_eq!(house.tree(first).await["steps"][0]["undo"]["status"], "COMPLETED");
    let start = async |name: &str, input: Value| -> RunId {
        house.mutate(name, input, "runId").await["runId"].as_str().unwrap().parse().unwrap()
    };
    // What was undone is done again, and all that rests on it.
    let again = start("retryRun", json!({ "runId": first })).await;
    assert_eq!(house.tree(again).await["origin"]["kept"], json!([]));
    house.until(again, "run.approval_requested", 1).await;
    let changes = json!({ "model": "m-2", "steps": [{ "step": "ask", "agent": "writer" }] });
    let wrong = json!({ "runId": again, "from": ["ask"], "changes": changes });
    assert_eq!(house.refuse("rerunRun", wrong).await, "STEP_UNKNOWN");
    let beyond = json!({ "runId": again, "revision": 100_000 });
    assert_eq!(house.refuse("forkRun", beyond).await, "REVISION_UNKNOWN");
    let rerun = start("rerunRun", json!({ "runId": again, "from": ["ask"], "changes": { "model": "m-2" } })).await;
    house.until(rerun, "run.approval_requested", 1).await;
    let (old, new) = (house.tree(again).await, house.tree(rerun).await);
    assert_eq!(new["origin"]["kind"], "RERUN");
    for step in ["first", "each", "never", "sub"] {
        let of = |tree: &Value| tree["steps"].as_array().unwrap().iter().find(|known| known["name"] == step).cloned();
        // The other run's steps are the same, task for task.
        assert_eq!(of(&old).unwrap(), of(&new).unwrap());
    }
    let lineage = "query($id: UUID!, $a: UUID!) { runLineage(id: $id) { nodes { distance run { runId origin { kind } } } }
        compareRuns(a: $a, b: $id) { sameInput sameOutput differences a { effort { attempts } } b { effort { attempts } }
            steps { name same a { kept step { status } effort { attempts inputTokens } } b { kept step { status } } } } }";
    let lineage = house.data(lineage, json!({ "id": again, "a": first })).await;
    assert_json_snapshot!(steady(&lineage));
}

#[tokio::test]
async fn an_idempotency_key_is_one_run() {
    let house = house().await;
    let input = |file: &str| {
        json!({ "input": { "workflow": "letter", "input": { "file": file },
        "idempotencyKey": "order 7", "priority": 100 } })
    };
    let first = house.data(START, input("x")).await;
    let second = house.data(START, input("x")).await;
    assert_eq!(first["startRun"]["runId"], second["startRun"]["runId"]);
    assert_eq!((&first["startRun"]["repeated"], &second["startRun"]["repeated"]), (&json!(false), &json!(true)));
    assert_eq!(house.refusal(START, input("y")).await.0, "IDEMPOTENCY_KEY_REUSED");
    let wrong = json!({ "input": { "workflow": "letter", "input": { "file": "x" }, "priority": 101 } });
    assert_eq!(house.refusal(START, wrong).await.0, "RUN_PRIORITY_INVALID");
}

#[tokio::test]
async fn limits_and_holds_are_set_and_shown() {
    let house = house().await;
    let limit = json!({ "key": "letters", "scope": "WORKFLOW", "scopeKey": "letter", "maxRunning": 1,
        "rate": { "starts": 10, "perMs": 1000 }, "by": "input.file" });
    let shown = house
        .mutate("setLimit", limit, "changed limit { key scope scopeKey by maxRunning rate { starts perMs } }")
        .await;
    let nothing = json!({ "key": "none", "scope": "AGENT", "scopeKey": "writer" });
    assert_eq!(house.refuse("setLimit", nothing).await, "LIMIT_INVALID");
    let _engine = house.engine();
    let (first, second) = (house.start().await, house.start().await);
    house.until(second, "run.completed", 1).await;
    house.until(first, "run.completed", 1).await;
    let waited = "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) { queue { admittedAt } } limits(minPosition: $at) { edges { node {
        key slots { running waiting holders { runId } queue { runId } } } } } }";
    let waited = house.data(waited, json!({ "id": second, "at": house.head().await })).await;
    let held = house.mutate("placeHold", json!({ "workflow": "letter", "reason": "audit" }), "changed").await;
    let third = house.start().await;
    house.until(third, "run.paused", 1).await;
    let pause = "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) { status pause { by reason held } }
        holds(filter: { placed: true }, minPosition: $at) { edges { node { workflowKey placedBy reason clock liftedAt } } } }";
    let paused = house.data(pause, json!({ "id": third, "at": house.head().await })).await;
    house.mutate("liftHold", json!({ "workflow": "letter" }), "changed").await;
    assert_eq!(house.refuse("liftHold", json!({ "workflow": "letter" })).await, "HOLD_NOT_PLACED");
    house.until(third, "run.completed", 1).await;
    let over = house.data(pause, json!({ "id": third, "at": house.head().await })).await;
    let removed =
        house.mutate("removeLimit", json!({ "key": "letters", "reason": "no need" }), "limit { removedReason }").await;
    assert_eq!(house.refuse("removeLimit", json!({ "key": "letters" })).await, "LIMIT_NOT_FOUND");
    assert_json_snapshot!(steady(&json!([shown, waited, held, paused, over, removed])));
}

#[tokio::test]
async fn budgets_are_set_shown_and_removed() {
    let house = house().await;
    let all =
        json!({ "key": "all", "scope": "ORGANISATION", "window": "MONTH", "limit": "25500000000", "warnMilli": 800 });
    let set = house.mutate("setBudget", all.clone(), "changed budget { key limit purse { spent calls } }").await;
    assert_eq!(set["changed"], json!(true));
    assert_eq!(set["budget"]["purse"], json!({ "spent": "0", "calls": 0 }));
    let again = house.mutate("setBudget", all, "changed").await;
    assert_eq!(again["changed"], json!(false));
    let each = json!({ "key": "each", "scope": "EACH_RUN", "of": "letter", "window": "EVER", "tokenLimit": 1_000_000 });
    house.mutate("setBudget", each, "changed").await;
    let _engine = house.engine();
    let run = house.start().await;
    house.until(run, "run.completed", 1).await;
    let asked = "query($run: UUID!) { budgets { nodes { key scope of window limit tokenLimit resetsAt purse { calls } } }
        budget(key: \"each\", runId: $run) { purse { tokensSpent tokensReserved spent } } missing: budget(key: \"none\") { key } }";
    let shown = house.data(asked, json!({ "run": run })).await;
    assert_eq!(shown["budgets"]["nodes"][0]["limit"], json!("25500000000"));
    assert!(shown["budgets"]["nodes"][0]["resetsAt"].is_string());
    let each = json!({ "key": "each", "scope": "EACH_RUN", "of": "letter", "window": "EVER", "limit": null,
        "tokenLimit": 1_000_000, "resetsAt": null, "purse": null });
    assert_eq!(shown["budgets"]["nodes"][1], each);
    let purse = &shown["budget"]["purse"];
    assert!(purse["tokensSpent"].as_u64().is_some_and(|spent| spent > 0), "{purse}");
    assert_eq!((&purse["tokensReserved"], &purse["spent"], &shown["missing"]), (&json!(0), &json!(null), &json!(null)));
    let both = json!({ "key": "x", "scope": "ORGANISATION", "window": "DAY", "limit": "1", "tokenLimit": 1 });
    assert_eq!(house.refuse("setBudget", both).await, "ARGUMENT_INVALID");
    let nothing = json!({ "key": "x", "scope": "ORGANISATION", "window": "DAY", "limit": "0" });
    assert_eq!(house.refuse("setBudget", nothing).await, "BUDGET_INVALID");
    house.mutate("removeBudget", json!({ "key": "all", "reason": "no need" }), "changed").await;
    assert_eq!(house.refuse("removeBudget", json!({ "key": "all" })).await, "BUDGET_NOT_FOUND");
}

#[tokio::test]
async fn many_runs_are_steered_at_once_as_previewed() {
    let house = House::furnished().await;
    for _ in 0..5 {
        house.start().await;
    }
    let ended = house.whole_run().await;
    let preview = "query($at: Position) { previewBulk(filter: { workflow: \"letter\" }, minPosition: $at) { count
        byStatus { status count } sample { runId } } }";
    let preview = house.data(preview, json!({ "at": house.head().await })).await;
    assert_eq!(preview["previewBulk"]["count"], 6);
    assert_eq!(preview["previewBulk"]["sample"].as_array().unwrap().len(), 6);
    let bulk = async |name: &str, filter: &str, count: u64, id: Value| {
        let query = format!(
            "mutation($n: Count!, $id: UUID) {{ {name}(input: {{ filter: {{ {filter} }}, expectedCount: $n,
            clientMutationId: $id }}) {{ position done failed results {{ runId done changed code newRunId }} }} }}"
        );
        house.ask(&query, json!({ "n": count, "id": id })).await
    };
    let refused = bulk("bulkCancelRuns", "workflow: \"letter\"", 7, Value::Null).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "BULK_COUNT_CHANGED");
    let id = json!("00000000-0000-7000-8000-000000000009");
    let paused = bulk("bulkPauseRuns", "workflow: \"letter\"", 6, id.clone()).await;
    let paused = &paused["data"]["bulkPauseRuns"];
    assert_eq!((&paused["done"], &paused["failed"]), (&json!(5), &json!(1)), "{paused:#}");
    let failed = paused["results"].as_array().unwrap().iter().find(|result| result["done"] == json!(false)).unwrap();
    assert_eq!((failed["runId"].as_str().unwrap(), &failed["code"]), (ended.to_string().as_str(), &json!("RUN_ENDED")));
    let at = house.head().await;
    house.data("query($at: Position) { position(minPosition: $at) }", json!({ "at": at })).await;
    let again = bulk("bulkPauseRuns", "workflow: \"letter\"", 6, id).await;
    assert_eq!(again["data"]["bulkPauseRuns"]["done"], 5);
    assert_eq!(house.head().await, at, "a repetition records nothing");
    let resumed = bulk("bulkResumeRuns", "statuses: [PAUSED]", 5, Value::Null).await;
    assert_eq!(resumed["data"]["bulkResumeRuns"]["done"], 5);
    let at = house.head().await;
    house.data("query($at: Position) { position(minPosition: $at) }", json!({ "at": at })).await;
    let cancelled = bulk("bulkCancelRuns", "statuses: [RUNNING]", 5, Value::Null).await;
    assert_eq!(cancelled["data"]["bulkCancelRuns"]["done"], 5);
    let retried = bulk("bulkRetryRuns", "statuses: [COMPLETED]", 1, Value::Null).await;
    assert_eq!(retried["data"]["bulkRetryRuns"]["results"][0]["code"], "RUN_NOT_RETRYABLE", "{retried:#}");
}
