//! Action items.

use domain::task::{ActionItem, Ending, Output, Priority};
use domain::{NodeId, RunCommand, RunId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::House;

const CHANGE: &str = "mutation($input: ChangeActionItemInput!) { changeActionItem(input: $input) {
    changed repeated revision actionItem { id: actionId state owner due overdue note changedBy } } }";
const LIST: &str = "query($filter: ActionItemFilter, $at: Position) { actionItems(filter: $filter, orderBy: PRIORITY,
    minPosition: $at) { nodes { id: actionId what owner state due overdue priority steps workflowKey task { step } } } }";

/// What, owner, due and priority.
type Asked<'a> = (&'a str, Option<&'a str>, Option<&'a str>, Option<Priority>);

fn ending(actions: &[Asked<'_>]) -> Ending {
    let item = |(what, owner, due, priority): &Asked<'_>| ActionItem {
        what: (*what).to_owned(),
        owner: owner.map(str::to_owned),
        due: due.map(str::to_owned),
        priority: *priority,
    };
    let actions = Some(actions.iter().map(item).collect());
    let output = Output { results: "Done.".to_owned(), actions, ..Output::default() };
    Ending { output: Some(output), ..Ending::default() }
}

/// A run of two steps that both ask for the same thing, and for others; up to the last step.
pub(crate) async fn asking(house: &House) -> RunId {
    let input = json!({ "input": { "workflow": "letter", "input": { "file": "Dear Sir" }, "output": "EVERY" } });
    let started = house.data("mutation($input: StartRunInput!) { startRun(input: $input) { runId } }", input).await;
    let run: RunId = started["startRun"]["runId"].as_str().unwrap().parse().unwrap();
    house.on_run(run, RunCommand::Claim { node: NodeId::from_uuid(Uuid::now_v7()) }).await;
    house.advance(run).await;
    house.begin_step(run, "outline").await;
    let first = [("Ask finance", None, Some("2020-01-31"), None), ("File it", Some("Huda"), None, Some(Priority::Low))];
    house.finish_step_with(run, "outline", 1, ending(&first)).await;
    house.advance(run).await;
    house.begin_step(run, "draft").await;
    run
}

/// A run that has asked for two things.
pub(crate) async fn asked(house: &House) -> RunId {
    let run = asking(house).await;
    end(house, run).await;
    run
}

pub(crate) async fn end(house: &House, run: RunId) {
    let last = [("ask FINANCE", Some("Tester"), None, Some(Priority::High))];
    house.finish_step_with(run, "draft", 1, ending(&last)).await;
}

