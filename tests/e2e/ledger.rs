//! What comes after a run: its action items, how its agent and template have done, and one of its tasks once more; and
//! requests that a model helps to read. On the real program, against a platform that answers over real HTTP.

use serde_json::{Value, json};
use testkit::openai::{Behaviour, OpenAiServer, Received};
use tokio::runtime::Runtime;

use crate::program::{Home, Server, until};

const TEMPLATE: &str = "\
key: opinion
title: A legal opinion
description: Says whether a clause about escrow of source code holds.
capability: legal
parameters:
  type: object
  required: [what]
  properties:
    what: { type: string, title: Clause }
instructions: Say whether this holds, {{ what }}
";

const LAWYER: &str = "key: lawyer
name: Lawyer
description: Knows the law.
system_prompt: You know the law.
capabilities: [legal]
";

const CLERK: &str = "key: clerk
name: Clerk
description: Does what nobody else does.
system_prompt: You are helpful.
";

const READ: &str = include_str!("../../catalog/templates/operations/read-parameters.yaml");
const FREE: &str = include_str!("../../catalog/templates/operations/free-request.yaml");

const WHOLE: &str = "## Summary\nIn short.\n\n## Results\nIt holds.\n\n## Suggested improvements\nNone\n\n## Critique\nShort.\n\n\
                     ## Alternatives\nNone\n\n## Action items\n- Ask the notary | owner: Huda | due: 2020-01-31 | priority: high\n\
                     - File the opinion\n\n## Quality\nscore: 8/10";

/// Reads requests, carries templates out, and gives every part where they are asked for.
fn answer(request: &Received) -> Behaviour {
    let asked = request.json["messages"].to_string();
    Behaviour::reply(if asked.contains("Find in them the values") {
        if asked.contains("third clause") {
            r#"{"values": [{"name": "what", "value": "third clause", "quote": "the third clause"}]}"#
        } else if asked.contains("escrow of everything") {
            r#"{"values": [{"name": "what", "value": "the seventh paragraph", "quote": "escrow of everything"}]}"#
        } else {
            "I would rather not."
        }
    } else if asked.contains("## Action items") {
        WHOLE
    } else {
        "It holds."
    })
}

struct House {
    home: Home,
    _server: Server,
    platform: OpenAiServer,
    _runtime: Runtime,
}

impl House {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let platform = runtime.block_on(OpenAiServer::start([])).unwrap();
        platform.set_default(Behaviour::Of(answer));
        let home = Home::new();
        home.write("own/templates/opinion.yaml", TEMPLATE);
        home.write("own/templates/read-parameters.yaml", READ);
        home.write("own/templates/free-request.yaml", FREE);
        home.write("own/agents/lawyer.yaml", LAWYER);
        home.write("own/agents/clerk.yaml", CLERK);
        let mut command = home.command(&["serve", "--port", "0", "--json"]);
        command
            .env("OPENAI_BASE_URL", platform.base_url())
            .env("OPENAI_API_KEY", "sk-ledger")
            .env("OPENAI_MODEL", "some-model");
        let server = home.serve_by(command);
        home.run(&["catalog", "load", "own"]).expect(0);
        Self { home, _server: server, platform, _runtime: runtime }
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.home.run(&[arguments, &["--json"]].concat()).expect(0).json()
    }
}

