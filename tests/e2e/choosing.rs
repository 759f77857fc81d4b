//! A step that leaves its agent to the engine, on the real program.

use serde_json::{Value, json};

use crate::program::{Home, Server, install_crypto};

const WORKFLOW: &str = "\
key: pick
name: Pick
description: Lets the best agent be chosen.
input_schema:
  type: object
  properties:
    what: { type: string }
steps:
  - name: judge
    title: Judge
    agent: auto
    template: opinion
    input:
      what: input.what
";

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

fn agent(key: &str, capability: &str) -> String {
    format!("key: {key}\nname: {key}\ndescription: Works.\nsystem_prompt: You work.\ncapabilities: [{capability}]\n")
}

fn ask(server: &Server, query: &str, variables: Value) -> Value {
    install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut answer: Value = runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = json!({ "query": query, "variables": variables });
        client.post(format!("{}/graphql", server.url)).json(&body).send().await.unwrap().json().await.unwrap()
    });
    assert!(answer.get("errors").is_none(), "{answer:#}");
    answer["data"].take()
}

#[test]
fn a_step_that_names_nobody_is_done_by_the_best_and_the_choice_is_shown_everywhere() {
    let home = Home::new();
    home.write("own/workflows/pick.yaml", WORKFLOW);
    home.write("own/templates/opinion.yaml", TEMPLATE);
    home.write("own/agents/lawyer.yaml", agent("lawyer", "legal"));
    home.write("own/agents/accountant.yaml", agent("accountant", "finance"));
    let server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load", "own"]).expect(0);
    let ran = home.run(&["run", "pick", "--input", "what=x", "--watch", "--json"]).expect(0).json();
    let run = ran["runId"].as_str().unwrap();
    assert_eq!(ran["steps"][0]["agentKey"], "auto");
    let assignment = &ran["steps"][0]["task"]["assignment"];
    assert_eq!((&assignment["agentKey"], &assignment["named"]), (&json!("lawyer"), &json!(false)));
    assert_eq!(assignment["choice"]["reason"], "BEST");
    let candidates = assignment["choice"]["candidates"].as_array().unwrap();
    assert_eq!((candidates.len(), &candidates[1]["excluded"]), (2, &json!("INCAPABLE")));
    let shown = home.run(&["show", run]).expect(0).out();
    for part in ["lawyer", "chosen: the best score, 0.80, of 1 agents that can do legal", "0.80  lawyer"] {
        assert!(shown.contains(part), "`{part}` is missing: {shown}");
    }

    const CHOICE: &str = "query($input: AgentChoiceInput!) { agentChoice(input: $input) { agentKey told
        candidates { agentKey excluded } } }";
    let answer = ask(&server, CHOICE, json!({ "input": { "template": "opinion" } }));
    assert_eq!(answer["agentChoice"]["agentKey"], "lawyer");
    let answer = ask(&server, CHOICE, json!({ "input": { "template": "opinion", "without": ["lawyer"] } }));
    assert_eq!(answer["agentChoice"]["agentKey"], json!(null));
    let told = "no agent can do it: `lawyer` is left out, `accountant` lacks the capability";
    assert_eq!(answer["agentChoice"]["told"], told);

    // Whoever is switched off was not always, and as of then is the one.
    const AS_OF: &str = "query($at: AsOf) { agentChoice(input: { template: \"opinion\" }, asOf: $at) { agentKey told
        agent { enabled } candidates { agentKey excluded running experience factors { quality cost speed } } } }";
    let before = ask(&server, "{ journalHead }", json!({}))["journalHead"].take();
    let then = ask(&server, AS_OF, json!({ "at": { "position": before } }));
    let off = "mutation { disableAgent(input: { key: \"lawyer\", reason: \"on leave\" }) { changed } }";
    ask(&server, off, json!({}));
    let now = ask(&server, AS_OF, json!({ "at": null }));
    assert_eq!(now["agentChoice"]["agentKey"], json!(null));
    assert_eq!(
        (&then["agentChoice"]["agentKey"], &then["agentChoice"]["agent"]["enabled"]),
        (&json!("lawyer"), &json!(true))
    );
    assert_eq!(ask(&server, AS_OF, json!({ "at": { "position": before } })), then);
    ask(&server, "mutation { enableAgent(input: { key: \"lawyer\" }) { changed } }", json!({}));

    const FIND: &str = "query($request: String!) { findTemplates(request: $request) { byMeaning templates { key score
        template { version } } read { name value by }
        missing { name } } }";
    let answer = ask(&server, FIND, json!({ "request": "does the escrow of our source code hold" }));
    let found = &answer["findTemplates"];
    assert_eq!((&found["byMeaning"], &found["templates"][0]["key"]), (&json!(false), &json!("opinion")));
    assert_eq!(found["templates"][0]["template"]["version"], 1);
    assert_eq!(found["missing"], json!([{ "name": "what" }]));

    let wish = "does the escrow of our source code hold";
    let asked = home.run(&["do", wish, "--json"]).expect(4).json();
    assert_eq!((&asked["template"], &asked["missing"][0]["name"]), (&json!("opinion"), &json!("what")));
    let told = home.run(&["do", wish]).expect(4);
    assert!(told.err().contains("--param what=") && told.out().contains("A legal opinion"), "{}", told.all());
    let done = home.run(&["do", wish, "--param", "what=the third clause", "--json"]).expect(0).json();
    let step = &done["run"]["steps"][0];
    assert_eq!(
        (&done["run"]["status"], &step["task"]["assignment"]["agentKey"]),
        (&json!("COMPLETED"), &json!("lawyer"))
    );
    assert!(done["run"]["output"]["text"].is_string(), "{done:#}");
    let wish = "does the escrow hold? clause: the third, on bankruptcy";
    let planned = home.run(&["do", wish, "--dry-run", "--json"]).expect(0).json();
    let read = json!([{ "name": "what", "value": "the third, on bankruptcy", "quote": "clause: the third, on bankruptcy",
        "by": "name" }]);
    assert_eq!((&planned["read"], &planned["run"]), (&read, &Value::Null));
    let answer = ask(&server, FIND, json!({ "request": wish }));
    let read = json!([{ "name": "what", "value": "the third, on bankruptcy", "by": "NAME" }]);
    assert_eq!((&answer["findTemplates"]["read"], &answer["findTemplates"]["missing"]), (&read, &json!([])));
    let done = home.run(&["do", "x", "--template", "opinion", "--agent", "accountant", "--param", "what=x"]).expect(0);
    assert!(done.out().contains("opinion"), "{}", done.all());
    home.run(&["do", "x", "--template", "nothing"]).expect(2);

    let with = home.run(&["find", "does the escrow hold", "--dir", "own", "--json"]).expect(0).json();
    assert_eq!(with["agent"]["agent"], "lawyer");
    let without = ["find", "does the escrow hold", "--dir", "own", "--without", "lawyer", "--json"];
    assert_eq!(home.run(&without).expect(0).json()["agent"]["agent"], json!(null));
    home.run(&["find", "escrow", "--dir", "own", "--without", "nobody"]).expect(2);
}