async fn list(house: &House, filter: Value) -> Vec<Value> {
    let asked = json!({ "filter": filter, "at": house.head().await });
    house.data(LIST, asked).await["actionItems"]["nodes"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_a_run_asks_for_is_tracked_changed_and_found() {
    let house = House::furnished().await;
    let run = asking(&house).await;
    assert_eq!(list(&house, json!({})).await, [] as [Value; 0], "the run goes on");
    let early = format!("{}.1", domain::TaskId::of_step(run, &"outline".parse().unwrap()));
    let refused = house.refusal(CHANGE, json!({ "input": { "id": early, "state": "DONE" } })).await;
    assert_eq!(refused.0, "ACTION_NOT_TRACKED");
    end(&house, run).await;

    let items = list(&house, json!({})).await;
    let told: Vec<_> = items.iter().map(|item| (&item["what"], &item["owner"], &item["due"])).collect();
    let text = |text: &str| Value::from(text);
    assert_eq!(
        told,
        [(&text("Ask finance"), &text("Tester"), &text("2020-01-31")), (&text("File it"), &text("Huda"), &Value::Null)]
    );
    assert_eq!(items[0]["steps"], json!(["outline", "draft"]));
    let rest = (&items[0]["priority"], &items[0]["overdue"], &items[0]["workflowKey"], &items[0]["task"]["step"]);
    assert_eq!(rest, (&text("HIGH"), &json!(true), &text("letter"), &text("outline")));

    let id = items[0]["id"].as_str().unwrap();
    assert_eq!(id, early);
    let command = Uuid::now_v7();
    let input = json!({ "clientMutationId": command, "id": id, "state": "IN_PROGRESS", "due": "2999-12-31",
        "note": "asked by phone" });
    let changed = house.data(CHANGE, json!({ "input": input })).await["changeActionItem"].take();
    assert_eq!((&changed["changed"], &changed["revision"]), (&json!(true), &json!(0)));
    let item = json!({ "id": id, "state": "IN_PROGRESS", "owner": "Tester", "due": "2999-12-31", "overdue": false,
        "note": "asked by phone", "changedBy": "person:tester" });
    assert_eq!(changed["actionItem"], item);
    let again = house.data(CHANGE, json!({ "input": input })).await["changeActionItem"].take();
    assert_eq!((&again["repeated"], &again["changed"]), (&json!(true), &json!(false)));
    let same = json!({ "input": { "id": id, "state": "IN_PROGRESS" } });
    assert_eq!(house.data(CHANGE, same).await["changeActionItem"]["changed"], false);
    let none = json!({ "input": { "id": id, "due": null, "note": null } });
    let bare = house.data(CHANGE, none).await["changeActionItem"]["actionItem"].take();
    assert_eq!((&bare["due"], &bare["note"], &bare["owner"]), (&Value::Null, &Value::Null, &text("Tester")));

    assert_eq!(list(&house, json!({ "mine": true })).await.len(), 1);
    assert_eq!(list(&house, json!({ "owner": "huda" })).await.len(), 1);
    assert_eq!(list(&house, json!({ "states": ["IN_PROGRESS", "DONE"] })).await.len(), 1);
    assert_eq!(list(&house, json!({ "overdue": true })).await.len(), 0);
    assert_eq!(list(&house, json!({ "runId": run.to_string(), "text": "FILE" })).await.len(), 1);
    let of_run = "query($id: UUID!) { run(id: $id) { actionItems { nodes { what } } } }";
    let of_run = house.data(of_run, json!({ "id": run.to_string() })).await;
    assert_eq!(of_run["run"]["actionItems"]["nodes"].as_array().unwrap().len(), 2);
    let one = house.data("query($id: String!) { actionItem(id: $id) { what } }", json!({ "id": id })).await;
    assert_eq!(one["actionItem"]["what"], "Ask finance");
}

#[tokio::test]
async fn what_is_none_is_refused() {
    let house = House::furnished().await;
    let run = asking(&house).await;
    end(&house, run).await;
    let task = |step: &str| domain::TaskId::of_step(run, &step.parse().unwrap());
    let refused = async |input: Value| house.refusal(CHANGE, json!({ "input": input })).await.0;
    // The second task asked for what the first had asked for.
    for id in [format!("{}.1", task("draft")), format!("{}.9", task("outline")), format!("{}.1", Uuid::nil())] {
        assert_eq!(refused(json!({ "id": id, "state": "DONE" })).await, "ACTION_NOT_FOUND", "{id}");
    }
    let id = format!("{}.1", task("outline"));
    assert_eq!(refused(json!({ "id": id, "due": "tomorrow" })).await, "ACTION_INVALID");
    assert_eq!(refused(json!({ "id": id, "owner": "" })).await, "ACTION_INVALID");
    assert_eq!(refused(json!({ "id": "seven", "state": "DONE" })).await, "ARGUMENT_INVALID");
    let both = json!({ "filter": { "mine": true, "owner": "ada" } });
    assert_eq!(house.refusal(LIST, both).await.0, "ARGUMENT_INVALID");
}

#[tokio::test]
async fn what_was_to_be_done_then_is_told_and_it_is_found_by_its_words() {
    let house = House::furnished().await;
    let run = asking(&house).await;
    let before = house.head().await;
    end(&house, run).await;
    let id = format!("{}.1", domain::TaskId::of_step(run, &"outline".parse().unwrap()));
    let ask = |arguments: &str| {
        format!(
            "query($id: String!, $run: UUID!, $at: Position) {{
                actionItem(id: $id{arguments}) {{ id: actionId state owner due overdue note changedBy position task {{ status }} }}
                actionItems(orderBy: DUE{arguments}) {{ nodes {{ id: actionId state due overdue }} }}
                late: actionItems(filter: {{ overdue: true }}{arguments}) {{ nodes {{ id: actionId }} }}
                run(id: $run{arguments}) {{ actionItems {{ nodes {{ id: actionId state note }} }} }}
            }}"
        )
    };
    let mut answers = Vec::new();
    for change in [
        None,
        Some(json!({ "id": id, "note": "phoned", "due": "2999-12-31" })),
        Some(json!({ "id": id, "state": "DONE" })),
    ] {
        if let Some(change) = change {
            house.data(CHANGE, json!({ "input": change })).await;
        }
        let at = house.head().await;
        let asked = json!({ "id": id, "run": run.to_string(), "at": at });
        answers.push((at, house.data(&ask(", minPosition: $at"), asked).await));
    }
    assert_eq!(answers[0].1["late"]["nodes"].as_array().unwrap().len(), 1, "{:#}", answers[0].1);
    assert_eq!(answers[2].1["actionItem"]["state"], "DONE");
    for (at, said) in &answers {
        let asked = json!({ "id": id, "run": run.to_string(), "at": at });
        assert_eq!(&house.data(&ask(", asOf: { position: $at }"), asked).await, said, "as of {at}");
    }
    let asked = json!({ "id": id, "run": run.to_string(), "at": before });
    let early = house.data(&ask(", asOf: { position: $at }"), asked).await;
    assert_eq!((&early["actionItem"], &early["actionItems"]["nodes"]), (&Value::Null, &json!([])));
    assert_eq!(early["run"]["actionItems"]["nodes"], json!([]));

    let search = "query($words: String!, $kinds: [SearchKind!]!) { search(words: $words, kinds: $kinds) { hits {
        kind label runId step nodeId actionItem { id: actionId note } node { __typename id } } } }";
    let found = house.data(search, json!({ "words": "phone finance", "kinds": ["ACTION_ITEM"] })).await;
    let hit = json!({
        "kind": "ACTION_ITEM", "label": "Ask finance", "runId": run.to_string(), "step": "outline",
        "nodeId": format!("action-{id}"),
        "actionItem": { "id": id, "note": "phoned" }, "node": { "__typename": "TrackedAction", "id": format!("action-{id}") },
    });
    assert_eq!(found["search"]["hits"], json!([hit]));
}