#[test]
fn what_a_run_leaves_to_people_is_tracked_and_its_task_done_again() {
    let House { home, .. } = &House::open();
    let house_json = |arguments: &[&str]| home.run(&[arguments, &["--json"]].concat()).expect(0).json();
    let wish = ["do", "x", "--template", "opinion", "--param", "what=the third clause", "--output", "every"];
    let done = house_json(&wish);
    let (run, task) = (&done["run"]["runId"], done["run"]["steps"][0]["task"]["taskId"].as_str().unwrap());

    let items = until("the action items", || {
        let items = house_json(&["actions"]);
        (items.as_array().unwrap().len() == 2).then_some(items)
    });
    assert_eq!((&items[0]["what"], &items[0]["owner"]), (&json!("Ask the notary"), &json!("Huda")));
    assert_eq!((&items[0]["overdue"], &items[0]["priority"], &items[0]["runId"]), (&json!(true), &json!("HIGH"), run));
    let id = items[0]["id"].as_str().unwrap();
    assert_eq!(id, format!("{task}.1"));
    let changed = house_json(&["actions", "done", id, "--note", "by phone"]);
    assert_eq!((&changed["changed"], &changed["actionItem"]["state"]), (&json!(true), &json!("DONE")));
    assert_eq!(house_json(&["actions"]).as_array().unwrap().len(), 1);
    assert_eq!(house_json(&["actions", "--overdue", "--all"]), json!([]));
    // As it was before, and before there was anything.
    let position: u64 = changed["position"].as_str().unwrap().parse().unwrap();
    let before = (position - 1).to_string();
    assert_eq!(house_json(&["actions", "--as-of", &before, "--overdue"])[0]["state"], "OPEN");
    assert_eq!(house_json(&["actions", "show", id, "--as-of", &before])["note"], Value::Null);
    assert_eq!(house_json(&["actions", "--as-of", "1", "--all"]), json!([]));
    assert_eq!(house_json(&["actions", "--state", "done", "--owner", "huda"])[0]["note"], "by phone");
    let shown = home.run(&["actions", "show", id]).expect(0).out();
    assert!(shown.contains("Ask the notary") && shown.contains("[done]") && shown.contains("by phone"), "{shown}");
    house_json(&["actions", "set", id, "--owner", "", "--due", "2999-12-31", "--state", "open"]);
    let told = home.run(&["actions"]).expect(0).out();
    assert!(told.contains("due: 2999-12-31") && !told.contains("owner: Huda"), "{told}");
    home.run(&["actions", "set", id]).expect(2);
    home.run(&["actions", "set", id, "--due", "tomorrow"]).expect(2);
    home.run(&["actions", "done", &format!("{task}.9")]).expect(2);

    // The task once more: as it was, and by somebody else.
    let again = house_json(&["again", task]);
    assert_eq!((&again["status"], &again["againOf"]["taskId"]), (&json!("COMPLETED"), &json!(task)));
    assert_eq!(again["steps"][0]["task"]["assignment"]["agentKey"], "lawyer");
    let other = house_json(&["again", task, "--agent", "clerk", "--param", "what=the last clause", "--output", "text"]);
    assert_eq!(other["steps"][0]["task"]["assignment"]["agentKey"], "clerk");
    assert_eq!(other["input"], json!({ "what": "the last clause" }));
    let shown = home.run(&["show", run.as_str().unwrap()]).expect(0).out();
    assert!(shown.contains(task) && shown.matches("done again by run").count() == 2, "{shown}");
    home.run(&["again", "00000000-0000-0000-0000-000000000001"]).expect(2);

    // How agents and templates have done.
    let metrics = until("the metrics", || {
        let metrics = house_json(&["metrics", "agents", "--window", "7d"]);
        let entries = metrics["entries"].as_array()?;
        let of = |key: &str| entries.iter().find(|entry| entry["key"] == key).map(|entry| entry["metrics"].clone());
        let (lawyer, clerk) = (of("lawyer")?, of("clerk")?);
        (lawyer["completed"] == 2 && clerk["completed"] == 1).then_some(lawyer)
    });
    assert_eq!((&metrics["successRate"], &metrics["failed"]), (&json!(1.0), &json!(0)));
    let one = house_json(&["metrics", "templates", "opinion", "--window", "30d"]);
    assert_eq!(one["metrics"]["total"], 3);
    let told = home.run(&["metrics", "templates"]).expect(0).out();
    assert!(told.contains("opinion  3 tasks  100 % completed"), "{told}");
    home.run(&["metrics", "agents", "nobody"]).expect(2);
    // As of the first answer, before the task was done again, and before there was anybody.
    let then = house_json(&["metrics", "templates", "--as-of", &before, "--window", "7d"]);
    assert_eq!((&then["position"], &then["entries"][0]["metrics"]["total"]), (&json!(before), &json!(1)));
    let told = home.run(&["metrics", "templates", "opinion", "--as-of", &before]).expect(0).out();
    assert!(told.contains("opinion  1 tasks  100 % completed"), "{told}");
    let nobody = house_json(&["metrics", "agents", "clerk", "--as-of", &before]);
    assert_eq!(nobody, json!({ "key": "clerk", "metrics": null }), "it was there and had no task");
    let told = home.run(&["metrics", "agents", "clerk", "--as-of", "2020-01-01T00:00:00Z"]).expect(2).err();
    assert!(told.contains("there was no agent `clerk` then"), "{told}");
    let long_ago = ["metrics", "agents", "--as-of", "2020-01-01T00:00:00Z"];
    assert_eq!(house_json(&long_ago)["entries"], json!([]));
    assert_eq!(home.run(&long_ago).expect(0).out().trim(), "there were no tasks in this window");
    home.run(&["metrics", "agents", "--as-of", "tomorrow"]).expect(2);
    home.run(&["metrics", "agents", "--as-of", "999999999"]).expect(2);
}

#[test]
fn a_model_reads_what_rules_cannot_and_nothing_that_is_not_said() {
    let house = House::open();
    let House { home, platform, .. } = &house;
    let wish = "does the third clause on escrow of source code hold";
    let answer = home.run(&["do", wish, "--json"]);
    let told = answer.all();
    let asked = || platform.received().iter().map(|request| request.json.to_string()).collect::<Vec<_>>();
    assert!(answer.code() == 0, "{told}\n{:#?}", asked());
    let done = answer.expect(0).json();
    assert_eq!((&done["run"]["status"], &done["template"]), (&json!("COMPLETED"), &json!("opinion")));
    let read = json!([{ "name": "what", "value": "third clause", "quote": "the third clause", "by": "model" }]);
    assert_eq!((&done["read"], &done["fallback"], &done["missing"]), (&read, &json!(false), &json!([])));
    // The reading is a run like any other.
    let reading = house.json(&["show", done["reading"]["run"].as_str().unwrap()]);
    assert_eq!((&reading["workflowKey"], &reading["status"]), (&json!("task.read-parameters"), &json!("COMPLETED")));
    assert_eq!(reading["output"]["json"]["values"][0]["name"], "what", "what a model writes as JSON is there as JSON");
    assert_eq!(platform.received().len(), 2);

    // What the model makes up does not count, and neither does an answer without the form.
    for wish in ["does the clause on escrow of everything hold", "does the clause on escrow of this hold"] {
        let asked = home.run(&["do", wish, "--json"]).expect(4).json();
        assert_eq!((&asked["read"], &asked["missing"][0]["name"]), (&json!([]), &json!("what")));
        assert!(asked["reading"]["run"].is_string(), "{asked}");
    }
    let before = platform.received().len();
    let asked = home.run(&["do", wish, "--no-model", "--json"]).expect(4).json();
    assert_eq!((&asked["reading"], platform.received().len()), (&Value::Null, before));
    let planned = home.run(&["do", wish, "--dry-run"]).expect(4);
    assert_eq!(platform.received().len(), before, "{}", planned.all());
}

#[test]
fn programs_have_a_model_read_as_the_command_line_does() {
    const PREPARE: &str = "mutation($input: PrepareTaskInput!) { prepareTask(input: $input) { templateKey fallback
        read { name value quote by } reading { runId ended why run { status workflowKey } } parameters missing { name } } }";
    let House { _server: server, platform, .. } = &House::open();
    let wish = "does the third clause on escrow of source code hold";
    let input = json!({ "clientMutationId": uuid::Uuid::now_v7(), "request": wish, "model": true });
    let told = server.ask(PREPARE, json!({ "input": input }))["prepareTask"].take();
    let read = json!([{ "name": "what", "value": "third clause", "quote": "the third clause", "by": "MODEL" }]);
    assert_eq!((&told["templateKey"], &told["read"], &told["missing"]), (&json!("opinion"), &read, &json!([])));
    assert_eq!(told["parameters"], json!({ "what": "third clause" }));
    assert_eq!((&told["reading"]["ended"], &told["reading"]["why"]), (&json!(true), &Value::Null));
    // The same command waits for the same reading.
    assert_eq!(
        server.ask(PREPARE, json!({ "input": input }))["prepareTask"]["reading"]["runId"],
        told["reading"]["runId"]
    );
    assert_eq!(platform.received().len(), 1);
    let rules = json!({ "request": wish });
    let told = server.ask(PREPARE, json!({ "input": rules }))["prepareTask"].take();
    assert_eq!((&told["reading"], &told["missing"]), (&Value::Null, &json!([{ "name": "what" }])));
    assert_eq!(platform.received().len(), 1);

    let post = |wish: &str| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let body = json!({ "request": wish, "read": "model" });
            let post = client.post(format!("{}/api/v1/tasks?wait=30s", server.url)).json(&body);
            let answer = post.send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        })
    };
    let (status, run) = post(wish);
    assert_eq!((status, &run["status"], &run["input"]["what"]), (201, &json!("completed"), &json!("third clause")));
    assert_eq!(run["output"]["text"], "It holds.");
    let (status, problem) = post("does the clause on escrow of everything hold");
    assert_eq!((status, &problem["code"]), (422, &json!("PARAMETERS_MISSING")), "{problem:#}");
    assert_eq!((&problem["template"], &problem["missing"][0]["name"]), (&json!("opinion"), &json!("what")));
}

#[test]
fn what_no_template_does_is_a_free_request() {
    let house = House::open();
    let wish = "rhymes for grandmother's ninetieth birthday cake";
    let done = house.json(&["do", wish]);
    assert_eq!((&done["template"], &done["fallback"]), (&json!("free-request"), &json!(true)));
    assert_eq!((&done["parameters"]["request"], &done["run"]["status"]), (&json!(wish), &json!("COMPLETED")));
    let told = house.home.run(&["do", wish]).expect(0).out();
    assert!(told.contains("no template fits well enough"), "{told}");
    let refused = house.home.run(&["do", "rhymes about grandmother and a clause", "--no-fallback", "--no-model"]);
    assert!(refused.expect(4).all().contains("opinion"));
}
